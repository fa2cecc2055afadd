"""The page's server side in one piece: engines, the line before them, and what is asked of both."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import secrets
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import anyio
import numpy as np

from app.server.bounds import MOST_OF_ONE, MOST_TOGETHER, MOST_WAITING
from app.server.engines import Engines
from app.server.errors import Busy, Stopped, named, sentence
from app.server.form import Form, typed
from app.server.gate import Listeners
from app.server.growing import Event, Finished, Grower, Loading, Stepped
from app.server.jobs import Desk, Job
from app.server.line import Asked, Line, Ticket
from app.server.metrics import Metrics
from app.server.pictionary import pictionary
from app.server.shelf import Shelf
from app.server.telling import Teller, messages, replayed, understood
from app.server.turns import Client
from app.wire import (
    RELOAD,
    ExampleAnswer,
    Explanation,
    Message,
    Reading,
    VocabularyAnswer,
    WordsAnswer,
    bytes_of_uri,
    data_uri,
    name_of,
    run_of,
    start_of,
)
from nar_core import ModelInfo, ideas, samples
from nar_core.files import (
    FORMATS,
    LIMITS,
    MAX_PARTS,
    Limits,
    clip_bytes,
    growth_gif,
    png_bytes,
    read_file,
    read_picture,
    read_png,
    room,
)
from nar_core.foreign import Fields, is_number, shown

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Growth:
    """A job in the line, and how its events are told to whoever waits for it."""

    job: Job
    tell: Callable[[Event], Iterable[Any]]


MOST_KEPT = 100_000_000
"""Bytes of a file made here."""

IDEAS = 200
"""Prompts that a world is asked for, to pick from."""

EXAMPLE = 4
"""Random seed of the picture that a world shows first: a meadow, a thing in a scene."""


class Studio:
    """Holds engines and the waiting line, never anybody's tokens.

    Args:
        limits: the largest file and picture that are taken.
        most_waiting: how many growths may wait; of_one: how many of one session.
        together: how many pictures are grown at once.
        grower: grows them; here, where nothing is said. lanes: how many batches at a time.
    """

    def __init__(
        self,
        engines: Engines,
        limits: Limits = LIMITS,
        most_waiting: int = MOST_WAITING,
        of_one: int = MOST_OF_ONE,
        together: int = MOST_TOGETHER,
        grower: Grower | None = None,
        lanes: int = 1,
    ) -> None:
        self.engines, self.limits = engines, limits
        self.listeners, self.shelf = Listeners(), Shelf()
        self._readings: dict[Client, str] = {}
        self.desk = Desk(engines, limits)
        self.grower = grower or Grower(engines)
        self.metrics = Metrics()
        self.line = Line(
            most_waiting, self.listeners.present, of_one, together, self.metrics.growth, lanes
        )
        # a page calls first and listens then: its turn begins with that, not with the next look
        self.listeners.came = self.line.look
        self.metrics.watch("nar_waiting", "Growths that wait", lambda: self.line.waiting)
        self.metrics.watch("nar_running", "Growths under way", lambda: self.line.running)

    def health(self) -> dict[str, Any]:
        """Whether it lives, takes growths, and which models are in memory."""
        return {
            "alive": self.line.alive,
            "ready": not self.line.closing,
            "models": self.grower.loaded(),
            "waiting": self.line.waiting,
            "running": self.line.running,
        }

    def warm(self, name: str) -> None:
        """Have a model in memory and its first steps behind it, before anybody comes.

        In the line, as everything that runs an engine: who comes meanwhile waits for it.
        """

        def warming(tickets: Sequence[Ticket]) -> Generator[tuple[int, Any], None, None]:
            yield 0, self.grower.warm(name)

        async def heard() -> None:
            async for _ in self.line.join("warm", Asked(warming, kind="warming")).made():
                pass

        try:
            asyncio.run(heard())
        except (Busy, Stopped):
            log.info("%s is not warmed: the studio is being stopped", name)

    # ---- growths of the page ------------------------------------------------------------------

    def start(self, form: Form, event: Any, client: Client) -> str:
        """Check a start of the player and put it into the line; the name of its run.

        Raises:
            ValueError: why it cannot be grown. Busy, Stopped: as `Line.join`.
        """
        start = start_of(event, self.limits.upload)
        job = self.desk.job(form, start)
        teller = Teller(job.run, job.expected)
        asked = self._asked(job, teller.told, kind="page", signs=True)
        self._join(start.run, asked, client, job)
        return start.run

    def compare(self, form: Form, event: Any, client: Client) -> str:
        """As `start` for the lab: its panes are grown one after the other in one turn."""
        start = start_of(event, self.limits.upload)
        jobs = self.desk.comparison(form, start)

        def panes(tickets: Sequence[Ticket]) -> Generator[tuple[int, dict[str, Any]], None, None]:
            for pane, job in enumerate(jobs):
                events = self.grower.grow(job, tickets[0].restart)
                for message in messages(events, job.run, job.expected):
                    yield 0, {**message, "pane": pane}

        def told(event: Event) -> Iterable[dict[str, Any]]:
            teller = Teller(start.run, None)
            return ({**message, "pane": 0} for message in teller.told(event))

        befores = (self._before(job.model, told) for job in jobs)
        before = next(filter(None, befores), None)  # others are only offered where they are here
        asked = Asked(panes, kind="comparison", before=before)
        self._join(start.run, asked, client, *jobs)
        return start.run

    def events(self, job: Job, client: Client) -> AsyncGenerator[Event, None]:
        """The events of a job, for a program, when its turn has come."""
        return self._join(job.run, self._asked(job, lambda event: (event,)), client, job).made()

    async def explained(self, file: bytes, cell: tuple[int, ...], client: Client) -> Explanation:
        """Why a cell of a file became what it is, when its turn in the line has come.

        Raises:
            ValueError: why it cannot be told. Busy, Stopped: as `Line.join`.
        """
        job = await anyio.to_thread.run_sync(self.desk.again, "explain", file)
        return await self._once(job.model, lambda: self.grower.explain(job, cell), client)

    async def disagreement(self, file: bytes, client: Client) -> list[list[list[float]]]:
        """Where the heads disagreed in a file, when its turn has come. Raises as `explained`."""
        job = await anyio.to_thread.run_sync(self.desk.again, "explain", file)
        return await self._once(job.model, lambda: self.grower.disagreement(job), client)

    async def reading(
        self, model: str, picture: bytes, client: Client, name: str = "picture"
    ) -> Reading:
        """What a model makes of a picture, see `given.reading`, when its turn in the line has come.

        Who has another picture read does not wait for the one before any more.

        Args:
            name: of the picture, for messages.

        Raises:
            ValueError: why it cannot be read. Busy, Stopped: as `Line.join`.
        """
        size = self.engines.info(model).size
        run = f"read-{secrets.token_hex(6)}"
        if earlier := self._readings.get(client):
            self.line.stop(earlier)
        self._readings[client] = run

        def sized() -> np.ndarray:
            with named(name), room():
                return read_picture(picture, size, self.limits)

        try:
            pixels = await anyio.to_thread.run_sync(sized)
            return await self._once(model, lambda: self.grower.read(model, pixels), client, run)
        finally:
            if self._readings.get(client) == run:
                del self._readings[client]

    async def _once(
        self, model: str, answer: Callable[[], T], client: Client, run: str | None = None
    ) -> T:
        """What needs a model's engine and ends with one answer, when its turn has come."""
        self.engines.allow(model, client)
        run = run or f"once-{secrets.token_hex(6)}"

        def told(tickets: Sequence[Ticket]) -> Generator[tuple[int, T], None, None]:
            tickets[0].restart()
            yield 0, answer()

        asked = Asked(told, before=self._before(model, lambda event: ()))
        async with aclosing(self.line.join(run, asked, client).made()) as answers:
            # to its end: who leaves before has stopped it
            made = [made async for made in answers]
        return made[-1]

    def _join(self, run: str, asked: Asked, client: Client, *jobs: Job) -> Ticket:
        """As `Line.join`; ValueError where a model would have to be fetched and may not be."""
        for job in jobs:
            self.engines.allow(job.model, client)
        return self.line.join(run, asked, client)

    def _asked(self, job: Job, tell: Callable[[Event], Iterable[Any]], **more: Any) -> Asked:
        rows, before = job.prepared.num_samples, self._before(job.model, tell)
        return Asked(self._grown, Growth(job, tell), job.kin, rows, before=before, **more)

    def _before(
        self, model: str, tell: Callable[[Event], Iterable[Any]]
    ) -> Callable[[Ticket], None] | None:
        """What brings a model that is not on this machine."""
        if not self.grower.lacks(model):
            return None

        def bringing(ticket: Ticket) -> None:
            def told(event: Loading) -> None:
                for made in tell(event):
                    ticket.put(made)

            self.grower.bring(model, told, lambda: ticket.over or self.line.left(ticket))

        return bringing

    def _grown(self, tickets: Sequence[Ticket]) -> Generator[tuple[int, Any], None, None]:
        """Growths of one kin, each told in its own way."""
        asked: list[Growth] = [ticket.job for ticket in tickets]

        def loaded() -> None:
            for ticket in tickets:
                ticket.restart()

        events = self.grower.grow_together(
            [growth.job for growth in asked],
            loaded,
            lambda number: not (tickets[number].over or self.line.left(tickets[number])),
        )
        step, elapsed = 0, 0.0
        with closing(events):
            for number, event in events:
                if isinstance(event, Stepped) and event.step != step:
                    self.metrics.step(event.elapsed - elapsed)
                    step, elapsed = event.step, event.elapsed
                if isinstance(event, Finished):
                    self.metrics.grown(event.elapsed)
                if isinstance(event, Exception):
                    yield number, event
                elif not tickets[number].over:
                    yield from self._told(number, asked[number], event)

    def _told(
        self, number: int, growth: Growth, event: Event
    ) -> Generator[tuple[int, Any], None, None]:
        try:
            for made in growth.tell(event):
                yield number, made
            if isinstance(event, Finished):  # before the pictures of the others are made
                yield number, None
        except Exception as error:  # the others are told all the same
            yield number, error

    # ---- files --------------------------------------------------------------------------------

    def read(self, file: Any) -> tuple[Any, Any]:
        """A file made here (data address) -> its recipe and frames; ValueError if it is none."""
        with room():
            return read_file(bytes_of_uri(file, self.limits.upload), self.limits)

    def replay(self, event: Any) -> Message:
        """A file dropped on the page -> its message for the player."""
        given = Fields(event, "replay", RELOAD)
        run = run_of(given.any("run"))
        with named(name_of(event)):
            data = bytes_of_uri(given.any("file"), self.limits.upload)
            return replayed(self.engines, data, run, self.limits)

    def clip(self, files: Any, kind: Any, fps: Any) -> str:
        """Clips that continue each other (data addresses) -> the address of one file.

        Raises:
            ValueError: what cannot be put together.
        """
        if not isinstance(files, list) or not 1 <= len(files) <= MAX_PARTS:
            raise ValueError(
                f"pictures: got {shown(files)}, expected a list of 1 to {MAX_PARTS} clips; "
                "send as many as that"
            )
        if not isinstance(kind, str) or kind not in FORMATS:
            raise ValueError(f"format: got {shown(kind)}, expected one of {', '.join(FORMATS)}")
        if not is_number(fps) or not 1 <= fps <= 60:
            raise ValueError(f"fps: got {shown(fps)}, expected a number from 1 to 60")
        with room():
            parts, pixels = [], 0
            for number, file in enumerate(files, 1):
                parts.append(read_png(bytes_of_uri(file, self.limits.upload), self.limits))
                pixels += parts[-1][1].size // 3
                if pixels > self.limits.pixels:
                    raise ValueError(
                        f"pictures: got {pixels:,} pixels in the first {number} clips, expected "
                        f"at most {self.limits.pixels:,} in all; put fewer together"
                    )
            return data_uri(clip_bytes(parts, kind, float(fps)), FORMATS[kind])

    def keep(self, file: str) -> Path:
        """A file made here (data address) -> where it is kept, see `shelf`."""
        kind = file[5 : file.index(";")]
        name = "nar" + (mimetypes.guess_extension(kind) or "")
        return self.shelf.put(bytes_of_uri(file, MOST_KEPT), name)

    # ---- what the page asks at once -------------------------------------------------------------

    def ask_place(self, run: Any) -> dict[str, float]:
        """How many are ahead of a run."""
        return self.line.place(run_of(run))

    def ask_stop(self, run: Any) -> None:
        """End a run."""
        self.line.stop(run_of(run))

    def ask_names(self, model: Any) -> list[str]:
        """Prompts to pick from: ideas from a model's world, else all that it was trained on."""
        info = self.engines.info(model)
        return list(_ideas(info) if info.world else info.names)

    def ask_vocabulary(self, model: Any) -> VocabularyAnswer:
        """The words that a model knows, with pictures."""
        return pictionary(self.engines.info(model))

    def ask_example(self, model: Any) -> ExampleAnswer:
        """A picture that a model's world draws, with its prompt."""
        drawn = samples(self.engines.info(model), 1, EXAMPLE)
        if not drawn:
            return {"picture": "", "prompt": ""}
        prompt, clip = drawn[0]
        return {"picture": data_uri(png_bytes(clip[0]), "image/png"), "prompt": prompt}

    def ask_words(self, asked: Any) -> WordsAnswer:
        """`model` and `prompt` -> what the model makes of each word."""
        given = Fields(asked, "words", RELOAD)
        info, prompt = self.engines.info(given.any("model")), typed(given.any("prompt"))
        return understood(info, prompt, self.engines.models())

    def ask_framed(self, asked: Any) -> dict[str, str]:
        """`model`, `picture` and `prompt` -> `picture` as a clip begins with it.

        An empty one where no thing alone is to be seen; see `nar_core.framed`.
        """
        given = Fields(asked, "framed", RELOAD)
        info = self.engines.info(given.any("model"))
        picture = bytes_of_uri(given.any("picture"), self.limits.upload)
        made = self.desk.framed(info, picture, typed(given.any("prompt", "")))
        return {"picture": "" if made is None else data_uri(made, "image/png")}

    def ask_growth(self, asked: Any) -> dict[str, str]:
        """The growth of a picture, square or `tall`, as `file`, a GIF; or what is wrong with it."""
        given = Fields(asked, "growth", RELOAD)
        recipe, frames = self.read(given.any("file"))
        if recipe.frames > 1:
            raise ValueError("growth: got a clip, expected a picture; save it as GIF instead")
        with room():
            return {
                "file": data_uri(growth_gif(frames[0], recipe, given.flag("tall")), "image/gif")
            }

    def ask_clip(self, asked: Any) -> dict[str, str]:
        """`files`, `format` and `fps` -> `file`, or what is wrong with them as `error`."""
        given = Fields(asked, "clip", RELOAD)
        return {"file": self.clip(given.any("files"), given.any("format"), given.any("fps"))}

    def server_functions(self, names: Sequence[str]) -> list[Any]:
        """What the player may ask outside Gradio's queue, by their names there.

        None of them raises: a failure is `{"error": a sentence}`.
        """
        return [_answering(name, getattr(self, f"ask_{name}")) for name in names]


@lru_cache(maxsize=8)
def _ideas(info: ModelInfo) -> tuple[str, ...]:
    """Asked for by every page that is opened, and the same each time."""
    return ideas(info, IDEAS)


def _answering(name: str, ask: Any) -> Any:
    """A server function of that name, which Gradio takes from the function itself."""

    def answer(given: Any) -> Any:
        try:
            return ask(given)
        except Exception as error:
            return {"error": sentence(error)}

    answer.__name__ = name
    return answer
