"""From a folder of pictures to a model: the page of it word for word, and what is refused."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.command import parser
from app.server.engines import Engines
from nar_core import Engine, Request, list_models
from nar_core.cli import main, parse
from nar_core.train import graph, loop
from nar_core.train.config import CONFIGS, LoopConfig, load_config
from nar_core.train.data import DataFolder
from nar_core.train.identity import claim, held
from nar_core.train.loop import Run

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "nar_core" / "train" / "README.md").read_text("utf-8")
# What the page's commands are shrunk by, so that a test can run them as they stand.
SHRUNK = {
    "generator": "train.steps=1 model.width=32 model.attention_heads=1 model.ffn_width=32 "
    "model.rotary=[0,8,8] train.compile=false train.bf16=false train.own_share=0 "
    "source.variants=1",
    "tokenizer": "train.steps=1 train.batch=1 model.encoder_width=32 model.decoder_width=32 "
    "model.encoder_depth=1 model.decoder_depth=1 train.compile=false train.bf16=false",
}
BATCH = {
    "captions": "train.growths=[{cells: 9, batch: 2, share: 1}]",
    "small-clips": "train.batch=1",
}


def colour(shade: int, size: tuple[int, int] = (40, 32)) -> Image.Image:
    return Image.new("RGB", size, (shade, 255 - shade, 90))


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Path:
    """`pictures`, `captioned` and `clips`, as the page describes them, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("pictures/cat", "pictures/dog", "captioned", "clips"):
        (tmp_path / name).mkdir(parents=True)
    for i in range(3):
        colour(40 * i).save(tmp_path / "pictures" / "cat" / f"{i}.jpg")
        colour(255 - 40 * i).save(tmp_path / "pictures" / "dog" / f"{i}.png")
        colour(60 * i).save(tmp_path / "captioned" / f"{i}.jpg")
    said = [{"file_name": f"{i}.jpg", "text": "a red apple"} for i in range(3)]
    (tmp_path / "captioned" / "metadata.jsonl").write_text("\n".join(map(json.dumps, said)))
    colour(90, (64, 32)).save(tmp_path / "clips" / "walk-1.png")
    said = {"file": "walk-1.png", "frames": 8, "label": "walk"}
    (tmp_path / "clips" / "index.jsonl").write_text(json.dumps(said))
    return tmp_path


def test_the_page_works_word_for_word(folders, capsys):
    lines = re.findall(r"^(python .*)$", PAGE, re.MULTILINE)
    # Published weights are not here; test_official trains with the same settings.
    fine = [shlex.split(line)[3:] for line in lines if "runs/fine" in line]
    lines = [line for line in lines if "runs/fine" not in line]
    assert [len(lines), len(fine)] == [9, 4]
    for args, begun in zip(map(parse, fine[::2]), ("NAR-B", "NAR-XL-t2i-256"), strict=True):
        config = load_config(CONFIGS / f"{args.config}.yaml", args.changes, "generator")
        assert (config.init_from, config.any_seed) == (begun, True)
        assert config.own_classes == (begun == "NAR-B")
    assert [parse(words).model for words in fine[1::2]] == [
        "runs/fine/export",
        "runs/fine-words/export",
    ]
    for line in lines:
        words = shlex.split(line)
        if words[1] == "app.py":
            engines = Engines(Engine.load, list_models)
            name = engines.include(parser().parse_args(words[2:]).model)
            assert name == "mine"
            assert engines.get(name).info.title == "mine"
            continue
        assert words[1:3] == ["-m", "nar_core"]
        more = ["--device", "cpu"]
        if words[3] == "train":
            more += SHRUNK[words[4]].split()
            more += [BATCH[words[5]]] if words[5] in BATCH else []
        assert main([*words[3:], *more]) == 0, (line, capsys.readouterr().err)
    files = sorted(p.name for p in (folders / "outputs").iterdir())
    assert files == ["mine-0.png", "moving-0.mp4", "words-0.png"]


def small(folders: Path, *changes: str, out: str = "run") -> int:
    """Train the small configuration, shrunk, on `pictures`."""
    words = ["train", "generator", "small", "source.folder=pictures", *SHRUNK["generator"].split()]
    return main([*words, *changes, "--out", str(folders / out), "--device", "cpu"])


