"""The words of a model as its picker shows them, with small pictures of those that can be drawn."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from app.wire import VocabularyAnswer, WordGroup, data_uri
from nar_core import ModelInfo, illustrate, vocabulary
from nar_core.files import jpeg_bytes

TILE = 48
ACROSS = 16
MOST_DRAWN = 400


@lru_cache(maxsize=4)
def pictionary(info: ModelInfo) -> VocabularyAnswer:
    """Words by what they say. Drawn are those of the first group: what a picture shows."""
    if not info.world:
        names = list(info.names)
        groups: list[WordGroup] = [
            {"name": "prompts", "words": names, "pictures": [-1] * len(names)}
        ]
        return {"groups": groups if names else [], "sheet": None, "tile": TILE, "across": ACROSS}
    tiles: list[np.ndarray] = []
    groups = []
    for number, (name, words) in enumerate(vocabulary(info).items()):
        said = [word for word in words if word]
        places = [-1] * len(said)
        for i, picture in enumerate(_drawn(info, tuple(said)) if number == 0 else ()):
            if picture is not None:
                places[i] = len(tiles)
                tiles.append(picture)
        groups.append({"name": name, "words": said, "pictures": places})
    sheet = data_uri(jpeg_bytes(_sheet(tiles)), "image/jpeg") if tiles else None
    return {"groups": groups, "sheet": sheet, "tile": TILE, "across": ACROSS}


@lru_cache(maxsize=4)
def _drawn(info: ModelInfo, words: tuple[str, ...]) -> tuple[np.ndarray | None, ...]:
    """A tile uint8 [TILE, TILE, 3] for each word that can be drawn by itself."""
    pictures = (illustrate(info, word) for word in words[:MOST_DRAWN])
    return tuple(
        None
        if pixels is None
        else np.asarray(Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.BOX))
        for pixels in pictures
    )


def _sheet(tiles: list[np.ndarray]) -> np.ndarray:
    """Tiles in rows of `ACROSS`, on white."""
    rows = -(-len(tiles) // ACROSS)
    out = np.full((rows * TILE, ACROSS * TILE, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // ACROSS * TILE, i % ACROSS * TILE
        out[y : y + TILE, x : x + TILE] = tile
    return out
