"""The waiting line in front of the one engine."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

FORGET_TICKET_AFTER = 6.0
"""Seconds without a sign of life after which somebody waiting no longer counts."""

REMEMBER_RUNS = 1000
"""How many ended runs are remembered, so that none of them begins again."""


class Line:
    """Who is waiting for the one engine: only counts and times, nothing of what they make.

    A run waits, runs once and is over. Stopping is a note here that the growth reads after every
    step: cancelling it from the browser would race with a new start of the same page.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._running: dict[str, float] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self._tabs: dict[str, str] = {}
        self._seconds = 2.0
        self._lock = threading.Lock()

    def join(self, run: str) -> None:
        """Wait, unless it was stopped while it was still being checked."""
        with self._lock:
            if run not in self._over:
                self._waiting[run] = time.monotonic()

    def enter(self, run: str) -> bool:
        """Begin; False if the run was stopped before, or has begun already."""
        with self._lock:
            self._waiting.pop(run, None)
            if run in self._over or run in self._running:
                return False
            for left in list(self._running):  # there is one lane: it was given up unfinished
                self._end(left)
            self._running = {run: time.monotonic()}
            return True

    def restart(self, run: str) -> None:
        """Count the time of a run from now."""
        with self._lock:
            self._running[run] = time.monotonic()

    def leave(self, run: str) -> None:
        """The run has ended, by itself or not."""
        with self._lock:
            self._end(run)
            started = self._running.pop(run, None)
            if started is not None:
                self._seconds += 0.3 * (time.monotonic() - started - self._seconds)

    def stop(self, run: str) -> None:
        """Ask a run to end, whether it is being checked, waits or runs."""
        with self._lock:
            self._end(run)

    def belongs(self, run: str, tab: str) -> None:
        """Note which tab of a browser a run was started in."""
        with self._lock:
            if run not in self._over:
                self._tabs[run] = tab

    def closed(self, tab: str) -> None:
        """A tab was closed: nobody waits for its runs any more."""
        with self._lock:
            for run in [run for run, of in self._tabs.items() if of == tab]:
                self._end(run)

    def stopped(self, run: str) -> bool:
        """Should this run end now?"""
        return run in self._over

    def _end(self, run: str) -> None:
        self._waiting.pop(run, None)
        self._tabs.pop(run, None)
        self._over[run] = None
        while len(self._over) > REMEMBER_RUNS:
            self._over.popitem(last=False)

    def place(self, run: str) -> dict[str, float]:
        """How many come before this run and about how long that takes, in seconds."""
        with self._lock:
            now = time.monotonic()
            if run in self._waiting:
                self._waiting[run] = now
            for other, seen in list(self._waiting.items()):
                if now - seen > FORGET_TICKET_AFTER:
                    del self._waiting[other]
            before = list(self._waiting)
            ahead = before.index(run) if run in before else 0
            ahead += len(self._running) if run in before else 0
            return {"ahead": ahead, "seconds": round(ahead * self._seconds, 1)}
