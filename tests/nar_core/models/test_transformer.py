"""What a configuration allows, and the transformer's own small parts."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch

from nar_core.models.condition import ConditionConfig
from nar_core.models.transformer import NARTransformer, RMSNorm, TransformerConfig, proximity_mask
from nar_core.plan import GridShape

from ..helpers import embedded_config, official_config

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
