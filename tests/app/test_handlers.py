"""Jobs and growth messages, without a page."""

from __future__ import annotations

import base64
import io
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app import export
from app.engines import Engines
from app.form import Form
from app.handlers import Job, Studio, fit
from tests.app.fake_engine import INFO, MODELS, FakeEngine


@pytest.fixture
def studio() -> Studio:
    return Studio(
        Engines(lambda name, device="auto", progress=None: FakeEngine(name), lambda: list(MODELS))
    )


def words(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<u2")


def test_messages_cover_every_cell_once(studio):
    job = studio.check(Form("emoji", "owl", "3D", pictures=2), {"run": "r1", "seed": [0, 3, 3]})
    *steps, done = studio.grow(job)
    assert {m["run"] for m in (*steps, done)} == {"r1"}
    frames = [f for m in steps for f in m["frames"]]
    assert [f["step"] for f in frames] == list(range(1, done["total"] + 1))
    order = words(done["order"])
    tokens = words(done["tokens"]).reshape(2, 256)
    for frame in frames:
        assert np.array_equal(
            words(frame["tokens"]).reshape(2, -1), tokens[:, order == frame["step"]]
        )
    recipe, _ = export.read_recipe(export.from_data_uri(done["pictures"][1]))
    assert recipe["sample"] == 1
    assert recipe["token_digest"] == export.token_digest(tokens[1])


def test_a_fast_engine_sends_few_messages(studio):
    job = studio.check(Form("wide", "owl"), {"run": "r", "seed": [0, 0, 0]})
    engine = studio.engines.get("wide")
    engine.preview = lambda tokens: np.zeros((1, 1, 256, 256, 3), np.uint8)
    messages = list(studio.grow(job))
    assert sum(len(m["frames"]) for m in messages[:-1]) == 63
    assert len(messages) < 63


def test_closing_the_growth_closes_the_engine(studio):
    job = studio.check(Form("emoji", "owl"), {"run": "r", "seed": None})
    growth = studio.grow(job)
    next(growth)
    engine = studio.engines.get("emoji")
    assert engine.open_runs == 1
    growth.close()
    assert engine.open_runs == 0
    assert studio.line.place("other") == {"ahead": 0, "seconds": 0.0}


def branch_of(done: dict, step: int, pictures: int = 1) -> dict:
    """What the page sends to go on from a step of a finished run."""
    return {
        "step": step,
        "pictures": pictures,
        "tokens": done["tokens"],
        "confidence": done["confidence"],
    }


def test_a_branch_has_as_many_pictures_as_its_parent(studio):
    form = Form("emoji", "owl", pictures=4)
    *_, parent = studio.grow(studio.check(form, {"run": "a", "seed": [0, 8, 8]}))
    start = {"run": "b", "seed": [0, 8, 8], "resume": branch_of(parent, 6, 4)}
    *_, child = studio.grow(studio.check(replace(form, pictures=1), start))
    assert len(child["pictures"]) == 4


def test_branch_keeps_everything_before_it(studio):
    form = Form("emoji", "owl", rng_seed=4)
    *_, parent = studio.grow(studio.check(form, {"run": "a", "seed": [0, 8, 8]}))
    resume = branch_of(parent, 6)
    form = Form("emoji", "fox", rng_seed=9)
    job = studio.check(form, {"run": "b", "seed": [0, 8, 8], "resume": resume})
    *steps, child = studio.grow(job)
    order, before, after = (words(m) for m in (parent["order"], parent["tokens"], child["tokens"]))
    assert np.array_equal(before[order <= 6], after[order <= 6])
    assert not np.array_equal(before, after)
    assert steps[0]["frames"][0]["step"] == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 0}, "step 0"),
        ({"step": 17}, "step 17"),
        ({"tokens": "AAA"}, "not readable"),
        ({"pictures": 3}, "3 pictures"),
    ],
)
def test_a_bad_branch_is_refused(studio, change, message):
    form = Form("emoji", "owl")
    *_, parent = studio.grow(studio.check(form, {"run": "a", "seed": [0, 8, 8]}))
    resume = branch_of(parent, 6) | change
    with pytest.raises(ValueError, match=message):
        studio.check(form, {"run": "b", "seed": [0, 8, 8], "resume": resume})


def test_a_branch_beyond_what_grew_is_refused(studio):
    empty = export.base64_of(np.full(256, export.UNKNOWN_TOKEN, np.uint16))
    sure = export.base64_of(np.zeros(256, np.uint8))
    resume = branch_of({"tokens": empty, "confidence": sure}, 6)
    with pytest.raises(ValueError, match="steps before it are missing"):
        studio.check(Form("emoji", "owl"), {"run": "b", "seed": [0, 8, 8], "resume": resume})


