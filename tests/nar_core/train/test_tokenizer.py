"""Tokenizers trained by the shipped configuration, shrunk."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from nar_core.cli import main
from nar_core.plan import GridShape
from nar_core.tokenizers.mini import MiniConfig, MiniTokenizer
from nar_core.train import tokenizer as trained
from nar_core.train.config import TokenizerSource
from nar_core.train.tokenizer import (
    WorldPool,
    counts_of,
    one_of,
    start_from,
    unlikeness,
    windows_of,
)

from .small import FAST, rows_of, tokenizer_settings


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
    told = (after / "record.yaml").read_text()
    assert str(tokenizer) not in told
    assert str(data) not in told
    # Hardly a step away from what it began with.
    assert record.validation.psnr_zipped > record.begun_from.validation.psnr_zipped - 1
    words[-1] = "model.encoder_width=64"
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "other")]) == 2
    assert "init_from: got weights in" in capsys.readouterr().err


def test_a_deeper_decoder_begins_as_the_one_it_was(tokenizer, tmp_path):
    damaged = tmp_path / "tokenizer.safetensors"
    folder = tokenizer / "run" / "export"
    shape = dict(OmegaConf.load(folder / "config.yaml").model)
    before = MiniTokenizer(MiniConfig(**shape))
    start_from(before, folder)
    deeper = {"decoder_depth": shape["decoder_depth"] + 1, "fine_depth": shape["fine_depth"] + 2}
    after = MiniTokenizer(MiniConfig(**{**shape, **deeper}))
    start_from(after, folder)
    codes = torch.randint(before.vocab_size, (2, *before.grid))
    assert torch.equal(before.decode(codes), after.decode(codes))
    other = MiniTokenizer(MiniConfig(**{**shape, "encoder_depth": shape["encoder_depth"] + 1}))
    with pytest.raises(ValueError, match="do not fit"):
        start_from(other, folder)
    # a block that a file should have is not one that is added
    state = load_file(folder / "tokenizer.safetensors")
    save_file({k: v for k, v in state.items() if not k.startswith("decoder.0.")}, damaged)
    with pytest.raises(ValueError, match="do not fit"):
        start_from(after, damaged.parent)


def test_without_likeness_a_picture_or_its_twin_is_seen():
    pairs = torch.arange(400.0).reshape(200, 2, 1, 1, 1).expand(-1, -1, 3, 4, 4)
    one = one_of(pairs, torch.Generator().manual_seed(0))
    assert one.shape == (200, 1, 3, 4, 4)
    assert (one[:, 0, 0, 0, 0] // 2 == torch.arange(200)).all()
    assert 60 < int((one[:, 0, 0, 0, 0] % 2).sum()) < 140
    alone = pairs[:, :1]
    assert torch.equal(one_of(alone, torch.Generator()), alone)


def test_a_compiled_tokenizer_trains(data, tmp_path, compiled):
    words = ["train", "tokenizer", "mini-tokenizer", *tokenizer_settings(data), "--device", "cpu"]
    words += ["train.compile=true", "train.steps=1"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert len(compiled) == 1
    assert (tmp_path / "run" / "export" / "tokenizer.safetensors").is_file()


def test_two_processes_train_one_tokenizer(data, tmp_path, monkeypatch):
    """This one and another, told of each other as torchrun tells them."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    told |= {"TORCHELASTIC_USE_AGENT_STORE": "True"}
    words = ["train", "tokenizer", "mini-tokenizer", *tokenizer_settings(data), "train.steps=3"]
    words += ["--out", str(tmp_path / "run"), "--device", "cpu"]
    other = subprocess.Popen(
        [sys.executable, "-m", "nar_core", *words],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **told, "OMP_NUM_THREADS": "1", "RANK": "1", "LOCAL_RANK": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait = datetime.timedelta(minutes=2)  # for one that does not come; torch's own is half an hour
    monkeypatch.setattr("torch.distributed.distributed_c10d.default_pg_timeout", wait)
    for name, value in {**told, "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    try:
        assert main(words) == 0
        assert other.wait(120) == 0
    finally:
        other.kill()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
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


def test_equal_frames_are_encoded_once(monkeypatch):
    torch.manual_seed(0)
    config = MiniConfig(size=(16, 24), levels=[4, 4], encoder_width=32, decoder_width=32)
    tokenizer = MiniTokenizer(config.on(GridShape(5, 2, 3))).eval()
    several = torch.rand(3, 3, 16, 24)
    clips = several[torch.tensor([[0, 1, 0, 2, 1], [2, 2, 2, 0, 2]])]
    seen, features = [], tokenizer.features
    monkeypatch.setattr(tokenizer, "features", lambda x: seen.append(len(x)) or features(x))
    codes = tokenizer.encode(clips)
    assert seen == [3]
    for clip, coded in zip(clips, codes, strict=True):
        for frame, wanted in zip(clip, coded, strict=True):
            assert torch.equal(tokenizer.encode(frame[None, None])[0, 0], wanted)
    assert not torch.equal(codes[0, 0], codes[0, 1])


def test_a_tokenizer_trains_on_worlds_and_measures_what_is_held_out(tmp_path):
    """From a clone alone; twins in other colours are asked to be alike in the first digits."""
    words = ["train", "tokenizer", "mini-tokenizer", "--device", "cpu", "model.encoder_width=32"]
    words += ["model.decoder_width=32", "model.encoder_depth=1", "model.decoder_depth=1"]
    words += ["train.steps=2", "train.eval_every=2", "train.batch=4", *FAST]
    some = "sources=[{world: emoji, pool: 8}, {world: landscape, pool: 4}]"
    assert main([*words, some, "--out", str(tmp_path / "run")]) == 0
    record = OmegaConf.load(tmp_path / "run" / "export" / "record.yaml")
    assert set(record.validation) == {"psnr_emoji", "psnr_landscape"}
    assert record.samples == 8
    state = load_file(tmp_path / "run" / "export" / "tokenizer.safetensors")
    assert len(state["patches"]) == 8 * 8 * 5 * 5 * 5


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{world: atlantis}", "got the world 'atlantis', expected one of emoji"),
        ("{weight: 1.0}", "got folder '' and world '', expected one"),
        ("{world: emoji, folder: x}", "got folder 'x' and world 'emoji', expected one"),
    ],
)
def test_a_source_is_a_folder_or_a_world(source, told, tmp_path, capsys):
    words = ["train", "tokenizer", "mini-tokenizer", f"sources=[{source}]"]
    assert main([*words, "--out", str(tmp_path), "--device", "cpu"]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("side", [0, 88])
def test_pictures_of_several_sizes_are_seen_in_parts_of_one(side, tmp_path, capsys):
    words = ["train", "tokenizer", "mini-tokenizer", f"train.window={side}"]
    words += ["sources=[{world: emoji}, {world: emoji-motion}]"]
    assert main([*words, "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
    told = f"train.window: got {side} for pictures of 80 x 80 and 128 x 128, expected 8 to 80"
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_pool_shows_scenes_beside_their_twins_and_goes_on_to_others():
    pool = WorldPool(TokenizerSource(world="emoji", pool=6), (0, 0))
    before = pool.pairs.copy()
    x = pool.sample(8, torch.Generator().manual_seed(0))
    assert x.shape == (8, 2, 3, 128, 128)
    changed = (pool.pairs != before).flatten().reshape(6, -1).any(1)
    assert changed.tolist() == [True, True, False, False, False, False]
    apart = (pool.pairs[:, 0] != pool.pairs[:, 1]).any(-1).reshape(6, -1).mean(1)
    assert 0 < apart.max() < 0.9  # of what is behind things nothing changes
    assert pool.validation.shape[1:] == (1, 128, 128, 4)
    again = WorldPool(TokenizerSource(world="emoji", pool=6), (0, 0))
    other = WorldPool(TokenizerSource(world="emoji", pool=6), (0, 1))
    assert (again.pairs == before).all()
    assert (other.pairs != before).any()


@pytest.mark.parametrize(("world", "pool"), [("emoji", 2), ("emoji", 6), ("landscape", 2)])
def test_a_pool_goes_on_as_if_it_had_not_been_left(world, pool, monkeypatch):
    def views(self, rng):  # quicker than the landscapes
        while True:
            yield None, rng.integers(0, 256, (1, 8, 8, 3), np.uint8)

    monkeypatch.setattr(trained.WORLDS["landscape"], "views", views)
    monkeypatch.setattr(trained, "BLOCK", 4)
    monkeypatch.setattr(trained, "HELD_OUT", 1)
    whole, again = (WorldPool(TokenizerSource(world=world, pool=pool), (0, 0)) for _ in range(2))
    drawn = [whole.sample(n, torch.Generator().manual_seed(n)) for n in (3, 9, 5)]
    again.skip(3)
    again.skip(9)
    assert torch.equal(again.sample(5, torch.Generator().manual_seed(5)), drawn[-1])
    assert np.array_equal(again.pairs, whole.pairs)


def test_a_run_on_a_world_goes_on_as_if_it_had_not_been_left(tmp_path, monkeypatch):
    words = ["train", "tokenizer", "mini-tokenizer", "--device", "cpu", "model.encoder_width=32"]
    words += ["model.decoder_width=32", "model.encoder_depth=1", "model.decoder_depth=1"]
    words += ["train.steps=4", "train.eval_every=9", "train.batch=4", *FAST]
    words += ["sources=[{world: emoji, pool: 4}, {world: emoji, pool: 2, weight: 0.6}]"]
    plain, losses = trained.reconstruction_loss, []

    def seen(*args):
        losses.append(plain(*args))
        if stop and len(losses) == stop:
            signal.raise_signal(signal.SIGINT)
        return losses[-1]

    monkeypatch.setattr(trained, "HELD_OUT", 1)
    monkeypatch.setattr(trained, "reconstruction_loss", seen)
    for stop, folder in ((0, "whole"), (6, "parts"), (0, "parts")):
        assert main([*words, "--out", str(tmp_path / folder)]) == (130 if stop else 0)
    assert [float(x.detach()) for x in losses[:4]] == [float(x.detach()) for x in losses[4:]]


def test_unlikeness_is_a_share_of_what_digits_vary_by():
    one, noise = torch.randn(400, 1, 3), torch.randn(400, 1, 3)
    alike = unlikeness(torch.cat([one, one], 1))
    apart = unlikeness(torch.cat([one, noise], 1))
    assert alike == 0
    assert 4.5 < apart < 7.5  # two variances for each of three digits
    assert abs(unlikeness(torch.cat([one, noise], 1) * 30) / apart - 1) < 0.05
    shrunk = unlikeness(torch.cat([one, one + 0.3 * noise], 1) * 3)
    assert abs(shrunk / unlikeness(torch.cat([one, one + 0.3 * noise], 1) * 30) - 1) < 0.05


def test_windows_lie_on_the_grid_mostly_and_twins_share_one():
    picture = torch.arange(128 * 128.0).reshape(1, 1, 1, 128, 128).expand(64, 2, 3, -1, -1)
    cut = windows_of(picture, 64, torch.Generator().manual_seed(0))
    assert cut.shape == (64, 2, 3, 64, 64)
    assert torch.equal(cut[:, 0], cut[:, 1])
    corner = cut[:, 0, 0, 0, 0]
    at = torch.stack([corner // 128, corner % 128], 1)
    on_grid = (at % 8 == 0).all(1).float().mean()
    assert 0.55 < on_grid < 0.95
    assert at.min() >= 0
    assert at.max() == 64
    assert windows_of(picture, 0, torch.Generator()) is picture
    wide = picture[..., :80, :]
    assert windows_of(wide, 80, torch.Generator()).shape == (64, 2, 3, 80, 80)


def test_counts_are_the_same_at_every_step_where_shares_are_whole():
    assert {tuple(counts_of(np.array([0.625, 0.25, 0.125]), 32, u / 10)) for u in range(10)} == {
        (20, 8, 4)
    }
    thirds = [counts_of(np.full(3, 1 / 3), 4, u / 100) for u in range(100)]
    assert {sum(c) for c in thirds} == {4}
    assert np.allclose(np.mean(thirds, 0), 4 / 3, atol=0.05)
