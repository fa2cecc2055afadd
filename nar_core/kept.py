"""Growths that have ended, kept for the requests that come back with the same plan."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from .decode import Growth
from .models.transformer import NARTransformer
from .plan import DecodePlan
from .settings import SamplingSettings

MOST = 8  # growths
SHARE = 4  # at most one part in so many of a GPU's memory


class KeptGrowths:
    """What ended growths of one model made of their plans.

    On a GPU a plan that comes back need not be laid out anew, and its steps are replayed. A growth
    is here or with the one request that grows it; what the request before left in its memory is
    written over before it is read. On a CPU laying out costs too little for anything to be kept.
    """

    def __init__(self, model: NARTransformer, device: torch.device):
        self.model, self.device = model, device
        # Asked of a GPU when there is something to keep: it may be lent for a growth alone.
        self.room = None if device.type == "cuda" else 0
        self._kept: OrderedDict[Hashable, Growth] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def growth(
        self,
        plan: DecodePlan,
        values,
        null,
        tokens: Tensor,
        numbers: Tensor,
        settings: Sequence[SamplingSettings],
        first_step: int,
    ) -> Iterator[Growth]:
        """A growth, see there, or one that is kept of this plan; kept in its turn when it is left.

        Where it fails nothing is kept: what failed may have been in want of the memory.
        """
        with self._lock:
            growth = self._kept.pop(_key(plan, settings, first_step), None)
        try:
            if growth is None or not growth.again(values, null, tokens, numbers):
                growth = Growth(
                    self.model, plan, values, null, tokens, numbers, settings, first_step
                )
            yield growth
        except Exception:
            with self._lock:
                self._kept.clear()
            raise
        except GeneratorExit:
            assert growth is not None
            self._keep(growth)
            raise
        self._keep(growth)

    def _keep(self, growth: Growth) -> None:
        if self.room is None:
            self.room = torch.cuda.get_device_properties(self.device).total_memory // SHARE
        if not growth.is_whole or growth.nbytes > self.room:
            return
        with self._lock:
            self._kept[_key(growth.plan, growth.settings_of_rows, growth.first_step)] = growth
            while len(self._kept) > MOST or sum(g.nbytes for g in self._kept.values()) > self.room:
                self._kept.popitem(last=False)


def _key(plan: DecodePlan, settings: Sequence[SamplingSettings], first_step: int) -> Hashable:
    """Alike where the same work is to be done in the same order; the rows are counted, too."""
    order = plan.levels.tobytes(), plan.known.tobytes()  # from which its senders follow
    return plan.grid, plan.seed_position, order, tuple(settings), first_step
