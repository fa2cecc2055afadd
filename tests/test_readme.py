"""The README and the files around it say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from nar_core.cli import parse
from nar_core.weights.list import official_models

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
_, FRONT, BODY = TEXT.split("---\n", 2)
SPACE = OmegaConf.to_container(OmegaConf.create(FRONT))
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def requirements(name: str = "requirements.txt") -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in lines if line[:1] not in "#-"]
    pinned = [re.fullmatch(r"([\w-]+)==([\w.]+)(;.*)?", line) for line in lines]
    assert all(pinned), f"{name}: every package is pinned"
    return {m[1].lower(): m[2] for m in pinned}


def test_the_front_matter_describes_a_space():
    assert TEXT.startswith("---\n")
    assert SPACE["title"] == "NAR Studio"
    assert len(SPACE["emoji"]) == 1
    assert {SPACE["colorFrom"], SPACE["colorTo"]} <= COLOURS
    assert (SPACE["sdk"], SPACE["license"]) == ("gradio", "mit")
    assert SPACE["sdk_version"] == requirements()["gradio"]
    assert re.fullmatch(r"3\.\d+", SPACE["python_version"])
    assert (ROOT / SPACE["app_file"]).is_file()
    assert 0 < len(SPACE["short_description"]) <= 60
    assert all(isinstance(tag, str) for tag in SPACE["tags"])
    assert SPACE["models"] == [o.weights.hub for o in official_models().values()]


def test_everything_is_pinned_once():
    assert not set(requirements()) & set(requirements("requirements-dev.txt"))


@pytest.mark.parametrize("page", ["README.md", "NOTICE.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_files_that_are_named_exist():
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|md|txt|yaml))`", BODY))
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", ["README.md", "nar_core/measure/README.md"])
def test_commands_are_understood(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = re.findall(r"^(?:python|torchrun .*) -m nar_core (.*)$", text, re.M)
    assert len(lines) > 5
    for line in lines:
        parse([a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', line.partition("  #")[0])])


def test_models_in_the_table_are_known():
    rows = [x for x in BODY.splitlines() if x.startswith("| `") and "->" in x]
    named = {name for row in rows for name in re.findall(r"`(NAR[\w-]+)`", row.split("|")[1])}
    assert named <= set(official_models())
