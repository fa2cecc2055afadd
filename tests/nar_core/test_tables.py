"""Samples in the forms that the published tables are scored from."""

from __future__ import annotations

import argparse
import json
import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from nar_core import tables
from nar_core.engine import Engine

from .weights.conftest import checkpoints  # noqa: F401
from .weights.test_load import picture_model  # noqa: F401


@pytest.fixture
def engine(picture_model):  # noqa: F811
    return Engine.load("tiny", device="cpu")


def arguments(folder, **changes) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    tables.add_arguments(parser)
    args = parser.parse_args(["--table", "1", "--out", str(folder / "out")])
    return argparse.Namespace(**{**vars(args), "guidance": None, "rng_seed": 3, **changes})


@pytest.fixture
def no_fidelity(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)


def test_table_1_is_an_npz_of_balanced_classes(engine, tmp_path, no_fidelity):
    found = tables.run(engine, arguments(tmp_path, samples=7, batch=3))
    with np.load(found["samples"]) as file:
        assert file.files == ["arr_0"]
        pictures = file["arr_0"]
    assert pictures.shape == (7, 8, 8, 3)
    assert pictures.dtype == np.uint8
    assert found["scores"] == {}
    assert "torch_fidelity is not installed" in found["note"]
    assert "evaluator.py" in found["note"]
    # Another batch size gives the same pictures, but for rounding.
    again = tables.run(engine, arguments(tmp_path, samples=7, batch=2, out=str(tmp_path / "b")))
    with np.load(again["samples"]) as file:
        assert np.abs(file["arr_0"].astype(int) - pictures).max() <= 1
    assert len({p.tobytes() for p in pictures}) == 7


def test_a_run_is_continued_and_other_settings_are_refused(engine, tmp_path, no_fidelity):
    args = arguments(tmp_path, samples=4, batch=2)
    whole = np.array(np.load(tables.run(engine, args)["samples"])["arr_0"])
    folder = tmp_path / "out"
    progress = json.loads((folder / "progress.json").read_text())
    (folder / "progress.json").write_text(json.dumps({**progress, "done": 2}))
    samples = np.lib.format.open_memmap(folder / "samples.npy", "r+")
    samples[:2], samples[2:] = 9, 0
    samples.flush()
    resumed = np.load(tables.run(engine, args)["samples"])["arr_0"]
    assert (resumed[:2] == 9).all()
    assert np.array_equal(resumed[2:], whole[2:])
    with pytest.raises(ValueError, match="use another --out"):
        tables.run(engine, arguments(tmp_path, samples=4, rng_seed=4))


def test_scores_come_from_the_library_where_it_is_there(engine, tmp_path, monkeypatch):
    library = ModuleType("torch_fidelity")
    asked = {}

    def calculate_metrics(**kwargs):
        asked.update(kwargs)
        assert kwargs["input1"][0].shape == (3, 8, 8)
        return {"inception_score_mean": 5.0, "frechet_inception_distance": 3.0}

    library.calculate_metrics = calculate_metrics
    monkeypatch.setitem(sys.modules, "torch_fidelity", library)
    found = tables.run(engine, arguments(tmp_path, samples=2, reference="real"))
    assert found["scores"] == {"inception_score": 5.0, "fid": 3.0}
    assert (asked["fid"], asked["prc"], asked["input2"]) == (True, True, "real")

    def broken(**kwargs):
        raise OSError("no feature weights")

    library.calculate_metrics = broken
    found = tables.run(engine, arguments(tmp_path, samples=2))
    assert found["scores"] == {}
    assert "no feature weights" in found["note"]


def test_table_3_has_genevals_layout(engine, tmp_path, monkeypatch):
    lines = [
        '{"tag": "colors", "prompt": "a red bus"}',
        '{"tag": "counting", "prompt": "two cats"}',
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    asked = []

    def generate_all(request):
        asked.append((request.prompt, request.num_samples, request.rng_seed))
        return argparse.Namespace(tokens=np.zeros((request.num_samples, 1, 4, 4), np.int64))

    monkeypatch.setattr(engine, "generate_all", generate_all)
    args = arguments(tmp_path, samples=4, batch=3, reference=str(tmp_path / "metadata.jsonl"))
    (tmp_path / "out").mkdir()
    found = tables.write_geneval(engine, tmp_path / "out", 4, args)
    assert found["prompts"] == 2
    assert asked[:2] == [("a red bus", 3, 3), ("a red bus", 1, 6)]
    for index, line in enumerate(lines):
        place = tmp_path / "out" / f"{index:05d}"
        assert (place / "metadata.jsonl").read_text() == line
        names = sorted(p.name for p in (place / "samples").iterdir())
        assert names == ["0000.png", "0001.png", "0002.png", "0003.png"]
        assert Image.open(place / "samples" / "0000.png").size == (8, 8)


def test_a_model_of_another_task_is_refused(engine, tmp_path):
    with pytest.raises(ValueError, match="expected a class to video model"):
        tables.run(engine, arguments(tmp_path, table=2))
    with pytest.raises(ValueError, match="expected --out"):
        tables.run(engine, arguments(tmp_path, out=None))
