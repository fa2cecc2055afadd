"""What stands in each cell of a scene, as ids that a model can be told cell by cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from .colours import COLOURS
from .objects import OBJECTS
from .scene import CELL, WORN, Thing

TOLD = 4  # ids of each cell: size and turn, place within the thing, colour and what is worn, noun
_WIDE, _HIGH = 12, 16  # cells of the largest thing, what stands out above its box counted
_SIZES, _TURNS = 12, 4
_LOOKS = (1 + len(COLOURS)) * (1 + len(WORN))
_INSIDE = _SIZES * _TURNS
_LOOK = _INSIDE + _WIDE * _HIGH
_NOUN = _LOOK + _LOOKS  # last, since new nouns are appended
PARTS = _NOUN + len(OBJECTS)

_COLOUR = {name: i for i, name in enumerate(("", *COLOURS))}
_WORN = {name: i for i, name in enumerate(("", *WORN))}
_NUMBER = {o.noun: i for i, o in enumerate(OBJECTS)}


def nothing(*shape: int) -> np.ndarray:
    """Cells in which nothing stands, int64 [*shape, 4]."""
    return np.full((*shape, TOLD), -1)


class Shown(NamedTuple):
    """A thing as it is painted: its picture, where that begins in pixels, cells of size, turns.

    Turns are quarters of one, to the right.
    """

    image: Image.Image
    x: int
    y: int
    size: int
    turns: int = 0


def mark(cells: np.ndarray, thing: Thing, shown: Shown) -> None:
    """Write a thing over what stood behind it, into cells int64 [h, w, 4]."""
    image, x, y, size, turns = shown
    wide, high = image.size
    left, top = x // CELL, y // CELL
    columns = slice(max(0, left), max(0, min(cells.shape[1], -(-(x + wide) // CELL))))
    rows = slice(max(0, top), max(0, min(cells.shape[0], -(-(y + high) // CELL))))
    part = cells[rows, columns]
    down = np.arange(rows.start, rows.start + part.shape[0]) - top
    right = np.arange(columns.start, columns.start + part.shape[1]) - left
    part[..., 0] = (size - 1) * _TURNS + turns
    part[..., 1] = _INSIDE + down[:, None] * _WIDE + right
    part[..., 2] = _LOOK + _COLOUR[thing.colour] * len(_WORN) + _WORN[thing.worn]
    part[..., 3] = _NOUN + _NUMBER[thing.noun]
