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
        end = self.length + keys.shape[2]
        store = self.data[layer]
        store[0, :, :, self.length : end] = keys
        store[1, :, :, self.length : end] = values
        return store[0, :, :, :end], store[1, :, :, :end]

    def advance(self, n: int) -> None:
        """Count `n` more tokens as fed."""
        self.length += n

    def keep_rows(self, rows: Tensor | slice) -> None:
        """Forget all other rows of the batch."""
        self.data = self.data[:, :, rows]
