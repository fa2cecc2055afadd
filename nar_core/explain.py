"""Why a cell became what it is: what each head said, what was made of it, what was drawn.

Paper, section 3.2: a cell is predicted by the heads of its senders, whose logits are averaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .decode import Growth, guided
from .models.cache import KVCache
from .models.position import rotate
from .plan import DIRECTIONS, coordinates
from .sampling import filtered_probabilities

Cell = tuple[int, int, int]

CELLS_AT_ONCE = 64
"""Of which every head's whole vocabulary is in memory."""


@dataclass(frozen=True)
class Candidate:
    """A token and its probability."""

    token: int
    probability: float


@dataclass(frozen=True)
class Said:
    """What one head said of the cell.

    Attributes:
        direction: of the head, as "+w".
        sender: the neighbour (t, h, w) it spoke for, None where the condition alone spoke.
        candidates: its likeliest tokens, likeliest first, before guidance.
    """

    direction: str
    sender: Cell | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """How one cell was decoded.

    Attributes:
        cell: (t, h, w); step: in which it was decoded, from 1.
        token: what it became.
        heads: what each of its senders' heads said.
        fused: likeliest tokens after fusion, before guidance.
        guided: after guidance and without what min-p leaves out; what a frame calls confidence.
        drawn_from: after temperature, top-k and top-p, what the draw chose among.
        number: the uniform number in [0, 1) that chose; temperature 0 does not read it.
        disagreement: Jensen-Shannon divergence of the heads, nats; 0 where one spoke alone.
        attention: float32 [T, H, W], where the senders looked, mean over them, layers and attention
            heads; with `attention_to_condition` it adds up to one.
    """

    cell: Cell
    step: int
    token: int
    heads: tuple[Said, ...]
    fused: tuple[Candidate, ...]
    guided: tuple[Candidate, ...]
    drawn_from: tuple[Candidate, ...]
    number: float
    disagreement: float
    attention: np.ndarray
    attention_to_condition: float


def likeliest(chances: Tensor, most: int) -> tuple[Candidate, ...]:
    """The likeliest tokens of probabilities [V] that are not zero, at most so many."""
    best, tokens = chances.float().topk(min(most, chances.shape[-1]))
    pairs = zip(tokens.tolist(), best.tolist(), strict=True)
    return tuple(Candidate(token, chance) for token, chance in pairs if chance > 0)


def divergence(chances: Tensor) -> Tensor:
    """Jensen-Shannon divergence of k distributions [k, ..., V], nats [...]."""
    mean = chances.mean(0)
    parts = torch.special.entr(chances).sum(-1).mean(0)
    return (torch.special.entr(mean).sum(-1) - parts).clamp(min=0)


@torch.inference_mode()
def explain(growth: Growth, cell: Cell, most: int) -> Explanation:
    """Explain a cell of the front that a growth of one row decodes next; it is not decoded here.

    Args:
        most: candidates told of each distribution.
    """
    plan, settings = growth.plan, growth.settings
    step = plan.steps[growth.next_step]
    flat = int(np.ravel_multi_index(cell, plan.grid))
    at = int(np.flatnonzero(step.positions == flat)[0])
    conditional, *null = growth.logits()[:, at].chunk(2 if growth.guided else 1)
    senders = growth.senders()[at]
    logits = guided(conditional, null[0] if null else None, settings)
    number = growth.numbers[:, flat]
    if settings.temperature == 0:
        chances = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
    else:
        chances = filtered_probabilities(
            logits, settings.temperature, settings.top_k, settings.top_p
        )
    spoken = [i for i in range(len(DIRECTIONS)) if senders[i] >= 0]
    heads = _each_head(growth, senders[None])[:, 0]
    places = coordinates(plan.grid)
    told = []
    for i, chance in zip(spoken, heads, strict=True):
        row = int(senders[i]) - growth.length
        t, h, w = (int(x) for x in places[growth.order[row]]) if row >= 0 else (-1, 0, 0)
        told.append(Said(DIRECTIONS[i], None if row < 0 else (t, h, w), likeliest(chance, most)))
    attention, condition = _attention(growth, sorted({int(senders[i]) for i in spoken}))
    return Explanation(
        cell=cell,
        step=growth.next_step + 1,
        token=int(growth.tokens[0, flat]),
        heads=tuple(told),
        fused=likeliest(conditional[0].float().softmax(-1), most),
        guided=likeliest(logits[0].float().softmax(-1), most),
        drawn_from=likeliest(chances[0], most),
        number=float(number[0]),
        disagreement=float(divergence(heads)),
        attention=attention,
        attention_to_condition=condition,
    )


