"""Which items of a folder are measured on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from nar_core.measure.items import part_of
from nar_core.train.data import DataFolder


def test_what_is_measured_may_be_what_was_trained_on_or_held_out(tmp_path):
    engine = SimpleNamespace(info=SimpleNamespace(name="bars"))
    records = [{"file": f"{i}.png", "label": "ab"[i % 2]} for i in range(200)]
    data = DataFolder(tmp_path, records)
    with pytest.raises(ValueError, match="expected a model with a training record"):
        part_of(data, "training", engine, str(tmp_path))
    source = {"folder": "x", "key": "file", "hold_out": 0.3, "only": {"label": ["a"]}}
    source |= {"named_otherwise_before": 1}
    OmegaConf.save({"source": source}, tmp_path / "record.yaml")
    parts = {
        part: part_of(data, part, engine, str(tmp_path)).records
        for part in ("all", "training", "held-out")
    }
    assert parts["all"] == records
    assert {r["label"] for r in parts["training"]} == {"a"}
    assert {r["label"] for r in parts["held-out"]} == {"a", "b"}
    assert 40 < len(parts["held-out"]) < 80
    rest = [r for r in records if r not in parts["training"] and r not in parts["held-out"]]
    assert {r["label"] for r in rest} == {"b"}
    assert len(parts["training"]) + len(parts["held-out"]) + len(rest) == 200
    OmegaConf.save({"source": source | {"hold_out": 0.0}}, tmp_path / "record.yaml")
    with pytest.raises(ValueError, match=r"got --part held-out, of which .* has nothing"):
        part_of(data, "held-out", engine, str(tmp_path))
