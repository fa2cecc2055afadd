"""A map of starts adds up, and goes on where it was left."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import nar_core
from nar_core.measure.growing import Grower
from nar_core.measure.starts import ROUND, cells_of, seed_map, summary
from nar_core.plan import GridShape


def test_cells_are_every_so_many_with_the_centre_among_them():
    assert len(cells_of(GridShape(1, 16, 16), 1)) == 256
    cells = cells_of(GridShape(3, 10, 16), 4)
    assert (1, 5, 8) in cells
    assert {h for _, h, _ in cells} == {1, 5, 9}
    assert {t for t, _, _ in cells} == {1}


def test_rounds_add_up():
    found = {
        **dict.fromkeys(("command", "model", "digest", "settings", "rng_seed"), ""),
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


def test_a_map_of_something_else_is_not_gone_on_with(tmp_path: Path):
    models = {m.name: m for m in nar_core.list_models()}
    engine = SimpleNamespace(digest="x", info=models["emoji"])
    grower = Grower(cast(nar_core.Engine, engine))
    file = tmp_path / "starts.json"
    file.write_text(json.dumps({"model": "another", "rounds": []}))
    with pytest.raises(ValueError, match=r"starts.json: got one made with .*use another file"):
        seed_map(grower, ROUND, file, every=4)
    engine.info = models["NAR-B"]
    with pytest.raises(ValueError, match="expected a model that starts anywhere"):
        seed_map(grower, ROUND, file)
