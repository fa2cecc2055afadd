"""`python app.py` and `nar-studio`: what the command line offers, and no weights at import."""

from __future__ import annotations

import errno
import importlib
import io
import json
import logging
import os
import queue
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from gradio import routes

from app import command, serving
from app.pages.page import build, launch_options
from app.server import logins, logs, shelf
from app.server.engines import Engines
from nar_core import Engine, __version__
from nar_core.environment import SPINS
from tests.app.fake_engine import MODELS, FakeEngine
from tests.app.studios import fake_studio

ENTRY = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def entry(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("weights were loaded at import")

    monkeypatch.setattr(Engine, "load", refuse)
    importlib.reload(serving)
    return importlib.reload(command)


def test_the_file_and_the_command_are_one(entry, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["app.py", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ENTRY), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"NAR Studio {__version__}\n"


def test_a_server_whose_page_is_late_goes_on(monkeypatch):
    """Gradio asks for the page once it listens, and gives up after three seconds."""
    monkeypatch.setattr("gradio.networking.url_ok", lambda address: False)
    studio = fake_studio()
    page = build(studio)
    try:
        page.launch(prevent_thread_lock=True, quiet=True, **launch_options(studio))
        assert page.is_running
    finally:
        page.close()


def test_interrupted_before_it_serves_it_says_nothing(entry, monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "serve", interrupted)
    with pytest.raises(SystemExit) as ended:
        entry.main([])
    assert ended.value.code == 130
    assert capsys.readouterr().err == ""


def test_help_names_every_option(entry, capsys):
    with pytest.raises(SystemExit) as ended:
        entry.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--host", "--port", "--share", "--auth", "--model", "--device", "--mcp", "--queue-size",
        "--max-upload", "--max-pixels", "--sessions", "--keep-models", "--preload", "--per-session",
        "--together", "--auth-file", "--hash-password", "--allow-host", "--allow-origin",
        "--models", "--offline", "--drain", "--log", "--log-size", "--engine",
        "--replicas", "--fetch",
    ):  # fmt: skip
        assert option in text


ASKED = """
import sys
from app.command import main
for words in (['--version'], ['--help'], ['--port', '70000']):
    try:
        main(words)
    except SystemExit as ended:
        print(ended.code, 'gradio' in sys.modules)
"""


def test_what_is_imported_when_a_command_begins(tmp_path):
    """Gradio takes seconds; neither version nor help, nor a mistake, needs it. On a Space `spaces`
    has to see torch come; and torch's threads are told before how long they wait."""
    (tmp_path / "spaces.py").write_text("import sys\nprint('torch' in sys.modules)\n")
    told = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        cwd=ENTRY.parent,
        env={**told, "PYTHONPATH": str(tmp_path), "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, *said = done.stdout.splitlines()
    assert first == "False"
    assert said[0] == f"NAR Studio {__version__}"
    assert [line for line in said if line.endswith(("True", "False"))] == [
        "0 False", "0 False", "2 False",
    ]  # fmt: skip
    assert sys.platform != "linux" or f"GOMP_SPINCOUNT = '{SPINS}'" in done.stderr


def test_launch_gets_limits_and_leaves_the_address_to_the_environment(entry, monkeypatch):
    given = {}

    class Page:
        def launch(self, **options):
            given.update(options)

    made = []
    monkeypatch.setattr(serving, "build", lambda *args: made.append(args[0]) or Page())
    warmed = queue.Queue()
    monkeypatch.setattr(serving.Studio, "warm", lambda self, name: warmed.put((self, name)))
    trimmed = threading.Event()
    monkeypatch.setattr(serving, "TRIM_EVERY", 0.001)
    monkeypatch.setattr(serving, "trim_heap", trimmed.set)
    monkeypatch.setattr(serving, "share_heap", lambda: given.update(shared=not made))
    monkeypatch.setattr(serving.Ending, "wait", lambda ending: trimmed.wait(30))
    monkeypatch.setattr(serving, "leave", lambda page: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    options = ["--queue-size", "3", "--auth", "me:secret", "--max-upload", "2", "--max-pixels", "1"]
    entry.main(options)
    [studio] = made
    assert warmed.get(timeout=30) == (studio, "emoji")
    assert trimmed.is_set()
    assert given["shared"]  # before there is a page, and its threads
    assert studio.limits == serving.Limits(2_000_000, 1_000_000)
    assert studio.line.most == 3
    assert given["auth"] == ("me", "secret")
    assert given["max_file_size"] == 2_000_000
    assert given["state_session_capacity"] == 100
    assert given["server_name"] is None
    assert given["server_port"] is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--auth", "nobody"], "--auth: expected NAME:PASSWORD"),
        (["--auth", ":"], "--auth: expected NAME:PASSWORD, neither of them empty"),
        (["--models", ""], "--models: got nothing, expected a value; or leave it out"),
        (["--allow-host", ""], "--allow-host: got nothing, expected a value"),
        (["--replicas", "3"], "--replicas: got 3, expected none without --engine ray"),
        (["--auth", "a:b", "--auth-file", "x"], "expected one of them; leave one out"),
        (["--auth-file", "nowhere"], "nowhere cannot be read"),
        (["--port", "70000"], "--port: got 70000, expected 0 to 65535; choose another"),
        (["--queue-size", "0"], "--queue-size: got 0, expected a number from 1 up"),
        (["--drain", "nan"], "--drain: got nan, expected a number"),
        (["--log", "nowhere/log"], "cannot be written"),
        (["--allow-origin", "example.org"], "expected a site such as https://example.org"),
        (["--models", "emojy"], "model: got 'emojy', expected one of"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(entry, capsys, options, told):
    with pytest.raises(SystemExit) as ended:
        entry.main(options)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(entry, monkeypatch, capsys):
    class Page:
        def launch(self, **options):
            raise OSError("Cannot find empty port in range: 7860-7860.")

    monkeypatch.setattr(serving, "build", lambda *args: Page())
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    with pytest.raises(SystemExit):
        entry.main(["--port", "7860"])
    told = capsys.readouterr().err
    assert "--port: 7860 cannot be listened on" in told
    assert "end what uses it, or choose another" in told
    with pytest.raises(SystemExit):
        entry.main(["--host", "192.0.2.1", "--port", "7860"])
    assert "--host: got 192.0.2.1, expected an address of this machine" in capsys.readouterr().err


def test_a_hashed_password_opens_and_another_does_not(entry, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.stdin", io.StringIO("se:cret\n"))
    entry.main(["--hash-password", "me"])
    line = capsys.readouterr().out
    assert "se:cret" not in line
    file = tmp_path / "logins"
    file.write_text(f"# who may\n{line}")
    fits = logins.checker(file)
    assert fits("me", "se:cret")
    assert not fits("me", "secret")
    assert not fits("you", "se:cret")
    file.write_text("me:secret\n")
    with pytest.raises(ValueError, match=r"line 1 of .* is not NAME:scrypt:SALT:HASH"):
        logins.checker(file)


def test_models_are_limited_to_those_named_and_those_here(entry):
    engines = Engines(lambda name, **options: FakeEngine(name), lambda: list(MODELS))
    engines.configure("cpu", 1, only=["emoji", "far"])
    assert [m.name for m in engines.models()] == ["emoji", "far"]
    engines.configure("cpu", 1, only=["emoji", "far"], offline=True)
    assert [m.name for m in engines.models()] == ["emoji"]
    with pytest.raises(ValueError, match="expected one of emoji"):
        engines.get("far")
    with pytest.raises(ValueError, match="got no picture model that is on this machine"):
        engines.configure("cpu", 1, only=["far"], offline=True)


def test_logs_are_lines_of_json_and_do_not_grow_without_end(tmp_path):
    file = tmp_path / "log"
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.configure(False, file, 0.001)
        for number in range(40):
            logging.getLogger("app").warning("a growth\nof two lines %d", number)
        try:
            raise RuntimeError("odd")
        except RuntimeError:
            logging.getLogger("app").exception("failed")
        *_, last = [json.loads(line) for line in file.read_text().splitlines()]
    finally:
        for handler in root.handlers[:]:
            handler.close()
        logging.basicConfig(level=level, handlers=before, force=True)
    assert last["message"] == "failed"
    assert last["level"] == "error"
    assert "RuntimeError: odd" in last["traceback"]
    assert len(list(tmp_path.iterdir())) == 1 + logs.KEPT
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 6000


def test_files_are_kept_elsewhere_where_gradios_folder_cannot_be_written(
    monkeypatch, tmp_path, caplog
):
    """It may be of another user, or on a disk that is full or read-only."""
    monkeypatch.setattr(routes, "DEFAULT_TEMP_DIR", "x")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "new"))
    shelf.settle()
    assert shelf.Shelf().folder == tmp_path / "new"
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file" / "in"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shelf.settle()
    [other] = tmp_path.glob("nar-studio-*")
    assert shelf.Shelf().folder == other
    assert str(other) == routes.DEFAULT_TEMP_DIR
    assert "cannot be written (Not a directory)" in caplog.text
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file" / "in"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"GRADIO_TEMP_DIR: got .*, expected a folder to write"):
        shelf.settle()


def test_half_a_file_is_not_left_where_the_disk_is_full(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    kept = shelf.Shelf()

    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        kept.put(b"x", "nar.png")
    assert list(tmp_path.iterdir()) == []
    assert kept.files == set()


def test_what_is_kept_for_others_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(shelf, "MOST_BYTES", 100)
    kept = shelf.Shelf()
    paths = [kept.put(bytes(40), "nar.png") for _ in range(5)]
    assert [path.is_file() for path in paths] == [False] * 3 + [True] * 2
    assert kept.files == {str(path) for path in paths[3:]}
    assert kept.put(bytes(500), "nar.mp4").is_file()
    assert len(list(tmp_path.glob("*/*"))) == 1
