"""What is refused leaves nothing behind, and costs nothing before; what breaks off, no half."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nar_core import cli
from nar_core.cli import main
from nar_core.train import generator, source, tokenizer
from nar_core.train.config import CONFIGS, load_config
from nar_core.train.data import need_apart
from nar_core.train.identity import held
from nar_core.writing import whole_folder

SMALL = ["model.width=32", "model.attention_heads=1", "model.ffn_width=32", "train.steps=1"]


@pytest.fixture
def pictures(tmp_path, monkeypatch) -> Path:
    """Two classes in the current folder, and nothing may be encoded or read of them."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / "pictures" / name / "0.png")
    for trainer in (generator, tokenizer):
        monkeypatch.setattr(trainer, "compiled", lambda *_, **__: pytest.fail("compiled before"))
    monkeypatch.setattr(source, "fill", lambda *_: pytest.fail("encoded before all was checked"))
    monkeypatch.setattr(
        tokenizer.Source, "_read", lambda *_: pytest.fail("read before all was checked")
    )
    return tmp_path


def left(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in (folder / "runs").rglob("*"))


@pytest.fixture
def leaves_nothing(pictures, monkeypatch, capsys):
    """A training of these words is refused with what is told, and no folder is made for it."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    def refused(words: list[str], told: str) -> None:
        assert main(["train", *words, "--device", "cpu"]) == 2
        assert told in capsys.readouterr().err
        assert not (pictures / "runs").exists()

    return refused


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("nonsense=1", "Key 'nonsense' not in"),
        ("source.folder=missing", "data folder: got missing"),
        ("source.label=kind", "got None as its kind"),
        ("source.hold_out=1.0", "of which none is trained on"),
        ("source.often.bird=2", "source.often: got ['bird']"),
        ("source.folder=???", "source.folder: got nothing, expected a value; say source.folder"),
        ("tokenizer=missing", "tokenizer: got 'missing'"),
        ("tokenizer=pictures", "tokenizer: got pictures, expected a tokenizer's folder"),
        ("init_from=missing", "init_from: got 'missing'"),
        ("init_from=pictures", "init_from: got pictures, expected the export of a run"),
        ("init_from=emoji", "do not fit (size mismatch for seed_query"),
        ("info.labels=[cat,dog,cat]", "info.labels: got cat more than once"),
        ("info.labels=[cat]", "info.labels: got 1 names without dog"),
        ("info.top_p=4", "info.top_p: got 4.0"),
        ("info.heads=temporal", "info.heads: got 'temporal'"),
        ("info.fps=-1", "info.fps: got -1, expected from 0 up"),
        ("model.width=33", "transformer: got width 33"),
        ("train.other_share=0.5", "train.other_share: got 0.5, expected 0"),
        ("train.tensorboard=true", "train.tensorboard: got true without its package"),
    ],
)
def test_a_refused_generator_leaves_nothing(leaves_nothing, change, told):
    words = ["generator", "small", "source.folder=pictures", "model.rotary=[0,8,8]", *SMALL]
    leaves_nothing([*words, "train.compile=true", change, "--out", "runs/deep/mine"], told)


def test_a_start_outside_of_a_smaller_grid_becomes_its_centre(pictures, monkeypatch, caplog):
    monkeypatch.undo()
    monkeypatch.chdir(pictures)
    said = ["source.folder=pictures", "model.rotary=[0,8,8]", "model.grid=[1,4,6]", *SMALL]
    config = load_config(CONFIGS / "small.yaml", said, "generator")
    trainer = generator.Trainer(config, pictures / "runs", torch.device("cpu"))
    assert trainer.config.info.default_seed_position == (0, 2, 3)
    assert "(0, 8, 8) is outside the grid (1, 4, 6); it becomes (0, 2, 3)" in caplog.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("sources=missing", "data folder: got missing"),
        ("sources=[{folder: pictures, hold_out: 1.0}]", "of which none is trained on"),
        ("init_from=pictures", "init_from: got pictures, expected the export of a run"),
        ("init_from=world-tokenizer", "do not fit ("),
        ("model.size=[30,30]", "size: got (30, 30), expected multiples of 8"),
        ("train.tensorboard=true", "train.tensorboard: got true without its package"),
    ],
)
def test_a_refused_tokenizer_leaves_nothing(leaves_nothing, change, told):
    words = ["tokenizer", "mini-tokenizer", "sources=pictures", "model.encoder_width=32"]
    leaves_nothing([*words, "model.decoder_width=32", change, "--out", "runs/mine"], told)


def ended(folder: Path, error: type[BaseException], *written: str) -> None:
    """A run that holds a folder writes files and ends."""
    with contextlib.suppress(error), held(folder):
        assert (folder / "lock").is_file()
        for name in written:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        raise error


def test_a_folder_that_was_there_is_as_it_was(tmp_path):
    """What lay in it stays, what a refused run wrote goes, and what a run has saved stays."""
    (tmp_path / "mine.txt").touch()
    ended(tmp_path, ValueError, "run.json", "below/tokens.npy")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    ended(tmp_path, ValueError, "tokens.npy", "last.pt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.pt", "mine.txt", "tokens.npy"]


def test_what_took_long_stays_after_a_signal(tmp_path):
    """And the mark of who trains there goes; a folder that holds nothing is none."""
    ended(tmp_path / "a" / "b", KeyboardInterrupt)
    assert not (tmp_path / "a").exists()
    ended(tmp_path / "a", KeyboardInterrupt, "tokens.npy")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["tokens.npy"]


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path):
    """Also over one that is there, of which the rest stays."""
    folder = tmp_path / "export"
    with whole_folder(folder) as part:
        (part / "below").mkdir()
        (part / "below" / "a").write_text("first")
    (folder / "own").touch()
    with contextlib.suppress(ZeroDivisionError), whole_folder(folder) as part:
        (part / "b").write_text("half")
        raise ZeroDivisionError
    assert (folder / "below" / "a").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["export"]
    assert sorted(p.name for p in folder.iterdir()) == ["below", "own"]


def test_no_export_is_left_half_written(pictures, monkeypatch, capsys):
    """A disk that is full is told in a line, and the run can be gone on with."""
    monkeypatch.undo()
    monkeypatch.chdir(pictures)

    def full(state, path):
        save_file(dict(list(state.items())[:1]), path)
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(generator, "save_file", full)
    monkeypatch.setattr("nar_core.train.stream.MEASURED", 2)
    words = ["train", "generator", "small", "source.folder=pictures", "model.rotary=[0,8,8]"]
    words += [*SMALL, "model.depth=1", "model.taps={+w: 1, -w: 1, +h: 1, -h: 1}", "train.batch=1"]
    words += ["source.variants=1", "source.hold_out=0", "--out", "runs/mine", "--device", "cpu"]
    assert main(words) == 2
    assert "No space left on device; make room on the disk" in capsys.readouterr().err
    assert "last.pt" in [p.name for p in (pictures / "runs" / "mine").iterdir()]
    assert not [name for name in left(pictures) if "export" in name or "generator" in name]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "a/b: No space left on device; make room"),
        (errno.EACCES, "a/b: Permission denied; name another one"),
        (errno.EIO, "a/b: Input/output error; check that it is there"),
    ],
)
def test_what_the_system_refuses_is_told_in_a_line(monkeypatch, capsys, number, told):
    def run(args):
        raise OSError(number, os.strerror(number), "a/b")

    args = cli.parse(["list"])
    args.run = run
    monkeypatch.setattr(cli, "parse", lambda _: args)
    assert main([]) == 2
    assert told in capsys.readouterr().err


def test_what_is_left_out_is_told_once(pictures, monkeypatch, caplog):
    (pictures / "pictures" / "cat" / "notes.txt").touch()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    words = ["source.folder=pictures", "train.tensorboard=true", "--out", "runs/a"]
    assert main(["train", "generator", "small", *words, "--device", "cpu"]) == 2
    assert caplog.text.count("notes.txt") == 1


def test_a_model_without_a_record_of_pictures_is_refused_before_it_is_measured(
    pictures, monkeypatch, capsys
):
    monkeypatch.setattr(cli.evaluate, "measure", lambda *_: pytest.fail("measured before"))
    assert main(["evaluate", "--data", "pictures", "--recall", "1", "--device", "cpu"]) == 2
    assert "expected a model with a training record" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "generator", "small", "source.folder=pictures", "--out", "pictures/run"],
        ["train", "tokenizer", "mini-tokenizer", "sources=./pictures/", "--out", "pictures"],
        ["train", "generator", "nar-b", "init_from=NAR-B", "data=pictures", "--out", "pictures/a"],
        ["evaluate", "--data", "pictures", "--recall", "1", "--sheet", "pictures/sheet.png"],
        ["evaluate", "--table", "1", "--reference", "pictures", "--out", "pictures/table"],
    ],
)
def test_nothing_is_written_among_the_pictures_that_are_read(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    assert main(words) == 2
    assert "which is among the pictures in pictures, expected a place" in capsys.readouterr().err
    assert list((tmp_path / "pictures").iterdir()) == []


def test_beside_an_index_a_run_is_no_picture(tmp_path):
    (tmp_path / "index.jsonl").touch()
    need_apart(tmp_path / "run", tmp_path, "--out")
    with pytest.raises(ValueError, match="among the pictures"):
        need_apart(tmp_path, tmp_path / "run" / "..", "--out")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["generator", "small", "source.folder=", "--out", "a"], "source.folder: got nothing"),
        (["generator", "nar-b", "data=", "--out", "a"], "nar-b.yaml, data: got nothing, expected"),
        (["tokenizer", "mini-tokenizer", "sources=", "--out", "a"], "sources: got nothing"),
        (["generator", "emoji", "--out", ""], "--out: got nothing, expected a run folder"),
    ],
)
def test_nothing_is_not_the_current_folder(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate", "--world", "-3"], "--world: got -3, expected a whole number from 0"),
        (["evaluate", "--table", "1", "--samples", "0", "--out", "x"], "--samples: got 0"),
        (["worlds", "judge", "landscape", "--count", "1"], "--count: got 1, expected a whole"),
        (["evaluate", "--seed-map", "x.json", "--every", "0"], "--every: got 0"),
        (["evaluate", "--world", "4", "--picture", "x.png"], "got x.png without --seed-map"),
        (["evaluate", "--sheet", "x.png", "--part", "all", "--limit", "3"], "without --data"),
        (["evaluate", "--world", "4", "--count", "3"], "without --seed-map, --sheet"),
        (["evaluate", "--table", "2", "--out", "x", "--recall", "3"], "without --data"),
        (
            ["evaluate", "--world", "4", "--seed-position", "corner", "--seed-map", "x.json"],
            "--seed-map: got several configurations too",
        ),
        (
            ["evaluate", "--world", "4", "--heads", "mixed", "vertical", "--every", "4"],
            "--every: got several configurations too",
        ),
        (
            ["evaluate", "--ablations", "x", "--world", "4", "--sheet", "x.png"],
            "--sheet: got x.png with --ablations",
        ),
        (
            ["evaluate", "--ablations", "x", "--world", "4", "--top-k", "3"],
            "--top-k: got 3 with --ablations",
        ),
        (["bench", "--suite", "cpu", "--batch", "4"], "--batch: got 4 with a suite"),
        (["bench", "--suite", "cpu", "--guidance", "4"], "--guidance-scale: got 4.0 with a suite"),
        (["bench", "--suite", "cpu", "--no-baseline"], "--no-baseline: got True with a suite"),
        (["bench", "--minutes", "3"], "--minutes: got 3.0 without a suite"),
        (["evaluate", "--world", "4", "--sheet", "x"], "--sheet: got x, expected a name that ends"),
        (["worlds", "sheet", "emoji", "--out", "x.txt"], "--out: got x.txt, expected a name"),
        (["bench", "--suite", "cpu", "--picture", "x"], "--picture: got x, expected a name"),
        (["bench", "--minutes", "nan"], "--minutes: got nan"),
        (["bench", "--threads", "0"], "--threads: got 0, expected a whole number"),
        (["train", "generator", "small", "--out", "x", "--threads", "-1"], "--threads: got -1"),
    ],
)
def test_numbers_and_names_are_checked_first(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nar_core.Engine.load", lambda *_, **__: pytest.fail("loaded before"))
    assert main(words) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
