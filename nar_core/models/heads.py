"""Dimension-oriented heads, and how the predictions that meet in a cell are fused (section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from ..plan import DIRECTIONS

NAMES = {
    "+w": "right", "-w": "left", "+h": "below", "-h": "above", "+t": "after", "-t": "before"
}  # fmt: skip


class Head(nn.Module):
    """Norm, an optional projection, and a vocabulary matrix of its own unless one is shared."""

    def __init__(self, norm: nn.Module, width: int, vocab_size: int, project: bool, output: bool):
        super().__init__()
        self.norm = norm
        self.project = nn.Linear(width, width, bias=False) if project else None
        self.output = nn.Linear(width, vocab_size, bias=False) if output else None

    def features(self, hidden: Tensor) -> Tensor:
        """Tapped state [..., D] to what the vocabulary matrix reads, [..., D]."""
        x = self.norm(hidden)
        return x if self.project is None else self.project(x)


class Heads(nn.Module):
    """The heads of a checkpoint.

    Args:
        taps: direction to the number of blocks after which its head reads the state.
        shared: one vocabulary matrix for all directions, each with a projection before it.
        float32: fuse logits in float32 whatever the model's dtype.
    """

    def __init__(self, taps: dict[str, int], make_norm, width, vocab_size, shared, float32):
        super().__init__()
        self.taps, self.float32 = dict(taps), float32
        self.heads = nn.ModuleDict(
            {NAMES[d]: Head(make_norm(), width, vocab_size, shared, not shared) for d in taps}
        )
        self.output = nn.Linear(width, vocab_size, bias=False) if shared else None

    def each(self) -> Iterator[tuple[str, Head]]:
        """Every direction with its head."""
        for direction in self.taps:
            yield direction, cast(Head, self.heads[NAMES[direction]])

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
            rule: "logits" (the paper's mean), "probabilities" (their mean) or "confident" (the
                sender whose best probability is highest).

        Returns:
            Logits [B, n, V]; for "probabilities" the logarithm of the mean.
        """
        if senders.ndim == 3:
            return self._per_sample(hidden, senders)
        device = next(iter(hidden.values())).device
        arrivals = []
        for direction, head in self.each():
            column = DIRECTIONS.index(direction)
            rows = (senders[:, column] >= 0).nonzero().flatten()
            if len(rows):
                at = senders[rows, column].to(device)
                state = hidden[self.taps[direction]][:, at]
                arrivals.append((rows.to(device), head, head.features(state)))
        if rule == "logits" and self.output is not None:
            # The mean commutes with the shared matrix, so it is multiplied once.
            return self.output(_mean(arrivals, [f for _, _, f in arrivals], len(senders))).float()
        logits = [self.matrix_of(head)(f) for _, head, f in arrivals]
        if self.float32 or rule != "logits":
            logits = [x.float() for x in logits]
        if rule == "logits":
            return _mean(arrivals, logits, len(senders))
        chances = [x.softmax(-1) for x in logits]
        if rule == "probabilities":
            return _mean(arrivals, chances, len(senders)).clamp(min=1e-30).log()
        best = logits[0].new_zeros(logits[0].shape[0], len(senders))
        out = logits[0].new_zeros(*best.shape, logits[0].shape[-1])
        for (rows, _, _), x, p in zip(arrivals, logits, chances, strict=True):
            top = p.amax(-1)
            wins = top > best[:, rows]
            out[:, rows] = torch.where(wins[..., None], x, out[:, rows])
            best[:, rows] = torch.where(wins, top, best[:, rows])
        return out

    def _per_sample(self, hidden: dict[int, Tensor], senders: Tensor) -> Tensor:
        """The paper's mean where every row has a plan of its own (training)."""
        arrived = []
        for direction, head in self.each():
            x = head.features(hidden[self.taps[direction]])
            if self.output is None:
                x = self.matrix_of(head)(x)
            at = senders[..., DIRECTIONS.index(direction), None]
            x = x.gather(1, at.clamp(min=0).expand(-1, -1, x.shape[-1]))
            arrived.append(x * (at >= 0))
        present = [d in self.taps for d in DIRECTIONS]
        total = sum(arrived[1:], arrived[0])
        total = total / (senders[..., present] >= 0).sum(-1, keepdim=True).clamp(min=1)
        return total if self.output is None else self.output(total)


def _mean(arrivals, values: list[Tensor], n: int) -> Tensor:
    """Mean over what arrives in each of `n` cells; values [B, rows, X] to [B, n, X]."""
    if len(arrivals) == 1:
        return values[0]
    first = values[0]
    total = first.new_zeros(first.shape[0], n, first.shape[-1])
    counts = torch.zeros(n, device=first.device, dtype=first.dtype)
    for (rows, _, _), x in zip(arrivals, values, strict=True):
        total.index_add_(1, rows, x)
        counts.index_add_(0, rows, torch.ones_like(rows, dtype=first.dtype))
    return total / counts[:, None]
