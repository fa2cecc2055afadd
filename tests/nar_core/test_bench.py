"""The baseline must do the same work as the engine, or comparing their speed would mean nothing."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from nar_core import Request, bench
from nar_core.bench import random_engine, random_model, sample_as_published
from nar_core.decode import Growth
from nar_core.models.condition import word_ids
from nar_core.models.packed import PackedLinear, can_pack, pack_linears
from nar_core.plan import GridShape, make_plan
from nar_core.settings import SamplingSettings
from nar_core.weights.registry import official_models

from .helpers import embedded_config, official_config, write_model_folder
from .helpers import random_model as small_model

PICTURE, CLIP = GridShape(1, 4, 5), GridShape(3, 3, 2)


def greedy(model, values, guidance_scale: float) -> torch.Tensor:

    config = model.config
    plan = make_plan(config.grid, (0, 0, 0), None, config.directions, config.known_level)
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
@pytest.mark.parametrize("form", ["official", "class", "words"])
def test_the_baseline_grows_the_same_greedy_tokens(form, grid, guidance_scale):
    config = official_config(grid) if form == "official" else embedded_config(grid, form)
    model = small_model(config)
    values = torch.tensor([1, 4])
    if form == "words":
        values = word_ids(["red apple", "whale"], 3, 64)
    expected = greedy(model, values, guidance_scale)
    null = model.condition.null_like(values)
    assert torch.equal(
        sample_as_published(model, values, null, guidance_scale, temperature=0.0), expected
    )
    # Drawing from the most likely token alone is greedy too.
    generator = torch.Generator().manual_seed(0)
    drawn = sample_as_published(model, values, null, guidance_scale, top_k=1, generator=generator)
    assert torch.equal(drawn, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_give_the_same_numbers(dtype):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(48, 40, bias=False), nn.Sequential(nn.Linear(40, 8)))
    plain = plain.to(dtype).requires_grad_(False)
    if not can_pack(plain[0].weight):
        pytest.skip(f"no kernels for packed {dtype} weights on this machine")
    x = torch.randn(2, 7, 48, dtype=dtype)
    expected = plain(x)
    pack_linears(plain)
    assert isinstance(plain[0], PackedLinear)
    assert isinstance(plain[1][0], nn.Linear)  # a layer with a bias stays
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(plain(x), expected, atol=tolerance, rtol=tolerance)


@pytest.fixture
def small_official(monkeypatch):
    """The official models with NAR-B shrunk."""
    grid = GridShape(1, 4, 4)
    b = official_models()["NAR-B"]
    info = replace(b.info, grid=grid, size=(64, 64), labels=tuple("abcde"))
    b = replace(b, info=info, config=official_config(grid))
    monkeypatch.setattr(bench, "official_models", lambda: {"NAR-B": b})


def test_random_weights_are_the_same_every_time(small_official):
    one, two = (random_model("NAR-B", torch.device("cpu"), torch.float32) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    engine = random_engine("NAR-B", "cpu", "float32", with_tokenizer=False)
    frame = engine.generate_all(Request(label="c", temperature=0.0, guidance_scale=2.0))
    expected = greedy(one, torch.tensor([2]), 2.0)
    np.testing.assert_array_equal(frame.tokens.reshape(1, -1), expected.numpy())


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return parser.parse_args([*words, "--device", "cpu"])


def test_a_report_for_a_model_folder(tmp_path):
    folder = write_model_folder(tmp_path)
    out = bench.run(arguments("--model", str(folder), "--repeats", "1", "--batch", "2"))
    assert out["steps"] == out["passes"] == 4 + 5 - 1
    assert (out["batch"], out["dtype"], out["device"]) == (2, "float32", "cpu")
    assert out["images_per_second"] == pytest.approx(2 / out["seconds"], rel=0.01)
    assert out["steps_per_second"] == pytest.approx(8 / out["seconds"], rel=0.01)
    assert out["ratio_to_baseline"] == pytest.approx(
        out["baseline_seconds"] / out["seconds"], rel=0.05
    )
    assert 0 < out["time_to_first_frame"] < out["seconds"]
    for name in ("preview_overhead", "decode_seconds", "peak_memory_mb", "threads"):
        assert out[name] > 0


def test_steps_alone_without_baseline(small_official):
    out = bench.run(
        arguments("--random-init", "NAR-B", "--repeats", "1", "--steps-only", "--no-baseline")
    )
    assert out["steps"] == 7
    assert not {"decode_seconds", "preview_overhead", "baseline_seconds"} & set(out)


@pytest.mark.parametrize("words", [("--batch", "0"), ("--repeats", "0")])
def test_refusals_name_the_argument(words):
    with pytest.raises(ValueError, match=f"{words[0]}: got 0, expected"):
        bench.run(arguments(*words))