def test_a_model_of_ones_own_is_ones_own(folders):
    """Its name is the run's, its labels the folders', wherever it lies; nothing is another's."""
    assert small(folders, "info.licence=CC0", out="runs/mine") == 0
    shutil.move(folders / "runs" / "mine", folders / "kept")
    engine = Engine.load(folders / "kept" / "export", "cpu", "float32")
    assert (engine.info.name, engine.info.title) == ("kept", "mine")
    assert (engine.info.labels, engine.info.licence) == (("cat", "dog"), "CC0")
    assert "pictures" in engine.info.trained_on
    frame = engine.generate_all(Request(label="dog"))
    assert engine.decode(frame.tokens).shape == (1, 1, 128, 128, 3)
    card = (folders / "kept" / "export" / "README.md").read_text("utf-8")
    assert "license: cc0-1.0" in card
    assert "cat, dog" in card


def test_what_a_configuration_says_of_its_model_is_not_said_of_another():
    config = load_config(
        CONFIGS / "fruit.yaml", ["source.folder=mine", "info.note=Mine."], "generator"
    )
    told = config.info
    assert (told.title, told.labels, told.licence, told.trained_on) == (None,) * 4
    assert told.note == "Mine."
    config = load_config(CONFIGS / "fruit.yaml", [], "generator")
    assert config.info.title == "Fruit photos"


@pytest.mark.parametrize("name", ["#1", "a: b", "~", "007", "1e3", "${x}", "yes"])
def test_paths_are_literal(name):
    config = load_config(CONFIGS / "small.yaml", [f"source.folder={name}"], "generator")
    assert config.source.folder == name
    config = load_config(CONFIGS / "mini-tokenizer.yaml", [f"sources={name}"], "tokenizer")
    assert [s.folder for s in config.sources] == [name]
    config = load_config(CONFIGS / "emoji.yaml", ["init_from=null"], "generator")
    assert config.init_from is None


def test_labels_that_are_not_known_are_refused(folders, capsys):
    assert small(folders, "info.labels=[cat]", "model.condition.classes=1") == 2
    assert "info.labels: got 1 names without dog" in capsys.readouterr().err
    assert small(folders, "info.labels=[cat,dog]", "model.condition.classes=3") == 2
    assert "model.condition.classes: got 3, expected 2" in capsys.readouterr().err
    assert small(folders, "info.labels=[bird,cat]") == 2  # as many as are named
    assert "info.labels: got 2 names without dog" in capsys.readouterr().err


def test_folders_name_classes(folders):
    records = DataFolder.open(folders / "pictures").records
    assert [r["label"] for r in records] == ["cat"] * 3 + ["dog"] * 3
    assert records[3]["file"] == "dog/0.png"
    alone = DataFolder.open(folders / "pictures" / "dog").records
    assert {r["label"] for r in alone} == {"dog"}
    (folders / "pictures" / "dog" / "metadata.jsonl").touch()
    with pytest.raises(ValueError, match="as there is in dog"):
        DataFolder.open(folders / "pictures")
    (folders / "pictures" / "dog" / "metadata.jsonl").unlink()
    colour(3).save(folders / "pictures" / "stray.png")
    with pytest.raises(ValueError, match="1 pictures beside folders of pictures"):
        DataFolder.open(folders / "pictures")


def test_a_run_goes_on_with_what_it_has_begun_with_only(folders, capsys):
    assert small(folders) == 0
    assert small(folders, "train.steps=2", "train.eval_every=2") == 0
    for change, named in (("train.batch=7", "train"), ("source.flip=0.25", "source"),
                          ("model.ffn_width=64", "model")):  # fmt: skip
        assert small(folders, "train.steps=3", change) == 2
        assert f"begun with other values of {named}, expected" in capsys.readouterr().err
    # As many pictures as before, but others; and then another tokenizer.
    kept = (folders / "pictures" / "cat" / "0.jpg").read_bytes()
    colour(200).save(folders / "pictures" / "cat" / "0.jpg")
    assert small(folders, "train.steps=3") == 2
    assert "other values of pictures, expected" in capsys.readouterr().err
    (folders / "pictures" / "cat" / "0.jpg").write_bytes(kept)
    other = shutil.copytree(ROOT / "checkpoints" / "world-tokenizer", folders / "other")
    with open(other / "config.yaml", "a") as file:
        file.write("# changed\n")
    assert small(folders, "train.steps=3", f"tokenizer={other}") == 2
    assert "other values of tokenizer, expected" in capsys.readouterr().err
    # Without anything to go on from, others are encoded anew.
    before = np.load(folders / "run" / "tokens.npy")
    (folders / "run" / "last.pt").unlink()
    colour(200).save(folders / "pictures" / "cat" / "0.jpg")
    assert small(folders) == 0
    assert (np.load(folders / "run" / "tokens.npy") != before).any()


