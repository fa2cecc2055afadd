"""Growths by engine replicas under Ray Serve, on this machine or on many; all else stays here.

A replica has what a studio of one machine has: engines and a `Grower`, which runs one batch at a
time. The line has a lane for each replica that there may be, so that a growth that is begun is soon
on one: Serve sends it to a replica with its model in memory, and starts more of them, up to that
number, where all are busy. `ray` is an extra (requirements-ray.txt) and imported nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.server.engines import Engines
from app.server.errors import Failed
from app.server.growing import Event, Grower, Likeness, Loading, Stepped
from app.server.jobs import Job
from app.wire import Explanation, Reading
from nar_core import Engine, list_models

log = logging.getLogger(__name__)

TRIES = 3
"""How many replicas a growth may lose: what kills each of them is the growth, perhaps."""

LOOK_EVERY = 0.25
"""Seconds between two looks at whether anybody still wants what a replica makes."""

APPLICATION = "nar-studio"

FAILED, MEMORY = -1, -2
"""Numbers of no job: what ended them all, and what a replica has in memory."""

LOST = "The growth was lost with the machine that made it; grow it again."

Told = tuple[int, "Event | Exception"]
Made = tuple[int, "Event | Exception | Memory"]


@dataclass(frozen=True)
class Memory:
    """What a replica has in memory: its own name, and those of models."""

    replica: str
    models: tuple[str, ...]


class Lost(Exception):
    """A replica sends nothing any more; why, is for the log."""


class Replica:
    """What runs on each replica: one batch at a time, its steps sent as they are made.

    Args:
        make: makes the grower of this replica.
        first: a model to have in memory before anybody is sent here.
    """

    def __init__(self, make: Callable[[], Grower], first: str | None = None) -> None:
        self.grower, self.name = make(), uuid.uuid4().hex
        if first is not None:
            self.grower.warm(first)

    def memory(self) -> Memory:
        """What it has in memory."""
        return Memory(self.name, tuple(self.grower.engines.loaded()))

    async def grow(self, jobs: Sequence[Job]) -> AsyncGenerator[Made, None]:
        """As `Grower.grow_together`; what would be raised comes last, as job -1.

        First of all, and when a model has been loaded, comes what is in memory, as job -2.

        Closing or cancelling this ends the growth at its step, before anything else is begun.
        """
        made: asyncio.Queue[Made | None] = asyncio.Queue()
        loop, gone = asyncio.get_running_loop(), threading.Event()

        def growing() -> None:
            end: Made | None = None

            def tell() -> None:
                loop.call_soon_threadsafe(made.put_nowait, (MEMORY, self.memory()))

            tell()
            try:
                growth = self.grower.grow_together(jobs, tell, wanted=lambda _: not gone.is_set())
                with closing(growth) as events:
                    for event in events:
                        if gone.is_set():
                            break
                        loop.call_soon_threadsafe(made.put_nowait, event)
            except Exception as error:
                end = FAILED, error
            loop.call_soon_threadsafe(made.put_nowait, end)

        thread = threading.Thread(target=growing, daemon=True, name="engine")
        thread.start()
        try:
            while (one := await made.get()) is not None:
                yield one
                if one[0] == FAILED:
                    return
        finally:
            gone.set()
            while thread.is_alive():  # also where this is cancelled once more
                with suppress(asyncio.CancelledError):
                    await asyncio.to_thread(thread.join)

    async def answer(self, question: str, *given: Any) -> Any:
        """What the method of `Grower` by that name answers; an exception is returned."""
        try:
            return await asyncio.to_thread(getattr(self.grower, question), *given)
        except Exception as error:
            return error


class Replicas(Grower):
    """A grower whose engines are elsewhere.

    Args:
        engines: what is known of the models; none of them is loaded here.
        handle: Serve's, of `Replica`.
        first: the model that each of them has in memory before it is used, if any.
    """

    def __init__(self, engines: Engines, handle: Any, first: str | None = None) -> None:
        super().__init__(engines)
        self._handle, self._first = handle, first
        self._memories: dict[str, Memory] = {}

    def loaded(self) -> list[str]:
        """Models that a replica has in memory, as far as they have told."""
        memories = list(self._memories.values())
        told = {model for memory in memories for model in memory.models}
        return sorted(told) if memories or self._first is None else [self._first]

    def grow_together(
        self,
        jobs: Sequence[Job],
        loaded: Callable[[], None] = lambda: None,
        wanted: Callable[[int], bool] = lambda number: True,
    ) -> Generator[Told, None, None]:
        """As `Grower.grow_together`. What a replica did not finish is grown anew by another.

        Its steps are the same again, so those that have been told are left out.

        Raises:
            Failed: several replicas were lost.
        """
        told = [0] * len(jobs)
        for tried in range(1, TRIES + 1):
            try:
                with closing(self._streamed(jobs, wanted)) as events:
                    for number, event in events:
                        if not wanted(number) or not _is_news(event, told[number]):
                            continue
                        if isinstance(event, Stepped):
                            if not any(told):
                                loaded()
                            told[number] = event.step
                        yield number, event
                return
            except Lost as error:
                log.warning("replica lost, try %d of %d: %s", tried, TRIES, error)
        raise Failed(LOST)

    def lacks(self, model: str) -> bool:
        """Never: a replica fetches for itself, perhaps on another machine."""
        return False

    def explain(self, job: Job, cell: tuple[int, ...]) -> Explanation:
        """As `Grower.explain`."""
        return self._answer(job.model, "explain", job, cell)

    def disagreement(self, job: Job) -> list[list[list[float]]]:
        """As `Grower.disagreement`."""
        return self._answer(job.model, "disagreement", job)

    def read(self, model: str, pixels: np.ndarray) -> Reading:
        """As `Grower.read`."""
        return self._answer(model, "read", model, pixels)

    def _answer(self, model: str, question: str, *given: Any) -> Any:
        told = self._for(model).answer.remote(question, *given).result()
        if isinstance(told, Exception):
            raise told
        return told

    def _for(self, model: str, **more: Any) -> Any:
        """Serve's handle, which asks a replica that has the model in memory, if there is one."""
        return self._handle.options(multiplexed_model_id=model, **more)

    def _streamed(
        self, jobs: Sequence[Job], wanted: Callable[[int], bool]
    ) -> Generator[Told, None, None]:
        """What a replica makes, until nobody wants it any more; Lost where nothing more comes."""
        response = self._for(jobs[0].model, stream=True).grow.remote(jobs)
        made: queue.SimpleQueue[Made | BaseException | None] = queue.SimpleQueue()
        memory: Memory | None = None

        def listen() -> None:
            try:
                for one in response:
                    made.put(one)
                made.put(None)
            except BaseException as error:
                made.put(error)

        # the stream cannot be asked whether there is more; who has left must not wait for it
        threading.Thread(target=listen, daemon=True, name="replica").start()
        try:
            while any(wanted(number) for number in range(len(jobs))):
                try:
                    one = made.get(timeout=LOOK_EVERY)
                except queue.Empty:
                    continue
                if one is None:
                    return
                if isinstance(one, BaseException):
                    if memory is not None:
                        self._memories.pop(memory.replica, None)
                    raise Lost(f"{type(one).__name__}: {one}") from one
                number, event = one
                if isinstance(event, Memory):
                    memory = self._memories[event.replica] = event
                    continue
                if number == FAILED:
                    assert isinstance(event, Exception)
                    raise event
                yield number, event
        finally:
            response.cancel()


