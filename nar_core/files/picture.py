"""Pictures from outside, within limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..picture import fit, open_picture, reading_picture
from .limits import LIMITS, Limits, need_pixels


def open_within(data: bytes | Path, limits: Limits = LIMITS) -> Image.Image:
    """An image from bytes or a file, its size checked before any pixel is decoded."""
    picture = open_picture(data)
    need_pixels("picture", picture.width, picture.height, limits)
    return picture


def read_picture(data: bytes, size: tuple[int, int], limits: Limits = LIMITS) -> np.ndarray:
    """Any picture -> uint8 [h, w, 3] of the model's size (height, width).

    See `nar_core.fit`; of an animated one the first frame counts.
    """
    picture = open_within(data, limits)
    with reading_picture(data):
        return fit(picture, size)
