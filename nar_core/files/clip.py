"""Clips as files: MP4 (H.264), GIF, WebP and a strip of frames.

An MP4 carries its recipe as a top-level `uuid` box behind the movie, which players skip: JSON
`{"parts": [recipe, ...]}`, one recipe for each growth that the clip was put together from.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct
import subprocess
import sys
import tempfile
import threading
import uuid
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "linux":
    import resource

import imageio_ffmpeg
import numpy as np
from PIL import Image

from ..foreign import parse, shown
from ..picture import evenly
from ..video import write_animated, write_mp4
from .growth import PAPER
from .limits import (
    FFMPEG_BYTES,
    FFMPEG_SECONDS,
    LIMITS,
    MAX_CLIP_FRAMES,
    MAX_CLIP_PIXELS,
    MAX_PARTS,
    MAX_RECIPE,
    Limits,
)
from .png import sheet
from .recipe import AS_DOWNLOADED, Recipe, recipes_from

BOX = uuid.uuid5(uuid.NAMESPACE_URL, "nar_studio").bytes
FORMATS = {
    "mp4": "video/mp4",
    "gif": "image/gif",
    "tall": "image/gif",
    "webp": "image/webp",
    "strip": "image/png",
}
SIDE, LONG_SIDE = 640, 384
"""Small frames are enlarged to about this, those of long clips to the second: many players show
clips at their own size."""

MOST_TOLD = 4000
"""Bytes that are kept of what ffmpeg says."""

LARGE = re.compile(rb"Picture size (\d+)x(\d+) exceeds")
"""What it says of frames that it is told not to decode."""


# ---- writing ---------------------------------------------------------------------------------


def clip_bytes(parts: list[tuple[Recipe, np.ndarray]], kind: str, fps: float) -> bytes:
    """Clips that continue each other -> one file; ValueError for what cannot be put together.

    Of every clip but the first the frames are left out that were given to it: they stand in the
    clip before.
    """
    if kind not in FORMATS:
        raise ValueError(f"format: got {shown(kind)}, expected one of {', '.join(FORMATS)}")
    sizes = sorted({f"{clip.shape[2]} x {clip.shape[1]}" for _, clip in parts})
    if len(sizes) > 1:
        raise ValueError(
            f"clip: got frames of {' and '.join(sizes)} pixels, expected one size; "
            "put together what was made in a row"
        )
    check_amount([recipe for recipe, _ in parts], parts[0][1].shape[1:3])
    clip = np.concatenate([parts[0][1], *(c[~r.given_frames] for r, c in parts[1:])])
    if kind == "mp4":
        return _mp4(clip, fps) + _box([recipe for recipe, _ in parts])
    out = io.BytesIO()
    if kind == "strip":
        Image.fromarray(sheet(clip)).save(out, "PNG")
    elif kind in ("gif", "tall"):
        _save_gif(out, clip, fps, kind == "tall", [recipe for recipe, _ in parts])
    else:
        pictures = map(Image.fromarray, _enlarged(clip))
        write_animated(out, "WEBP", pictures, 1000 / fps, method=2, quality=90)
    return out.getvalue()


def check_amount(recipes: list[Recipe], size: tuple[int, ...]) -> int:
    """Frames of the clip that growths make together; ValueError if they are too many."""
    frames = sum(recipe.frames for recipe in recipes)
    frames -= sum(int(recipe.given_frames.sum()) for recipe in recipes[1:])
    width, height = _large(size, frames)
    if frames > MAX_CLIP_FRAMES or frames * width * height > MAX_CLIP_PIXELS:
        raise ValueError(
            f"clip: got {frames} frames, written with {width} x {height} pixels, expected at most "
            f"{MAX_CLIP_FRAMES} and {MAX_CLIP_PIXELS * 1e-6:g} million pixels in all; "
            "put fewer clips together"
        )
    return frames


def _large(size: tuple[int, ...], frames: int) -> tuple[int, int]:
    """(width, height) of a file's frames: a whole number of times larger, with even sides."""
    height, width = size
    side = SIDE if frames * SIDE**2 <= MAX_CLIP_PIXELS else LONG_SIDE
    scale = max(1, side // max(height, width))
    return max(2, width * scale // 2 * 2), max(2, height * scale // 2 * 2)


def _enlarged(clip: np.ndarray) -> Iterator[np.ndarray]:
    size = _large(clip.shape[1:3], len(clip))
    for frame in clip:
        yield np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))


def _save_gif(
    out: io.BytesIO, clip: np.ndarray, fps: float, tall: bool, recipes: list[Recipe]
) -> None:
    """One palette for all frames, made of eight of them; the recipes are its comment.

    Args:
        tall: as 4:5, with paper above and below.
    """

    def framed(pictures: np.ndarray) -> Iterator[np.ndarray]:
        for frame in _enlarged(pictures):
            above = max(0, frame.shape[1] * 5 // 4 - frame.shape[0]) // 2 if tall else 0
            edge = np.broadcast_to(np.array(PAPER, np.uint8), (above, *frame.shape[1:]))
            yield np.concatenate([edge, frame, edge])

    some = np.concatenate(list(framed(clip[evenly(len(clip), 9)])))
    palette = Image.fromarray(some).quantize(255)
    pictures = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in framed(clip)
    )
    told = {"parts": [recipe.json() for recipe in recipes]}
    comment = json.dumps(told, separators=(",", ":")).encode()
    write_animated(out, "GIF", pictures, 1000 / fps, optimize=False, comment=comment)


