"""Heads, fusion and seed position compared: Table 5 as a command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core import Engine
from nar_core.cli import main
from nar_core.measure import configurations
from nar_core.measure.configurations import Shown, compare, likelihood
from nar_core.measure.growing import Grower
from nar_core.measure.judge import Verdict, interval
from nar_core.train.losses import plan_losses

from ..helpers import write_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("models"), kind="class", size=(32, 32))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for label in ("class 0", "class 3"):
        (root / label).mkdir()
        for i in range(6):
            pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(root / label / f"{i}.png")
    return root


def test_the_likelihood_of_mixed_heads_is_that_of_training(folder):
    engine = Engine.load(folder, device="cpu", dtype="float32")
    rng = np.random.default_rng(0)
    tokens = torch.from_numpy(rng.integers(0, 16, (11, engine.info.grid.cells)))
    values = torch.tensor([0, 1, 2, 3, 4, -1, 0, 1, 2, 3, 4])
    shown = Shown(values, tokens)
    expected = plan_losses(engine.model, values, tokens)["loss_corner"]
    corner = [(0, 0, 0)] * 2
    found = likelihood(engine, shown, corner, heads="mixed", fusion="logits")
    assert found == pytest.approx(expected, rel=1e-5)
    others = {
        (heads, fusion): likelihood(engine, shown, corner, heads=heads, fusion=fusion)
        for heads, fusion in (
            ("horizontal", "logits"),
            ("vertical", "logits"),
            ("mixed", "probabilities"),
            ("mixed", "confident"),
        )
    }
    assert len({round(x, 6) for x in [*others.values(), found]}) == 5


def test_pictures_are_seen_in_the_shape_of_the_model(data, tmp_path, capsys):
    """Square pictures by a model whose grid is not square: the middle of them."""
    wide = write_model_folder(tmp_path, kind="class", size=(16, 32))
    words = ["evaluate", "--model", str(wide), "--data", str(data), "--json", "--device", "cpu"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    engine = Engine.load(wide, device="cpu", dtype="float32")
    files = sorted(data.glob("*/*.png"))
    middle = np.stack([_middle(Image.open(file)) for file in files])
    tokens = engine.encode(middle[:, None])
    left = engine.decode(tokens)[:, 0].astype(float) / 255 - middle / 255.0
    assert found["psnr"] == pytest.approx(-10 * np.log10((left**2).mean()), abs=0.05)
    values = torch.tensor([int(file.parent.name[-1]) for file in files])
    losses = plan_losses(engine.model, values, torch.from_numpy(tokens).flatten(1))
    assert found["loss_corner"] == pytest.approx(losses["loss_corner"], abs=1e-3)


def _middle(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.resize((32, 16), Image.Resampling.BICUBIC, (0, 10, 40, 30)))


def test_every_configuration_is_told(folder, data, capsys):
    words = ["evaluate", "--model", str(folder), "--data", str(data), "--heads", "mixed"]
    words += ["horizontal", "--fusion", "logits", "confident", "--seed-position", "corner", "any"]
    assert main([*words, "--json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["configurations"]
    assert len(found) == 8
    assert len({(f["heads"], f["fusion"], f["seed_position"]) for f in found}) == 8
    assert all(f["loss"] > 0 for f in found)
    assert len({f["loss"] for f in found}) > 4
    assert main([*words[:5], "--seed-position", "1,2", "--device", "cpu"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[-2].split() == ["heads", "fusion", "seed_position", "steps", "loss"]
    assert table[-1].split()[:3] == ["mixed", "logits", "1,2"]


class Asked:
    """A world's exam that knows right from wrong by the prompt."""

    categories = ("all",)

    def ask(self, category, held_out, rng):
        return int(rng.integers(4))

    def judge(self, facts, growths):
        return [
            Verdict("" if growth[0, 0, 0, 0] == facts else "object", 0.25) for growth in growths
        ]


