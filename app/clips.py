"""Clips as files: MP4 (H.264), GIF, WebP and a strip of frames.

An MP4 carries its recipe as a top-level `uuid` box behind the movie, which players skip: JSON
`{"parts": [recipe, ...]}`, one recipe for each growth that the clip was put together from.
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from PIL import Image

from app import export
from nar_core import write_mp4

BOX = uuid.uuid5(uuid.NAMESPACE_URL, "nar_studio").bytes
FORMATS = {
    "mp4": "video/mp4", "gif": "image/gif", "webp": "image/webp", "strip": "image/png"
}  # fmt: skip
SIDE = 384
"""Small frames are enlarged to about this: many players show clips at their own size."""


def join(parts: list[tuple[np.ndarray, export.Recipe]]) -> np.ndarray:
    """Clips that continue each other -> one, uint8 [F, h, w, 3].

    Of every clip but the first the frames are left out that were given to it: they stand in the
    clip before.
    """
    out = [parts[0][0]]
    for clip, recipe in parts[1:]:
        t, h, w = recipe["grid"]
        steps = export.unpack(recipe["steps"], "uint16", t * h * w).reshape(t, -1)
        given = (steps == 0).all(1)
        out.append(clip[~given[recipe["slice_of_frame"]]])
    return np.concatenate(out)


def write(clip: np.ndarray, kind: str, fps: float, recipes: list[export.Recipe]) -> bytes:
    """Frames uint8 [F, h, w, 3] -> the bytes of a file; ValueError for an unknown kind."""
    if kind not in FORMATS:
        raise ValueError(f"format: got {kind!r}, expected one of {', '.join(FORMATS)}")
    large = enlarge(clip)
    if kind == "mp4":
        return _mp4(large, fps) + _box(recipes)
    out = io.BytesIO()
    pictures = [Image.fromarray(frame) for frame in large]
    if kind == "strip":
        Image.fromarray(export.sheet(clip)).save(out, "PNG")
        return out.getvalue()
    more = {"save_all": True, "append_images": pictures[1:], "loop": 0, "duration": 1000 / fps}
    if kind == "gif":
        palette = Image.fromarray(large[:: max(1, len(large) // 8)].reshape(-1, large.shape[2], 3))
        palette = palette.quantize(255)
        pictures = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]
        more |= {"append_images": pictures[1:], "optimize": False}
        pictures[0].save(out, "GIF", **more)
    else:
        pictures[0].save(out, "WEBP", quality=90, method=2, **more)
    return out.getvalue()


def enlarge(clip: np.ndarray) -> np.ndarray:
    """Frames scaled up by a whole number to about `SIDE` pixels, with even sides (H.264)."""
    height, width = clip.shape[1:3]
    scale = max(1, SIDE // max(height, width))
    size = (width * scale // 2 * 2, height * scale // 2 * 2)
    pictures = (Image.fromarray(frame) for frame in clip)
    return np.stack([np.asarray(p.resize(size, Image.Resampling.BICUBIC)) for p in pictures])


def _mp4(frames: np.ndarray, fps: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, frames, fps)
        return path.read_bytes()


def _box(recipes: list[export.Recipe]) -> bytes:
    text = json.dumps({"parts": recipes}, separators=(",", ":"), ensure_ascii=False)
    body = BOX + zlib.compress(text.encode(), 9)
    return struct.pack(">I4s", len(body) + 8, b"uuid") + body


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of every top-level box; stops at the first that does not fit."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 8
        if size == 1 and at + 16 <= len(data):
            (size,), head = struct.unpack(">Q", data[at + 8 : at + 16]), 16
        size = size or len(data) - at
        if size < head or at + size > len(data):
            return
        yield kind, data[at + head : at + size]
        at += size


def is_mp4(data: bytes) -> bool:
    """Whether the bytes begin like an MP4 file."""
    return data[4:8] == b"ftyp"


def read_parts(data: bytes, limit: int = 4_000_000) -> list[export.Recipe]:
    """The recipes in an MP4 of this studio; ValueError where there are none."""
    for kind, body in _boxes(data):
        if kind == b"uuid" and body[:16] == BOX:
            try:
                text = zlib.decompressobj().decompress(body[16:], limit)
                parts = json.loads(text)["parts"]
            except (zlib.error, ValueError, KeyError, TypeError) as error:
                raise ValueError(f"recipe: unreadable ({error}); use the original file") from error
            if isinstance(parts, list) and parts:
                return parts
    raise ValueError(
        "clip: no recipe inside, so it cannot be replayed; use an MP4 downloaded here "
        "(messengers and video editors remove it)"
    )


def read_clip(
    data: bytes, limits: export.Limits = export.LIMITS
) -> tuple[export.Recipe, np.ndarray]:
    """An MP4 of this studio -> the recipe of its last growth and that growth's frames.

    Returns:
        The recipe and uint8 [F, h, w, 3] at the size of the model's frames.

    Raises:
        ValueError: no recipe, one that does not hold together, or frames that are missing.
    """
    recipe = read_parts(data)[-1]
    export.check_recipe(recipe)
    count, (height, width) = int(recipe["frames"]), (int(n) for n in recipe["size"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(data)
        frames: list[Any] = []
        reader = imageio_ffmpeg.read_frames(str(path))
        try:
            side = next(reader)["size"]
            if side[0] * side[1] > limits.pixels:
                raise ValueError(
                    f"clip: got {side} pixels, expected {limits.pixels} in all at most"
                )
            for raw in reader:
                image = Image.frombytes("RGB", side, raw)
                frames = [*frames[1 - count :], image] if count > 1 else [image]
        except (OSError, RuntimeError, StopIteration) as error:
            raise ValueError(f"clip: not readable as a video ({error})") from error
        finally:
            reader.close()
    if len(frames) != count:
        raise ValueError(f"clip: got {len(frames)} frames, expected {count}; use the original file")
    size = (width, height)
    return recipe, np.stack([np.asarray(f.resize(size, Image.Resampling.BOX)) for f in frames])
