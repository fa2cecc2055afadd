"""Jobs and growth messages, without a page."""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.server import growing
from app.server.engines import Engines
from app.server.form import Form
from app.server.given import MEASURED
from app.server.growing import Finished
from app.server.jobs import Job
from app.server.studio import Studio
from app.server.telling import replayed
from app.server.turns import Client
from app.wire import bytes_of_uri, data_uri, start_of
from nar_core import checks, samples
from nar_core.files.limits import Limits
from nar_core.files.png import read_png
from nar_core.files.recipe import Recipe
from nar_core.files.values import UNKNOWN_TOKEN, text_of
from tests.app import fake_engine
from tests.app.fake_engine import INFO, MODELS, FakeEngine
from tests.app.studios import check, fake_studio, finish, grow, picture_uri, png_with


@pytest.fixture
def studio() -> Studio:
    return fake_studio()


def file_of(done: dict, number: int = 0) -> bytes:
    return bytes_of_uri(done["pictures"][number], 5_000_000)


def replay(studio: Studio, done: dict) -> dict:
    return replayed(studio.engines, file_of(done), "replay")


def recipe_of(done: dict, number: int = 0) -> Recipe:
    return read_png(file_of(done, number))[0]


def words(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<u2")


def test_messages_cover_every_cell_once(studio):
    job = check(
        studio, Form("emoji", "owl", num_samples=2), {"run": "r1", "seed_position": [0, 3, 3]}
    )
    *steps, done = grow(studio, job)
    assert {m["run"] for m in (*steps, done)} == {"r1"}
    frames = [f for m in steps for f in m["frames"]]
    assert [f["step"] for f in frames] == list(range(1, done["total"] + 1))
    order = words(done["order"])
    tokens = words(done["tokens"]).reshape(2, 256)
    for frame in frames:
        assert np.array_equal(
            words(frame["tokens"]).reshape(2, -1), tokens[:, order == frame["step"]]
        )
    recipe = recipe_of(done, 1)
    assert recipe.sample == 1
    assert np.array_equal(recipe.tokens.reshape(-1), tokens[1])


def test_a_fast_engine_sends_few_messages(studio):
    job = check(studio, Form("wide", "owl"), {"run": "r", "seed_position": [0, 0, 0]})
    engine = studio.engines.get("wide")
    engine.preview = lambda tokens: np.zeros((1, 1, 256, 256, 3), np.uint8)
    messages = list(grow(studio, job))
    assert sum(len(m["frames"]) for m in messages[:-1]) == 63
    assert len(messages) < 63


def test_closing_the_growth_closes_the_engine(studio):
    job = check(studio, Form("emoji", "owl"), {"run": "r", "seed_position": None})
    growth = grow(studio, job)
    next(growth)
    engine = studio.engines.get("emoji")
    assert engine.open_runs == 1
    growth.close()
    assert engine.open_runs == 0


def branch_of(done: dict, step: int, pictures: int = 1) -> dict:
    """What the page sends to go on from a step of a finished run."""
    return {
        "step": step,
        "pictures": pictures,
        "tokens": done["tokens"],
        "confidence": done["confidence"],
    }


def test_a_branch_has_as_many_pictures_as_its_parent(studio):
    form = Form("emoji", "owl", num_samples=3)  # which the page does not offer
    *_, parent = grow(studio, check(studio, form, {"run": "a", "seed_position": [0, 8, 8]}))
    start = {"run": "b", "seed_position": [0, 8, 8], "resume": branch_of(parent, 6, 3)}
    *_, child = grow(studio, check(studio, replace(form, num_samples=1), start))
    assert len(child["pictures"]) == 3


def test_branch_keeps_everything_before_it(studio):
    form = Form("emoji", "owl", rng_seed=4)
    *_, parent = grow(studio, check(studio, form, {"run": "a", "seed_position": [0, 8, 8]}))
    resume = branch_of(parent, 6)
    form = Form("emoji", "fox", rng_seed=9)
    job = check(studio, form, {"run": "b", "seed_position": [0, 8, 8], "resume": resume})
    *steps, child = grow(studio, job)
    order, before, after = (words(m) for m in (parent["order"], parent["tokens"], child["tokens"]))
    assert np.array_equal(before[order <= 6], after[order <= 6])
    assert not np.array_equal(before, after)
    assert steps[0]["frames"][0]["step"] == 7


def test_a_lent_gpu_is_asked_for_by_the_steps_that_are_left_and_the_pictures(studio):
    form = Form("emoji", "owl", rng_seed=4)
    start = {"run": "a", "seed_position": [0, 0, 0]}  # 31 steps, of 12 million parameters
    whole = check(studio, form, start)
    *_, parent = grow(studio, whole)
    late = check(studio, form, {**start, "run": "b", "resume": branch_of(parent, 28)})
    seconds = studio.grower.seconds_on_gpu
    assert [seconds([whole]), seconds([late])] == [12, 11]
    assert seconds([whole] * 100_000) == 120  # no more than is lent at once


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 0}, "step: got 0"),
        ({"step": 17}, "step: got 17, expected a whole number from 1 to 16"),
        ({"tokens": "AAA"}, "not readable"),
        ({"tokens": text_of(b"odd")}, "got 3 bytes, expected whole values of 2"),
        ({"pictures": 3}, "for 3 pictures, .* as many of every picture"),
    ],
)
def test_a_bad_branch_is_refused(studio, change, message):
    form = Form("emoji", "owl")
    *_, parent = grow(studio, check(studio, form, {"run": "a", "seed_position": [0, 8, 8]}))
    resume = branch_of(parent, 6) | change
    with pytest.raises(ValueError, match=message):
        check(studio, form, {"run": "b", "seed_position": [0, 8, 8], "resume": resume})


