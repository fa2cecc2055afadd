"""A video model from a folder of clips: the same trainers, the same transformer, T > 1."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core import Engine, Request
from nar_core.cli import main
from nar_core.measure.growing import Grower
from nar_core.measure.items import TrainingPictures
from nar_core.measure.rightness import recall
from nar_core.tokenizers.mini import MiniConfig, MiniTokenizer
from nar_core.train import generator, source, tokenizer
from nar_core.train.config import FolderSource, GeneratorConfig, TokenizerSource, config_of
from nar_core.train.data import DataFolder, as_float, on_white, windows
from nar_core.train.source import TokenSource

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
    pixels = DataFolder.open(clips).pixels((SIDE, SIDE), progress=False)
    assert pixels.shape == (2, FRAMES, SIDE, SIDE, 4)
    for f in range(FRAMES):
        assert (pixels[0, f, :, f, :3] == (200, 20 * f, 0)).all()
    wrapped = windows(pixels, 5, 2, np.array([6, 0]))
    assert np.array_equal(wrapped[0], pixels[0, [6, 0, 2, 4, 6]])
    assert np.array_equal(wrapped[1], pixels[1, [0, 2, 4, 6, 0]])


def test_a_tokenizer_is_shown_pictures_and_frames_of_clips_alike(clips, tmp_path):
    """Every frame of every clip, one at a time; of what is held out the first ones."""
    config: dict = {"folder": str(clips), "size": SIDE, "key": "file", "hold_out": 0.0}
    config |= {"shift": 0.0, "scale": (1.0, 1.0), "flip": 0.0, "tinted": 0.0}
    source = tokenizer.Source(TokenizerSource(**config), (8, 8), tmp_path / "pictures.npy")
    shown = source.sample(200, torch.Generator().manual_seed(0))
    assert shown.shape == (200, 1, 3, SIDE, SIDE)
    frames = on_white(as_float(source.clips[source.rows])).flatten(0, 1)
    found = (shown - frames).abs().flatten(2).amax(2) < 1e-5  # [200, clips * frames]
    assert (found.sum(1) == 1).all()
    assert found.any(0).all()
    some = TokenizerSource(**config | {"hold_out": 0.5})
    source = tokenizer.Source(some, (8, 8), tmp_path / "pictures.npy")
    assert len(source.rows) == 1
    assert source.validation.shape == (1, 1, SIDE, SIDE, 4)
    none = TokenizerSource(**config | {"hold_out": 1.0})
    with pytest.raises(ValueError, match="got 2 pictures of which none is trained on"):
        tokenizer.Source(none, (8, 8), tmp_path / "pictures.npy")


def recalls_what_it_was_shown(engine: Engine, clips) -> None:
    """`recall` counts a picture that is nearest to its own name's, and only such."""
    shown = TrainingPictures(engine, str(clips))
    names = shown.draw(2, np.random.default_rng(0))
    own = np.stack([shown.pixels[shown.names.index(name)] for name in names])
    places, grow = [], engine.generate_all
    engine.generate_all = lambda request: places.append(request.seed_position) or grow(request)
    for pictures, share in ((own, 1.0), (own[::-1], 0.0)):
        engine.decode = lambda tokens, pictures=pictures: pictures
        found = recall(Grower(engine), shown, 2)
        assert found["recall_centre"] == found["recall_corner"] == found["recall_any"] == share
        assert (found["recall_rmse_corner"] == 0) == (share == 1)
    assert places[:2] == [(0, 0, 0), (2, 1, 1)]
    assert places[:3] == places[3:]
    for rng_seed in range(1, 6):
        recall(Grower(engine, rng_seed), shown, 2)
    assert len(set(places[2::3])) > 2


