"""Heads, fusion and seed position compared on the same pictures and prompts (paper, Table 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from ..arrangement import told
from ..checks import cell_of
from ..decode import Growth
from ..engine import Engine
from ..request import Request
from ..settings import SamplingSettings
from ..train.data import DataFolder, as_float, on_white
from ..worlds import WORLDS
from .growing import Grower, any_cell, seeds_of
from .items import rgba_of
from .judge import interval
from .likelihood import condition_of
from .world import BATCH, exam_of, questions

Cell = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Shown:
    """Pictures or clips whose likelihood is measured: condition values, tokens int64 [N, cells]."""

    values: Any
    tokens: Tensor


def of_folder(engine: Engine, data: DataFolder) -> Shown:
    """The items of a folder."""
    pictures = rgba_of(engine, data)
    tokens = []
    for i in range(0, len(pictures), 16):
        x = on_white(as_float(pictures[i : i + 16])).to(engine.device)
        tokens.append(engine.tokenizer.encode(x).flatten(1))
    return Shown(condition_of(engine, data.records, "label"), torch.cat(tokens))


def of_world(grower: Grower, count: int) -> Shown:
    """Renderings of the prompts that are grown, the model told what stands where."""
    engine, rng = grower.engine, np.random.default_rng((grower.rng_seed, 5))
    asked = questions(exam_of(engine), count, np.random.default_rng(grower.rng_seed))
    world = WORLDS[engine.info.world]()
    rows, tokens = [], []
    for _, _, facts in asked:
        ways = world.arrangements(facts)
        way = ways[int(rng.integers(len(ways)))]
        rows.append(told(world, way, engine.model.config.condition))
        tokens.append(engine.encode(world.render(way, rng)[None]).reshape(-1))
    return Shown(
        torch.tensor(rows, device=engine.device),
        torch.from_numpy(np.stack(tokens)).to(engine.device),
    )


@torch.inference_mode()
def likelihood(engine: Engine, shown: Shown, places: Sequence[Cell], **settings: Any) -> float:
    """Nats per token, decoded as in generation, but every token is the true one; no guidance.

    Args:
        places: the seed position of each batch of pictures.
        settings: heads and fusion.
    """
    total, chosen = 0.0, SamplingSettings(**settings)
    for number, place in enumerate(places):
        rows = slice(number * BATCH, (number + 1) * BATCH)
        tokens = shown.tokens[rows]
        plan = engine.plan(Request(seed_position=place, num_samples=len(tokens)))
        values, numbers = shown.values[rows], torch.zeros(tokens.shape)
        null = engine.model.condition.null_like(values)
        growth = Growth(engine.model, plan, values, null, tokens.clone(), numbers, chosen)
        for step in plan.steps:
            cells = torch.from_numpy(step.positions).to(tokens.device)
            logits = growth.logits().float().flatten(0, 1)
            total += F.cross_entropy(logits, tokens[:, cells].flatten(), reduction="sum").item()
            growth.next_step += 1
    return total / shown.tokens.numel()


def compare(
    grower: Grower,
    heads: Sequence[str],
    fusion: Sequence[str],
    places: Sequence[str],
    data: DataFolder | None = None,
    count: int = 0,
) -> list[dict[str, Any]]:
    """Every combination of heads, fusion and seed position.

    Args:
        places: "corner", "centre", "any" (a cell for each batch, the same for all), or "[t,]h,w".
        data: pictures whose likelihood is measured; without it renderings of the prompts.
        count: prompts of the model's world that are grown with the same random numbers and judged.

    Returns:
        For each `heads`, `fusion`, `seed_position`, `steps`, `loss` (nats per token); of a world
        also `right` with Wilson's 95 % interval `low` to `high`, and `damage`.

    Raises:
        ValueError: heads the model has not, a cell outside its grid, or no world to ask.
    """
    engine = grower.engine
    shown = of_world(grower, count) if data is None else of_folder(engine, data)
    # all is checked before the first is grown
    batches = -(-max(len(shown.tokens), count) // BATCH)
    seeds = {place: seeds_from(engine, place, batches, grower.rng_seed) for place in places}
    growers = {
        (head, rule): replace(grower, settings={**grower.settings, "heads": head, "fusion": rule})
        for head, rule in product(heads, fusion)
    }
    for one, where in product(growers.values(), seeds.values()):
        one.engine.prepare(Request(seed_position=where[0], **one.settings))
    out = []
    with tqdm(total=len(growers) * len(seeds), desc="configurations") as bar:
        for ((head, rule), one), (place, where) in product(growers.items(), seeds.items()):
            parts = where[: -(-len(shown.tokens) // BATCH)]
            plan = engine.plan(Request(seed_position=where[0]))
            found: dict[str, Any] = {
                "heads": head,
                "fusion": rule,
                "seed_position": place,
                "steps": plan.total,
                "loss": round(likelihood(engine, shown, parts, heads=head, fusion=rule), 4),
            }
            out.append(found | (_rightness(one, count, where) if count else {}))
            bar.update()
    return out


def seeds_from(engine: Engine, place: str, batches: int, rng_seed: int) -> list[Cell]:
    """A seed position for every batch: "corner", "centre", "any" or "[t,]h,w"."""
    grid, rng = engine.info.grid, np.random.default_rng((rng_seed, 6))
    if place == "any":
        return [any_cell(grid, rng) for _ in range(batches)]
    if place in seeds_of(grid):
        return [seeds_of(grid)[place]] * batches
    try:
        cell = [int(x) for x in place.split(",")]
    except ValueError:
        raise ValueError(
            f"--seed-position: got {place!r}, expected corner, centre, any or [T,]H,W"
        ) from None
    return [cell_of(engine.info, cell, "--seed-position")] * batches


def _rightness(grower: Grower, count: int, where: Sequence[Cell]) -> dict[str, float]:
    """Prompts of the world grown and judged, the same for every configuration."""
    exam, rng = exam_of(grower.engine), np.random.default_rng(grower.rng_seed)
    world = WORLDS[grower.engine.info.world]()
    asked = questions(exam, count, rng)
    verdicts = []
    for i in range(0, count, BATCH):
        batch = [facts for _, _, facts in asked[i : i + BATCH]]
        prompts = [world.say(facts, rng) for facts in batch]
        grown = grower.grow(prompts, where[i // BATCH], i)
        for facts, growth in zip(batch, grown, strict=True):
            verdicts += exam.judge(facts, growth[None])
    hits = sum(v.right for v in verdicts)
    low, high = interval(hits, count)
    damage = [v.damage for v in verdicts if v.damage is not None]
    out = {"right": hits / count, "low": low, "high": high}
    out |= {"damage": float(np.mean(damage))} if damage else {}
    return {name: round(value, 4) for name, value in out.items()}
