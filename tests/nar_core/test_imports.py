"""Data and imports flow one way."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import nar_core
import nar_core.files
import nar_core.foreign

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "nar_core"

MODELS = {"plan", "splitter"}
INFO = {"device", "plan", "settings"}
WEIGHTS = INFO | {"info", "models", "tokenizers", "worlds"}
REQUEST = INFO | {"info", "models", "picture", "request", "splitter", "subject", "words", "worlds"}
ENGINE = WEIGHTS | REQUEST | {"card", "weights", "sampling", "checks", "decode", "kept", "preview"}
ENGINE |= {"arrangement", "explain", "writing"}
MEASURE = ENGINE | {"engine", "train"}
MAY_IMPORT: dict[str, set[str]] = {
    # pure
    "plan": set(),
    "sampling": set(),
    "settings": set(),
    "foreign": {"settings"},
    "splitter": set(),
    "writing": set(),
    "worlds": {"splitter"},
    # alone
    "environment": set(),
    "device": {"settings"},
    "video": set(),
    "picture": set(),
    "version": set(),
    # the rest, upwards
    "models": MODELS,
    "tokenizers": {"plan"},
    "info": INFO,
    "card": INFO | {"info"},
    "words": INFO | {"info", "splitter", "worlds"},
    "request": {"plan", "settings", "picture"},
    "subject": {"info", "picture", "words"},
    "checks": REQUEST,
    "weights": WEIGHTS,
    "decode": {"plan", "sampling", "settings", "models"},
    "explain": {"plan", "sampling", "models", "decode"},
    "preview": {"tokenizers"},
    "arrangement": {"plan", "splitter", "models", "worlds"},
    "kept": {"decode", "models", "plan", "settings"},
    "engine": ENGINE,
    "train": ENGINE,
    "original": {"picture", "settings"},
    "panorama": {"engine", "original", "picture", "request", "settings"},
    "files": {"engine", "foreign", "info", "picture", "plan", "request", "settings", "video"},
    "pipeline": {"engine", "original", "picture", "request", "settings"},
    "measure": MEASURE | {"video"},
    "cli": MEASURE | {"files", "measure", "original", "panorama", "video", "version"},
    "__main__": {"cli"},
    "__init__": ENGINE
    | {"engine", "environment", "explain", "original", "pipeline", "video", "version"},
}
PURE = {"plan", "sampling", "settings", "splitter", "worlds"}


@cache
def imports_of(path: Path) -> set[tuple[str, str]]:
    """(module, name) of every import in a file, also inside functions; relative ones made whole."""
    found = set()
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(x for x in (base, node.module) if x)
            found |= {(module, alias.name) for alias in node.names}
    return found


def part_of(module: str, name: str = "") -> str:
    """The part of nar_core that an import reaches: its first file or folder."""
    inner = [*module.split("."), name][1]
    return inner or "__init__"


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_parts_of_nar_core_import_downwards():
    for path in sources(PACKAGE):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        assert part in MAY_IMPORT, f"{path}: say in MAY_IMPORT what it may import"
        reached = {part_of(*i) for i in imports_of(path) if i[0].split(".")[0] == "nar_core"}
        assert reached <= MAY_IMPORT[part] | {part}, path


def test_no_part_reaches_itself_by_another():
    for part, direct in MAY_IMPORT.items():
        below, new = set(direct), set(direct)
        while new:
            new = set().union(*(MAY_IMPORT[p] for p in new)) - below
            below |= new
        assert part not in below, part


def test_pure_parts_touch_no_files_and_no_network():
    """Worlds read their own cut-outs, nothing else is read."""
    for path in sources(PACKAGE):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part in PURE:
            roots = {module.split(".")[0] for module, _ in imports_of(path)}
            assert not roots & {"os", "urllib", "huggingface_hub", "omegaconf", "logging"}, path


def test_nar_core_knows_nothing_of_the_page():
    for path in sources(PACKAGE):
        roots = {module.split(".")[0] for module, _ in imports_of(path)}
        assert not roots & {"app", "gradio", "tests"}, path


def test_the_page_uses_public_names_only():
    faces = (nar_core, nar_core.files, nar_core.foreign)
    public = {face.__name__: set(face.__all__) for face in faces}
    for path in [*sources(ROOT / "app"), ROOT / "app.py"]:
        for module, name in imports_of(path):
            if module.split(".")[0] == "nar_core":
                assert name in public.get(module, ()), (path, module, name)


def test_nothing_imports_the_entry():
    """`app.py` shares its name with the package, so only parts of the package can be imported."""
    parts = {p.stem for p in (ROOT / "app").iterdir()}
    for folder in ("app", "nar_core", "tests"):
        for path in sources(ROOT / folder):
            for module, name in imports_of(path):
                if module == "app":
                    assert name in parts, path


def test_nothing_runs_at_import():
    """Modules hold definitions, constants and imports; no bare calls or loops.

    But for what the environment is told, which is too late once torch is imported.
    """
    first = PACKAGE / "environment.py"
    for path in [*sources(PACKAGE), *sources(ROOT / "app")]:
        if path == first:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            assert not is_call, f"{path}:{node.lineno}"
            assert not isinstance(node, ast.For | ast.While | ast.With), f"{path}:{node.lineno}"
