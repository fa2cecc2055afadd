"""Growths that come with the studio and replay without a model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from app.files.png import read_png
from app.server.telling import title_of

FOLDER = Path(__file__).parents[1] / "examples"


@lru_cache(maxsize=1)
def examples() -> list[dict[str, str]]:
    """Title and file name of each."""
    return [
        {"title": title_of(read_png(path)[0]), "file": path.name}
        for path in sorted(FOLDER.glob("*.png"))
    ]
