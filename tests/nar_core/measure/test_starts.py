"""A map of starts adds up, and goes on where it was left."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

import nar_core
from nar_core.cli import main
from nar_core.measure import starts
from nar_core.measure.growing import Grower
from nar_core.measure.starts import ROUND, cells_of, drawn, seed_map, summary
from nar_core.plan import GridShape

from ..helpers import write_model_folder


def test_cells_are_every_so_many_with_the_centre_among_them():
    assert len(cells_of(GridShape(1, 16, 16), 1)) == 256
    cells = cells_of(GridShape(3, 10, 16), 4)
    assert (1, 5, 8) in cells
    assert {h for _, h, _ in cells} == {1, 5, 9}
    assert {t for t, _, _ in cells} == {1}


def test_rounds_add_up():
    found = {
        **dict.fromkeys(("command", "model", "digest", "dtype", "settings", "rng_seed"), ""),
        "cells": [[0, 0], [8, 8]],
        "rounds": [
            {"right": [4, 8], "damage": [0.5, 0.0], "seconds": [1.0, 2.0]},
            {"right": [2, 8], "damage": [0.1, 0.2], "seconds": [3.0, 2.0]},
            {"right": [0, 8], "damage": [0.0, 0.1], "seconds": [2.0, 9.0]},
        ],
    }
    told = summary(found, GridShape(1, 16, 16))
    assert told["prompts"] == 3 * ROUND
    assert (told["steps"], told["right"]) == ([31, 17], [6, 24])
    assert (told["damage"], told["seconds"]) == ([0.2, 0.1], [2.0, 2.0])
    share, low, high = told["by_steps"]["31"]
    assert share == 0.25
    assert low < 0.25 < high
    assert told["by_steps"]["17"][0] == 1


def test_a_map_is_drawn_by_its_nearest_measured_cells():
    told = {
        "grid": [1, 4, 4], "prompts": 2, "cells": [[0, 0], [3, 3]],
        "right": [2, 2], "damage": [0.0, 0.1], "steps": [7, 7],
    }  # fmt: skip
    sheet = drawn(told)
    side, gap = starts.SIDE, starts.GAP
    assert sheet.size == (3 * (4 * side + gap) + gap, 4 * side + 68)
    left = 2 * gap + 4 * side  # of the map of damage
    at = [sheet.getpixel((left + w * side, 32)) for w in (0, 3)]
    assert at == [starts.LEAST] * 2  # as near to either: the first
    assert sheet.getpixel((left + 3 * side, 32 + 3 * side)) == starts.MOST
    assert sheet.getpixel((gap, 32)) == starts.LEAST  # all alike


def test_a_map_of_something_else_is_not_gone_on_with(tmp_path: Path):
    models = {m.name: m for m in nar_core.list_models()}
    engine = SimpleNamespace(digest="x", dtype="torch.float32", info=models["emoji"])
    grower = Grower(cast(nar_core.Engine, engine))
    file = tmp_path / "starts.json"
    file.write_text(json.dumps({"model": "another", "rounds": []}))
    with pytest.raises(ValueError, match=r"starts.json: got one made with .*use another file"):
        seed_map(grower, ROUND, file, every=4)
    for text in ("hello", "[]", "{}"):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"starts.json: got no map of starts"):
            seed_map(grower, ROUND, file, every=4)
    engine.info = models["NAR-B"]
    with pytest.raises(ValueError, match="expected a model that starts anywhere"):
        seed_map(grower, ROUND, file)


def test_a_map_tells_what_it_was_measured_with(tmp_path: Path, monkeypatch):
    told = []
    monkeypatch.setattr(
        "nar_core.cli.evaluate.seed_map", lambda *asked: told.append(asked[4]) or {}
    )
    words = ["--model", str(write_model_folder(tmp_path)), "--seed-map", str(tmp_path / "a.json")]
    words += ["--every", "4", "--device", "cpu"]
    assert main(["evaluate", *words, "--rng-seed", "5", "--guidance-scale", "4"]) == 0
    [command] = told
    told = "--seed-map a.json --every 4 --rng-seed 5 --device cpu --guidance-scale 4.0"
    assert command.endswith(told)


def test_all_cells_are_asked_the_same_few_prompts_and_later_more(tmp_path: Path, monkeypatch):
    """Of a grid of 2 x 3, where growths from the first column come out right."""
    grid, asked = GridShape(1, 2, 3), []

    def generate_all(request):
        asked.append((request.prompt, request.rng_seed, request.seed_position))
        at = request.seed_position[1:]
        return SimpleNamespace(tokens=np.full((request.num_samples, 1, 2, 3), 3 * at[0] + at[1]))

    engine = SimpleNamespace(
        digest="x",
        dtype="torch.float32",
        info=SimpleNamespace(name="m", world="emoji", task="text", seed_positions="any", grid=grid),
        generate_all=generate_all,
        decode=lambda tokens: tokens[:, 0, 0, 0],
    )
    exam = SimpleNamespace(
        categories=("one", "two", "three"),
        ask=lambda category, held_out, rng: category,
        judge=lambda facts, pixels: [
            SimpleNamespace(right=p % 3 == 0, damage=0.5) for p in pixels.tolist()
        ],
    )
    monkeypatch.setattr(starts, "exam_of", lambda engine: exam)
    monkeypatch.setitem(
        starts.WORLDS, "emoji", lambda: SimpleNamespace(say=lambda facts, rng: facts)
    )
    grower, file = Grower(cast(nar_core.Engine, engine), rng_seed=5), tmp_path / "starts.json"
    command = "evaluate --seed-map starts.json"
    told = seed_map(grower, 2, file)
    assert (told["prompts"], told["cells"]) == (2, [[h, w] for h in range(2) for w in range(3)])
    assert told["right"] == [2, 0, 0, 2, 0, 0]
    assert {(prompt, seed) for prompt, seed, _ in asked} == {(("one", "two"), 5)}
    asked.clear()
    told = seed_map(grower, 5, file, command=command)
    assert len(asked) == 6  # what was found is gone on with
    assert {prompt for prompt, _, _ in asked} == {("three", "one", "two")}
    assert (told["prompts"], told["right"], told["damage"]) == (5, [5, 0, 0, 5, 0, 0], [0.5] * 6)
    assert told["command"] == f"{command} --count 5"
    assert json.loads(file.read_text("utf-8"))["prompts"] == 5
    assert seed_map(grower, 4, file, command=command) == told
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", lambda part, path: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):  # while it is written: what was found is not lost
            seed_map(grower, 8, file)
    assert seed_map(grower, 4, file, command=command) == told
    engine.dtype = "torch.bfloat16"  # other numbers grow other pictures
    with pytest.raises(
        ValueError, match=r"made with {'dtype': 'float32'}, expected {'dtype': 'bfl"
    ):
        seed_map(grower, 6, file)
    before = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({k: v for k, v in before.items() if k != "dtype"}), "utf-8")
    assert seed_map(grower, 4, file)["dtype"] == "bfloat16"  # a file of before does not tell