def _mp4(clip: np.ndarray, fps: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_mp4(path, _enlarged(clip), fps, FFMPEG_SECONDS)
        return path.read_bytes()


def _box(recipes: list[Recipe]) -> bytes:
    parts = [recipe.json() for recipe in recipes]
    text = json.dumps({"parts": parts}, separators=(",", ":"), ensure_ascii=False)
    body = BOX + zlib.compress(text.encode(), 9)
    return struct.pack(">I4s", len(body) + 8, b"uuid") + body


# ---- reading ---------------------------------------------------------------------------------


def is_mp4(data: bytes) -> bool:
    """Whether the bytes begin like an MP4 file."""
    return data[4:8] == b"ftyp"


def read_mp4(data: bytes, limits: Limits = LIMITS) -> tuple[Recipe, np.ndarray]:
    """An MP4 of this studio -> the recipe of its last growth and that growth's frames.

    Returns:
        The recipe and uint8 [F, h, w, 3] at the size of the model's frames.

    Raises:
        ValueError: no recipe, one that does not hold together, frames that are missing or too
            large, or a film that takes too much to decode.
    """
    recipes = recipes_in(data, limits)
    recipe = recipes[-1]
    expected = check_amount(recipes, recipe.size)
    frames: deque[bytes] = deque(maxlen=recipe.frames)
    count = 0
    for frame in _decoded(data, recipe.size, expected + 1):
        frames.append(frame)
        count += 1
    if count != expected:
        some = f"more than {expected}" if count > expected else count
        raise ValueError(f"clip: got {some} frames, expected {expected}; {AS_DOWNLOADED}")
    pixels = np.frombuffer(b"".join(frames), np.uint8)
    return recipe, pixels.reshape(recipe.frames, *recipe.size, 3)


def recipes_in(data: bytes, limits: Limits = LIMITS) -> list[Recipe]:
    """The recipes of the growths that an MP4 was put together from; ValueError as `read_mp4`."""
    return recipes_from(parse(_recipe_text(data), "recipe", AS_DOWNLOADED), limits)


def _boxes(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of every top-level box; stops at the first that does not fit."""
    at, view = 0, memoryview(data)
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        head = 8
        if size == 1 and at + 16 <= len(data):
            (size,), head = struct.unpack(">Q", data[at + 8 : at + 16]), 16
        size = size or len(data) - at
        if size < head or at + size > len(data):
            return
        yield kind, view[at + head : at + size]
        at += size


def _recipe_text(data: bytes) -> bytes:
    """The JSON in an MP4 of this studio; ValueError where there is none."""
    longest = MAX_RECIPE * 4
    for kind, body in _boxes(data):
        if kind == b"uuid" and body[:16] == BOX:
            try:
                text = zlib.decompressobj().decompress(body[16:], longest + 1)
            except zlib.error as error:
                raise ValueError(f"recipe: not readable ({error}); {AS_DOWNLOADED}") from error
            if len(text) > longest:
                raise ValueError(
                    f"recipe: got more than {longest:,} bytes of it, expected fewer than "
                    f"{MAX_PARTS} clips need; {AS_DOWNLOADED}"
                )
            return text
    raise ValueError(
        "clip: got no recipe inside, expected that of an MP4 made here; use such a file as "
        "downloaded (messengers and video editors remove it)"
    )


def _decoded(data: bytes, size: tuple[int, int], most: int) -> Iterator[bytes]:
    """At most so many frames of a movie, scaled to (height, width), as RGB bytes.

    Its pictures may be no larger than we write them, which the decoder is told before it begins.
    ValueError where it ends for what it says, or has taken too much time or memory.
    """
    height, width = size
    wide, high = ((side + 31) // 16 * 16 for side in _large(size, 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(data)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin"]
        command += ["-max_alloc", str(FFMPEG_BYTES), "-filter_threads", "1"]
        command += ["-protocol_whitelist", "file", "-f", "mov", "-threads", "1"]
        command += ["-max_pixels", str(wide * high), "-i", str(path), "-map", "0:v:0"]
        command += ["-frames:v", str(most), "-fps_mode", "passthrough"]
        command += ["-vf", f"scale={width}:{height}:flags=area"]
        command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        none, pipe, told = subprocess.DEVNULL, subprocess.PIPE, bytearray()
        late, came = threading.Event(), False

        def stop() -> None:
            late.set()
            decoder.kill()

        def listen() -> None:
            assert decoder.stderr is not None
            for line in decoder.stderr:  # to its end, or the decoder would wait
                told.extend(line[: MOST_TOLD - len(told)])

        with subprocess.Popen(command, stdin=none, stdout=pipe, stderr=pipe) as decoder:
            assert decoder.stdout is not None
            _limit_memory(decoder.pid)
            limit, listener = threading.Timer(FFMPEG_SECONDS, stop), threading.Thread(target=listen)
            limit.start()
            listener.start()
            try:
                while len(frame := decoder.stdout.read(height * width * 3)) == height * width * 3:
                    came = True
                    yield frame
            finally:
                limit.cancel()
                decoder.kill()
                listener.join()
    if late.is_set():
        raise ValueError(
            f"clip: got a film that takes longer than {FFMPEG_SECONDS:g} s to decode, expected a "
            f"few; {AS_DOWNLOADED}"
        )
    if large := LARGE.search(told):
        had = f"{int(large[1])} x {int(large[2])}"
        raise ValueError(
            f"clip: got frames of {had} pixels, expected at most {wide} x {high}; {AS_DOWNLOADED}"
        )
    if not came:
        raise ValueError(
            "clip: got a film that is damaged or takes too much memory to decode, expected whole "
            f"frames; {AS_DOWNLOADED}"
        )


def _limit_memory(process: int) -> None:
    """A film may say that it has billions of frames, of which a decoder makes a list.

    Elsewhere than on Linux, what is reserved at once is limited (`-max_alloc`), not the whole.
    """
    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(process, resource.RLIMIT_DATA, (FFMPEG_BYTES, FFMPEG_BYTES))