def configuration(clips, root) -> GeneratorConfig:
    """A small generator of clips, and a tokenizer trained for it in `root`."""
    source = {"folder": str(clips), "key": "file", "hold_out": 0.0}
    source |= {"shift": 0.0, "scale": (1.0, 1.0), "flip": 0.0, "tinted": 0.0}
    small = {"encoder_width": 32, "decoder_width": 32, "encoder_depth": 1, "decoder_depth": 1}
    shape = {"size": [SIDE, SIDE], "levels": [4, 4, 2]}
    own = source | {"weight": 1.0, "size": SIDE}
    coder = {"model": shape | small, "sources": [own], "train": LOOP | {"l1": 0.02}}
    tokenizer.train(config_of(coder, "tokenizer"), root / "tok", CPU)
    (root / "tok" / "export").rename(root / "tokenizer")
    return config_of(
        {
            "info": {"title": "Bars", "task": "class", "labels": ["left bar", "right bar"]},
            "tokenizer": str(root / "tokenizer"),
            "model": {
                "grid": [5, 2, 2],
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
            "source": source | {"label": "label", "stride": 2, "variants": 2, "plain_share": 0.5},
            "train": LOOP
            | {"share_digits": True, "known_share": 0.9, "null_share": 0.1, "keyword_share": 0.0}
            | {"label_smoothing": 0.0},
        },
        "generator",
    )


def test_clips_of_other_names_are_shown_only_after_known_slices(clips, tmp_path):
    source: dict = {"folder": str(clips), "key": "file", "hold_out": 0.0, "stride": 2}
    source |= {"shift": 0.0, "scale": (1.0, 1.0), "flip": 0.0, "tinted": 0.0}
    source |= {"only": {"label": ["left bar"]}, "label": "label", "variants": 3, "plain_share": 1.0}
    source = FolderSource(**source)
    coder = MiniTokenizer(MiniConfig(size=(SIDE, 2 * SIDE), frames=4, levels=[4, 4])).eval()
    alone = TokenSource(source, coder, CPU, tmp_path / "alone.npy")
    assert (len(alone.training), len(alone.others)) == (1, 0)
    both = TokenSource(source, coder, CPU, tmp_path / "both.npy", with_others=True)
    assert both.tokens.shape == (2, 3, 4 * 2 * 4)
    again = TokenSource(source, coder, CPU, tmp_path / "both.npy", with_others=True)
    assert np.array_equal(again.tokens, both.tokens)
    # Tokens of other items, or of the same ones changed, are not taken for these.
    more = TokenSource(source, coder, CPU, tmp_path / "alone.npy", with_others=True)
    assert np.array_equal(more.tokens, both.tokens)
    flipped = replace(source, flip=1.0)
    changed = TokenSource(flipped, coder, CPU, tmp_path / "alone.npy", with_others=True)
    assert not np.array_equal(changed.tokens, more.tokens)
    other = np.arange(60) % 3 == 0
    records, tokens = both.sample(other, np.random.default_rng(0))
    assert [r["label"] == "right bar" for r in records] == other.tolist()
    # What has a name begins where it begins; the others begin anywhere.
    assert all(np.array_equal(t, both.tokens[both.training[0], 0]) for t in tokens[~other])
    found = {tuple(t.tolist()) for t in tokens[other]}
    assert found == {tuple(t.tolist()) for t in both.tokens[both.others[0]]}
    assert len(found) > 1


def test_a_name_is_drawn_as_often_as_said(clips, tmp_path):
    source = replace(configuration(clips, tmp_path).source, only={}, often={"left bar": 3})
    coder = MiniTokenizer(MiniConfig(size=(SIDE, SIDE), frames=4, levels=[4, 4])).eval()
    tokens = TokenSource(source, coder, CPU, tmp_path / "tokens.npy")
    none = np.zeros(400, bool)
    records, _ = tokens.sample(none, np.random.default_rng(0))
    assert 0.68 < np.mean([r["label"] == "left bar" for r in records]) < 0.82
    source.often = {"left bra": 3}
    with pytest.raises(ValueError, match=r"source.often: got \['left bra'\]"):
        TokenSource(source, coder, CPU, tmp_path / "tokens.npy")


def test_a_share_of_what_goes_on_is_of_other_names(clips, tmp_path, monkeypatch):
    config = configuration(clips, tmp_path)
    config.train = replace(config.train, other_share=0.5, steps=30, eval_every=30)
    with pytest.raises(ValueError, match=r"got 0\.5, expected 0, since the source leaves nothing"):
        generator.train(config, tmp_path / "none", CPU)
    shown, told = [], []
    sample, tell = TokenSource.sample, source.told_by

    def spied_sample(self, other, rng):
        shown.append(other)
        return sample(self, other, rng)

    def spied_tell(records, other, rng):
        told.append(([r["label"] for r in records], other))
        return tell(records, other, rng)

    monkeypatch.setattr(TokenSource, "sample", spied_sample)
    monkeypatch.setattr(source, "told_by", spied_tell)
    config.source.only = {"label": ["left bar"]}
    config.info.labels = ["left bar"]
    config.model.condition.classes = 1
    generator.train(config, tmp_path / "some", CPU)
    # Nine in ten know something, half of these whole slices, half of these are of other names.
    assert 0.08 < np.concatenate(shown).mean() < 0.4
    for labels, other in told:
        assert [label == "right bar" for label in labels] == other.tolist()


def test_a_video_model_trains_loads_grows_and_is_measured(clips, tmp_path, capsys):
    config = configuration(clips, tmp_path)
    generator.train(config, tmp_path / "gen", CPU)
    (tmp_path / "gen" / "export").rename(tmp_path / "bars")
    engine = Engine.load(tmp_path / "bars", dtype="float32")
    assert (engine.info.media, engine.info.frames) == ("video", 5)

    clip = DataFolder.open(clips).pixels((SIDE, SIDE), progress=False)[:1, :9:2][..., :3]
    clip = np.concatenate([clip, clip[:, :1]], 1)
    known = engine.encode(clip)
    known[:, 1:] = -1
    request = Request(label="left bar", seed_position=(0, 1, 1), known=known)
    frames = list(engine.generate(request))
    assert len(frames) == 2 + 4  # distances 1 to 6 hold unknown cells
    assert (frames[-1].tokens[:, :1] == known[:, :1]).all()
    video = engine.decode(frames[-1].tokens)
    assert video.shape == (1, 5, SIDE, SIDE, 3)
    # The first slice codes the first frame alone: what follows cannot change it.
    assert (video[:, 0] == engine.decode(np.maximum(known, 0))[:, 0]).all()
    assert engine.preview(frames[0].tokens).shape == video.shape
    assert len(list(engine.generate(Request(seed_position=(4, 0, 0))))) == 5 + 2 + 2 - 2

    words = ["evaluate", "--model", str(tmp_path / "bars"), "--json"]
    assert main([*words, "--data", str(clips)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["pictures"] == 2
    assert found["psnr"] > 0
    assert {"second_frame_data", "second_frame_grown", "second_frame_unrelated"} <= set(found)
    assert main([*words, "--data", str(clips), "--recall", "9", "--temperature", "0"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["recall_names"] == 2
    assert {found[f"recall_{k}"] for k in ("corner", "centre", "any")} <= {0, 0.5, 1}
    recalls_what_it_was_shown(engine, clips)
    sheet_file = tmp_path / "sheet.png"
    assert main([*words, "--sheet", str(sheet_file)]) == 0
    # two labels under each other, five moments from the corner, the centre and any cell
    assert Image.open(sheet_file).size == (3 * (5 * SIDE + 8) + 16, 24 + 2 * (SIDE + 16 + 15))
    assert Image.open(sheet_file.with_suffix(".gif")).n_frames > 1
