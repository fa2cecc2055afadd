"""Where should growth start? The same prompts from many cells of the grid."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from ..plan import GridShape, make_plan
from ..worlds import WORLDS
from ..writing import write_json
from .growing import Grower, dtype_of
from .judge import interval
from .world import exam_of

ROUND = 8
"""Prompts, at most, that are grown from every cell before the next ones are."""


def seed_map(
    grower: Grower, count: int, file: Path, every: int = 1, command: str = ""
) -> dict[str, Any]:
    """Grow `count` prompts of a model's world from cells of its grid, and judge them.

    Every cell is asked the same prompts under the same random numbers, so that cells differ by
    where they are alone. The file is written after each round of up to `ROUND` prompts; a run that
    finds it goes on from there. All cells of a grid of 16 x 16 are 256 growths for each prompt.

    Args:
        every: 1 for all cells of the middle slice, n for every n-th row and column, counted so that
            the centre is among them.
        command: what measures it, but for `--count`.

    Returns:
        What the file holds: `cells` [[h, w], ...] and for each of them `steps`, `right` (how many
        of `prompts`), `damage` (share of cells), `seconds` (of a processor for a picture, in
        batches of a round, the median of the rounds); `by_steps`: for growths of so many steps the
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
        "dtype": dtype_of(grower.engine),
        "settings": dict(grower.settings),
        "rng_seed": grower.rng_seed,
        "cells": [list(cell[1:]) for cell in cells],
    })  # fmt: skip
    found["command"] = command
    exam, world = exam_of(grower.engine), WORLDS[info.world]()
    asked = sum(map(_prompts, found["rounds"]))
    with tqdm(total=max(count, asked) * len(cells), initial=asked * len(cells)) as bar:
        while asked < count:
            number, size = len(found["rounds"]), min(ROUND, count - asked)
            rng = np.random.default_rng((grower.rng_seed, number))
            facts = [exam.ask(exam.categories[(asked + i) % len(exam.categories)], False, rng)
                     for i in range(size)]  # fmt: skip
            prompts = [world.say(f, rng) for f in facts]
            grown, seconds = [], []
            for cell in cells:
                started = time.process_time()
                frame = grower.engine.generate_all(grower.request(prompts, cell, number * ROUND))
                seconds.append(round((time.process_time() - started) / size, 4))
                grown.append(grower.engine.decode(frame.tokens))
                bar.update(size)
            told = [exam.judge(f, np.stack([g[i] for g in grown])) for i, f in enumerate(facts)]
            right = [sum(told[i][k].right for i in range(size)) for k in range(len(cells))]
            damage = [
                round(float(np.mean([told[i][k].damage or 0 for i in range(size)])), 4)
                for k in range(len(cells))
            ]
            found["rounds"].append(
                {"prompts": size, "right": right, "damage": damage, "seconds": seconds}
            )
            asked += size
            _write(file, found, summary(found, info.grid))
    return summary(found, info.grid)


def _prompts(found: dict[str, Any]) -> int:
    """How many a round asked; those of before asked `ROUND` and do not say so."""
    return found.get("prompts", ROUND)


def cells_of(grid: GridShape, every: int) -> list[tuple[int, int, int]]:
    """Cells of the middle slice, every n-th row and column of it, the centre among them."""
    rows, columns = (range(n // 2 % every, n, every) for n in grid[1:])
    return [(grid.t // 2, h, w) for h in rows for w in columns]


def summary(found: dict[str, Any], grid: GridShape) -> dict[str, Any]:
    """What the rounds say together, see `seed_map`."""
    rounds, cells = found["rounds"], found["cells"]
    each = list(map(_prompts, rounds))
    prompts = sum(each)
    t = grid.t // 2
    steps = [make_plan(grid, (t, h, w)).total for h, w in cells]
    right = np.sum([r["right"] for r in rounds], 0).tolist()
    by_steps = {}
    for total in sorted(set(steps)):
        hits = sum(n for n, s in zip(right, steps, strict=True) if s == total)
        of = prompts * steps.count(total)
        by_steps[str(total)] = [round(x, 3) for x in (hits / of, *interval(hits, of))]
    told = {
        "command": f"{found['command'].partition(' --count')[0]} --count {prompts}",
        # files of before do not tell their dtype
        **{k: found[k] for k in ("model", "digest", "dtype", "settings", "rng_seed") if k in found},
        "grid": list(grid),
        "prompts": prompts,
        "cells": cells,
        "steps": steps,
        "right": right,
        "damage": np.average([r["damage"] for r in rounds], 0, each).round(4).tolist(),
        "by_steps": by_steps,
    }
    if all("seconds" in r for r in rounds):  # a machine that was busy tells none
        told["seconds"] = [
            round(median(s), 4) for s in zip(*(r["seconds"] for r in rounds), strict=True)
        ]
    return told


QUANTITIES = {
    "right": ("right", "{:.0%}"),
    "damage": ("damaged cells", "{:.1%}"),
    "steps": ("steps", "{:.0f}"),
    "seconds": ("seconds", "{:.2f}"),
}
LEAST, MOST, INK = (233, 243, 240), (7, 87, 70), (25, 26, 29)
SIDE, GAP = 12, 28  # pixels of a cell, and between maps


def drawn(told: dict[str, Any]) -> Image.Image:
    """A map for each quantity, side by side, its least and greatest value below it."""
    _, rows, columns = told["grid"]
    cells = np.array(told["cells"])
    away = np.abs(np.indices((rows, columns)).reshape(2, -1, 1) - cells.T[:, None]).sum(0)
    nearest = away.argmin(1).reshape(rows, columns)
    names = [name for name in QUANTITIES if name in told]
    wide, high = columns * SIDE + GAP, rows * SIDE
    sheet = Image.new("RGB", (wide * len(names) + GAP, high + 68), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for x, name in zip(range(GAP, sheet.width, wide), names, strict=False):
        title, form = QUANTITIES[name]
        values = np.array(told[name], float) / (told["prompts"] if name == "right" else 1)
        low, high_value = values.min(), values.max()
        share = (values - low) / (high_value - low or 1)
        colours = np.array(LEAST) + share[:, None] * (np.array(MOST) - LEAST)
        tiles = colours[nearest].round().astype(np.uint8)
        sheet.paste(Image.fromarray(tiles.repeat(SIDE, 0).repeat(SIDE, 1)), (x, 32))
        draw.text((x, 10), title, INK, font)
        ends = (
            form.format(low) if low == high_value else f"{form} to {form}".format(low, high_value)
        )
        draw.text((x, high + 38), ends, INK, font)
    return sheet


def _begun(file: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What a run has found so far. Raises ValueError where the file is of another run."""
    if not file.is_file():
        return {**asked, "rounds": []}
    try:
        found = json.loads(file.read_text("utf-8"))
        rounds = found["rounds"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: got no map of starts, expected one or a new file") from error
    found = {"dtype": asked["dtype"], **found}  # files of before do not tell it
    other = {k: found.get(k) for k in asked if found.get(k) != asked[k]}
    if other:
        raise ValueError(
            f"{file}: got one made with {other}, expected { ({k: asked[k] for k in other}) }; use "
            "another file"
        )
    return {**asked, "rounds": rounds}


def _write(file: Path, found: dict[str, Any], told: dict[str, Any]) -> None:
    write_json(file, {**told, "rounds": found["rounds"]})