@pytest.mark.parametrize(
    ("form", "start", "message"),
    [
        (Form("emoji", "x" * 300), {}, "300 characters"),
        (Form("emoji", rng_seed=-1), {}, "rng seed"),
        (Form("emoji", guidance=99.0), {}, "guidance_scale"),
        (Form("emoji"), {"seed": [0, 16, 0]}, "seed_position"),
        (Form("corner"), {"seed": [0, 1, 0]}, "seed_position"),
        (Form("fruit", label="stone"), {}, "label"),
        (Form("unheard"), {}, "model"),
    ],
)
def test_bad_input_is_refused_before_the_engine_runs(studio, form, start, message):
    with pytest.raises(ValueError, match=message):
        studio.check(form, {"run": "r", **start})


def test_making_again_is_verified_by_tokens(studio):
    form = Form("emoji", "owl", rng_seed=4, pictures=2)
    *_, done = studio.grow(studio.check(form, {"run": "a", "seed": [0, 5, 5]}))
    again = {"run": "b", "file": done["pictures"][1]}
    *_, same = studio.grow(studio.check(Form("fruit"), again))
    assert same["verdict"] == {"same": True, "differs": []}
    recipe, pixels = export.read_recipe(export.from_data_uri(done["pictures"][1]))
    recipe["request"]["prompt"] = "fox"
    changed = export.data_uri(export.png_bytes(pixels, recipe), "image/png")
    *_, other = studio.grow(studio.check(Form("fruit"), {"run": "c", "file": changed}))
    assert other["verdict"]["same"] is False


def test_a_recipe_from_before_min_p_is_made_again_without_it(studio, monkeypatch):
    *_, done = studio.grow(studio.check(Form("emoji", "owl"), {"run": "a"}))
    recipe, pixels = export.read_recipe(export.from_data_uri(done["pictures"][0]))
    assert recipe["request"].pop("min_p") == 0.0
    old = export.data_uri(export.png_bytes(pixels, recipe), "image/png")
    info = replace(INFO["emoji"], min_p=0.5)
    monkeypatch.setattr(studio.engines, "info", lambda name: info)
    assert studio.check(Form("emoji", "owl"), {"run": "b"}).request.min_p == 0.5
    assert studio.check(Form("emoji"), {"run": "c", "file": old}).request.min_p == 0.0


def test_fit_crops_the_centre_and_puts_transparency_on_white():
    picture = Image.new("RGBA", (300, 100), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (100, 0, 200, 100))
    out = fit(picture, (64, 64))
    assert out.shape == (64, 64, 3)
    assert out[32, 32].tolist() == [0, 0, 255]
    assert fit(Image.new("RGBA", (8, 8)), (16, 16)).min() == 255


def test_an_upload_is_encoded_only_when_its_turn_comes(studio):
    engine, encoded = studio.engines.get("emoji"), []
    encode = engine.encode
    engine.encode = lambda video: encoded.append(1) or encode(video)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    keep = np.zeros((1, 16, 16), np.uint8)
    keep[:, 4:9, 4:12] = 1
    canvas = {
        "picture": export.data_uri(export.png_bytes(pixels), "image/png"),
        "keep": export.base64_of(keep),
    }
    form = Form("emoji", "owl")
    job = studio.check(form, {"run": "a", "seed": [0, 6, 8], "canvas": canvas})
    assert not encoded
    *_, done = studio.grow(job)
    assert encoded
    tokens = words(done["tokens"])
    assert np.array_equal(
        tokens[words(done["order"]) == 0], encode(pixels[None, None])[keep[None] > 0]
    )
    resume = branch_of(done, 3)
    start = {"run": "b", "seed": [0, 6, 8], "canvas": canvas, "resume": resume}
    *_, child = studio.grow(studio.check(Form("emoji", "fox"), start))
    early = words(done["order"]) <= 3
    assert np.array_equal(words(child["tokens"])[early], tokens[early])
    assert len(encoded) == 1
    again = {"run": "c", "file": child["pictures"][0]}
    *_, same = studio.grow(studio.check(form, again))
    assert same["verdict"]["same"]


def test_an_empty_or_complete_canvas_is_refused(studio):
    picture = export.data_uri(export.png_bytes(np.zeros((128, 128, 3), np.uint8)), "image/png")
    for value, message in ((0, "Nothing of the picture is kept"), (1, "every cell is known")):
        keep = export.base64_of(np.full((1, 16, 16), value, np.uint8))
        start = {"run": "a", "seed": [0, 6, 8], "canvas": {"picture": picture, "keep": keep}}
        with pytest.raises(ValueError, match=message):
            studio.check(Form("emoji"), start)


