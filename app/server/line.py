"""The waiting line in front of the engine: page and programs alike, fair between clients.

The engine is run by this line's own thread and by nothing else; where there are replicas of it
elsewhere (`replicas`), there is such a thread for each. Growths of one kin that wait at the
same time are grown together, each told its own steps. Whoever listens gets what has been made;
stopping is a mark that the thread looks at after every step, and only when a growth has ended by
itself or at that mark does the next one begin.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Generator, Hashable, Iterable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any

from app.server.bounds import MOST_OF_ONE, MOST_TOGETHER, MOST_WAITING
from app.server.errors import Busy, Stopped, ended, outcome
from app.server.turns import ANYBODY, Client, Fairness

log = logging.getLogger(__name__)

FORGET_AFTER = 15.0
"""Seconds without a sign of life after which somebody waiting no longer counts.

Pages give one every second; a server whose machine is busy may hear nobody for ten."""

SILENT_AFTER = 90.0
"""Seconds without a sign of life after which a page is gone, whatever a proxy keeps open for it.

Browsers let a page that nobody looks at speak once a minute."""

NEVER_AFTER = 30.0
"""Seconds after which somebody must have begun to listen for what was checked."""

REMEMBER_RUNS = 1000
"""How many ended runs are remembered, so that none of them begins again."""

LOOK_EVERY = 0.25
"""Seconds between two looks at who still waits, and who has left."""

CLOSING = "The studio is being stopped; try again in a minute."

Work = Callable[[Sequence["Ticket"]], Generator[tuple[int, Any], None, None]]
"""Grows the jobs of tickets of one kin; yields the number of a ticket and what was made for it.

