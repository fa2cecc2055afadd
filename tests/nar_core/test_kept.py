"""A plan that comes back is grown in what is kept of it, and nothing of the last growth is seen.

On a GPU steps are recorded and replayed. Elsewhere a stand-in does what was recorded once more.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nar_core import Engine, Request, kept
from nar_core.models.recording import Recorder

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


class Stand:
    """Does what was recorded, the first time when it is recorded, as a GPU would replay it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def record(self, work) -> Any:
        self.told.append("recorded")
        outputs, first = work(), [True]

        def replay() -> None:
            if first:
                first.clear()
                return
            self.told.append("replayed")
            for mine, again in zip(outputs, work(), strict=True):
                mine.copy_(again)

        return SimpleNamespace(replay=replay), outputs


@pytest.fixture(params=DEVICES)
def engine(root, request, monkeypatch):
    engine = Engine.load(root / "words", device=request.param, dtype="float32")
    engine._growths.room = 1 << 30
    if request.param == "cpu":
        monkeypatch.setattr(Recorder, "on", lambda device: Stand())
    return engine


@pytest.fixture
def fresh(root, engine):
    """An engine of the same weights that keeps nothing."""
    fresh = Engine.load(root / "words", device=engine.device, dtype="float32")
    fresh._growths.room = 0
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
    for number, prompt in enumerate(["whale", "red apple", "blue whale", "", "whale"]):
        request = Request(prompt=prompt, rng_seed=number, **fields)
        same(engine.generate_all(request), fresh.generate_all(request))
    assert len(kept_of(engine)) == 1
    assert not kept_of(fresh)


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
    assert len(kept_of(engine)) == 2


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


def test_a_growth_that_was_left_early_is_begun_anew(engine, fresh):
    for steps in (2, 4, 3):
        growing = engine.generate(Request(prompt="red apple", rng_seed=steps))
        for _ in range(steps):
            next(growing)
        growing.close()
    request = Request(prompt="whale", rng_seed=9)
    same(engine.generate_all(request), fresh.generate_all(request))


def test_where_recording_fails_it_is_grown_all_the_same(engine, fresh, monkeypatch):
    def fails(self, work):
        work()  # as far as it came
        return None

    monkeypatch.setattr(Stand if engine.device.type == "cpu" else Recorder, "record", fails)
    for number, prompt in enumerate(["whale", "red apple", "blue whale"]):
        request = Request(prompt=prompt, rng_seed=number)
        same(engine.generate_all(request), fresh.generate_all(request))


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
