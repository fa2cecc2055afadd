"""What stands in each cell of a view, as ids that a model can be told cell by cell.

Of each quarter of a cell what most of it shows: sky, a kind of ground or plant, or water and what
it mirrors. Of the cell how far that is, how white and how lit it is, and what its sky holds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from .ground import Kind
from .scene import SKY, WATER, WATER_SKY

CELL = 8
QUARTERS = 4  # upper left, upper right, lower left, lower right
TOLD = QUARTERS + 3
_SHOWN = 2 * (1 + len(Kind))  # sky and kinds, seen and mirrored
_FAR, _WHITE, _LIT, _CLOUDS = 8, 3, 4, 4
_PARTS = (*(_SHOWN,) * QUARTERS, _FAR, _WHITE * _LIT, 2 * _CLOUDS)
_FIRST = np.cumsum((0, *_PARTS[:-1]))
PARTS = sum(_PARTS)

_NEAREST = 8.0  # distance up to which all is near
_WHITE_FROM, _LIT_FROM, _CLOUDS_FROM = (0.2, 0.6), (0.15, 0.4, 0.7), (0.08, 0.35, 0.7)
_SOME = 0.25  # share of a cell that must be land, or sky, for anything to be told of it


class View:
    """One look at a land: its picture, and what is told of its cells, once it is asked for.

    Args:
        look: makes both, uint8 [128, 128, 3] and int64 [256, 7].
    """

    def __init__(self, look: Callable[[], tuple[np.ndarray, np.ndarray]]):
        self._look = look

    @cached_property
    def _seen(self) -> tuple[np.ndarray, np.ndarray]:
        return self._look()

    @property
    def picture(self) -> np.ndarray:
        """uint8 [128, 128, 3]."""
        return self._seen[0]

    @property
    def cells(self) -> np.ndarray:
        """int64 [256, 7], -1 where there is nothing of the kind."""
        return self._seen[1]


def ids_of(
    pixels: np.ndarray, white: np.ndarray, lit: np.ndarray, clouds: np.ndarray, disc: np.ndarray
) -> np.ndarray:
    """Ids int64 [h, w, 7] of the cells of a view.

    Args:
        pixels: of a `Scene`, at twice the size of the picture.
        white, lit: how white with snow and how lit they are, 0 to 1, likewise.
        clouds: how much of the sky they cover, 0 to 1, at the size of the picture.
        disc: whether sun or moon is there, likewise.
    """
    layer = pixels["layer"]
    h, w = (n // (2 * CELL) for n in layer.shape)
    shown = np.where((layer == SKY) | (layer == WATER_SKY), 0, 1 + pixels["kind"].astype(int))
    shown += (layer >= WATER) * (1 + len(Kind))
    block = np.arange(2 * h)[:, None] * 2 * w + np.arange(2 * w)
    block = block.repeat(CELL, 0).repeat(CELL, 1)
    counts = np.bincount((block * _SHOWN + shown).ravel(), minlength=4 * h * w * _SHOWN)
    most = counts.reshape(h, 2, w, 2, _SHOWN).argmax(-1).swapaxes(1, 2).reshape(h, w, QUARTERS)

    land = (layer != SKY) & (layer != WATER_SKY)
    share = _means(land, 2 * CELL)
    amount = np.maximum(share, 1e-6)
    near = np.maximum(pixels["near"].astype(np.float32), _NEAREST)
    away = _means(np.log2(near / _NEAREST) * land, 2 * CELL) / amount
    far = np.clip(away * 1.5, 0, _FAR - 1).astype(int)
    snow = np.digitize(_means(white * land, 2 * CELL) / amount, _WHITE_FROM)
    light = np.digitize(_means(lit * land, 2 * CELL) / amount, _LIT_FROM)
    face = snow * _LIT + light
    heaven = np.digitize(_means(clouds, CELL), _CLOUDS_FROM)
    heaven += _CLOUDS * (_means(disc, CELL) > 0)

    there, above = share > _SOME, _means(layer == SKY, 2 * CELL) > _SOME
    told = np.dstack([most, np.where(there, [far, face], -1).transpose(1, 2, 0)])
    told = np.dstack([told, np.where(above, heaven, -1)])
    return np.where(told < 0, -1, told + _FIRST)


def mirrored(ids: np.ndarray) -> np.ndarray:
    """Those [h, w, 7] of the mirror image."""
    inner = np.where(ids < 0, -1, ids - _FIRST)[:, ::-1, [1, 0, 3, 2, 4, 5, 6]]
    return np.where(inner < 0, -1, inner + _FIRST)


def nothing() -> np.ndarray:
    """Cells of which nothing is told, int64 [256, 7]."""
    return np.full(((128 // CELL) ** 2, TOLD), -1)


def _means(field: np.ndarray, side: int) -> np.ndarray:
    """Of each square of `side` pixels."""
    h, w = (n // side for n in field.shape)
    return field.reshape(h, side, w, side).mean((1, 3), dtype=np.float32)
