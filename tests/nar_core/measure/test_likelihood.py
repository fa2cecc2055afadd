"""What a model is told of the items that it is measured on, and what is measured of which."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from nar_core import Engine
from nar_core.measure.configurations import Shown, likelihood
from nar_core.measure.growing import Grower
from nar_core.measure.likelihood import condition_of, continuation, measure
from nar_core.measure.rightness import recall
from nar_core.measure.sheets import contact_sheet, growth_strips
from nar_core.models.condition import Caption, ConditionConfig
from nar_core.plan import GridShape
from nar_core.train.data import DataFolder
from nar_core.train.losses import plan_losses

from ..helpers import embedded_config, random_model, write_model_folder

CORNER: dict[str, Any] = {"taps": {"+w": 2, "+h": 2}, "known_level": "distance"}


def engine_of(root, **more) -> Engine:
    folder = write_model_folder(root, kind="class", size=(16, 16), **more)
    return Engine.load(folder, device="cpu", dtype="float32")


def test_classes_are_told_by_the_field_that_they_were_trained_by(tmp_path):
    engine = engine_of(tmp_path)
    records = [{"file": f"{i}.png", "kind": f"class {i} "} for i in (3, 9)]
    with pytest.raises(ValueError, match=r"data: got \'\' as classes, expected some of tiny\'s"):
        condition_of(engine, records)
    OmegaConf.save({"source": {"folder": "x", "label": "kind"}}, tmp_path / "tiny" / "record.yaml")
    assert condition_of(engine, records).tolist() == [3, -1]


def test_captions_are_measured_as_they_are_told(tmp_path):
    grid, width = GridShape(1, 2, 2), 8
    form = ConditionConfig("caption", slots=4, caption_width=width)
    model = random_model(replace(embedded_config(grid), condition=form))

    def encoded(prompts, device) -> Caption:
        features = torch.zeros(len(prompts), 4, width)
        valid = torch.zeros(len(prompts), 4, dtype=torch.bool)
        for i, prompt in enumerate(prompts):
            features[i, -len(prompt) :] = len(prompt) / 4
            valid[i, -len(prompt) :] = True
        return Caption(features, valid)

    info = replace(engine_of(tmp_path).info, task="text", grid=grid, labels=())
    engine = Engine(info, model, SimpleNamespace(), text_encoder=encoded)  # pyright: ignore
    records = [{"file": f"{i}.png", "text": "abcd"[: 1 + i % 4]} for i in range(19)]
    values = condition_of(engine, records)
    assert (values.features.shape, values.valid.shape) == ((19, 4, width), (19, 4))
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 31, (19, 4)))
    expected = plan_losses(model, values, tokens)["loss_corner"]
    alone = [
        plan_losses(model, condition_of(engine, [record]), row[None])["loss_corner"]
        for record, row in zip(records, tokens, strict=True)
    ]
    assert expected == pytest.approx(np.mean(alone), rel=1e-4)
    places = [(0, 0, 0)] * 3
    found = likelihood(engine, Shown(values, tokens), places, heads="mixed", fusion="logits")
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_clip_model_is_measured_by_what_it_can_do(tmp_path):
    clips = np.zeros((2, 3, 16, 16, 3), np.uint8)
    corner = engine_of(tmp_path, frames=3, **{**CORNER, "taps": {"+t": 2, **CORNER["taps"]}})
    assert corner.info.seed_positions == "corner"
    assert set(continuation(corner, clips, None)) == {
        f"second_frame_{x}" for x in ("data", "grown", "unrelated")
    }
    root = tmp_path / "data" / "class 1"
    root.mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(root / "0.png")  # four tiles
    data = DataFolder.open(tmp_path / "data")
    data.records[0]["frames"] = 4
    assert "second_frame_grown" in measure(corner, data)
    corner.info = replace(corner.info, accepts_known=False)
    assert "second_frame_grown" not in measure(corner, data)


def test_a_single_cell_grows_in_a_strip_too(tmp_path):
    folder = write_model_folder(tmp_path, kind="class", size=(8, 8))
    growth_strips(Grower(Engine.load(folder, device="cpu")), tmp_path / "a.png", ["class 1"])
    assert Image.open(tmp_path / "a.png").height == 8


def test_a_model_that_starts_in_the_corner_is_shown_from_there(tmp_path, monkeypatch):
    engine = engine_of(tmp_path, **CORNER)
    shown = SimpleNamespace(
        names=["class 1", "class 2"],
        pixels=np.zeros((2, 1, 16, 16, 3), np.uint8),
        draw=lambda count, rng: ["class 1", "class 2"],
        distances=lambda picture: np.array([0.25, 1.0]),
    )
    file = tmp_path / "sheet.png"
    contact_sheet(Grower(engine), file, ["class 1", "class 2"], shown)  # pyright: ignore
    assert Image.open(file).width == 2 * (2 * (16 + 8) + 16)  # the nearest, and from the corner
    found = recall(Grower(engine), shown, 2)  # pyright: ignore
    assert found == {"recall_names": 2, "recall_corner": 0.5, "recall_rmse_corner": 0.7906}
