"""How much work a file may ask for. All of it is told by its head, before anything is decoded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The largest file that is taken, in bytes, and the largest picture, in pixels."""

    upload: int = 5_000_000
    pixels: int = 16_000_000


LIMITS = Limits()

MAX_SIDE = 32_768
"""Of a picture, in pixels."""

MAX_SCANS = 100
"""Of a JPEG; each goes through all of its pixels. Encoders write a dozen."""

MAX_CELLS = 65_536
MAX_STEPS_TIMES_CELLS = 4_000_000
"""What growing one cell after the other may come to; fronts are always taken."""

MAX_FRAMES = 256
MAX_RECIPE = 1_000_000
"""Bytes of JSON in one recipe."""

MAX_PARTS = 32
"""Clips that may be put together into one file."""

MAX_CLIP_FRAMES = 1024
MAX_CLIP_PIXELS = 160_000_000
"""Pixels of all frames of a clip file, as it is written and read."""

MAX_GIF_PIXELS = 32_000_000
"""Pixels of all frames of a growth as GIF."""

FFMPEG_SECONDS = 20.0
"""How long ffmpeg may take for one file."""

FFMPEG_BYTES = 300_000_000
"""What it may need of memory to read one: its frames are of less than half a megapixel."""

MOST_WAITING = 30
"""Files that may wait to be opened or written: each that does holds a thread of the server."""

_ROOM, _WAITING = threading.BoundedSemaphore(2), threading.BoundedSemaphore(MOST_WAITING)


@contextmanager
def room() -> Iterator[None]:
    """Files are opened and written two at a time, so that many small ones do not add up.

    Raises ValueError where many wait already.
    """
    if not _WAITING.acquire(blocking=False):
        raise ValueError(
            f"file: got it while {MOST_WAITING} others wait to be opened or written, expected "
            "fewer; try again in a few seconds"
        )
    try:
        _ROOM.acquire()
    finally:
        _WAITING.release()
    try:
        yield
    finally:
        _ROOM.release()


def need_pixels(
    what: str, width: int, height: int, limits: Limits, frames: int = 1, part: str = ""
) -> None:
    """Raise ValueError for more pixels than are decoded.

    Args:
        part: what is of that size, where that is not the whole.
    """
    if width * height * frames > limits.pixels or max(width, height) > MAX_SIDE:
        times = f"{frames} times " if frames > 1 else ""
        raise ValueError(
            f"{what}: got {part}{times}{width} x {height} pixels, expected at most "
            f"{limits.pixels * 1e-6:g} million, and {MAX_SIDE:,} along a side; "
            "make it smaller first"
        )
