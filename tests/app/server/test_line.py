"""The waiting line: places, turns, stops, and that only its own thread runs a growth."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.server import line as lines
from app.server.errors import Busy, Failed, Refused, Stopped
from app.server.form import Form
from app.server.growing import Finished, Loading
from app.server.line import Asked, Line, Ticket
from app.server.studio import Studio
from app.server.turns import Client
from nar_core.files.png import png_bytes
from tests.app.fake_engine import FakeEngine
from tests.app.studios import check, fake_studio


async def heard(ticket: Ticket) -> list[Any]:
    return [made async for made in ticket.made()]


def counting(to: int, seen: list[Any] | None = None, step: float = 0.0):
    """Work that makes the numbers below `to`, and notes how it went."""

    def work(tickets: Sequence[Ticket]):
        noted = [] if seen is None else seen
        noted.append("begun")
        try:
            for number in range(to):
                time.sleep(step)
                yield 0, number
            noted.append("whole")
        finally:
            noted.append("over")

    return Asked(work)


def together(seen: list[list[str]], to: int = 3, **more: Any) -> Asked:
    """Work of one kin: numbers for each ticket; notes who is grown together."""

    def work(tickets: Sequence[Ticket]):
        seen.append([ticket.run for ticket in tickets])
        for made in range(to):
            for number in range(len(tickets)):
                yield number, made

    return Asked(work, **{"kin": "kin", **more})


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
        line.stop("b")  # whose turn may have come
        await asyncio.to_thread(until, lambda: line.place("c")["ahead"] == 0)
        return line.place("nobody")["ahead"]

    assert asyncio.run(look()) == 0


def test_what_is_done_before_a_turn_takes_nobodys_turn():
    line, go, gone = Line(), threading.Event(), threading.Event()

    def fetch(ticket: Ticket):
        ticket.put("half")
        assert go.wait(20)

    def broken(ticket: Ticket):
        raise Refused("no network")

    def endless(ticket: Ticket):
        until(lambda: ticket.over)
        gone.set()

    async def all_of_them():
        asked = [replace(counting(2), before=before) for before in (fetch, broken, endless)]
        slow, bad, left = (line.join(run, one) for run, one in zip("abc", asked, strict=True))
        hearing = [asyncio.create_task(heard(ticket)) for ticket in (slow, bad, left)]
        with pytest.raises(Refused, match="no network"):
            await hearing[1]
        assert await heard(line.join("d", counting(3))) == [0, 1, 2]
        line.join("e", counting(3))
        await asyncio.to_thread(until, lambda: line.place("e")["ahead"] == 0)
        line.stop("c")
        with pytest.raises(Stopped):
            await hearing[2]
        go.set()
        return await hearing[0]

    assert asyncio.run(all_of_them()) == ["half", 0, 1]
    assert gone.wait(20)


def test_a_stopped_growth_ends_at_its_step_before_the_next_begins():
    """The next one is already waiting while the step of the stopped one is still under way."""
    line, seen = Line(), []
    within, go = threading.Event(), threading.Event()

    def slow(tickets: Sequence[Ticket]):
        try:
            yield 0, 0
            within.set()
            assert go.wait(20)
            seen.append("step")
            yield 0, 1
            seen.append("too far")
        finally:
            seen.append("first over")

    async def both():
        first, second = line.join("a", Asked(slow)), line.join("b", counting(2, seen))
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
    def work(tickets: Sequence[Ticket]):
        yield 0, 0
        raise ValueError("weights at /secret/place")

    line = Line()
    with pytest.raises(Failed, match="The growth failed on the server") as told:
        asyncio.run(heard(line.join("a", Asked(work))))
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
            line.join(run, counting(20, step=0.01), Client(session=tab))
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
        hearing = asyncio.create_task(heard(line.join("a", work, Client(session="tab"))))
        await asyncio.sleep(2 * lines.LOOK_EVERY)
        assert seen == []
        present.add("tab")
        await asyncio.to_thread(until, lambda: seen == ["begun"])
        present.clear()
        return await asyncio.gather(hearing, return_exceptions=True)

    [end] = asyncio.run(one())
    assert isinstance(end, Stopped)
    until(lambda: seen == ["begun", "over"])  # who waits is told first
    monkeypatch.setattr(lines, "NEVER_AFTER", 0.0)
    unheard = line.join("b", work, Client(session="tab"))
    time.sleep(0.01)
    assert line.place("b")["ahead"] == 0
    assert unheard.stopped


def test_who_was_not_heard_for_ten_seconds_still_waits(monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(lines, "time", SimpleNamespace(monotonic=lambda: now))
    line = Line()
    line.join("a", counting(1))
    for later, waiting in ((10, 1), (20, 0)):
        now += later
        line.place("somebody else")
        assert line.waiting == waiting


def test_a_turn_begins_with_the_listening_and_waits_for_no_look(monkeypatch):
    monkeypatch.setattr(lines, "LOOK_EVERY", 3600.0)
    studio = fake_studio()
    studio.listeners.watching = True

    async def one():
        ticket = studio.line.join("a", counting(3), Client(session="tab"))
        hearing = asyncio.create_task(heard(ticket))
        await asyncio.sleep(0.1)  # the engine's thread has seen that nobody listens yet
        studio.listeners.comes("tab")
        return await asyncio.wait_for(hearing, 20)

    assert asyncio.run(one()) == [0, 1, 2]


def test_only_so_many_may_wait():
    line = Line(most=2)
    for run in "ab":
        line.join(run, counting(1))
    with pytest.raises(Busy, match="2 growths wait already, at most 2 may; try again in about"):
        line.join("c", counting(1))
    line.stop("a")
    line.join("d", counting(1))


def test_one_session_has_only_so_many_waiting():
    line = Line(of_one=2)
    for run in "ab":
        line.join(run, counting(1), Client("here", "greedy"))
    with pytest.raises(Busy, match="2 growths of this session wait already, at most 2 may"):
        line.join("c", counting(1), Client("here", "greedy"))
    line.join("d", counting(1), Client("here", "another"))


def test_a_full_line_has_room_for_who_asks_for_less():
    line = Line(most=4)
    greedy = [line.join(run, counting(1), Client("a", run)) for run in "pqrs"]
    modest = line.join("t", counting(1), Client("b", "t"))
    assert [ticket.over for ticket in greedy] == [False, False, False, True]
    with pytest.raises(Busy, match="4 growths wait, which is as many as may, and others"):
        asyncio.run(heard(greedy[3]))
    line.join("u", counting(1), Client("b", "u"))
    with pytest.raises(Busy, match="4 growths wait already"):  # two of each by now
        line.join("v", counting(1), Client("b", "v"))
    with pytest.raises(Stopped):  # who had to leave is not run later
        line.ticket("s")
    assert not modest.over


def test_a_refused_start_is_never_run_later():
    line, seen = Line(most=1), []
    first = line.join("a", counting(1, seen))
    with pytest.raises(Busy):
        line.join("b", counting(1, seen))
    with pytest.raises(Stopped):
        line.ticket("b")
    assert asyncio.run(heard(first)) == [0]
    assert seen == ["begun", "whole", "over"]


def served_in_order(line: Line, asked: dict[str, tuple[Asked, Client]]) -> list[str]:
    """Everybody waits behind a growth that holds the engine; who has theirs when it is let go."""
    hold, order, begun = threading.Event(), [], threading.Event()

    def holding(tickets: Sequence[Ticket]):
        begun.set()
        assert hold.wait(20)
        yield 0, 0

    async def hear(run: str, ticket: Ticket) -> None:
        await heard(ticket)
        order.append(run)

    async def all_of_them() -> None:
        first = asyncio.create_task(heard(line.join("first", Asked(holding), Client("x", "x"))))
        await asyncio.to_thread(begun.wait, 20)
        hearing = [
            asyncio.create_task(hear(run, line.join(run, work, client)))
            for run, (work, client) in asked.items()
        ]
        await asyncio.sleep(0.02)
        places = {run: line.place(run)["ahead"] for run in asked}
        hold.set()
        await asyncio.gather(first, *hearing)
        told = [places[run] for run in order]  # the same for all who are grown together
        assert told == sorted(told), "the places told were true"

    asyncio.run(all_of_them())
    return order


def test_clients_take_turns_and_their_places_are_true():
    """47 programs of one address and three pages of others: no page waits for more than a round."""
    programs = {f"program {n}": (counting(1), Client("one", f"p{n}")) for n in range(47)}
    pages = {f"page {n}": (counting(1), Client(f"home {n}", "tab")) for n in range(3)}
    order = served_in_order(Line(), programs | pages)
    assert set(order[:4]) == {"program 0", "page 0", "page 1", "page 2"}
    assert order[4:] == [f"program {n}" for n in range(1, 47)]


def test_sessions_of_one_address_take_turns():
    asked = {
        f"{session}{n}": (counting(1), Client("one", session))
        for session in "abc"
        for n in range(3)
    }
    order = served_in_order(Line(), asked)
    assert order == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


def test_growths_of_one_kin_that_wait_are_grown_together():
    seen: list[list[str]] = []
    asked = {
        "a": (together(seen), Client("1")),
        "b": (together(seen, kin="other"), Client("2")),
        "c": (together(seen), Client("3")),
        "d": (together(seen, rows=3), Client("4")),
        "e": (together(seen, kin=None), Client("5")),
        "f": (together(seen, kin=None), Client("6")),
        "g": (together(seen, kin="other", rows=9), Client("7")),
    }
    line = Line(together=4)
    served_in_order(line, asked)
    assert seen == [["a", "c"], ["b"], ["d"], ["e"], ["f"], ["g"]]


def test_of_growths_together_one_may_fail_or_leave_and_the_others_go_on():
    line, hold = Line(), threading.Event()
    fifth, go = threading.Event(), threading.Event()

    def holding(tickets: Sequence[Ticket]):
        assert hold.wait(20)
        yield 0, 0

    def work(tickets: Sequence[Ticket]):
        for made in range(8):
            for number in range(len(tickets)):
                yield number, made
            if made == 3:
                yield 1, ValueError("of /secret/place")
            if made == 5:
                fifth.set()
                assert go.wait(20)

    async def four():
        first = asyncio.create_task(heard(line.join("first", Asked(holding))))
        tickets = [line.join(run, Asked(work, kin="kin"), Client(run)) for run in "abc"]
        hearing = [asyncio.create_task(heard(ticket)) for ticket in tickets]
        await asyncio.sleep(0.02)
        hold.set()
        await asyncio.to_thread(fifth.wait, 20)
        line.stop("a")
        go.set()
        return await asyncio.gather(first, *hearing, return_exceptions=True)

    _, left, failed, whole = asyncio.run(four())
    assert isinstance(left, Stopped)
    assert isinstance(failed, Failed)
    assert "secret" not in str(failed)
    assert whole == list(range(8))


@pytest.mark.parametrize(("signs", "alive"), [(True, False), (True, True), (False, False)])
def test_a_page_that_has_fallen_silent_is_not_grown_for(signs, alive):
    """A proxy may keep its connection open long after it has gone; programs give no signs."""
    line = Line()
    within, go = threading.Event(), threading.Event()

    def work(tickets: Sequence[Ticket]):
        within.set()
        assert go.wait(20)
        yield 0, 0
        yield 0, 1

    async def one():
        ticket = line.join("a", Asked(work, signs=signs))
        hearing = asyncio.create_task(heard(ticket))
        await asyncio.to_thread(within.wait, 20)
        ticket.seen -= lines.SILENT_AFTER
        if alive:
            line.place("a")
        go.set()
        [end] = await asyncio.gather(hearing, return_exceptions=True)
        return end

    end = asyncio.run(one())
    assert isinstance(end, Stopped) if signs and not alive else end == [0, 1]


# ---- the studio's growths in it ---------------------------------------------------------------


async def listed(made: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in made]


def in_one_turn(
    studio: Studio, prompts: Sequence[str], listening: Callable[..., Any] = listed
) -> list[list[Any]]:
    """What programs and a page are told whose growths wait at the same time."""

    async def all_of_them() -> list[list[Any]]:
        hold = threading.Event()

        def holding(tickets: Sequence[Ticket]):
            assert hold.wait(20)
            yield 0, 0

        first = asyncio.create_task(heard(studio.line.join("first", Asked(holding))))
        hearing = []
        for number, prompt in enumerate(prompts):
            form, client = Form("emoji", prompt, rng_seed=number), Client(f"{number}")
            if number == 0:
                run = studio.start(form, {"run": "page", "seed_position": None}, client)
                made = studio.line.ticket(run).made()
            else:
                made = studio.events(check(studio, form, {"run": f"r{number}"}), client)
            hearing.append(asyncio.create_task(listening(made)))
        await asyncio.sleep(0.05)
        hold.set()
        await first
        return await asyncio.gather(*hearing, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_a_page_and_programs_are_grown_together_and_each_has_its_own():
    studio = fake_studio()
    page, *programs = in_one_turn(studio, ["owl", "fox", "red apple"])
    assert studio.engines.get("emoji").together == [3]
    assert [m["kind"] for m in page][-1] == "done"
    steps = [frame["step"] for m in page if m["kind"] == "steps" for frame in m["frames"]]
    assert steps == list(range(1, page[-1]["total"] + 1))
    assert {m["run"] for m in page} == {"page"}
    assert page[-1]["request"]["prompt"] == "owl"
    for number, events in enumerate(programs, 1):
        *early, last = [event for event in events if not isinstance(event, Loading)]
        assert [event.step for event in early] == list(range(1, last.total + 1))
        form = Form("emoji", ["owl", "fox", "red apple"][number], rng_seed=number)
        *_, alone = studio.grower.grow(check(studio, form, {}))
        assert np.array_equal(last.tokens, alone.tokens)
        assert np.array_equal(last.video, alone.video)
        assert last.recipe.request == alone.recipe.request


def test_who_has_their_picture_waits_for_nobody_elses():
    first = threading.Event()

    class Waiting(FakeEngine):
        """Makes the second picture when the first growth has ended."""

        def decode(self, tokens: np.ndarray) -> np.ndarray:
            self.decoded = getattr(self, "decoded", 0) + 1
            assert self.decoded < 2 or first.wait(5)
            return super().decode(tokens)

    async def listening(made: AsyncIterator[Any]) -> list[Any]:
        events = await listed(made)
        first.set()
        return events

    studio = fake_studio(lambda name, **options: Waiting(name))
    for events in in_one_turn(studio, ["owl", "fox"], listening):
        assert not isinstance(events, Exception), events
    text = studio.metrics.text().decode()
    assert 'nar_growths_total{kind="page",outcome="done"} 1.0' in text
    assert "stopped" not in text


@pytest.mark.parametrize("after", [0, 4])
def test_without_memory_for_all_at_once_each_is_grown_alone(after):
    """Nobody asked for too much; whoever has seen steps does not see them again."""
    studio = fake_studio()
    engine = studio.engines.get("emoji")
    whole = engine.generate_together

    def scarce(requests, wanted=lambda number: True):
        for step, frames in enumerate(whole(requests, wanted)):
            if step >= after and len(requests) > 1:
                raise MemoryError
            yield frames

    engine.generate_together = scarce
    page, program = in_one_turn(studio, ["owl", "fox"])
    assert page[-1]["kind"] == "done"
    steps = [frame["step"] for m in page if m["kind"] == "steps" for frame in m["frames"]]
    assert steps == list(range(1, page[-1]["total"] + 1))
    *early, last = [event for event in program if not isinstance(event, Loading)]
    assert [event.step for event in early] == list(range(1, last.total + 1))
    assert engine.together == [2, 1, 1]


def test_without_memory_a_growth_says_what_to_do_and_the_next_one_works():
    studio = fake_studio()
    engine = studio.engines.get("emoji")
    whole = engine.generate_together

    def none(requests, wanted=lambda number: True):
        raise MemoryError

    engine.generate_together = none
    [end] = in_one_turn(studio, ["owl"])
    assert isinstance(end, Failed)
    assert "ran out of memory; ask for fewer pictures" in str(end)
    engine.generate_together = whole
    studio.line.stop("page")
    job = check(studio, Form("emoji", "owl"), {"run": "next"})
    *_, last = asyncio.run(listed(studio.events(job, Client())))
    assert isinstance(last, Finished)


def test_a_model_is_warmed_in_the_line(monkeypatch):
    """Who comes meanwhile waits: one thread runs the engine. What is freed is given back."""
    studio, freed = fake_studio(), []
    monkeypatch.setattr("app.server.growing.trim_heap", lambda: freed.append(engine.open_runs))
    engine, threads = studio.engines.get("emoji"), []
    whole, steps = engine.generate, []

    def noting(request):
        threads.append((threading.current_thread().name, studio.line.running))
        for frame in whole(request):
            steps.append(frame.step)
            yield frame

    engine.generate = noting
    studio.warm("emoji")
    assert threads == [("engine", 1)]
    assert engine.open_runs == 0
    assert freed == [0]
    assert steps == [1, 2]  # and no further one
    assert b'nar_growths_total{kind="warming",outcome="done"} 1.0' in studio.metrics.text()
    studio.line.close()
    studio.warm("emoji")  # nobody is told of it
    assert len(threads) == 1


def test_with_several_lanes_as_many_growths_run_at_a_time():
    line, meet, running = Line(lanes=2), threading.Barrier(2, timeout=20), []

    def work(tickets: Sequence[Ticket]):
        meet.wait()  # nobody passes alone
        running.append(line.running)
        yield 0, tickets[0].run
        meet.wait()

    async def all_of_them():
        tickets = [line.join(run, Asked(work)) for run in "abcd"]
        return await asyncio.gather(*map(heard, tickets))

    assert asyncio.run(all_of_them()) == [["a"], ["b"], ["c"], ["d"]]
    assert running == [2] * 4
    until(lambda: line.running == 0)
    assert line.alive


def test_a_picture_that_is_chosen_after_another_is_read_instead_of_it():
    studio, client = fake_studio(of_one=1), Client("here", "tab")
    begun, go, read = threading.Event(), threading.Event(), []

    def reads(model, pixels):
        begun.set()
        go.wait(60)
        read.append(int(pixels[0, 0, 0]))
        return "known"

    studio.grower.read = reads

    async def several() -> list:
        tasks = []
        for red in range(5):
            picture = png_bytes(np.full((16, 16, 3), red, np.uint8))
            tasks.append(asyncio.create_task(studio.reading("emoji", picture, client)))
            await asyncio.to_thread(begun.wait, 60)
        await asyncio.wait(tasks[1:4], timeout=60)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    ends = asyncio.run(several())
    assert [isinstance(end, Stopped) for end in ends[1:4]] == [True] * 3
    assert ends[4] == "known"
    assert read[-1] == 4
    assert len(read) == 2
    assert not studio._readings
