"""The shipped configurations shrunk, so that a test can train by them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from nar_core import Engine
from nar_core.cli import main

COLOURS = {"red": (220, 30, 30), "green": (20, 160, 60), "blue": (30, 60, 220)}
FAST = ["train.compile=false", "train.bf16=false", "train.warmup=2", "train.ema=0.9"]
SMALL = [
    "model.grid=[1,4,4]", "model.width=32", "model.depth=2",
    "model.attention_heads=2", "model.ffn_width=32", "model.rotary=[0,4,4]",
    "model.taps={+w: 2, -w: 2, +h: 2, -h: 2}", "source.variants=2", "source.hold_out=0.3",
    "train.batch=6", "train.eval_every=10",
]  # fmt: skip


def tokenizer_settings(data: Path) -> list[str]:
    """A tokenizer small enough to train in a test."""
    source = f"{{folder: {data / 'zipped'}, weight: 1, size: 32, key: file, hold_out: 0.3, "
    source += "shift: 0.06, scale: [0.9, 1.05], flip: 0.5, tinted: 0.0}"
    return [
        "model.size=[32,32]", "model.levels=[4,4,4]", "model.encoder_width=32",
        "model.decoder_width=32", "model.encoder_depth=1", "model.decoder_depth=1",
        f"sources=[{source}]", "train.steps=60", "train.batch=4", "train.eval_every=20", *FAST,
    ]  # fmt: skip


def rows_of(run: Path) -> list[dict[str, float]]:
    with open(run / "log.csv", newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def train_generator(
    data: Path, tokenizer: Path, out: Path, name: str, *settings: str, code: int = 0
) -> Path:
    folder = tokenizer / "tiny-tokenizer"
    if not folder.is_dir():
        shutil.copytree(tokenizer / "run" / "export", folder)
    words = ["train", "generator", name, *SMALL, *FAST, f"tokenizer={folder}", *settings]
    assert main([*words, "--out", str(out), "--device", "cpu"]) == code
    return out


def loaded(run: Path, tokenizer: Path, name: str) -> Engine:
    shutil.copytree(run / "export", tokenizer / name)
    return Engine.load(tokenizer / name, device="cpu", dtype="float32")
