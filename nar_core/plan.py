"""The decoding plan: which cell is decoded when, and who predicts it. Pure numpy.

Everything here follows next-neighbour prediction (arXiv 2503.10696, sections 3.1 and 3.2),
generalised from the upper-left token to any seed position and any known set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

DIRECTIONS = ("+w", "-w", "+h", "-h", "+t", "-t")
"""Sender to cell: a `+w` head predicts the cell to the right. The column order of every fan-in."""

OFFSETS = np.array([(0, 0, 1), (0, 0, -1), (0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0)])
"""The step (t, h, w) from sender to cell, one row per direction."""

KnownLevel = Literal["zero", "distance"]

Order = Literal["neighbours", "raster"]
"""Outward from the seed position, or one cell after the other, line by line: next-token prediction,
which is here to be compared with. There every cell is a front of its own, and its sender by the
`+w` head is the cell before it, which at the beginning of a line is no neighbour."""


class GridShape(NamedTuple):
    """Shape of a token grid; a picture has t = 1."""

    t: int
    h: int
    w: int

    @property
    def cells(self) -> int:
        return self.t * self.h * self.w

    def slice_of_frame(self, frames: int) -> tuple[int, ...]:
        """Which slice each of `frames` pixel frames belongs to; slices share them evenly."""
        return tuple(f * self.t // frames for f in range(frames))


@dataclass(frozen=True, eq=False)
class DecodeStep:
    """One front.

    Attributes:
        positions: flat indices decoded in this step, int64 [n], ascending.
        fan_in: flat index of each cell's sender per direction, or -1, int64 [n, 6].
    """

    positions: np.ndarray
    fan_in: np.ndarray


@dataclass(frozen=True, eq=False)
class DecodePlan:
    """A whole decoding order; N is the number of cells, in raster order (t, h, w).

    Attributes:
        known: bool [N], cells whose tokens are given.
        distances: Manhattan distance to the seed position, int64 [N].
        levels: a cell sees the condition and every cell of its own or a lower level, int64 [N].
        fan_in: senders of every unknown cell, int64 [N, 6], -1 where there is none.
        steps: the fronts that hold unknown cells, in decoding order.
    """

    grid: GridShape
    seed_position: tuple[int, int, int]
    known: np.ndarray
    distances: np.ndarray
    levels: np.ndarray
    fan_in: np.ndarray
    steps: tuple[DecodeStep, ...]

    @property
    def total(self) -> int:
        """Number of decoding steps."""
        return len(self.steps)

    def written(self, step: int) -> np.ndarray:
        """The cells that are known or were decoded up to a step, bool [T, H, W]."""
        out = self.known.copy()
        for earlier in self.steps[:step]:
            out[earlier.positions] = True
        return out.reshape(self.grid)


@lru_cache(maxsize=64)
def coordinates(grid: GridShape) -> np.ndarray:
    """(t, h, w) of every cell in raster order, int64 [N, 3], read-only."""
    out = np.stack(np.unravel_index(np.arange(grid.cells), grid), 1)
    out.flags.writeable = False
    return out


@lru_cache(maxsize=64)
def neighbours(grid: GridShape, order: Order = "neighbours") -> np.ndarray:
    """Flat index of who may send in each direction, or -1, int64 [N, 6], read-only.

    That is the cell one step against the direction; in raster order, by `+w`, the cell before.
    """
    at = coordinates(grid)[:, None] - OFFSETS
    inside = np.all((at >= 0) & (at < np.array(grid)), -1)
    at = np.where(inside[..., None], at, 0)
    out = np.where(inside, np.ravel_multi_index(tuple(np.moveaxis(at, -1, 0)), grid), -1)
    if order == "raster":
        out[:, DIRECTIONS.index("+w")] = np.arange(grid.cells) - 1
    out.flags.writeable = False
    return out


def distances_from(
    grid: GridShape, seed_position: tuple[int, int, int], order: Order = "neighbours"
) -> np.ndarray:
    """Manhattan distance of every cell to the seed position, int64 [N].

    In raster order the number of cells it comes after the seed, those before it coming last.
    """
    if order == "raster":
        seed = int(np.ravel_multi_index(seed_position, grid))
        return (np.arange(grid.cells) - seed) % grid.cells
    return np.abs(coordinates(grid) - np.array(seed_position)).sum(-1)


def levels_of(distances: np.ndarray, known: np.ndarray, known_level: KnownLevel) -> np.ndarray:
    """Levels, int64 [N].

    "zero" puts the known set in front of everything, and the fronts that are left count from 1.
    "distance" leaves every cell, known or not, at its own distance plus one: right for checkpoints
    that never saw known cells early.
    """
    if known_level == "distance":
        return distances + 1
    fronts = np.unique(distances[~known])
    return np.where(known, 0, np.searchsorted(fronts, distances) + 1)


def fan_in_of(
    grid: GridShape,
    levels: np.ndarray,
    known: np.ndarray,
    directions: tuple[str, ...] = DIRECTIONS,
    order: Order = "neighbours",
) -> np.ndarray:
    """Senders of every unknown cell: its neighbours of lower level, int64 [N, 6], -1 for none."""
    senders = neighbours(grid, order)
    usable = (senders >= 0) & (levels[senders] < levels[:, None]) & ~known[:, None]
    usable &= np.array([d in directions for d in DIRECTIONS])
    return np.where(usable, senders, -1)


def _as_known(grid: GridShape, known: np.ndarray | None) -> np.ndarray:
    if known is None:
        return np.zeros(grid.cells, bool)
    known = np.asarray(known, bool)
    if known.size != grid.cells:
        raise ValueError(f"known set: got shape {known.shape}, expected {tuple(grid)}")
    return known.reshape(-1)


def _stranded(fan_in: np.ndarray, known: np.ndarray, seed: int) -> np.ndarray:
    """Unknown cells that nobody predicts, bool [N]; a lone seed is predicted by the condition."""
    out = (fan_in < 0).all(-1) & ~known
    out[seed] = False
    return out


def make_plan(
    grid: GridShape,
    seed_position: tuple[int, int, int],
    known: np.ndarray | None = None,
    directions: tuple[str, ...] = DIRECTIONS,
    known_level: KnownLevel = "zero",
    order: Order = "neighbours",
) -> DecodePlan:
    """Plan the growth of everything unknown, outward from the seed position.

    Args:
        grid: shape of the token grid.
        seed_position: (t, h, w) where growth starts; it may lie in the known set.
        known: bool [T, H, W] or [N], cells whose tokens are given.
        directions: the directions the checkpoint has heads for.
        known_level: see `levels_of`. order: see `Order`.

    Raises:
        ValueError: the seed position lies outside the grid, nothing is left to decode, or a cell
            cannot be reached with these directions (the message names legal seed positions).
    """
    grid = GridShape(*grid)
    if len(seed_position) != 3 or not all(
        0 <= p < n for p, n in zip(seed_position, grid, strict=True)
    ):
        raise ValueError(
            f"seed position: got {tuple(seed_position)}, expected (t, h, w) inside the grid "
            f"{tuple(grid)}"
        )
    t, h, w = (int(x) for x in seed_position)
    seed_position = t, h, w
    known = _as_known(grid, known)
    if known.all():
        raise ValueError(
            "known set: got every cell, expected at least one to grow; leave some of them out"
        )
    distances = distances_from(grid, seed_position, order)
    levels = levels_of(distances, known, known_level)
    fan_in = fan_in_of(grid, levels, known, directions, order)
    stranded = _stranded(fan_in, known, int(np.ravel_multi_index(seed_position, grid)))
    if stranded.any():
        raise ValueError(
            f"seed position: got {seed_position}, from which {int(stranded.sum())} cells cannot be "
            f"reached with the directions {' '.join(directions)}; "
            f"legal: {_listing(legal_seed_positions(grid, directions, known, known_level, order))}"
        )
    steps = []
    for level in np.unique(levels[~known]):
        positions = np.flatnonzero((levels == level) & ~known)
        steps.append(DecodeStep(positions, fan_in[positions]))
    return DecodePlan(grid, seed_position, known, distances, levels, fan_in, tuple(steps))


def legal_seed_positions(
    grid: GridShape,
    directions: tuple[str, ...] = DIRECTIONS,
    known: np.ndarray | None = None,
    known_level: KnownLevel = "zero",
    order: Order = "neighbours",
) -> np.ndarray:
    """Where growth may start so that every unknown cell has a sender, bool [T, H, W]."""
    grid = GridShape(*grid)
    known = _as_known(grid, known)
    if order == "neighbours" and set(directions) >= {
        d for d, n in zip(DIRECTIONS, np.repeat(grid[::-1], 2), strict=True) if n > 1
    }:
        return np.ones(grid, bool)  # with every head, some neighbour is always nearer to the seed
    legal = np.zeros(grid.cells, bool)
    for seed, position in enumerate(coordinates(grid)):
        levels = levels_of(distances_from(grid, tuple(position), order), known, known_level)
        fan_in = fan_in_of(grid, levels, known, directions, order)
        legal[seed] = not _stranded(fan_in, known, seed).any()
    return legal.reshape(grid)


def start_amid(known: np.ndarray) -> tuple[int, int, int]:
    """Where growth starts unless it is said: in the middle of what is known, or of a hole in it.

    It is a hole where what is known reaches from end to end of the grid and what is not does not.

    Args:
        known: bool [T, H, W], at least one cell of it.
    """
    is_hole = _is_wide(known) and not known.all() and not _is_wide(~known)
    cells = np.argwhere(~known if is_hole else known)
    middle = (cells.min(0) + cells.max(0) + 1) // 2
    t, h, w = (int(x) for x in cells[np.abs(cells - middle).sum(1).argmin()])
    return t, h, w


def _is_wide(cells: np.ndarray) -> bool:
    """Whether they reach from end to end of the grid along each axis."""
    return bool((np.ptp(np.argwhere(cells), 0) + 1 == cells.shape).all())


def _listing(legal: np.ndarray) -> str:
    """A short description of legal seed positions for an error message."""
    found = [tuple(int(x) for x in row) for row in np.argwhere(legal)]
    if not found:
        return "none for this known set"
    return ", ".join(map(str, found[:4])) + (
        f" and {len(found) - 4} more" if len(found) > 4 else ""
    )


def select_senders(
    fan_in: np.ndarray, levels: np.ndarray, axes: frozenset[str], freshest: bool = False
) -> np.ndarray:
    """Leave out senders where several predictions meet (paper, Table 5), int64 [n, 6].

    Args:
        fan_in: flat indices of senders, -1 for none, int64 [n, 6].
        levels: level of every cell, int64 [N].
        axes: the axes ("w", "h", "t") whose heads are heard; a cell that only others reach still
            hears those.
        freshest: hear only the senders of the highest level among them.
    """
    heard = np.array([d[1] in axes for d in DIRECTIONS]) & (fan_in >= 0)
    heard = np.where(heard.any(-1, keepdims=True), heard, fan_in >= 0)
    if freshest:
        age = np.where(heard, levels[fan_in], -1)
        heard &= age == age.max(-1, keepdims=True)
    return np.where(heard, fan_in, -1)
