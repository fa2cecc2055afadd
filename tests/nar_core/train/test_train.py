"""Training by the shipped configurations, shrunk, on a few generated pictures."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file, save_file

from nar_core import Engine, Request
from nar_core.cli import main
from nar_core.cli.train import CONFIGS
from nar_core.decode import Growth
from nar_core.models.condition import word_ids
from nar_core.plan import GridShape, make_plan
from nar_core.settings import SamplingSettings
from nar_core.tokenizers.mini import MiniConfig, MiniTokenizer
from nar_core.train import generator, loop, plans
from nar_core.train.begin import fresh, start_from
from nar_core.train.config import GeneratorTraining, Growths, architecture, load_config
from nar_core.train.data import DataFolder
from nar_core.train.exposure import own_cells, wrong_cells
from nar_core.train.loop import Run, learning_rate_share
from nar_core.train.losses import step_weights
from nar_core.train.plans import (
    PlanBatch,
    first_cells,
    growth_of,
    plan_from,
    plans_for,
    random_plan,
    samples_of,
)
from nar_core.train.source import keyword_prompt, prompt_of, select_records, told_by

from ..helpers import embedded_config, random_model

COLOURS = {"red": (220, 30, 30), "green": (20, 160, 60), "blue": (30, 60, 220)}
FAST = ["train.compile=false", "train.bf16=false", "train.warmup=2", "train.ema=0.9"]
SMALL = [
    "model.grid=[1,4,4]", "model.vocab_size=64", "model.width=32", "model.depth=2",
    "model.attention_heads=2", "model.ffn_width=32", "model.rotary=[0,4,4]",
    "model.taps={+w: 2, -w: 2, +h: 2, -h: 2}", "source.variants=2", "source.hold_out=0.3",
    "train.batch=6", "train.eval_every=10",
]  # fmt: skip


def picture(colour: str, corner: int, form: str) -> Image.Image:
    """A coloured square or disc on a transparent ground, 40 x 32."""
    pixels = np.zeros((32, 40, 4), np.uint8)
    y, x = np.mgrid[:32, :40] - 12 - corner
    inside = (np.maximum(abs(y), abs(x)) if form == "square" else np.hypot(y, x)) < 9
    pixels[inside] = (*COLOURS[colour], 255)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The same pictures twice: zipped with an index, and as files with captions."""
    root = tmp_path_factory.mktemp("data")
    (root / "files").mkdir()
    (root / "zipped").mkdir()
    index, captions = [], []
    with zipfile.ZipFile(root / "zipped" / "images.zip", "w") as archive:
        for colour in COLOURS:
            for corner in range(0, 8, 2):
                for form in ("square", "disc"):
                    name = f"{colour}-{form}-{corner}.png"
                    picture(colour, corner, form).save(root / "files" / name)
                    archive.write(root / "files" / name, name)
                    index.append({"file": name, "label": colour, "sequence": name})
                    captions.append({"file_name": name, "text": f"{colour} {form}"})
    for path, records in (("zipped/index.jsonl", index), ("files/metadata.jsonl", captions)):
        (root / path).write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return root


