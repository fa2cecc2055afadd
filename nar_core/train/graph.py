"""A compiled graph where a compiler is to be had, and a word about it where it is not."""

from __future__ import annotations

import logging
import time
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

SLOW = 120.0  # seconds that a trifle may take to compile


def compiled(model: nn.Module, device: torch.device, **options: Any) -> Any:
    """The model as a compiled graph, or as it is where a trial fails or takes `SLOW` seconds."""
    log.info(
        "compiling: the first steps take a minute or more; train.compile=false does without, and "
        "is slower afterwards"
    )
    started = time.monotonic()
    try:
        torch.compile(_trifle)(torch.ones(64, device=device, requires_grad=True)).backward()
    except Exception as error:  # whatever a compiler may raise, training does not need it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        log.warning("nothing can be compiled here (%s): training goes on uncompiled", reason)
        return model
    took = time.monotonic() - started
    if took > SLOW:
        log.warning("compiling a trifle took %.0f s: training goes on uncompiled", took)
        return model
    return torch.compile(model, **options)


def _trifle(x: Tensor) -> Tensor:
    return (x.sin() * x).sum()
