"""Pictures wider than a model's grid: windows that overlap what has grown (paper, outpainting)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .engine import Engine
from .request import Request


def panorama(
    engine: Engine, request: Request, columns: int, middle: np.ndarray | None = None
) -> np.ndarray:
    """Grow a window, then ever further ones to both sides, half a grid apart.

    Args:
        request: of the first window; the others ask for the same with rng seeds of their own.
        columns: how many cells wide it becomes, at least as many as the grid.
        middle: tokens int64 [B, 1, H, W] that stand in the first window's place.

    Returns:
        Tokens int64 [B, 1, H, columns].
    Raises ValueError for a clip model, for fewer columns and for what is not even.
    """
    grid = engine.info.grid
    if grid.t != 1:
        raise ValueError(f"panorama: got {engine.info.name}, expected a model of pictures")
    if columns < grid.w:
        raise ValueError(f"columns: got {columns}, expected {grid.w} or more")
    if middle is None:
        middle = engine.generate_all(request).tokens
    wide = np.full((len(middle), 1, grid.h, columns), -1, np.int64)
    first = (columns - grid.w) // 2
    wide[..., first : first + grid.w] = middle
    for number, left in enumerate(_windows(first, columns, grid.w), 1):
        window = slice(left, left + grid.w)
        there = wide[..., window]
        known = np.flatnonzero((there[0, 0] >= 0).all(0))
        nearest = int(known[np.abs(known - grid.w // 2).argmin()])
        further = replace(
            request,
            known=there,
            num_samples=len(there),
            seed_position=(0, grid.h // 2, nearest),
            rng_seed=(request.rng_seed or 0) + number * len(there),
        )
        wide[..., window] = engine.generate_all(further).tokens
    return wide


def _windows(first: int, columns: int, width: int) -> Iterator[int]:
    """Left columns of the windows to the right of the first, and then of those to the left."""
    last = columns - width
    for left in range(first, last, width // 2):
        yield min(left + width // 2, last)
    for left in range(first, 0, -(width // 2)):
        yield max(left - width // 2, 0)


def decode_wide(engine: Engine, tokens: np.ndarray) -> np.ndarray:
    """Tokens int64 [B, 1, H, columns] to pixels uint8 [B, height, width, 3].

    Windows half a grid apart are decoded and fade into each other, so that no seam is seen where
    the decoder has not looked beyond a window.
    """
    grid = engine.info.grid
    columns, cell = tokens.shape[-1], engine.info.size[1] // grid.w
    lefts = sorted({*range(0, columns - grid.w + 1, max(1, grid.w // 2)), columns - grid.w})
    width = grid.w * cell
    ramp = np.minimum(np.arange(width) + 0.5, width - np.arange(width) - 0.5)
    weight = np.minimum(ramp / (width / 2), 1)[:, None] ** 2
    total = np.zeros((len(tokens), engine.info.size[0], columns * cell, 3))
    share = np.zeros((columns * cell, 1))
    for left in lefts:
        pixels = engine.decode(tokens[..., left : left + grid.w])[:, 0]
        place = slice(left * cell, left * cell + width)
        total[:, :, place] += pixels * weight
        share[place] += weight
    return (total / share).round().astype(np.uint8)
