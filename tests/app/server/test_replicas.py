"""Growths by replicas: told as those of one machine are, also where a replica is lost.

Ray is not needed here: what stands for Serve's handle runs `Replica` in this process.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.server.errors import Failed, Refused
from app.server.form import Form
from app.server.growing import Finished, Grower, Stepped
from app.server.jobs import Job
from app.server.replicas import APPLICATION, TRIES, Replica, Replicas, deploy
from app.server.studio import Studio
from app.serving import _replicas
from nar_core.files import png_bytes
from tests.app.server.test_line import in_one_turn
from tests.app.studios import check, fake_studio


class Response:
    """A stream of a replica, as Serve's: iterated in one thread, cancelled from another."""

    def __init__(self, replica: Replica, jobs: list[Job], most: int) -> None:
        self.made: queue.Queue[Any] = queue.Queue()
        self.loop = asyncio.new_event_loop()
        self.task = self.loop.create_task(self._run(replica, jobs, most))
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    def _loop(self) -> None:
        try:
            self.loop.run_until_complete(self.task)
        except asyncio.CancelledError:
            self.made.put(RuntimeError("cancelled"))
        finally:
            self.loop.close()

    async def _run(self, replica: Replica, jobs: list[Job], most: int) -> None:
        made = replica.grow(jobs)
        try:
            async for one in made:
                if not most:
                    self.made.put(ConnectionError("the actor died"))
                    return
                most -= 1
                self.made.put(one)
            self.made.put(None)
        finally:
            await made.aclose()

    def __iter__(self) -> Iterator[Any]:
        while (one := self.made.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one

    def cancel(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.task.cancel)


class Handle:
    """Stands for Serve's handle.

    Args:
        lives: how many events each replica sends before it is lost; the last one sends all.
    """

    def __init__(self, studio: Studio, lives: tuple[int, ...] = ()) -> None:
        self.replica = Replica(lambda: Grower(studio.engines), "emoji")
        self.lives, self.asked, self.responses = list(lives), [], []
        self.grow = self
        self.answer = SimpleNamespace(remote=self._answered)

    def options(self, **more: Any) -> Handle:
        self.asked.append(more)
        return self

    def _answered(self, *asked: Any) -> Any:
        return SimpleNamespace(result=lambda: asyncio.run(self.replica.answer(*asked)))

    def remote(self, jobs: list[Job], *_: Any) -> Response:
        most = self.lives.pop(0) if self.lives else 10**9
        self.responses.append(Response(self.replica, jobs, most))
        return self.responses[-1]


@pytest.fixture
def studio() -> Studio:
    return fake_studio()


def job(studio: Studio, prompt: str = "owl") -> Job:
    return check(studio, Form("emoji", prompt), {})


def steps(events: list[Any]) -> list[int]:
    return [event.step for event in events if isinstance(event, Stepped)]


def test_a_growth_is_told_as_it_is_here(studio):
    handle, began = Handle(studio), []
    replicas = Replicas(studio.engines, handle)
    events = list(replicas.grow(job(studio), lambda: began.append(True)))
    alone = list(studio.grower.grow(job(studio)))
    assert steps(events) == steps(alone) == list(range(1, alone[-1].total + 1))
    assert np.array_equal(events[-1].video, alone[-1].video)
    assert events[-1].recipe.json() == alone[-1].recipe.json()
    assert handle.asked == [{"multiplexed_model_id": "emoji", "stream": True}]
    assert began == [True]


@pytest.mark.parametrize("lives", [(0,), (1,), (6,), (16,), (5, 3), (3, 9)])
def test_what_a_lost_replica_did_not_finish_is_grown_by_another(studio, lives):
    """Nobody sees a step twice, or the growth begin anew."""
    handle, began = Handle(studio, lives), []
    events = list(Replicas(studio.engines, handle).grow(job(studio), lambda: began.append(True)))
    assert len(handle.responses) == len(lives) + 1
    assert steps(events) == list(range(1, events[-1].total + 1))
    assert isinstance(events[-1], Finished)
    assert np.array_equal(events[-1].tokens, list(studio.grower.grow(job(studio)))[-1].tokens)
    assert began == [True]


def test_a_growth_that_loses_every_replica_is_told_so(studio):
    handle = Handle(studio, (4, 5, 6, 7))
    with pytest.raises(Failed, match="lost with the machine that made it; grow it again"):
        list(Replicas(studio.engines, handle).grow(job(studio)))
    assert len(handle.responses) == TRIES


def test_what_a_replica_refuses_is_refused_at_once(studio):
    def broken(jobs, loaded, wanted):
        raise Refused("model: put it into checkpoints/")
        yield

    handle = Handle(studio)
    handle.replica.grower.grow_together = broken
    with pytest.raises(Refused, match="put it into checkpoints"):
        list(Replicas(studio.engines, handle).grow(job(studio)))
    assert len(handle.responses) == 1


def test_a_growth_that_nobody_wants_ends_on_the_replica_before_another_begins(studio):
    engine = studio.engines.get("emoji")
    engine.seconds_per_step = 0.05
    handle = Handle(studio)
    growth = Replicas(studio.engines, handle).grow(job(studio))
    while not isinstance(next(growth), Stepped):
        pass
    assert engine.open_runs == 1
    growth.close()
    handle.responses[0].thread.join(10)
    assert engine.open_runs == 0
    assert engine.steps_run < 8


def test_what_is_asked_of_a_model_is_answered_by_a_replica(studio):
    """No model is loaded where the page is."""
    front = fake_studio()
    done = next(e for e in studio.grower.grow(job(studio)) if isinstance(e, Finished))
    again = studio.desk.again("explain", png_bytes(done.video[0], done.recipe))
    replicas = Replicas(front.engines, Handle(studio))
    cell = (0, 3, 9)
    assert replicas.explain(again, cell) == studio.grower.explain(again, cell)
    assert replicas.disagreement(again) == studio.grower.disagreement(again)
    pixels = np.zeros((128, 128, 3), np.uint8)
    assert replicas.read("emoji", pixels) == studio.grower.read("emoji", pixels)
    studio.engines.get("emoji").digest = "other weights"
    with pytest.raises(Refused, match="other weights of emoji made"):
        replicas.disagreement(again)
    assert front.engines.loaded() == []
    assert replicas._handle.asked == [{"multiplexed_model_id": "emoji"}] * 4


def test_who_leaves_while_no_replica_is_free_does_not_wait_for_one(studio):
    class Never(Handle):
        def remote(self, jobs: list[Job], *_: Any) -> Any:
            self.responses.append(silent)
            return silent

    class Silent:
        def __init__(self) -> None:
            self.gone = threading.Event()

        def __iter__(self) -> Iterator[Any]:
            self.gone.wait(30)
            yield from ()

        def cancel(self) -> None:
            self.gone.set()

    silent, began = Silent(), time.monotonic()
    growth = Replicas(studio.engines, Never(studio)).grow_together(
        [job(studio)], wanted=lambda _: time.monotonic() - began < 0.5
    )
    assert list(growth) == []
    assert silent.gone.is_set()
    assert time.monotonic() - began < 10


def test_a_studio_with_replicas_grows_those_that_agree_together(studio):
    behind = fake_studio(grower=Replicas(studio.engines, Handle(studio)))
    page, *programs = in_one_turn(behind, ["owl", "fox", "red apple"])
    assert page[-1]["kind"] == "done"
    assert steps(programs[0]) == list(range(1, programs[0][-1].total + 1))
    assert studio.engines.get("emoji").together == [3]


def test_it_is_told_what_replicas_have_in_memory_and_forgotten_with_them(studio):
    first, second = Handle(fake_studio()), Handle(fake_studio())
    replicas = Replicas(studio.engines, first, "emoji")
    behind = fake_studio(grower=replicas)
    assert behind.health()["models"] == ["emoji"]
    for handle, model in ((first, "wide"), (second, "emoji")):
        replicas._handle = handle
        list(replicas.grow(check(studio, Form(model, "owl"), {})))
    assert studio.engines.loaded() == []
    assert behind.health()["models"] == ["emoji", "wide"]
    replicas._handle, first.lives = first, [3]
    growth = replicas.grow(check(studio, Form("wide", "owl"), {}))
    next(growth)
    first.replica = second.replica  # the first is lost: the second, which had another, goes on
    assert isinstance([*growth][-1], Finished)
    assert list(replicas._memories) == [second.replica.name]
    assert behind.health()["models"] == ["wide"]


@pytest.mark.parametrize(("said", "meant"), [("1", (1, 1)), ("2:8", (2, 8)), ("3", (3, 3))])
def test_replicas_are_said_as_a_number_or_a_range(said, meant):
    assert _replicas(said) == meant


@pytest.mark.parametrize("said", ["0", "8:2", "two", "-1", "1:2:3", "", "1:1001"])
def test_other_replicas_are_refused(said):
    with pytest.raises(ValueError, match=r"--replicas: got .*, expected 2, or 1:8"):
        _replicas(said)


@pytest.fixture
def cluster(monkeypatch):
    """Stands for `ray` and Serve: what was called, and which applications there are."""
    there: dict[str, Any] = {}
    called: list[str] = []

    def run(bound: Any, name: str, route_prefix: None) -> str:
        called.append("run")
        there[name] = SimpleNamespace(status="RUNNING")
        return f"handle of {name}"

    serve: Any = SimpleNamespace(
        multiplexed=lambda **_: lambda method: method,
        deployment=lambda *_, **__: SimpleNamespace(bind=lambda *_: None),
        start=lambda **_: None,
        status=lambda: SimpleNamespace(applications=there),
        get_app_handle=lambda name: f"shared handle of {name}",
        run=run,
        delete=lambda name: (called.append("delete"), there.pop(name)),
    )
    ray = SimpleNamespace(
        serve=serve,
        init=lambda **_: None,
        cluster_resources=dict,
        shutdown=lambda: called.append("shutdown"),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.serve", serve)
    monkeypatch.setenv("RAY_ENABLE_AUTO_CONNECT", "0")
    return SimpleNamespace(there=there, called=called)


def test_studios_of_one_cluster_share_replicas_which_end_with_the_one_that_started_them(cluster):
    first = deploy("cpu", 1, "emoji", (1, 2))
    second = deploy("cpu", 1, "emoji", (1, 2))
    assert (first.own, second.own) == (True, False)
    assert second.handle == f"shared handle of {APPLICATION}"
    assert cluster.called == ["run"]
    second.leave()
    assert cluster.called == ["run", "shutdown"]
    assert cluster.there
    first.leave()
    assert cluster.called[2:] == ["delete", "shutdown"]
    assert not cluster.there


def test_replicas_that_are_ending_are_not_shared(cluster):
    cluster.there[APPLICATION] = SimpleNamespace(status="DELETING")
    assert deploy("cpu", 1, "emoji", (1, 2)).own


def test_replicas_that_another_studio_is_starting_are_waited_for(cluster, monkeypatch):
    app = cluster.there[APPLICATION] = SimpleNamespace(status="DEPLOYING")
    monkeypatch.setattr("time.sleep", lambda _: setattr(app, "status", "RUNNING"))
    assert not deploy("cpu", 1, "emoji", (1, 2)).own
    assert not cluster.called
