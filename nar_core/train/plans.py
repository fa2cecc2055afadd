"""Which growths a step of training shows: plans of their own, whole or only their first cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..plan import GridShape, Order, distances_from, fan_in_of, levels_of
from .config import GeneratorTraining, Growths


@dataclass(frozen=True, eq=False)
class GrowthPlan:
    """The plan of one sample, drawn at random.

    Attributes:
        levels: int64 [N]; known: bool [N].
        seed_position: (t, h, w).
    """

    grid: GridShape
    levels: np.ndarray
    known: np.ndarray
    seed_position: tuple[int, int, int]
    order: Order = "neighbours"

    @property
    def goes_on(self) -> bool:
        """Whether whole slices of a clip are known: growth then goes on from pictures."""
        slices = self.known.reshape(self.grid.t, -1)
        return self.grid.t > 1 and bool(slices.all(1).any())


@dataclass(frozen=True, eq=False)
class PlanBatch:
    """Plans of B samples as the transformer takes them.

    Attributes:
        levels: int64 [B, N]; fan_in: int64 [B, N, 6]; known: bool [B, N].
        seeds: flat seed positions, int64 [B].
    """

    levels: Tensor
    fan_in: Tensor
    known: Tensor
    seeds: Tensor

    @classmethod
    def of(cls, plans: Sequence[GrowthPlan], directions: tuple[str, ...]) -> PlanBatch:
        """Plans over one grid, for a model with heads of these directions."""
        fan_in = [fan_in_of(p.grid, p.levels, p.known, directions, p.order) for p in plans]
        seeds = [np.ravel_multi_index(p.seed_position, p.grid) for p in plans]
        return cls(
            torch.from_numpy(np.stack([p.levels for p in plans])),
            torch.from_numpy(np.stack(fan_in)),
            torch.from_numpy(np.stack([p.known for p in plans])),
            torch.from_numpy(np.array(seeds)),
        )


def plan_from(
    grid: GridShape,
    seed_position: tuple[int, int, int],
    known: np.ndarray | None = None,
    order: Order = "neighbours",
) -> GrowthPlan:
    """The plan from a seed position around what is known, bool [N], under "zero" levels."""
    known = np.zeros(grid.cells, bool) if known is None else known
    levels = levels_of(distances_from(grid, seed_position, order), known, "zero")
    return GrowthPlan(grid, levels, known, seed_position, order)


def slice_plan(grid: GridShape, seed_position: tuple[int, int, int]) -> GrowthPlan:
    """The plan that grows the seed's slice as a picture, and the other slices after it."""
    none = np.zeros(grid.cells, bool)
    apart = np.abs(np.arange(grid.t) - seed_position[0]) * (grid.h + grid.w)
    distances = distances_from(grid, seed_position) + apart.repeat(grid.h * grid.w)
    return GrowthPlan(grid, levels_of(distances, none, "zero"), none, seed_position)


def random_plan(
    grid: GridShape,
    rng: np.random.Generator,
    known_share: float = 0.3,
    corner_share: float = 0.15,
    centre_share: float = 0.15,
) -> GrowthPlan:
    """A random plan.

    Seeds: a corner with chance `corner_share`, half the time the first one; with chance
    `centre_share` the centre; any cell otherwise. With chance `known_share` a box of cells is
    known, or everything but a box; in videos half the time whole slices, mostly the first ones.
    """
    size = np.array(grid)
    kind = rng.random()
    if kind < corner_share:
        seed = np.zeros(3, int) if rng.random() < 0.5 else (size - 1) * rng.integers(0, 2, 3)
    elif kind < corner_share + centre_share:
        seed = size // 2
    else:
        seed = rng.integers(0, size)
    known = np.zeros(grid, bool)
    if rng.random() < known_share:
        extent = np.maximum(1, (size * rng.uniform(0.25, 0.85, 3)).round().astype(int))
        low = rng.integers(0, size - extent + 1)
        slices = grid.t > 1 and rng.random() < 0.5
        if slices:
            extent[1:], low[1:] = size[1:], 0
            if rng.random() < 0.6:
                low[0], extent[0] = 0, rng.integers(1, grid.t) if rng.random() < 0.4 else 1
        box = tuple(slice(a, a + n) for a, n in zip(low, extent, strict=True))
        known[box] = True
        if not slices and rng.random() < 0.5:
            known = ~known
        if known.all() or not known.any():
            known[:] = False
        elif rng.random() < 0.7:
            # Growth mostly starts inside the box: its centre when outpainting, the hole otherwise.
            seed = low + extent // 2
    t, h, w = (int(x) for x in seed)
    return plan_from(grid, (t, h, w), known.reshape(-1))


def plans_for(
    config: GeneratorTraining,
    grid: GridShape,
    growth: Growths,
    rng: np.random.Generator,
    order: Order = "neighbours",
) -> list[GrowthPlan]:
    """A random plan for each sample of a step.

    What is known comes first: a short growth that would hardly reach beyond it knows nothing.
    """
    if config.starts == "corner":
        corner = (0, 0, 0)
        is_part = growth.one_slice and order == "neighbours"  # line by line it comes first anyway
        plan = slice_plan(grid, corner) if is_part else plan_from(grid, corner, None, order)
        return [plan] * growth.batch

    def drawn(known_share: float) -> GrowthPlan:
        return random_plan(grid, rng, known_share, config.corner_share, config.centre_share)

    if growth.one_slice:
        return [slice_plan(grid, drawn(0.0).seed_position) for _ in range(growth.batch)]
    plans = [drawn(config.known_share) for _ in range(growth.batch)]
    most = grid.cells if growth.cells == grid.cells else growth.cells // 2
    return [p if p.known.sum() <= most else drawn(0.0) for p in plans]


def growth_of(config: GeneratorTraining, grid: GridShape, step: int) -> Growths:
    """What the samples of a step grow, no more cells than there are.

    Alike in all processes, since each waits for the slowest.
    """
    if not config.growths:
        return Growths(grid.cells, config.batch or 1, 1.0)
    share = np.array([g.share for g in config.growths])
    rng = np.random.default_rng((config.seed, step, 1))
    chosen = config.growths[rng.choice(len(share), p=share / share.sum())]
    most = grid.h * grid.w if chosen.one_slice else grid.cells
    return replace(chosen, cells=min(chosen.cells, most))


def samples_of(config: GeneratorTraining, grid: GridShape, steps: int) -> int:
    """How many growths the first `steps` steps have shown to each process."""
    return sum(growth_of(config, grid, step).batch for step in range(steps))


def first_cells(n: int, tokens: Tensor, levels: Tensor, fan_in: Tensor) -> tuple[Tensor, ...]:
    """The first `n` cells of each row's decoding order, as `NARTransformer.forward` takes them.

    Args:
        tokens, levels: int64 [B, N] in raster order; fan_in: int64 [B, N, 6].

    Returns:
        tokens [B, n], levels [B, n], fan-in [B, n, 6] and the cells' flat indices [B, n].
    """
    cells = levels.argsort(dim=1, stable=True)[:, :n]
    place = torch.full_like(levels, -1).scatter_(1, cells, torch.arange(n).expand_as(cells))
    fan_in = fan_in.gather(1, cells[..., None].expand(-1, -1, fan_in.shape[-1]))
    found = place.gather(1, fan_in.clamp(min=0).flatten(1)).view_as(fan_in)
    fan_in = torch.where(fan_in >= 0, found, -1)
    return tokens.gather(1, cells), levels.gather(1, cells), fan_in, cells
