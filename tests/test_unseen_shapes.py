"""Shapes that no recording covers, as a reference folder of the published form made here.

Random weights of each shape are saved under their published names; what they give is recorded from
one full-grid forward per step, which knows no cache. Then `test_parity` must pass on that folder,
and the loader must have found every setting by itself.
"""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from nar_core.models.condition import Caption, ConditionConfig
from nar_core.models.transformer import NARTransformer
from nar_core.plan import GridShape, make_plan
from nar_core.sampling import guide
from nar_core.tokenizers.larp_video import LarpConfig, LarpTokenizer
from nar_core.tokenizers.vq_image import VQConfig, VQTokenizer
from nar_core.weights import load
from nar_core.weights.adapt import official_config
from tests import test_parity as parity
from tests.nar_core.helpers import published

IMAGE = {"vocab_size": 53, "norm_eps": 1e-5, "rope_base": 10000}
GENERATORS = {
    # batch, grid, condition, constructor arguments in the published words
    "c2i 9x9, 6 heads": (
        3,
        (1, 9, 9),
        ConditionConfig("class", classes=7),
        IMAGE | {"dim": 48, "n_layer": 2, "n_head": 6, "block_size": 81},
    ),
    "c2i 3x3, 1 head, batch 1": (
        1,
        (1, 3, 3),
        ConditionConfig("class", classes=4),
        IMAGE | {"dim": 32, "n_layer": 1, "n_head": 1, "block_size": 9},
    ),
    "t2i 9 slots": (
        3,
        (1, 4, 4),
        ConditionConfig("caption", slots=9, caption_width=20),
        IMAGE | {"dim": 32, "n_layer": 3, "n_head": 2, "block_size": 16, "cls_token_num": 9},
    ),
    "c2v (2, 3, 5)": (
        3,
        (2, 3, 5),
        ConditionConfig("class", classes=5),
        {"dim": 48, "n_layer": 2, "n_head": 3, "vocab_size": 41, "latent_shape": [2, 3, 5]},
    ),
    "c2v (4, 2, 1), batch 1": (
        1,
        (4, 2, 1),
        ConditionConfig("class", classes=5),
        {"dim": 32, "n_layer": 1, "n_head": 4, "vocab_size": 41, "latent_shape": [4, 2, 1]},
    ),
}
VQ = {
    "VQ-8, 40x24": VQConfig((40, 24), 32, (1, 2, 2, 4), (1, 2, 2, 4), 2, 64, 60, 6),
    "VQ-16, 32x48": VQConfig((32, 48), 32, (1, 1, 2, 1, 2), (1, 1, 1, 2, 2), 1, 32, 50, 8),
}
LARP = {
    "LARP, wide decoder": LarpConfig((1, 1, 18), (16, 16), 4, (2, 8, 8), 48, 3, 3, 80, 2, 5, 40, 9),
    "LARP, wide encoder, typed": LarpConfig(
        (2, 2, 2), (16, 16), 8, (4, 8, 8), 64, 1, 2, 32, 2, 4, 60, 8, encoder_patch_type=True
    ),
}  # fmt: skip


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """The module with random weights in which every input matters."""
    torch.manual_seed(5)
    with torch.no_grad():
        for name, p in [*module.named_parameters(), *module.named_buffers()]:
            if "norm" in name and name.endswith("weight"):
                p.copy_(1 + 0.2 * torch.randn_like(p))
            else:
                p.normal_(0, 0.2 if p.ndim < 3 else max(0.05, p[0].numel() ** -0.5))
    return module.eval()


@torch.inference_mode()
def greedy(model: NARTransformer, values, null, batch: int, scale: float, interval: int) -> dict:
    """A recording by one full-grid forward per step."""
    config = model.config
    plan = make_plan(config.grid, (0, 0, 0), None, config.directions, config.known_level)
    levels, fan_in = torch.from_numpy(plan.levels), torch.from_numpy(plan.fan_in)
    tokens = torch.zeros(batch, config.grid.cells, dtype=torch.int64)
    fused, guided, order, made = [], [], [], 0
    for step in plan.steps:
        cells = torch.from_numpy(step.positions)
        both = torch.cat([model(v, tokens, levels, fan_in)[:, cells] for v in (values, null)])
        on = scale > 1 and (interval < 0 or made <= interval)
        logits = guide(*both.chunk(2), scale) if on else both[:batch]
        tokens[:, cells] = logits.argmax(-1)
        fused.append(both if scale > 1 else both[:batch])
        guided.append(logits)
        order.append(cells)
        made += len(cells)
    return {
        "fused_logits": torch.cat(fused, 1),
        "guided_logits": torch.cat(guided, 1),
        "pred_pos": torch.cat(order),
        "pred_sizes": torch.tensor([len(cells) for cells in order]),
        "tokens": tokens,
    }


