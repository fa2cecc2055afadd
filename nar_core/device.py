"""Which device and number format a model takes when nobody says."""

from __future__ import annotations

import errno
import re

import torch

from .settings import shortened


def pick_device(device: str | torch.device) -> torch.device:
    """ "auto" takes CUDA, then MPS, then the CPU. Raises ValueError for what is not there."""
    device = str(device)
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    there = [name for name, found in there.items() if found] + ["cpu"]
    if device == "auto":
        return torch.device(there[0])
    kind, several, number = device.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in there or (several and number not in map(str, range(count))):
        raise ValueError(
            f"device: got {shortened(device)}, expected auto or, here, {' or '.join(there)}"
        )
    return torch.device(device)


DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.int8,
}


def pick_dtype(dtype: str | torch.dtype, device: torch.device, parameters: int) -> torch.dtype:
    """ "auto" takes bfloat16 on CUDA, and on CPUs that have it for models bound by memory.

    Small models would gain a tenth by it on such a CPU, but then give other tokens than elsewhere.

    Raises:
        ValueError: no such number format, or int8 where the processor has no instructions for it.
    """
    if not isinstance(dtype, str) or dtype != "auto":
        name = str(dtype).removeprefix("torch.")
        if name not in DTYPES:
            raise ValueError(f"dtype: got {shortened(dtype)}, expected 'auto', {', '.join(DTYPES)}")
        if name == "int8" and not (device.type == "cpu" and torch.cpu._is_vnni_supported()):
            raise ValueError(
                f"dtype: got 'int8' on {device.type}, expected a processor with AVX512-VNNI, "
                "without which nothing is gained by it; take 'auto'"
            )
        return DTYPES[name]
    if device.type == "cuda":
        return torch.bfloat16
    fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast and parameters > 50_000_000 else torch.float32


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory, on the machine or on its GPU."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch says it of a CPU, of MPS and of cuBLAS in words alone
    said = r"(can't|cannot) allocate memory|(out of|not enough) memory|ALLOC_FAILED"
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and re.search(said, str(error), re.IGNORECASE) is not None
    )


def arithmetic(dtype: torch.dtype, device: torch.device, parameters: int) -> torch.dtype:
    """The format of everything but the products: with int8, what "auto" takes."""
    return pick_dtype("auto", device, parameters) if dtype == torch.int8 else dtype
