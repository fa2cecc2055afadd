"""Pictures from outside, within limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..picture import IMAGE, fit, open_picture, reading_picture
from .limits import LIMITS, MAX_SCANS, Limits, need_pixels

TILE_SIZE = (322, 323)
"""The TIFF tags of a tile's width and length."""


def open_within(data: bytes | Path, limits: Limits = LIMITS, wanted: str = IMAGE) -> Image.Image:
    """An image from bytes or a file, its size checked before any pixel is decoded."""
    picture = open_picture(data, wanted=wanted)
    need_pixels("picture", picture.width, picture.height, limits)
    with reading_picture(data):
        width, height = _tile(picture)
    need_pixels("picture", width, height, limits, part="a tile of ")
    if picture.format in ("JPEG", "MPO"):
        _need_few_scans(data)
    return picture


def _tile(picture: Image.Image) -> tuple[int, int]:
    """Width and height of what is unpacked at once of a TIFF, however small the picture is."""
    if not isinstance(picture, TiffImageFile):
        return picture.size
    width, height = (int(picture.tag_v2.get(tag, 1)) for tag in TILE_SIZE)
    return width, height


def _need_few_scans(data: bytes | Path) -> None:
    """Raise ValueError for a JPEG in which the whole picture is gone through again and again.

    The marker of a scan stands nowhere in its pixels, and by chance hardly ever in its texts.
    """
    data = data if isinstance(data, bytes) else data.read_bytes()
    scans = data.count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise ValueError(
            f"picture: got a JPEG of {scans} scans, expected at most {MAX_SCANS}; save it anew"
        )


def read_picture(data: bytes, size: tuple[int, int], limits: Limits = LIMITS) -> np.ndarray:
    """Any picture -> uint8 [h, w, 3] of the model's size (height, width).

    See `nar_core.fit`; of an animated one the first frame counts.
    """
    picture = open_within(data, limits)
    with reading_picture(data):
        return fit(picture, size)
