"""Files: what is saved, and what is believed of a file that comes back."""

from __future__ import annotations

import numpy as np

from app.files.clip import is_mp4, read_mp4
from app.files.limits import LIMITS, Limits
from app.files.png import read_png
from app.files.recipe import Recipe


def read_file(data: bytes, limits: Limits = LIMITS) -> tuple[Recipe, np.ndarray]:
    """A file made here -> its recipe and frames, uint8 [F, h, w, 3]; ValueError if it is none."""
    return read_mp4(data, limits) if is_mp4(data) else read_png(data, limits)
