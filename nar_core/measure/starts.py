"""Where should growth start? The same prompts from many cells of the grid."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from ..plan import GridShape, make_plan
from ..worlds import WORLDS
from .growing import Grower
from .judge import interval
from .world import exam_of

ROUND = 8
"""Prompts that are grown from every cell before the next ones are."""


def seed_map(grower: Grower, count: int, file: Path, every: int = 1) -> dict[str, Any]:
    """Grow `count` prompts of a model's world from cells of its grid, and judge them.

    Every cell is asked the same prompts under the same random numbers. The file is written after
    each round of `ROUND` prompts; a run that finds it goes on from there.

    Args:
        every: 1 for all cells of the middle slice, n for every n-th row and column, counted so that
            the centre is among them.

    Returns:
        What the file holds: `cells` [[h, w], ...] and for each of them `steps`, `right` (how many
        of `prompts`), `damage` (share of cells), `seconds` (of a processor for a picture, in
        batches of `ROUND`, the median of the rounds); `by_steps`: for growths of so many steps the
        share that is right, with Wilson's 95 % interval; `command`: what measured it.

    Raises:
        ValueError: a model that starts in a corner only, or a file of another model or settings.
    """
    info = grower.engine.info
    if info.seed_positions != "any":
        raise ValueError(f"--seed-map: got {info.name}, expected a model that starts anywhere")
    cells = cells_of(info.grid, every)
    found = _begun(file, {
        "model": info.name,
        "digest": grower.engine.digest,
        "settings": dict(grower.settings),
        "rng_seed": grower.rng_seed,
        "cells": [list(cell[1:]) for cell in cells],
        "command": f"python -m nar_core evaluate --model {info.name} --seed-map {file.name} "
        f"--every {every}",
    })  # fmt: skip
    exam, world = exam_of(grower.engine), WORLDS[info.world]()
    rounds = -(-count // ROUND)
    with tqdm(total=rounds * len(cells), initial=len(found["rounds"]) * len(cells)) as bar:
        for number in range(len(found["rounds"]), rounds):
            rng = np.random.default_rng((grower.rng_seed, number))
            facts = [exam.ask(exam.categories[i % len(exam.categories)], False, rng)
                     for i in range(ROUND)]  # fmt: skip
            prompts = [world.say(f, rng) for f in facts]
            grown, seconds = [], []
            for cell in cells:
                started = time.process_time()
                frame = grower.engine.generate_all(grower.request(prompts, cell, number * ROUND))
                seconds.append(round((time.process_time() - started) / ROUND, 4))
                grown.append(grower.engine.decode(frame.tokens))
                bar.update()
            told = [exam.judge(f, np.stack([g[i] for g in grown])) for i, f in enumerate(facts)]
            right = [sum(told[i][k].right for i in range(ROUND)) for k in range(len(cells))]
            damage = [
                round(float(np.mean([told[i][k].damage or 0 for i in range(ROUND)])), 4)
                for k in range(len(cells))
            ]
            found["rounds"].append({"right": right, "damage": damage, "seconds": seconds})
            _write(file, found, summary(found, info.grid))
    return summary(found, info.grid)


def cells_of(grid: GridShape, every: int) -> list[tuple[int, int, int]]:
    """Cells of the middle slice, every n-th row and column of it, the centre among them."""
    rows, columns = (range(n // 2 % every, n, every) for n in grid[1:])
    return [(grid.t // 2, h, w) for h in rows for w in columns]


def summary(found: dict[str, Any], grid: GridShape) -> dict[str, Any]:
    """What the rounds say together, see `seed_map`."""
    rounds, cells = found["rounds"], found["cells"]
    prompts = ROUND * len(rounds)
    t = grid.t // 2
    steps = [make_plan(grid, (t, h, w)).total for h, w in cells]
    right = np.sum([r["right"] for r in rounds], 0).tolist()
    by_steps = {}
    for total in sorted(set(steps)):
        hits = sum(n for n, s in zip(right, steps, strict=True) if s == total)
        of = prompts * steps.count(total)
        by_steps[str(total)] = [round(x, 3) for x in (hits / of, *interval(hits, of))]
    told = {
        **{k: found[k] for k in ("command", "model", "digest", "settings", "rng_seed")},
        "grid": list(grid),
        "prompts": prompts,
        "cells": cells,
        "steps": steps,
        "right": right,
        "damage": np.mean([r["damage"] for r in rounds], 0).round(4).tolist(),
        "by_steps": by_steps,
    }
    if all("seconds" in r for r in rounds):  # a machine that was busy tells none
        told["seconds"] = [
            round(median(s), 4) for s in zip(*(r["seconds"] for r in rounds), strict=True)
        ]
    return told


def _begun(file: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What a run has found so far. Raises ValueError where the file is of another run."""
    if not file.is_file():
        return {**asked, "rounds": []}
    found = json.loads(file.read_text("utf-8"))
    other = {k: found.get(k) for k in asked if found.get(k) != asked[k]}
    if other:
        raise ValueError(
            f"{file}: got one made with {other}, expected { ({k: asked[k] for k in other}) }; use "
            "another file"
        )
    return {**asked, "rounds": found["rounds"]}


def _write(file: Path, found: dict[str, Any], told: dict[str, Any]) -> None:
    file.write_text(json.dumps({**told, "rounds": found["rounds"]}) + "\n", "utf-8")