def test_a_branch_beyond_what_grew_is_refused(studio):
    empty = text_of(np.full(256, UNKNOWN_TOKEN, np.uint16))
    sure = text_of(np.zeros(256, np.uint8))
    resume = branch_of({"tokens": empty, "confidence": sure}, 6)
    with pytest.raises(ValueError, match="every cell that is known or written up to step 6; scrub"):
        check(
            studio, Form("emoji", "owl"), {"run": "b", "seed_position": [0, 8, 8], "resume": resume}
        )


@pytest.mark.parametrize(
    ("form", "start", "message"),
    [
        (Form("emoji", "x" * 300), {}, "300 characters"),
        (Form("emoji", rng_seed=-1), {}, "rng_seed"),
        (Form("emoji", settings={"guidance_scale": 99.0}), {}, "guidance_scale"),
        (Form("emoji"), {"seed_position": [0, 16, 0]}, "seed_position"),
        (Form("corner"), {"seed_position": [0, 1, 0]}, "seed_position"),
        (Form("fruit", label="stone"), {}, "label"),
        (Form("unheard"), {}, "model"),
    ],
)
def test_bad_input_is_refused_before_the_engine_runs(studio, form, start, message):
    with pytest.raises(ValueError, match=message):
        check(studio, form, {"run": "r", **start})


def test_making_again_is_verified_by_tokens(studio):
    form = Form("emoji", "owl", rng_seed=4, num_samples=2)
    *_, done = grow(studio, check(studio, form, {"run": "a", "seed_position": [0, 5, 5]}))
    again = {"run": "b", "file": done["pictures"][1]}
    assert replayed(studio.engines, file_of(done, 1), "c")["sample"] == 1
    *_, same = grow(studio, check(studio, Form("fruit"), again))
    assert same["verdict"] == {"same": True, "differs": []}
    recipe, frames = read_png(file_of(done, 1))
    changed = recipe.json()
    changed["request"]["prompt"] = "fox"
    file = data_uri(png_with(frames[0], changed), "image/png")
    other = finish(studio, Form("fruit"), {"file": file})
    assert other["verdict"]["same"] is False


def test_a_recipe_from_before_min_p_is_made_again_without_it(studio, monkeypatch):
    done = finish(studio, Form("emoji", "owl"), {})
    recipe, frames = read_png(file_of(done))
    old = recipe.json()
    assert old["request"].pop("min_p") == 0.0
    file = data_uri(png_with(frames[0], old), "image/png")
    info = replace(INFO["emoji"], min_p=0.5)
    monkeypatch.setattr(studio.engines, "info", lambda name: info)
    assert check(studio, Form("emoji", "owl"), {}).prepared.request.min_p == 0.5
    assert check(studio, Form("emoji"), {"file": file}).prepared.request.min_p == 0.0


