"""Small random models for tests."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from nar_core.models.condition import ConditionConfig
from nar_core.models.transformer import NARTransformer, TransformerConfig
from nar_core.plan import DIRECTIONS, GridShape
from nar_core.tokenizers.mini import MiniConfig, MiniTokenizer
from nar_core.weights.adapt import _BLOCK, _GENERATOR


def published(model: NARTransformer, video: bool = False) -> dict[str, torch.Tensor]:
    """A generator's weights under the published names of its kind."""
    leaves = {ours: theirs for theirs, ours in _BLOCK.items()}
    names = {}
    for theirs, ours in _GENERATOR.items():
        head = "norm" in theirs or "output" in theirs
        if not head or video == theirs.split(".")[0].endswith(("_R", "_D", "_B")):
            names[ours] = theirs
    out = {}
    for name, tensor in model.state_dict().items():
        parts = name.split(".")
        if parts[0] == "blocks":
            name = f"layers.{parts[1]}.{leaves[parts[2]]}.weight"
        else:
            name = names[name]
        out[name] = tensor[None] if name == "abs_pe" else tensor
    return {name: tensor.clone().contiguous() for name, tensor in out.items()}


def embedded_config(grid: GridShape, kind: str = "words") -> TransformerConfig:
    """The form of the embedded models: any seed, known cells early, one vocabulary matrix."""
    return TransformerConfig(
        grid=grid,
        vocab_size=31,
        width=32,
        depth=2,
        attention_heads=2,
        ffn_width=64,
        taps={d: 2 for d in DIRECTIONS if grid.t > 1 or d[1] != "t"},
        condition=ConditionConfig(
            kind,
            slots=3 if kind == "words" else 1,
            classes=5,
            buckets=64,
            causal=False,
            seed_query=True,
            broadcast=kind == "words",
        ),
        norm="layer",
        rotary=(2, 3, 3) if grid.t > 1 else (0, 4, 4),
        rotary_condition="identity",
        learned="factored",
        shared_output=True,
        known_level="zero",
    )


def official_config(grid: GridShape) -> TransformerConfig:
    """The form of the official picture and video models."""
    video = grid.t > 1
    return TransformerConfig(
        grid=grid,
        vocab_size=31,
        width=32,
        depth=4 if video else 3,
        attention_heads=2,
        ffn_width=64,
        taps={"+w": 2, "+h": 3} | ({"+t": 4} if video else {}),
        condition=ConditionConfig("class", classes=5),
        rotary=(0, 0, 0) if video else (0, 4, 4),
        learned="full" if video else "none",
        fuse_float32=not video,
    )


def random_model(config: TransformerConfig, seed: int = 0) -> NARTransformer:
    """A model with weights large enough that every input matters."""
    torch.manual_seed(seed)
    model = NARTransformer(config).eval()
    for name, p in model.named_parameters():
        if p.ndim > 1 and "norm" not in name:
            torch.nn.init.normal_(p, std=0.3 if p.shape[-1] <= 32 else 0.2)
    return model


def write_model_folder(
    root: Path,
    name: str = "tiny",
    kind: str = "words",
    frames: int = 1,
    size: tuple[int, int] = (32, 40),
    world: str = "",
    **more: Any,
) -> Path:
    """A random model of the embedded form, with a tokenizer beside it; its folder.

    `more` of its configuration may be said.
    """
    tokenizer = MiniConfig(
        size=size,
        levels=[4, 4],
        encoder_width=16,
        decoder_width=16,
        encoder_depth=1,
        decoder_depth=1,
        fine_depth=1,
    )
    grid = tokenizer.grid._replace(t=frames)
    config = replace(embedded_config(grid, kind), vocab_size=16, **more)
    torch.manual_seed(0)
    tokens = MiniTokenizer(tokenizer)
    for part, weights, values in (
        (root / "tiny-tokenizer" / "tokenizer", tokens, {"model": asdict(tokenizer)}),
        (
            root / name / "generator",
            random_model(config),
            {
                "info": {
                    "title": "Tiny",
                    "task": "text" if kind == "words" else "class",
                    **({"world": world} if world else {}),
                    "default_seed_position": [0, min(2, grid.h - 1), min(2, grid.w - 1)],
                    "guidance_scale": 2.0,
                    "labels": [f"class {i}" for i in range(5)] if kind == "class" else [],
                    "prompts": ["red apple"] if kind == "words" else [],
                    "fps": 8 if frames > 1 else 0,
                    "licence": "MIT",
                },
                "model": {**asdict(config), "grid": list(config.grid)},
                "tokenizer": "../tiny-tokenizer",
            },
        ),
    ):
        part.parent.mkdir(parents=True, exist_ok=True)
        state = {k: v.half().contiguous() for k, v in weights.state_dict().items()}
        save_file(state, f"{part}.safetensors")
        OmegaConf.save(OmegaConf.create(values), part.parent / "config.yaml")
    return root / name
