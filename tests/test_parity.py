"""Parity with recordings of the published code, through the loader that users go through.

The folder is `NAR_REFERENCE_DIR` or `tests/data/reference`; every case its manifest names is run.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nar_core.decode import Growth
from nar_core.models.condition import Caption
from nar_core.models.transformer import proximity_mask
from nar_core.plan import make_plan
from nar_core.sampling import filtered_probabilities, guide
from nar_core.settings import SamplingSettings
from nar_core.weights.load import load_generator, load_tokenizer

DEFAULT = Path(__file__).parent / "data" / "reference"
FOLDER = Path(os.environ.get("NAR_REFERENCE_DIR", DEFAULT))
CASES = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["cases"]
LOGITS = 1e-4
PIXELS = 2e-5  # small enough to notice a wrong LayerNorm eps in LARP


def worst(got: torch.Tensor, expected: torch.Tensor) -> float:
    assert got.shape == expected.shape
    return float((got - expected).abs().max())


def tensors_of(name: str, part: str) -> dict[str, torch.Tensor]:
    return load_file(FOLDER / CASES[name]["files"][part]["file"])


def published_form(name: str, weights: dict[str, torch.Tensor], folder: Path) -> Path:
    """Write weights as their authors publish them: a trainer's .pt, or a hub folder."""
    case = CASES[name]
    args = case["model_args"]
    if case["family"] == "image":
        trainer = {
            "model": weights,
            "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
            "steps": 3,
            "args": argparse.Namespace(gpt_model="GPT-tiny", num_workers=4),
        }
        torch.save(trainer, folder / "last_version.pt")
        (folder / "config.json").write_text(json.dumps(args))
    elif case["family"] == "image_vq":
        torch.save({"model": weights}, folder / "vq.pt")
    else:
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(args))
    return folder


def check_generator(name: str, weights: dict[str, torch.Tensor], folder: Path) -> dict[str, float]:
    """Every recording of a generator case; the worst differences by name."""
    io = tensors_of(name, "io")
    model = load_generator(published_form(name, weights, folder))
    config = model.config
    plan = make_plan(config.grid, (0, 0, 0), None, config.directions, config.known_level)
    values = io["cond"]
    if "emb_masks" in io:
        values = Caption(io["cond"], io["emb_masks"].bool())
    found = {}
    levels, fan_in = torch.from_numpy(plan.levels), torch.from_numpy(plan.fan_in)

    if "tf.mask" in io:
        ahead = model.condition_levels(config.condition.length)
        valid = None
        if "emb_masks" in io:
            valid = torch.ones(io["tf.mask"].shape[:2], dtype=torch.bool)
            valid[:, : config.condition.length] = values.valid
        mask = proximity_mask(torch.cat([ahead, levels]), valid)
        assert torch.equal(mask.expand_as(io["tf.mask"]), io["tf.mask"])
    if "tf.logits" in io:
        with torch.inference_mode():
            logits = model(values, io["tf.idx"], levels, fan_in)
        found["full grid"] = worst(logits, io["tf.logits"])
        assert found["full grid"] < LOGITS
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), io["tf.idx"].flatten())
        assert abs(float(loss) - float(io["tf.loss"])) < 1e-5

    for recording in CASES[name]["recordings"]:
        prefix, scale = recording["prefix"], recording["cfg_scale"]
        settings = SamplingSettings(
            guidance_scale=scale, guidance_interval=recording["cfg_interval"], temperature=0.0
        )
        batch, cells = len(io["cond"]), config.grid.cells
        growth = Growth(
            model,
            plan,
            values,
            model.condition.null_like(values),
            torch.full((batch, cells), -1),
            torch.zeros(batch, cells),
            settings,
        )
        column_of = {int(p): i for i, p in enumerate(io[f"{prefix}.pred_pos"])}
        fused, guided = io[f"{prefix}.fused_logits"], io[f"{prefix}.guided_logits"]
        fused_worst = guided_worst = 0.0
        for step in plan.steps:
            columns = [column_of[int(p)] for p in step.positions]
            logits = growth.logits()
            # Past the guidance interval the null half is no longer computed here.
            fused_worst = max(fused_worst, worst(logits, fused[: len(logits), columns]))
            if growth.guided:
                logits = guide(*logits.chunk(2), scale)
            guided_worst = max(guided_worst, worst(logits, guided[:, columns]))
            growth.step()
        found[f"{prefix} fused"], found[f"{prefix} guided"] = fused_worst, guided_worst
        assert fused_worst < LOGITS
        assert guided_worst < LOGITS * (2 * scale - 1)
        assert torch.equal(growth.tokens, io[f"{prefix}.tokens"].long())
        assert growth.passes == recording["forward_calls"] == plan.total
        assert [len(s.positions) for s in plan.steps] == io[f"{prefix}.pred_sizes"].tolist()
    return found