def test_an_upload_is_encoded_only_when_its_turn_comes(studio):
    engine, encoded = studio.engines.get("emoji"), []
    encode = engine.encode
    engine.encode = lambda video: encoded.append(1) or encode(video)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    keep = np.zeros((1, 16, 16), np.uint8)
    keep[:, 4:9, 4:12] = 1
    canvas = {
        "picture": picture_uri(pixels),
        "keep": text_of(keep),
    }
    form = Form("emoji", "owl")
    job = check(studio, form, {"run": "a", "seed_position": [0, 6, 8], "canvas": canvas})
    assert not encoded
    *_, done = grow(studio, job)
    assert encoded
    tokens = words(done["tokens"])
    assert np.array_equal(
        tokens[words(done["order"]) == 0], encode(pixels[None, None])[keep[None] > 0]
    )
    resume = branch_of(done, 3)
    start = {"run": "b", "seed_position": [0, 6, 8], "canvas": canvas, "resume": resume}
    *_, child = grow(studio, check(studio, Form("emoji", "fox"), start))
    early = words(done["order"]) <= 3
    assert np.array_equal(words(child["tokens"])[early], tokens[early])
    assert len(encoded) == 1
    again = {"run": "c", "file": child["pictures"][0]}
    *_, same = grow(studio, check(studio, form, again))
    assert same["verdict"]["same"]


def test_an_empty_or_complete_canvas_is_refused(studio):
    picture = picture_uri(np.zeros((128, 128, 3), np.uint8))
    for value, message in ((0, "kept cells: got none"), (1, "known set: got every cell")):
        keep = text_of(np.full((1, 16, 16), value, np.uint8))
        start = {
            "run": "a",
            "seed_position": [0, 6, 8],
            "canvas": {"picture": picture, "keep": keep},
        }
        with pytest.raises(ValueError, match=message):
            check(studio, Form("emoji"), start)


def test_a_clip_is_an_animated_file_that_replays(studio):
    job = check(studio, Form("clip", "fox"), {"run": "a", "seed_position": [2, 4, 4]})
    *_, done = grow(studio, job)
    _, frames = read_png(file_of(done))
    engine = studio.engines.get("clip")
    tokens = words(done["tokens"]).astype(np.int64).reshape(1, 4, 8, 8)
    assert np.array_equal(frames, engine.decode(tokens)[0])
    played = replay(studio, done)
    assert played["spec"]["frames"] == 8
    sheet = Image.open(io.BytesIO(bytes_of_uri(played["sheets"][0], 5_000_000)))
    assert sheet.size == (8 * 64, 64)


def fetching(load) -> tuple[Studio, Job]:
    """A studio that loads with `load`, and a job for a model that is not here."""
    studio = fake_studio(load)
    return studio, check(studio, Form("far", "owl"), {"run": "r", "seed_position": [0, 3, 3]})


def test_a_model_is_fetched_only_when_growing_begins_and_tells_how_far_it_is():
    asked, go = [], threading.Event()

    def load(name: str, device: str = "auto", progress=None) -> FakeEngine:
        asked.append(name)
        progress("downloading far", 0.25)
        assert go.wait(30)
        return FakeEngine(name)

    studio, job = fetching(load)
    with pytest.raises(ValueError, match="words"):
        check(studio, Form("far", "very " * 20), {"run": "s"})
    assert not asked
    growth = grow(studio, job)
    news = next(growth)
    while news["share"] is None:
        news = next(growth)
    assert news == {"kind": "progress", "run": "r", "text": "Downloading far", "share": 0.25}
    go.set()
    *_, done = growth
    assert done["kind"] == "done"
    assert asked == ["far"]
    assert not [m for m in grow(studio, replace(job, run="t")) if m["kind"] == "progress"]


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
    growth = grow(studio, job)
    next(growth)
    assert told.wait(30)
    growth.close()
    assert stopped.wait(30)


