"""Checkpoint folders of a test are its own: nothing on the machine is looked at."""

from __future__ import annotations

import pytest

from nar_core.weights import fetch


@pytest.fixture(autouse=True)
def checkpoints(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setattr(fetch, "CHECKPOINTS", folder)
    for name in (fetch.ENVIRONMENT, fetch.CACHE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return folder
