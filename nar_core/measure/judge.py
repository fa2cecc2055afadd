"""Whether a growth shows what was asked for, and how much of it is damaged.

A growth is right if it is nearest, among renderings of its prompt and of every prompt that differs
in one fact, over all layouts, to one of its own. Nearness is the mean squared distance of pictures
a quarter as large: the tokenizer's own errors are fine detail and mostly vanish there. A rendering
of another prompt that differs from the own one in no cell by more than the tokenizer's error cannot
be told from it ("left of" beside "and") and does not count against the growth.

A cell (8 x 8 pixels) is damaged if it is farther from the nearest right rendering than the
tokenizer's own error explains: its mean squared error is more than `TIMES` that which the tokenizer
itself makes of that rendering, there or in a cell that touches it (its decoder looks beyond a
cell), and more than `VISIBLE`, which a fifth of the tokenizer's own cells exceed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

CELL = 8
TIMES = 2.0
VISIBLE = (12 / 255) ** 2


@dataclass(frozen=True)
class Verdict:
    """What a growth was found to be.

    Attributes:
        differs: the fact that differs in what it is nearest to, "" where it is right.
        damage: share of damaged cells, 0 to 1; None where no rendering is to be compared with.
    """

    differs: str
    damage: float | None

    @property
    def right(self) -> bool:
        """Whether it shows what was asked for."""
        return not self.differs


class Renderings:
    """What growths of one prompt are held against.

    Args:
        differs: for every rendering the fact in which it differs from the prompt, "" for its own.
        paint: the rendering of a number, uint8 [F, H, W, 3].
        through: what the tokenizer makes of pixels uint8 [F, H, W, 3].
    """

    def __init__(
        self,
        differs: Sequence[str],
        paint: Callable[[int], np.ndarray],
        through: Callable[[np.ndarray], np.ndarray],
    ):
        self.differs, self.paint, self.through = differs, paint, through
        self._keys = np.stack([_key(paint(i)) for i in range(len(differs))])
        self._squares = (self._keys**2).sum(1)
        self._own = np.array([not d for d in differs])
        self._decoded: dict[int, np.ndarray] = {}

    def judge(self, growth: np.ndarray) -> Verdict:
        """The verdict on pixels uint8 [F, H, W, 3]."""
        key = _key(growth)
        gaps = self._squares - 2 * self._keys @ key + key @ key
        own = int(np.where(self._own, gaps, np.inf).argmin())
        picture = self.paint(own)
        if own not in self._decoded:
            self._decoded[own] = self.through(picture)
        decoded = self._decoded[own]
        differs = ""
        for i in map(int, gaps.argsort(kind="stable")):
            if gaps[i] >= gaps[own]:
                break
            if damage(self.paint(i), picture, decoded):
                differs = self.differs[i]
                break
        return Verdict(differs, damage(growth, picture, decoded))


def _key(pixels: np.ndarray) -> np.ndarray:
    """A small form to compare by, float32 (0 to 1) of pixels uint8 [F, H, W, 3].

    A quarter of the size; clips at five moments and an eighth.
    """
    last = len(pixels) - 1
    moments, times = (range(0, last + 1, last // 4), 8) if last else ((0,), 4)
    small = [np.asarray(Image.fromarray(pixels[i]).reduce(times)).ravel() for i in moments]
    return np.concatenate(small).astype(np.float32) / 255


def damage(growth: np.ndarray, rendering: np.ndarray, decoded: np.ndarray) -> float:
    """Share of damaged cells of a growth, see above.

    Args:
        growth, rendering, decoded: uint8 [F, H, W, 3]; decoded is what the tokenizer makes of the
            rendering.
    """
    return float(damaged(growth, rendering, decoded).mean())


def damaged(growth: np.ndarray, rendering: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Which cells are damaged, bool [F, H / 8, W / 8]."""
    explained = np.maximum(TIMES * _widened(_cells(decoded, rendering)), VISIBLE)
    return _cells(growth, rendering) > explained


def _cells(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared distance (of 0 to 1) in every cell, float [F, H / 8, W / 8]."""
    square = ((a.astype(np.float32) - b) / 255) ** 2
    frames, high, wide, _ = square.shape
    return square.reshape(frames, high // CELL, CELL, wide // CELL, CELL, 3).mean((2, 4, 5))


def _widened(cells: np.ndarray) -> np.ndarray:
    """The largest of each cell and those that touch it, float [F, h, w]."""
    padded = np.pad(cells, ((0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).max((3, 4))


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.96
    share, room = hits / of, z * z / of
    middle = (share + room / 2) / (1 + room)
    half = z / (1 + room) * (share * (1 - share) / of + room / (4 * of)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