def test_who_waits_for_a_model_is_told_how_far_it_is_and_others_grow_meanwhile():
    go, left = threading.Event(), threading.Event()
    here = list(MODELS)

    def fetch(name, progress):
        if name != "far" or all(model.available for model in here):
            return
        try:
            while not go.is_set():
                progress("downloading far", 0.25)
                time.sleep(0.01)
        except BaseException:
            left.set()
            raise
        here[:] = [replace(model, available=True) for model in here]

    engines = Engines(lambda name, **options: FakeEngine(name), lambda: here, fetch=fetch)
    engines.configure("cpu", 2, may_fetch=True)
    studio, form = Studio(engines), Form("far", "owl")
    for client in (Client("1"), Client("2")):
        with pytest.raises(ValueError, match="Ask for it once more"):
            studio.start(form, {"run": "r"}, client)

    async def both():
        studio.start(form, {"run": "r"}, Client("1"))
        far = studio.line.ticket("r").made()
        assert await anext(far) == {
            "kind": "progress", "run": "r", "text": "Downloading far", "share": 0.25
        }  # fmt: skip
        other = studio.events(check(studio, Form("emoji", "owl"), {"run": "s"}), Client())
        assert isinstance([event async for event in other][-1], Finished)
        studio.start(form, {"run": "t"}, Client("2"))
        away = studio.line.ticket("t").made()
        await anext(away)
        await away.aclose()
        await asyncio.to_thread(left.wait, 30)
        go.set()
        return [message async for message in far][-1]["kind"]

    assert asyncio.run(both()) == "done"


def upload(pixels: np.ndarray, kept: slice = slice(4, 12)) -> dict[str, str]:
    """A picture of which some rows of cells are kept, as the page sends it."""
    keep = np.zeros((1, 16, 16), np.uint8)
    keep[:, kept] = 1
    picture = picture_uri(pixels)
    return {"picture": picture, "keep": text_of(keep)}


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (
            np.random.default_rng(0).integers(0, 256, (128, 128, 3)),
            "nats each (up to 3.5 is usual)",
        ),
        (np.full((128, 128, 3), 200), "Emoji knows such pictures"),
    ],
)
def test_an_upload_is_compared_with_what_the_model_has_learnt(studio, pixels, words):
    start = {"run": "a", "seed_position": [0, 8, 8], "canvas": upload(pixels.astype(np.uint8))}
    first, *_, done = grow(studio, check(studio, Form("emoji", "owl"), start))
    assert first["kind"] == "likeness"
    assert words in first["text"]
    sent = {**start["canvas"], "tokens": done["tokens"], "picture": done["pictures"][0]}
    again = check(studio, Form("emoji", "owl"), {**start, "run": "b", "canvas": sent})
    assert all(m["kind"] != "likeness" for m in grow(studio, again))  # grown here, not uploaded


def test_an_engine_that_was_dropped_is_not_held_for_what_was_measured_on_it():
    loaded: list[weakref.ref[FakeEngine]] = []

    def load(name: str, **options) -> FakeEngine:
        engine = FakeEngine(name)
        loaded.append(weakref.ref(engine))
        return engine

    studio, picture = fake_studio(load), np.zeros((128, 128, 3), np.uint8)
    for model in ("composed", "emoji", "composed"):
        studio.grower.read(model, picture)
    gc.collect()
    assert [engine() is None for engine in loaded] == [True, True, False]


def test_a_picture_is_compared_with_those_of_the_models_world(studio):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    drawn = samples(INFO["composed"], MEASURED + 24)
    own = [studio.grower.read("composed", clip[0]) for _, clip in drawn]
    unknown = studio.grower.read("composed", noise)
    assert sum(told["foreign"] for told in own) <= 1  # those that it was not measured on, too
    assert unknown["foreign"]
    assert "as usual" in own[0]["text"]
    assert "its tokenizer leaves 11 dB of it (15 or more is usual)" in unknown["text"]


def test_checkpoints_that_can_be_asked_the_same_are_compared(studio):
    sets = {s["name"]: s["panes"] for s in studio.desk.comparisons("emoji")}
    assert [p["title"] for p in sets["checkpoints"]] == ["Emoji", "Corner", "Wide"]
    assert "checkpoints" not in {s["name"] for s in studio.desk.comparisons("fruit")}
    asked = start_of({"run": "r", "compare": "checkpoints"}, 0)
    jobs = studio.desk.comparison(Form("emoji", "owl"), asked)
    assert [job.model for job in jobs] == ["emoji", "corner", "wide"]
    done = [message for job in jobs for message in grow(studio, job) if message["kind"] == "done"]
    assert [message["total"] for message in done] == [17, 31, 33]


