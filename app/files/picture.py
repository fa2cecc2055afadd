"""Pictures from outside: opened within limits, and what is wrong with them in one sentence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from app.files.limits import LIMITS, Limits, need_pixels
from nar_core import fit


@contextmanager
def reading() -> Iterator[None]:
    """Pillow's readers raise whatever they stumble over; here it becomes one sentence."""
    try:
        yield
    except Exception as error:
        told = str(error).split("<")[0].strip()[:100] or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            told = "of no known kind"
        raise ValueError(
            f"picture: not readable as an image ({told}); use a whole PNG or JPEG"
        ) from error


def open_picture(data: bytes | Path, limits: Limits = LIMITS) -> Image.Image:
    """An image from bytes or a file, its size checked before any pixel is decoded."""
    with reading():
        picture = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data)
    need_pixels("picture", picture.width, picture.height, limits)
    return picture


def pixels_of(picture: Image.Image) -> np.ndarray:
    """The pixels of an opened image that was made here, uint8 [h, w, 3]."""
    with reading():
        return np.asarray(picture.convert("RGB"))


def read_picture(data: bytes, size: tuple[int, int], limits: Limits = LIMITS) -> np.ndarray:
    """Any picture -> uint8 [h, w, 3] of the model's size (height, width).

    See `nar_core.fit`; of an animated one the first frame counts.
    """
    picture = open_picture(data, limits)
    with reading():
        return fit(picture, size)
