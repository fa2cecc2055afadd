"""A video model from a folder of clips: the same trainers, the same transformer, T > 1."""

from __future__ import annotations

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from nar_core import Engine, Request, evaluate
from nar_core.__main__ import main
from nar_core.train import generator, tokenizer
from nar_core.train.data import DataFolder, windows

CPU = torch.device("cpu")
SIDE, FRAMES = 16, 8
LOOP = {
    "seed": 0,
    "batch": 4,
    "steps": 3,
    "warmup": 1,
    "anneal": 0.5,
    "muon_lr": 0.01,
    "muon_weight_decay": 0.0,
    "adamw_lr": 0.002,
    "adamw_names": ["embed_first", "tokens"],
    "betas": [0.9, 0.95],
    "weight_decay": 0.0,
    "clip": 1.0,
    "ema": 0.9,
    "bf16": False,
    "compile": False,
    "save_minutes": 60,
    "eval_every": 3,
}


def sheet(shift: int) -> np.ndarray:
    """A clip of eight frames as a 4 x 2 sheet: a bar that moves right, one pixel a frame."""
    out = np.full((2 * SIDE, 4 * SIDE, 3), 255, np.uint8)
    for f in range(FRAMES):
        y, x = divmod(f, 4)
        out[y * SIDE : (y + 1) * SIDE, x * SIDE + (f + shift) % SIDE] = (200, 20 * f, 0)
    return out


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    lines = []
    for i, label in enumerate(["left bar", "right bar"]):
        Image.fromarray(sheet(8 * i)).save(folder / f"{i}.png")
        lines.append(json.dumps({"file": f"{i}.png", "label": label, "frames": FRAMES}))
    (folder / "index.jsonl").write_text("\n".join(lines))
    return folder


def test_a_sheet_of_tiles_is_read_as_frames(clips):
    pixels = DataFolder.open(clips).pixels(SIDE, progress=False)
    assert pixels.shape == (2, FRAMES, SIDE, SIDE, 4)
    for f in range(FRAMES):
        assert (pixels[0, f, :, f, :3] == (200, 20 * f, 0)).all()
    wrapped = windows(pixels, 5, 2, np.array([6, 0]))
    assert np.array_equal(wrapped[0], pixels[0, [6, 0, 2, 4, 6]])
    mixed = windows(pixels, 3, np.array([0, 3]), np.array([5, 5]))
    assert np.array_equal(mixed[0], pixels[0, [5, 5, 5]])
    assert np.array_equal(mixed[1], pixels[1, [5, 0, 3]])


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_as_many_samples_stand_still_as_told(clips, share):
    config = {"folder": str(clips), "size": SIDE, "key": "file", "hold_out": 0.0, "stride": 1}
    config |= {"shift": 0.0, "scale": [1.0, 1.0], "flip": 0.0, "tinted": 0.0, "still": share}
    source = tokenizer.Source(OmegaConf.create(config), 5)
    video = source.sample(60, torch.Generator().manual_seed(0))
    still = (video == video[:, :1]).flatten(1).all(1).float().mean()
    assert abs(still - share) < 0.15
    assert (still == share) or 0 < share < 1


def test_errors_that_come_and_go_weigh_more_than_errors_that_stay():
    video = torch.zeros(1, 4, 3, 2, 2)
    stays = torch.full_like(video, 0.1)
    blinks = stays * torch.tensor([1, -1, 1, -1]).view(1, 4, 1, 1, 1)
    plain = OmegaConf.create({"l1": 0.5})
    for made in (stays, blinks):
        loss = tokenizer.reconstruction_loss(made, video, plain)
        assert loss.item() == pytest.approx(0.01 + 0.5 * 0.1)
    steady = OmegaConf.create({"l1": 0.5, "change": 2.0})
    assert tokenizer.reconstruction_loss(stays, video, steady).item() == pytest.approx(0.06)
    loss = tokenizer.reconstruction_loss(blinks, video, steady)
    assert loss.item() == pytest.approx(0.06 + 2 * 0.2**2)
    picture = tokenizer.reconstruction_loss(stays[:, :1], video[:, :1], steady)
    assert picture.item() == pytest.approx(0.06)


def recalls_what_it_was_shown(engine: Engine, model, clips) -> None:
    """`recall` counts a picture that is nearest to its own name's, and only such."""
    shown = evaluate.TrainingPictures(engine, str(model), str(clips))
    args = evaluate_arguments(["--model", str(model), "--data", str(clips), "--recall", "2"])
    names = shown.draw(2, np.random.default_rng(0))
    own = np.stack([shown.pixels[shown.names.index(name)] for name in names])
    places, grow = [], engine.generate_all
    engine.generate_all = lambda request: places.append(request.seed_position) or grow(request)
    for pictures, share in ((own, 1.0), (own[::-1], 0.0)):
        engine.decode = lambda tokens, pictures=pictures: pictures
        found = evaluate.recall(engine, args)
        assert found["recall_centre"] == found["recall_corner"] == found["recall_any"] == share
        assert (found["recall_rmse_corner"] == 0) == (share == 1)
    assert places[:2] == [(0, 0, 0), (1, 1, 1)]
    assert places[:3] == places[3:]
    for args.rng_seed in range(1, 6):
        evaluate.recall(engine, args)
    assert len(set(places[2::3])) > 2


