"""Dimension-oriented heads (section 3.1), and how predictions that meet are fused (3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..plan import DIRECTIONS

NAMES = {
    "+w": "right", "-w": "left", "+h": "below", "-h": "above", "+t": "after", "-t": "before"
}  # fmt: skip


@dataclass(frozen=True)
class Routes:
    """Which states predict the cells of a front.

    Attributes:
        cells: how many cells the front has.
        arrivals: a direction, the cells that it reaches (int64, None for all) and the states that
            predict them (int64), for each direction that reaches any.
        counts: how many directions reach each cell, float32 [n, 1], or None where one alone does.
    """

    cells: int
    arrivals: list[tuple[str, Tensor | None, Tensor]]
    counts: Tensor | None

    @classmethod
    def of(
        cls, fronts: Sequence[np.ndarray], directions: Sequence[str], device: torch.device
    ) -> list[Routes]:
        """Those of each front, from its senders int64 [n, 6], see `Heads.forward`.

        All go to the device in one copy: hundreds of small ones would take longer than a front.
        """
        if not fronts:
            return []
        columns = [DIRECTIONS.index(direction) for direction in directions]
        there = [senders[:, columns] >= 0 for senders in fronts]
        told: list[np.ndarray] = []
        for senders, reached in zip(fronts, there, strict=True):
            for number, column in enumerate(columns):
                rows = reached[:, number].nonzero()[0]
                told += [rows, senders[rows, column]]
        sent = torch.from_numpy(np.concatenate(told)).to(device).split([*map(len, told)])
        several = torch.from_numpy(np.concatenate(there).sum(1, keepdims=True, dtype=np.float32))
        counts = several.to(device).split([*map(len, fronts)])
        out, each = [], 2 * len(columns)
        for number, count in enumerate(counts):
            own, cells = sent[each * number : each * (number + 1)], len(count)
            arrivals = [
                (direction, None if len(rows) == cells else rows, at)
                for direction, rows, at in zip(directions, own[::2], own[1::2], strict=True)
                if len(rows)
            ]
            out.append(cls(cells, arrivals, count if len(arrivals) > 1 else None))
        return out

    def placed(self, rows: Tensor | None, values: Tensor) -> Tensor:
        """Values [B, rows, X] at their cells, [B, n, X], zero elsewhere."""
        if rows is None:
            return values
        out = values.new_zeros(values.shape[0], self.cells, values.shape[-1])
        return out.index_copy(1, rows, values)

    def mean(
        self, parts: list[tuple[Tensor | None, Tensor]], heard: list[Tensor] | None = None
    ) -> Tensor:
        """Mean over what arrives in each cell, of each direction [B, rows, X], as [B, n, X].

        Logits of a front are millions: the first part may be overwritten, for less to be fetched.

        Args:
            heard: how much each direction counts in each cell, [B, n, 1]; alike without.
        """
        placed = [self.placed(rows, values) for rows, values in parts]
        if heard is not None:
            weighed = [x * weight.to(x.dtype) for x, weight in zip(placed, heard, strict=True)]
            return sum(weighed[1:], weighed[0]) / sum(heard[1:], heard[0]).to(weighed[0].dtype)
        total, *others = placed
        for other in others:
            total = total.add_(other)
        return total if self.counts is None else total.div_(self.counts)


class Head(nn.Module):
    """Norm, an optional projection, and a vocabulary matrix of its own unless one is shared.

    With a gate it also says how much it is to be heard where others speak too.
    """

    def __init__(
        self,
        norm: nn.Module,
        width: int,
        vocab_size: int,
        project: bool,
        output: bool,
        gate: bool = False,
    ):
        super().__init__()
        self.gate = nn.Linear(width, 1, bias=False) if gate else None
        if self.gate is not None:
            nn.init.zeros_(self.gate.weight)  # the mean, to begin with
        self.norm = norm
        self.project = nn.Linear(width, width, bias=False) if project else None
        self.output = nn.Linear(width, vocab_size, bias=False) if output else None

    def features(self, hidden: Tensor) -> Tensor:
        """Tapped state [..., D] to what the vocabulary matrix reads, [..., D]."""
        x = self.norm(hidden)
        return x if self.project is None else self.project(x)

    def weight(self, features: Tensor) -> Tensor:
        """How much it is to be heard, [..., 1] above 0; features [..., D]."""
        if self.gate is None:
            return features.new_ones(*features.shape[:-1], 1)
        return self.gate(features).sigmoid()


class Heads(nn.Module):
    """The heads of a checkpoint.

    Args:
        taps: direction to the number of blocks after which its head reads the state.
        shared: one vocabulary matrix for all directions, each with a projection before it.
        float32: fuse logits in float32 whatever the model's dtype.
        one: a single head for all directions. gate: see `Head.weight`.
    """

    def __init__(
        self,
        taps: dict[str, int],
        make_norm,
        width,
        vocab_size,
        shared,
        float32,
        one: bool = False,
        gate: bool = False,
    ):
        super().__init__()
        self.taps, self.float32, self.gated = dict(taps), float32, gate
        self.names = {d: "any" if one else NAMES[d] for d in taps}
        self.heads = nn.ModuleDict(
            {
                name: Head(make_norm(), width, vocab_size, shared, not shared, gate)
                for name in dict.fromkeys(self.names.values())
            }
        )
        self.output = nn.Linear(width, vocab_size, bias=False) if shared else None

    @property
    def device(self) -> torch.device:
        """Where the heads are."""
        return next(self.parameters()).device

    @property
    def directions(self) -> list[str]:
        """Directions that have a head."""
        return list(self.taps)

    def each(self) -> Iterator[tuple[str, Head]]:
        """Every direction with its head."""
        for direction, name in self.names.items():
            yield direction, cast(Head, self.heads[name])

    def matrix_of(self, head: Head) -> nn.Linear:
        """The vocabulary matrix that a head's features go through."""
        matrix = head.output if self.output is None else self.output
        assert matrix is not None
        return matrix

    def forward(self, hidden: dict[int, Tensor], senders: Tensor, rule: str = "logits") -> Tensor:
        """Predict cells from their senders.

        Args:
            hidden: tap depth to states [B, S, D].
            senders: rows of S that hold each cell's senders per direction, -1 for none,
                int64 [n, 6] on the CPU, or [B, n, 6] for a plan per sample.
            rule: "logits" (the paper's mean, or a gated one), "probabilities" (their mean) or
                "confident" (the sender whose best probability is highest).

        Returns:
            Logits [B, n, V]; for "probabilities" the logarithm of the mean.
        """
        if senders.ndim == 3:
            return self._per_sample(hidden, senders)
        [routes] = Routes.of([senders.cpu().numpy()], self.directions, self.device)
        return self.fused(hidden, routes, rule)

    def fused(self, hidden: dict[int, Tensor], routes: Routes, rule: str = "logits") -> Tensor:
        """As `forward`, by routes that were made before; nothing is asked of the device."""
        arrivals = []
        for direction, rows, at in routes.arrivals:
            head = cast(Head, self.heads[self.names[direction]])
            arrivals.append((rows, head, head.features(hidden[self.taps[direction]][:, at])))
        heard = None
        if self.gated:
            heard = [routes.placed(rows, head.weight(f)) for rows, head, f in arrivals]
        if rule == "logits":
            if self.output is not None:
                # The mean commutes with the shared matrix, so it is multiplied once.
                mean = routes.mean([(rows, f) for rows, _, f in arrivals], heard)
                return self.output(mean).float()
            # Cells that a direction does not reach have features of zero there, and so logits;
            # adding up is much cheaper than sending rows of a whole vocabulary where they belong.
            logits = [self.matrix_of(h)(routes.placed(rows, f)) for rows, h, f in arrivals]
            if self.float32:  # without a gate what is added to the first becomes so by that
                each = 1 if heard is None else len(logits)
                logits[:each] = [x.float() for x in logits[:each]]
            return routes.mean([(None, x) for x in logits], heard)
        logits = [self.matrix_of(head)(f).float() for _, head, f in arrivals]
        chances = [x.softmax(-1) for x in logits]
        if rule == "probabilities":
            mean = routes.mean([(a[0], p) for a, p in zip(arrivals, chances, strict=True)])
            return mean.clamp(min=1e-30).log()
        best = logits[0].new_zeros(logits[0].shape[0], routes.cells)
        out = logits[0].new_zeros(*best.shape, logits[0].shape[-1])
        for (rows, _, _), x, p in zip(arrivals, logits, chances, strict=True):
            rows = slice(None) if rows is None else rows
            top = p.amax(-1)
            wins = top > best[:, rows]
            out[:, rows] = torch.where(wins[..., None], x, out[:, rows])
            best[:, rows] = torch.where(wins, top, best[:, rows])
        return out

    def _per_sample(self, hidden: dict[int, Tensor], senders: Tensor) -> Tensor:
        """The paper's mean where every row has a plan of its own (training)."""
        arrived, heard = [], []
        for direction, head in self.each():
            x = head.features(hidden[self.taps[direction]])
            weight = head.weight(x)
            if self.output is None:
                x = self.matrix_of(head)(x)
            at = senders[..., DIRECTIONS.index(direction), None]
            weight = weight.gather(1, at.clamp(min=0)) * (at >= 0)
            x = x.gather(1, at.clamp(min=0).expand(-1, -1, x.shape[-1]))
            arrived.append(x * weight)
            heard.append(weight)
        total = sum(arrived[1:], arrived[0]) / torch.stack(heard).sum(0).clamp(min=1e-6)
        return total if self.output is None else self.output(total)
