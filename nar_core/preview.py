"""Pictures of a partial token grid: a patch of pixels per code, or a full decode when asked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .tokenizers.base import Tokenizer, device_of

UNKNOWN = 242  # the grey of cells that are still unknown


class Preview:
    """Puts a patch where a code is; a full decode would cost as much as the tokens.

    Args:
        tokenizer: its grid, size and frames set the layout.
        patches: uint8 [V, p, p, 3], the mean patch of every code as measured in training. Without,
            they are made once, on first use: the tokenizer's own estimate, or what each code
            decodes to among its kind.
    """

    def __init__(self, tokenizer: Tokenizer, patches: Tensor | None = None):
        self.tokenizer = tokenizer
        # copied, since the file of its tensors stays in memory as long as one of them
        self.patches = None if patches is None else patches.cpu().numpy().copy()

    @torch.inference_mode()
    def full(self, tokens: np.ndarray) -> np.ndarray:
        """As calling it, but decoded: sharper, and as slow as a finished picture.

        Unknown cells are decoded as each row's most common code, then greyed, except where cells
        are no places in the picture.
        """
        tokens = np.asarray(tokens)
        filled = tokens.copy()
        for row in filled:
            if (row >= 0).any():
                row[row < 0] = np.bincount(row[row >= 0]).argmax()
        filled = torch.from_numpy(np.maximum(filled, 0)).to(device_of(self.tokenizer))
        video = (self.tokenizer.decode(filled).float().clamp(0, 1) * 255).round()
        video = video.to(torch.uint8).permute(0, 1, 3, 4, 2).cpu().numpy()
        if self.tokenizer.holistic:
            return video
        patch = self.tokenizer.size[0] // tokens.shape[2]
        unknown = (tokens < 0).repeat(patch, 2).repeat(patch, 3)
        video[self._frames(unknown)] = UNKNOWN
        return video

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Tokens int [B, T, H, W], -1 where unknown, to uint8 [B, F, height, width, 3]."""
        if self.patches is None:
            make = getattr(self.tokenizer, "code_patches", None)
            self.patches = make().numpy() if make else self._measure()
        tokens = np.asarray(tokens)
        picked = self.patches[np.maximum(tokens, 0)]
        picked[tokens < 0] = UNKNOWN
        b, t, h, w, p, q, _ = picked.shape
        return self._frames(picked.transpose(0, 1, 2, 4, 3, 5, 6).reshape(b, t, h * p, w * q, 3))

    def _frames(self, slices: np.ndarray) -> np.ndarray:
        """Slices [B, T, ...] to frames [B, F, ...], each frame from the slice that codes it."""
        return slices[:, self.tokenizer.grid.slice_of_frame(self.tokenizer.frames)]

    @torch.inference_mode()
    def _measure(self) -> np.ndarray:
        """Decode every code among its own kind and keep the middle patch."""
        side, batch, device = 3, 256, device_of(self.tokenizer)
        patch = self.tokenizer.size[0] // self.tokenizer.grid.h
        middle = slice(patch * (side // 2), patch * (side // 2 + 1))
        out = []
        for codes in torch.arange(self.tokenizer.vocab_size, device=device).split(batch):
            alone = codes[:, None, None, None].expand(-1, 1, side, side)
            pixels = self.tokenizer.decode(alone)[:, 0, :, middle, middle].float().clamp(0, 1)
            out.append((pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu())
        return torch.cat(out).numpy()
