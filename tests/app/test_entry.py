"""`python app.py` and `nar-studio`: what the command line offers, and no weights at import."""

from __future__ import annotations

import importlib
import queue
import runpy
from pathlib import Path

import pytest

from app import command
from nar_core import Engine, __version__

ENTRY = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def entry(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("weights were loaded at import")

    monkeypatch.setattr(Engine, "load", refuse)
    return importlib.reload(command)


def test_the_file_and_the_command_are_one(entry, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["app.py", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ENTRY), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"NAR Studio {__version__}\n"


def test_help_names_every_option(entry, capsys):
    with pytest.raises(SystemExit) as ended:
        entry.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--host", "--port", "--share", "--auth", "--model", "--device", "--mcp", "--queue-size",
        "--max-upload", "--max-pixels", "--sessions", "--keep-models", "--preload",
    ):  # fmt: skip
        assert option in text


def test_launch_gets_limits_and_leaves_the_address_to_the_environment(entry, monkeypatch):
    given = {}

    class Page:
        def launch(self, **options):
            given.update(options)

    made = []
    monkeypatch.setattr(entry, "build", lambda *args: made.append(args[0]) or Page())
    warmed = queue.Queue()
    monkeypatch.setattr(entry.Studio, "warm", lambda self, name: warmed.put((self, name)))
    options = ["--queue-size", "3", "--auth", "me:secret", "--max-upload", "2", "--max-pixels", "1"]
    entry.main(options)
    [studio] = made
    assert warmed.get(timeout=30) == (studio, "emoji")
    assert studio.limits == entry.Limits(2_000_000, 1_000_000)
    assert studio.line.most == 3
    assert given["auth"] == ("me", "secret")
    assert given["max_file_size"] == 2_000_000
    assert given["state_session_capacity"] == 100
    assert given["server_name"] is None
    assert given["server_port"] is None


def test_a_bad_login_is_refused(entry):
    with pytest.raises(SystemExit):
        entry.main(["--auth", "nobody"])
