"""Test processes side by side (`pytest -n auto`) share the cores and do not fight over them."""

from __future__ import annotations

import os

import pytest

LONG = (
    "test_browser_",
    "test_api.py",
    "test_install.py",
    "test_stream.py",
    "test_tokenizer.py",
    "test_own.py",
    "test_world.py",
)
"""Files that take long, begun first so that at the end no process is left alone with one."""


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: tests of the page wait as long as they compute."""
    cores = os.cpu_count() or 1
    return cores + cores // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, else as they lie."""
    items.sort(key=lambda item: not item.path.name.startswith(LONG))


if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))