def test_the_lab_grows_every_line_of_its_prompt_in_every_pane(studio):
    asked = start_of({"run": "r", "compare": "guidance"}, 0)
    jobs = studio.desk.comparison(Form("emoji", "owl\n\n red  apple \nfox"), asked)
    requests = [job.prepared.request for job in jobs]
    assert len(requests) > 1
    assert {(r.prompt, r.num_samples) for r in requests} == {(("owl", "red apple", "fox"), 3)}
    *_, done = grow(studio, jobs[0])
    assert len(done["pictures"]) == 3
    assert done["request"]["prompt"] == ["owl", "red apple", "fox"]
    [one, *_] = studio.desk.comparison(Form("emoji", "\nowl\n"), asked)
    assert (one.prepared.request.prompt, one.prepared.num_samples) == (("owl",), 1)
    for prompt, wrong in (("a\n" * 9, "got 9 lines, expected at most 8"), ("x" * 201, "shorten")):
        with pytest.raises(ValueError, match=wrong):
            studio.desk.comparison(Form("emoji", prompt), asked)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(upload=1000), r"got 4\d,\d\d\d bytes, expected at most 1,000; make it smaller"),
        (Limits(pixels=10_000), r"128 x 128 pixels, expected at most 0.01 million"),
    ],
)
def test_too_large_an_upload_is_refused_before_it_is_read(limits, words):
    studio = fake_studio(limits=limits)
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match=words):
        check(
            studio,
            Form("emoji"),
            {"run": "a", "seed_position": [0, 8, 8], "canvas": upload(pixels)},
        )


class Clock:
    """In place of `time`: only what sleeps takes any."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


def test_a_clip_of_holistic_tokens_is_decoded_now_and_then_within_a_tenth_of_the_time(
    studio, monkeypatch
):
    clock = Clock()
    for module in (growing, fake_engine):
        monkeypatch.setattr(module, "time", clock)
    engine, decoded = studio.engines.get("whole"), []
    engine.seconds_per_step = 0.02

    def preview(tokens, full=False):
        assert full, "cells are no places, so there is no quick picture of them"
        decoded.append((tokens < 0).mean())
        clock.sleep(0.005)
        return engine._paint(tokens)

    engine.preview = preview

    def grown(run: str) -> tuple[list[int], dict]:
        job = check(studio, Form("whole", "owl"), {"run": run, "seed_position": [0, 0, 0]})
        *steps, done = grow(studio, job)
        frames = [f for m in steps for f in m["frames"]]
        assert {f["sheet"] for f in frames} == {None}
        return [f["step"] for f in frames if "guess" in f], done

    total = sum(INFO["whole"].grid) - 2
    first, done = grown("a")
    assert first[0] == total // 2  # what it costs is not known before
    assert len(decoded) == len(first)
    assert all(0 < missing < 1 for missing in decoded)
    later, _ = grown("b")
    assert len(later) == 6  # of 5 ms each, in the time of 17 steps of 20 ms
    assert later[0] < total // 2
    studio.grower._decoding["whole", 1] = 1.0
    assert grown("c")[0] == []
    assert recipe_of(done).holistic
    assert replay(studio, done)["spec"]["accepts_known"] is False


def test_a_plan_is_made_once_for_a_growth(studio, monkeypatch):
    plans = []
    make_plan = checks.make_plan
    monkeypatch.setattr(checks, "make_plan", lambda *given: plans.append(1) or make_plan(*given))
    starts = (
        {"seed_position": [0, 3, 3]},
        {"seed_position": [0, 8, 8], "canvas": upload(np.zeros((128, 128, 3), np.uint8))},
    )
    for start in starts:
        done = finish(studio, Form("emoji", "owl"), start)
        assert len(plans) == 1
        plans.clear()
    finish(studio, Form("emoji", "fox"), {**starts[1], "resume": branch_of(done, 9)})
    assert len(plans) == 1


def test_words_that_a_model_does_not_read_are_refused_but_not_those_hidden_on_the_page(studio):
    both = {"prompt": "owl", "label": "kiwi"}
    for model, unread in (("emoji", "label"), ("fruit", "prompt")):
        with pytest.raises(ValueError, match=f"{unread}: got"):
            check(studio, Form(model, **both), {})
        request = check(studio, Form(model, **both, of_page=True), {}).prepared.request
        assert getattr(request, unread) is None
