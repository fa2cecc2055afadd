"""Files that carry their recipe: what made a picture, and its tokens in order of growth.

A recipe is one JSON object in the PNG text chunk `nar_studio`. Schema 1:

    schema            1
    model, digest     registry name, sha256 prefix of the weights
    grid              [T, H, W] of the token grid
    directions        directions the checkpoint has heads for, to name each cell's senders
    known_level       level of given cells, "zero" or "distance"
    size              [height, width] of a frame in pixels
    frames, fps       pixel frames of the whole picture or clip (1 and 0 for a picture)
    slice_of_frame    which slice of the grid each frame belongs to
    request           seed_position, rng_seed, guidance_scale, ... as the engine resolved them
    sample            which of request.num_samples this file shows
    steps             packed uint16 [N], raster order: the step that wrote each cell, 0 if given
    tokens            packed uint16 [N], raster order
    confidence        packed uint8 [N]: probability of the drawn token times 254, 255 if given
    token_digest      sha256 prefix of the tokens
    mirrored          in files of before: true where the picture is the mirror image of a growth
                      from the upper left: steps, tokens and confidence lie as seen
    holistic          true where a token describes the whole clip, not a place in it
    resumed_from      step after which a branch left its parent, or absent
    made_with         device, dtype, machine and torch version, to name what differs when a remake
                      is not identical

"packed" is base64 of zlib of the little-endian bytes. The order of growth is `steps`, then raster
order within a step. Cells of step 0 came with the picture (outpainting, erasing).
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

CHUNK = "nar_studio"
SCHEMA = 1
UNKNOWN_TOKEN = 65535
UNKNOWN_CONFIDENCE = 255

Recipe = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """The largest file that is taken, in bytes, and the largest picture, in pixels."""

    upload: int = 5_000_000
    pixels: int = 16_000_000


LIMITS = Limits()


def pack(values: np.ndarray) -> str:
    """Array -> base64 of its zlib-compressed little-endian bytes."""
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(data, 9)).decode()


def unpack(text: str, dtype: str, size: int) -> np.ndarray:
    """Inverse of `pack`; ValueError unless exactly `size` values come out."""
    try:
        wanted = np.dtype(dtype).itemsize * size
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), wanted + 1)
    except (ValueError, TypeError, zlib.error) as error:
        raise ValueError(
            f"recipe: unreadable values ({error}); use the file as downloaded"
        ) from error
    if len(data) != wanted:
        raise ValueError(f"recipe: got {len(data)} bytes, expected {wanted}; use the original file")
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype)


def confidence_bytes(confidence: np.ndarray) -> np.ndarray:
    """Probabilities with nan for unknown -> uint8, 254 for certain and 255 for unknown."""
    scaled = np.round(np.nan_to_num(np.asarray(confidence, np.float32)).clip(0, 1) * 254)
    return np.where(np.isnan(confidence), UNKNOWN_CONFIDENCE, scaled).astype(np.uint8)


def token_words(tokens: np.ndarray) -> np.ndarray:
    """Tokens with -1 for unknown -> uint16, 65535 for unknown."""
    return np.where(np.asarray(tokens) < 0, UNKNOWN_TOKEN, tokens).astype(np.uint16)


def token_digest(tokens: np.ndarray) -> str:
    """Short sha256 of tokens in raster order, the same on every machine."""
    return hashlib.sha256(np.asarray(tokens).astype("<i4").tobytes()).hexdigest()[:16]


def png_bytes(pixels: np.ndarray, recipe: Recipe | None = None, fps: float = 0) -> bytes:
    """uint8 [h, w, 3] -> PNG, or [F, h, w, 3] -> animated PNG, with the recipe in a text chunk."""
    info = PngImagePlugin.PngInfo()
    if recipe is not None:
        text = json.dumps(recipe, separators=(",", ":"), ensure_ascii=False)
        info.add_itxt(CHUNK, text, zip=True)
    out = io.BytesIO()
    if pixels.ndim == 4 and len(pixels) > 1:
        first, *rest = [Image.fromarray(frame) for frame in pixels]
        pace = 1000 / (fps or 8)
        more = {"save_all": True, "append_images": rest, "duration": pace, "loop": 0}
    else:
        first, more = Image.fromarray(pixels.reshape(pixels.shape[-3:])), {}
    first.save(out, "PNG", pnginfo=info, **more)
    return out.getvalue()


def sheet(clip: np.ndarray) -> np.ndarray:
    """Frames uint8 [F, h, w, 3] side by side, [h, F * w, 3], as the player draws them."""
    f, h, w, _ = clip.shape
    return clip.transpose(1, 0, 2, 3).reshape(h, f * w, 3)


def jpeg_bytes(pixels: np.ndarray, quality: int = 90) -> bytes:
    """uint8 [h, w, 3] -> JPEG without chroma subsampling: cells keep their own colour."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