def tokenizer_settings(data: Path) -> list[str]:
    """A tokenizer small enough to train in a test."""
    source = f"{{folder: {data / 'zipped'}, weight: 1, size: 32, key: file, hold_out: 0.3, "
    source += "shift: 0.06, scale: [0.9, 1.05], flip: 0.5, tinted: 0.0}"
    return [
        "model.size=[32,32]", "model.levels=[4,4,4]", "model.encoder_width=32",
        "model.decoder_width=32", "model.encoder_depth=1", "model.decoder_depth=1",
        f"sources=[{source}]", "train.steps=60", "train.batch=4", "train.eval_every=20", *FAST,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(data, tmp_path_factory) -> Path:
    """A tokenizer trained on them."""
    root = tmp_path_factory.mktemp("tokenizer")
    words = ["train", "tokenizer", "mini-tokenizer", *tokenizer_settings(data)]
    assert main([*words, "--out", str(root / "run"), "--device", "cpu"]) == 0
    return root


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


def test_a_class_generator_learns_and_loads(data, tokenizer, tmp_path):
    labels = ",".join(COLOURS)
    run = train_generator(
        data, tokenizer, tmp_path / "run", "fruit", "model.condition.classes=3",
        f"info.labels=[{labels}]", "info.default_seed_position=[0,2,2]",
        f"source.folder={data / 'zipped'}", "train.steps=60",
    )  # fmt: skip
    rows = rows_of(run)
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.3
    assert rows[-1]["loss_any"] < rows[0]["loss_any"]
    assert {"loss_corner", "loss_centre", "loss_held_out_any"} <= set(rows[-1])
    engine = loaded(run, tokenizer, "classes")
    assert (engine.info.labels, engine.info.default_seed_position) == (tuple(COLOURS), (0, 2, 2))
    frame = engine.generate_all(Request(label="red", seed_position=(3, 0)))
    assert engine.decode(frame.tokens).shape == (1, 1, 32, 32, 3)
    # The preview table holds the mean patches of training.
    picture = engine.preview(engine.encode(np.full((1, 1, 32, 32, 3), 255, np.uint8)))
    assert picture.mean() > 220


def test_a_text_generator_learns_from_captions(data, tokenizer, tmp_path, monkeypatch):
    run = train_generator(
        data, tokenizer, tmp_path / "run", "captions", "model.condition.slots=3",
        "model.condition.buckets=64", "info.default_seed_position=[0,0,0]",
        f"source.folder={data / 'files'}", "train.steps=20",
    )  # fmt: skip
    engine = loaded(run, tokenizer, "words")
    assert (engine.info.task, engine.info.prompt_words) == ("text", 3)
    captions = {r["text"] for r in DataFolder.open(data / "files").records}
    assert set(engine.info.names) <= captions
    assert len(engine.info.names) > 1
    monkeypatch.setattr("nar_core.train.generator.MOST_NAMES", 1)
    run = train_generator(
        data, tokenizer, tmp_path / "many", "captions", "model.condition.slots=3",
        "model.condition.buckets=64", "info.default_seed_position=[0,0,0]",
        f"source.folder={data / 'files'}", "train.steps=1",
    )  # fmt: skip
    assert not (run / "export" / "names.txt").exists()
    one, two = (
        engine.generate_all(Request(prompt=p, temperature=0.0)) for p in ("red disc", "blue square")
    )
    assert (one.confidence != two.confidence).any()


def test_an_interrupted_run_goes_on_exactly(data, tokenizer, tmp_path, monkeypatch):
    settings = [
        "model.condition.classes=3", f"info.labels=[{','.join(COLOURS)}]",
        f"source.folder={data / 'zipped'}", "train.steps=8", "train.save_minutes=0",
    ]  # fmt: skip
    whole = train_generator(data, tokenizer, tmp_path / "whole", "fruit", *settings)
    save = Run.save

    def save_and_stop(run: Run) -> None:
        save(run)
        if run.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_and_stop)
    train_generator(data, tokenizer, tmp_path / "parts", "fruit", *settings, code=130)
    monkeypatch.setattr(Run, "save", save)
    parts = train_generator(data, tokenizer, tmp_path / "parts", "fruit", *settings)
    states = [torch.load(run / "last.pt", weights_only=True) for run in (whole, parts)]
    for name in ("model", "ema"):
        for key, value in states[0][name].items():
            assert torch.equal(value, states[1][name][key]), key
    assert states[0]["step"] == states[1]["step"] == 8


def test_both_forms_of_data_folder_hold_the_same_pictures(data):
    zipped, files = (DataFolder.open(data / form) for form in ("zipped", "files"))
    np.testing.assert_array_equal(zipped.pixels(16, False), files.pixels(16, False))
    assert zipped.pixels(16, False).shape == (24, 1, 16, 16, 4)
    assert files.records[0]["text"] == "red square"
    with pytest.raises(ValueError, match=r"expected index.jsonl or metadata.jsonl"):
        DataFolder.open(data)


