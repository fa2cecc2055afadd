"""Models that differ in one thing each, measured beside each other (paper, Tables 4 and 5)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from PIL import Image

from ..engine import Engine
from ..request import Request
from ..weights.read import read_yaml
from ..writing import whole_file, write_json
from .configurations import Cell, likelihood, of_world, seeds_from
from .growing import Grower, dtype_of, places_of
from .judge import interval
from .world import BATCH, rightness

NAMES = ("raster", "one-head", "heads", "gate", "any-start")
"""The runs of `ablation-*.yaml`, as they are told; others come after them."""

RNG_SEEDS = (0, 1, 2)
TIMES = 5


def ablations(
    folder: Path, count: int, load: Callable[[Path], Engine], command: str = ""
) -> dict[str, Any]:
    """Measure the models that were trained in the run folders below a folder.

    From where each always starts, or of one that starts anywhere from the corner and from any cell,
    `count` prompts of their world are grown under each of `RNG_SEEDS` and judged. What was found is
    written after each of them, to `ablations.json` in the folder; a run that finds it goes on, and
    keeps its rows of models that are not in the folder. What they make of the first model's example
    prompts goes to `NAME.jpg`, side by side.

    Args:
        load: a model folder's engine.
        command: what measures it.

    Returns:
        What the file holds: `prompts`, `rng_seeds`, `examples`, and `rows`: for each model and
        `place` its `steps`, `parameters`, `loss` (nats per token of renderings), `seconds` (of a
        processor for a picture, the median of some batches); `right`, `right_seen` and
        `right_held_out`, each [share, low, high] with Wilson's 95 % interval over all rng seeds;
        `damage` where the world has it; `frechet` and `frechet_floor` where it has those; and how
        it was trained: `trained_steps`, `samples`, `hours`.

    Raises:
        ValueError: a folder without trained runs, or with those of several worlds.
    """
    runs = _runs_in(folder)
    file = folder / "ablations.json"
    before = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    rows = before.get("rows", []) if before.get("prompts") == count else []
    told: dict[str, Any] = {
        "command": command,
        "prompts": count,
        "rng_seeds": list(RNG_SEEDS),
        "rows": rows,
    }
    for name, run in runs.items():
        engine = load(run / "export")
        told.setdefault("world", engine.info.world)
        told.setdefault("grid", list(engine.info.grid))
        told.setdefault("examples", list(engine.info.prompts))
        if engine.info.world != told["world"]:
            raise ValueError(
                f"--ablations: got {run} of the world {engine.info.world!r}, expected "
                f"{told['world']!r} as those before it"
            )
        dtype = dtype_of(engine)  # which rows of before do not tell
        alike = [r for r in rows if (r["digest"], r.get("dtype", dtype)) == (engine.digest, dtype)]
        found = {row["place"]: row for row in alike}
        rows[:] = [r for r in rows if r["name"] != name or r in found.values()]  # trained again
        drawn = folder / f"{name}.jpg"
        if not drawn.is_file() or not found:
            _paint(engine, told["examples"], drawn)
        for place in [p for p in places_of(engine) if p != "centre"]:
            row = found.get(place)
            if row is None:
                row = _begun(engine, name, run, place, count)
                rows.append(row)
            for rng_seed in RNG_SEEDS[len(row["rounds"]) :]:
                row["rounds"].append(rightness(Grower(engine, rng_seed), count, [place]))
                row |= _together(row["rounds"], place, count)
                _write(file, told)
    _write(file, told)
    return told


def _runs_in(folder: Path) -> dict[str, Path]:
    """Name -> run folder, as they are told; the name of a folder may be its configuration's."""
    found = {
        path.parents[1].name.removeprefix("ablation-"): path.parents[1]
        for path in sorted(folder.glob("*/export/config.yaml"))
    }
    if not found:
        raise ValueError(
            f"--ablations: got {folder}, where no run has an export, expected the folder of runs "
            "as `train generator ablation-raster --out FOLDER/raster` makes them"
        )
    return {n: found[n] for n in (*NAMES, *found) if n in found}


def _begun(engine: Engine, name: str, run: Path, place: str, count: int) -> dict[str, Any]:
    """What is known of a row before anything is judged."""
    record = read_yaml(run / "export" / "record.yaml")
    seeds = seeds_from(engine, place, -(-count // BATCH), 0)
    settings = {"heads": engine.info.heads, "fusion": engine.info.fusion}
    loss = likelihood(engine, of_world(Grower(engine), count), seeds, **settings)
    plans = [engine.plan(Request(seed_position=seed)).total for seed in seeds]
    return {
        "name": name,
        "title": engine.info.title,
        "digest": engine.digest,
        "dtype": dtype_of(engine),
        "order": engine.model.config.order,
        "place": place,
        "steps": round(mean(plans)),
        "parameters": engine.info.parameters,
        "loss": round(loss, 4),
        "seconds": round(_seconds(engine, seeds[0]), 4),
        "trained_steps": record["steps"],
        "samples": record["samples"],
        "hours": record["hours"],
        "rounds": [],
    }


def _seconds(engine: Engine, seed: Cell) -> float:
    """Seconds of a processor for a picture, tokens only."""
    prompts = [engine.info.prompts[i % len(engine.info.prompts)] for i in range(BATCH)]
    request = Grower(engine).request(prompts, seed)
    engine.generate_all(request)
    taken = []
    for _ in range(TIMES):
        started = time.process_time()
        engine.generate_all(request)
        taken.append((time.process_time() - started) / BATCH)
    return median(taken)


def _together(rounds: Sequence[dict[str, Any]], place: str, count: int) -> dict[str, Any]:
    """What the rounds say together."""
    out: dict[str, Any] = {"right": _share([(r[f"right_{place}"], count) for r in rounds])}
    for part in ("seen", "held_out"):
        parts = [
            sum(c[part]["prompts"] for c in r["categories"].values() if part in c) for r in rounds
        ]
        shares = [r[f"right_{part}"] or 0.0 for r in rounds]
        out[f"right_{part}"] = _share(list(zip(shares, parts, strict=True)))
    for name in ("frechet", "frechet_floor"):
        if name in rounds[0]:
            out[name] = round(mean(r[name] for r in rounds), 2)
    damage = [r[f"damage_{place}"] for r in rounds if r[f"damage_{place}"] is not None]
    return out | ({"damage": round(mean(damage), 4)} if damage else {})


def _share(found: Sequence[tuple[float, int]]) -> list[float]:
    """[share, low, high] of shares of so many each."""
    of = sum(n for _, n in found)
    hits = sum(round(share * n) for share, n in found)
    return [round(x, 4) for x in (hits / of, *interval(hits, of))] if of else [0.0, 0.0, 1.0]


def _paint(engine: Engine, prompts: Sequence[str], file: Path) -> None:
    """Grow the prompts under rng seed 0, and write the pictures side by side."""
    grown = Grower(engine).grow(prompts)
    with whole_file(file) as part:
        Image.fromarray(np.concatenate(grown[:, 0], 1)).save(part, quality=88, subsampling=0)


def _write(file: Path, told: dict[str, Any]) -> None:
    told["rows"].sort(key=lambda row: (*NAMES, row["name"]).index(row["name"]))
    write_json(file, told)
