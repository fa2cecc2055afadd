"""Tokenizers trained by the shipped configuration, shrunk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from nar_core.cli import main
from nar_core.plan import GridShape
from nar_core.tokenizers.mini import MiniConfig, MiniTokenizer

from .small import rows_of, tokenizer_settings


def test_a_tokenizer_learns_and_describes_itself(tokenizer):
    rows = rows_of(tokenizer / "run")
    assert [r["step"] for r in rows] == [20, 40, 60]
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    assert rows[-1]["psnr_zipped"] > rows[0]["psnr_zipped"]
    names = {p.name for p in (tokenizer / "run" / "export").iterdir()}
    assert names == {"config.yaml", "record.yaml", "tokenizer.safetensors"}


def test_a_decoder_learns_on_and_tokens_stay(data, tokenizer, tmp_path, capsys):
    before = tokenizer / "run" / "export"
    words = ["train", "tokenizer", "mini-tokenizer", *tokenizer_settings(data), "--device", "cpu"]
    words += [f"init_from={before}", "train.decoder_only=true", "train.steps=5"]
    assert main([*words, "--out", str(tmp_path / "on")]) == 0
    after = tmp_path / "on" / "export"
    old, new = (load_file(f / "tokenizer.safetensors") for f in (before, after))
    encoding = ("embed_first", "encoder", "down", "to_code")
    kept = {k for k in old if torch.equal(old[k], new[k])}
    assert kept >= {k for k in old if k.startswith(encoding)}
    assert not any(k.startswith(("from_code", "out_first")) for k in kept)
    record = OmegaConf.load(after / "record.yaml")
    assert (record.steps, record.begun_from.steps) == (5, 60)
    # Hardly a step away from what it began with.
    assert record.validation.psnr_zipped > record.begun_from.validation.psnr_zipped - 1
    words[-1] = "model.encoder_width=64"
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "other")]) == 2
    assert "init_from: the weights in" in capsys.readouterr().err


def test_a_compiled_tokenizer_trains(data, tmp_path, compiled):
    words = ["train", "tokenizer", "mini-tokenizer", *tokenizer_settings(data), "--device", "cpu"]
    words += ["train.compile=true", "train.steps=1"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert len(compiled) == 1
    assert (tmp_path / "run" / "export" / "tokenizer.safetensors").is_file()


def test_two_processes_train_one_tokenizer(data, tmp_path):
    root = Path(__file__).parents[3]
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "nar_core"]
    words += ["train", "tokenizer", "mini-tokenizer", *tokenizer_settings(data), "train.steps=3"]
    subprocess.run(
        [sys.executable, *words, "--out", str(tmp_path / "run"), "--device", "cpu"],
        check=True,
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    record = OmegaConf.load(tmp_path / "run" / "export" / "record.yaml")
    assert (record.steps, record.samples) == (3, 3 * 4 * 2)


def test_a_picture_tokenizer_codes_the_frames_of_clips_one_by_one():
    """On any grid, and each frame as if it were alone."""
    torch.manual_seed(0)
    small = {"levels": [4, 4], "encoder_width": 32, "decoder_width": 32}
    config = MiniConfig(size=(16, 24), **small)
    picture = MiniTokenizer(config).eval()
    clip = MiniTokenizer(config.on(GridShape(3, 2, 3))).eval()
    assert (clip.frames, clip.size, clip.grid) == (3, (16, 24), GridShape(3, 2, 3))
    assert MiniConfig(**small).on(GridShape(1, 5, 4)).size == (40, 32)
    clip.load_state_dict(picture.state_dict())
    frames = torch.rand(2, 3, 3, 16, 24)
    codes = clip.encode(frames)
    assert codes.shape == (2, 3, 2, 3)
    alone = picture.encode(frames.flatten(0, 1)[:, None])
    assert torch.equal(codes.flatten(0, 1)[:, None], alone)
    made = clip.decode(codes)
    assert torch.allclose(made.flatten(0, 1)[:, None], picture.decode(alone), atol=1e-6)