def base64_of(values: np.ndarray) -> str:
    """Array -> base64 of its bytes, as the page reads and sends them."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def data_uri(data: bytes, kind: str) -> str:
    """Bytes -> `data:` address that a page can show or save without another request."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def from_data_uri(uri: str, limits: Limits = LIMITS) -> bytes:
    """Inverse of `data_uri`; ValueError for anything else or anything too large."""
    head, _, body = uri.partition(";base64,")
    if not head.startswith("data:"):
        raise ValueError("picture: expected data:image/png;base64,... text")
    if len(body) * 3 > limits.upload * 4:
        raise ValueError(
            f"picture: got {len(body) * 0.75e-6:.1f} MB, expected at most "
            f"{limits.upload * 1e-6:g} MB; make it smaller first"
        )
    return base64.b64decode(body)


def open_picture(data: bytes | str | Path, limits: Limits = LIMITS) -> Image.Image:
    """An image from bytes or a file, its size checked before any pixel is decoded."""
    try:
        picture = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data)
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"picture: not readable as an image ({error}); use PNG or JPEG") from error
    if picture.width * picture.height > limits.pixels:
        raise ValueError(
            f"picture: got {picture.width} x {picture.height} pixels, expected at most "
            f"{limits.pixels * 1e-6:g} million; make it smaller first"
        )
    return picture


def read_recipe(data: bytes | str | Path, limits: Limits = LIMITS) -> tuple[Recipe, np.ndarray]:
    """A PNG of this studio -> its recipe and its (first frame's) pixels, uint8 [h, w, 3].

    Raises:
        ValueError: not an image, no recipe in it, or a recipe that does not hold together.
    """
    picture = open_picture(data, limits)
    text = getattr(picture, "text", {}).get(CHUNK)
    if not text:
        raise ValueError(
            "picture: no recipe inside, so it cannot be replayed; use a PNG downloaded here "
            "(messengers and image editors often remove it)"
        )
    try:
        recipe = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"recipe: unreadable ({error}); use the file as downloaded") from error
    check_recipe(recipe, picture.size[::-1])
    return recipe, np.asarray(picture.convert("RGB"))


