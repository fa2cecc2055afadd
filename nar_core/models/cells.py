"""What a model is told of each cell: what stands there, and in the cells that it predicts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..plan import OFFSETS, GridShape

PART_WIDTH = 64


class Cells(nn.Module):
    """Ids of every cell and of its six neighbours, as one vector that is added to its token.

    Args:
        told: ids of each cell; parts: how many values they have.
        width: of the model.
    """

    def __init__(self, told: int, parts: int, width: int, grid: GridShape):
        super().__init__()
        self.grid, self.told = grid, told
        self.parts = nn.Embedding(parts, PART_WIDTH)
        self.around = nn.Linear((1 + len(OFFSETS)) * PART_WIDTH, width, bias=False)
        nn.init.zeros_(self.around.weight)  # a model that begins with another's weights stays it

    def forward(self, ids: Tensor) -> Tensor:
        """Ids int64 [B, N * told], -1 where nothing stands, to [B, N, D]."""
        ids = ids.reshape(len(ids), *self.grid, self.told)
        x = (self.parts(ids.clamp(min=0)) * (ids >= 0).unsqueeze(-1)).sum(-2)
        x = F.pad(x, (0, 0, 1, 1, 1, 1, 1, 1))
        t, h, w = self.grid
        near = [
            x[:, 1 + a : 1 + a + t, 1 + b : 1 + b + h, 1 + c : 1 + c + w]
            for a, b, c in ((0, 0, 0), *OFFSETS.tolist())
        ]
        return self.around(torch.cat(near, -1)).flatten(1, 3)