def test_a_clip_is_an_animated_file_that_replays(studio):
    job = studio.check(Form("clip", "fox"), {"run": "a", "seed": [2, 4, 4]})
    *_, done = studio.grow(job)
    data = export.from_data_uri(done["pictures"][0])
    frames = export.read_frames(data, 8, 8)
    engine = studio.engines.get("clip")
    tokens = words(done["tokens"]).astype(np.int64).reshape(1, 4, 8, 8)
    assert np.array_equal(frames, engine.decode(tokens)[0])
    played = studio.replay(done["pictures"][0])
    assert played["spec"]["frames"] == 8
    sheet = Image.open(io.BytesIO(export.from_data_uri(played["sheets"][0])))
    assert sheet.size == (8 * 64, 64)
    with pytest.raises(ValueError, match="expected 5"):
        export.read_frames(data, 5, 8)


def fetching(load) -> tuple[Studio, Job]:
    """A studio that loads with `load`, and a job for a model that is not here."""
    studio = Studio(Engines(load, lambda: list(MODELS)))
    return studio, studio.check(Form("far", "owl"), {"run": "r", "seed": [0, 3, 3]})


def test_a_model_is_fetched_only_when_growing_begins_and_tells_how_far_it_is():
    asked, go = [], threading.Event()

    def load(name: str, device: str = "auto", progress=None) -> FakeEngine:
        asked.append(name)
        progress("downloading far", 0.25)
        assert go.wait(30)
        return FakeEngine(name)

    studio, job = fetching(load)
    with pytest.raises(ValueError, match="words"):
        studio.check(Form("far", "very " * 20), {"run": "s"})
    assert not asked
    growth = studio.grow(job)
    news = next(growth)
    while news["share"] is None:
        news = next(growth)
    assert news == {"kind": "progress", "run": "r", "text": "Downloading far", "share": 0.25}
    go.set()
    *_, done = growth
    assert done["kind"] == "done"
    assert asked == ["far"]
    assert not [m for m in studio.grow(replace(job, run="t")) if m["kind"] == "progress"]


def test_closing_the_growth_stops_a_transfer():
    told, stopped = threading.Event(), threading.Event()

    def load(name: str, device: str = "auto", progress=None) -> FakeEngine:
        try:
            while True:
                progress("downloading far", 0.1)
                told.set()
                time.sleep(0.01)
        except BaseException:
            stopped.set()
            raise

    studio, job = fetching(load)
    growth = studio.grow(job)
    next(growth)
    assert told.wait(30)
    growth.close()
    assert stopped.wait(30)
    assert studio.line.place("other")["ahead"] == 0


def test_a_run_ends_within_a_step_of_being_stopped(studio):
    engine = studio.engines.get("wide")
    engine.seconds_per_step = 0.06  # more than a message lasts, so that each step is one
    growth = studio.grow(studio.check(Form("wide", "owl"), {"run": "r", "seed": [0, 0, 0]}))
    next(growth)
    ran = engine.steps_run
    studio.line.stop("r")
    assert list(growth) == []
    assert engine.steps_run <= ran + 1
    assert engine.open_runs == 0


def test_a_run_stopped_before_its_turn_never_begins(studio):
    job = studio.check(Form("emoji", "owl"), {"run": "r", "seed": None})
    studio.line.join("other")
    studio.line.stop("r")
    assert studio.line.place("other")["ahead"] == 0
    assert list(studio.grow(job)) == []
    assert studio.engines.get("emoji").steps_run == 0
    studio.line.stop("early")  # while its form was still being checked
    job = studio.check(Form("emoji", "owl"), {"run": "early", "seed": None})
    assert list(studio.grow(job)) == []


def test_a_run_begins_only_once(studio):
    job = studio.check(Form("emoji", "owl"), {"run": "r", "seed": None})
    assert list(studio.grow(job))
    assert list(studio.grow(job)) == []


def test_a_growth_that_was_left_open_is_closed_by_the_next(studio):
    left = studio.grow(studio.check(Form("emoji", "owl"), {"run": "a", "seed": None}))
    next(left)
    engine = studio.engines.get("emoji")
    assert engine.open_runs == 1
    growth = studio.grow(studio.check(Form("emoji", "fox"), {"run": "b", "seed": None}))
    next(growth)
    assert engine.open_runs == 1
    studio.line.join("c")
    assert studio.line.place("c")["ahead"] == 1
    assert list(growth)
    assert engine.open_runs == 0


