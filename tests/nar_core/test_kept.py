"""A plan that comes back is grown in what is kept of it, and nothing of the last growth is seen.

On a GPU steps are recorded and replayed. Elsewhere a stand-in does what was recorded once more.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nar_core import Engine, Request, kept
from nar_core.decode import Growth
from nar_core.models.condition import Caption, ConditionConfig
from nar_core.models.recording import Recorder
from nar_core.plan import GridShape, make_plan
from nar_core.sampling import uniforms
from nar_core.settings import SamplingSettings

from .helpers import official_config, random_model

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Stand:
    """Does what was recorded, the first time when it is recorded, as a GPU would replay it.

    A replay leaves what the growth counts as it was: on a GPU it is the device's alone.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def record(self, work) -> Any:
        self.told.append("recorded")
        growth: Growth = work.__self__
        guided, outputs, first = growth.guided, work(), [True]
        assert growth.guided == guided  # rows that go while it is recorded would go at every replay

        def replay() -> None:
            if first:
                first.clear()
                return
            self.told.append("replayed")
            before = growth.passes, growth.cache.length
            for mine, again in zip(outputs, work(), strict=True):
                mine.copy_(again)
            growth.passes, growth.cache.length = before

        return SimpleNamespace(replay=replay), outputs


@pytest.fixture(params=DEVICES)
def engine(root, request, monkeypatch):
    engine = Engine.load(root / "words", device=request.param, dtype="float32")
    engine._growths.room, engine._ahead = 1 << 30, 1
    if request.param == "cpu":
        monkeypatch.setattr(Recorder, "on", lambda device: Stand())
    return engine


@pytest.fixture
def fresh(root, engine):
    """An engine of the same weights that keeps nothing and begins nothing ahead."""
    fresh = Engine.load(root / "words", device=engine.device, dtype="float32")
    fresh._growths.room = fresh._ahead = 0
    return fresh


def kept_of(engine) -> list:
    return list(engine._growths._kept.values())


def same(a, b) -> None:
    np.testing.assert_array_equal(a.tokens, b.tokens)
    np.testing.assert_allclose(a.confidence, b.confidence, rtol=1e-4, atol=1e-6)
    assert (a.passes, a.step) == (b.passes, b.step)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"guidance_scale": 1.0},
        {"guidance_interval": 5},
        {"temperature": 0.7, "top_k": 9, "top_p": 0.8, "min_p": 0.1},
        {"temperature": 0.0, "heads": "horizontal"},
        {"fusion": "confident", "num_samples": 3},
    ],
)
def test_a_plan_that_comes_back_gives_what_it_would_have_given(engine, fresh, fields):
    seen = set()
    for number, prompt in enumerate(["whale", "red apple", "blue whale", "", "whale"]):
        request = Request(prompt=prompt, rng_seed=number, **fields)
        same(engine.generate_all(request), fresh.generate_all(request))
        [growth] = kept_of(engine)
        seen.add(id(growth))
    assert len(seen) == 1  # the same one every time
    assert not kept_of(fresh)


def test_other_settings_are_another_growth(engine, fresh):
    for number in range(3):
        for temperature in (0.5, 1.5):
            request = Request(prompt="whale", rng_seed=number, temperature=temperature)
            same(engine.generate_all(request), fresh.generate_all(request))
    assert len(kept_of(engine)) == 2


