"""What torch and its threads are told by the environment, which they read once: imported first.

Whatever the environment says already is left as it is.
"""

from __future__ import annotations

import os

SPINS = "20000"
"""Turns, a quarter of a millisecond, that a thread of a CPU waits awake for the others.

GNU's OpenMP waits fifteen times as long unless it is told. On a core that somebody else uses,
too, that is time taken from the very thread that is waited for. Half as many are measured to be
too few, see `measure/README.md`.
"""

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)

PRODUCTS = "128"
"""Kinds of matrix product, by their number of rows, that torch and oneDNN keep what they made for.

Every front of another size is several, each with some 0.2 MB. They would keep 1024: with the starts
and numbers of pictures that are asked for, 200 MB. What was dropped is made again in 0.2 ms.
"""

os.environ.setdefault("LRU_CACHE_CAPACITY", PRODUCTS)
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", PRODUCTS)

# On processors of Intel, MKL would keep what its products worked in: 18 MB after one picture.
os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")

# Large tensors in large pages, where Linux offers them (at `madvise`).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
