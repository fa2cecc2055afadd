"""How likely pictures are, in nats per token, and how much every cell counts in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.condition import Caption
from ..models.transformer import NARTransformer
from ..plan import legal_seed_positions
from .plans import PlanBatch, plan_from


def step_weights(levels: Tensor, unknown: Tensor) -> Tensor:
    """Loss weights [B, N] under which every step of a plan counts alike, whatever its front.

    Among equal cells the few early ones would hardly count, yet only they must be told from the
    prompt; later ones are told by their neighbours, and the prompt would go unlearnt.
    """
    sizes = torch.zeros(len(levels), int(levels.max()) + 1, device=levels.device)
    sizes.scatter_add_(1, levels, unknown.float())
    return unknown / sizes.gather(1, levels).clamp(min=1)


def rows_of(values: Any, rows: slice) -> Any:
    """Some rows of condition input."""
    if isinstance(values, Caption):
        return Caption(values.features[rows], values.valid[rows])
    return values[rows]


@torch.no_grad()
def plan_losses(model: NARTransformer, values: Any, tokens: Tensor) -> dict[str, float]:
    """Nats per token from the corner, the centre and any seed where it can grow, nothing known.

    Args:
        values: condition input of N rows; tokens: int64 [N, cells].
    """
    config, batch = model.config, 16
    grid = config.grid
    rng = np.random.default_rng(0)
    corner, centre = (0, 0, 0), (grid.t // 2, grid.h // 2, grid.w // 2)
    anywhere = [tuple(int(x) for x in rng.integers(0, grid)) for _ in range(len(tokens))]
    seeds = {
        "loss_corner": [corner] * len(tokens),
        "loss_centre": [centre] * len(tokens),
        "loss_any": [(t, h, w) for t, h, w in anywhere],
    }
    if not legal_seed_positions(grid, config.directions, order=config.order).all():
        seeds = {"loss_corner": seeds["loss_corner"]}
    out = {}
    for name, places in seeds.items():
        total = 0.0
        for i in range(0, len(tokens), batch):
            plans = [plan_from(grid, place, None, config.order) for place in places[i : i + batch]]
            plan = PlanBatch.of(plans, config.directions)
            logits = model(
                rows_of(values, slice(i, i + batch)),
                tokens[i : i + batch],
                plan.levels.to(tokens.device),
                plan.fan_in.to(tokens.device),
                plan.seeds.to(tokens.device),
            )
            total += F.cross_entropy(
                logits.float().flatten(0, 1), tokens[i : i + batch].flatten(), reduction="sum"
            ).item()
        out[name] = total / tokens.numel()
    return out
