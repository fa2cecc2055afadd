"""Why a cell became what it is, told by the numbers that made it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nar_core import Engine, Request
from nar_core.explain import divergence
from nar_core.plan import DIRECTIONS, OFFSETS
from nar_core.request import Frame


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load("emoji", device="cpu", dtype="float32")


def grown(engine: Engine, **said) -> list[Frame]:
    return list(engine.generate(Request(prompt="a red car", rng_seed=3, **said)))


@pytest.fixture(scope="module")
def frames(engine) -> list[Frame]:
    """A growth as the model does it unless it is told otherwise."""
    return grown(engine)


def test_the_token_of_every_cell_is_the_one_that_the_number_draws(engine):
    """From what was left of the distribution, in the order of tokens, as `sampling.draw` does."""
    frames = grown(engine, temperature=1.0, top_p=0.9, min_p=0.05, guidance_scale=2.0)
    rng = np.random.default_rng(0)
    for frame in frames[::8]:
        cell = frame.positions[rng.integers(len(frame.positions))]
        told = engine.explain(frames[-1], cell, candidates=10**6)
        assert told.step == frame.step
        assert told.token == frame.tokens[0][tuple(cell)]
        left = sorted(told.drawn_from, key=lambda c: c.token)
        assert sum(c.probability for c in left) == pytest.approx(1, abs=1e-4)
        ends = np.cumsum([c.probability for c in left])
        assert left[int(np.searchsorted(ends, told.number * ends[-1], "right"))].token == told.token
        sure = next(c.probability for c in told.guided if c.token == told.token)
        assert sure == pytest.approx(frame.confidence[0][tuple(cell)], abs=1e-4)


def test_heads_are_those_of_the_senders_and_their_mean_is_the_fusion(engine, frames):
    told = engine.explain(frames[-1], (10, 11), candidates=10**6)
    assert {s.direction for s in told.heads} == {"+w", "+h"}
    for said in told.heads:
        step = OFFSETS[DIRECTIONS.index(said.direction)]
        assert said.sender == tuple(np.array((0, 10, 11)) - step)

    def logs(candidates) -> np.ndarray:
        out = np.zeros(engine.tokenizer.vocab_size)
        for c in candidates:
            out[c.token] = c.probability
        return np.log(out + 1e-30)

    mean = np.mean([logs(s.candidates) for s in told.heads], 0)
    chances = np.exp(mean) / np.exp(mean).sum()
    assert np.allclose(chances, np.exp(logs(told.fused)), atol=1e-3)
    assert 0 < told.disagreement <= np.log(2) + 1e-6


def test_the_map_of_disagreement_tells_of_every_cell_what_its_explanation_does(engine):
    frames = grown(engine, guidance_scale=2.0, guidance_interval=40, num_samples=2)
    for frame in (frames[9], frames[-1]):
        found = engine.disagreement(frame, 1)
        assert np.array_equal(np.isfinite(found), frame.tokens[1] >= 0)
        for cell in ((8, 10), (9, 9)):
            told = engine.explain(frame, cell, sample=1)
            assert found[(0, *cell)] == pytest.approx(told.disagreement, abs=2e-4), cell
        alone = {engine.explain(frame, (8, w), sample=1).disagreement for w in (7, 9)}
        assert found[0, 8, 7] == found[0, 8, 9] == 0
        assert alone == {0.0}
    known = np.full(engine.info.grid, -1)
    known[0, 4:10, 4:10] = frames[-1].tokens[0, 0, 4:10, 4:10]
    around = engine.generate_all(Request(prompt="a cat", known=known))
    found = engine.disagreement(around)
    assert np.array_equal(np.isnan(found), known >= 0)
    assert found[0, 2, 2] == pytest.approx(engine.explain(around, (2, 2)).disagreement, abs=2e-4)
    with pytest.raises(ValueError, match="sample: got 2, expected a whole number from 0 to 1"):
        engine.disagreement(frames[-1], 2)
    for wrong in (None, frames, frames[-1].tokens):
        with pytest.raises(ValueError, match=r"frame: got .*, expected one that `generate` gave"):
            engine.explain(wrong, (2, 2))  # pyright: ignore[reportArgumentType]
    of_other = replace(frames[-1], model="other", request=Request(label=3))
    with pytest.raises(ValueError, match="frame: got one of other, expected"):
        engine.explain(of_other, (2, 2))


def test_the_seed_is_told_by_the_condition_alone(engine, frames):
    told = engine.explain(frames[0], (8, 8))
    assert told.step == 1
    assert {s.sender for s in told.heads} == {None}
    assert told.attention_to_condition == pytest.approx(1, abs=1e-5)
    assert told.attention.sum() == pytest.approx(0, abs=1e-5)
    assert [c.probability for c in told.fused] == sorted(
        (c.probability for c in told.fused), reverse=True
    )


def test_attention_lies_on_what_had_grown_when_the_senders_looked(engine, frames):
    told = engine.explain(frames[-1], (8, 12))
    seen = frames[told.step - 2].tokens[0] >= 0
    assert told.attention.shape == (1, 16, 16)
    assert told.attention[~seen].sum() == 0
    assert told.attention[seen].min() > 0
    total = told.attention.sum() + told.attention_to_condition
    assert total == pytest.approx(1, abs=1e-4)


def test_samples_branches_and_known_cells_are_explained_as_they_grew(engine):
    prompts = ("a red car", "two blue cats")
    both = list(engine.generate(Request(prompt=prompts, num_samples=2, rng_seed=5)))
    single = list(engine.generate(Request(prompt=prompts[1], rng_seed=6)))
    a, b = engine.explain(both[-1], (3, 4), sample=1), engine.explain(single[-1], (3, 4))
    assert (a.token, a.number) == (b.token, b.number)
    assert a.fused[0].probability == pytest.approx(b.fused[0].probability, abs=1e-4)
    branch = engine.generate_all(Request(resume=single[4], rng_seed=9))
    for cell in ((8, 9), (2, 2)):
        told = engine.explain(branch, cell, candidates=10**6)
        assert told.token == branch.tokens[0, 0][cell]
        assert told.token in {c.token for c in told.drawn_from} or told.step <= 5
    known = np.full(engine.info.grid, -1)
    known[0, 4:10, 4:10] = single[-1].tokens[0, 0, 4:10, 4:10]
    frame = engine.generate_all(Request(prompt="a cat", known=known))
    assert engine.explain(frame, (0, 0)).token == frame.tokens[0, 0, 0, 0]
    with pytest.raises(ValueError, match=r"cell: got \(5, 5\), expected one that was decoded"):
        engine.explain(frame, (5, 5))


@pytest.mark.parametrize("cell", [(16, 0), (0, 0, 0, 0), (-1, 2), (), (3.5, 1), (True, 2), "ab", 7])
def test_a_cell_outside_or_not_yet_there_is_refused(engine, frames, cell):
    with pytest.raises(ValueError, match="cell: got"):
        engine.explain(frames[2], cell)
    with pytest.raises(ValueError, match="up to step 3"):
        engine.explain(frames[2], (0, 0))


def test_divergence_is_none_of_one_and_the_most_of_strangers():
    one = torch.tensor([[0.25, 0.75, 0.0]])
    assert divergence(one) == pytest.approx(0, abs=1e-6)
    apart = torch.eye(3)[:2]
    assert divergence(apart) == pytest.approx(float(np.log(2)), abs=1e-6)
