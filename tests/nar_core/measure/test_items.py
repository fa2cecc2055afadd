"""Which items of a folder are measured on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from nar_core import Engine
from nar_core.measure.items import names_of, part_of, source_of, spread
from nar_core.train.data import DataFolder

from ..helpers import write_model_folder


def test_what_is_measured_may_be_what_was_trained_on_or_held_out(tmp_path):
    engine = SimpleNamespace(info=SimpleNamespace(name="bars"), folder=tmp_path)
    records = [{"file": f"{i}.png", "label": "ab"[i % 2]} for i in range(200)]
    data = DataFolder(tmp_path, records)
    with pytest.raises(ValueError, match="expected a model with a training record"):
        part_of(data, "training", engine)
    OmegaConf.save({"steps": 3}, tmp_path / "record.yaml")  # as of one's own, of the official kind
    with pytest.raises(ValueError, match="expected a model with a training record that names"):
        part_of(data, "training", engine)
    source = {"folder": "x", "key": "file", "hold_out": 0.3, "only": {"label": ["a"]}}
    source |= {"named_otherwise_before": 1}
    OmegaConf.save({"source": source}, tmp_path / "record.yaml")
    parts = {part: part_of(data, part, engine).records for part in ("all", "training", "held-out")}
    assert parts["all"] == records
    assert {r["label"] for r in parts["training"]} == {"a"}
    assert {r["label"] for r in parts["held-out"]} == {"a", "b"}
    assert 40 < len(parts["held-out"]) < 80
    rest = [r for r in records if r not in parts["training"] and r not in parts["held-out"]]
    assert {r["label"] for r in rest} == {"b"}
    assert len(parts["training"]) + len(parts["held-out"]) + len(rest) == 200
    OmegaConf.save({"source": source | {"hold_out": 0.0}}, tmp_path / "record.yaml")
    with pytest.raises(ValueError, match=r"got --part held-out, of which .* has nothing"):
        part_of(data, "held-out", engine)


def test_a_limit_spreads_over_the_whole_folder(tmp_path):
    data = DataFolder(tmp_path, [{"file": str(i)} for i in range(199)])
    files = [record["file"] for record in spread(data, 100).records]
    assert (len(files), files[0], files[-1]) == (100, "0", "198")
    assert spread(data, 0) is data


def test_the_record_names_the_field_of_the_class(tmp_path):
    engine = SimpleNamespace(info=SimpleNamespace(name="bars", task="class"), folder=tmp_path)
    records = [{"file": "0.png", "label": "a", "kind": " b "}, {"file": "1.png", "label": "c"}]
    assert names_of(engine, records) == ["a", "c"]
    OmegaConf.save({"source": {"folder": "x", "label": "kind"}}, tmp_path / "record.yaml")
    assert names_of(engine, records) == ["b", ""]


def test_a_model_is_found_where_it_was_loaded_from(tmp_path, monkeypatch):
    folder = write_model_folder(tmp_path, "mine")
    OmegaConf.save({"source": {"folder": "x", "hold_out": 0.1}}, folder / "record.yaml")
    monkeypatch.setenv("NAR_CHECKPOINTS", str(tmp_path))
    assert source_of(Engine.load("mine", device="cpu")).hold_out == 0.1
