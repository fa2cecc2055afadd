"""Weights to begin with: those of another grid, or of pictures where clips are to come."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nar_core.models.condition import ConditionConfig
from nar_core.plan import GridShape
from nar_core.train.begin import fresh, start_from

from ..helpers import embedded_config, random_model


def begun(grid: GridShape, other: GridShape, folder: Path) -> tuple[dict, dict]:
    """Weights written for a grid, and those of a model of another that begins with them."""
    before, model = random_model(embedded_config(grid)), fresh(embedded_config(other), None)
    save_file(before.state_dict(), folder / "generator.safetensors")
    start_from(model, folder)
    return before.state_dict(), model.state_dict()


def test_a_clip_model_begins_with_a_picture_model(tmp_path):
    """Time is new: every slice begins where the picture was, its heads with another's weights."""
    old, new = begun(GridShape(1, 2, 2), GridShape(3, 2, 2), tmp_path)
    added = {k for k in new if k not in old}
    assert {k.split(".")[2] for k in added} == {"after", "before"}
    for k in added:
        assert torch.equal(new[k], old[re.sub("after|before", "right", k)])
    name = "positions.axes.0"
    assert torch.equal(new[name], old[name].expand(3, -1))
    assert all(torch.equal(new[k], old[k]) for k in old if k != name)


def test_a_generator_begins_with_the_weights_of_another_grid(tmp_path):
    """Two more slices: positions in time are stretched, everything else is the same."""
    old, new = begun(GridShape(3, 2, 2), GridShape(5, 2, 2), tmp_path)
    name = "positions.axes.0"
    assert torch.equal(new[name][::2], old[name])
    assert torch.allclose(new[name][1], (old[name][0] + old[name][1]) / 2)
    assert all(torch.equal(new[k], old[k]) for k in old if k != name)
    with pytest.raises(ValueError, match="do not fit"):
        start_from(
            random_model(replace(embedded_config(GridShape(3, 2, 2)), ffn_width=48)), tmp_path
        )


def facts_model(slots: int, classes: int, vocab_size: int = 31):
    condition = ConditionConfig(
        "facts", slots, classes, causal=False, seed_query=True, broadcast=True
    )
    config = embedded_config(GridShape(1, 2, 2))
    return replace(config, condition=condition, vocab_size=vocab_size)


def test_facts_that_are_known_stay_where_others_are_appended(tmp_path):
    before, model = random_model(facts_model(3, 5)), fresh(facts_model(4, 7), None)
    save_file(before.state_dict(), tmp_path / "generator.safetensors")
    own = {k: v.clone() for k, v in model.state_dict().items()}
    start_from(model, tmp_path)
    old, new = before.state_dict(), model.state_dict()
    for name in ("condition.table.weight", "condition.places", "condition.null"):
        n = len(old[name])
        assert n < len(new[name])
        assert torch.equal(new[name][:n], old[name])
        assert torch.equal(new[name][n:], own[name][n:])
    assert torch.equal(new["condition.norm.weight"], old["condition.norm.weight"])


def test_codes_of_another_tokenizer_begin_anew_and_the_rest_does_not(tmp_path):
    before, model = random_model(facts_model(3, 5)), fresh(facts_model(3, 5, 40), None)
    save_file(before.state_dict(), tmp_path / "generator.safetensors")
    own = {k: v.clone() for k, v in model.state_dict().items()}
    start_from(model, tmp_path)
    old, new = before.state_dict(), model.state_dict()
    anew = {"tokens.weight", "heads.output.weight"}
    assert all(torch.equal(new[k], own[k]) for k in anew)
    assert all(torch.equal(new[k], old[k]) for k in old if k not in anew)


def test_a_model_of_fewer_blocks_begins_with_some_evenly_apart(tmp_path):
    """Of five blocks three are the first, the middle one and the last; one alone is the first."""
    config = embedded_config(GridShape(1, 2, 2))
    config = replace(config, depth=5, taps={d: 5 for d in config.taps})
    before = random_model(config)
    save_file(before.state_dict(), tmp_path / "generator.safetensors")
    old = before.state_dict()
    for depth, kept in ((3, (0, 2, 4)), (2, (0, 4)), (1, (0,))):
        model = fresh(replace(config, depth=depth, taps={d: depth for d in config.taps}), None)
        start_from(model, tmp_path)
        new = model.state_dict()
        for i, block in enumerate(kept):
            mine = {k: v for k, v in new.items() if k.startswith(f"blocks.{i}.")}
            assert mine
            for k, v in mine.items():
                assert torch.equal(v, old[k.replace(f"blocks.{i}.", f"blocks.{block}.", 1)])


def test_a_model_that_is_told_of_cells_begins_as_one_that_is_not(tmp_path):
    plain = facts_model(3, 5)
    before = random_model(plain)
    save_file(before.state_dict(), tmp_path / "generator.safetensors")
    told = replace(plain, condition=replace(plain.condition, told=2, parts=7))
    model = fresh(told, None)
    start_from(model, tmp_path)
    ids = torch.randint(0, 5, (2, 3 + 2 * 4))
    rest = torch.zeros(2, 4, dtype=torch.int64), torch.arange(4), torch.full((4, 6), -1)
    seed = torch.zeros(2, dtype=torch.int64)
    with torch.inference_mode():
        was = before(ids[:, :3], *rest, seed)
        assert torch.allclose(model(ids, *rest, seed), was, atol=1e-5)
        torch.nn.init.normal_(model.cells.around.weight)
        assert not torch.allclose(model(ids, *rest, seed), was, atol=1e-2)


def test_what_is_told_of_other_cells_begins_anew(tmp_path):
    plain = facts_model(3, 5)
    told = [
        replace(plain, condition=replace(plain.condition, told=n, parts=p))
        for n, p in ((2, 7), (3, 9))
    ]
    before = random_model(told[0])
    torch.nn.init.normal_(before.cells.around.weight)
    save_file(before.state_dict(), tmp_path / "generator.safetensors")
    model = fresh(told[1], None)
    start_from(model, tmp_path)
    assert not model.cells.around.weight.any()
    assert torch.equal(model.state_dict()["tokens.weight"], before.state_dict()["tokens.weight"])