def generator_case(name: str) -> tuple[dict, dict, dict, NARTransformer]:
    """Case, weights, recordings, and the model that made them."""
    batch, grid, condition, args = GENERATORS[name]
    video, layers = grid[0] > 1, args["n_layer"]
    config = official_config(
        video,
        GridShape(*grid),
        condition,
        args["vocab_size"],
        args["dim"],
        layers,
        layers + (2 if video else 1),
        args["n_head"],
        64,
    )
    model = filled(NARTransformer(config))
    io: dict[str, torch.Tensor] = {}
    if condition.kind == "caption":
        valid = torch.arange(condition.slots) >= condition.slots - torch.tensor([[2], [9], [5]])
        features = torch.randn(batch, condition.slots, condition.caption_width) * valid[..., None]
        io |= {"cond": features, "emb_masks": valid.long()}
        values = Caption(features, valid)
    else:
        values = io["cond"] = torch.arange(batch) % condition.classes
    null = model.condition.null_like(values)
    recordings = []
    for prefix, scale, interval in (("one", 1.0, -1), ("two", 3.0, -1), ("three", 3.0, 4)):
        found = greedy(model, values, null, batch, scale, interval)
        io |= {f"{prefix}.{key}": value for key, value in found.items()}
        calls = len(found["pred_sizes"])
        recordings.append(
            {"prefix": prefix, "cfg_scale": scale, "cfg_interval": interval, "forward_calls": calls}
        )
    case = {"family": "video" if video else "image", "model_args": args, "recordings": recordings}
    return case, published(model, video), io, model


@pytest.fixture
def record(tmp_path, monkeypatch):
    """`record(name, case, io)` makes a one-case reference folder that `test_parity` reads."""
    folder = tmp_path / "reference"
    folder.mkdir()

    def write(name: str, case: dict, io: dict[str, torch.Tensor]) -> None:
        save_file({k: v.contiguous() for k, v in io.items()}, folder / "io.safetensors")
        case = {**case, "files": {"io": {"file": "io.safetensors"}}}
        cases = json.loads(json.dumps({name: case}))
        monkeypatch.setattr(parity, "FOLDER", folder)
        monkeypatch.setattr(parity, "CASES", cases)

    return write


@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name, record, tmp_path):
    case, weights, io, model = generator_case(name)
    record(name, case, io)
    parity.check_generator(name, dict(weights), tmp_path)
    assert load.load_generator(tmp_path).config == model.config
    for a, b in parity.SWAPS[case["family"]]:
        if weights[a].shape == weights[b].shape:
            weights[a], weights[b] = weights[b], weights[a]
    with pytest.raises(AssertionError):
        parity.check_generator(name, weights, tmp_path)


@pytest.mark.parametrize("name", VQ)
@torch.inference_mode()
def test_vq_tokenizers(name, record, tmp_path):
    config = VQ[name]
    model = filled(VQTokenizer(config))
    image = torch.rand(3, 3, *config.size) * 2 - 1
    features = model.features(image)
    codes = model.encode((image[:, None] + 1) / 2)

    def pixels(codes: torch.Tensor) -> torch.Tensor:
        return model.decode(codes)[:, 0] * 2 - 1

    other = torch.randint(0, config.codebook_size, codes.shape)
    made = pixels(other)
    io = {
        "image": image,
        "encode.pre_quant": features,
        "encode.indices": codes.flatten(1),
        "encode.quant": model.quantize.decode(codes[:, 0]).permute(0, 3, 1, 2),
        "encode.reconstruction": pixels(codes),
        "decode.codes": other.flatten(1),
        "decode.image": made,
        "decode.image_unit": (made + 1) / 2,
        "decode.image_uint8_hwc": (127.5 * made + 128).clamp(0, 255).byte().permute(0, 2, 3, 1),
    }
    args = {"downsample": config.downsample}
    record(name, {"family": "image_vq", "model_args": {}, **args}, io)
    weights = {**model.state_dict(), "quantize.codebook_used": torch.zeros(9)}
    parity.check_vq(name, weights, tmp_path)
    assert load.load_tokenizer(tmp_path, size=config.size).config == config


@pytest.mark.parametrize("name", LARP)
@torch.inference_mode()
def test_larp_tokenizers(name, record, tmp_path):
    config = LARP[name]
    model = filled(LarpTokenizer(config))
    video = torch.rand(3, config.frames, 3, *config.size)
    codes = model.encode(video)
    other = torch.randint(0, config.codebook_size, codes.shape)
    units = model.bottleneck.regularizer.decode(other.flatten(1))
    io = {
        "video": video.transpose(1, 2),
        "encode.projected_z": model.features(video),
        "encode.indices": codes.flatten(1),
        "encode.reconstruction": model.decode(codes).transpose(1, 2),
        "decode.codes": other.flatten(1),
        "decode.bottleneck_out": model.bottleneck.out_linear(units),
        "decode.video": model.decode(other).transpose(1, 2),
    }
    args = {
        "input_size": config.size[0],
        "frame_num": config.frames,
        "patch_size": config.patch[1],
        "temporal_patch_size": config.patch[0],
        # Some published settings hold numbers as text.
        "encoder_hidden_size": str(config.encoder_width),
        "decoder_hidden_size": str(config.decoder_width),
        "encoder_num_heads": str(config.encoder_heads),
        "decoder_num_heads": str(config.decoder_heads),
    }
    record(name, {"family": "video_tokenizer", "model_args": args}, io)
    weights = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    parity.check_larp(name, weights, tmp_path)
    assert load.load_tokenizer(tmp_path, grid=config.grid).config == config