def test_a_run_of_before_goes_on(tmp_path):
    (tmp_path / "last.pt").touch()
    assert claim(tmp_path, {"pictures": "a"})
    with pytest.raises(ValueError, match="other values of pictures"):
        claim(tmp_path, {"pictures": "b"})
    (tmp_path / "last.pt").unlink()
    assert not claim(tmp_path, {"pictures": "b"})


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    """A lock of a file is of who has opened it, whichever process that is."""
    with (
        held(tmp_path),
        pytest.raises(ValueError, match="another process trains in"),
        held(tmp_path),
    ):
        pass
    with held(tmp_path):
        pass


class Line(torch.nn.Module):
    """The least that can be trained."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))


def line_run(folder: Path, **changes) -> tuple[Run, Line]:
    config = LoopConfig(steps=9, warmup=1, anneal=0.1, adamw_lr=0.1, ema=0.9,
                        save_minutes=60, eval_every=3, **changes)  # fmt: skip
    model = Line()
    return Run(model, config, folder, torch.device("cpu")), model


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_a_run_saves_first(tmp_path, number):
    run, model = line_run(tmp_path)
    handler = signal.getsignal(number)

    def loss_of(index: int) -> torch.Tensor:
        if run.step == 4:
            os.kill(os.getpid(), number)
        return model.weight.square().sum()

    with pytest.raises(KeyboardInterrupt) as ended:
        run.fit(loss_of)
    assert ended.value.args == (number,)  # the command line ends with 128 and this
    assert signal.getsignal(number) is handler
    again, _ = line_run(tmp_path)
    assert again.step == 5
    assert torch.equal(again.model.weight, model.weight)


def test_the_average_keeps_what_its_decay_says(tmp_path):
    run, model = line_run(tmp_path)
    expected, decays = model.weight.detach().clone(), []
    step = run.optimizers[0].step

    def spied(*args, **kwargs):
        out = step(*args, **kwargs)
        decays.append(min(0.9, (run.step + 1) / (run.step + 11)))
        expected.mul_(decays[-1]).add_(model.weight.detach(), alpha=1 - decays[-1])
        return out

    run.optimizers[0].step = spied
    run.fit(lambda _: model.weight.square().sum())
    torch.testing.assert_close(run.ema["weight"], expected)
    assert decays[0] < decays[-1] < 0.9
    assert float((run.ema["weight"] - model.weight).abs().min()) > 0.05


def test_asked_twice_it_ends_at_once():
    interruption = loop.Interruption()
    with interruption.watched():
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked
        with pytest.raises(KeyboardInterrupt) as ended:
            signal.raise_signal(signal.SIGTERM)
    assert ended.value.args == (signal.SIGTERM,)


def test_what_is_logged_is_for_tensorboard_too(tmp_path, monkeypatch):
    told = []

    class Writer:
        def __init__(self, folder, purge_step):
            told.append((Path(folder).name, purge_step))

        def add_scalar(self, name, value, step):
            told.append((name, step))

        def flush(self):
            pass

    module = type(sys)("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    run, model = line_run(tmp_path, tensorboard=True)
    run.fit(lambda _: model.weight.square().sum(), lambda: {"loss_any": 2.0})
    assert told[0] == ("tensorboard", 1)
    assert [(n, s) for n, s in told if n == "loss_any"] == [("loss_any", s) for s in (3, 6, 9)]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match="pip install tensorboard"):
        line_run(tmp_path / "other", tensorboard=True)


def test_without_a_compiler_training_goes_on_and_says_so(monkeypatch, caplog):
    model = torch.nn.Linear(2, 2)
    made = []

    def no_compiler(function, **options):
        def call(*args):
            raise RuntimeError("no C++ compiler\nand much more")

        return call

    monkeypatch.setattr(torch, "compile", no_compiler)
    with caplog.at_level(logging.INFO):
        assert graph.compiled(model, torch.device("cpu")) is model
    assert "(no C++ compiler): training goes on uncompiled" in caplog.text
    monkeypatch.setattr(torch, "compile", lambda f, **options: made.append((f, options)) or f)
    assert graph.compiled(model, torch.device("cpu"), dynamic=False) is model
    assert made[-1] == (model, {"dynamic": False})
    monkeypatch.setattr(graph, "SLOW", -1.0)
    made.clear()
    graph.compiled(model, torch.device("cpu"))
    assert [f for f, _ in made] == [graph._trifle]
