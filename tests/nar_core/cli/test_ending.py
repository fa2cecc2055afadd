"""Signals end a verb cleanly, and nothing half-written stays."""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nar_core import cli
from nar_core.__main__ import main as run
from nar_core.writing import free_path, whole_file

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", sorted(cli.VERBS))
def test_a_signal_unwinds_every_verb(tmp_path, monkeypatch, verb, number):
    before = [signal.getsignal(n) for n in cli.ENDING]

    def run(args):
        with whole_file(tmp_path / "a.png") as part:
            part.write_bytes(b"half")
            signal.raise_signal(number)
            time.sleep(5)

    monkeypatch.setattr(cli, "parse", lambda _: argparse.Namespace(run=run, verb=verb, verbose=0))
    assert cli.main([]) == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert [signal.getsignal(n) for n in cli.ENDING] == before


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as part:
        part.write_text("first")
    with pytest.raises(ZeroDivisionError), whole_file(path) as part:
        part.write_bytes(b"half" * (1 // part.write_text("")))
    assert [p.read_text() for p in tmp_path.iterdir()] == ["first"]


def test_a_free_path_is_one_writers_alone(tmp_path):
    endings = (".mp4", ".png")
    with free_path(tmp_path, "a", endings) as first, free_path(tmp_path, "a", endings) as second:
        assert (first, second) == (tmp_path / "a", tmp_path / "a-2")
        with whole_file(tmp_path / "a.mp4") as part:
            part.write_text("whole")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.mp4", "whole")]
    with pytest.raises(KeyboardInterrupt), free_path(tmp_path, "b", endings):
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_a_growth_ends_soon_after_the_signal(tmp_path):
    command = [sys.executable, "-m", "nar_core", "generate", "--prompt", "red apple"]
    command += ["--num-samples", "4", "--out", str(tmp_path / "out"), "--device", "cpu"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as growth:
        assert growth.stderr is not None
        said = ""
        while "growing" not in said:
            letter = growth.stderr.read(1)
            assert letter, said
            said += letter
        growth.send_signal(signal.SIGTERM)
        started = time.monotonic()
        rest = growth.stderr.read()
        assert growth.wait(60) == 128 + signal.SIGTERM
        assert time.monotonic() - started < 30  # also on a machine that is busy
    assert "Traceback" not in rest
    assert "terminate" not in rest
    assert not (tmp_path / "out").exists()


def ended(*words: str, **streams) -> tuple[int, str]:
    """The exit code of a command, and what it says to standard error."""
    told = subprocess.run(
        [sys.executable, "-m", "nar_core", *words], cwd=ROOT, stderr=subprocess.PIPE, **streams
    )
    return told.returncode, told.stderr.decode()


def test_where_nobody_listens_nothing_breaks():
    there, here = os.pipe()
    os.close(there)
    assert ended("list", stdout=here) == (0, "")
    os.close(here)
    with open("/dev/full", "w") as full:
        code, said = ended("list", stdout=full)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("standard output: No space left on device; make room")


def test_streams_may_be_closed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["nar_core", "list"])
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 0


def test_any_name_of_a_file_can_be_told(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "argv", ["nar_core", "list"])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(cli.models, "run", lambda args: {"files": "a\udcff\u00e9.png"})
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 0
    assert out.buffer.getvalue() == b"files: a\\udcff\\xe9.png\n"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_too_little_memory_is_told_in_one_line(monkeypatch, capsys, error):
    def too_large(_) -> dict:
        raise error

    monkeypatch.setattr(cli.models, "run", too_large)
    assert cli.main(["list"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("memory: got less than is needed")
