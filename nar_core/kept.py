"""Growths that have ended, kept for the requests that come back with the same plan."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence

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
        self.model = model
        self.room = 0
        if device.type == "cuda":
            self.room = torch.cuda.get_device_properties(device).total_memory // SHARE
        self._kept: OrderedDict[Hashable, Growth] = OrderedDict()
        self._lock = threading.Lock()

    def begin(
        self,
        plan: DecodePlan,
        values,
        null,
        tokens: Tensor,
        numbers: Tensor,
        settings: Sequence[SamplingSettings],
        first_step: int,
    ) -> Growth:
        """A growth, see there; one that is kept where one of this plan is."""
        with self._lock:
            growth = self._kept.pop(_key(plan, settings, first_step), None)
        if growth is not None and growth.again(values, null, tokens, numbers):
            return growth
        return Growth(self.model, plan, values, null, tokens, numbers, settings, first_step)

    def keep(self, growth: Growth) -> None:
        """Take back a growth that nobody goes on with."""
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
