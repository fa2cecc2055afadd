"""A generator's weights: fresh ones, those of another to begin with, and as they are exported."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..models.condition import Caption
from ..models.transformer import NARTransformer, TransformerConfig
from ..weights.read import read


class DigitTable(nn.Module):
    """A vocabulary matrix as a free table plus one shared vector per quantiser digit.

    Codes that differ in one digit look alike; sharing lets rare codes learn from common ones. It
    is folded into a plain matrix on export.
    """

    def __init__(self, digits: list[int], width: int):
        super().__init__()
        self.tables = nn.ParameterList(torch.randn(n, width) * 0.02 for n in digits)
        codes = torch.arange(math.prod(digits))
        for i, n in enumerate(digits):
            self.register_buffer(f"digit{i}", codes // math.prod(digits[:i]) % n, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        for i, table in enumerate(self.tables):
            weight = weight + table[getattr(self, f"digit{i}")]
        return weight


def share_digits(module: nn.Embedding | nn.Linear, digits: list[int]) -> None:
    """Let the rows of a module's matrix share what their digits have in common."""
    table = DigitTable(digits, module.weight.shape[1])
    parametrize.register_parametrization(module, "weight", table, unsafe=True)


def fresh(config: TransformerConfig, digits: list[int] | None) -> NARTransformer:
    """A fresh model, its weights scaled for width and depth; `digits`: how many values each has."""
    model = NARTransformer(config)
    for block in model.each_block():
        for linear in (block.proj, block.down):
            nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * config.depth))
    nn.init.normal_(model.tokens.weight, std=0.02)
    if digits:
        share_digits(model.tokens, digits)
        if model.heads.output is not None:
            nn.init.zeros_(model.heads.output.weight)
            share_digits(model.heads.output, digits)
    return model


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The weights of an exported folder. Raises ValueError where they are not there, or damaged."""
    if not path.is_file():
        raise ValueError(
            f"init_from: got {path.parent}, expected the export of a run, with {path.name} in "
            "it; name that folder"
        )
    return read(path).tensors


LIKE = "expected those of a model of this form; name others, or leave it out"
"""What is to be done about weights that do not fit."""


def unfit(error: Exception) -> str:
    """What torch says of weights that do not fit, in a line: the first of them."""
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[min(1, len(lines) - 1)]


def start_from(model: NARTransformer, folder: Path) -> None:
    """Begin with the weights of an exported generator of the same shape, but for the grid's.

    Along an axis that has become longer or shorter, learned positions are stretched to fit; where a
    picture model becomes one of clips, the heads that it lacks begin as the one to the right. A
    condition of another kind begins anew, and so do the codes of another tokenizer; facts of which
    there are more keep those that were there, since new ones are appended; what was told of cells
    is left out where the model is not told of them, or of others. A model of fewer blocks begins
    with some of them, evenly apart from the first to the last.
    Raises ValueError where the weights are of another shape.
    """
    state = _thinned(tensors_of(folder / "generator.safetensors"), model.config.depth)
    parts = None if model.cells is None else model.cells.parts.weight.shape
    if state.get("cells.parts.weight", torch.empty(0)).shape != parts:
        state = {k: v for k, v in state.items() if not k.startswith("cells.")}
    wanted_condition = {k: v for k, v in model.state_dict().items() if k.startswith("condition.")}
    if model.config.condition.kind == "facts":
        state = {k: _appended(v, wanted_condition.get(k, v)) for k, v in state.items()}
    if any(k not in state or state[k].shape != v.shape for k, v in wanted_condition.items()):
        state = {k: v for k, v in state.items() if not k.startswith("condition.")}
    for name, wanted in model.state_dict().items():
        other = re.sub(r"^heads\.heads\.(after|before)\.", "heads.heads.right.", name)
        if name not in state and other in state:
            state[name] = state[other]
        found = state.get(name)
        if name.startswith("positions.axes.") and found is not None and len(found) != len(wanted):
            line = found.float().T[None]
            line = F.interpolate(line, len(wanted), mode="linear", align_corners=True)
            state[name] = line[0].T
    for name in ("tokens", "heads.output"):
        module = model.get_submodule(name)
        weight = cast(Tensor, module.weight).detach()
        if f"{name}.weight" in state and len(state[f"{name}.weight"]) != len(weight):
            state[f"{name}.weight"] = weight
        if parametrize.is_parametrized(module):
            for table in _digits(module).tables:
                nn.init.zeros_(table)
            state[f"{name}.parametrizations.weight.original"] = state.pop(f"{name}.weight")
    try:
        missing, unexpected = model.load_state_dict(
            {k: v.float() for k, v in state.items()}, strict=False
        )
    except RuntimeError as error:  # a tensor of another shape
        raise ValueError(
            f"init_from: got weights in {folder} that do not fit ({unfit(error)}), {LIKE}"
        ) from None
    anew = "condition.table.weight" not in state
    begun = (".tables.", "cells.parts.", "cells.around.")
    wrong = [k for k in missing if not any(part in k for part in begun)]
    wrong = [k for k in wrong if not (anew and k.startswith("condition"))]
    wrong += unexpected
    if wrong:
        raise ValueError(
            f"init_from: got weights in {folder} that do not fit ({wrong[:5]}), {LIKE}"
        )


COPIED = {"left": "right", "above": "below", "after": "right", "before": "right"}
"""Heads that a model lacks begin as copies of another's."""