def test_rightness_meets_the_same_prompts_and_seeds(folder, data, monkeypatch):
    engine = Engine.load(folder, device="cpu", dtype="float32")
    asked = []

    class World:
        def say(self, facts, rng):
            return str(facts)

    def grow(self, names, seed_position=None, number=0):
        told = (self.rng_seed, tuple(names), seed_position, number)
        asked.append((self.settings["heads"], told))
        right = self.settings["heads"] == "mixed" and self.rng_seed != 2
        return np.stack([np.full((1, 8, 8, 3), int(n) if right else 9, np.uint8) for n in names])

    monkeypatch.setattr(configurations, "exam_of", lambda _: Asked())
    monkeypatch.setattr(configurations, "WORLDS", {"": World})
    monkeypatch.setattr(Grower, "grow", grow)
    folder_of = configurations.DataFolder.open(data)
    found = compare(Grower(engine), ["mixed", "vertical"], ["logits"], ["any"], folder_of, 11)
    assert [f["right"] for f in found] == [1, 0]
    assert found[0]["low"] < 1 == found[0]["high"]
    assert found[0]["damage"] == 0.25
    mixed, vertical = ([told for heads, told in asked if heads == h] for h in ("mixed", "vertical"))
    assert mixed == vertical
    assert [len(names) for _, names, *_ in mixed] == [8, 3]
    assert mixed[0][2] != mixed[1][2]
    asked.clear()
    once = found[0]
    again = compare(Grower(engine), ["mixed"], ["logits"], ["any"], folder_of, 11, 3)
    assert [told[:1] + told[3:] for _, told in asked] == [
        (rng_seed, number) for rng_seed in range(3) for number in (0, 8)
    ]
    assert [told for _, told in asked[:2]] == mixed
    assert len({told[1] for _, told in asked[::2]}) == 3  # prompts of its own
    assert again[0]["right"] == round(22 / 33, 4)
    assert again[0]["loss"] == once["loss"]
    low, high = interval(22, 33)
    assert (again[0]["low"], again[0]["high"]) == (round(low, 4), round(high, 4))


def test_a_comparison_is_written_with_its_command(folder, data, tmp_path, capsys):
    file = tmp_path / "heads.json"
    words = ["evaluate", "--model", str(folder), "--data", str(data), "--heads", "vertical"]
    words += ["mixed", "--rng-seed", "4", "--temperature", "0.9", "--figures", str(file)]
    words[-2:-2] = ["--device", "cpu"]
    assert main([*words, "--json"]) == 0
    shown, told = json.loads(file.read_text()), json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [c["heads"] for c in shown["configurations"]] == ["vertical", "mixed"]
    assert {k: told[k] for k in shown if k != "command"} == {
        k: v for k, v in shown.items() if k != "command"
    }
    assert shown["rng_seeds"] == [4]
    command = shown["command"].split()
    assert command[:3] == ["python", "-m", "nar_core"]
    assert command[-2:] == ["--figures", "heads.json"]
    assert sorted(command[3:-1]) == sorted(words[:-1])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--heads", "mixed", "horizontal"], "neither --world nor --data"),
        (["--heads", "temporal", "mixed", "--data", "{data}"], "heads: got 'temporal'"),
        (["--heads", "mixed", "up", "--data", "{data}"], "heads: got 'up'"),
        (["--seed-position", "9,9", "--data", "{data}"], "--seed-position: got"),
        (["--seed-position", "middle", "--data", "{data}"], "expected corner, centre, any"),
        (["--seed-position", "any", "--data", "{data}", "--sheet", "x.png"], "--sheet: got"),
        (["--seed-position", "any", "--world", "8"], "expected the model of a world"),
        (["--seed-position", "any", "--data", "{data}", "--rng-seeds", "2"], "--rng-seeds: got 2"),
        (["--seed-position", "any", "--data", "{data}", "--rng-seeds", "0"], "--rng-seeds: got 0"),
        (["--data", "{data}", "--rng-seeds", "3"], "got 3 and one configuration"),
        (["--world", "4", "--rng-seed", str(2**63 - 18)], f"--rng-seed: got {2**63 - 18}, expect"),
        (["--world", "4", "--rng-seed", "-1"], "--rng-seed: got -1, expected 0 to"),
        (["--world", "4", "--rng-seeds", str(10**7)], "--rng-seeds: got 10000000, expected a w"),
        (["--data", "{data}", "--figures", "x.json"], "got x.json and one configuration"),
    ],
)
def test_mistakes_are_told(folder, data, capsys, words, told):
    words = [w.format(data=data) for w in words]
    assert main(["evaluate", "--model", str(folder), *words, "--device", "cpu"]) == 2
    assert told in capsys.readouterr().err
