"""Samples in the forms that the published tables are scored from."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nar_core.engine import Engine
from nar_core.measure import tables
from nar_core.measure.growing import Grower
from nar_core.measure.tables import make_table

from ..weights.conftest import checkpoints  # noqa: F401
from ..weights.test_load import picture_model  # noqa: F401


@pytest.fixture
def grower(picture_model):  # noqa: F811
    return Grower(Engine.load("tiny", device="cpu"), rng_seed=3)


@pytest.fixture
def no_fidelity(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)


def test_table_1_is_an_npz_of_balanced_classes(grower, tmp_path, no_fidelity):
    found = make_table(grower, 1, tmp_path / "out", 7, batch=3)
    with np.load(found["samples"]) as file:
        assert file.files == ["arr_0"]
        pictures = file["arr_0"]
    assert pictures.shape == (7, 8, 8, 3)
    assert pictures.dtype == np.uint8
    assert found["scores"] == {}
    assert "torch_fidelity is not installed" in found["note"]
    assert "evaluator.py" in found["note"]
    # Another batch size gives the same pictures, but for rounding.
    again = make_table(grower, 1, tmp_path / "b", 7, batch=2)
    with np.load(again["samples"]) as file:
        assert np.abs(file["arr_0"].astype(int) - pictures).max() <= 1
    assert len({p.tobytes() for p in pictures}) == 7


def test_a_run_is_continued_and_other_settings_are_refused(grower, tmp_path, no_fidelity):
    folder = tmp_path / "out"
    whole = np.array(np.load(make_table(grower, 1, folder, 4, batch=2)["samples"])["arr_0"])
    progress = json.loads((folder / "progress.json").read_text())
    (folder / "progress.json").write_text(json.dumps({**progress, "done": 2}))
    samples = np.lib.format.open_memmap(folder / "samples.npy", "r+")
    samples[:2], samples[2:] = 9, 0
    samples.flush()
    resumed = np.load(make_table(grower, 1, folder, 4, batch=2)["samples"])["arr_0"]
    assert (resumed[:2] == 9).all()
    assert np.array_equal(resumed[2:], whole[2:])
    with pytest.raises(ValueError, match="use another --out"):
        make_table(replace(grower, rng_seed=4), 1, folder, 4)
    with pytest.raises(ValueError, match="use another --out"):
        make_table(replace(grower, settings={"top_k": 3}), 1, folder, 4)


def test_scores_come_from_the_library_where_it_is_there(grower, tmp_path, monkeypatch):
    library = ModuleType("torch_fidelity")
    asked = {}

    def calculate_metrics(**kwargs):
        asked.update(kwargs)
        assert kwargs["input1"][0].shape == (3, 8, 8)
        return {"inception_score_mean": 5.0, "frechet_inception_distance": 3.0}

    library.calculate_metrics = calculate_metrics
    monkeypatch.setitem(sys.modules, "torch_fidelity", library)
    found = make_table(grower, 1, tmp_path / "out", 2, reference="real")
    assert found["scores"] == {"inception_score": 5.0, "fid": 3.0}
    assert (asked["fid"], asked["prc"], asked["input2"]) == (True, True, "real")

    def broken(**kwargs):
        raise OSError("no feature weights")

    library.calculate_metrics = broken
    found = make_table(grower, 1, tmp_path / "out", 2)
    assert found["scores"] == {}
    assert "no feature weights" in found["note"]


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
    (tmp_path / "out").mkdir()
    source = tmp_path / "metadata.jsonl"
    found = tables.write_geneval(grower, tmp_path / "out", 4, 3, source)
    assert found["prompts"] == 2
    assert asked[:2] == [(("a red bus",) * 3, 3, 3), (("a red bus",), 1, 6)]
    for index, line in enumerate(lines):
        place = tmp_path / "out" / f"{index:05d}"
        assert (place / "metadata.jsonl").read_text() == line
        names = sorted(p.name for p in (place / "samples").iterdir())
        assert names == ["0000.png", "0001.png", "0002.png", "0003.png"]
        assert Image.open(place / "samples" / "0000.png").size == (8, 8)


def test_a_model_of_another_task_is_refused(grower, tmp_path):
    with pytest.raises(ValueError, match="expected a class to video model"):
        make_table(grower, 2, tmp_path / "out")
