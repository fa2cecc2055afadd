"""How the studio ends: SIGTERM lets those who grow finish, SIGINT does not."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
from typing import Any

from app.server.studio import Studio

log = logging.getLogger(__name__)

LEAVING = 1.4
"""Seconds that a step under way may take to end, and the last messages to reach who listens."""


class Ending:
    """Waits for a signal, then ends the studio.

    Args:
        patience: seconds that running growths may take after SIGTERM.
    """

    def __init__(self, studio: Studio, patience: float) -> None:
        self.studio, self.patience = studio, patience
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def prepare(self) -> None:
        """Take over the signals; in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, frame: self._signals.put(got))

    def wait(self) -> None:
        """Until a signal comes; then until everything that must end has ended."""
        while True:
            try:
                number = self._signals.get(timeout=0.2)  # a signal is heard between two waits
                break
            except queue.Empty:
                continue
        line = self.studio.line
        line.close()
        if number == signal.SIGTERM:
            log.warning("stopping: growths under way have %g s", self.patience)
            self._drained()
        line.halt()
        end = time.monotonic() + LEAVING
        line.idle(LEAVING)
        while self.studio.listeners.anybody and time.monotonic() < end:
            time.sleep(0.02)

    def _drained(self) -> None:
        """Running growths have ended, or the time is over, or a second signal has come."""
        end = time.monotonic() + self.patience
        while not self.studio.line.idle(0.1):
            if time.monotonic() > end or not self._signals.empty():
                return


def leave(page: Any) -> None:
    """End the process with code 0, whatever its threads are doing.

    The engine's thread may be within a step, and torch aborts where it is torn down in one.
    """
    closing = threading.Thread(target=page.close, daemon=True)
    closing.start()
    closing.join(0.3)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)
