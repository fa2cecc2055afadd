"""Growths that come with the studio and are shown without a model."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.server.telling import title_of
from nar_core.files import read_png

FOLDER = Path(__file__).parents[1] / "examples"

CLIPS = FOLDER.parent / "clips"
"""Clips of the model that is shown first: `python -m tests.app.clips` makes them."""

RACE = FOLDER.parent / "race"
"""One prompt grown three ways: `python -m tests.app.race` makes it."""

STORY = FOLDER.parent / "story"
"""The growths of the article: `python -m tests.app.story` makes them."""

FIGURES = FOLDER.parent / "figures"
"""What was measured, with the command that did it, for the lab."""


@lru_cache(maxsize=1)
def recorded() -> dict[str, Any]:
    """`examples`: title and file of each; `race`: see `_race`. Files below the folders' parent."""
    return {"examples": _examples(FOLDER), "race": _race()}


@lru_cache(maxsize=1)
def recorded_clips() -> dict[str, Any]:
    """As `recorded`, of clips."""
    return {"examples": _examples(CLIPS), "race": None}


def _examples(folder: Path) -> list[dict[str, str]]:
    return [
        {"title": title_of(read_png(path)[0]), "file": f"{folder.name}/{path.name}"}
        for path in sorted(folder.glob("*.png"))
    ]


def _race() -> dict[str, Any] | None:
    """The recorded race: its prompt, its grid and where each growth starts; None if there is none.

    The raster pane has no seed position: its tokens were grown one after the other.
    """
    if not (RACE / "race.json").is_file():
        return None
    told = json.loads((RACE / "race.json").read_text("utf-8"))
    recipes = {name: read_png(RACE / f"{name}.png")[0] for name in ("centre", "corner")}
    panes = [
        {"name": "raster", "title": "One by one", "seed_position": None},
        {"name": "corner", "title": "From the corner", "seed_position": [0, 0, 0]},
        {
            "name": "centre",
            "title": "From the centre",
            "seed_position": list(recipes["centre"].request["seed_position"]),
        },
    ]
    return {
        "prompt": told["prompt"],
        "grid": list(recipes["centre"].grid),
        "panes": [{**pane, "file": f"{RACE.name}/{pane['name']}.png"} for pane in panes],
    }