@torch.inference_mode()
def disagreement(growth: Growth) -> np.ndarray:
    """How much the heads of every cell disagree, up to the front that a growth of one row is at.

    Jensen-Shannon divergence in nats, float32 [T, H, W]: 0 where one head spoke alone, nan where
    nothing was decoded.
    """
    growth.logits()  # has everything fed that the front is told by
    plan = growth.plan
    cells = np.concatenate([step.positions for step in plan.steps[: growth.next_step + 1]])
    out = np.full(plan.grid.cells, np.nan, np.float32)
    out[cells] = 0
    senders = growth.senders_of[cells]
    for spoken in np.unique(senders >= 0, axis=0):
        if spoken.sum() < 2:
            continue
        alike = np.flatnonzero(((senders >= 0) == spoken).all(1))
        for some in np.array_split(alike, -(-len(alike) // CELLS_AT_ONCE)):
            out[cells[some]] = divergence(_each_head(growth, senders[some])).cpu().numpy()
    return out.reshape(plan.grid)


def _each_head(growth: Growth, senders: np.ndarray) -> Tensor:
    """Probabilities [k, n, V] of each of the k heads of n cells alone, before guidance.

    Args:
        senders: [n, 6], by the same heads.
    """
    hidden = {depth: states[:1] for depth, states in growth.hidden.items()}
    out = []
    for i in np.flatnonzero(senders[0] >= 0):
        alone = np.where(np.arange(len(DIRECTIONS)) == i, senders, -1)
        out.append(growth.model.heads(hidden, torch.from_numpy(alone))[0].float().softmax(-1))
    return torch.stack(out)


def _attention(growth: Growth, rows: list[int]) -> tuple[np.ndarray, float]:
    """Where states in cache rows looked: [T, H, W], and how much at the condition.

    The keys are in the cache; the queries are made again, layer by layer, for these rows alone.
    """
    model, cache = growth.model, growth.cache
    grid = growth.plan.grid
    total = np.zeros(cache.length)
    for row in rows:
        # What lay at its level or below was seen; levels rise along the cache.
        at = row - growth.length
        level = growth.sorted_levels[at] if at >= 0 else -1
        end = growth.length + int(np.searchsorted(growth.sorted_levels, level, "right"))
        end = min(end, cache.length)
        if at < 0 and model.config.condition.causal:
            end = row + 1
        for weights in _looked(growth, row, end):
            total[:end] += weights.float().cpu().numpy()
    total /= max(1e-9, total.sum())
    out = np.zeros(grid.cells, np.float32)
    out[growth.order[: cache.length - growth.length]] = total[growth.length :]
    return out.reshape(grid), float(total[: growth.length].sum())


def _looked(growth: Growth, row: int, end: int) -> Iterator[Tensor]:
    """Attention weights [end] of one cache row of the first sample, layer by layer."""
    model, at = growth.model, row - growth.length
    slot = growth.condition.slots[:, row : row + 1]
    x = growth.embedded(at, at + 1) if at >= 0 else slot
    turns = None if growth.rotations is None else growth.rotations[row : row + 1]
    seen = _Seen(growth.cache.data, end)
    for layer, block in enumerate(model.each_block()):
        q = block.qkv(block.attention_norm(x)).unflatten(-1, (3, block.attention_heads, -1))
        q = q[:1, :, :1] if turns is None else rotate(q[:1, :, :1], turns)
        q = q[:, :, 0].transpose(1, 2)
        keys = seen.data[layer, 0, :1, :, :end]
        scores = q.float() @ keys.float().transpose(-1, -2) / q.shape[-1] ** 0.5
        yield scores.softmax(-1).mean((0, 1, 2))
        x = block(x, turns, None, seen, layer)


class _Seen(KVCache):
    """A cache that is read once more: nothing is written, what is behind `end` is not there."""

    def __init__(self, data: Tensor, end: int):
        self.data, self.length = data, end

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        return self.data[layer, 0, :, :, : self.length], self.data[layer, 1, :, :, : self.length]
