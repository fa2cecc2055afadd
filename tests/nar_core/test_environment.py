"""What torch is told by the environment acts."""

from __future__ import annotations

import ctypes
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nar_core import environment
from nar_core.models.packed import PackedLinear

OURS = (
    "GOMP_SPINCOUNT",
    "OMP_WAIT_POLICY",
    "LRU_CACHE_CAPACITY",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
    "MKL_DISABLE_FAST_MM",
    "THP_MEM_ALLOC_ENABLE",
)
LOOK = """
import nar_core, torch
large = torch.ones(2**22)
print(any('hg' in line for line in open('/proc/self/smaps') if 'VmFlags' in line))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another OpenMP than GNU's")
def test_threads_do_not_wait_awake_for_long_and_large_tensors_are_in_large_pages():
    said = {key: value for key, value in os.environ.items() if key not in OURS}
    ran = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**said, "OMP_DISPLAY_ENV": "VERBOSE"},
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"GOMP_SPINCOUNT = '{environment.SPINS}'" in ran.stderr
    if Path("/sys/kernel/mm/transparent_hugepage").exists():
        assert ran.stdout == "True\n"


@pytest.mark.parametrize("said", OURS)
def test_what_the_environment_says_already_is_left_as_it_is(monkeypatch, said):
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(said, "7")
    runpy.run_path(environment.__file__)
    assert os.environ[said] == "7"
    policy, spins = OURS[1], OURS[0]  # of these two one says it all
    unsaid = {policy, spins} if said == policy else {policy}
    assert {name for name in OURS if name not in os.environ} == unsaid - {said}


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
        for rows in range(1, 140):
            layer(torch.ones(rows, 320))
        before = used()
        for rows in range(140, 340):
            layer(torch.ones(rows, 320))
    assert used() - before < 10
