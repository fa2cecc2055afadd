"""Models that differ in one thing: what their table counts, and that it goes on where it stood."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nar_core.cli import main
from nar_core.measure import ablations as measured
from nar_core.measure.ablations import ablations
from nar_core.plan import GridShape

GRID = GridShape(1, 4, 4)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """`runs(world)`: a folder of runs, what loads them, and the rounds that were grown."""
    grown = []
    for name in ("any-start", "heads", "ablation-raster", "unfinished"):
        (tmp_path / name).mkdir()
    for name in ("any-start", "heads", "ablation-raster"):
        (tmp_path / name / "export").mkdir()
        (tmp_path / name / "export" / "config.yaml").touch()

    def engine(path):
        name = path.parent.name.removeprefix("ablation-")
        info = SimpleNamespace(
            world="landscape" if name != "heads" else runs.world,
            grid=GRID,
            title=name.title(),
            prompts=("hills", "a desert"),
            parameters=7,
            heads="mixed",
            fusion="logits",
            seed_positions="any" if name == "any-start" else "corner",
        )
        config = SimpleNamespace(order="raster" if name == "raster" else "neighbours")
        return SimpleNamespace(
            info=info,
            digest=f"digest of {name}",
            dtype=runs.dtype,
            model=SimpleNamespace(config=config),
            plan=lambda request: SimpleNamespace(total=16 if name == "raster" else 7),
            generate_all=lambda request: None,
        )

    def rightness(grower, count, places):
        grown.append((grower.engine.digest, grower.rng_seed, *places))
        share = (grower.rng_seed + 1) / 4
        parts = {"seen": {"prompts": 3}, "held_out": {"prompts": 1}}
        return {
            f"right_{places[0]}": share,
            f"damage_{places[0]}": None,
            "right_seen": 2 / 3,
            "right_held_out": 1.0,
            "frechet": 2.0 + grower.rng_seed,
            "frechet_floor": 1.0,
            "categories": {"hills": parts},
        }

    pixels = np.zeros((2, 1, 8, 8, 3), np.uint8)
    monkeypatch.setattr(measured, "rightness", rightness)
    monkeypatch.setattr(measured, "of_world", lambda grower, count: None)
    monkeypatch.setattr(measured, "likelihood", lambda *args, **settings: 2.5)
    monkeypatch.setattr(
        measured, "read_yaml", lambda path: {"steps": 5, "samples": 80, "hours": 0.1}
    )
    monkeypatch.setattr(measured.Grower, "request", lambda *args: None)
    monkeypatch.setattr(measured.Grower, "grow", lambda self, prompts: pixels[: len(prompts)])
    runs = SimpleNamespace(
        folder=tmp_path, load=engine, grown=grown, world="landscape", dtype="float32"
    )
    return runs


def test_rows_are_told_in_their_order_with_all_rounds_together(runs):
    told = ablations(runs.folder, 4, runs.load)
    rows = [(row["name"], row["place"], row["steps"], row["order"]) for row in told["rows"]]
    assert rows == [
        ("raster", "corner", 16, "raster"),
        ("heads", "corner", 7, "neighbours"),
        ("any-start", "corner", 7, "neighbours"),
        ("any-start", "any", 7, "neighbours"),
    ]
    first = told["rows"][0]
    assert first["right"] == [0.5, 0.2538, 0.7462]  # 1, 2 and 3 of 4
    assert first["right_seen"][0] == pytest.approx(2 / 3, abs=1e-4)
    assert first["right_held_out"] == [1.0, 0.4385, 1.0]
    assert (first["frechet"], first["frechet_floor"]) == (3.0, 1.0)
    assert "damage" not in first
    assert told["examples"] == ["hills", "a desert"]
    assert Image.open(runs.folder / "any-start.jpg").size == (16, 8)
    assert json.loads((runs.folder / "ablations.json").read_text("utf-8")) == told


def test_what_was_found_is_not_grown_again(runs):
    told = ablations(runs.folder, 4, runs.load)
    file = runs.folder / "ablations.json"
    assert len(runs.grown) == 12
    cut = json.loads(file.read_text("utf-8"))
    cut["rows"] = cut["rows"][:3]
    del cut["rows"][2]["rounds"][1:]
    file.write_text(json.dumps(cut), "utf-8")
    runs.grown.clear()
    assert ablations(runs.folder, 4, runs.load) == told
    assert runs.grown == [
        ("digest of any-start", 1, "corner"),
        ("digest of any-start", 2, "corner"),
        *(("digest of any-start", k, "any") for k in range(3)),
    ]
    runs.grown.clear()
    ablations(runs.folder, 5, runs.load)
    assert len(runs.grown) == 12


def test_a_model_that_was_trained_again_is_drawn_again(runs):
    ablations(runs.folder, 4, runs.load)
    drawn = runs.folder / "heads.jpg"
    drawn.write_bytes(b"before")
    ablations(runs.folder, 4, runs.load)
    assert drawn.read_bytes() == b"before"

    def again(path):
        engine = runs.load(path)
        engine.digest += " again"
        return engine

    told = ablations(runs.folder, 4, again)
    assert Image.open(drawn).size == (16, 8)
    assert len(told["rows"]) == 4
    assert all(row["digest"].endswith("again") for row in told["rows"])


def test_rows_of_other_numbers_are_measured_anew_and_the_command_tells_which(runs, monkeypatch):
    ablations(runs.folder, 4, runs.load)
    runs.dtype = "bfloat16"
    runs.grown.clear()
    told = ablations(runs.folder, 4, runs.load)
    assert {row["dtype"] for row in told["rows"]} == {"bfloat16"}
    assert len(runs.grown) == 12
    loaded = "nar_core.cli.evaluate.Engine.load"
    monkeypatch.setattr(loaded, lambda path, **_: runs.load(Path(path)))
    words = ["--ablations", str(runs.folder), "--world", "4", "--device", "cpu"]
    assert main(["evaluate", *words, "--dtype", "bfloat16"]) == 0
    file = json.loads((runs.folder / "ablations.json").read_text("utf-8"))
    assert file["command"].endswith(f"{runs.folder.name} --world 4 --device cpu --dtype bfloat16")


def test_rows_of_models_that_are_elsewhere_stay_in_their_order(runs):
    told = ablations(runs.folder, 4, runs.load)
    (runs.folder / "heads" / "export" / "config.yaml").unlink()
    runs.grown.clear()
    assert ablations(runs.folder, 4, runs.load)["rows"] == told["rows"]
    assert not runs.grown
    assert "heads" not in [row["name"] for row in ablations(runs.folder, 5, runs.load)["rows"]]


def test_what_later_models_had_stays_where_a_run_is_ended_early(runs, monkeypatch):
    told = ablations(runs.folder, 4, runs.load)
    file = runs.folder / "ablations.json"
    cut = json.loads(file.read_text("utf-8"))
    del cut["rows"][0]["rounds"][1:]
    file.write_text(json.dumps(cut), "utf-8")

    together = measured._together

    def ended_at_the_third(rounds, *args):
        if len(rounds) == 3:
            raise KeyboardInterrupt
        return together(rounds, *args)

    monkeypatch.setattr(measured, "_together", ended_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        ablations(runs.folder, 4, runs.load)
    left = json.loads(file.read_text("utf-8"))
    assert left["rows"][1:] == told["rows"][1:]
    assert len(left["rows"][0]["rounds"]) == 2


def test_models_of_two_worlds_are_not_put_beside_each_other(runs):
    runs.world = "emoji"
    with pytest.raises(ValueError, match="'emoji', expected 'landscape'"):
        ablations(runs.folder, 4, runs.load)


@pytest.mark.parametrize(
    ("words", "told"),
    [((), "no --world"), (("--world", "4"), "no run has an export")],
)
def test_a_folder_of_nothing_is_refused(tmp_path, capsys, words, told):
    assert main(["evaluate", "--ablations", str(tmp_path), *words]) == 2
    assert told in capsys.readouterr().err
