"""The published way of sampling, against which the engine's speed is measured."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..decode import joined
from ..models.condition import Caption
from ..models.transformer import NARTransformer, RMSNorm, proximity_mask
from ..plan import DIRECTIONS, make_plan
from ..sampling import filtered_probabilities, guide


def _published_norm(norm: nn.Module, x: Tensor) -> Tensor:
    if not isinstance(norm, RMSNorm):
        return norm(x)
    y = x.float()
    y = y * torch.rsqrt((y * y).mean(-1, keepdim=True) + norm.eps)
    return y.type_as(x) * norm.weight


def _published_rotation(x: Tensor, rotations: Tensor) -> Tensor:
    """Turn pairs of `x` [B, n, H, D] in float32 by `rotations` [n, D/2]."""
    pairs = x.float().unflatten(-1, (-1, 2))
    cos, sin = torch.view_as_real(rotations[:, None]).unbind(-1)
    turned = [
        pairs[..., 0] * cos - pairs[..., 1] * sin,
        pairs[..., 1] * cos + pairs[..., 0] * sin,
    ]
    return torch.stack(turned, -1).flatten(-2).type_as(x)


@torch.inference_mode()
def sample_as_published(
    model: NARTransformer,
    values,
    null,
    *,
    guidance_scale: float,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Grow a whole grid from the corner the way the published sampler works, int64 [B, N].

    The cache lies in raster order, so every step attends over its whole length under an explicit
    mask, by plain matrix products. All tokens just fed go through every head. Each token is
    filtered and drawn on its own. Everything else (weights, batched guidance, order, gates) is as
    in `Growth`, whose greedy tokens these must equal.

    Args:
        values, null: condition input of B rows and its null form.
    """
    config = model.config
    grid, device = config.grid, model.tokens.weight.device
    plan = make_plan(grid, (0, 0, 0), None, config.directions, config.known_level, config.order)
    guided = guidance_scale > 1
    rows = [values, null] if guided else [values]
    conditions = []
    for value in rows:
        count = len(value.valid) if isinstance(value, Caption) else len(value)
        conditions.append(
            model.embed_condition(value, torch.zeros(count, dtype=torch.int64, device=device))
        )
    batch = len(conditions[0].slots)

    condition = joined(*conditions) if guided else conditions[0]
    length = condition.slots.shape[1]
    whole = length + grid.cells
    whole += -whole % 8
    levels = torch.full((whole,), 10**9)
    levels[:length] = model.condition_levels(length)
    levels[length : length + grid.cells] = torch.from_numpy(plan.levels)
    valid = condition.valid
    if valid is not None:
        valid = F.pad(valid, (0, whole - length), value=True)
    mask = proximity_mask(levels.to(device), valid).expand(len(condition.slots), whole, whole)
    rotations = model.rotations(config.condition.slots)
    rotations = None if rotations is None else rotations.flatten(1)
    if rotations is not None and model.seed_query is not None:
        slots = config.condition.slots
        rotations = torch.cat([rotations[:slots], rotations[slots, None], rotations[slots:]])
    head_width = config.width // config.attention_heads
    cache = torch.zeros(
        config.depth, 2, len(condition.slots), config.attention_heads, whole, head_width,
        device=device, dtype=condition.slots.dtype,
    )  # fmt: skip

    def feed(x: Tensor, places: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Of every direction for the tokens just fed logits [rows, n, V], and how much they count.

        That is [rows, n, 1]; unless there is a gate all count alike.
        """
        visible = mask[:, None, places]
        out = {}
        for layer, block in enumerate(model.each_block()):
            parts = block.qkv(_published_norm(block.attention_norm, x)).chunk(3, -1)
            q, k, v = (part.unflatten(-1, (-1, head_width)) for part in parts)
            if rotations is not None:
                q, k = (_published_rotation(part, rotations[places]) for part in (q, k))
            cache[layer, 0][:, :, places] = k.transpose(1, 2)
            cache[layer, 1][:, :, places] = v.transpose(1, 2)
            with sdpa_kernel(SDPBackend.MATH):
                y = F.scaled_dot_product_attention(
                    q.transpose(1, 2), cache[layer, 0], cache[layer, 1], visible
                )
            x = x + block.proj(y.transpose(1, 2).flatten(2))
            y = _published_norm(block.ffn_norm, x)
            x = x + block.down(F.silu(block.gate(y)) * block.up(y))
            for direction, head in model.heads.each():
                if model.heads.taps[direction] == layer + 1:
                    z = _published_norm(head.norm, x)
                    z = z if head.project is None else head.project(z)
                    weight = head.weight(z)
                    z = model.heads.matrix_of(head)(z)
                    z = z.float() if config.fuse_float32 else z
                    out[direction] = (z if head.gate is None else z * weight), weight
        return out

    tokens = torch.empty(batch, grid.cells, dtype=torch.int64, device=device)
    messages = feed(condition.slots, torch.arange(length, device=device))
    fed = None
    for step in plan.steps:
        if fed is None:
            logits, heard = (
                torch.stack([part[:, -1:] for part in parts]).sum(0)
                for parts in zip(*messages.values(), strict=True)
            )
        else:
            cells = torch.tensor([int(p) for p in fed], device=device)
            drawn = tokens[:, cells]
            x = model.embed_tokens(
                torch.cat([drawn] * len(rows)), cells, model.places(cells), condition
            )
            messages = feed(x, length + cells)
            column = {int(p): i for i, p in enumerate(fed)}
            logits, heard = (
                part.new_zeros(len(part), len(step.positions), part.shape[-1])
                for part in next(iter(messages.values()))
            )
            for d, direction in enumerate(DIRECTIONS):
                senders = [(j, column[int(s)]) for j, s in enumerate(step.fan_in[:, d]) if s >= 0]
                if senders:
                    to, at = map(list, zip(*senders, strict=True))
                    for total, part in zip((logits, heard), messages[direction], strict=True):
                        total[:, to] += part[:, at]
        logits = logits / heard
        if guided:
            logits = guide(*logits.chunk(2), guidance_scale)
        for j, cell in enumerate(step.positions):
            if temperature == 0:
                tokens[:, cell] = logits[:, j].softmax(-1).topk(1).indices[:, 0]
            else:
                chances = filtered_probabilities(logits[:, j], temperature, top_k, top_p)
                tokens[:, cell] = torch.multinomial(chances, 1, generator=generator)[:, 0]
        fed = step.positions
    return tokens
