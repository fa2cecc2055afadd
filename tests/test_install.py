"""What `pip install .` puts somewhere else works there, from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nar_core import __version__
from tests.test_readme import requirements

ROOT = Path(__file__).parents[1]
LOOK = """
import json
from importlib.metadata import entry_points, metadata, requires
import app, nar_core
from app.presets import presets
from nar_core.cli.train import config_names
from nar_core.weights.fetch import fetched_folder
engine = nar_core.Engine.load("emoji", dtype="float32")
print(json.dumps({
    "lies": [app.__path__[0], nar_core.__file__],
    "version": metadata("nar-studio")["Version"],
    "requires": requires("nar-studio"),
    "embedded": [m.name for m in nar_core.list_models() if m.embedded],
    "first": presets()["first"],
    "configs": config_names(),
    "known": engine.understand("a red apple").facts is not None,
    "command": entry_points(group="console_scripts")["nar-studio"].load().__module__,
    "fetched": str(fetched_folder()),
}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The project as pip installs it, without what it needs; one embedded model is enough."""
    root = tmp_path_factory.mktemp("install")
    copy, site = root / "copy", root / "site"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE.md"):
        shutil.copy(ROOT / name, copy)
    for path in ROOT.glob("requirements*.txt"):
        shutil.copy(path, copy)
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in ("app", "nar_core", "checkpoints/emoji", "checkpoints/world-tokenizer"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    (copy / "checkpoints" / "NAR-B").mkdir()
    (copy / "checkpoints" / "NAR-B" / "last_version.pt").write_text("fetched")
    words = ["--no-deps", "--no-build-isolation", "--no-compile", "--quiet"]
    words += ["--target", str(site), str(copy)]
    subprocess.run([sys.executable, "-m", "pip", "install", *words], check=True)
    return site


def answer(site: Path, folder: Path, *words: str) -> str:
    """What Python says that finds the packages only there, as in a stranger's folder."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NAR_")}
    environment |= {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_packages_weights_and_files_are_found_from_any_folder(site, tmp_path):
    found = json.loads(answer(site, tmp_path, "-c", LOOK).splitlines()[-1])
    assert all(Path(path).is_relative_to(site) for path in found["lies"])
    assert found["version"] == __version__
    assert found["embedded"] == ["emoji"]
    assert found["first"]
    assert "emoji" in found["configs"]
    assert found["known"]
    assert found["command"] == "app.command"
    assert (site / "bin" / "nar-studio").is_file()
    assert found["fetched"] == str(tmp_path / "cache" / "nar-studio")
    # One source: what the README's command installs is what the wheel asks for.
    needed = [line.split(";")[0].strip() for line in found["requires"] if "extra" not in line]
    pinned = [f"{name}=={version}" for name, version in requirements().items()]
    assert set(pinned) <= {line.lower() for line in needed}


def test_files_of_both_packages_are_there_and_fetched_weights_are_not(site):
    """Modules of the page, pictures and what was recorded too."""
    left = {"__pycache__", "node_modules"}
    ours = {
        path.relative_to(ROOT)
        for name in ("app", "nar_core")
        for path in (ROOT / name).rglob("*.*")
        if path.is_file() and not left & set(path.parts)
        if path.suffix != ".md" or path.parent.parent == ROOT  # others are for those who read
    }
    assert {path.suffix for path in ours} >= {".py", ".js", ".css", ".png", ".json", ".zip"}
    assert [path for path in ours if not (site / path).is_file()] == []
    assert (site / "nar_core" / "py.typed").is_file()
    assert not list(site.rglob("last_version.pt"))
    assert list(site.rglob("cutouts.zip"))
    assert not (site / "tests").exists()