def check_recipe(recipe: Any, size: tuple[int, int] | None = None) -> None:
    """Raise ValueError, with the remedy, for a recipe that does not hold together.

    Args:
        size: (height, width) of the file's frames, for recipes that do not name it.
    """
    try:
        if recipe["schema"] != SCHEMA:
            raise ValueError(f"recipe: got schema {recipe['schema']}, expected {SCHEMA}")
        grid = [int(n) for n in recipe["grid"]]
        if len(grid) != 3 or not all(1 <= n <= 256 for n in grid) or np.prod(grid) > 65536:
            raise ValueError(f"recipe: got grid {grid}, expected [t, h, w] up to 65536 cells")
        cells = int(np.prod(grid))
        steps = unpack(recipe["steps"], "uint16", cells)
        tokens = unpack(recipe["tokens"], "uint16", cells)
        unpack(recipe["confidence"], "uint8", cells)
        str(recipe["model"]), str(recipe["digest"]), dict(recipe["request"]), int(recipe["sample"])
        frames, fps = int(recipe["frames"]), float(recipe["fps"])
        if not 1 <= frames <= 256 or not 0 <= fps <= 120:
            raise ValueError(f"recipe: got {frames} frames at {fps} a second")
        # files of the first release do not name these; their frames were shared evenly
        recipe.setdefault("slice_of_frame", [f * grid[0] // frames for f in range(frames)])
        recipe.setdefault("size", size)
        slices = [int(t) for t in recipe["slice_of_frame"]]
        size = [int(n) for n in recipe["size"]]
        if len(slices) != frames or not all(0 <= t < grid[0] for t in slices):
            raise ValueError(f"recipe: got slices {slices} for {frames} frames of {grid[0]} slices")
        if len(size) != 2 or not all(1 <= n <= 4096 for n in size):
            raise ValueError(f"recipe: got frames of {size} pixels, expected [height, width]")
    except (KeyError, TypeError) as error:
        raise ValueError(f"recipe: incomplete ({error!r}); use the file as downloaded") from error
    if recipe.get("token_digest") != token_digest(tokens):
        raise ValueError("recipe: its tokens do not match their digest; use the file as downloaded")
    if steps.max() < 1:
        raise ValueError("recipe: no cell was grown, so there is nothing to replay")


def read_frames(data: bytes, count: int, fps: float) -> np.ndarray:
    """All frames of an animated PNG, uint8 [F, h, w, 3]; ValueError if they are not `count`.

    Equal neighbours are stored as one frame that lasts longer, so durations are counted too.
    """
    picture = open_picture(data)
    stored = getattr(picture, "n_frames", 1)
    if stored > count or count * picture.width * picture.height > LIMITS.pixels:
        raise ValueError(f"recipe: got {stored} frames, expected {count}; use the original file")
    frames = []
    for number in range(stored):
        picture.seek(number)
        lasts = max(1, round(picture.info.get("duration", 0) * (fps or 8) / 1000))
        frames += [np.asarray(picture.convert("RGB"))] * min(lasts, count)
    if len(frames) != count:
        raise ValueError(f"recipe: got {len(frames)} frames, expected {count}; use the original")
    return np.stack(frames)


def growth_of(recipe: Recipe) -> list[dict[str, Any]]:
    """The steps of a recipe: positions [n][t, h, w], tokens [n] and confidence [n] of each."""
    grid = recipe["grid"]
    cells = int(np.prod(grid))
    steps = unpack(recipe["steps"], "uint16", cells)
    tokens = unpack(recipe["tokens"], "uint16", cells)
    sure = unpack(recipe["confidence"], "uint8", cells) / 254
    out = []
    for number in range(1, int(steps.max()) + 1):
        at = np.flatnonzero(steps == number)
        out.append(
            {
                "step": number,
                "positions": np.stack(np.unravel_index(at, grid), 1).tolist(),
                "tokens": tokens[at].tolist(),
                "confidence": np.round(sure[at], 4).tolist(),
            }
        )
    return out


def growth_masks(recipe: Recipe, size: tuple[int, int]) -> list[np.ndarray]:
    """What is on the canvas after each step of a picture (T = 1): bool [h, w], one per step."""
    t, gh, gw = recipe["grid"]
    steps = unpack(recipe["steps"], "uint16", t * gh * gw).reshape(t, gh, gw)[0]
    rows = np.arange(size[0]) * gh // size[0]
    columns = np.arange(size[1]) * gw // size[1]
    at = steps[rows[:, None], columns]
    return [at <= k for k in range(int(steps.min()), int(steps.max()) + 1)]


def growth_gif(pixels: np.ndarray, recipe: Recipe, side: int = 384, hold: int = 1400) -> bytes:
    """The growth of a picture as an endless GIF: one frame per step, the last one held (ms)."""
    scale = max(1, side // max(pixels.shape[:2]))
    large = pixels.repeat(scale, 0).repeat(scale, 1)
    masks = growth_masks(recipe, large.shape[:2])
    paper = np.array([242, 242, 240], np.uint8)
    colours = np.concatenate([large, np.broadcast_to(paper, (scale * 8, *large.shape[1:]))])
    palette = Image.fromarray(colours).quantize(255)
    frames = [
        Image.fromarray(np.where(mask[..., None], large, paper)).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for mask in masks
    ]
    out = io.BytesIO()
    pace = [max(60, min(160, 3000 // len(frames)))] * len(frames)
    pace[-1] = hold
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], duration=pace, loop=0, optimize=False
    )
    return out.getvalue()


def keep_pixels(
    grown: np.ndarray, original: np.ndarray, kept: np.ndarray, reach: int
) -> np.ndarray:
    """Put the kept pixels back exactly and carry their difference a little way into the grown ones.

    The tokenizer shifts colours slightly, so a hard paste would show a seam. The shift is measured
    on the kept side of the border and faded out over `reach` pixels on the grown side.

    Args:
        grown: decoded picture, uint8 [h, w, 3]; original: what was given, same shape.
        kept: bool [h, w], pixels that must come back unchanged.
    """
    offset = np.where(kept[..., None], original.astype(np.float32) - grown, 0)
    known = kept.astype(np.float32)
    fade = np.zeros_like(known)
    for ring in range(reach):
        total, weight = np.zeros_like(offset), np.zeros_like(known)
        for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
            edge = [slice(None)] * 2
            edge[axis] = slice(0, 1) if shift > 0 else slice(-1, None)
            here = np.roll(known, shift, axis)
            here[tuple(edge)] = 0  # np.roll wraps round, the picture does not
            total += np.roll(offset, shift, axis) * here[..., None]
            weight += here
        fresh = (known == 0) & (weight > 0)
        offset[fresh] = total[fresh] / weight[fresh][:, None]
        known[fresh] = 1
        fade[fresh] = 1 - (ring + 1) / (reach + 1)
    out = grown + offset * np.where(kept, 1, fade)[..., None]
    out = np.round(out).clip(0, 255).astype(np.uint8)
    out[kept] = original[kept]
    return out