@pytest.mark.parametrize(("lengths", "fits"), [([1, 4], True), ([1, 3], False), ([4, 4], False)])
def test_a_prompt_of_other_length_is_another_growth(lengths, fits):
    grid = GridShape(1, 3, 3)
    form = ConditionConfig("caption", slots=6, caption_width=5)
    model = random_model(replace(official_config(grid), condition=form))
    plan = make_plan(grid, (0, 0, 0), None, ("+w", "+h"), "distance")

    def told(lengths: list[int]) -> tuple[Caption, Caption]:
        valid = torch.arange(6) >= 6 - torch.tensor(lengths)[:, None]
        features = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(sum(lengths)))
        values = Caption(features * valid[..., None], valid)
        return values, model.condition.null_like(values)

    def growth_of(lengths: list[int]) -> Growth:
        numbers = uniforms(0, 2, 9)
        settings = SamplingSettings(guidance_scale=2.0)
        return Growth(model, plan, *told(lengths), torch.full((2, 9), -1), numbers, settings)

    growth, other = growth_of([1, 4]), growth_of(lengths)
    while growth.next_step < plan.total:
        growth.step()
    assert growth.again(*told(lengths), torch.full((2, 9), -1), uniforms(0, 2, 9)) == fits
    while fits and growth.next_step < plan.total:
        mine, fresh = growth.logits(), other.logits()
        torch.testing.assert_close(mine, fresh)
        growth.step()
        other.step()


def test_steps_are_recorded_the_second_time_and_replayed_from_then_on(engine):
    for prompt in ("whale", "red apple", "blue whale"):
        total = engine.generate_all(Request(prompt=prompt)).total
    [growth] = kept_of(engine)
    assert len(growth._recorded) == total
    if engine.device.type == "cpu":
        assert growth._recorder.told == ["recorded"] * total + ["replayed"] * total


def test_known_cells_and_branches_come_back(engine, fresh):
    known = np.full((1, 1, 4, 5), -1)
    known[0, 0, 1:3, 1:4] = np.arange(6).reshape(2, 3)
    early = list(fresh.generate(Request(prompt="whale", rng_seed=4)))[2]
    for rng_seed in range(3):
        around = Request(prompt="red apple", known=known + (known >= 0) * rng_seed)
        same(engine.generate_all(around), fresh.generate_all(around))
        branch = Request(resume=early, rng_seed=rng_seed)
        same(engine.generate_all(branch), fresh.generate_all(branch))
        whole = Request(prompt="whale", rng_seed=rng_seed)  # of the branch's plan
        same(engine.generate_all(whole), fresh.generate_all(whole))
    assert len(kept_of(engine)) == 3


def test_plans_of_equal_levels_are_told_apart():
    grid = GridShape(1, 3, 3)
    seed = np.arange(9) == 0
    is_known = [
        make_plan(grid, (0, 0, 0), known, ("+w", "+h"), "distance") for known in (None, seed)
    ]
    starts = [make_plan(grid, at, np.arange(9) != 4) for at in ((0, 0, 0), (0, 1, 1))]
    for plans in (is_known, starts):
        assert (plans[0].levels == plans[1].levels).all()
        assert (plans[0].fan_in == plans[1].fan_in).all()
    raster = make_plan(grid, (0, 0, 0), None, ("+w",), order="raster")
    for plans in (is_known, starts, (is_known[0], raster)):
        assert len({kept._key(plan, [SamplingSettings()], 0) for plan in plans}) == 2


def test_one_plan_is_grown_twice_at_once(engine, fresh):
    requests = [Request(prompt=p, rng_seed=i) for i, p in enumerate(["whale", "red apple"])]
    for _ in range(3):
        pairs = list(zip(*map(engine.generate, requests), strict=True))
        for frame, request in zip(pairs[-1], requests, strict=True):
            same(frame, fresh.generate_all(request))
    assert len(kept_of(engine)) == 1


def test_who_is_left_goes_on_where_others_have_gone(engine, fresh):
    requests = [Request(prompt="whale", rng_seed=i) for i in range(3)]
    for _ in range(3):
        *_, last = engine.generate_together(requests)  # whole, so that it is recorded
    gone: set[int] = set()
    last: list = []
    for step, frames in enumerate(
        engine.generate_together(requests, lambda number: number not in gone), 1
    ):
        if step == 3:
            gone.add(1)
        last = frames
    assert last[1] is None
    for i in (0, 2):
        same(last[i], fresh.generate_all(requests[i]))
    assert not kept_of(engine)  # rows are missing in what was left


