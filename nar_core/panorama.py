"""Pictures wider than a model's grid: windows that overlap what has grown (paper, outpainting).

What has grown goes from window to window as pixels, not as tokens: a tokenizer pads at the edge of
its picture, so a token of the edge means something else in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from .engine import Engine
from .original import keep_pixels
from .picture import fit
from .request import Request
from .settings import RNG_SEED, array_of, whole

WIDEST = 4096  # cells

APART = 1000
"""Between the rng seeds of windows: a world settles alike what a prompt leaves open by both."""


def panorama(
    engine: Engine, request: Request, columns: int, middle: np.ndarray | Image.Image | None = None
) -> np.ndarray:
    """Grow a window, then ever further ones to both sides, half a grid apart.

    Args:
        request: of the first window; the others ask for the same with rng seeds APART.
        columns: how many cells wide it becomes, at least as many as the grid.
        middle: a picture, which is cropped to the model's size, or pixels uint8 [1 or B, height,
            width, 3] that stand in the first window's place, and come back unchanged.

    Returns:
        Pixels uint8 [B, height, columns of cells, 3]. Next to a window that grew later, its
        neighbour fades into it along half of what both show.
    Raises ValueError for a clip model, fewer columns, an rng seed too large for all windows, and
    pixels of another form.
    """
    grid, (height, width) = engine.info.grid, engine.info.size
    cell = width // grid.w
    if grid.t != 1 or grid.w < 2:
        raise ValueError(f"panorama: got {engine.info.name}, expected a model of pictures")
    columns = whole("columns", columns, grid.w, WIDEST)
    if request.resume is not None:
        raise ValueError("resume: got a frame, expected none: a picture this wide begins anew")
    first = (columns - grid.w) // 2
    windows = list(_windows(first, columns, grid.w))
    prepared, highest = engine.prepare(request), int(RNG_SEED.high or 0) - APART * len(windows)
    if prepared.rng_seed > highest:
        raise ValueError(
            f"rng_seed: got {prepared.rng_seed}, expected 0 to {highest} for {columns} columns"
        )
    if middle is not None:
        middle = _several(middle, engine.info.size, prepared.num_samples)
    given = middle
    if middle is None:
        middle = engine.decode(engine.generate_all(request).tokens)[:, 0]
    there = np.zeros(columns, bool)
    wide = np.zeros((len(middle), height, columns * cell, 3), np.uint8)
    there[first : first + grid.w] = True
    wide[:, :, first * cell : (first + grid.w) * cell] = middle
    for number, left in enumerate(windows, 1):
        known = np.flatnonzero(there[left : left + grid.w])
        pixels = slice(left * cell, (left + grid.w) * cell)
        shown = wide[:, :, pixels]
        kept = slice(known[0] * cell, (known[-1] + 1) * cell)
        seen = np.full((len(wide), 1, grid.h, grid.w), -1)
        seen[..., known] = engine.encode(_mirrored(shown, kept)[:, None])[..., known]
        nearest = int(known[np.abs(known - grid.w // 2).argmin()])
        further = replace(
            request,
            known=seen,
            keep=None,
            num_samples=len(wide),
            seed_position=(0, grid.h // 2, nearest),
            rng_seed=prepared.rng_seed + APART * number,  # each sample as in a run of its own
        )
        grown = engine.decode(engine.generate_all(further).tokens)[:, 0]
        share = _fading(width, kept)[:, None]
        wide[:, :, pixels] = (shown * (1 - share) + grown * share).round().astype(np.uint8)
        there[left : left + grid.w] = True
    if given is not None:
        kept = np.zeros(wide.shape[1:3], bool)
        kept[:, first * cell : (first + grid.w) * cell] = True
        for row, picture in zip(wide, given, strict=True):
            original = np.zeros_like(row)
            original[kept] = picture.reshape(-1, 3)
            row[:] = keep_pixels(row, original, kept, cell)
    return wide


def _several(middle: np.ndarray | Image.Image, size: tuple[int, int], n: int) -> np.ndarray:
    """A picture, or pixels uint8 [1 or n, height, width, 3], for each of n samples."""
    if isinstance(middle, Image.Image):
        middle = fit(middle, size)[None]
    pixels = array_of(middle, "middle")
    if pixels.dtype != np.uint8 or pixels.shape not in {(1, *size, 3), (n, *size, 3)}:
        raise ValueError(
            f"middle: got {pixels.dtype} {pixels.shape}, expected a PIL picture, or pixels uint8 "
            f"{(n, *size, 3)}"
        )
    return np.broadcast_to(pixels, (n, *size, 3))


def _windows(first: int, columns: int, width: int) -> Iterator[int]:
    """Left columns of the windows to the right of the first, and then of those to the left."""
    last = columns - width
    for left in range(first, last, width // 2):
        yield min(left + width // 2, last)
    for left in range(first, 0, -(width // 2)):
        yield max(left - width // 2, 0)


def _mirrored(pixels: np.ndarray, kept: slice) -> np.ndarray:
    """Pixels [B, h, w, 3] whose other columns mirror those kept, so that none lies at an edge."""
    known = pixels[:, :, kept]
    around = ((0, 0), (0, 0), (kept.start, pixels.shape[2] - kept.stop), (0, 0))
    return np.pad(known, around, mode="symmetric")


def _fading(width: int, kept: slice) -> np.ndarray:
    """How much of each pixel column is the new window's: 1 outside what was kept, 0 well inside."""
    x = np.arange(width) + 0.5
    inside = np.where(kept.start > 0, x - kept.start, kept.stop - x)
    return 1 - np.clip(inside / ((kept.stop - kept.start) / 2), 0, 1)
