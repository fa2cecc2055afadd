"""A thing alone on a plain ground, drawn as large as those that a model's clips show.

A clip that begins with a picture moves what stands in it. Of a thing larger than any it has learnt,
or beside its grid, a model makes nothing; so such a picture is drawn anew before it is encoded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .info import ModelInfo
from .picture import as_picture, eight_bits, fit, on_white, turn_of
from .words import Box, box_alone

LARGE = 1024
"""Pixels of a longer side from which a picture is made smaller first."""

LOOKED_AT = 256
"""Pixels of a longer side in which a thing is looked for."""

PLAIN = 40
"""Of 255: what differs less is ground."""

SMALLEST, LARGEST = 0.1, 0.85
"""Of the picture's longer side; what is larger are several things, or a scene."""

SAME = 0.05
"""What is as large already keeps its pixels."""


@dataclass(frozen=True)
class Subject:
    """A thing in the pixels that were looked at, and the colour of its ground."""

    x: int
    y: int
    wide: int
    high: int
    ground: tuple[int, int, int]


def framed(
    info: ModelInfo, picture: Image.Image | np.ndarray, box: Box | None = None
) -> np.ndarray | None:
    """A picture of a thing alone as a clip of the model begins with it, uint8 [h, w, 3].

    The thing is as large as the model's own and lies on its grid; the rest is its ground.

    Args:
        picture: of any mode, or pixels uint8 [h, w, 3 or 4].
        box: where it stands, see `words.box_alone`; without, in the middle.

    Returns:
        None where there is no such thing: of several colours is the ground, or nothing, something
        too small or too large stands there, or things have no size in the model's world.
    """
    box = box or box_alone(info)
    if box is None:
        return None
    whole = _upright(as_picture(picture))
    looked = _smaller(whole, LOOKED_AT)
    subject = subject_of(np.asarray(looked))
    if subject is None:
        return None
    (height, width), cell = info.size, info.size[1] // info.grid.w
    scale, x, y = place_of(subject, cell, box)
    out = Image.new("RGB", (width, height), subject.ground)
    # whole pixels of what comes out, and what of the picture lies in them
    left, top = (int(np.ceil(max(0, at))) for at in (x, y))
    right = int(min(width, x + looked.width * scale))
    bottom = int(min(height, y + looked.height * scale))
    across, down = whole.width / (looked.width * scale), whole.height / (looked.height * scale)
    source = (
        max(0.0, (left - x) * across),
        max(0.0, (top - y) * down),
        min(float(whole.width), (right - x) * across),
        min(float(whole.height), (bottom - y) * down),
    )
    size = (right - left, bottom - top)
    if min(size) < 1:  # a ribbon, of which less than a pixel would be left
        return None
    out.paste(whole.resize(size, Image.Resampling.LANCZOS, source), (left, top))
    return np.asarray(out)


def first_frame(info: ModelInfo, picture: Image.Image, box: Box | None = None) -> np.ndarray:
    """A picture as a clip begins with it, uint8 [h, w, 3]: framed, or else as `fit` has it."""
    own = framed(info, picture, box)
    return fit(picture, info.size) if own is None else own


def subject_of(pixels: np.ndarray) -> Subject | None:
    """What stands alone in pixels uint8 [h, w, 3] on a ground of one colour."""
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = np.median(edge, 0).astype(int)
    high, wide = pixels.shape[:2]
    differs = np.abs(pixels.astype(int) - ground).max(-1) > PLAIN
    rows, columns = (np.unique(at) for at in np.nonzero(differs))
    if not len(rows) or rows[0] == 0 or columns[0] == 0:
        return None
    if rows[-1] == high - 1 or columns[-1] == wide - 1:
        return None
    size = int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1
    if not SMALLEST <= max(size) / max(high, wide) <= LARGEST:
        return None
    red, green, blue = (int(c) for c in ground)
    return Subject(int(columns[0]), int(rows[0]), *size, (red, green, blue))


def place_of(subject: Subject, cell: int, box: Box) -> tuple[float, float, float]:
    """How large the picture of a subject is drawn, and where its upper left corner lies, in pixels.

    Args:
        cell: pixels of a cell of the grid.
    """
    column, row, cells = box
    wanted = cells * cell / max(subject.wide, subject.high)
    scale = 1.0 if abs(wanted - 1) < SAME else wanted

    def corner(first: int, at: int, length: int) -> float:
        # on pixels that stay, cells lie where they lay
        begins = at // cell * cell if scale == 1 else at * scale
        covered = min(cells, int(np.ceil(((at + length) * scale - begins) / cell - 1e-6)))
        return (first + (cells - covered) // 2) * cell - begins

    return (
        scale,
        corner(column, subject.x, subject.wide),
        corner(row, subject.y, subject.high),
    )


def _smaller(picture: Image.Image, longest: int) -> Image.Image:
    """A picture of eight bits whose longer side has at most so many pixels."""
    share = longest / max(picture.size)
    if share >= 1:
        return picture
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3)


def _upright(picture: Image.Image) -> Image.Image:
    """A picture of any mode in RGB, turned as its camera says, and no larger than is needed."""
    plain, turn = eight_bits(picture), turn_of(picture)
    small = _smaller(plain, LARGE)
    return on_white(small if turn is None else small.transpose(turn))