def test_prompts_of_records():
    rng = np.random.default_rng(0)
    emoji = {"style": "fluent3d", "name": "red apple", "keywords": ["fruit"]}
    assert prompt_of(emoji) == "3d emoji of red apple"
    assert keyword_prompt(emoji, rng) == "3d emoji of fruit"
    plain = {"name": "red apple", "keywords": ["fruit"]}
    assert (prompt_of(plain), keyword_prompt(plain, rng)) == ("red apple", "fruit")
    caption = {"text": "a red square"}
    assert prompt_of(caption) == keyword_prompt(caption, rng) == "a red square"


def test_records_are_chosen_by_any_of_several_rules():
    records = [{"style": s, "kind": k} for s in ("flat", "round") for k in ("food", "face", "flag")]
    data = DataFolder(Path(), records)

    def chosen(**rules) -> list[str]:
        kept = select_records(data, **rules).records
        return [f"{r['style']} {r['kind']}" for r in kept]

    assert len(chosen()) == len(chosen(only=None)) == 6
    one = {"style": ["flat"], "kind": ["food", "face"]}
    assert chosen(only=one) == ["flat food", "flat face"]
    both = chosen(only=[one, {"style": ["round"]}], drop={"kind": ["face"]})
    assert both == ["flat food", "round food", "round flag"]


def test_plans_start_in_corners_and_the_centre_as_often_as_told():
    grid, rng = GridShape(1, 9, 9), np.random.default_rng(0)
    seeds = [random_plan(grid, rng, 0.0, corner_share=0.6).seed_position for _ in range(300)]
    assert 0.5 < np.mean([s[1] in (0, 8) and s[2] in (0, 8) for s in seeds]) < 0.75
    assert 0.25 < np.mean([s == (0, 0, 0) for s in seeds]) < 0.5
    seeds = [random_plan(grid, rng, 0.0, 0.0, centre_share=0.4).seed_position for _ in range(300)]
    assert np.mean([s == (0, 0, 0) for s in seeds]) < 0.1
    assert 0.3 < np.mean([s == (0, 4, 4) for s in seeds]) < 0.5
    seeds = [random_plan(grid, rng, 0.0, 0.0, centre_share=0.0).seed_position for _ in range(300)]
    assert np.mean([s == (0, 4, 4) for s in seeds]) < 0.1


def test_short_growths_reach_beyond_what_is_known():
    """And whole ones know as much as they are told to."""
    grid, rng = GridShape(3, 4, 4), np.random.default_rng(0)
    config = GeneratorTraining(known_share=1.0, corner_share=0.2)
    for length in (12, 24):
        plans = plans_for(config, grid, length, 200, rng)
        counts = [plan.known.sum() for plan in plans]
        assert 0 < max(counts) <= length / 2
        assert len(plans) == 200
    assert np.mean([p.known.any() for p in plans_for(config, grid, 48, 200, rng)]) > 0.9
    assert max(p.known.sum() for p in plans_for(config, grid, 48, 200, rng)) > 24


def test_growth_goes_on_from_whole_slices_only():
    known = np.zeros((3, 2, 2), bool)

    def goes_on() -> bool:
        return plan_from(GridShape(3, 2, 2), (0, 0, 0), known.reshape(-1)).goes_on

    assert not goes_on()
    known[:, 0] = True
    assert not goes_on()
    known[2] = True
    assert goes_on()
    known = np.array([True, True, True, False])
    assert not plan_from(GridShape(1, 2, 2), (0, 0, 0), known).goes_on


def test_what_a_name_does_not_tell_is_told_by_any_name_or_none():
    records = [{"name": str(i)} for i in range(300)]
    other = np.arange(300) % 2 == 0
    told = told_by(records, other, np.random.default_rng(0))
    assert [t for t, o in zip(told, other, strict=True) if not o] == records[1::2]
    shares = [
        np.mean(
            [
                t is (None if kind is None else records[i - kind])
                for i, t in enumerate(told)
                if other[i]
            ]
        )
        for kind in (0, None, 1)
    ]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0.2


