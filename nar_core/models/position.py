"""Where a token is: rotary angles over (t, h, w) and learned tables; the condition comes first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..plan import GridShape, coordinates


def rotations_of(
    grid: GridShape, pairs: tuple[int, int, int], base: float, slots: int, condition: str
) -> Tensor:
    """Turn of every position, condition slots first, complex64 [slots + N, 1, 1, sum(pairs)].

    The axes of one are those of queries and keys, and of heads.

    Args:
        pairs: how many component pairs turn by t, h and w; together half the head width.
        condition: "identity" leaves condition slots unturned. "zero" is how the official picture
            models were trained: they met zeros there, which blanks queries and keys, so
            condition tokens are attended uniformly and text enters through the values alone.
    """
    at = torch.from_numpy(coordinates(grid).copy()).float()
    angles = [
        at[:, axis, None] * base ** (-torch.arange(n).float() / n)
        for axis, n in enumerate(pairs)
        if n
    ]
    angles = torch.cat(angles, -1)
    front = torch.full((slots, angles.shape[-1]), float(condition == "identity"))
    return torch.cat([front, torch.polar(torch.ones_like(angles), angles)])[:, None, None]


def rotate(x: Tensor, rotations: Tensor) -> Tensor:
    """Turn interleaved pairs of `x` [B, S, 2, H, D] by `rotations` [..., S, 1, 1, D/2].

    In float32 whatever the dtype of `x`, as the official models were trained.
    """
    pairs = x.float().view(*x.shape[:-1], -1, 2)
    if torch.compiler.is_compiling():  # which makes one kernel of this, and none of complex numbers
        (even, odd), (cos, sin) = pairs.unbind(-1), torch.view_as_real(rotations).unbind(-1)
        turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1)
    else:
        turned = torch.view_as_real(torch.view_as_complex(pairs) * rotations)
    return turned.flatten(-2).to(x.dtype)


class LearnedPositions(nn.Module):
    """Learned absolute positions, added to token embeddings.

    Args:
        kind: "full" is one table over condition slots and cells; "factored" is the sum of a table
            per axis (condition slots then carry embeddings of their own).
    """

    at: Tensor

    def __init__(self, kind: str, grid: GridShape, slots: int, width: int):
        super().__init__()
        self.kind, self.slots = kind, slots
        if kind == "full":
            self.table = nn.Parameter(
                nn.init.normal_(torch.empty(slots + grid.cells, width), std=0.02)
            )
        else:
            self.axes = nn.ParameterList(
                nn.init.normal_(torch.empty(n, width), std=0.02) for n in grid
            )
            at = torch.from_numpy(coordinates(grid).copy())
            self.register_buffer("at", at, persistent=False)

    def condition(self) -> Tensor | float:
        """What is added to the condition slots, [slots, D]."""
        return self.table[: self.slots] if self.kind == "full" else 0.0

    def cells(self, index: Tensor) -> Tensor:
        """What is added to cells of flat index [...], giving [..., D]."""
        if self.kind == "full":
            return self.table[self.slots + index]
        t, h, w = self.at[index].unbind(-1)
        return self.axes[0][t] + self.axes[1][h] + self.axes[2][w]
