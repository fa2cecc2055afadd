"""The waiting line: places, turns, stops, and that only its own thread runs a growth."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.server import line as lines
from app.server.errors import Busy, Failed, Stopped
from app.server.line import Line, Ticket


async def heard(ticket: Ticket) -> list[Any]:
    return [made async for made in ticket.made()]


def counting(to: int, seen: list[Any] | None = None, step: float = 0.0):
    """Work that makes the numbers below `to`, and notes how it went."""

    def work(ticket: Ticket):
        noted = [] if seen is None else seen
        noted.append("begun")
        try:
            for number in range(to):
                time.sleep(step)
                yield number
            noted.append("whole")
        finally:
            noted.append("over")

    return work


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.005)


def test_what_is_made_is_heard_in_order_and_one_after_the_other():
    line, seen = Line(), []

    async def both():
        first, second = (line.join(run, counting(3, seen, 0.01)) for run in "ab")
        return await asyncio.gather(heard(first), heard(second))

    assert asyncio.run(both()) == [[0, 1, 2], [0, 1, 2]]
    assert seen == ["begun", "whole", "over"] * 2


def test_the_line_counts_who_is_ahead():
    line = Line()

    async def look():
        tickets = [line.join(run, counting(1000, step=0.01)) for run in "abc"]
        hearing = asyncio.create_task(heard(tickets[0]))
        await asyncio.to_thread(until, lambda: line.place("c")["ahead"] == 2)
        line.stop("a")
        with pytest.raises(Stopped):
            await hearing
        line.stop("b")
        return line.place("c")["ahead"], line.place("nobody")["ahead"]

    assert asyncio.run(look()) == (0, 0)


def test_a_stopped_growth_ends_at_its_step_before_the_next_begins():
    """The next one is already waiting while the step of the stopped one is still under way."""
    line, seen = Line(), []
    within, go = threading.Event(), threading.Event()

    def slow(ticket: Ticket):
        try:
            yield 0
            within.set()
            assert go.wait(20)
            seen.append("step")
            yield 1
            seen.append("too far")
        finally:
            seen.append("first over")

    async def both():
        first, second = line.join("a", slow), line.join("b", counting(2, seen))
        hearing = asyncio.create_task(heard(first))
        hearing_next = asyncio.create_task(heard(second))
        await asyncio.to_thread(within.wait, 20)
        hearing.cancel()  # as Gradio does when a call is cancelled
        with pytest.raises(asyncio.CancelledError):
            await hearing
        await asyncio.sleep(0.05)
        assert seen == []
        go.set()
        return await hearing_next

    assert asyncio.run(both()) == [0, 1]
    assert seen == ["step", "first over", "begun", "whole", "over"]


def test_a_growth_that_was_stopped_never_ends_as_if_it_were_whole():
    line = Line()

    async def stopped():
        ticket = line.join("a", counting(1000, step=0.01))
        async for made in ticket.made():
            if made == 2:
                line.stop("a")

    with pytest.raises(Stopped):
        asyncio.run(stopped())


def test_a_growth_that_breaks_says_so_and_not_where():
    def work(ticket: Ticket):
        yield 0
        raise ValueError("weights at /secret/place")

    line = Line()
    with pytest.raises(Failed, match="The growth failed on the server") as told:
        asyncio.run(heard(line.join("a", work)))
    assert "secret" not in str(told.value)
    assert asyncio.run(heard(line.join("b", counting(1)))) == [0]


def test_a_run_begins_only_once():
    line = Line()
    ticket = line.join("a", counting(2))
    assert asyncio.run(heard(ticket)) == [0, 1]
    with pytest.raises(Stopped):
        asyncio.run(heard(ticket))
    with pytest.raises(Stopped):
        line.join("a", counting(2))


def test_a_run_stopped_before_its_turn_never_begins():
    line, seen = Line(), []
    ticket = line.join("a", counting(2, seen))
    line.stop("a")
    with pytest.raises(Stopped):
        asyncio.run(heard(ticket))
    line.stop("b")  # while its form was still being checked
    with pytest.raises(Stopped):
        line.join("b", counting(2, seen))
    assert seen == []


def test_a_closed_tab_takes_its_runs_along():
    line = Line()

    async def three():
        tickets = [
            line.join(run, counting(20, step=0.01), tab)
            for run, tab in (("a", "one"), ("b", "two"), ("c", "one"))
        ]
        hearing = [asyncio.create_task(heard(ticket)) for ticket in tickets]
        await asyncio.sleep(0.05)
        line.closed("one")
        return await asyncio.gather(*hearing, return_exceptions=True)

    first, second, third = asyncio.run(three())
    assert isinstance(first, Stopped)
    assert isinstance(third, Stopped)
    assert second == list(range(20))


def test_nothing_is_grown_for_somebody_who_does_not_listen(monkeypatch):
    present: set[str] = set()
    line, seen = Line(present=lambda session: session in present), []
    work = counting(1000, seen, 0.01)

    async def one():
        hearing = asyncio.create_task(heard(line.join("a", work, "tab")))
        await asyncio.sleep(2 * lines.LOOK_EVERY)
        assert seen == []
        present.add("tab")
        await asyncio.to_thread(until, lambda: seen == ["begun"])
        present.clear()
        return await asyncio.gather(hearing, return_exceptions=True)

    [end] = asyncio.run(one())
    assert isinstance(end, Stopped)
    assert seen == ["begun", "over"]
    monkeypatch.setattr(lines, "NEVER_AFTER", 0.0)
    unheard = line.join("b", work, "tab")
    time.sleep(0.01)
    assert line.place("b")["ahead"] == 0
    assert unheard.stopped


def test_only_so_many_may_wait():
    line = Line(most=2)
    for run in "ab":
        line.join(run, counting(1))
    with pytest.raises(Busy, match="2 growths wait already, at most 2 may; try again in about"):
        line.join("c", counting(1))
    line.stop("a")
    line.join("d", counting(1))
