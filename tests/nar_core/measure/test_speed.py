"""The baseline must do the same work as the engine, or comparing their speed would mean nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nar_core import Engine, Request
from nar_core.decode import Growth
from nar_core.measure import speed
from nar_core.measure.published import sample_as_published
from nar_core.measure.speed import random_engine, random_model, random_tokenizer
from nar_core.models.condition import word_ids
from nar_core.plan import GridShape, make_plan
from nar_core.settings import SamplingSettings
from nar_core.weights.list import official_models
from nar_core.weights.load import load_model

from ..helpers import embedded_config, official_config, write_model_folder
from ..helpers import random_model as small_model

PICTURE, CLIP = GridShape(1, 4, 5), GridShape(3, 3, 2)


def greedy(model, values, guidance_scale: float) -> torch.Tensor:

    config = model.config
    plan = make_plan(
        config.grid, (0, 0, 0), None, config.directions, config.known_level, config.order
    )
    cells = len(values), config.grid.cells
    growth = Growth(
        model,
        plan,
        values,
        model.condition.null_like(values),
        torch.full(cells, -1),
        torch.zeros(cells),
        SamplingSettings(guidance_scale=guidance_scale, temperature=0.0),
    )
    for _ in range(plan.total):
        growth.step()
    return growth.tokens


@pytest.mark.parametrize("guidance_scale", [1.0, 2.0])
@pytest.mark.parametrize("grid", [PICTURE, CLIP])
@pytest.mark.parametrize("form", ["official", "class", "words", "gate", "shared gate", "raster"])
def test_the_baseline_grows_the_same_greedy_tokens(form, grid, guidance_scale):
    config = embedded_config(grid, "words" if form == "words" else "class")
    if form in ("official", "gate"):
        config = replace(official_config(grid), gate=form == "gate")
    elif form == "shared gate":
        config = replace(config, gate=True)
    elif form == "raster":
        config = replace(config, taps={"+w": 2}, order="raster")
    model = small_model(config)
    values = torch.tensor([1, 4])
    if form == "words":
        values = word_ids(["red apple", "whale"], 3, 64)
    expected = greedy(model, values, guidance_scale)
    null = model.condition.null_like(values)
    assert torch.equal(
        sample_as_published(model, values, null, guidance_scale=guidance_scale, temperature=0.0),
        expected,
    )
    # Drawing from the most likely token alone is greedy too.
    generator = torch.Generator().manual_seed(0)
    drawn = sample_as_published(
        model, values, null, guidance_scale=guidance_scale, top_k=1, generator=generator
    )
    assert torch.equal(drawn, expected)


@pytest.fixture
def small_official(monkeypatch):
    """The official models with NAR-B shrunk."""
    grid = GridShape(1, 4, 4)
    b = official_models()["NAR-B"]
    info = replace(b.info, grid=grid, size=(64, 64), labels=tuple("abcde"))
    b = replace(b, info=info, config=official_config(grid))
    monkeypatch.setattr(speed, "official_models", lambda: {"NAR-B": b})


def test_random_weights_are_the_same_every_time(small_official):
    one, two = (random_model("NAR-B", torch.device("cpu"), torch.float32) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    engine = random_engine("NAR-B", "cpu", "float32", with_tokenizer=False)
    frame = engine.generate_all(Request(label="c", temperature=0.0, guidance_scale=2.0))
    expected = greedy(one, torch.tensor([2]), 2.0)
    np.testing.assert_array_equal(frame.tokens.reshape(1, -1), expected.numpy())


def test_random_tokenizers_are_laid_out_as_those_that_are_loaded(small_official):
    engine = random_engine("NAR-B", "cpu", "float32")
    plain = random_tokenizer("NAR-B", torch.device("cpu"))
    gone = set(plain.state_dict()) - set(engine.tokenizer.state_dict())
    assert gone == {f"decoder.conv_blocks.{i}.upsample.conv.weight" for i in range(4)}


def test_a_report_for_a_model_folder(tmp_path):
    engine = Engine.load(write_model_folder(tmp_path), "cpu", "float32")
    loaded = load_model(tmp_path / "tiny")
    out = speed.speed(
        engine, loaded.model, loaded.tokenizer, batch=2, guidance_scale=2.0, repeats=1
    )
    assert out["steps"] == out["passes"] == 4 + 5 - 1
    assert (out["batch"], out["dtype"], out["device"]) == (2, "float32", "cpu")
    assert out["images_per_second"] == pytest.approx(2 / out["seconds"], rel=0.01)
    assert out["steps_per_second"] == pytest.approx(8 / out["seconds"], rel=0.01)
    assert out["ratio_to_baseline"] == pytest.approx(
        out["baseline_seconds"] / out["seconds"], rel=0.05
    )
    assert 0 < out["time_to_first_frame"] < out["seconds"]
    assert out["decode_ratio_to_baseline"] == pytest.approx(
        out["decode_baseline_seconds"] / out["decode_seconds"], rel=0.05
    )
    for name in ("preview_overhead", "decode_seconds", "peak_memory_mb", "threads"):
        assert out[name] > 0


def test_steps_alone_without_baseline(small_official):
    engine = random_engine("NAR-B", "cpu", "float32", with_tokenizer=False)
    out = speed.speed(engine, None, batch=1, guidance_scale=2.0, repeats=1, steps_only=True)
    assert out["steps"] == 7
    assert not {"decode_seconds", "preview_overhead", "baseline_seconds"} & set(out)
