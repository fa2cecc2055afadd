"""The growth of a picture as a GIF."""

from __future__ import annotations

import io
import json

import numpy as np
from PIL import Image

from ..video import write_animated
from .limits import MAX_GIF_PIXELS
from .recipe import Recipe

PAPER = (242, 242, 240)
SIDE = 640
"""The longer side of a file is about this: what is shown elsewhere is shown large."""

HOLD = 1400
"""How long the finished picture is shown, in milliseconds."""


def growth_gif(pixels: np.ndarray, recipe: Recipe, tall: bool = False) -> bytes:
    """An endless GIF of a picture uint8 [h, w, 3]: one frame per step, the last one held.

    Its comment is the recipe. Steps are left out where all of them would be too many pixels.

    Args:
        tall: as 4:5, with paper above and below.
    """
    scale = max(1, SIDE // max(pixels.shape[:2]))
    large = pixels.repeat(scale, 0).repeat(scale, 1)
    steps = _steps_of_pixels(recipe, large.shape[:2])
    if tall:
        above = max(0, large.shape[1] * 5 // 4 - large.shape[0]) // 2
        edge = np.broadcast_to(np.array(PAPER, np.uint8), (above, *large.shape[1:]))
        large = np.concatenate([edge, large, edge])
        steps = np.pad(steps, ((above, above), (0, 0)), constant_values=recipe.total)
    first, total = int(steps.min()), recipe.total
    stride = -(-(total - first + 1) * steps.size // MAX_GIF_PIXELS)
    shown = sorted({*range(first, total, stride), total})

    # the paper's colour is in the palette, and what has not grown has its index
    paper = np.broadcast_to(np.array(PAPER, np.uint8), (scale * 8, *large.shape[1:]))
    indexed = Image.fromarray(np.concatenate([large, paper])).quantize(255)
    indices = np.asarray(indexed)
    blank = indices[-1, 0]
    frames = []
    for step in shown:
        frame = Image.fromarray(np.where(steps <= step, indices[: len(large)], blank), "P")
        frame.putpalette(indexed.getpalette() or [])
        frames.append(frame)
    out = io.BytesIO()
    pace = [max(60, min(160, 3000 // len(frames)))] * len(frames)
    pace[-1] = HOLD
    comment = json.dumps(recipe.json(), separators=(",", ":")).encode()
    write_animated(out, "GIF", frames, pace, optimize=False, comment=comment)
    return out.getvalue()


def _steps_of_pixels(recipe: Recipe, size: tuple[int, ...]) -> np.ndarray:
    """The step that writes each pixel of a picture (T = 1), [h, w]."""
    _, height, width = recipe.grid
    rows = np.arange(size[0]) * height // size[0]
    columns = np.arange(size[1]) * width // size[1]
    return recipe.steps[0][rows[:, None], columns]
