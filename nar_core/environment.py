"""What torch and its threads are told by the environment, which they read once: imported first.

Whatever the environment says already is left as it is.
"""

from __future__ import annotations

import os

SPINS = "10000"
"""Turns, some tens of microseconds, that a thread of a CPU waits awake for the others.

GNU's OpenMP waits thirty times as long unless it is told. On a core that somebody else uses,
too, that is time taken from the very thread that is waited for.
"""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)

# Large tensors in large pages, where Linux offers them (at `madvise`).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
