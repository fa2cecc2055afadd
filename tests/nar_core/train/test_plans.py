"""Which growths a training shows, and how their cells count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nar_core.cli.train import CONFIGS
from nar_core.models.condition import word_ids
from nar_core.plan import DIRECTIONS, GridShape
from nar_core.train.begin import fresh
from nar_core.train.config import GeneratorTraining, Growths, architecture, load_config
from nar_core.train.losses import step_weights
from nar_core.train.plans import (
    PlanBatch,
    first_cells,
    growth_of,
    plan_from,
    plans_for,
    random_plan,
    samples_of,
)

from .small import SMALL


def test_plans_start_in_corners_and_the_centre_as_often_as_told():
    grid, rng = GridShape(1, 9, 9), np.random.default_rng(0)
    seeds = [random_plan(grid, rng, 0.0, corner_share=0.6).seed_position for _ in range(300)]
    assert 0.5 < np.mean([s[1] in (0, 8) and s[2] in (0, 8) for s in seeds]) < 0.75
    assert 0.25 < np.mean([s == (0, 0, 0) for s in seeds]) < 0.5
    seeds = [random_plan(grid, rng, 0.0, 0.0, centre_share=0.4).seed_position for _ in range(300)]
    assert np.mean([s == (0, 0, 0) for s in seeds]) < 0.1
    assert 0.3 < np.mean([s == (0, 4, 4) for s in seeds]) < 0.5
    seeds = [random_plan(grid, rng, 0.0, 0.0, centre_share=0.0).seed_position for _ in range(300)]
    assert np.mean([s == (0, 4, 4) for s in seeds]) < 0.1


def test_short_growths_reach_beyond_what_is_known():
    """And whole ones know as much as they are told to."""
    grid, rng = GridShape(3, 4, 4), np.random.default_rng(0)
    config = GeneratorTraining(known_share=1.0, corner_share=0.2)
    for length in (12, 24):
        plans = plans_for(config, grid, Growths(length, 200, 1.0), rng)
        counts = [plan.known.sum() for plan in plans]
        assert 0 < max(counts) <= length / 2
        assert len(plans) == 200
    whole = Growths(48, 200, 1.0)
    assert np.mean([p.known.any() for p in plans_for(config, grid, whole, rng)]) > 0.9
    assert max(p.known.sum() for p in plans_for(config, grid, whole, rng)) > 24


def known_boxes(grid: GridShape, count: int) -> tuple[list, list, list]:
    """Plans with a known part: boxes, all but boxes, and whole slices, each (plan, low, extent).

    Of what is no whole slice, a box is told from all but one by whether it fills its own bounds.
    """
    rng, boxes, holes, slices = np.random.default_rng(0), [], [], []
    for _ in range(count):
        plan = random_plan(grid, rng, 1.0, 0.0, 0.0)
        known = plan.known.reshape(grid)
        assert 0 < known.sum() < known.size
        for cells, found in ((known, boxes), (~known, holes)):
            low, high = np.argwhere(cells).min(0), np.argwhere(cells).max(0) + 1
            if cells.sum() == np.prod(high - low):
                whole = (high - low)[1:] == np.array(grid)[1:]
                (slices if found is boxes and whole.all() else found).append(
                    (plan, low, high - low)
                )
                break
        else:
            raise AssertionError("neither a box nor all but one")
    return boxes, holes, slices


def test_what_is_known_is_a_box_all_but_one_or_whole_slices():
    """As often as told, everywhere, of all shapes; growth mostly starts in the middle of it."""
    grid = GridShape(5, 7, 9)
    boxes, holes, slices = known_boxes(grid, 1500)
    assert [len(x) / 1500 for x in (boxes, holes, slices)] == pytest.approx(
        [0.25, 0.25, 0.5], abs=0.04
    )
    first = [low[0] == 0 for _, low, _ in slices]
    assert 0.6 < np.mean(first) < 0.85
    assert 0.3 < np.mean([low[0] == 0 and n[0] == 1 for _, low, n in slices]) < 0.55
    assert {int(n[0]) for (_, _, n), at in zip(slices, first, strict=True) if at} == {1, 2, 3, 4}
    for several in (boxes, holes):
        low, extent = (np.array([x[i] for x in several]) for i in (1, 2))
        ends = low + extent
        assert (low == 0).any(0).all()
        assert (ends == np.array(grid)).any(0).all()
        assert abs(np.corrcoef(extent[:, 1], extent[:, 2])[0, 1]) < 0.2
        middle = low + extent // 2
        there = [p.seed_position == tuple(m) for (p, *_), m in zip(several, middle, strict=True)]
        assert 0.65 < np.mean(there) < 0.8


def test_every_corner_is_one_to_start_from():
    grid, rng = GridShape(2, 5, 6), np.random.default_rng(0)
    seeds = {random_plan(grid, rng, 0.0, corner_share=1.0).seed_position for _ in range(200)}
    assert seeds == {(t, h, w) for t in (0, 1) for h in (0, 4) for w in (0, 5)}


def test_growths_are_drawn_as_often_as_told():
    config = GeneratorTraining(growths=[Growths(4, 10, 3.0), Growths(8, 2, 1.0)])
    drawn = [growth_of(config, GridShape(1, 4, 4), step).cells for step in range(300)]
    assert 0.68 < np.mean([cells == 4 for cells in drawn]) < 0.82


def test_half_of_a_short_growth_may_be_known():
    """And no more of it than that."""
    grid, rng = GridShape(1, 2, 4), np.random.default_rng(0)
    config = GeneratorTraining(known_share=1.0)
    counts = [p.known.sum() for p in plans_for(config, grid, Growths(4, 300, 1.0), rng)]
    assert max(counts) == 2


def test_growth_goes_on_from_whole_slices_only():
    known = np.zeros((3, 2, 2), bool)

    def goes_on() -> bool:
        return plan_from(GridShape(3, 2, 2), (0, 0, 0), known.reshape(-1)).goes_on

    assert not goes_on()
    known[:, 0] = True
    assert not goes_on()
    known[2] = True
    assert goes_on()
    known = np.array([True, True, True, False])
    assert not plan_from(GridShape(1, 2, 2), (0, 0, 0), known).goes_on


def test_a_run_shows_growths_of_every_length():
    config = GeneratorTraining(growths=[Growths(4, 10, 0.5), Growths(99, 2, 0.5)])
    grid = GridShape(1, 4, 4)
    drawn = [growth_of(config, grid, step) for step in range(40)]
    assert {(g.cells, g.batch) for g in drawn} == {(4, 10), (16, 2)}
    assert samples_of(config, grid, 40) == sum(g.batch for g in drawn)
    whole = growth_of(GeneratorTraining(batch=3), grid, 0)
    assert (whole.cells, whole.batch) == (16, 3)


def test_one_slice_of_a_clip_grows_as_a_picture_does():
    """Its cells come first, from the seed on, and hear nothing of other slices."""
    config = GeneratorTraining(
        growths=[Growths(99, 30, 1.0, one_slice=True)], known_share=1.0, corner_share=0.2
    )
    grid, picture = GridShape(5, 3, 4), GridShape(1, 3, 4)
    growth = growth_of(config, grid, 0)
    assert growth.cells == 12
    plans = plans_for(config, grid, growth, np.random.default_rng(0))
    assert {p.seed_position[0] for p in plans} == set(range(5))
    assert len({p.seed_position for p in plans}) > 15
    batch = PlanBatch.of(plans, DIRECTIONS)
    tokens = torch.arange(grid.cells).expand(30, -1)
    grown, levels, fan_in, cells = first_cells(12, tokens, batch.levels, batch.fan_in)
    for row, plan in enumerate(plans):
        slice_, *seed = plan.seed_position
        alone = PlanBatch.of([plan_from(picture, (0, *seed))], DIRECTIONS)
        _, *wanted = first_cells(12, tokens[:1, :12], alone.levels, alone.fan_in)
        found = levels[row], fan_in[row], cells[row] - 12 * slice_
        assert all(torch.equal(a, b[0]) for a, b in zip(found, wanted, strict=True))
        assert torch.equal(grown[row], cells[row])
        slices = plan.levels.reshape(5, 12)
        assert slices[slice_].max() < np.delete(slices, slice_, 0).min()


@pytest.mark.parametrize("order", ["neighbours", "raster"])
def test_one_slice_from_the_corner_is_the_first_one(order):
    config = GeneratorTraining(growths=[Growths(12, 2, 1.0, one_slice=True)], starts="corner")
    grid = GridShape(5, 3, 4)
    plans = plans_for(config, grid, config.growths[0], np.random.default_rng(0), order)
    assert len(plans) == 2
    for plan in plans:
        first, *others = plan.levels.reshape(5, 12)
        assert first.max() < min(slice_.min() for slice_ in others)


def test_every_step_of_a_plan_counts_alike():
    levels = torch.tensor([[1, 2, 2, 3, 3, 3], [0, 0, 1, 1, 2, 2]])
    weights = step_weights(levels, levels > 0)
    assert torch.equal(weights[0], torch.tensor([1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3]))
    assert torch.equal(weights[1], torch.tensor([0, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 2]))


def test_the_first_cells_of_a_growth_are_predicted_as_in_the_whole():
    """Short growths are a part of the same growth: same logits for the same cells."""
    torch.manual_seed(0)
    changes = [*SMALL, "model.grid=[1,5,4]", "model.vocab_size=16", "source.folder=x"]
    changes += ["model.condition.buckets=64"]
    said = load_config(CONFIGS / "captions.yaml", changes, "generator")
    config = architecture(said.model)
    model = fresh(config, None).eval()
    torch.nn.init.normal_(model.heads.output.weight)
    rng = np.random.default_rng(1)
    batch = PlanBatch.of([random_plan(config.grid, rng, 0.0) for _ in range(6)], config.directions)
    levels, fan_in, seed = batch.levels, batch.fan_in, batch.seeds
    tokens = torch.randint(16, (6, config.grid.cells))
    values = word_ids(["red fox"] * 6, config.condition.slots, 64)
    with torch.no_grad():
        whole = model(values, tokens, levels, fan_in, seed)
        part, levels, fan_in, cells = first_cells(7, tokens, levels, fan_in)
        some = model(values, part, levels, fan_in, seed, cells)
    expected = whole.gather(1, cells[..., None].expand(-1, -1, 16))
    assert torch.allclose(some, expected, atol=1e-5)
    assert (levels[:, 1:] >= levels[:, :-1]).all()
