"""The decode loop against the full-grid forward: the same model, seen twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nar_core.decode import Growth
from nar_core.models.condition import Caption, ConditionConfig, word_ids
from nar_core.models.position import rotate, rotations_of
from nar_core.plan import GridShape, make_plan
from nar_core.sampling import guide, uniforms
from nar_core.settings import SamplingSettings

from .helpers import embedded_config, official_config, random_model

GRIDS = [GridShape(1, 4, 5), GridShape(3, 3, 2)]
MODELS = {g: random_model(embedded_config(g)) for g in GRIDS}
PROMPTS = ["red apple", "blue whale swims"]


def condition(model, rows: int = 2):
    values = word_ids(PROMPTS[:rows], 3, 64)
    return values, model.condition.null_like(values)


def grow(model, plan, tokens, rng_seed=3, first_step=0, values=None, **settings_):
    values, null = values or condition(model, len(tokens))
    growth = Growth(
        model,
        plan,
        values,
        null,
        tokens,
        uniforms(rng_seed, *tokens.shape),
        SamplingSettings(**settings_),
        first_step,
    )
    logits = {}
    for i in range(first_step, plan.total):
        front = growth.logits()
        for j, cell in enumerate(plan.steps[i].positions):
            logits[int(cell)] = front[:, j]
        growth.step()
    return tokens, logits, growth


def start(plan, rows: int = 2):
    tokens = torch.full((rows, plan.grid.cells), -1)
    given_ = torch.randint(
        0, 31, (rows, plan.grid.cells), generator=torch.Generator().manual_seed(1)
    )
    return torch.where(torch.from_numpy(plan.known), given_, tokens)


@st.composite
def plans(draw):
    grid = draw(st.sampled_from(GRIDS))
    seed = tuple(draw(st.integers(0, n - 1)) for n in grid)
    known = np.array(draw(st.lists(st.booleans(), min_size=grid.cells, max_size=grid.cells)))
    known = known & draw(st.booleans())
    if known.all():
        known[0] = False
    return make_plan(grid, seed, known, known_level=draw(st.sampled_from(["zero", "distance"])))


def full_grid(model, plan, tokens, values):
    seed = int(np.ravel_multi_index(plan.seed_position, plan.grid))
    with torch.inference_mode():
        return model(
            values,
            tokens,
            torch.from_numpy(plan.levels),
            torch.from_numpy(plan.fan_in),
            torch.full((len(tokens),), seed),
        )


@settings(max_examples=40, deadline=None)
@given(plans())
def test_incremental_decode_equals_the_full_grid_forward(plan):
    model = MODELS[plan.grid]
    tokens, logits, _ = grow(model, plan, start(plan), guidance_scale=2.0)
    values, null = condition(model)
    full = torch.cat([full_grid(model, plan, tokens, v) for v in (values, null)])
    for cell, got in logits.items():
        torch.testing.assert_close(got, full[:, cell], atol=1e-4, rtol=0)


@settings(max_examples=15, deadline=None)
@given(plans())
def test_a_plan_per_row_trains_what_is_decoded(plan):
    """The batched training path gives the same logits as the shared-plan path."""
    model = MODELS[plan.grid]
    other = make_plan(plan.grid, (0, 0, 0))
    tokens = torch.randint(0, 31, (2, plan.grid.cells), generator=torch.Generator().manual_seed(2))
    values, _ = condition(model)
    each = [full_grid(model, p, tokens, values)[i] for i, p in enumerate((plan, other))]
    seed = int(np.ravel_multi_index(plan.seed_position, plan.grid))
    with torch.inference_mode():
        both = model(
            values,
            tokens,
            torch.from_numpy(np.stack([plan.levels, other.levels])),
            torch.from_numpy(np.stack([plan.fan_in, other.fan_in])),
            torch.tensor([seed, 0]),
        )
    unknown = ~torch.from_numpy(plan.known)
    torch.testing.assert_close(both[0][unknown], each[0][unknown], atol=1e-4, rtol=0)
    torch.testing.assert_close(both[1], each[1], atol=1e-4, rtol=0)


@settings(max_examples=20, deadline=None)
@given(plans(), st.data())
def test_resuming_equals_never_having_stopped(plan, data):
    model = MODELS[plan.grid]
    whole, _, _ = grow(model, plan, start(plan), guidance_scale=2.0, guidance_interval=4)
    k = data.draw(st.integers(0, plan.total - 1))
    tokens = whole.clone()
    for step in plan.steps[k:]:
        tokens[:, step.positions] = -1
    again, _, growth = grow(
        model, plan, tokens, first_step=k, guidance_scale=2.0, guidance_interval=4
    )
    assert torch.equal(again, whole)
    assert growth.passes <= plan.total - k


@settings(max_examples=10, deadline=None)
@given(plans())
def test_a_batch_of_n_equals_n_single_runs(plan):
    model = MODELS[plan.grid]
    batch, _, _ = grow(model, plan, start(plan), rng_seed=5, guidance_scale=2.0)
    for i in range(2):
        values = word_ids(PROMPTS[i : i + 1], 3, 64)
        one, _, _ = grow(
            model,
            plan,
            start(plan)[i : i + 1],
            rng_seed=5 + i,
            values=(values, model.condition.null_like(values)),
            guidance_scale=2.0,
        )
        assert torch.equal(one[0], batch[i])


def test_min_p_asks_the_condition_whatever_guidance_says():
    """Under any guidance only tokens are drawn that the condition alone finds likely enough."""
    plan = make_plan(GRIDS[0], (0, 1, 2))
    model = MODELS[plan.grid]
    free, _, _ = grow(model, plan, start(plan), guidance_scale=20.0)
    tokens, logits, _ = grow(model, plan, start(plan), guidance_scale=20.0, min_p=0.8)
    assert not torch.equal(tokens, free)
    drawn = [_share_of_the_likeliest(logits, tokens, cell) for cell in logits]
    assert torch.cat(drawn).min() >= 0.8
    # Guidance chooses among them: not always the likeliest.
    assert torch.cat(drawn).mean() < 1
    greedy, _, _ = grow(model, plan, start(plan), temperature=0.0)
    one, _, _ = grow(model, plan, start(plan), guidance_scale=20.0, min_p=1.0)
    assert torch.equal(one, greedy)


def _share_of_the_likeliest(logits, tokens, cell):
    chances = logits[cell][: len(tokens)].softmax(-1)
    return chances.gather(-1, tokens[:, cell, None])[:, 0] / chances.amax(-1)


@pytest.mark.parametrize("grid", GRIDS)
def test_official_form_incremental_equals_full_grid(grid):
    model = random_model(official_config(grid))
    plan = make_plan(grid, (0, 0, 0), None, model.config.directions, "distance")
    values = torch.tensor([1, 4])
    tokens, logits, growth = grow(
        model,
        plan,
        torch.full((2, grid.cells), -1),
        values=(values, model.condition.null_like(values)),
        temperature=0.0,
    )
    full = full_grid(model, plan, tokens, values)
    for cell, got in logits.items():
        torch.testing.assert_close(got, full[:, cell], atol=1e-4, rtol=0)
    assert growth.passes == plan.total == sum(grid) - 2


def test_known_tokens_are_kept_and_steer_what_grows():
    grid = GRIDS[0]
    model = MODELS[grid]
    known = np.zeros(grid.cells, bool)
    known[[6, 7]] = True
    plan = make_plan(grid, (0, 1, 2), known)
    first, _, _ = grow(model, plan, start(plan))
    changed = start(plan)
    changed[:, [6, 7]] = (changed[:, [6, 7]] + 1) % 31
    second, _, _ = grow(model, plan, changed.clone())
    assert torch.equal(second[:, [6, 7]], changed[:, [6, 7]])
    assert not torch.equal(first[:, ~plan.known], second[:, ~plan.known])


def test_the_guidance_interval_counts_generated_tokens():
    grid = GRIDS[0]
    model = MODELS[grid]
    plan = make_plan(grid, (0, 0, 0))
    growth = Growth(
        model,
        plan,
        *condition(model),
        torch.full((2, grid.cells), -1),
        uniforms(0, 2, grid.cells),
        SamplingSettings(guidance_scale=3.0, guidance_interval=3),
    )
    guided = []
    for _ in range(plan.total):
        guided.append(len(growth.logits()) == 4)
        growth.step()
    # 1, 3, 6 tokens before steps 2, 3, 4: the pass that starts with 6 is the first without.
    assert guided == [True, True, True] + [False] * (plan.total - 3)


@pytest.mark.parametrize("fusion", ["logits", "probabilities", "confident", "freshest"])
def test_fusion_rules_differ_only_where_predictions_meet(fusion):
    grid = GRIDS[0]
    model = MODELS[grid]
    known = np.zeros(grid.cells, bool)
    known[0] = True  # the seed is given: without senders, all heads of the condition would meet
    plan = make_plan(grid, (0, 0, 0), known)
    _, mixed, _ = grow(model, plan, start(plan))
    _, got, _ = grow(model, plan, start(plan), fusion=fusion)
    alone, meeting = (int(c) for c in (plan.steps[0].positions[0], plan.steps[1].positions[1]))
    assert (plan.fan_in[alone] >= 0).sum() == 1
    assert (plan.fan_in[meeting] >= 0).sum() == 2
    first, second = (x[alone].log_softmax(-1) for x in (mixed, got))
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)
    # Both senders of a front are equally fresh, so only the other two rules change anything.
    differ = (mixed[meeting].softmax(-1) - got[meeting].softmax(-1)).abs().max() > 1e-3
    assert bool(differ) == (fusion in ("probabilities", "confident"))


def test_guidance_moves_away_from_the_null_condition():
    conditional, null = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])
    assert torch.equal(guide(conditional, null, 1.0), conditional)
    assert torch.equal(guide(conditional, null, 3.0), torch.tensor([3.0, -2.0]))


def test_rotation_keeps_its_precision_in_half_precision():
    rotations = rotations_of(GridShape(1, 4, 5), (0, 4, 4), 10000.0, 2, "zero")
    x = torch.randn(2, 22, 2, 3, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    turned = rotate(x, rotations)
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(x.float(), rotations).bfloat16())
    assert (turned[:, :2] == 0).all()  # condition slots of the official models


@pytest.mark.parametrize(
    ("lengths", "kept", "masked"), [([2, 2], 2, False), ([1, 4], 4, True), ([6, 6], 6, False)]
)
def test_padded_text_costs_nothing_where_all_rows_agree(lengths, kept, masked):
    grid = GridShape(1, 3, 3)
    condition_ = ConditionConfig("caption", slots=6, caption_width=5)
    model = random_model(replace(official_config(grid), condition=condition_))
    valid = torch.arange(6) >= 6 - torch.tensor(lengths)[:, None]
    values = Caption(torch.randn(2, 6, 5) * valid[..., None], valid)
    growth = Growth(
        model,
        make_plan(grid, (0, 0, 0), None, ("+w", "+h"), "distance"),
        values,
        model.condition.null_like(values),
        torch.full((2, 9), -1),
        uniforms(0, 2, 9),
        SamplingSettings(guidance_scale=2.0),
    )
    assert growth.length == kept
    assert growth.cache.data.shape[-2] == kept + grid.cells
    assert (growth.condition.valid is not None) == masked


def test_padded_text_beside_known_cells_is_decoded_as_it_is_trained():
    grid = GridShape(1, 4, 4)
    form = ConditionConfig("caption", slots=6, caption_width=5)
    model = random_model(replace(official_config(grid), condition=form))
    known = np.zeros(grid.cells, bool)
    known[[1, 4, 2, 5, 8]] = True  # two whole fronts, which are fed in one step
    plan = make_plan(grid, (0, 0, 0), known, ("+w", "+h"), "distance")
    valid = torch.arange(6) >= 6 - torch.tensor([2, 5])[:, None]
    values = Caption(torch.randn(2, 6, 5) * valid[..., None], valid)
    null = model.condition.null_like(values)
    tokens, logits, growth = grow(model, plan, start(plan), values=(values, null))
    assert growth.masks.keys() > {0}
    full = full_grid(model, plan, tokens, values)
    for cell, got in logits.items():
        torch.testing.assert_close(got, full[:, cell], atol=1e-4, rtol=0)


def test_prompts_of_other_lengths_grow_together_from_any_cell():
    """The seed query stands behind the slots of the prompt, of which some are padding."""
    grid = GridShape(1, 3, 4)
    form = ConditionConfig("caption", slots=5, caption_width=5, seed_query=True)
    model = random_model(replace(embedded_config(grid), condition=form))
    plan = make_plan(grid, (0, 1, 2))
    valid = torch.arange(5) >= 5 - torch.tensor([1, 4])[:, None]
    values = Caption(torch.randn(2, 5, 5) * valid[..., None], valid)
    null = model.condition.null_like(values)
    tokens, logits, growth = grow(model, plan, start(plan), values=(values, null))
    assert growth.condition.valid is not None
    full = full_grid(model, plan, tokens, values)
    for cell, got in logits.items():
        torch.testing.assert_close(got, full[:, cell], atol=1e-4, rtol=0)


def told_model(grid: GridShape, told: int = 2):
    """A model of facts that is told what stands in each cell, and condition input of two rows."""
    form = ConditionConfig("facts", 3, 5, causal=False, seed_query=True, broadcast=True)
    form = replace(form, told=told, parts=7 * bool(told))
    model = random_model(replace(embedded_config(grid), condition=form))
    ids = torch.randint(
        0, 5, (2, 3 + told * grid.cells), generator=torch.Generator().manual_seed(2)
    )
    ids[1, 3 : 3 + grid.cells] = -1  # nothing stands in half of its cells
    return model, ids


@pytest.mark.parametrize("grid", GRIDS)
def test_what_is_told_of_cells_is_decoded_as_it_is_trained(grid):
    model, values = told_model(grid)
    null = model.condition.null_like(values)
    plan = make_plan(grid, (grid.t - 1, 1, 0))
    tokens, logits, _ = grow(model, plan, start(plan), values=(values, null), guidance_scale=2.0)
    full = torch.cat([full_grid(model, plan, tokens, v) for v in (values, null)])
    for cell, got in logits.items():
        torch.testing.assert_close(got, full[:, cell], atol=1e-4, rtol=0)
    for row in range(2):  # each is its single run
        own = slice(row, row + 1)
        alone = torch.full((1, grid.cells), -1)
        growth = Growth(
            model, plan, values[own], null[own], alone, uniforms(3, 2, grid.cells)[own],
            SamplingSettings(guidance_scale=2.0),
        )  # fmt: skip
        for _ in plan.steps:
            growth.step()
        assert torch.equal(alone[0], tokens[row])


def test_a_cell_is_told_of_itself_and_of_what_it_predicts():
    """What stands in one cell changes the states of it and of its neighbours, none else's."""
    model, values = told_model(GRIDS[0])
    other = values.clone()
    cell = 2 * 5 + 2
    other[:, 3 + 2 * cell : 3 + 2 * cell + 2] = 6
    seed = torch.zeros(2, dtype=torch.int64)
    with torch.inference_mode():
        a, b = (model.embed_condition(v, seed) for v in (values, other))
        here = [model.embed_condition(v, seed + cell).slots for v in (values, other)]
    changed = (a.cells != b.cells).any(-1).any(0).nonzero().flatten().tolist()
    assert changed == sorted([cell, cell - 5, cell + 5, cell - 1, cell + 1])
    assert torch.equal(a.slots, b.slots)  # and who predicts the seed token of that cell alone
    assert (here[0] != here[1]).any(-1)[:, -1].all()