def test_flicker_is_what_changes_where_nothing_moves():
    shown = []
    engine = SimpleNamespace(info=SimpleNamespace(frames=3), encode=shown.append)
    blinking = np.zeros((1, 3, 4, 4, 3), np.uint8)
    blinking[:, 1] = 30
    engine.decode = lambda tokens: blinking
    rgba = np.random.default_rng(0).integers(0, 256, (1, 3, 4, 4, 4), np.uint8)
    assert evaluate.still_flicker(engine, rgba) == 30
    assert (shown[0] == shown[0][:, :1]).all()
    engine.decode = lambda tokens: np.full_like(blinking, 9)
    assert evaluate.still_flicker(engine, rgba) == 0


def evaluate_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(words)


def test_a_video_model_trains_loads_grows_and_is_measured(clips, tmp_path, capsys):
    source = {"folder": str(clips), "weight": 1.0, "size": SIDE, "key": "file", "hold_out": 0.0}
    source |= {"stride": 2, "shift": 0.0, "scale": [1.0, 1.0], "flip": 0.0, "tinted": 0.0}
    small = {"encoder_width": 32, "decoder_width": 32, "encoder_depth": 1, "decoder_depth": 1}
    shape = {"size": [SIDE, SIDE], "frames": 5, "frames_per_slice": 2, "levels": [4, 4, 2]}
    config = OmegaConf.create(
        {"model": shape | small, "sources": [source], "train": LOOP | {"l1": 0.02}}
    )
    tokenizer.train(config, tmp_path / "tok", CPU)
    (tmp_path / "tok" / "export").rename(tmp_path / "clip-tokenizer")
    config = OmegaConf.create(
        {
            "info": {"title": "Bars", "task": "class", "labels": ["left bar", "right bar"]},
            "tokenizer": str(tmp_path / "clip-tokenizer"),
            "model": {
                "grid": [3, 2, 2],
                "vocab_size": 32,
                "width": 32,
                "depth": 1,
                "attention_heads": 2,
                "ffn_width": 32,
                "taps": {d: 1 for d in ("+w", "-w", "+h", "-h", "+t", "-t")},
                "condition": {"kind": "class", "classes": 2, "causal": False, "seed_query": True},
                "norm": "layer",
                "learned": "factored",
                "shared_output": True,
                "known_level": "zero",
            },
            "source": source | {"label": "label", "variants": 2, "plain_share": 0.5},
            "train": LOOP
            | {"share_digits": True, "known_share": 0.3, "null_share": 0.1, "keyword_share": 0.0}
            | {"label_smoothing": 0.0},
        }
    )
    generator.train(config, tmp_path / "gen", CPU)
    (tmp_path / "gen" / "export").rename(tmp_path / "bars")
    engine = Engine.load(tmp_path / "bars", dtype="float32")
    assert (engine.info.media, engine.info.frames) == ("video", 5)

    clip = DataFolder.open(clips).pixels(SIDE, progress=False)[:1, :9:2][..., :3]
    clip = np.concatenate([clip, clip[:, :1]], 1)
    known = engine.encode(clip)
    known[:, 1:] = -1
    request = Request(label="left bar", seed_position=(0, 1, 1), known=known)
    frames = list(engine.generate(request))
    assert len(frames) == 2 + 2  # distances 1 to 4 hold unknown cells
    assert (frames[-1].tokens[:, :1] == known[:, :1]).all()
    video = engine.decode(frames[-1].tokens)
    assert video.shape == (1, 5, SIDE, SIDE, 3)
    # The first slice codes the first frame alone: what follows cannot change it.
    assert (video[:, 0] == engine.decode(np.maximum(known, 0))[:, 0]).all()
    assert engine.preview(frames[0].tokens).shape == video.shape
    assert len(list(engine.generate(Request(seed_position=(2, 0, 0))))) == 3 + 2 + 2 - 2

    words = ["evaluate", "--model", str(tmp_path / "bars"), "--json"]
    assert main([*words, "--data", str(clips)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["first_slice_kept"] == 1
    assert 0 <= found["still_flicker"] < 255
    assert found["psnr"] > 0
    assert {"second_frame_data", "second_frame_grown", "second_frame_unrelated"} <= set(found)
    assert main([*words, "--data", str(clips), "--recall", "9", "--temperature", "0"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["recall_names"] == 2
    assert {found[f"recall_{k}"] for k in ("corner", "centre", "any")} <= {0, 0.5, 1}
    recalls_what_it_was_shown(engine, tmp_path / "bars", clips)
    sheet_file = tmp_path / "sheet.png"
    assert main([*words, "--sheet", str(sheet_file)]) == 0
    # two labels under each other, five moments from the corner and five from the centre
    assert Image.open(sheet_file).size == (2 * (5 * SIDE + 8) + 16, 24 + 2 * (SIDE + 34 + 8))
    assert Image.open(sheet_file.with_suffix(".gif")).n_frames > 1