def check_vq(name: str, weights: dict[str, torch.Tensor], folder: Path) -> dict[str, float]:
    io = tensors_of(name, "io")
    size = tuple(io["image"].shape[2:])
    tokenizer = load_tokenizer(published_form(name, weights, folder), size=size)
    assert size[0] // tokenizer.grid.h == CASES[name].get("downsample", size[0] // tokenizer.grid.h)
    picture = (io["image"][:, None] + 1) / 2
    codes = tokenizer.encode(picture)
    assert torch.equal(codes.flatten(1), io["encode.indices"].flatten(1))
    with torch.inference_mode():
        before = tokenizer.features(io["image"])
    found = {"encode": worst(before, io["encode.pre_quant"])}
    quant = tokenizer.quantize.decode(codes[:, 0]).permute(0, 3, 1, 2)
    found["quant"] = worst(quant, io["encode.quant"])
    found["reconstruction"] = worst(
        tokenizer.decode(codes)[:, 0] * 2 - 1, io["encode.reconstruction"]
    )
    codes = io["decode.codes"].view(-1, *tokenizer.grid)
    decoded = tokenizer.decode(codes)[:, 0]
    found["decode"] = worst(decoded * 2 - 1, io["decode.image"])
    assert max(found.values()) < LOGITS
    assert worst(decoded.clamp(0, 1), io["decode.image_unit"].clamp(0, 1)) < LOGITS
    # The published conversion truncates, so a pixel may fall on either side.
    pixels = (127.5 * (decoded * 2 - 1) + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    assert int((pixels.int() - io["decode.image_uint8_hwc"].int()).abs().max()) <= 1
    return found


def check_larp(name: str, weights: dict[str, torch.Tensor], folder: Path) -> dict[str, float]:
    io = tensors_of(name, "io")
    tokenizer = load_tokenizer(published_form(name, weights, folder))
    video = io["video"].transpose(1, 2)
    with torch.inference_mode():
        found = {"encode": worst(tokenizer.features(video), io["encode.projected_z"])}
        units = tokenizer.bottleneck.regularizer.decode(io["decode.codes"])
        found["bottleneck"] = worst(
            tokenizer.bottleneck.out_linear(units), io["decode.bottleneck_out"]
        )
    codes = tokenizer.encode(video)
    assert torch.equal(codes.flatten(1), io["encode.indices"].flatten(1))
    found["reconstruction"] = worst(
        tokenizer.decode(codes).transpose(1, 2), io["encode.reconstruction"]
    )
    codes = io["decode.codes"].view(-1, *tokenizer.grid)
    found["decode"] = worst(tokenizer.decode(codes).transpose(1, 2), io["decode.video"])
    assert max(found.values()) < PIXELS
    return found


def check_sampling(name: str, weights: None, folder: Path) -> dict[str, float]:
    io = tensors_of(name, "io")
    found = {}
    for setting in CASES[name]["settings"]:
        got = filtered_probabilities(
            io["logits"], setting["temperature"], setting["top_k"], setting["top_p"]
        )
        found[setting["output"]] = worst(got, io[setting["output"]])
        assert found[setting["output"]] < 1e-6
        assert (got > 0).sum(-1).tolist() == setting["kept"]
    return found


CHECKS = {
    "image": check_generator,
    "video": check_generator,
    "image_vq": check_vq,
    "video_tokenizer": check_larp,
    "sampling": check_sampling,
}


@pytest.mark.parametrize("name", CASES)
def test_case(name, tmp_path, record_property):
    weights = tensors_of(name, "weights") if "weights" in CASES[name]["files"] else None
    for part, value in CHECKS[CASES[name]["family"]](name, weights, tmp_path).items():
        record_property(part, value)


def test_copied_manifest_lists_exactly_what_is_there():
    cases = json.loads((DEFAULT / "manifest.json").read_text(encoding="utf-8"))["cases"].values()
    entries = [entry for case in cases for entry in case["files"].values()]
    assert {e["file"] for e in entries} == {p.name for p in DEFAULT.glob("*.safetensors")}
    for entry in entries:
        found = {
            key: [str(t.dtype).removeprefix("torch."), list(t.shape)]
            for key, t in load_file(DEFAULT / entry["file"]).items()
        }
        assert found == entry["tensors"]


SWAPS = {
    "image": (("norm.weight", "medusa_norm.weight"), ("output.weight", "medusa_output.weight")),
    "video": (("norm_D.weight", "norm_B.weight"), ("output_D.weight", "output_B.weight")),
}


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c["family"] in SWAPS])
def test_swapped_heads_are_noticed(name, tmp_path):
    weights = tensors_of(name, "weights")
    for a, b in SWAPS[CASES[name]["family"]]:
        weights[a], weights[b] = weights[b], weights[a]
    with pytest.raises(AssertionError):
        check_generator(name, weights, tmp_path)
