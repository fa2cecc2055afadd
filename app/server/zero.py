"""Hugging Face's shared GPUs ("ZeroGPU"): a GPU is lent for one call. Elsewhere nothing changes.

There the growth runs in a forked process, so what it is given and what it yields must pickle and
what it notes stays behind: the waiting line is kept outside. The package `spaces` is there on a
Space and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

try:
    import spaces  # pyright: ignore[reportMissingImports] -- only on a Space
except ImportError:
    spaces = None

SHARED = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Is this such a Space? Then models are loaded before the first fork, or each fork would load."""


def on_gpu(function: Callable[..., Any], duration: Callable[..., int]) -> Callable[..., Any]:
    """`function` with a GPU for as long as `duration` of its arguments says, in seconds."""
    return function if spaces is None else spaces.GPU(function, duration=duration)
