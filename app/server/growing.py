"""A job is grown: what the engine makes of it step by step, as arrays, for whoever tells it on."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.files.recipe import Recipe, recipe_of
from app.server.engines import Closed, Engines
from app.server.errors import Refused
from app.server.given import blended, encoded, likeness, pasted
from app.server.jobs import Job
from app.server.zero import on_gpu
from nar_core import Engine, Frame

log = logging.getLogger(__name__)

SECONDS_PER_NEWS = 0.25
"""How often a model that is being fetched or loaded is asked how far it is."""

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
        self._on_device = on_gpu(self._run, duration=self.seconds_on_gpu)

    def grow(
        self, job: Job, loaded: Callable[[], None] = lambda: None
    ) -> Generator[Event, None, None]:
        """The events of one growth; closing this ends it. `loaded` is called before the first step.

        Raises:
            Refused: what to download and where to put it.
        """
        yield from self._engine(job)
        loaded()
        yield from self._on_device(job)

    def _engine(self, job: Job) -> Generator[Loading, None, None]:
        """Have the engine in memory.

        Closing this stops a transfer; what has come is kept and gone on with next time.
        """
        if self.engines.resident(job.model):
            return
        told = Loading(f"Loading {self.engines.info(job.model).title}", None)
        closed = threading.Event()

        def progress(text: str, share: float | None) -> None:
            nonlocal told
            if closed.is_set():
                raise Closed
            told = Loading(text[:1].upper() + text[1:], share)

        loading: Future[None] = Future()

        def load() -> None:
            try:
                engine = self.engines.get(job.model, progress)
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

    def _run(self, job: Job) -> Generator[Event, None, None]:
        """Run the engine. On a shared GPU this runs in a process of its own (see `zero.py`)."""
        engine = self.engines.get(job.model)
        prepared = job.prepared
        if isinstance(prepared.request.known, Image.Image):
            prepared, tokens = encoded(engine, prepared)
            yield Likeness(likeness(engine, tokens))
        plan = prepared.plan
        order = np.zeros(plan.grid.cells, np.int64)
        for number, step in enumerate(plan.steps, 1):
            order[step.positions] = number
        last, spent = None, 0.0
        frames = engine.generate(prepared)
        try:
            for frame in frames:
                last, preview, guess = frame, None, None
                if job.previews and engine.info.accepts_known:
                    preview = engine.preview(frame.tokens)
                    preview = pasted(preview, job.original)
                elif job.previews and self._may_guess(engine, frame, spent):
                    guess, cost = self._guess(engine, frame)
                    spent += cost
                yield _stepped(frame, order, preview, guess)
        finally:
            frames.close()
        if last is None:
            raise RuntimeError("the engine returned no step")
        video = engine.decode(last.tokens)
        yield Finished(
            model=job.model,
            total=int(last.total),
            order=order,
            tokens=last.tokens,
            confidence=last.confidence,
            elapsed=float(last.elapsed),
            passes=int(last.passes),
            video=blended(video, job.original),
            recipes=[recipe_of(engine, last, order, i) for i in range(len(last.tokens))],
        )

    def seconds_on_gpu(self, job: Job) -> int:
        """How long a shared GPU is asked for: the plan's steps, and time to begin and to decode.

        Generous for the largest model on the GPUs lent there; what is not used is given back.
        """
        prepared, steps = job.prepared, job.prepared.plan.total
        if prepared.request.resume is not None:
            steps -= prepared.request.resume.step
        parameters = self.engines.info(job.model).parameters
        each = 0.05 + 0.02 * prepared.num_samples * parameters / 1e9
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
