"""Where things stand in a scene of a world, which a prompt leaves open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .models.condition import ConditionConfig
from .models.transformer import NARTransformer
from .plan import GridShape, coordinates, distances_from, fan_in_of, levels_of
from .worlds.world import Facts, World

COMPARED = 4096  # cells, of all ways together, that it is asked of how well these explain them
CLEARLY = 3.0  # nats by which another arrangement must explain better what is there


def told(world: World, facts: Facts, form: ConditionConfig) -> list[int]:
    """Facts as ids for a model: of as many slots as it has and, where it is told, of cells."""
    cells = world.cells(facts).ravel().tolist() if form.told else []
    return [*world.encode(facts)[: form.slots], *cells]


def settled(
    world: World,
    prompts: Sequence[str],
    rng_seeds: Sequence[int] | None,
    model: NARTransformer,
    there: Tensor | None = None,
) -> list[list[int]]:
    """Facts of each prompt as ids for the model, what it leaves open settled by the rng seed.

    Rng seeds in a row take one arrangement after another, so that variations differ.

    Args:
        prompts, rng_seeds: one for each row; without rng seeds what is open stays so.
        there: tokens [B, N], -1 where unknown, that are there already. Then the arrangement of the
            rng seed is taken unless another one clearly led to them, or none: a branch keeps what
            has been begun, and a picture from elsewhere is not arranged anew.
    """
    config, rows = model.config.condition, []
    for i, prompt in enumerate(prompts):
        facts = world.understand(prompt).facts
        if facts is None:
            rows.append([-1] * (config.slots + model.config.grid.cells * config.told))
            continue
        if rng_seeds is None:
            rows.append(told(world, facts, config))
            continue
        if there is None or not bool((there[i] >= 0).any()):
            ways = world.arrangements(facts)
            rows.append(told(world, ways[rng_seeds[i] % len(ways)], config))
            continue
        leads = [told(world, way, config) for way in (*world.leads(facts, rng_seeds[i]), facts)]
        rows.append(_led(model, leads, there[i]))
    return rows


@torch.inference_mode()
def _led(model: NARTransformer, ways: list[list[int]], there: Tensor) -> list[int]:
    """The facts that led to known tokens [N], as if these had grown from their first cell.

    Of many ways only those tokens are compared that are nearest to what is not known.
    """
    if len({tuple(way) for way in ways}) == 1:
        return ways[0]
    grid, device = model.config.grid, there.device
    cells = _border((there >= 0).cpu().numpy(), grid, COMPARED // len(ways))
    t, h, w = (int(x) for x in np.unravel_index(cells[0], grid))
    unknown = np.zeros(grid.cells, bool)
    config = model.config
    levels = levels_of(distances_from(grid, (t, h, w), config.order), unknown, "zero")
    senders = fan_in_of(grid, levels, unknown, config.directions, config.order)[cells]
    place = np.full(grid.cells, -1)
    place[cells] = np.arange(len(cells))
    senders = np.where(senders >= 0, place[senders], -1)
    told = torch.from_numpy((senders >= 0).any(-1)).to(device)
    index = torch.from_numpy(cells).to(device)
    rows = there[index].expand(len(ways), -1)
    logits = model(
        torch.tensor(ways, device=device),
        rows,
        torch.from_numpy(levels[cells]).to(device),
        torch.from_numpy(senders).to(device),
        torch.full((len(ways),), int(cells[0]), device=device),
        index.expand(len(ways), -1),
    )
    nats = F.cross_entropy(logits.float().transpose(1, 2), rows, reduction="none")
    nats = (nats * told).sum(1)
    best = int(nats.argmin())
    return ways[best if nats[best] < nats[0] - CLEARLY else 0]


def _border(known: np.ndarray, grid: GridShape, most: int) -> np.ndarray:
    """At most so many known cells of bool [N], ascending: those nearest to the unknown ones."""
    cells, place = known.nonzero()[0], coordinates(grid)
    if len(cells) <= most or known.all():
        return cells[:most]
    away = np.abs(place[cells][:, None] - place[~known][None]).sum(-1).min(1)
    return np.sort(cells[np.argsort(away, kind="stable")[:most]])
