"""What every tokenizer offers, whatever is inside."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from ..plan import GridShape


class Tokenizer(Protocol):
    """Frames to a token grid and back.

    Attributes:
        vocab_size: number of codes.
        grid: shape of the token grid.
        frames: frames of a clip, 1 for pictures.
        size: height and width of a frame, pixels.
        holistic: tokens describe the whole clip, so a cell of the grid is not a place in it.
    """

    vocab_size: int
    grid: GridShape
    frames: int
    size: tuple[int, int]
    holistic: bool

    def encode(self, video: Tensor) -> Tensor:
        """Frames [B, F, 3, h, w] in [0, 1] to codes, int64 [B, T, H, W]."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, T, H, W] to frames [B, F, 3, h, w], about [0, 1], not clamped."""
        ...


def device_of(tokenizer: Tokenizer) -> torch.device:
    """Where a tokenizer's weights lie."""
    assert isinstance(tokenizer, nn.Module)
    return next(tokenizer.parameters()).device
