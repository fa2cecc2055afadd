"""Cells that a model is shown wrong, or as it grew them itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nar_core.cli.train import CONFIGS
from nar_core.decode import Growth
from nar_core.models.condition import word_ids
from nar_core.plan import GridShape, make_plan
from nar_core.settings import SamplingSettings
from nar_core.train.begin import fresh
from nar_core.train.config import architecture, load_config
from nar_core.train.exposure import own_cells, wrong_cells
from nar_core.train.plans import plan_from

from ..helpers import embedded_config, random_model


def test_wrong_cells_come_from_another_picture_and_spare_what_is_known():
    tokens = torch.arange(40)[:, None].expand(40, 64).contiguous()
    known = torch.zeros(40, 64, dtype=torch.bool)
    known[:, :8] = True
    shown = wrong_cells(tokens, known, 0.4, np.random.default_rng(0))
    wrong = shown != tokens
    assert (shown[wrong] == (tokens[wrong] - 1) % 40).all()
    assert not wrong[:, :8].any()
    share = wrong[:, 8:].float().mean(1)
    assert 0.3 < (share == 0).float().mean() < 0.7
    assert 0.3 < share.max() < 0.6
    assert wrong_cells(tokens, known, 0.0, np.random.default_rng(0)) is tokens


def test_own_cells_are_what_the_model_grows_and_spare_what_is_known():
    """Greedily, so that growing again tells what they must be."""
    grid = GridShape(1, 4, 5)
    model = random_model(embedded_config(grid))
    rng = np.random.default_rng(0)
    known = np.zeros(grid.cells, bool)
    known[:2] = True
    seed = (0, 2, 2)
    plan = plan_from(grid, seed, known)
    values = word_ids(["red apple"] * 30 + [""] * 4, 3, 64)
    tokens = torch.from_numpy(rng.integers(0, 31, (34, grid.cells)))
    greedy = SamplingSettings(temperature=0.0)
    shown = own_cells(model, plan, values, tokens, grid.cells, greedy, rng)
    whole = tokens.clone()
    order = make_plan(grid, seed, known)
    growth = Growth(model, order, values, values, whole, torch.zeros(whole.shape), greedy)
    for _ in order.steps:
        growth.step()
    assert ((shown == tokens) | (shown == whole)).all()
    assert torch.equal(shown[:, :2], tokens[:, :2])
    assert torch.equal(shown[30:], tokens[30:])
    rows = (shown[:30] == whole[:30]).all(1).float().mean()
    assert 0.3 < rows < 0.8
    # Only as far as the growth goes: the seed token and the front around it.
    first = sum(len(step.positions) for step in order.steps[:2])
    for length in (2, first):
        short = own_cells(model, plan, values, tokens, length, greedy, rng)
        assert (short != tokens)[:, order.levels == 2].any()
        assert not (short != tokens)[:, order.levels > 2].any()


def test_own_cells_begin_after_right_ones():
    """Where a prompt has many pictures, the first cells say which one is grown."""
    torch.manual_seed(0)
    small = ["grid=[1,5,4]", "width=32", "depth=1", "attention_heads=2", "vocab_size=512"]
    small += ["ffn_width=32", "rotary=[0,4,4]", "taps={+w: 1, -w: 1, +h: 1, -h: 1}"]
    small += ["condition.slots=12", "condition.classes=4", "condition.told=0"]
    said = load_config(CONFIGS / "emoji.yaml", [f"model.{x}" for x in small], "generator")
    config = architecture(said.model)
    model = fresh(config, None).eval()
    plan = plan_from(config.grid, (0, 0, 0))
    tokens = torch.full((6, 20), 7)
    values = torch.zeros(6, 12, dtype=torch.int64)
    rng = np.random.default_rng(0)
    shown = own_cells(model, plan, values, tokens, 15, SamplingSettings(), rng, right=6)
    by_step = torch.from_numpy(plan.levels).argsort(stable=True)
    assert (shown[:, by_step[:6]] == 7).all()
    assert (shown[:, by_step[6:18]] != 7).float().mean() > 0.5
    assert (shown[:, by_step[18:]] == 7).all()


def test_own_cells_of_a_model_in_raster_order_are_grown_line_by_line():
    grid = GridShape(1, 3, 4)
    config = replace(embedded_config(grid), order="raster", taps={"+w": 2})
    model, rng = random_model(config), np.random.default_rng(0)
    values = word_ids(["red apple"] * 20, 3, 64)
    tokens = torch.from_numpy(rng.integers(0, 31, (20, grid.cells)))
    greedy = SamplingSettings(temperature=0.0)
    plan = plan_from(grid, (0, 0, 0), None, "raster")
    shown = own_cells(model, plan, values, tokens, 6, greedy, rng)
    whole, order = tokens.clone(), make_plan(grid, (0, 0, 0), None, ("+w",), order="raster")
    growth = Growth(model, order, values, values, whole, torch.zeros(whole.shape), greedy)
    for _ in range(6):
        growth.step()
    assert ((shown == tokens) | (shown == whole)).all()
    assert (shown != tokens)[:, 3:6].any()
    assert torch.equal(shown[:, 6:], tokens[:, 6:])
