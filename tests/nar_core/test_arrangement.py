"""What a prompt leaves open is settled by the random seed, or by what has grown already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nar_core.arrangement import _border, settled, told
from nar_core.decode import Growth
from nar_core.models.condition import ConditionConfig
from nar_core.plan import GridShape, make_plan
from nar_core.sampling import uniforms
from nar_core.settings import SamplingSettings
from nar_core.worlds import WORLDS

from .helpers import embedded_config, random_model

world = WORLDS["emoji"]()
GRID = GridShape(1, 4, 4)
WHERE = len(world.slots) - 4  # the first slot that says where something stands


@pytest.fixture(scope="module")
def model():
    condition = ConditionConfig(
        "facts", len(world.slots), len(world.terms), causal=False, seed_query=True, broadcast=True
    )
    return random_model(replace(embedded_config(GRID), condition=condition))


def test_seeds_in_a_row_take_one_arrangement_after_another(model):
    ways = world.arrangements(world.understand("a red car").facts)
    rows = settled(world, ["a red car"] * 5, range(5), model)
    assert rows == [world.encode(ways[i % len(ways)]) for i in range(5)]
    assert len({tuple(row) for row in rows}) == len(ways) > 1
    # A single run with the seed of a sample is that sample.
    assert settled(world, ["a red car"], [3], model) == rows[3:4]


def test_without_seeds_it_stays_open_and_nothing_said_is_nothing(model):
    [car, nothing] = settled(world, ["a red car", ""], None, model)
    assert car[:WHERE] == world.encode(world.understand("a red car").facts)[:WHERE]
    assert car[WHERE:] == [-1] * 4
    assert nothing == [-1] * len(world.slots)


def test_a_model_that_knows_no_places_is_told_none(model):
    condition = replace(model.config.condition, slots=WHERE)
    older = random_model(replace(model.config, condition=condition))
    assert [len(row) for row in settled(world, ["two cats"], [1], older)] == [WHERE]


def test_what_has_grown_decides_where_it_clearly_tells(model):
    """Tokens drawn greedily under one arrangement, or none, lead back to it, whatever the seed."""
    facts = world.understand("a small cat").facts
    arrangements = [world.encode(way) for way in world.arrangements(facts)]
    ways = [*arrangements, world.encode(facts)]
    values = torch.tensor(ways)
    tokens = torch.full((len(ways), GRID.cells), -1)
    sharp = random_model(model.config)
    sharp.load_state_dict(model.state_dict())
    with torch.no_grad():
        sharp.heads.output.weight.mul_(40)  # certain of its tokens, as a trained model is
    plan = make_plan(GRID, (0, 0, 0), None, sharp.config.directions)
    numbers = uniforms(0, len(ways), GRID.cells)
    null = sharp.condition.null_like(values)
    settings = SamplingSettings(guidance_scale=1.0)
    growth = Growth(sharp, plan, values, null, tokens, numbers, settings, 0)
    while growth.next_step < plan.total:
        growth.step()
    assert len({tuple(row.tolist()) for row in tokens}) == len(ways)
    for i, row in enumerate(tokens):
        for seed in range(len(arrangements)):
            [told] = settled(world, ["a small cat"], [seed], sharp, row[None])
            assert told == ways[i]
    unknown = torch.full((1, GRID.cells), -1)
    assert settled(world, ["a small cat"], [2], sharp, unknown) == ways[2:3]


def test_batches_and_single_runs_are_told_the_same(model):
    there = torch.from_numpy(np.random.default_rng(0).integers(-1, 31, (4, GRID.cells)))
    prompts = ["a cat", "two dogs", "", "a fish above a star"]
    rows = settled(world, prompts, [4, 5, 6, 7], model, there)
    for i in range(4):
        assert (
            settled(world, prompts[i : i + 1], [4 + i], model, there[i : i + 1]) == rows[i : i + 1]
        )


def test_a_model_is_told_what_stands_in_each_cell_of_the_arrangement(model):
    grid = GridShape(1, 16, 16)
    condition = replace(model.config.condition, told=world.told, parts=world.parts)
    telling = random_model(replace(embedded_config(grid), condition=condition))
    ways = world.arrangements(world.understand("a red car").facts)
    rows = settled(world, ["a red car", "", "a red car"], [1, 0, 2], telling)
    told = [[*world.encode(way), *world.cells(way).ravel().tolist()] for way in ways]
    assert rows == [told[1], [-1] * len(told[0]), told[2]]


def test_of_much_that_is_known_what_is_nearest_to_the_unknown_is_compared():
    known = np.arange(16) % 4 < 3  # three columns of four
    assert _border(known, GRID, 99).tolist() == known.nonzero()[0].tolist()
    assert _border(known, GRID, 4).tolist() == [2, 6, 10, 14]
    assert _border(known, GRID, 6).tolist() == [1, 2, 5, 6, 10, 14]
    assert _border(np.ones(16, bool), GRID, 3).tolist() == [0, 1, 2]


def test_a_window_beside_what_has_grown_goes_on_in_the_same_land():
    """Tokens that say nothing but what is told of them: known ones lead to the look they are of."""
    land = WORLDS["landscape"]()
    condition = ConditionConfig(
        "facts", len(land.slots), len(land.terms), causal=False, seed_query=True,
        broadcast=True, told=land.told, parts=land.parts,
    )  # fmt: skip
    grid = GridShape(1, 16, 16)
    telling = random_model(replace(embedded_config(grid), condition=condition))
    with torch.no_grad():
        telling.heads.output.weight.mul_(40)
        telling.cells.around.weight.mul_(40)
    prompt, by = "winter mountains at noon", 8
    facts = land.understand(prompt).facts
    [way] = [told(land, land.leads(facts, 9)[by], condition)]
    known = np.arange(256) % 16 < 16 - by
    tokens = torch.full((1, 256), -1)
    plan = make_plan(grid, (0, 0, 0), None, telling.config.directions)
    values = torch.tensor([way])
    null = telling.condition.null_like(values)
    settings = SamplingSettings(guidance_scale=1.0)
    growth = Growth(telling, plan, values, null, tokens, uniforms(0, 1, 256), settings, 0)
    while growth.next_step < plan.total:
        growth.step()
    tokens[0, ~known] = -1
    assert settled(land, [prompt], [9], telling, tokens) == [way]
    elsewhere = torch.randint(0, 31, (1, 256)).where(torch.from_numpy(known), -1)
    assert settled(land, [prompt], [9], telling, elsewhere) != [way]
