"""What a configuration allows, and the transformer's own small parts."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch

from nar_core.models.condition import Condition, ConditionConfig
from nar_core.models.position import rotations_of
from nar_core.models.transformer import NARTransformer, RMSNorm, TransformerConfig, proximity_mask
from nar_core.plan import GridShape, make_plan

from ..helpers import embedded_config, official_config, random_model

PICTURE = embedded_config(GridShape(1, 3, 4))
FOUR = {"+w": 1, "-w": 1, "+h": 1, "-h": 1}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"attention_heads": 3}, "got width 32, 3 attention heads"),
        ({"attention_heads": 3, "rotary": (0, 0, 0)}, "got width 32, 3 attention heads"),
        ({"rotary": (0, 4, 3)}, r"rotary \(0, 4, 3\); expected heads that divide the width"),
        ({"rotary": (0, 0, 4)}, "rotary pairs that add up to half a head"),
        ({"taps": {}}, "taps: got {}, expected"),
        ({"taps": {"+x": 1}}, "taps: got {'\\+x': 1}, expected"),
        ({"taps": {"+w": 1, "+h": 3}}, "at 1 to 2"),
        ({"order": "raster"}, r"expected only \+w in raster order"),
        ({"order": "raster", "taps": {"+h": 1}}, r"expected only \+w in raster order"),
        ({"one_head": True, "taps": {"+w": 1, "+h": 2}}, "expected one depth"),
    ],
)
def test_what_does_not_go_together_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        replace(PICTURE, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"rotary": (0, 0, 0)},
        {"rotary": (0, 8, 0)},
        {"taps": {"+w": 2}},
        {"taps": {"+w": 1, "+h": 2}},
        {"order": "raster", "taps": {"+w": 2}},
        {"one_head": True, "taps": FOUR},
    ],
)
def test_what_goes_together_is_built(change):
    config = replace(PICTURE, **change)
    assert NARTransformer(config).config == config


def test_a_configuration_is_read_from_plain_values():
    values = asdict(PICTURE) | {"grid": [1, 3, 4], "rotary": [0, 4, 4]}
    assert TransformerConfig.from_dict(values) == PICTURE
    del values["rotary"]
    assert TransformerConfig.from_dict(values).rotary == (0, 0, 0)
    assert values["grid"] == [1, 3, 4]  # not changed by reading
    with pytest.raises(TypeError, match="colour"):
        TransformerConfig.from_dict(values | {"colour": 1})
    assert replace(PICTURE, taps={"-h": 1, "+w": 1}).directions == ("+w", "-h")


@pytest.mark.parametrize("config", [PICTURE, official_config(GridShape(2, 3, 4))])
def test_the_cache_of_a_row_is_as_large_as_told(config):
    """Keys and values of every block for the condition and every cell."""
    model = NARTransformer(config).eval()
    cells, length = config.grid.cells, config.condition.length
    seen = []
    for block in model.each_block():
        block.qkv.register_forward_hook(lambda _, given, out: seen.append(out[..., config.width :]))
    values = torch.zeros(1, 3, 2, dtype=torch.long) if config is PICTURE else torch.zeros(1).long()
    with torch.inference_mode():
        model(
            model.condition.null_like(values),
            torch.zeros(1, cells, dtype=torch.long),
            torch.zeros(cells, dtype=torch.long),
            torch.full((cells, 6), -1),
            torch.zeros(1, dtype=torch.long),
        )
    assert seen[0].shape[1] == length + cells
    assert sum(part.numel() for part in seen) == config.cache_values


def test_a_token_sees_its_own_and_lower_levels():
    mask = proximity_mask(torch.tensor([-1, -1, 0, 2, 1]))
    assert mask.int().tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 1],
    ]


def test_padding_is_seen_by_nobody_but_itself():
    levels = torch.tensor([[-1, -1, 1], [-2, -1, 1]])
    mask = proximity_mask(levels, torch.tensor([[False, True, True], [True, True, False]]))
    assert mask.int().tolist() == [
        [[1, 1, 0], [0, 1, 0], [0, 1, 1]],
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
    ]


def test_condition_slots_see_each_other_or_only_those_before():
    def levels(causal: bool) -> list[int]:
        condition = ConditionConfig("words", slots=3, buckets=8, causal=causal)
        config = replace(PICTURE, condition=condition)
        return NARTransformer(config).condition_levels(4).tolist()

    assert levels(True) == [-4, -3, -2, -1]
    assert levels(False) == [-1, -1, -1, -1]


def test_the_norm_divides_by_the_root_of_the_mean_square():
    norm = RMSNorm(4, eps=0.5)
    x = torch.tensor([[1.0, -1.0, 3.0, 2.0]])
    wanted = x / (x.square().mean() + 0.5).sqrt()
    torch.testing.assert_close(norm(x), wanted)
    norm.weight.data *= 3
    torch.testing.assert_close(norm(x), 3 * wanted)


def test_rotations_are_made_once_and_cut_for_fewer_slots():
    model = NARTransformer(PICTURE)
    whole = model.rotations(3)
    assert len(whole) == 3 + 12
    assert torch.equal(model.rotations(1), whole[2:])
    assert model.rotations(3).data_ptr() == whole.data_ptr()
    assert NARTransformer(replace(PICTURE, rotary=(0, 0, 0))).rotations(3) is None


def test_states_are_told_of_the_depths_that_heads_tap():
    config = replace(PICTURE, depth=3, taps={"+w": 1, "+h": 3})
    model = NARTransformer(config).eval()
    x = torch.randn(2, 5, 32)
    hidden = model.run(x, None, None)
    assert sorted(hidden) == [1, 3]
    first, second, third = model.each_block()
    torch.testing.assert_close(hidden[1], first(x, None, None, None, 0))
    deeper = third(second(hidden[1], None, None, None, 1), None, None, None, 2)
    torch.testing.assert_close(hidden[3], deeper)


def test_no_linear_layer_has_a_bias():
    model = NARTransformer(official_config(GridShape(1, 3, 4)))
    assert not [name for name in model.state_dict() if name.endswith("bias")]


def test_learned_positions_are_added_to_slots_cells_and_the_seed_query():
    full = replace(PICTURE, learned="full")
    for config in (PICTURE, full):
        model = NARTransformer(config)
        values, seed = torch.zeros(2, 3, 2, dtype=torch.long), torch.tensor([3, 7])
        plain = model.condition(values).slots
        slots = model.embed_condition(values, seed).slots
        assert slots.shape[1] == 4
        added = model.positions.table[:3] if config is full else 0
        torch.testing.assert_close(slots[:, :3], plain + added)
        at = model.places(seed)
        torch.testing.assert_close(slots[:, 3], model.seed_query + at)
        assert not torch.equal(at[0], at[1])
    bare = NARTransformer(replace(PICTURE, learned="none"))
    assert bare.places(seed) is None
    slots = bare.embed_condition(values, None).slots
    torch.testing.assert_close(slots[:, 3], bare.seed_query.expand(2, -1))


def test_a_block_turns_queries_and_keys_and_adds_attention_and_swiglu():
    """Word for word: who is far away along an axis is told by the turn between the two."""
    torch.manual_seed(0)
    grid = GridShape(1, 3, 4)
    model = NARTransformer(PICTURE).eval()
    block, width, heads = next(model.each_block()), PICTURE.width, PICTURE.attention_heads
    slots = PICTURE.condition.slots
    turns = rotations_of(grid, PICTURE.rotary, PICTURE.rotary_base, slots, "identity")
    x = torch.randn(2, slots + grid.cells, width)
    seen = proximity_mask(torch.randint(-1, 4, (slots + grid.cells,)))
    mask = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))
    normed = block.attention_norm(x)
    q, k, v = (normed @ part.T for part in block.qkv.weight.chunk(3))
    out = torch.zeros_like(x)
    half = width // heads
    for row in range(2):
        for head in range(heads):
            own = slice(head * half, (head + 1) * half)
            a, b = (
                torch.view_as_complex(y[row, :, own].reshape(len(seen), -1, 2)) * turns[:, 0, 0]
                for y in (q, k)
            )
            scores = torch.einsum("ic,jc->ij", a, b.conj()).real / half**0.5 + mask
            out[row, :, own] = scores.softmax(-1) @ v[row, :, own]
    wanted = x + out @ block.proj.weight.T
    y = block.ffn_norm(wanted)
    gate, up = y @ block.gate.weight.T, y @ block.up.weight.T
    wanted = wanted + (gate * gate.sigmoid() * up) @ block.down.weight.T
    with torch.inference_mode():
        made = block(x, turns, mask, None, 0)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)


def test_a_token_is_told_its_place_and_what_the_condition_says_to_all():
    model = random_model(PICTURE)
    tokens, index = torch.tensor([[3, 1], [0, 2]]), torch.tensor([5, 9])
    condition = Condition(torch.zeros(2, 3, 32), None, torch.randn(2, 32))
    made = model.embed_tokens(tokens, index, model.places(index), condition)
    wanted = model.tokens(tokens) + model.positions.cells(index) + condition.broadcast[:, None]
    torch.testing.assert_close(made, wanted)
    condition.cells = torch.randn(2, PICTURE.grid.cells, 32)
    for at in (index, torch.tensor([[5, 9], [0, 11]])):
        told = torch.stack([condition.cells[i, row] for i, row in enumerate(at.expand(2, -1))])
        made = model.embed_tokens(tokens, at, None, condition)
        wanted = model.tokens(tokens) + condition.broadcast[:, None] + told
        torch.testing.assert_close(made, wanted)


@pytest.mark.parametrize("norm", ["rms", "layer"])
def test_every_norm_has_the_epsilon_of_the_configuration(norm):
    model = NARTransformer(replace(PICTURE, norm=norm, norm_eps=0.25, taps={"+w": 2}))
    parts = [*model.blocks.modules(), *model.heads.modules()]
    norms = [m for m in parts if isinstance(m, RMSNorm | torch.nn.LayerNorm)]
    assert len(norms) == 2 * PICTURE.depth + 1
    x = torch.tensor([[0.5, -0.5] * 16])  # of mean 0 and mean square 0.25
    for one in norms:
        torch.testing.assert_close(one(x), x / 0.5**0.5)


class Padded(torch.nn.Module):
    """A condition of slots [B, 3, D]: with padding first, with none, or with nothing said of it."""

    def __init__(self, padded: bool | None):
        super().__init__()
        self.padded = padded

    def forward(self, values: torch.Tensor) -> Condition:
        valid = torch.ones(values.shape[:2], dtype=torch.bool)
        valid[:, 0] = not self.padded
        return Condition(values, None if self.padded is None else valid)


def test_padding_of_the_condition_hides_nothing_else():
    plan = make_plan(PICTURE.grid, (0, 1, 1), directions=PICTURE.directions)
    model, values, seed = random_model(PICTURE), torch.randn(1, 3, 32), torch.tensor([5])
    tokens = torch.arange(PICTURE.grid.cells)[None]
    levels, fan_in = torch.from_numpy(plan.levels), torch.from_numpy(plan.fan_in)

    def logits(padded: bool | None, values: torch.Tensor) -> torch.Tensor:
        model.condition = Padded(padded)
        return model(values, tokens, levels, fan_in, seed)

    with torch.inference_mode():
        torch.testing.assert_close(logits(False, values), logits(None, values))
        other = values.clone()
        other[:, 0] = torch.randn(32)
        torch.testing.assert_close(logits(True, other), logits(True, values))
        assert not torch.allclose(logits(False, other), logits(False, values), atol=1e-3)
