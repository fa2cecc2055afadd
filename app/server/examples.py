"""Growths that come with the studio and replay without a model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from app.files.png import read_png
from app.server.telling import title_of
from app.wire import data_uri

FOLDER = Path(__file__).parents[2] / "assets" / "examples"


@lru_cache(maxsize=1)
def examples() -> list[dict[str, str]]:
    """Title and file (data address) of each."""
    out = []
    for path in sorted(FOLDER.glob("*.png")):
        recipe, _ = read_png(path)
        out.append({"title": title_of(recipe), "file": data_uri(path.read_bytes(), "image/png")})
    return out
