"""Where things stand in a scene of a world, which a prompt leaves open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .models.condition import ConditionConfig
from .models.transformer import NARTransformer
from .plan import distances_from, fan_in_of, levels_of
from .worlds.world import Facts, World

CLEARLY = 3.0  # nats by which another arrangement must explain better what is there


def told(world: World, facts: Facts, form: ConditionConfig) -> list[int]:
    """Facts as ids for a model: of as many slots as it has and, where it is told, of cells."""
    cells = world.cells(facts).ravel().tolist() if form.told else []
    return [*world.encode(facts)[: form.slots], *cells]


def settled(
    world: World,
    prompts: Sequence[str],
    seeds: Sequence[int] | None,
    model: NARTransformer,
    there: Tensor | None = None,
) -> list[list[int]]:
    """Facts of each prompt as ids for the model, what the prompt leaves open settled by the seed.

    Seeds in a row take one arrangement after another, so that variations differ.

    Args:
        prompts, seeds: one for each row; without seeds what is open stays so.
        there: tokens [B, N], -1 where unknown, that are there already. Then the seed's arrangement
            is taken unless another one clearly led to them, or none: a branch keeps what has been
            begun, and a picture from elsewhere is not arranged anew.
    """
    config, rows = model.config.condition, []
    for i, prompt in enumerate(prompts):
        facts = world.understand(prompt).facts
        if facts is None:
            rows.append([-1] * (config.slots + model.config.grid.cells * config.told))
            continue
        if seeds is None:
            rows.append(told(world, facts, config))
            continue
        ways = [told(world, way, config) for way in world.arrangements(facts)]
        first = seeds[i] % len(ways)
        ways = ways[first:] + ways[:first]
        if there is not None and bool((there[i] >= 0).any()):
            ways = [_led(model, [*ways, told(world, facts, config)], there[i])]
        rows.append(ways[0])
    return rows


@torch.inference_mode()
def _led(model: NARTransformer, ways: list[list[int]], there: Tensor) -> list[int]:
    """The facts that led to known tokens [N], as if these had grown from their first cell."""
    if len({tuple(way) for way in ways}) == 1:
        return ways[0]
    grid, device = model.config.grid, there.device
    cells = (there >= 0).cpu().numpy().nonzero()[0]
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
