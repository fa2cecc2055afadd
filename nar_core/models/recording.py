"""Steps recorded on a GPU as CUDA graphs: replaying one costs the host next to nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Drawn = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Recorded:
    """A step that was recorded.

    Attributes:
        outputs: where replaying it leaves what it draws, until it is replayed again.
        after: passes, and tokens in the cache, after it.
    """

    graph: torch.cuda.CUDAGraph
    outputs: Drawn
    after: tuple[int, int]

    def replay(self) -> Drawn:
        """Do it again on the device, with what now lies in the memory it was recorded with."""
        self.graph.replay()
        return self.outputs


class Recorder:
    """Records the steps of one growth, which share their memory: they run one after the other."""

    def __init__(self, device: torch.device):
        self.device, self.pool = device, torch.cuda.graph_pool_handle()
        self.stream = torch.cuda.Stream(device)

    @classmethod
    def on(cls, device: torch.device) -> Recorder | None:
        """One for a device, where it can record."""
        return cls(device) if device.type == "cuda" else None

    def record(self, work: Callable[[], Drawn]) -> tuple[torch.cuda.CUDAGraph, Drawn] | None:
        """Record what `work` asks of the device, which is not done yet; None where that fails.

        It must have been done once before, so that nothing is left to be set up.
        """
        one = torch.ones(1, 1, device=self.device)
        torch.mm(one, one)  # a thread's first product sets up what cannot be while recording
        graph = torch.cuda.CUDAGraph()
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            try:
                # Other threads may paint a preview meanwhile.
                graph.capture_begin(self.pool, capture_error_mode="thread_local")
                try:
                    outputs = work()
                finally:
                    graph.capture_end()
            except RuntimeError as error:
                first = error.__context__ or error  # where work fails its end may fail, too
                log.warning("steps cannot be recorded here: %s", str(first).partition("\n")[0])
                return None
        return graph, outputs
