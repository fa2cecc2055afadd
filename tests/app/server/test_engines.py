"""Which models are offered and which stay in memory."""

from __future__ import annotations

import gc
import weakref

import pytest

from app.server.engines import Engines
from tests.app.fake_engine import INFO, MODELS, FakeEngine


def test_one_model_is_resident_and_what_is_missing_is_told():
    def load(name: str, device: str = "auto", progress=None) -> FakeEngine:
        if name == "fruit":
            raise FileNotFoundError("put the file into checkpoints/")
        return FakeEngine(name)

    engines = Engines(load, lambda: list(MODELS))
    first = weakref.ref(engines.get("emoji"))
    assert engines.get("emoji") is first()
    with pytest.raises(ValueError, match="put the file"):
        engines.get("fruit")
    gc.collect()
    assert first() is None


def test_models_here_come_first_and_one_line_tells_what_each_is():
    engines = Engines(FakeEngine, lambda: list(MODELS)[::-1])
    assert [m.name for m in engines.models()][-1] == "far"
    assert engines.choices("image")[-1] == ("Far (to be fetched)", "far")
    assert ("Emoji", "emoji") in engines.choices("image")
    assert "clip" in dict(map(reversed, engines.choices("video")))
    line = engines.facts(INFO["far"])
    for part in ("12 M parameters", "text to picture, 128 px", "licence MIT", "MB of memory"):
        assert part in line
    assert line.endswith("to be fetched, 522 MB")
    assert engines.facts(INFO["emoji"]).endswith("on this machine")
