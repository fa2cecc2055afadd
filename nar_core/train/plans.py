"""Which growths a step of training shows: plans of their own, whole or only their first cells."""

from __future__ import annotations

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from ..plan import GridShape, distances_from, fan_in_of, levels_of


def random_plan(
    grid: GridShape,
    rng: np.random.Generator,
    known_share: float = 0.3,
    corner_share: float = 0.15,
    centre_share: float = 0.15,
):
    """Levels int64 [N], known bool [N] and seed position of a random plan.

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
    known = known.reshape(-1)
    levels = levels_of(distances_from(grid, tuple(seed)), known, "zero")
    return levels, known, tuple(int(x) for x in seed)


def plans_for(
    config: DictConfig, grid: GridShape, length: int, batch: int, rng: np.random.Generator
) -> list:
    """A random plan for each sample of a step, of which the first `length` cells are grown.

    What is known comes first: a short growth that would hardly reach beyond it knows nothing.
    """
    shares = {k: config[k] for k in ("corner_share", "centre_share") if k in config}
    plans = [random_plan(grid, rng, config.known_share, **shares) for _ in range(batch)]
    most = grid.cells if length == grid.cells else length // 2
    return [p if p[1].sum() <= most else random_plan(grid, rng, 0.0, **shares) for p in plans]


def goes_on(known: np.ndarray, grid: GridShape) -> bool:
    """Whether whole slices of a clip are known, bool [N]: growth then goes on from pictures."""
    return grid.t > 1 and bool(known.reshape(grid.t, -1).all(1).any())


def growth_of(config: DictConfig, grid: GridShape, step: int) -> tuple[int, int]:
    """How many cells each sample of a step grows, and how many samples each process has.

    Alike in all processes, since each waits for the slowest. `config.growths` lists {cells, batch,
    share}; without it every growth is whole. Short growths show many more prompts at the same cost,
    and the prompt is what the first cells are told by.
    """
    growths = config.get("growths")
    if not growths:
        return grid.cells, config.batch
    share = np.array([g.share for g in growths])
    rng = np.random.default_rng((config.seed, step, 1))
    chosen = growths[rng.choice(len(growths), p=share / share.sum())]
    return min(chosen.cells, grid.cells), chosen.batch


def samples_of(config: DictConfig, grid: GridShape, steps: int) -> int:
    """How many growths the first `steps` steps have shown to each process."""
    return sum(growth_of(config, grid, step)[1] for step in range(steps))


def collate_plans(grid: GridShape, plans, directions) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Plans to levels [B, N], fan-in [B, N, 6], known [B, N] and flat seeds [B]."""
    levels = np.stack([p[0] for p in plans])
    known = np.stack([p[1] for p in plans])
    fan_in = np.stack([fan_in_of(grid, p[0], p[1], directions) for p in plans])
    seeds = np.array([np.ravel_multi_index(p[2], grid) for p in plans])
    return tuple(torch.from_numpy(x) for x in (levels, fan_in, known, seeds))


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


def step_weights(levels: Tensor, unknown: Tensor) -> Tensor:
    """Loss weights [B, N] under which every step of a plan counts alike, whatever its front.

    Among equal cells the few early ones would hardly count, yet only they must be told from the
    prompt; later ones are told by their neighbours, and the prompt would go unlearnt.
    """
    sizes = torch.zeros(len(levels), int(levels.max()) + 1, device=levels.device)
    sizes.scatter_add_(1, levels, unknown.float())
    return unknown / sizes.gather(1, levels).clamp(min=1)
