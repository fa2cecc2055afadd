"""A job is grown: what the engine makes of it step by step, as arrays, for whoever tells it on."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from app.server import zero
from app.server.engines import Closed, Engines
from app.server.errors import Refused, Stopped
from app.server.explaining import disagreement_of, explanation_of
from app.server.given import likeness, reading
from app.server.jobs import Job
from app.wire import Explanation, Reading
from nar_core import Engine, Frame, Prepared, Request, is_out_of_memory, trim_heap
from nar_core.files import Recipe, recipe_of, steps_of

log = logging.getLogger(__name__)

T = TypeVar("T")

SECONDS_PER_NEWS = 0.25
"""How often a model that is being fetched or loaded is asked how far it is."""

WARMING = 2
"""Steps of a growth that make what others find ready: one with the prompt, one without."""

SHARE_FOR_GUESSES = 0.1
"""Of the time that growing takes, what decodes of an unfinished clip may take.

Each costs as much as that of a finished clip, so how many there are follows from their cost."""


@dataclass(frozen=True)
class Loading:
    """A model is fetched or loaded; `share` of it is here, None where that is not known."""

    text: str
    share: float | None


@dataclass(frozen=True)
class Likeness:
    """What the model makes of an upload, in words."""

    text: str


@dataclass(frozen=True, eq=False)
class Stepped:
    """One decoding step of all samples.

    Attributes:
        cells: flat indices that were written, int64 [n], ascending.
        order: the step that writes each cell, int64 [N], 0 where given.
        tokens: int64 [B, n]; confidence: float32 [B, n].
        preview: quick pictures of the tokens so far, uint8 [B, F, h, w, 3], or None.
        guess: what a full decode of an unfinished clip gives, likewise, now and then.
    """

    step: int
    total: int
    cells: np.ndarray
    order: np.ndarray
    tokens: np.ndarray
    confidence: np.ndarray
    elapsed: float
    preview: np.ndarray | None = None
    guess: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Finished:
    """The end of a growth.

    Attributes:
        tokens: int64 [B, T, H, W]; confidence: float32, nan where given; order as `Stepped`.
        video: the pictures or clips, uint8 [B, F, h, w, 3]; recipes: one of each.
    """

    model: str
    total: int
    order: np.ndarray
    tokens: np.ndarray
    confidence: np.ndarray
    elapsed: float
    passes: int
    video: np.ndarray
    recipes: list[Recipe]

    @property
    def recipe(self) -> Recipe:
        """What all of them share."""
        return self.recipes[0]


Event = Loading | Likeness | Stepped | Finished


class Grower:
    """Runs engines. Holds none of anybody's tokens."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        # seconds that a full decode took, by model and number of pictures
        self._decoding: dict[tuple[str, int], float] = {}
        self._lent = zero.on_gpu(self._run, duration=self.seconds_on_gpu)
        self._lent_to_read = zero.on_gpu(self._read, duration=lambda *_: 15)
        self._lent_to_explain = zero.on_gpu(self._explained, duration=lambda *_: 15)
        self._lent_to_map = zero.on_gpu(self._mapped, duration=lambda *_: 15)

    def grow(
        self, job: Job, loaded: Callable[[], None] = lambda: None
    ) -> Generator[Event, None, None]:
        """The events of one growth; closing this ends it. `loaded` is called before the first step.

        Raises:
            Refused: what to download and where to put it.
        """
        with closing(self.grow_together([job], loaded)) as events:
            for _, event in events:
                if isinstance(event, Exception):
                    raise event
                yield event

    def grow_together(
        self,
        jobs: Sequence[Job],
        loaded: Callable[[], None] = lambda: None,
        wanted: Callable[[int], bool] = lambda number: True,
    ) -> Generator[tuple[int, Event | Exception], None, None]:
        """The events of jobs of one kin (`Job.kin`), each with the number of its job.

        A job that ends badly has an exception for its last event; `wanted` is asked before every
        step whether a job still goes on.

        Raises:
            Refused: what to download and where to put it.
        """
        for told in self._engine(jobs[0].model):
            yield from ((number, told) for number in range(len(jobs)))
        loaded()
        steps = [-1] * len(jobs)
        try:
            with closing(self._on_device(jobs, wanted)) as events:
                for number, event in events:
                    steps[number] = getattr(event, "step", 0)
                    yield number, event
        except Exception as error:
            if len(jobs) == 1 or not is_out_of_memory(error):
                raise
            log.warning("no memory for %d growths at once: one by one", len(jobs))
        else:
            return
        for number, job in enumerate(jobs):
            yield from self._alone(number, job, steps[number], wanted)

    def loaded(self) -> list[str]:
        """Names of the models in memory."""
        return self.engines.loaded()

    def lacks(self, model: str) -> bool:
        """Whether a model must be fetched before it can be loaded."""
        return not (self.engines.resident(model) or self.engines.info(model).available)

    def bring(self, model: str, told: Callable[[Loading], None], left: Callable[[], bool]) -> None:
        """Have the files of a model here, beside what is being grown; `told` how far that is.

        What has come when everybody has `left` is kept and gone on with next time.

        Raises:
            Stopped: they have left. Refused: what to download and where to put it.
        """
        last = -SECONDS_PER_NEWS

        def progress(text: str, share: float | None) -> None:
            nonlocal last
            if left():
                raise Closed
            if (now := time.monotonic()) - last >= SECONDS_PER_NEWS:
                last = now
                told(Loading(text[:1].upper() + text[1:], share))

        try:
            self.engines.bring(model, progress)
        except Closed:
            raise Stopped from None
        except ValueError as error:
            raise Refused(str(error)) from error

    def warm(self, name: str) -> None:
        """Have a model in memory and its first steps behind it, before anybody comes."""
        engine = self.engines.get(name)
        info = engine.info
        words = {"prompt": "".join(info.prompts[:1])}
        asked: dict[str, Any] = {"label": info.labels[0]} if info.labels else words
        with closing(engine.generate(Request(**asked))) as growth:
            tokens = [frame.tokens for frame in islice(growth, WARMING)][-1]
        if info.accepts_known:
            engine.preview(tokens)
        trim_heap()  # loading and these steps have freed 10 MB

    def explain(self, job: Job, cell: tuple[int, ...]) -> Explanation:
        """Why a cell of a file became what it is; see `explaining.explanation_of`.

        Raises:
            Refused: what to download and where to put it, or why it cannot be told.
        """
        explained = self._explained if zero.spaces is None else self._lent_to_explain
        return self._of_file(job, lambda: explained(job, cell))

    def disagreement(self, job: Job) -> list[list[list[float]]]:
        """Where the heads disagreed in a file, as `explaining.disagreement_of`; raises as it."""
        mapped = self._mapped if zero.spaces is None else self._lent_to_map
        return self._of_file(job, lambda: mapped(job))

    def _of_file(self, job: Job, answer: Callable[[], T]) -> T:
        """What the engine says of a file; Refused where it cannot."""
        for _ in self._engine(job.model):
            pass
        try:
            return answer()
        except ValueError as error:
            raise Refused(str(error)) from error

    def read(self, model: str, pixels: np.ndarray) -> Reading:
        """What a model makes of a picture uint8 [h, w, 3] of its size.

        Raises:
            Refused: what to download and where to put it.
        """
        for _ in self._engine(model):
            pass
        return (self._read if zero.spaces is None else self._lent_to_read)(model, pixels)

    def _read(self, model: str, pixels: np.ndarray) -> Reading:
        return reading(self.engines.get(model), pixels)

    def _explained(self, job: Job, cell: tuple[int, ...]) -> Explanation:
        return explanation_of(self.engines.get(job.model), job, cell)

    def _mapped(self, job: Job) -> list[list[list[float]]]:
        return disagreement_of(self.engines.get(job.model), job)

    def _alone(
        self, number: int, job: Job, step: int, wanted: Callable[[int], bool]
    ) -> Generator[tuple[int, Event | Exception], None, None]:
        """One job of several, without what it has told up to a step."""
        try:
            with closing(self._on_device([job], lambda _: wanted(number))) as events:
                for _, event in events:
                    if isinstance(event, Exception | Finished) or getattr(event, "step", 0) > step:
                        yield number, event
        except Exception as error:
            yield number, error

    def _on_device(
        self, jobs: Sequence[Job], wanted: Callable[[int], bool]
    ) -> Generator[tuple[int, Event | Exception], None, None]:
        # a lent GPU works in a process of its own, where nobody can be asked
        return self._run(jobs, wanted) if zero.spaces is None else self._lent(jobs)

    def _engine(self, model: str) -> Generator[Loading, None, None]:
        """Have the engine in memory.

        Closing this stops a transfer; what has come is kept and gone on with next time.
        """
        if self.engines.resident(model):
            return
        told = Loading(f"Loading {self.engines.info(model).title}", None)
        closed = threading.Event()

        def progress(text: str, share: float | None) -> None:
            nonlocal told
            if closed.is_set():
                raise Closed
            told = Loading(text[:1].upper() + text[1:], share)

        loading: Future[None] = Future()

        def load() -> None:
            try:
                engine = self.engines.get(model, progress)
                if engine.info.accepts_known:
                    # what previews look up may have to be made first; not within the first step
                    engine.preview(np.full((1, *engine.info.grid), -1))
                loading.set_result(None)
            except BaseException as error:
                loading.set_exception(error)

        # a daemon: a transfer must not keep the studio from being stopped
        threading.Thread(target=load, daemon=True).start()
        try:
            while not wait([loading], SECONDS_PER_NEWS).done:
                yield told
        finally:
            closed.set()
        try:
            loading.result()
        except ValueError as error:
            raise Refused(str(error)) from error

    def _run(
        self, jobs: Sequence[Job], wanted: Callable[[int], bool] = lambda number: True
    ) -> Generator[tuple[int, Event | Exception], None, None]:
        """Run the engine. On a shared GPU this runs in a process of its own (see `zero.py`)."""
        engine = self.engines.get(jobs[0].model)
        several: dict[int, Prepared] = {}
        for number, job in enumerate(jobs):
            several[number] = job.prepared
            pictures = job.prepared.request.known
            if job.prepared.request.keep is not None:
                try:
                    tokens = engine.read(job.prepared)
                    several[number] = job.prepared.encoded(tokens)
                    yield number, Likeness(likeness(engine, tokens[0], np.asarray(pictures)[0])[0])
                except Exception as error:  # the others have other pictures
                    del several[number]
                    yield number, error
        if not several:
            return
        numbers, plan = list(several), jobs[0].prepared.plan
        order = steps_of(plan)
        last: dict[int, Frame] = {}
        spent = 0.0
        batch = list(several.values())
        with closing(engine.generate_together(batch, lambda i: wanted(numbers[i]))) as growth:
            for frames in growth:
                for number, frame in zip(numbers, frames, strict=True):
                    if frame is None:
                        continue
                    job, last[number], preview, guess = jobs[number], frame, None, None
                    if job.previews and engine.info.accepts_known:
                        preview = engine.preview(frame.tokens)
                        if job.original is not None:
                            preview = job.original.pasted(preview)
                    elif job.previews and self._may_guess(engine, frame, spent):
                        guess, cost = self._guess(engine, frame)
                        spent += cost
                    yield number, _stepped(frame, order, preview, guess)
        for number in numbers:
            if number in last and last[number].step == plan.total:
                yield number, _finished(engine, jobs[number], last[number], order)
            else:  # nobody wanted it any more
                yield number, Stopped()

    def seconds_on_gpu(self, jobs: Sequence[Job]) -> int:
        """How long a shared GPU is asked for: the plan's steps, and time to begin and to decode.

        Generous for the largest model on the GPUs lent there; what is not used is given back.
        """
        prepared, steps = jobs[0].prepared, jobs[0].prepared.plan.total
        if prepared.request.resume is not None:
            steps -= prepared.request.resume.step
        parameters = self.engines.info(jobs[0].model).parameters
        rows = sum(job.prepared.num_samples for job in jobs)
        each = 0.05 + 0.02 * rows * parameters / 1e9
        return min(120, 10 + math.ceil(steps * each))

    def _may_guess(self, engine: Engine, frame: Frame, spent: float) -> bool:
        """Whether a full decode of an unfinished clip is due, after `spent` seconds on such.

        Only where tokens are no places; elsewhere every step has its picture. Once without knowing
        what it costs, half way; from then on as often as the share of time allows.
        """
        if frame.step == frame.total:
            return False
        cost = self._decoding.get((engine.info.name, len(frame.tokens)))
        if cost is None:
            return 2 * frame.step >= frame.total
        return spent + cost <= SHARE_FOR_GUESSES * (frame.elapsed - spent)

    def _guess(self, engine: Engine, frame: Frame) -> tuple[np.ndarray, float]:
        """What tokens decode to, a neutral one for each missing one; and the seconds it took."""
        began = time.monotonic()
        video = engine.preview(frame.tokens, full=True)
        cost = time.monotonic() - began
        self._decoding[engine.info.name, len(frame.tokens)] = cost
        return video, cost


def _finished(engine: Engine, job: Job, last: Frame, order: np.ndarray) -> Finished:
    video = engine.decode(last.tokens)
    return Finished(
        model=job.model,
        total=int(last.total),
        order=order,
        tokens=last.tokens,
        confidence=last.confidence,
        elapsed=float(last.elapsed),
        passes=int(last.passes),
        video=video if job.original is None else job.original.blended(video),
        recipes=[recipe_of(engine, last, order, i) for i in range(len(last.tokens))],
    )


def _stepped(
    frame: Frame, order: np.ndarray, preview: np.ndarray | None, guess: np.ndarray | None
) -> Stepped:
    rows = len(frame.tokens)
    cells = np.sort(np.ravel_multi_index(frame.positions.T, frame.tokens.shape[1:]))
    return Stepped(
        step=int(frame.step),
        total=int(frame.total),
        cells=cells,
        order=order,
        tokens=frame.tokens.reshape(rows, -1)[:, cells],
        confidence=frame.confidence.reshape(rows, -1)[:, cells],
        elapsed=float(frame.elapsed),
        preview=preview,
        guess=guess,
    )
