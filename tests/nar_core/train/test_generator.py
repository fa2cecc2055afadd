"""Generators trained by the shipped configurations, shrunk, on a few generated pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nar_core import Engine, Request
from nar_core.settings import SamplingSettings
from nar_core.train import generator, loop, plans
from nar_core.train.data import DataFolder
from nar_core.train.loop import Run

from .small import COLOURS, loaded, rows_of, train_generator


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
    assert str(data) not in (run / "export" / "record.yaml").read_text()
    weights = tokenizer / "classes" / "generator.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    with pytest.raises(ValueError, match="got bytes of sha256"):
        Engine.load(tokenizer / "classes")


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

    monkeypatch.setattr(loop, "SPARED", 0.0)
    monkeypatch.setattr(Run, "save", save_and_stop)
    train_generator(data, tokenizer, tmp_path / "parts", "fruit", *settings, code=130)
    monkeypatch.setattr(Run, "save", save)
    parts = train_generator(data, tokenizer, tmp_path / "parts", "fruit", *settings)
    states = [torch.load(run / "last.pt", weights_only=True) for run in (whole, parts)]
    for name in ("model", "ema"):
        for key, value in states[0][name].items():
            assert torch.equal(value, states[1][name][key]), key
    assert states[0]["step"] == states[1]["step"] == 8


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
    told["own"].clear()
    few = "train.own_share=1", "train.own_right=0.1", "train.steps=1"
    train_generator(data, tokenizer, tmp_path / "few", "fruit", *settings, *few)
    assert [(args[4], args[7]) for args in told["own"]] == [(6, 1)]


def test_compiled_graphs_train_the_same(data, tokenizer, tmp_path, compiled):
    settings = [
        "model.condition.classes=3", f"info.labels=[{','.join(COLOURS)}]", "train.steps=2",
        f"source.folder={data / 'zipped'}", "train.growths=[{cells: 9, batch: 4, share: 1}]",
    ]  # fmt: skip
    plain = train_generator(data, tokenizer, tmp_path / "plain", "fruit", *settings)
    assert not compiled
    settings.append("train.compile=true")
    graphs = train_generator(data, tokenizer, tmp_path / "graphs", "fruit", *settings)
    assert len(compiled) == 1
    assert rows_of(graphs)[-1]["loss"] == pytest.approx(rows_of(plain)[-1]["loss"], abs=1e-4)
