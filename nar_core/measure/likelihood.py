"""Reconstruction and likelihood on a data folder, and whether clips go on from a first frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..arrangement import settled
from ..engine import Engine
from ..models.condition import Caption, cut, word_ids
from ..picture import evenly
from ..request import Request
from ..train.data import DataFolder, as_float, on_white
from ..train.losses import plan_losses
from ..train.source import prompt_of
from ..train.tokenizer import code_statistics, reconstruction_psnr
from ..worlds import WORLDS
from .growing import main_of, places_of, seeds_of
from .items import names_of, rgb_of, rgba_of


def measure(engine: Engine, data: DataFolder) -> dict[str, Any]:
    """Reconstruction and likelihood on pictures or clips the model may never have seen, on white.

    Returns:
        `pictures`, `psnr` (dB over all pixels), `used`, `perplexity` and `white_codes` of the
        codebook, `loss_*` (nats per token); of clip models that go on from known frames also what
        `continuation` tells.
    """
    tokenizer = engine.tokenizer
    values = condition_of(engine, data.records)  # what cannot be told is said first
    pictures = rgba_of(engine, data)
    out = {"pictures": len(pictures), "psnr": round(reconstruction_psnr(tokenizer, pictures), 3)}
    statistics = code_statistics(tokenizer, [pictures])
    out |= {k: round(statistics[k], 4) for k in ("used", "perplexity", "white_codes")}
    tokens = []
    for i in range(0, len(pictures), 16):
        x = on_white(as_float(pictures[i : i + 16])).to(engine.device)
        tokens.append(tokenizer.encode(x).flatten(1))
    with torch.inference_mode():
        losses = plan_losses(engine.model, values, torch.cat(tokens))
    out |= {k: round(v, 4) for k, v in losses.items()}
    if engine.info.frames > 1 and engine.info.accepts_known:
        chosen = evenly(len(pictures), 24)
        prompts = None
        if engine.info.task == "text":
            prompts = [_cut(engine, prompt_of(data.records[i])) for i in chosen]
        out |= continuation(engine, rgb_of(pictures[chosen]), prompts)
    return out


@torch.inference_mode()
def condition_of(engine: Engine, records: list[dict]) -> Any:
    """Condition input of records: their prompts or classes, none where it is no class of the model.

    Raises ValueError where no record is of a class of the model, for the null condition would be
    measured, or where one has no prompt.
    """
    config, names = engine.model.config.condition, names_of(engine, records)
    if config.kind == "caption":
        assert engine.text_encoder is not None
        parts = [names[i : i + 16] for i in range(0, len(names), 16)]
        told = [engine.text_encoder(part, engine.device) for part in parts]
        return Caption(torch.cat([c.features for c in told]), torch.cat([c.valid for c in told]))
    if config.kind == "words":
        prompts = [_cut(engine, name) for name in names]
        return word_ids(prompts, config.slots, config.buckets, config.parted).to(engine.device)
    if config.kind == "facts":
        world = WORLDS[engine.info.world]()
        rows = settled(world, names, None, engine.model)
        return torch.tensor(rows, device=engine.device)
    number_of = {name: i for i, name in enumerate(engine.info.labels)}
    ids = [number_of.get(name, -1) for name in names]
    if max(ids) < 0:
        found = ", ".join(map(repr, sorted(set(names))[:3]))
        raise ValueError(
            f"data: got {found} as classes, expected some of {engine.info.name}'s, such as "
            f"{engine.info.labels[0]!r}; name them in the index, or as folders"
        )
    return torch.tensor(ids, device=engine.device)


def _cut(engine: Engine, prompt: str) -> str:
    """As many words of a prompt as the model takes."""
    condition = engine.model.config.condition
    most = engine.info.prompt_words
    return cut(prompt, most, condition.parted) if most else prompt


def continuation(
    engine: Engine, clips: np.ndarray, prompts: Sequence[str] | None
) -> dict[str, float]:
    """Clips grown from their own first frame: does the rest go on from it?

    Args:
        clips: uint8 [N, F, height, width, 3]; prompts: what they are called, if they are.

    Returns:
        The mean absolute distance (0 to 255) of the second frame to the first:
        `second_frame_data` between decoded clips of the data, `second_frame_grown` for grown ones,
        and `second_frame_unrelated` to the second frame of another clip.
    """
    grown, own = [], []
    _, high, wide = seeds_of(engine.info.grid)[main_of(places_of(engine))]
    for i in tqdm(range(len(clips)), desc="continuing first frames"):
        tokens = engine.encode(clips[i : i + 1])
        known = np.where(np.arange(engine.info.grid.t)[:, None, None] == 0, tokens[0], -1)
        told: dict[str, Any] = {} if prompts is None else {"prompt": prompts[i]}
        frame = engine.generate_all(
            Request(**told, known=known, seed_position=(0, high, wide), rng_seed=i)
        )
        grown.append(engine.decode(frame.tokens)[0, :2].astype(float))
        own.append(engine.decode(tokens)[0, :2].astype(float))
    grown, own = np.stack(grown), np.stack(own)
    others = np.roll(grown[:, 1], 1, 0)
    return {
        "second_frame_data": round(float(np.abs(own[:, 1] - own[:, 0]).mean()), 3),
        "second_frame_grown": round(float(np.abs(grown[:, 1] - grown[:, 0]).mean()), 3),
        "second_frame_unrelated": round(float(np.abs(others - grown[:, 0]).mean()), 3),
    }