An exception that is yielded ends that ticket, None ends it well; what is raised ends all."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be grown.

    Attributes:
        work: begins it. job: whatever `work` needs.
        kin: growths for which this is equal can be grown together; None is grown alone.
        rows: how many pictures it is.
        signs: whether who waits for it gives signs of life (`Line.place`) all the time.
        kind: what an operator calls it.
        before: what must be done before its turn, beside the line, when somebody listens: it may
            take long and needs no engine. What it raises ends the growth.
    """

    work: Work
    job: Any = None
    kin: Hashable = None
    rows: int = 1
    signs: bool = False
    kind: str = "program"
    before: Callable[[Ticket], None] | None = None


class Ticket:
    """One growth's place in the line, and what it has made so far.

    Attributes:
        run: its name; client: of whom; stopped: whether it should end; over: whether it has.
        ready: whether it could have its turn now.
    """

    def __init__(
        self,
        run: str,
        asked: Asked,
        client: Client,
        number: int,
        heard: Callable[[Ticket], None],
        note: Callable[[str, str], None],
    ) -> None:
        self.run, self.asked, self.client, self.number = run, asked, client, number
        self.stopped = self.listening = self.over = False
        self.ready = asked.before is None
        self.joined = self.seen = self.began = time.monotonic()
        self._heard, self._note = heard, note
        # a GPU that is lent is lent to the request in whose context it is asked for
        self.context: Context = copy_context()
        self._made: deque[Any] = deque()
        self._wake: Callable[[], None] = lambda: None

    @property
    def job(self) -> Any:
        """What `work` needs of it."""
        return self.asked.job

    def restart(self) -> None:
        """Count its time from now: a download says nothing about how long growing takes."""
        self.began = time.monotonic()

    def put(self, made: Any) -> None:
        """Add something that was made; `None` is the end, an exception a bad end."""
        if self.over:
            return
        self.over = made is None or isinstance(made, BaseException)
        if self.over:
            self._note(self.asked.kind, outcome(made))
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
        self._heard(self)
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
    """Who is waiting for the engine: only names and times, nothing of what they make.

    Args:
        most: how many may wait; of_one: how many of one session.
        together: how many pictures are grown at once, where growths of one kin wait.
        present: whether a session still listens; always, unless somebody watches the connections.
        note: is told the kind and the outcome of every growth.
        lanes: how many turns there may be at the same time.
    """

    def __init__(
        self,
        most: int = MOST_WAITING,
        present: Callable[[str], bool] = lambda session: True,
        of_one: int = MOST_OF_ONE,
        together: int = MOST_TOGETHER,
        note: Callable[[str, str], None] = lambda kind, outcome: None,
        lanes: int = 1,
    ) -> None:
        self._note, self.closing = note, False
        self.most, self.of_one, self.together, self._present = most, of_one, together, present
        self._waiting: OrderedDict[str, Ticket] = OrderedDict()
        self._running: list[Ticket] = []
        self._over: OrderedDict[str, None] = OrderedDict()
        self._fairness, self._numbers = Fairness(), itertools.count()
        self._seconds = 2.0
        self._changed = threading.Condition()
        self._lanes, self._workers = lanes, list[threading.Thread]()

    def join(self, run: str, asked: Asked, client: Client = ANYBODY) -> Ticket:
        """Wait in the line; what is asked for begins when its turn comes.

        A full line has room for who has less waiting than others: theirs that came last leaves.

        Raises:
            Stopped: it was stopped while it was still being checked, or has begun before.
            Busy: too many wait already.
        """
        with self._changed:
            self._forget()
            if run in self._over or run in self._waiting or self._runs(run):
                raise Stopped
            if self.closing:
                self._note(asked.kind, "refused")
                raise Busy(CLOSING)
            own = sum(ticket.client == client for ticket in self._waiting.values())
            if own >= self.of_one:
                self._note(asked.kind, "refused")
                raise Busy(
                    f"{own} growths of this session wait already, at most {self.of_one} may; "
                    f"try again in about {self._wait()} s."
                )
            if len(self._waiting) >= self.most:
                self._make_room(client, asked.kind)
            self._fairness.comes(client, self._waiting.values())
            number = next(self._numbers)
            ticket = Ticket(run, asked, client, number, self._heard, self._note)
            self._waiting[run] = ticket
            if len(self._workers) < self._lanes:  # one more for each of the first who come
                worker = threading.Thread(target=self._serve, daemon=True, name="engine")
                self._workers.append(worker)
                worker.start()
            self._changed.notify_all()
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
            for ticket in self._running:
                if ticket.run == run:
                    ticket.stopped = True
            self._end(run)

    def closed(self, session: str) -> None:
        """A tab was closed: nobody waits for its runs any more."""
        with self._changed:
            for ticket in self._running:
                if ticket.client.session == session:
                    ticket.stopped = True
            for run in [t.run for t in self._waiting.values() if t.client.session == session]:
                self._end(run)

    def place(self, run: str) -> dict[str, float]:
        """How many come before this run and about how long that takes, in seconds.

        Also its sign of life: who asks is still there.
        """
        with self._changed:
            now = time.monotonic()
            for ticket in (*self._waiting.values(), *self._running):
                if ticket.run == run:
                    ticket.seen = now
            self._forget()
            ahead, turns = len(self._running), len(self._running) >= self._lanes
            order = self._fairness.order(self._waiting.values())
            for group in self._groups(t for t in order if t.ready or t.run == run):
                if any(ticket.run == run for ticket in group):
                    seconds = turns * self._seconds / self._lanes
                    return {"ahead": ahead, "seconds": round(seconds, 1)}
                ahead, turns = ahead + len(group), turns + 1
            return {"ahead": 0, "seconds": 0.0}

    def look(self) -> None:
        """Somebody has begun to listen: it may be their turn."""
        with self._changed:
            self._changed.notify_all()

    # ---- for an operator ------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many growths wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many growths are under way."""
        return len(self._running)

    @property
    def alive(self) -> bool:
        """Whether the threads that run the engine do, as far as they have been needed."""
        return all(worker.is_alive() for worker in self._workers)

    def close(self) -> None:
        """Take no growth any more, and tell those who wait."""
        with self._changed:
            self.closing = True
            for run in list(self._waiting):
                self._end(run, Busy(CLOSING))

    def halt(self) -> None:
        """End what runs at its step."""
        with self._changed:
            for ticket in self._running:
                ticket.stopped = True

    def idle(self, seconds: float) -> bool:
        """Whether nothing runs, at the latest after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, seconds)

    # ---- the thread that runs the engine ------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not (tickets := self._next()):
                    self._changed.wait(LOOK_EVERY if self._waiting else None)
                self._running += tickets
                for ticket in tickets:
                    ticket.restart()
            tickets[0].context.run(self._run, tickets)
            with self._changed:
                self._running = [ticket for ticket in self._running if ticket not in tickets]
                for ticket in tickets:
                    self._end(ticket.run)
                took = time.monotonic() - tickets[0].began
                self._seconds += 0.3 * (took - self._seconds)
                self._changed.notify_all()

    def _run(self, tickets: Sequence[Ticket]) -> None:
        """Growths of one kin to their end or to the mark that they should stop."""
        end: BaseException | None = None
        try:
            growth = tickets[0].asked.work(tickets)
            try:
                for number, made in growth:
                    failed = isinstance(made, BaseException)
                    tickets[number].put(ended(made) if failed else made)
                    for ticket in tickets:
                        if not ticket.over and self.left(ticket):
                            ticket.put(Stopped())
                    if all(ticket.over for ticket in tickets):
                        break
            finally:
                growth.close()
        except BaseException as error:
            end = ended(error)
        for ticket in tickets:
            ticket.put(end)

    def left(self, ticket: Ticket) -> bool:
        """Whether a running growth should end now: it was stopped, or nobody listens any more."""
        silent = ticket.asked.signs and time.monotonic() - ticket.seen > SILENT_AFTER
        return ticket.stopped or silent or not self._present(ticket.client.session)

    def _next(self) -> list[Ticket]:
        """Whose turn it is, of those who wait and for whom somebody listens."""
        self._forget()
        order = self._fairness.order(self._waiting.values())
        ready = [t for t in order if t.ready and t.listening and self._present(t.client.session)]
        for group in self._groups(ready):
            for ticket in group:
                self._fairness.had(ticket.client)
                del self._waiting[ticket.run]
            return group
        return []

    def _groups(self, order: Iterable[Ticket]) -> list[list[Ticket]]:
        """Who is grown together, in the order of turns: the first one, and all that fit to it."""
        groups: list[list[Ticket]] = []
        growing: dict[Hashable, tuple[list[Ticket], int]] = {}
        for ticket in order:
            kin = ticket.asked.kin
            group, rows = growing.get(kin, ([], self.together)) if kin is not None else ([], 0)
            rows += ticket.asked.rows
            if not group or rows > self.together:
                group, rows = [], ticket.asked.rows
                groups.append(group)
            group.append(ticket)
            growing[kin] = group, rows
        return groups

    def _make_room(self, client: Client, kind: str) -> None:
        """The last growth of who has most of them waiting leaves a full line, if that is fair."""
        addresses = Counter(ticket.client.address for ticket in self._waiting.values())
        sessions = Counter(ticket.client for ticket in self._waiting.values())

        def share(of: Client) -> tuple[int, int]:
            return addresses[of.address], sessions[of]

        last = max(self._waiting.values(), key=lambda ticket: (share(ticket.client), ticket.number))
        most = last.client
        place = 1 if most.address == client.address else 0
        if share(most)[place] <= share(client)[place] + 1:
            self._note(kind, "refused")
            raise Busy(
                f"{len(self._waiting)} growths wait already, at most {self.most} may; "
                f"try again in about {self._wait()} s."
            )
        self._end(
            last.run,
            Busy(
                f"{self.most} growths wait, which is as many as may, and others have asked for "
                f"less; try again in about {self._wait()} s."
            ),
        )

    def _wait(self) -> int:
        """Seconds after which the line will be short."""
        turns = len(self._groups(self._fairness.order(self._waiting.values())))
        return round(turns * self._seconds / self._lanes) + 1

    def _forget(self) -> None:
        """Drop who waits no more: stopped, or without a sign of life."""
        now = time.monotonic()
        for run, ticket in list(self._waiting.items()):
            if ticket.listening and self._present(ticket.client.session):
                ticket.seen = now
            never = not ticket.listening and now - ticket.joined > NEVER_AFTER
            if ticket.stopped or never or now - ticket.seen > FORGET_AFTER:
                self._end(run)

    def _heard(self, ticket: Ticket) -> None:
        """Somebody listens for a ticket: it may be their turn, or what comes before that begins."""
        if not ticket.ready:
            threading.Thread(target=self._prepare, args=[ticket], daemon=True).start()
        self.look()

    def _prepare(self, ticket: Ticket) -> None:
        """Do what must be done before a ticket can have its turn."""
        assert ticket.asked.before is not None
        end: Exception | None = None
        try:
            ticket.asked.before(ticket)
        except BaseException as error:
            end = ended(error)
        with self._changed:
            ticket.ready = True
            if end is not None:
                self._end(ticket.run, end)
            self._changed.notify_all()

    def _runs(self, run: str) -> bool:
        return any(ticket.run == run for ticket in self._running)

    def _end(self, run: str, why: Exception | None = None) -> None:
        ticket = self._waiting.pop(run, None)
        if ticket is not None:
            ticket.stopped = True
            ticket.put(why or Stopped())
        self._over[run] = None
        while len(self._over) > REMEMBER_RUNS:
            self._over.popitem(last=False)
