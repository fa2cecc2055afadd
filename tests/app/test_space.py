"""What a Hugging Face Space needs: front matter, a start without the hub, GPUs lent for a call."""

from __future__ import annotations

import importlib
import os
import pickle
import re
import subprocess
import sys
import time
import types
import urllib.request
from importlib.metadata import version
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from app.server import zero
from app.server.form import Form
from tests.app.studios import check, fake_studio, finish, free_port, grow

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture(scope="module")
def front_matter() -> dict:
    _, text, _ = README.split("---\n", 2)
    return OmegaConf.to_container(OmegaConf.create(text))


def test_front_matter_is_what_the_hub_accepts(front_matter):
    known = {
        "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version",
        "app_file", "license", "short_description", "models", "tags", "suggested_hardware",
        "preload_from_hub", "startup_duration_timeout", "thumbnail", "pinned", "fullWidth",
    }  # fmt: skip
    assert set(front_matter) <= known
    assert front_matter["sdk"] == "gradio"
    assert front_matter["sdk_version"] == version("gradio")
    assert {front_matter["colorFrom"], front_matter["colorTo"]} <= COLOURS
    assert isinstance(front_matter["python_version"], str)
    assert re.fullmatch(r"3\.\d+(\.\d+)?", front_matter["python_version"])
    assert (ROOT / front_matter["app_file"]).is_file()
    assert len(front_matter["short_description"]) <= 60
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", name) for name in front_matter["models"])


def test_requirements_pin_the_front_matters_gradio(front_matter):
    pins = (ROOT / "requirements.txt").read_text("utf-8")
    assert f"gradio=={front_matter['sdk_version']}\n" in pins


def test_the_upload_command_is_one_that_the_installed_hub_client_takes():
    found = re.search(r"^hf upload .*$", README, re.MULTILINE)
    assert found
    words = found[0].split()
    shown = subprocess.run(
        [Path(sys.executable).with_name("hf"), "upload", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    for word in words:
        if word.startswith("-"):
            assert word.split("=")[0] in shown.stdout
    # the weights must go with it, and nothing that is only made here
    excluded = [word.split("=", 1)[1].strip('"') for word in words if word.startswith("--exclude")]
    assert ".git/*" in excluded
    assert not any(Path("checkpoints/emoji/generator.safetensors").match(p) for p in excluded)


def test_the_page_starts_with_the_hub_unreachable(tmp_path):
    dead, port = "http://127.0.0.1:9", free_port()
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path),
        "GRADIO_SERVER_PORT": str(port),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), dead),
        "no_proxy": "127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    log = tmp_path / "log"
    with log.open("w") as output:
        running = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            page = answer(f"http://127.0.0.1:{port}/", running, log)
            health = answer(f"http://127.0.0.1:{port}/health", running, log)
        finally:
            running.terminate()
            code = running.wait(30)
    assert "NAR Studio" in page
    assert '"ready":true' in health
    assert code == 0, "SIGTERM is an ordinary end"


def answer(url: str, running: subprocess.Popen, log: Path, patience: float = 120.0) -> str:
    """The page at `url` as soon as there is one."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + patience
    while True:
        try:
            with direct.open(url, timeout=10) as reply:
                return reply.read().decode()
        except OSError:
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)


def test_elsewhere_nothing_is_wrapped(monkeypatch):
    monkeypatch.setattr(zero, "spaces", None)

    def grow() -> None: ...

    assert zero.on_gpu(grow, lambda: 1) is grow


def test_a_lent_gpu_gets_jobs_that_pickle_and_a_duration_of_the_plan(monkeypatch):
    """A stand-in for the real package: arguments and yields cross to another process by pickle."""
    asked = []

    def lend(task, duration):
        def wrapper(*args):
            args = pickle.loads(pickle.dumps(args))
            asked.append(duration(*args))
            for value in task(*args):
                yield pickle.loads(pickle.dumps(value))

        return wrapper

    monkeypatch.setattr(zero, "spaces", types.SimpleNamespace(GPU=lend))
    studio = fake_studio()
    done = finish(studio, Form("emoji", "owl"), {"seed_position": [0, 8, 8]})
    large = check(studio, Form("wide", "owl", num_samples=4), {"seed_position": [0, 0, 0]})
    assert list(grow(studio, large))
    resume = {"step": 9, "pictures": 1}
    resume |= {name: done[name] for name in ("tokens", "confidence")}
    branch = check(studio, Form("emoji", "fox"), {"seed_position": [0, 8, 8], "resume": resume})
    assert list(grow(studio, branch))
    first, more, less = asked
    assert 0 < less <= first < more <= 120


def test_the_first_model_is_loaded_early_only_on_such_a_space(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", types.SimpleNamespace(GPU=None))
    try:
        for value, shared in (("true", True), ("", False)):
            monkeypatch.setenv("SPACES_ZERO_GPU", value)
            assert importlib.reload(zero).SHARED is shared
    finally:
        monkeypatch.undo()
        importlib.reload(zero)