def test_the_learning_rate_warms_up_stays_and_falls():
    shares = [learning_rate_share(step, 100, 10, 0.4) for step in range(101)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[9:60] == [1.0] * 51
    assert shares[80] == pytest.approx(0.5)
    assert shares[100] == 0


def test_every_step_of_a_plan_counts_alike():
    levels = torch.tensor([[1, 2, 2, 3, 3, 3], [0, 0, 1, 1, 2, 2]])
    weights = step_weights(levels, levels > 0)
    assert torch.equal(weights[0], torch.tensor([1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3]))
    assert torch.equal(weights[1], torch.tensor([0, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 2]))


def test_wrong_cells_come_from_another_picture_and_spare_what_is_known():
    tokens = torch.arange(40)[:, None].expand(40, 64).contiguous()
    known = torch.zeros(40, 64, dtype=torch.bool)
    known[:, :8] = True
    shown = wrong_cells(tokens, known, 0.4, np.random.default_rng(0))
    wrong = shown != tokens
    assert (shown[wrong] == (tokens[wrong] - 1) % 40).all()
    assert not wrong[:, :8].any()
    share = wrong[:, 8:].float().mean(1)
    assert 0.3 < (share == 0).float().mean() < 0.7
    assert 0.3 < share.max() < 0.6
    assert wrong_cells(tokens, known, 0.0, np.random.default_rng(0)) is tokens


def test_own_cells_are_what_the_model_grows_and_spare_what_is_known():
    """Greedily, so that growing again tells what they must be."""
    grid = GridShape(1, 4, 5)
    model = random_model(embedded_config(grid))
    rng = np.random.default_rng(0)
    known = np.zeros(grid.cells, bool)
    known[:2] = True
    seed = (0, 2, 2)
    plan = plan_from(grid, seed, known)
    values = word_ids(["red apple"] * 30 + [""] * 4, 3, 64)
    tokens = torch.from_numpy(rng.integers(0, 31, (34, grid.cells)))
    greedy = SamplingSettings(temperature=0.0)
    shown = own_cells(model, plan, values, tokens, grid.cells, greedy, rng)
    whole = tokens.clone()
    order = make_plan(grid, seed, known)
    growth = Growth(model, order, values, values, whole, torch.zeros(whole.shape), greedy)
    for _ in order.steps:
        growth.step()
    assert ((shown == tokens) | (shown == whole)).all()
    assert torch.equal(shown[:, :2], tokens[:, :2])
    assert torch.equal(shown[30:], tokens[30:])
    rows = (shown[:30] == whole[:30]).all(1).float().mean()
    assert 0.3 < rows < 0.8
    # Only as far as the growth goes: the seed token and the front around it.
    short = own_cells(model, plan, values, tokens, 2, greedy, rng)
    assert not (short != tokens)[:, order.levels > 2].any()


def test_the_shares_of_a_configuration_reach_the_samples(data, tokenizer, tmp_path, monkeypatch):
    told: dict[str, list] = {"seeds": [], "wrong": [], "own": []}

    def spy(module, name: str, kind: str, place: int | None):
        plain = getattr(module, name)

        def spied(*args, **shares):
            told[kind].append(args[place] if place else (*args, *shares.values()))
            return plain(*args, **shares)

        monkeypatch.setattr(module, name, spied)

    spy(plans, "random_plan", "seeds", None)
    spy(generator, "wrong_cells", "wrong", 2)
    spy(generator, "own_cells", "own", None)
    settings = [
        "model.condition.classes=3", f"info.labels=[{','.join(COLOURS)}]", "train.steps=20",
        f"source.folder={data / 'zipped'}", "train.corner_share=0.7", "train.wrong_share=0.6",
        "train.centre_share=0.2", "info.temperature=0.7", "info.top_p=0.8", "info.min_p=0.1",
    ]  # fmt: skip
    train_generator(data, tokenizer, tmp_path / "none", "fruit", *settings, "train.own_share=0")
    assert {args[3:] for args in told["seeds"]} == {(0.7, 0.2)}
    assert (set(told["wrong"]), told["own"]) == ({0.6}, [])
    train_generator(data, tokenizer, tmp_path / "some", "fruit", *settings, "train.own_share=0.5")
    assert 4 < len(told["own"]) < 16
    assert {args[4] for args in told["own"]} == {16}
    assert told["own"][0][5] == SamplingSettings(temperature=0.7, top_p=0.8, min_p=0.1)


def test_the_first_cells_of_a_growth_are_predicted_as_in_the_whole():
    """Short growths are a part of the same growth: same logits for the same cells."""
    torch.manual_seed(0)
    changes = [*SMALL, "model.grid=[1,5,4]", "model.vocab_size=16", "source.folder=x"]
    changes += ["model.condition.buckets=64"]
    said = load_config(CONFIGS / "captions.yaml", changes, "generator")
    config = architecture(said.model)
    model = fresh(config, None).eval()
    torch.nn.init.normal_(model.heads.output.weight)
    rng = np.random.default_rng(1)
    batch = PlanBatch.of([random_plan(config.grid, rng, 0.0) for _ in range(6)], config.directions)
    levels, fan_in, seed = batch.levels, batch.fan_in, batch.seeds
    tokens = torch.randint(16, (6, config.grid.cells))
    values = word_ids(["red fox"] * 6, config.condition.slots, 64)
    with torch.no_grad():
        whole = model(values, tokens, levels, fan_in, seed)
        part, levels, fan_in, cells = first_cells(7, tokens, levels, fan_in)
        some = model(values, part, levels, fan_in, seed, cells)
    expected = whole.gather(1, cells[..., None].expand(-1, -1, 16))
    assert torch.allclose(some, expected, atol=1e-5)
    assert (levels[:, 1:] >= levels[:, :-1]).all()


def test_a_run_shows_growths_of_every_length():
    config = GeneratorTraining(growths=[Growths(4, 10, 0.5), Growths(99, 2, 0.5)])
    grid = GridShape(1, 4, 4)
    drawn = [growth_of(config, grid, step) for step in range(40)]
    assert set(drawn) == {(4, 10), (16, 2)}
    assert samples_of(config, grid, 40) == sum(batch for _, batch in drawn)
    assert growth_of(GeneratorTraining(batch=3), grid, 0) == (16, 3)


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


def begun(grid: GridShape, other: GridShape, folder: Path) -> tuple[dict, dict]:
    """Weights written for a grid, and those of a model of another that begins with them."""
    before, model = random_model(embedded_config(grid)), fresh(embedded_config(other), None)
    save_file(before.state_dict(), folder / "generator.safetensors")
    start_from(model, folder)
    return before.state_dict(), model.state_dict()


def test_a_clip_model_begins_with_a_picture_model(tmp_path):
    """Time is new: every slice begins where the picture was, its heads with another's weights."""
    old, new = begun(GridShape(1, 2, 2), GridShape(3, 2, 2), tmp_path)
    added = {k for k in new if k not in old}
    assert {k.split(".")[2] for k in added} == {"after", "before"}
    for k in added:
        assert torch.equal(new[k], old[re.sub("after|before", "right", k)])
    name = "positions.axes.0"
    assert torch.equal(new[name], old[name].expand(3, -1))
    assert all(torch.equal(new[k], old[k]) for k in old if k != name)


def test_a_generator_begins_with_the_weights_of_another_grid(tmp_path):
    """Two more slices: positions in time are stretched, everything else is the same."""
    old, new = begun(GridShape(3, 2, 2), GridShape(5, 2, 2), tmp_path)
    name = "positions.axes.0"
    assert torch.equal(new[name][::2], old[name])
    assert torch.allclose(new[name][1], (old[name][0] + old[name][1]) / 2)
    assert all(torch.equal(new[k], old[k]) for k in old if k != name)
    with pytest.raises(ValueError, match="do not fit"):
        start_from(
            random_model(replace(embedded_config(GridShape(3, 2, 2)), ffn_width=48)), tmp_path
        )


def test_gradients_are_the_mean_of_all_processes(monkeypatch):
    params = [torch.nn.Parameter(torch.zeros(n)) for n in (2, 1, 3)]
    params[0].grad, params[2].grad = torch.tensor([2.0, 4.0]), torch.tensor([6.0, 8.0, 10.0])
    other = torch.tensor([0.0, 2.0, 0.0, 2.0, 0.0])
    monkeypatch.setattr(loop.dist, "all_reduce", lambda flat, op: flat.add_(other / 2))
    Run._average_gradients(SimpleNamespace(world=2), params)
    assert params[0].grad.tolist() == [1, 3]
    assert params[1].grad is None
    assert params[2].grad.tolist() == [3, 5, 5]


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
