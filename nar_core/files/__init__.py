"""Files: what is saved, and what is believed of a file that comes back."""

from __future__ import annotations

import numpy as np

from ..foreign import parse
from .clip import FORMATS, clip_bytes, is_mp4, read_mp4, recipes_in
from .growth import growth_gif
from .limits import LIMITS, MAX_PARTS, Limits, room
from .picture import open_within, read_picture
from .png import is_whole, jpeg_bytes, png_bytes, read_png, recipe_in, sheet
from .recipe import (
    AS_DOWNLOADED,
    MAX_SAMPLES,
    Recipe,
    Verdict,
    alone,
    label_of,
    need_told,
    recipe_from,
    recipe_of,
    request_of,
    steps_of,
    verdict,
)
from .values import (
    bytes_of,
    confidence_bytes,
    confidence_of,
    text_of,
    token_words,
    tokens_of,
)
from .wide import Wide, read_wide, wide_bytes

__all__ = [
    "FORMATS",
    "LIMITS",
    "MAX_PARTS",
    "MAX_SAMPLES",
    "Limits",
    "Recipe",
    "Verdict",
    "Wide",
    "alone",
    "bytes_of",
    "clip_bytes",
    "confidence_bytes",
    "confidence_of",
    "growth_gif",
    "holds_more",
    "is_mp4",
    "jpeg_bytes",
    "label_of",
    "need_told",
    "open_within",
    "png_bytes",
    "read_file",
    "read_picture",
    "read_png",
    "read_recipe",
    "read_wide",
    "recipe_of",
    "request_of",
    "room",
    "sheet",
    "steps_of",
    "text_of",
    "token_words",
    "tokens_of",
    "verdict",
    "wide_bytes",
]


def read_file(data: bytes, limits: Limits = LIMITS) -> tuple[Recipe, np.ndarray]:
    """A file made here -> its recipe and frames, uint8 [F, h, w, 3]; ValueError if it is none."""
    return read_mp4(data, limits) if is_mp4(data) else read_png(data, limits)


def holds_more(data: bytes, limits: Limits = LIMITS) -> bool:
    """Whether a file made here shows more growths than the last, which is all that is read of it.

    Raises ValueError as `read_file`.
    """
    if is_mp4(data):
        return len(recipes_in(data, limits)) > 1
    return is_whole(open_within(data, limits))


def read_recipe(
    data: bytes,
    wanted: str = "a PNG, GIF or MP4 made here, or a recipe as JSON; name one of these",
) -> Recipe:
    """The recipe alone of a PNG, a GIF, an MP4 (its last growth), or of a JSON text.

    Args:
        wanted: what is expected of what is none of these, and what to do.
    """
    if is_mp4(data):
        return recipes_in(data)[-1]
    # behind the marks of an encoding, which `parse` reads
    if data[:40].lstrip(b"\xef\xbb\xbf\xfe\xff\0 \t\r\n")[:1] == b"{":
        return recipe_from(parse(data, "recipe", AS_DOWNLOADED))
    return recipe_in(open_within(data, wanted=wanted))
