"""Signals end a verb cleanly, and nothing half-written stays."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nar_core import cli
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
