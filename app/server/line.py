"""The waiting line in front of the one engine: page and programs alike, one growth at a time.

The engine is run by this line's own thread and by nothing else. Whoever listens gets what it has
made; stopping is a mark that the thread looks at after every step, and only when the growth has
ended by itself or at that mark does the next one begin.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextvars import Context, copy_context
from typing import Any

from app.server.errors import Busy, Stopped, ended

log = logging.getLogger(__name__)

FORGET_AFTER = 6.0
"""Seconds without a sign of life after which somebody waiting no longer counts."""

NEVER_AFTER = 30.0
"""Seconds after which somebody must have begun to listen for what was checked."""

REMEMBER_RUNS = 1000
"""How many ended runs are remembered, so that none of them begins again."""

LOOK_EVERY = 0.25
"""Seconds between two looks at who still waits, and who has left."""

Work = Callable[["Ticket"], Generator[Any, None, None]]


class Ticket:
    """One growth's place in the line, and what it has made so far.

    Attributes:
        run: its name; session: of whom; stopped: whether it should end.
    """

    def __init__(self, run: str, work: Work, session: str, changed: Callable[[], None]) -> None:
        self.run, self.work, self.session = run, work, session
        self.stopped = self.listening = False
        self.joined = self.seen = self.began = time.monotonic()
        self._changed = changed
        # a GPU that is lent is lent to the request in whose context it is asked for
        self.context: Context = copy_context()
        self._made: deque[Any] = deque()
        self._wake: Callable[[], None] = lambda: None

    def restart(self) -> None:
        """Count its time from now: a download says nothing about how long growing takes."""
        self.began = time.monotonic()

    def put(self, made: Any) -> None:
        """Add something that was made; `None` is the end, an exception a bad end."""
        self._made.append(made)
        self._wake()

    async def made(self) -> AsyncGenerator[Any, None]:
        """What it makes, as it comes; raises what ended it. Leaving early stops it."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone, and so is who listens
                loop.call_soon_threadsafe(ready.set)

        if self.listening:
            raise Stopped  # a run begins only once
        self._wake, self.listening = wake, True
        self._changed()
        wake()
        try:
            while True:
                await ready.wait()
                ready.clear()
                while self._made:
                    made = self._made.popleft()
                    if made is None:
                        return
                    if isinstance(made, BaseException):
                        raise made
                    yield made
        finally:
            self.stopped = True


class Line:
    """Who is waiting for the one engine: only names and times, nothing of what they make.

    Args:
        most: how many may wait.
        present: whether a session still listens; always, unless somebody watches the connections.
    """

    def __init__(self, most: int = 20, present: Callable[[str], bool] = lambda session: True):
        self.most, self._present = most, present
        self._waiting: OrderedDict[str, Ticket] = OrderedDict()
        self._running: Ticket | None = None
        self._over: OrderedDict[str, None] = OrderedDict()
        self._seconds = 2.0
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None

    def join(self, run: str, work: Work, session: str = "") -> Ticket:
        """Wait in the line; `work` begins the growth when its turn comes.

        Raises:
            Stopped: it was stopped while it was still being checked, or has begun before.
            Busy: too many wait already.
        """
        with self._changed:
            self._forget()
            if run in self._over or run in self._waiting or self._runs(run):
                raise Stopped
            if len(self._waiting) >= self.most:
                wait = round(len(self._waiting) * self._seconds) + 1
                raise Busy(
                    f"{len(self._waiting)} growths wait already, at most {self.most} may; "
                    f"try again in about {wait} s."
                )
            ticket = self._waiting[run] = Ticket(run, work, session, self._look)
            if self._worker is None:
                self._worker = threading.Thread(target=self._serve, daemon=True, name="engine")
                self._worker.start()
            self._changed.notify()
            return ticket

    def ticket(self, run: str) -> Ticket:
        """The place of a run that waits; `Stopped` if it has been given up."""
        with self._changed:
            if run not in self._waiting:
                raise Stopped
            return self._waiting[run]

    def stop(self, run: str) -> None:
        """Ask a run to end, whether it is being checked, waits or runs."""
        with self._changed:
            if self._running is not None and self._running.run == run:
                self._running.stopped = True
            self._end(run)

    def closed(self, session: str) -> None:
        """A tab was closed: nobody waits for its runs any more."""
        with self._changed:
            if self._running is not None and self._running.session == session:
                self._running.stopped = True
            for run in [t.run for t in self._waiting.values() if t.session == session]:
                self._end(run)

    def place(self, run: str) -> dict[str, float]:
        """How many come before this run and about how long that takes, in seconds."""
        with self._changed:
            if run in self._waiting:
                self._waiting[run].seen = time.monotonic()
            self._forget()
            before = list(self._waiting)
            ahead = 0
            if run in before:
                ahead = before.index(run) + (self._running is not None)
            return {"ahead": ahead, "seconds": round(ahead * self._seconds, 1)}

    # ---- the thread that runs the engine ------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._running = None
                while (ticket := self._next()) is None:
                    self._changed.wait(LOOK_EVERY if self._waiting else None)
                self._running = ticket
                ticket.restart()
            ticket.context.run(self._run, ticket)
            with self._changed:
                self._end(ticket.run)
                self._seconds += 0.3 * (time.monotonic() - ticket.began - self._seconds)

    def _run(self, ticket: Ticket) -> None:
        """One growth to its end or to the mark that it should stop."""
        end: BaseException | None = None
        try:
            growth = ticket.work(ticket)
            try:
                for made in growth:
                    ticket.put(made)
                    if self.left(ticket):
                        end = Stopped()
                        break
            finally:
                growth.close()
        except BaseException as error:
            end = ended(error)
        ticket.put(end)

    def left(self, ticket: Ticket) -> bool:
        """Whether a running growth should end now: it was stopped, or nobody listens any more."""
        return ticket.stopped or not self._present(ticket.session)

    def _next(self) -> Ticket | None:
        """The first of those who wait for whom somebody listens."""
        self._forget()
        for run, ticket in self._waiting.items():
            if ticket.listening and self._present(ticket.session):
                return self._waiting.pop(run)
        return None

    def _forget(self) -> None:
        """Drop who waits no more: stopped, or without a sign of life."""
        now = time.monotonic()
        for run, ticket in list(self._waiting.items()):
            if ticket.listening and self._present(ticket.session):
                ticket.seen = now
            never = not ticket.listening and now - ticket.joined > NEVER_AFTER
            if ticket.stopped or never or now - ticket.seen > FORGET_AFTER:
                self._end(run)

    def _look(self) -> None:
        """Somebody has begun to listen: it may be their turn."""
        with self._changed:
            self._changed.notify()

    def _runs(self, run: str) -> bool:
        return self._running is not None and self._running.run == run

    def _end(self, run: str) -> None:
        ticket = self._waiting.pop(run, None)
        if ticket is not None:
            ticket.stopped = True
            ticket.put(Stopped())
        self._over[run] = None
        while len(self._over) > REMEMBER_RUNS:
            self._over.popitem(last=False)
