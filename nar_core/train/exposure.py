"""What a model is shown in place of the data, so that it learns to find back to the prompt."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from ..decode import Growth
from ..models.transformer import NARTransformer
from ..plan import make_plan
from ..sampling import uniforms
from ..settings import SamplingSettings
from .plans import GrowthPlan


def wrong_cells(tokens: Tensor, known: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Tokens [B, N] in which some cells that are not known are those of the row before.

    A model that only ever sees right neighbours trusts them more than the prompt, and one wrong
    draw leads a growth over to another picture. Half of the rows stay as they are, the others get
    up to `share` of wrong cells.
    """
    if not share:
        return tokens
    rates = rng.uniform(-share, share, (len(tokens), 1))
    wrong = torch.from_numpy(rng.random(tokens.shape) < rates) & ~known
    return torch.where(wrong, tokens.roll(1, 0), tokens)


@torch.no_grad()
def own_cells(
    model: NARTransformer,
    plan: GrowthPlan,
    values: Tensor,
    tokens: Tensor,
    length: int,
    settings: SamplingSettings,
    rng: np.random.Generator,
    right: int = 0,
) -> Tensor:
    """Tokens [B, N] in which cells that are not known are those the model itself grows.

    Growing, a model sees its own draws and not the data, and errors add up unless it has learnt to
    find back to the prompt from them (Ross et al. 2011, DAgger). Half of the rows are grown whole,
    in the others some cells stay; a row without a condition has nothing to find back to and stays.

    Args:
        plan: of all rows.
        values: condition input of B rows.
        length: how many cells are grown, the first ones of the plan.
        settings: how they are drawn.
        right: about how many of the first cells stay as they are. Where a prompt has many pictures,
            a growth from the start would be another of them, from which there is nothing to find
            back to.
    """
    config = model.config
    order = make_plan(
        config.grid,
        plan.seed_position,
        plan.known,
        config.directions,
        config.known_level,
        config.order,
    )
    ends = np.cumsum([len(step.positions) for step in order.steps])
    first = int(np.searchsorted(ends, right)) + 1 if right else 0
    numbers = uniforms(int(rng.integers(2**31)), *tokens.shape)
    null = model.condition.null_like(values)
    grown = tokens.clone()
    with torch.autocast(tokens.device.type, enabled=False), parametrize.cached():
        growth = Growth(model, order, values, null, grown, numbers, settings, first)
        while growth.next_step < order.total and growth.generated < length:
            growth.step()
    rates = rng.uniform(0, 2, (len(tokens), 1))
    rates[(values < 0).view(len(tokens), -1).all(1).cpu().numpy()] = 0
    own = torch.from_numpy(rng.random(tokens.shape) < rates).to(tokens.device)
    return torch.where(own, grown, tokens)
