"""Arrays in files that take long to fill: what broke off is gone on with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..writing import write_json

SECONDS = 60.0  # of filling that a kill may cost


def filled(path: Path, of: str) -> int:
    """How many rows of an array in a file are there, made of what `of` (a short hash) says."""
    told = path.with_suffix(".json")
    if not (path.is_file() and told.is_file()):
        return 0
    found = json.loads(told.read_text(encoding="utf-8"))
    return found["done"] if found.get("of") == of else 0


def fill(
    path: Path,
    of: str,
    count: int,
    chunk: int,
    rows_of: Callable[[int, int], np.ndarray],
    label: str,
) -> np.ndarray:
    """An array of `count` rows in a file; those that are there already are not made again.

    It is written down how many there are every minute, and when a signal ends it.

    Args:
        of: what they are made of, as a short hash; rows of something else are made anew.
        rows_of: makes the rows from one number to before another, at most `chunk` of them.
    """
    told, done, out = path.with_suffix(".json"), filled(path, of), None
    if done:
        out = np.lib.format.open_memmap(path, "r+")
    else:
        for old in (told, path):
            old.unlink(missing_ok=True)

    def keep() -> None:
        if out is not None:
            out.flush()
            write_json(told, {"of": of, "done": done})

    saved = time.monotonic()
    try:
        with tqdm(total=count, initial=done, desc=label) as bar:
            for first in range(done, count, chunk):
                rows = rows_of(first, min(first + chunk, count))
                if out is None:
                    shape = (count, *rows.shape[1:])
                    out = np.lib.format.open_memmap(path, "w+", rows.dtype, shape)
                out[first : first + len(rows)] = rows
                done = first + len(rows)
                bar.update(len(rows))
                if time.monotonic() - saved > SECONDS:
                    keep()
                    saved = time.monotonic()
    finally:
        keep()
    return np.load(path, mmap_mode="r")
