"""The key-value cache of one request, in decoding order."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Keys and values of everything fed so far.

    Lower levels and the current front are a contiguous prefix, so decoding needs no mask, attention
    costs only what is there, and rewinding is truncating `length`.

    Args:
        layers, batch, heads, capacity, head_width: its extent.
    """

    def __init__(self, layers, batch, heads, capacity, head_width, device, dtype):
        self.data = torch.empty(
            layers, 2, batch, heads, capacity, head_width, device=device, dtype=dtype
        )
        self.length = 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write [B, H, n, D] behind the prefix of `layer`; returns the prefix with it.

        `length` moves only when the caller has fed every layer and calls `advance`.
        """
        store, n = self.data[layer], keys.shape[2]
        new = store.narrow(3, self.length, n)
        new[0].copy_(keys)
        new[1].copy_(values)
        seen = store.narrow(3, 0, self.length + n)
        return seen[0], seen[1]

    def advance(self, n: int) -> None:
        """Count `n` more tokens as fed."""
        self.length += n

    def keep_rows(self, rows: Tensor | slice) -> None:
        """Forget all other rows of the batch."""
        self.data = self.data[:, :, rows]
