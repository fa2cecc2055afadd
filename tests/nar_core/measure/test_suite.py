"""Suites time the same work in every way; raster order is a plan like any other."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from nar_core.cli import main
from nar_core.decode import Growth
from nar_core.measure import suite as suites
from nar_core.measure.speed import random_engine
from nar_core.measure.suite import COLOURS, Case, Row, chart, table
from nar_core.plan import GridShape, make_plan
from nar_core.settings import SamplingSettings

from ..helpers import official_config, random_model


def test_raster_order_grows_what_the_whole_grid_says():
    grid = GridShape(1, 3, 4)
    config = official_config(grid)
    model = random_model(config)
    plan = make_plan(grid, (0, 0, 0), None, config.directions, order="raster")
    assert [step.positions.tolist() for step in plan.steps] == [[i] for i in range(12)]
    values = torch.tensor([1, 4])
    growth = Growth(
        model,
        plan,
        values,
        model.condition.null_like(values),
        torch.full((2, 12), -1),
        torch.zeros(2, 12),
        SamplingSettings(guidance_scale=1.0, temperature=0.0),
    )
    for _ in plan.steps:
        growth.step()
    levels, fan_in = torch.from_numpy(plan.levels), torch.from_numpy(plan.fan_in)
    with torch.inference_mode():
        logits = model(values, growth.tokens, levels, fan_in)
    assert torch.equal(logits.argmax(-1), growth.tokens)


def row(way: str, batch: int, seconds: float) -> Row:
    return Row("NAR-B", way, batch, 31, seconds, batch / seconds, 100 * batch, 0.1, 0.1 / seconds)


def test_ours_is_told_beside_the_published_way_of_the_same_batch():
    rows = [row("ours", 1, 0.5), row("published", 1, 1.5), row("ours", 8, 2.0)]
    assert [r.get("ratio") for r in table(rows)] == [3.0, None, None]
    larger = replace(rows[0], grid=(1, 32, 32))  # of another grid
    assert [r.get("ratio") for r in table([*rows, larger])] == [3.0, None, None, None]


def test_every_way_is_drawn():
    rows = [row(way, b, 0.1 * (i + 1) * b) for i, way in enumerate(COLOURS) for b in (1, 2, 8)]
    colours = {colour for _, colour in chart(rows, "NAR-B").getcolors(1 << 20) or []}
    assert colours >= set(COLOURS.values())


def test_a_suite_is_drawn_in_the_order_of_its_batches():
    rows = [row("ours", b, 0.01 * b) for b in (1, 64, 8, 256)]
    ascending = sorted(rows, key=lambda r: r.batch)
    assert chart(rows, "NAR-B").tobytes() == chart(ascending, "NAR-B").tobytes()


def test_sizes_are_drawn_against_their_cells():
    grids = [(1, 16, 16), (1, 32, 32)]
    rows = [replace(row("ours", 1, 0.5), grid=g, passes=sum(g) - 2) for g in grids]
    more = [rows[0], replace(rows[1], passes=32)]  # else alike
    assert chart(rows, "NAR-B").tobytes() != chart(more, "NAR-B").tobytes()
    assert [r["grid"] for r in table(rows)] == [list(g) for g in grids]


def test_a_model_of_an_official_size_is_timed_on_another_grid():
    case = Case("NAR-B", 1, grid=GridShape(1, 2, 3))
    engine = random_engine("NAR-B", "cpu", "bfloat16", with_tokenizer=False, grid=case.grid)
    assert engine.model.config.grid == engine.info.grid == case.grid
    (timed,) = suites._timed(case, torch.device("cpu"), "bfloat16", 1, 1e9)
    assert (timed.passes, timed.cells, timed.grid) == (4, 6, (1, 2, 3))


def test_a_suite_tells_what_there_was_no_time_for(monkeypatch):
    timed = []

    def timing(case, device, dtype, repeats, rate):
        timed.append(case.batch)
        return [row("ours", case.batch, 1.0)]

    monkeypatch.setattr(suites, "_timed", timing)
    monkeypatch.setattr(suites, "bandwidth", lambda device: 1e9)
    monkeypatch.setitem(suites.SUITES, "cpu", (Case("NAR-B", 1), Case("NAR-B", 2)))
    rows, left = suites.suite("cpu", "cpu", "auto", 1)
    assert (timed, len(rows), left) == ([1, 2], 2, [])
    monkeypatch.setitem(suites.SUITES, "sizes", (Case("NAR-B", 1, grid=GridShape(1, 24, 24)),))
    assert suites.suite("sizes", "cpu", "auto", 1, minutes=-1)[1] == [
        "NAR-B, batch 1, grid 1x24x24"
    ]
    assert suites.suite("cpu", "cpu", "auto", 1, minutes=-1)[1] == [
        "NAR-B, batch 1",
        "NAR-B, batch 2",
    ]


def test_figures_tell_their_command(monkeypatch, tmp_path, capsys):
    rows = [row("ours", 1, 0.5), row("published", 1, 1.5)]
    monkeypatch.setattr("nar_core.cli.bench.suite", lambda *asked: (rows, []))
    file = tmp_path / "speed.json"
    assert (
        main(["bench", "--suite", "cpu", "--minutes", "9", "--figures", str(file), "--json"]) == 0
    )
    told = json.loads(file.read_text("utf-8"))
    assert told == json.loads(capsys.readouterr().out.splitlines()[-1])
    command = "python -m nar_core bench --suite cpu --minutes 9.0 --figures speed.json"
    assert (told["command"], told["rows"]) == (command, table(rows))


def test_where_figures_go_is_checked_before_anything_is_timed(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("nar_core.cli.bench.suite", None)  # it would not be callable
    assert main(["bench", "--suite", "cpu", "--figures", str(tmp_path)]) == 2
    assert "--figures: got" in capsys.readouterr().err
    assert main(["bench", "--picture", str(tmp_path / "chart.png")]) == 2
    assert "add --suite cpu" in capsys.readouterr().err


def test_the_suite_of_a_gpu_needs_one(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert main(["bench", "--suite", "gpu"]) == 2
    assert "has no GPU" in capsys.readouterr().err