def continued(before: NARTransformer, config: TransformerConfig) -> NARTransformer:
    """A model of another form that begins with the weights of a published one.

    Heads of directions that it lacks begin as copies, and classes of another number anew, but for
    "no class", which a seed query begins as, too; of captions as the mean of "no caption". Raises
    ValueError where the rest does not fit.
    """
    model = NARTransformer(config)
    state, own = before.state_dict(), model.state_dict()
    table = "condition.table.weight"
    if table in own and len(state[table]) != len(own[table]):
        nn.init.normal_(own[table], std=0.02)
        own[table][-1] = state[table][-1]
        state[table] = own[table]
    if "seed_query" in own and "seed_query" not in state:
        state["seed_query"] = _told_nothing(before)
    for name in own:
        head = re.match(r"heads\.heads\.(\w+)\.", name)
        if name not in state and head and head[1] in COPIED:
            state[name] = state[name.replace(f".{head[1]}.", f".{COPIED[head[1]]}.", 1)]
    try:
        model.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
    except RuntimeError as error:
        raise ValueError(
            f"init_from: got weights that do not fit ({unfit(error)}), {LIKE}"
        ) from None
    return model


@torch.no_grad()
def _told_nothing(model: NARTransformer) -> Tensor:
    """The condition of a published model that is told nothing, as one vector."""
    null = model.condition.null
    if isinstance(null, int):
        return model.condition.table.weight[-1]
    there = torch.ones(1, len(null), dtype=torch.bool, device=null.device)
    return model.condition(Caption(null[None], there)).slots.mean((0, 1))


def _thinned(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Weights with at most `depth` blocks: the first, the last and others evenly between."""
    block = re.compile(r"^blocks\.(\d+)\.")
    there = 1 + max((int(found[1]) for k in state if (found := block.match(k))), default=-1)
    if there <= depth:
        return state
    kept = [round(i * (there - 1) / max(1, depth - 1)) for i in range(depth)]
    rest = {k: v for k, v in state.items() if not block.match(k)}
    return rest | {
        k.replace(f"blocks.{old}.", f"blocks.{new}.", 1): v
        for new, old in enumerate(kept)
        for k, v in state.items()
        if k.startswith(f"blocks.{old}.")
    }


def _appended(found: Tensor, wanted: Tensor) -> Tensor:
    """What was found, followed by the rows that are wanted besides."""
    if found.shape[1:] != wanted.shape[1:] or not found.ndim or len(found) >= len(wanted):
        return found
    return torch.cat([found.to(wanted.dtype), wanted[len(found) :]])


def _digits(module: nn.Module) -> DigitTable:
    """What `share_digits` has registered."""
    return cast(DigitTable, module.get_submodule("parametrizations.weight.0"))


def folded_state(model: NARTransformer) -> dict[str, Tensor]:
    """State dict with the digit tables folded into plain matrices, float16."""
    state = {k: v for k, v in model.state_dict().items() if ".parametrizations." not in f".{k}"}
    for name in ("tokens", "heads.output"):
        module = model.get_submodule(name)
        if parametrize.is_parametrized(module):
            state[f"{name}.weight"] = cast(Tensor, module.weight).detach()
    return {k: v.half().contiguous().cpu() for k, v in state.items()}
