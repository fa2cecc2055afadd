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
from ..train.losses import rows_of
from ..worlds import WORLDS
from .growing import Grower, any_cell, seeds_of
from .items import rgba_of
from .judge import Verdict, interval
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
    values = condition_of(engine, data.records)
    pictures = rgba_of(engine, data)
    tokens = []
    for i in range(0, len(pictures), 16):
        x = on_white(as_float(pictures[i : i + 16])).to(engine.device)
        tokens.append(engine.tokenizer.encode(x).flatten(1))
    return Shown(values, torch.cat(tokens))


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
        values, numbers = rows_of(shown.values, rows), torch.zeros(tokens.shape)
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
    rng_seeds: int = 1,
) -> list[dict[str, Any]]:
    """Every combination of heads, fusion and seed position.

    Args:
        places: "corner", "centre", "any" (a cell for each batch, the same for all), or "[t,]h,w".
        data: pictures whose likelihood is measured; without it renderings of the prompts.
        count: prompts of the model's world that are grown with the same random numbers and judged.
        rng_seeds: how many times that is done, each with an rng seed and prompts of its own.

    Returns:
        For each `heads`, `fusion`, `seed_position`, `steps`, `loss` (nats per token, under the
        first rng seed); of a world also `right` with Wilson's 95 % interval `low` to `high` over
        all growths, and `damage`.

    Raises:
        ValueError: heads the model has not, a cell outside its grid, or no world to ask.
    """
    engine = grower.engine
    shown = of_world(grower, count) if data is None else of_folder(engine, data)
    # all is checked before the first is grown
    batches = -(-max(len(shown.tokens), count) // BATCH)
    out, asked = [], []
    for head, rule, place in product(heads, fusion, places):
        settings = {**grower.settings, "heads": head, "fusion": rule}
        first = seeds_from(engine, place, batches, grower.rng_seed)
        engine.prepare(Request(seed_position=first[0], **settings))
        out.append({
            "heads": head,
            "fusion": rule,
            "seed_position": place,
            "steps": engine.plan(Request(seed_position=first[0])).total,
        })  # fmt: skip
        asked.append((place, settings))
    for found in tqdm(out, desc="likelihood"):
        where = seeds_from(engine, found["seed_position"], batches, grower.rng_seed)
        chosen = {name: found[name] for name in ("heads", "fusion")}
        loss = likelihood(engine, shown, where[: -(-len(shown.tokens) // BATCH)], **chosen)
        found["loss"] = round(loss, 4)
    if count:
        verdicts = _judged(grower, count, rng_seeds, asked)
        for found, own in zip(out, verdicts, strict=True):
            found |= _rightness(own)
    return out


def seeds_from(engine: Engine, place: str, batches: int, rng_seed: int) -> list[Cell]:
    """A seed position for every batch: "corner", "centre", "any" or "[t,]h,w".

    Raises ValueError for any other `place`, and for a cell that is not in the grid.
    """
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


def _judged(
    grower: Grower, count: int, rng_seeds: int, asked: Sequence[tuple[str, dict[str, Any]]]
) -> list[list[Verdict]]:
    """Prompts of the world grown and judged: for each place and settings that are asked.

    All of them meet the same prompts and random numbers, and what a prompt is held against is
    rendered once for all.
    """
    engine = grower.engine
    exam, world = exam_of(engine), WORLDS[engine.info.world]()
    out: list[list[Verdict]] = [[] for _ in asked]
    with tqdm(total=count * rng_seeds, desc="rightness") as bar:
        for rng_seed in range(grower.rng_seed, grower.rng_seed + rng_seeds):
            rng = np.random.default_rng(rng_seed)
            growers = [(p, replace(grower, rng_seed=rng_seed, settings=s)) for p, s in asked]
            where = {p: seeds_from(engine, p, -(-count // BATCH), rng_seed) for p, _ in asked}
            questioned = [facts for _, _, facts in questions(exam, count, rng)]
            for i in range(0, count, BATCH):
                batch = questioned[i : i + BATCH]
                prompts = [world.say(facts, rng) for facts in batch]
                grown = [one.grow(prompts, where[p][i // BATCH], i) for p, one in growers]
                for facts, *answers in zip(batch, *grown, strict=True):
                    verdicts = exam.judge(facts, np.stack(answers))
                    for own, verdict in zip(out, verdicts, strict=True):
                        own.append(verdict)
                    bar.update()
    return out


def _rightness(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """What they say together, see `compare`."""
    hits, of = sum(v.right for v in verdicts), len(verdicts)
    low, high = interval(hits, of)
    damage = [v.damage for v in verdicts if v.damage is not None]
    out = {"right": hits / of, "low": low, "high": high}
    out |= {"damage": float(np.mean(damage))} if damage else {}
    return {name: round(value, 4) for name, value in out.items()}
