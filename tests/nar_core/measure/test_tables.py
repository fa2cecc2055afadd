"""Samples in the forms that the published tables are scored from."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nar_core.cli import main
from nar_core.engine import Engine
from nar_core.measure import tables
from nar_core.measure.growing import Grower
from nar_core.measure.tables import TableRun, Tally, make_table

from ..weights.conftest import checkpoints  # noqa: F401
from ..weights.test_load import picture_model  # noqa: F401
from .standins import save_standin


@pytest.fixture
def grower(picture_model):  # noqa: F811
    return Grower(Engine.load("tiny", device="cpu"), rng_seed=3)


def samples_of(found) -> np.ndarray:
    with np.load(found["samples"]) as file:
        assert file.files == ["arr_0"]
        return file["arr_0"]


def only(folder, count: int, batch: int = 8) -> TableRun:
    return TableRun(folder, count, batch, scored=False)


def test_table_1_is_an_npz_of_balanced_classes(grower, tmp_path):
    found = make_table(grower, 1, only(tmp_path / "out", 7, 3))
    pictures = samples_of(found)
    assert pictures.shape == (7, 8, 8, 3)
    assert pictures.dtype == np.uint8
    assert "scores" not in found
    # Another batch size gives the same pictures, but for rounding, and so does a single run.
    again = samples_of(make_table(grower, 1, only(tmp_path / "b", 7, 40)))
    assert np.abs(again.astype(int) - pictures).max() <= 1
    assert len({p.tobytes() for p in pictures}) == 7
    alone = grower.grow([6 % 5], number=6)[0, 0]
    assert np.abs(alone.astype(int) - pictures[6]).max() <= 1


def test_a_run_is_continued_and_other_settings_are_refused(grower, tmp_path):
    folder = tmp_path / "out"
    whole = np.array(samples_of(make_table(grower, 1, only(folder, 4, 2))))
    done = np.lib.format.open_memmap(folder / "done.npy", "r+")
    samples = np.lib.format.open_memmap(folder / "samples.npy", "r+")
    done[[1, 3]] = False
    samples[[0, 2]], samples[[1, 3]] = 9, 0
    done.flush(), samples.flush()
    resumed = samples_of(make_table(grower, 1, only(folder, 4, 2)))
    assert (resumed[[0, 2]] == 9).all()
    assert np.abs(resumed[[1, 3]].astype(int) - whole[[1, 3]]).max() <= 1
    with pytest.raises(ValueError, match="use another --out"):
        make_table(replace(grower, rng_seed=4), 1, only(folder, 4))
    with pytest.raises(ValueError, match="use another --out"):
        make_table(replace(grower, settings={"top_k": 3}), 1, only(folder, 4))


def test_processes_share_the_work(grower, tmp_path, monkeypatch):
    whole = samples_of(make_table(grower, 1, only(tmp_path / "one", 7, 2)))
    monkeypatch.setattr(tables, "_together", lambda barrier: None)  # one after the other here
    counts = []
    for rank in (0, 1):
        monkeypatch.setattr(tables, "rank_and_world", lambda rank=rank: (rank, 2))
        make_table(grower, 1, only(tmp_path / "two", 7, 2))
        counts.append(int(np.load(tmp_path / "two" / "done.npy").sum()))
    # the first makes every other sample, the second half of what the first has left
    assert counts == [4, 5]
    monkeypatch.setattr(tables, "rank_and_world", lambda: (0, 1))
    found = samples_of(make_table(grower, 1, only(tmp_path / "two", 7, 2)))
    assert np.abs(found.astype(int) - whole).max() <= 1


def test_samples_of_other_numbers_are_not_gone_on_with(tmp_path):
    Tally(tmp_path, {"model": "a"}, 2)  # a folder of before does not tell its dtype
    Tally(tmp_path, {"model": "a", "dtype": "float32"}, 2)
    Tally(tmp_path / "new", {"model": "a", "dtype": "float32"}, 2)
    with pytest.raises(
        ValueError, match=r"made with .*float32.*, expected .*bfloat16.*; use another"
    ):
        Tally(tmp_path / "new", {"model": "a", "dtype": "bfloat16"}, 2)


def test_a_share_is_taken_before_any_sample_is_marked(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "rank_and_world", lambda: (0, 2))
    monkeypatch.setattr(tables, "_together", lambda barrier: None)
    tally, happened = Tally(tmp_path, {}, 6), []

    def together(barrier):
        happened.append("together")
        tally.done[1] = True  # by the other process, which goes on from here

    monkeypatch.setattr(tables, "_together", together)
    tally.left(2, "x", lambda numbers: happened.append(numbers.tolist()))
    assert happened == ["together", [0, 2], [4], "together"]


def test_samples_are_packed_when_all_processes_are_through(grower, tmp_path, monkeypatch):
    happened = []
    monkeypatch.setattr(tables, "_together", lambda barrier: happened.append("together"))
    monkeypatch.setattr(tables, "as_npz", lambda folder: happened.append("packed"))
    monkeypatch.setattr(
        type(grower), "grow_each", lambda *_: happened.append("grown") or np.zeros((1, 1, 8, 8, 3))
    )
    make_table(grower, 1, only(tmp_path, 1))
    assert happened[-3:] == ["grown", "together", "packed"]


def test_blank_samples_are_never_scored(grower, tmp_path, monkeypatch):
    net = save_standin(tmp_path / "net.pt", "inception")
    real = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    np.save(tmp_path / "real.npy", real)
    run = TableRun(tmp_path / "out", 7, 3, str(tmp_path / "real.npy"), net)
    scores = make_table(grower, 1, run)["scores"]
    (tmp_path / "out" / "samples.npy").unlink()
    assert make_table(grower, 1, run)["scores"] == pytest.approx(scores)
    assert samples_of(make_table(grower, 1, run)).any((1, 2, 3)).all()
    np.save(tmp_path / "out" / "done.npy", np.arange(7) < 5)
    monkeypatch.setattr(Tally, "left", lambda *_: None)
    with pytest.raises(ValueError, match=r"got 5 of 7 finished, expected all of them"):
        make_table(grower, 1, run)


def test_table_1_is_scored_by_the_network_in_a_file(grower, tmp_path):
    net = save_standin(tmp_path / "net.pt", "inception")
    real = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    np.save(tmp_path / "real.npy", real)
    run = TableRun(tmp_path / "out", 7, 3, str(tmp_path / "real.npy"), net)
    scores = make_table(grower, 1, run)["scores"]
    assert set(scores) == {"fid", "inception_score", "precision", "recall"}
    assert scores["fid"] > 0
    own = str(tmp_path / "out" / "samples.npy")
    assert make_table(grower, 1, replace(run, reference=own))["scores"]["fid"] < 1e-3


def test_what_scoring_needs_is_looked_for_before_any_sample(grower, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    monkeypatch.setattr(type(grower), "grow_each", lambda *_: pytest.fail("made a sample"))
    np.save(tmp_path / "real.npy", np.zeros((9, 8, 8, 3), np.uint8))
    for reference, told in (
        (None, "--reference: got none"),
        (str(tmp_path / "real.npy"), r"--features: got none.*requirements-eval.txt"),
    ):
        with pytest.raises(ValueError, match=told):
            make_table(grower, 1, TableRun(tmp_path / "out", 7, 3, reference))
    with pytest.raises(ValueError, match="--samples: got 1, expected 2 or more to score"):
        make_table(grower, 1, TableRun(tmp_path / "out", 1))


def test_table_3_has_genevals_layout(grower, tmp_path, monkeypatch):
    lines = [
        '{"tag": "colors", "prompt": "a red bus"}',
        '{"tag": "counting", "prompt": "two cats"}',
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    asked = []

    def generate_all(request):
        asked.append((request.prompt, request.num_samples, request.rng_seed))
        return SimpleNamespace(tokens=np.zeros((request.num_samples, 1, 4, 4), np.int64))

    info = replace(grower.engine.info, task="text")
    monkeypatch.setattr(grower.engine, "info", info)
    monkeypatch.setattr(grower.engine, "generate_all", generate_all)
    source = tmp_path / "metadata.jsonl"
    run = TableRun(tmp_path / "out", 4, 3, str(source))
    monkeypatch.setitem(tables.TABLES, 3, ("text", "image", 4))
    with pytest.raises(ValueError, match=r"got samples in .*evaluate_images.py .*--samples-only"):
        make_table(grower, 3, run)
    assert asked[:2] == [(("a red bus",) * 3, 3, 3), (("a red bus",), 1, 6)]
    for index, line in enumerate(lines):
        place = tmp_path / "out" / f"{index:05d}"
        assert (place / "metadata.jsonl").read_text() == line
        names = sorted(p.name for p in (place / "samples").iterdir())
        assert names == ["0000.png", "0001.png", "0002.png", "0003.png"]
        assert Image.open(place / "samples" / "0000.png").size == (8, 8)
    results = [{"tag": "colors", "correct": i > 0} for i in range(4)]
    results += [{"tag": "counting", "correct": True}] * 4
    text = "\n".join(map(json.dumps, results))
    (tmp_path / "out" / "results.jsonl").write_text(text)
    asked.clear()
    found = make_table(grower, 3, run)
    assert found["scores"] == {"geneval": 0.875, "colors": 0.75, "counting": 1}
    assert not asked  # the pictures were there already
    for wrong in ("a red bus", '{"tag": "colors"}', "[]"):
        source.write_text(f"{lines[0]}\n{wrong}\n")
        with pytest.raises(ValueError, match=r"--reference: got .*, in which not every line is a"):
            make_table(grower, 3, replace(run, folder=tmp_path / "other"))


def test_a_model_of_another_task_is_refused(grower, tmp_path):
    with pytest.raises(ValueError, match="expected a class to video model"):
        make_table(grower, 2, TableRun(tmp_path / "out"))


def test_the_command_makes_and_scores_a_table(picture_model, tmp_path, capsys, monkeypatch):  # noqa: F811
    net = save_standin(tmp_path / "net.pt", "inception")
    np.save(tmp_path / "real.npy", np.zeros((9, 8, 8, 3), np.uint8))
    words = ["evaluate", "--model", "tiny", "--table", "1", "--samples", "6", "--batch", "20"]
    words += ["--temperature", "0.9", "--top-k", "20", "--heads", "horizontal", "--device", "cpu"]
    words += ["--reference", str(tmp_path / "real.npy"), "--out", str(tmp_path / "out"), "--json"]
    assert main([*words, "--features", net]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["scores"]["fid"] > 0
    settings = json.loads((tmp_path / "out" / "progress.json").read_text())["settings"]
    assert settings == {"temperature": 0.9, "top_k": 20, "heads": "horizontal"}
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    assert main(words) == 2
    told = capsys.readouterr()
    assert "requirements-eval.txt" in told.err
    assert told.out == ""
