"""Pictures wider than a model's grid: what made them, in a chunk of their PNG."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..foreign import Fields
from ..picture import reading_picture
from ..settings import RNG_SEED, SETTINGS
from .limits import MAX_SIDE
from .picture import open_within
from .png import png_bytes
from .recipe import AS_DOWNLOADED, LONGEST_NAME, LONGEST_PROMPT, setting_in, told_in

CHUNK = "nar_studio_wide"


@dataclass(frozen=True, eq=False)
class Wide:
    """How a wide picture was made.

    Attributes:
        columns: how many cells wide it is.
        around: name of the picture that stands in its middle, "" where that has grown.
        request: what its first window was asked for, by the names of `Request`; only what is said.
        pixels: uint8 [h, w, 3].
    """

    model: str
    digest: str
    columns: int
    around: str
    request: dict[str, Any]
    pixels: np.ndarray = field(repr=False)

    def middle(self, width: int) -> np.ndarray:
        """The pixels uint8 [h, width, 3] that stand in the place of the first window.

        Args:
            width: of the model's pictures.
        """
        cell = self.pixels.shape[1] // self.columns
        left = (self.columns - width // cell) // 2 * cell
        return self.pixels[:, left : left + width]


def wide_bytes(wide: Wide) -> bytes:
    """The PNG file of a wide picture."""
    told = {
        "model": wide.model,
        "digest": wide.digest,
        "columns": wide.columns,
        "around": wide.around or None,
        **wide.request,
    }
    return png_bytes(wide.pixels, chunks={CHUNK: json.dumps(told)})


def read_wide(data: bytes) -> Wide | None:
    """A wide picture of a file; None where the file is something else.

    Raises:
        ValueError: what it tells does not hold together, or it is too large.
    """
    picture = open_within(data)
    text = picture.info.get(CHUNK)
    if not isinstance(text, str):
        return None
    given = Fields(told_in(text), "recipe", AS_DOWNLOADED)
    request: dict[str, Any] = {
        setting.name: setting_in(given, setting)
        for setting in (RNG_SEED, *SETTINGS)
        if given.any(setting.name, None) is not None
    }
    for name in ("prompt", "label"):
        if given.has(name):
            request[name] = given.text(name, LONGEST_PROMPT)
    if given.has("seed_position"):
        request["seed_position"] = given.wholes("seed_position", 3, MAX_SIDE)
    with reading_picture(data):
        pixels = np.asarray(picture.convert("RGB"))
    return Wide(
        given.text("model", LONGEST_NAME),
        given.text("digest", 64),
        given.whole("columns", 1, pixels.shape[1]),
        given.text("around", LONGEST_NAME, ""),
        request,
        pixels,
    )
