"""A picture that growth goes around: what is kept of it comes back pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .picture import fit
from .settings import array_of


@dataclass(frozen=True, eq=False)
class Original:
    """The picture whose kept pixels must come back unchanged.

    A clip shows what its tokens decode to: pixels put back into some frames would flicker.

    Attributes:
        pixels: uint8 [h, w, 3] at the model's size, or a picture, which is cropped to it.
        cells: bool [T, H, W], True where kept.

    Raises ValueError where pixels or cells are of another form.
    """

    pixels: np.ndarray | Image.Image
    cells: np.ndarray

    def __post_init__(self) -> None:
        cells = array_of(self.cells, "cells")
        if cells.dtype != bool or cells.ndim != 3:
            raise ValueError(f"cells: got {cells.dtype} {cells.shape}, expected bool [T, H, W]")
        object.__setattr__(self, "cells", cells)
        if not isinstance(self.pixels, Image.Image):
            pixels = array_of(self.pixels, "pixels")
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3:
                raise ValueError(
                    f"pixels: got {pixels.dtype} {pixels.shape}, expected uint8 [h, w, 3] or a "
                    "PIL picture"
                )
            object.__setattr__(self, "pixels", pixels)

    def pasted(self, video: np.ndarray) -> np.ndarray:
        """Pictures uint8 [B, 1, h, w, 3] with the kept pixels put back, without further ado."""
        if video.shape[1] > 1:
            return video
        pixels, mask = self._over(video)
        out = video.copy()
        out[:, :, mask] = pixels[mask]
        return out

    def blended(self, video: np.ndarray) -> np.ndarray:
        """As `pasted`, and no seam is seen."""
        if video.shape[1] > 1:
            return video
        pixels, mask = self._over(video)
        reach = len(pixels) // self.cells.shape[1]
        return np.stack([keep_pixels(sample[0], pixels, mask, reach) for sample in video])[:, None]

    def _over(self, video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pixels uint8 [h, w, 3] at the size of pictures, and which are kept, bool [h, w]."""
        height, width = video.shape[2:4]
        given = self.pixels
        pixels = fit(given, (height, width)) if isinstance(given, Image.Image) else given
        if pixels.shape != (height, width, 3):
            raise ValueError(
                f"pixels: got {pixels.shape}, expected {(height, width, 3)} as what is decoded; "
                "give a PIL picture, which is fitted to it"
            )
        rows = np.arange(height) * self.cells.shape[1] // height
        columns = np.arange(width) * self.cells.shape[2] // width
        return pixels, self.cells[0][rows[:, None], columns]


def keep_pixels(
    grown: np.ndarray, original: np.ndarray, kept: np.ndarray, reach: int
) -> np.ndarray:
    """Put the kept pixels back exactly and carry their difference a little way into the grown ones.

    The tokenizer shifts colours slightly, so a hard paste would show a seam. The shift is measured
    on the kept side of the border and faded out over `reach` pixels on the grown side.

    Args:
        grown: decoded picture, uint8 [h, w, 3]; original: what was given, same shape.
        kept: bool [h, w], pixels that must come back unchanged.
    """
    offset = np.where(kept[..., None], original.astype(np.float32) - grown, 0)
    known = kept.astype(np.float32)
    fade = np.zeros_like(known)
    for ring in range(reach):
        total, weight = np.zeros_like(offset), np.zeros_like(known)
        for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
            edge = [slice(None)] * 2
            edge[axis] = slice(0, 1) if shift > 0 else slice(-1, None)
            here = np.roll(known, shift, axis)
            here[tuple(edge)] = 0  # np.roll wraps round, the picture does not
            total += np.roll(offset, shift, axis) * here[..., None]
            weight += here
        fresh = (known == 0) & (weight > 0)
        offset[fresh] = total[fresh] / weight[fresh][:, None]
        known[fresh] = 1
        fade[fresh] = 1 - (ring + 1) / (reach + 1)
    out = grown + offset * np.where(kept, 1, fade)[..., None]
    out = np.round(out).clip(0, 255).astype(np.uint8)
    out[kept] = original[kept]
    return out