def upload(pixels: np.ndarray, kept: slice = slice(4, 12)) -> dict[str, str]:
    """A picture of which some rows of cells are kept, as the page sends it."""
    keep = np.zeros((1, 16, 16), np.uint8)
    keep[:, kept] = 1
    picture = export.data_uri(export.png_bytes(pixels), "image/png")
    return {"picture": picture, "keep": export.base64_of(keep)}


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.random.default_rng(0).integers(0, 256, (128, 128, 3)), "is unlike what Emoji has"),
        (np.full((128, 128, 3), 200), "Emoji knows such pictures"),
    ],
)
def test_an_upload_is_compared_with_what_the_model_has_learnt(studio, pixels, words):
    start = {"run": "a", "seed": [0, 8, 8], "canvas": upload(pixels.astype(np.uint8))}
    first, *_, done = studio.grow(studio.check(Form("emoji", "owl"), start))
    assert first["kind"] == "likeness"
    assert words in first["text"]
    assert "its own kind 2.0" in first["text"]
    sent = {**start["canvas"], "tokens": done["tokens"], "picture": done["pictures"][0]}
    again = studio.check(Form("emoji", "owl"), {**start, "run": "b", "canvas": sent})
    assert all(m["kind"] != "likeness" for m in studio.grow(again))  # grown here, not uploaded


def test_checkpoints_that_can_be_asked_the_same_are_compared(studio):
    sets = {s["name"]: s["panes"] for s in studio.comparisons("emoji")}
    assert [p["title"] for p in sets["checkpoints"]] == ["Emoji", "Corner", "Wide"]
    assert "checkpoints" not in {s["name"] for s in studio.comparisons("fruit")}
    jobs = studio.check_comparison(Form("emoji", "owl"), {"run": "r", "compare": "checkpoints"})
    assert [job.model for job in jobs] == ["emoji", "corner", "wide"]
    done = [m for m in studio.compare(jobs) if m["kind"] == "done"]
    assert [(m["pane"], m["total"]) for m in done] == [(0, 17), (1, 31), (2, 33)]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (export.Limits(upload=1000), "expected at most 0.001 MB"),
        (export.Limits(pixels=10_000), r"128 x 128 pixels, expected at most 0.01 million"),
    ],
)
def test_too_large_an_upload_is_refused_before_it_is_read(limits, words):
    studio = Studio(Engines(lambda name, **more: FakeEngine(name), lambda: list(MODELS)), limits)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match=words):
        studio.check(Form("emoji"), {"run": "a", "seed": [0, 8, 8], "canvas": upload(pixels)})


def test_a_clip_of_holistic_tokens_is_decoded_now_and_then_within_a_tenth_of_the_time(studio):
    engine, decoded = studio.engines.get("whole"), []
    engine.seconds_per_step = 0.02

    def preview(tokens, full=False):
        assert full, "cells are no places, so there is no quick picture of them"
        decoded.append((tokens < 0).mean())
        time.sleep(0.005)
        return engine._paint(tokens)

    engine.preview = preview

    def grown(run: str) -> tuple[list[int], dict]:
        job = studio.check(Form("whole", "owl"), {"run": run, "seed": [0, 0, 0]})
        *steps, done = studio.grow(job)
        frames = [f for m in steps for f in m["frames"]]
        assert {f["sheet"] for f in frames} == {None}
        return [f["step"] for f in frames if "guess" in f], done

    total = sum(INFO["whole"].grid) - 2
    first, done = grown("a")
    assert first[0] == total // 2  # what it costs is not known before
    assert len(decoded) == len(first)
    assert all(0 < missing < 1 for missing in decoded)
    later, _ = grown("b")
    # 18 steps of 20 ms leave room for six or seven decodes of 5 ms, on a busy machine for fewer
    assert 2 <= len(later) <= 7
    assert later[0] < total // 2
    studio._decoding["whole", 1] = 1.0
    assert grown("c")[0] == []
    recipe, _ = export.read_recipe(export.from_data_uri(done["pictures"][0]))
    assert recipe["holistic"] is True
    assert studio.replay(done["pictures"][0])["spec"]["accepts_known"] is False


def test_a_closed_tab_takes_its_runs_along(studio):
    jobs = {}
    for run, tab in (("a", "one"), ("b", "two"), ("c", "one")):
        jobs[run] = studio.check(Form("emoji", "owl"), {"run": run, "seed": None})
        studio.line.belongs(run, tab)
    growth = studio.grow(jobs["a"])
    next(growth)
    studio.line.closed("one")
    assert list(growth) == []
    assert studio.engines.get("emoji").open_runs == 0
    assert list(studio.grow(jobs["c"])) == []
    assert list(studio.grow(jobs["b"]))
