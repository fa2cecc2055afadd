"""Teach the classifier that judges landscapes: `python -m nar_core worlds judge landscape`."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ..tokenizers.base import Tokenizer
from ..worlds.landscape import LandscapeWorld
from ..worlds.landscape.facts import TERRAINS, TIMES
from ..writing import whole_file
from .landscape import Classifier, shrunk

log = logging.getLogger(__name__)
BATCH = 64
EPOCHS = 10
APART = 0.1  # share of the lands that it is measured on


def teach(tokenizer: Tokenizer, out: Path, pictures: int, rng_seed: int = 0) -> dict[str, float]:
    """Draw `pictures` of every combination, teach a classifier on them and write it, float16.

    Half of them are seen through the tokenizer, as growths are. Returns the share of pictures of
    lands apart of which terrain, time and both are told right.
    """
    rng = np.random.default_rng(rng_seed)
    torch.manual_seed(rng_seed)
    x, terrain, time = _drawn(tokenizer, pictures, rng)
    held = max(1, round(pictures * APART))  # the last ones: lands of their own
    model = Classifier()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    steps = EPOCHS * -(-(pictures - held) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for _ in tqdm(range(EPOCHS), desc="teaching"):
        order = torch.from_numpy(rng.permutation(pictures - held))
        for rows in order.split(BATCH):
            seen = _varied(x[rows].float() / 255, rng)
            a, b = model(seen)
            loss = F.cross_entropy(a, terrain[rows]) + F.cross_entropy(b, time[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        a, b = model(x[-held:].float() / 255)
    right = a.argmax(-1) == terrain[-held:], b.argmax(-1) == time[-held:]
    with whole_file(out) as part:
        save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, part)
    return {
        "terrain": round(right[0].float().mean().item(), 4),
        "time": round(right[1].float().mean().item(), 4),
        "both": round((right[0] & right[1]).float().mean().item(), 4),
    }


def _drawn(
    tokenizer: Tokenizer, pictures: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels uint8 [N, 3, 64, 64], terrains and times int64 [N] of every combination."""
    views = LandscapeWorld().views(rng, lands=1, every=True)
    x, terrains, times = [], [], []
    for i in tqdm(range(pictures), desc="drawing"):
        facts, picture = next(views)
        if i % 2:
            seen = torch.from_numpy(picture).movedim(-1, -3)[None].float() / 255
            with torch.inference_mode():
                seen = tokenizer.decode(tokenizer.encode(seen))
            picture = (seen[0].clamp(0, 1) * 255).round().byte().movedim(-3, -1).numpy()
        x.append((shrunk(picture) * 255).round().byte())
        terrains.append(TERRAINS.index(facts.terrain))
        times.append(TIMES.index(facts.time))
    return torch.cat(x), torch.tensor(terrains), torch.tensor(times)


def _varied(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures [B, 3, H, W] mirrored, brighter or darker, and a little off in every colour."""
    n = len(x)
    flips = torch.from_numpy(rng.random(n) < 0.5)
    x = torch.where(flips[:, None, None, None], x.flip(-1), x)
    gain = 1 + 0.08 * torch.from_numpy(rng.standard_normal((n, 3, 1, 1))).float()
    return (x * gain + 0.02 * torch.randn(n, 1, 1, 1) + 0.01 * torch.randn_like(x)).clamp(0, 1)
