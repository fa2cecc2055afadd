"""Quantisers: vectors to integer codes and back; shapes follow `b ... d` throughout."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FSQ(nn.Module):
    """Finite scalar quantisation (Mentzer et al., 2023): every channel is rounded to a few values.

    There is no codebook to learn and none to collapse. A code is the mixed-radix number of its
    channels' digits, the first channel being the least significant.

    Args:
        levels: how many values each channel may take; their product is the vocabulary.
    """

    steps: Tensor
    radix: Tensor

    def __init__(self, levels: list[int]):
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels: got {levels}, expected integers of at least 2")
        self.levels = list(levels)
        self.dim = len(levels)
        self.vocab_size = math.prod(levels)
        radix = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("steps", torch.tensor([n - 1 for n in levels]), persistent=False)
        self.register_buffer("radix", torch.tensor(radix), persistent=False)

    def digits(self, z: Tensor) -> Tensor:
        """Unbounded `z` [..., d] to real-valued digits in [0, levels - 1]."""
        # 1.6 makes the digits of a standard normal input nearly uniform.
        return torch.sigmoid(1.6 * z.float()) * self.steps

    def forward(self, z: Tensor) -> Tensor:
        """`z` [..., d] to quantised values in [-1, 1]; gradients pass straight through."""
        digits = self.digits(z)
        rounded = digits + (digits.round() - digits).detach()
        return 2 * rounded / self.steps - 1

    def encode(self, z: Tensor) -> Tensor:
        """`z` [..., d] to codes, int64 [...]."""
        return (self.digits(z).round().long() * self.radix).sum(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [...] to values in [-1, 1], float [..., d]."""
        digits = codes[..., None] // self.radix % (self.steps + 1)
        return 2 * digits.float() / self.steps - 1


class UnitCodebook(nn.Module):
    """A learnt codebook whose rows count only by their direction (ViT-VQGAN, Yu et al., 2021).

    The stored rows are not of unit length: they are normalised both for look-up and for decoding.
    """

    def __init__(self, vocab_size: int, dim: int):
        super().__init__()
        self.vocab_size, self.dim = vocab_size, dim
        self.embedding = nn.Embedding(vocab_size, dim)

    def encode(self, z: Tensor) -> Tensor:
        """`z` [..., d] to the codes of largest cosine, int64 [...]."""
        rows = F.normalize(self.embedding.weight.float(), dim=-1)
        return (F.normalize(z.float(), dim=-1) @ rows.T).argmax(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [...] to unit vectors, float [..., d]."""
        return F.normalize(self.embedding(codes), dim=-1)