def test_what_is_begun_ahead_is_told_in_its_turn(engine, fresh):
    request = Request(prompt="whale", rng_seed=3)
    frames, expected = (list(x.generate(request)) for x in (engine, fresh))
    assert [f.step for f in frames] == [f.step for f in expected]
    for frame, other in zip(frames, expected, strict=True):
        same(frame, other)
    asked = []
    growing = engine.generate_together([request], lambda number: not asked.append(number))
    next(growing)
    assert len(asked) == 2
    growing.close()


def test_a_growth_that_was_left_early_is_begun_anew(engine, fresh):
    for steps in (2, 4, 3):
        growing = engine.generate(Request(prompt="red apple", rng_seed=steps))
        for _ in range(steps):
            next(growing)
        growing.close()
        assert len(kept_of(engine)) == 1
    request = Request(prompt="whale", rng_seed=9)
    same(engine.generate_all(request), fresh.generate_all(request))


def test_what_fails_leaves_nothing_in_memory(engine, fresh, monkeypatch):
    engine.generate_all(Request(prompt="whale", seed_position=(1, 1)))
    request = Request(prompt="whale")
    engine.generate_all(request)
    assert len(kept_of(engine)) == 2

    def fails(self):
        raise torch.OutOfMemoryError("none is left")

    with monkeypatch.context() as patched:
        patched.setattr(Growth, "step", fails)
        with pytest.raises(torch.OutOfMemoryError):
            engine.generate_all(request)
    assert not kept_of(engine)
    same(engine.generate_all(request), fresh.generate_all(request))


def test_where_recording_fails_it_is_grown_all_the_same(engine, fresh, monkeypatch):
    def fails(self, work):
        growth = work.__self__
        before = growth.cache.length
        work()  # as far as it came; on a GPU nothing has been done by it
        for states in growth.hidden.values():
            states[:, before : growth.cache.length] = torch.nan
        return None

    monkeypatch.setattr(Stand if engine.device.type == "cpu" else Recorder, "record", fails)
    for number, prompt in enumerate(["whale", "red apple", "blue whale"]):
        request = Request(prompt=prompt, rng_seed=number)
        same(engine.generate_all(request), fresh.generate_all(request))


@pytest.mark.parametrize(("work", "end"), [(None, None), ("a", None), (None, "b"), ("a", "b")])
def test_a_recording_ends_whatever_fails_and_says_what_did_first(work, end, monkeypatch, caplog):
    told = []

    class Graph:
        def capture_begin(self, pool, capture_error_mode):
            told.append(capture_error_mode)

        def capture_end(self):
            told.append("ended")
            fail(end)

    def fail(why: str | None) -> tuple:
        if why:
            raise RuntimeError(f"{why}\nand more")
        return ()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    recorder: Any = object.__new__(Recorder)
    recorder.device, recorder.pool = torch.device("cpu"), None
    recorder.stream = SimpleNamespace(wait_stream=lambda other: None)
    recorded = recorder.record(lambda: fail(work))
    assert told == ["thread_local", "ended"]
    assert (recorded is None) == bool(work or end)
    said = [record.getMessage().rpartition(" ")[2] for record in caplog.records]
    assert said == [x for x in (work, end) if x][:1]


def test_no_more_is_kept_than_there_is_room_for(engine, monkeypatch):
    for h in range(4):
        for w in range(4):
            engine.generate_all(Request(prompt="whale", seed_position=(h, w)))
    assert len(kept_of(engine)) == kept.MOST
    newest = kept_of(engine)[-1]
    assert newest.plan.seed_position == (0, 3, 3)
    engine._growths.room = 2 * newest.nbytes
    engine.generate_all(Request(prompt="whale"))
    assert len(kept_of(engine)) == 2
    engine._growths.room = 10
    engine.generate_all(Request(prompt="red apple"))
    assert len(kept_of(engine)) == 1  # what it was grown in is let go of, the other stays


def test_on_a_cpu_nothing_is_kept(root):
    engine = Engine.load(root / "words", device="cpu")
    engine.generate_all(Request(prompt="whale"))
    assert not kept_of(engine)
