"""Pictures as people have them: turned by their camera, with alpha, a palette, sixteen bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LYING = tuple(TURNS[n] for n in (5, 6, 7, 8))
"""Those that exchange width and height."""


def fit(picture: Image.Image | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture as a model sees it, uint8 [height, width, 3].

    It is turned as its camera says, cropped to its centre, and what is transparent is put on white.

    Args:
        picture: of any mode, or pixels uint8 [h, w, 3 or 4].
        size: height and width.
    """
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.load()  # the tag may stand behind the pixels
    turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    # the crop is symmetric, so that only few pixels have to be turned
    small = _cropped(picture, (size[1], size[0]) if turn in LYING else size)
    return np.asarray(small if turn is None else small.transpose(turn))


def _cropped(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An image -> one in RGB of (height, width); no more than one copy at its own size."""
    height, width = size
    scale = max(width / picture.width, height / picture.height)
    box_w, box_h = width / scale, height / scale
    left, top = (picture.width - box_w) / 2, (picture.height - box_h) / 2
    place = ((width, height), Image.Resampling.LANCZOS, (left, top, left + box_w, top + box_h))
    if picture.mode.startswith(("I", "F")):
        return _grey(picture.convert("F").resize(*place), *_range(picture)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB").resize(*place)
    clear = picture.convert("RGBA").resize(*place)
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _range(picture: Image.Image) -> tuple[float, float]:
    """What is black and what is white in an image of more than eight bits.

    Sixteen bits by their range, other values by what is there; Pillow would cut them off at 255.
    """
    extrema: Any = picture.getextrema()
    low, high = (float(x) for x in extrema)
    if not math.isfinite(high - low):
        return 0.0, 1.0
    if picture.mode == "F":
        return min(low, 0.0), 1.0 if low >= 0 and high <= 1 else max(high, 255.0)
    return min(low, 0.0), 255.0 if picture.mode == "I" and high <= 255 else max(high, 65535.0)


def _grey(picture: Image.Image, low: float, high: float) -> Image.Image:
    """Grey values from `low` to `high`, as eight bits; what is no number is black."""
    values = (np.nan_to_num(np.asarray(picture), posinf=high) - low) * (255 / (high - low))
    return Image.fromarray(np.nan_to_num(values).round().clip(0, 255).astype(np.uint8))