@dataclass(frozen=True)
class Fleet:
    """Replicas that are there to be asked.

    Attributes:
        handle: Serve's, of `Replica`.
        own: whether this studio has started them, and ends them.
    """

    handle: Any
    own: bool

    def leave(self) -> None:
        """Let go of the cluster; end the replicas, where they are this studio's own."""
        import ray  # pyright: ignore[reportMissingImports]
        from ray import serve  # pyright: ignore[reportMissingImports]

        if self.own:
            serve.delete(APPLICATION)
        ray.shutdown()


def _is_news(event: Event | Exception, told: int) -> bool:
    """Whether an event was not told before: `told` is the last step that was."""
    if isinstance(event, Stepped):
        return event.step > told
    return told == 0 or not isinstance(event, Loading | Likeness)


def deploy(device: str, keep: int, first: str | None, replicas: tuple[int, int]) -> Fleet:
    """Start replicas on the cluster of RAY_ADDRESS, else on this machine.

    Where another studio has started them on that cluster, they are shared, as they are.

    Args:
        device, keep: as `Engines.configure`; each replica has a GPU of its own where there are any.
        first: the model that a replica has in memory before it is used, if any.
        replicas: least and most of them.

    Raises:
        ValueError: `ray` is not installed, or they cannot be started.
    """
    # else a thread of Serve's that outlives `ray.shutdown` starts a Ray of its own
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports] -- an extra
        from ray import serve  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            "--engine: got ray, which is not installed, expected it beside the studio; "
            "pip install -r requirements-ray.txt"
        ) from error

    class Served(Replica):
        @serve.multiplexed(max_num_models_per_replica=keep)
        async def here(self, model: str) -> str:
            """Serve notes that this replica has the model; engines are kept by the same rule."""
            return model

        async def grow(self, jobs: Sequence[Job]) -> AsyncGenerator[Made, None]:
            await self.here(jobs[0].model)
            async with aclosing(super().grow(jobs)) as made:
                async for one in made:
                    yield one

    code = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")]))
    least, most = replicas
    log.info("starting %d to %d replicas", least, most)
    try:
        ray.init(runtime_env={"env_vars": {"PYTHONPATH": path}}, log_to_driver=False)
        of_cluster = device == "auto" and "GPU" in ray.cluster_resources()
        served = serve.deployment(
            Served,
            name="engine",
            max_ongoing_requests=1,
            ray_actor_options={
                "num_cpus": 1,
                "num_gpus": 1 if of_cluster or device.startswith("cuda") else 0,
            },
            autoscaling_config={
                "min_replicas": least,
                "max_replicas": most,
                "target_ongoing_requests": 1,
            },
        )
        serve.start(proxy_location="Disabled")
        while (there := serve.status().applications.get(APPLICATION)) is not None:
            if there.status != "DEPLOYING":  # by a studio that was started just before
                break
            time.sleep(LOOK_EVERY)
        if there is not None and there.status == "RUNNING":
            log.info("another studio's replicas are shared; --replicas, --device are as it said")
            return Fleet(serve.get_app_handle(APPLICATION), own=False)
        bound = served.bind(partial(grower, device, keep), first)
        return Fleet(serve.run(bound, name=APPLICATION, route_prefix=None), own=True)
    except Exception as error:  # Ray's own are of many kinds, some of them plain
        log.debug("no replicas", exc_info=True)
        raise ValueError(
            f"--replicas: got {least} to {most}, which could not be started "
            f"({' '.join(str(error).split())[:200]}); ask for fewer, or look into the logs of ray"
        ) from error


def grower(device: str, keep: int) -> Grower:
    """What a replica runs."""
    engines = Engines(Engine.load, list_models)
    engines.configure(device, keep)
    return Grower(engines)
