"""Which models are offered and which stay in memory."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from dataclasses import replace

import pytest

from app.server.engines import Engines
from app.server.form import Form
from app.server.turns import Client
from app.wire import bytes_of_uri
from nar_core.plan import GridShape
from tests.app.fake_engine import INFO, MODELS, FakeEngine
from tests.app.studios import check, fake_studio, finish


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


def test_a_model_whose_folder_was_replaced_is_loaded_anew():
    """Else it would be asked for what the new one says it can, such as another grid."""
    listed, loaded = {m.name: m for m in MODELS}, []

    def load(name: str, device: str = "auto", progress=None) -> FakeEngine:
        loaded.append(name)
        engine = FakeEngine(name)
        engine.info = listed[name]
        return engine

    engines = Engines(load, lambda: list(listed.values()))
    before = engines.get("emoji")
    assert engines.get("emoji") is before
    listed["emoji"] = replace(listed["emoji"], available=False, download=7)  # nothing that matters
    assert engines.get("emoji") is before
    listed["emoji"] = replace(INFO["emoji"], grid=GridShape(1, 8, 8))
    after = engines.get("emoji")
    assert after.info.grid == (1, 8, 8)
    assert engines.get("emoji") is after
    assert loaded == ["emoji", "emoji"]


def test_a_model_that_was_said_stands_for_the_listed_one_of_its_name():
    """Such as `emoji` trained by oneself, or an official one that is not where models are kept."""
    own = replace(INFO["emoji"], grid=GridShape(1, 8, 8), title="own")
    listed = [replace(INFO["emoji"], available=False), INFO["fruit"]]
    loaded = []

    def load(name: str, device: str = "auto", progress=None) -> FakeEngine:
        loaded.append(name)
        engine = FakeEngine("emoji" if "/" in name else name)
        engine.info = own if "/" in name else INFO[name]
        return engine

    engines = Engines(load, lambda: listed)
    assert engines.include("runs/emoji/export") == "emoji"
    assert [m.title for m in engines.models() if m.name == "emoji"] == ["own"]
    assert engines.first("image", "emoji").available
    assert engines.get("emoji").info == own
    engines.get("fruit")  # of which there is room for one
    engines.allow("emoji")
    assert engines.get("emoji").info == own
    assert loaded == ["runs/emoji/export", "fruit", "runs/emoji/export"]


def test_models_here_come_first_and_one_line_tells_what_each_is():
    engines = Engines(FakeEngine, lambda: list(MODELS)[::-1])
    assert [m.name for m in engines.models()][-1] == "far"
    assert engines.choices("image")[-1] == ("Far (not here)", "far")
    engines.configure("auto", keep=1, may_fetch=True)
    assert engines.choices("image")[-1] == ("Far (to be fetched)", "far")
    assert ("Emoji", "emoji") in engines.choices("image")
    assert "clip" in dict(map(reversed, engines.choices("video")))
    line = engines.facts(INFO["far"])
    for part in ("12 M parameters", "text to picture, 128 px", "licence MIT", "MB of memory"):
        assert part in line
    assert line.endswith("to be fetched, 522 MB")
    assert engines.facts(INFO["emoji"]).endswith("on this machine")


def test_a_model_is_fetched_only_where_the_operator_allows_it_and_its_size_is_confirmed():
    engines = Engines(lambda name, **options: FakeEngine(name), lambda: list(MODELS))
    me, other = Client("1", "a"), Client("1", "b")
    engines.allow("emoji", me)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"got Far, which is not on this machine.*--fetch"):
            engines.allow("far", me)
    engines.configure("cpu", 1, may_fetch=True)
    with pytest.raises(ValueError, match=r"522 MB would be fetched first\. Ask for it once more"):
        engines.allow("far", me)
    engines.allow("far", me)
    with pytest.raises(ValueError, match="522 MB would be fetched first"):
        engines.allow("far", other)  # who has not been told
    engines.get("far")
    engines.allow("far", Client("2", "c"))  # it is here now


@pytest.mark.parametrize("way", ["page", "program", "comparison", "explain"])
def test_no_way_to_a_growth_fetches_what_may_not_be_fetched(way):
    fetched: list[str] = []
    studio = fake_studio()
    studio.engines._fetch = lambda name, progress: fetched.append(name)
    file = png_of(studio, "far")
    fetched.clear()
    form, start = Form("far", "owl"), {"run": "r", "seed_position": [0, 8, 8]}
    ask = {
        "page": lambda: studio.start(form, start, Client()),
        "program": lambda: studio.events(check(studio, form, start), Client()),
        "comparison": lambda: studio.compare(form, {**start, "compare": "heads"}, Client()),
        "explain": lambda: asyncio.run(studio.explained(file, (0, 8, 8), Client())),
    }[way]
    with pytest.raises(ValueError, match="Far, which is not on this machine"):
        ask()
    assert not fetched
    assert studio.line.waiting == 0


def png_of(studio, model: str) -> bytes:
    """A file that a model has made, wherever it was."""
    done = finish(studio, Form(model, "owl"), {"run": "r", "seed_position": None})
    studio.engines._engines.clear()
    return bytes_of_uri(done["pictures"][0], 5_000_000)


def test_others_use_what_is_here_while_a_model_is_fetched():
    go, begun = threading.Event(), threading.Event()

    def fetch(name, progress):
        if name == "far":
            begun.set()
            assert go.wait(30)

    def load(name, **options):
        return FakeEngine(name)

    engines = Engines(load, lambda: list(MODELS), fetch=fetch)
    emoji = engines.get("emoji")
    fetching = threading.Thread(target=engines.get, args=["far"])
    fetching.start()
    assert begun.wait(30)
    assert engines.get("emoji") is emoji  # neither put out of memory nor waited for
    assert engines.get("fruit")
    go.set()
    fetching.join(30)
    assert engines.loaded() == ["far"]
