"""What torch is told by the environment acts."""

from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from nar_core.models.packed import PackedLinear


class Heap(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library; the eighth number is `uordblks`."""

    _fields_ = (("numbers", ctypes.c_size_t * 10),)


def used() -> float:
    """Megabytes that are asked for and not freed."""
    info = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if sys.platform != "linux" or info is None:
        pytest.skip("needs the GNU C library")
    info.restype = Heap
    return info().numbers[7] / 1e6


def test_fronts_of_ever_other_sizes_do_not_fill_the_memory():
    layer = PackedLinear(torch.randn(640, 320))
    with torch.inference_mode():
        for rows in range(1, 200):
            layer(torch.ones(rows, 320))
        before = used()
        for rows in range(200, 600):
            layer(torch.ones(rows, 320))
    assert used() - before < 10
