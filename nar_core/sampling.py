"""From logits to tokens: guidance, filters, and draws by common random numbers. Pure torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def uniforms(rng_seed: int, samples: int, cells: int) -> Tensor:
    """One number in [0, 1) per sample and cell, float32 [samples, cells].

    Drawn up front and tied to the cell, so that two head configurations, guidance scales or orders
    meet the same numbers. Sample i of `rng_seed` is sample 0 of `rng_seed + i`: a batch of n equals
    n single runs.
    """
    rows = [
        torch.rand(cells, generator=torch.Generator().manual_seed(rng_seed + i))
        for i in range(samples)
    ]
    return torch.stack(rows)


def guide(conditional: Tensor, null: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance on fused logits."""
    difference = conditional - null
    return torch.add(null, difference, alpha=scale, out=difference)


def implausible(conditional: Tensor, min_p: float) -> Tensor:
    """Tokens less than `min_p` times as likely as the likeliest one, bool [..., V].

    Told by the logits *before* guidance. Guidance compares two guesses, and where both think a
    token all but impossible their difference says nothing; among the tokens that are left it may
    choose freely (the plausibility constraint of contrastive decoding, Li et al. 2023).
    """
    return conditional < conditional.amax(-1, keepdim=True) + math.log(min_p)


def filtered_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    """Temperature, then top-k (ties with the k-th stay), then top-p, then softmax; [..., V].

    top-p keeps the token that crosses p, so at least one is left.
    """
    logits = logits.float() / max(temperature, 1e-5)
    if 0 < top_k < logits.shape[-1]:
        kth = logits.topk(top_k).values[..., -1:]
        logits = logits.masked_fill(logits < kth, float("-inf"))
    if top_p < 1:
        chances = logits.softmax(-1)
        # Sorting the whole vocabulary would cost more than a small model's step, and is rarely
        # needed: look at the most likely tokens first, and at more while they do not reach p.
        # On a GPU asking whether they do would cost more than sorting.
        head = 256 if chances.device.type == "cpu" else chances.shape[-1]
        while True:
            best, order = chances.topk(min(head, logits.shape[-1]))
            if head >= logits.shape[-1] or bool((best.sum(-1) > top_p).all()):
                break
            head *= 8
        behind = best.cumsum(-1) - best > top_p
        cut = torch.ones_like(chances, dtype=torch.bool).scatter(-1, order, behind)
        logits = logits.masked_fill(cut, float("-inf"))
    return logits.softmax(-1)


def draw(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Invert the cumulative distribution [..., V] at numbers [...] in [0, 1); int64 [...]."""
    cumulative = probabilities.cumsum(-1)
    total = cumulative[..., -1:]
    # Below the total even after rounding, so that the search ends; `right` skips tokens of
    # probability zero.
    target = torch.minimum(numbers[..., None] * total, total * (1 - 2**-24))
    return torch.searchsorted(cumulative, target, right=True).squeeze(-1)


def sample_front(
    logits: Tensor, numbers: Tensor, *, temperature: float, top_k: int, top_p: float
) -> tuple[Tensor, Tensor]:
    """Draw a whole front at once.

    Args:
        logits: after fusion and guidance, [B, n, V].
        numbers: [B, n] in [0, 1). Temperature 0 is greedy and does not read them.

    Returns:
        Tokens int64 [B, n], and their probability before temperature, top-k and top-p, float32
        [B, n].
    """
    plain = logits.float().softmax(-1)
    if temperature == 0:
        tokens = logits.argmax(-1)
    elif temperature == 1 and top_k == 0 and top_p >= 1:
        tokens = draw(plain, numbers)
    else:
        tokens = draw(filtered_probabilities(logits, temperature, top_k, top_p), numbers)
    return tokens, plain.gather(-1, tokens[..., None]).squeeze(-1)
