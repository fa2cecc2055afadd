"""PNG files that carry their recipe; a clip is an animated one.

A whole picture of several parts carries the recipe of the part that grew last, and in the text
chunk `nar_studio_part` where that lies: JSON `{"at": [row, column]}` of its upper left pixel.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from ..foreign import Fields
from ..picture import reading_picture
from .limits import LIMITS, MAX_SIDE, Limits, need_pixels
from .picture import open_within
from .recipe import AS_DOWNLOADED, CHUNK, Recipe, recipe_from, recipes_from, told_in

PART = "nar_studio_part"

LONGEST_JPEG = 65_500


def png_bytes(
    pixels: np.ndarray, recipe: Recipe | None = None, chunks: Mapping[str, str] | None = None
) -> bytes:
    """uint8 [h, w, 3] -> PNG, or [F, h, w, 3] -> animated PNG, with the recipe in a text chunk.

    Args:
        chunks: other texts that it carries, by name.
    """
    info = PngImagePlugin.PngInfo()
    for name, told in (chunks or {}).items():
        info.add_itxt(name, told, zip=True)
    if recipe is not None:
        text = json.dumps(recipe.json(), separators=(",", ":"), ensure_ascii=False)
        info.add_itxt(CHUNK, text, zip=True)
    out = io.BytesIO()
    frames = pixels.reshape(-1, *pixels.shape[-3:])
    first, *rest = [Image.fromarray(frame) for frame in frames]
    more = {}
    if rest:
        pace = 1000 / ((recipe and recipe.fps) or 8)
        more = {"save_all": True, "append_images": rest, "duration": pace, "loop": 0}
    first.save(out, "PNG", pnginfo=info, **more)
    return out.getvalue()


def sheet(clip: np.ndarray) -> np.ndarray:
    """Frames uint8 [F, h, w, 3] side by side, [h, F * w, 3], as the player draws them."""
    f, h, w, _ = clip.shape
    return clip.transpose(1, 0, 2, 3).reshape(h, f * w, 3)


def jpeg_bytes(pixels: np.ndarray, quality: int = 90) -> bytes:
    """uint8 [h, w, 3] -> JPEG without chroma subsampling: cells keep their own colour.

    Raises ValueError for a longer side than a JPEG may have.
    """
    if max(pixels.shape[:2]) > LONGEST_JPEG:
        raise ValueError(
            f"clip: got {pixels.shape[1]:,} pixels of frames side by side, expected at most "
            f"{LONGEST_JPEG:,}; use a shorter clip, or smaller frames"
        )
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


def read_png(data: bytes | Path, limits: Limits = LIMITS) -> tuple[Recipe, np.ndarray]:
    """A PNG of this studio -> its recipe and all its frames, uint8 [F, h, w, 3].

    Of a whole of several parts it is the part that grew last.

    Raises:
        ValueError: not an image, no recipe in it, or a recipe that does not hold together.
    """
    picture = open_within(data, limits)
    if picture.format != "PNG":  # such as the GIF of a growth, where it is drawn larger
        raise ValueError(
            f"picture: got a {picture.format}, expected a PNG or MP4 downloaded here, which hold "
            "what is replayed; download one of them where this was made"
        )
    recipe = recipe_in(picture, limits)
    rows, columns = _place(picture, recipe)
    return recipe, _frames(data, picture, recipe, limits)[:, rows, columns]


def is_whole(picture: Image.Image) -> bool:
    """Whether an opened PNG shows more parts than the one that its recipe tells of."""
    return PART in picture.info


def _place(picture: Image.Image, recipe: Recipe) -> tuple[slice, slice]:
    """Rows and columns of pixels that a recipe tells of; ValueError if they do not lie within."""
    if not is_whole(picture):
        return slice(None), slice(None)
    at = Fields(told_in(picture.info[PART]), "part", AS_DOWNLOADED).wholes("at", 2, MAX_SIDE)
    height, width = recipe.size
    if recipe.frames > 1 or at[0] + height > picture.height or at[1] + width > picture.width:
        raise ValueError(
            f"part: got one of {recipe.frames} x {width} x {height} pixels at row {at[0]} and "
            f"column {at[1]}, expected one within {picture.width} x {picture.height}; "
            f"{AS_DOWNLOADED}"
        )
    return slice(at[0], at[0] + height), slice(at[1], at[1] + width)


def recipe_in(picture: Image.Image, limits: Limits = LIMITS) -> Recipe:
    """The recipe of an opened PNG, or GIF of a growth; ValueError as `read_png`."""
    # not `picture.text`, which decodes every frame in search of more
    text = picture.info.get(CHUNK) or picture.info.get("comment")
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    if not isinstance(text, str) or not text:
        raise ValueError(
            "picture: got no recipe inside, expected that of a file made here; use such a file as "
            "downloaded (a strip has none; messengers and editors often remove it)"
        )
    told = told_in(text)
    if isinstance(told, dict) and "parts" in told:  # a clip as GIF, as in MP4
        return recipes_from(told, limits)[-1]
    return recipe_from(told, (picture.height, picture.width), limits)


def _frames(data: bytes | Path, picture: Image.Image, recipe: Recipe, limits: Limits) -> np.ndarray:
    """All frames of an opened PNG; ValueError if they are not as many as its recipe says.

    Equal neighbours are stored as one frame that lasts longer, so durations are counted too.
    """
    stored = getattr(picture, "n_frames", 1)
    if stored > recipe.frames:
        raise _other_number(str(stored), recipe)
    need_pixels("picture", picture.width, picture.height, limits, recipe.frames)
    frames: list[np.ndarray] = []
    for number in range(stored):
        with reading_picture(data):
            picture.seek(number)
            pixels = np.asarray(picture.convert("RGB"))
        if recipe.frames == 1:
            return pixels[None]
        if stored == 1 and "duration" not in picture.info:  # all are equal
            return np.stack([pixels] * recipe.frames)
        lasts = max(1, round(picture.info.get("duration", 0) * (recipe.fps or 8) / 1000))
        frames += [pixels] * min(lasts, recipe.frames)
        if len(frames) > recipe.frames:
            raise _other_number(f"more than {recipe.frames}", recipe)
    if len(frames) != recipe.frames:
        raise _other_number(str(len(frames)), recipe)
    return np.stack(frames)


def _other_number(frames: str, recipe: Recipe) -> ValueError:
    pace = f" at {recipe.fps:g} a second" if recipe.fps else ""
    return ValueError(
        f"picture: got {frames} frames{pace}, expected {recipe.frames}; {AS_DOWNLOADED}"
    )
