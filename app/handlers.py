"""From the form to a job, from Frames to messages for the player. No Gradio components here.

Every message is a small dict. `run` names one growth and is chosen by the browser, so a message of
an earlier run can be told from the present one. Pixels travel as data addresses: nothing is written
to disk, neither per step nor at the end.
"""

from __future__ import annotations

import base64
import logging
import math
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from app import clips, export
from app.engines import Closed, Engines
from app.export import base64_of
from app.form import Form
from app.line import Line
from app.presets import presets
from app.recipes import recipe_of, request_fields, title_of, verdict
from app.spec import comparisons
from app.zero import on_gpu
from nar_core import Engine, Frame, ModelInfo, Request, plan_of, validate

log = logging.getLogger(__name__)

SECONDS_PER_MESSAGE = 0.05
"""No more than 20 messages a second: there is no back-pressure towards a slow browser."""

MAX_PARTS = 32
"""Clips that may be put together into one file."""

UNLIKE = 1.5
"""A picture is foreign if its tokens cost so many nats more than those of a model's own kind."""

SECONDS_PER_NEWS = 0.25
"""How often a model that is being fetched or loaded is asked how far it is."""

SHARE_FOR_GUESSES = 0.1
"""Of the time that growing takes, what decodes of an unfinished clip may take.

Each costs as much as that of a finished clip, so how many there are follows from their cost."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """A picture or clip of which some cells are kept.

    Attributes:
        cells: bool [T, H, W], True where kept.
        pixels: the picture, uint8 [h, w, 3] at the model's size; None where `before` stands for it.
        tokens: int64 [T, H, W] if it was grown here, else None (it will be encoded).
        before: tokens int64 [T, H, W] of a clip whose last frames are the first of this one.
    """

    cells: np.ndarray
    pixels: np.ndarray | None = None
    tokens: np.ndarray | None = None
    before: np.ndarray | None = None

    def mask(self) -> np.ndarray:
        """Kept pixels of a picture, bool [h, w]."""
        height, width = self.pixels.shape[:2]
        rows = np.arange(height) * self.cells.shape[1] // height
        columns = np.arange(width) * self.cells.shape[2] // width
        return self.cells[0][rows[:, None], columns]

    def encoded(self, engine: Engine) -> np.ndarray:
        """Its tokens, int64 [T, H, W]; those of cells that are not kept mean nothing."""
        if self.tokens is not None:
            return self.tokens
        frames = engine.info.frames
        if self.before is None:
            clip = self.pixels[None]
        else:
            kept = self.cells.all((1, 2))[list(engine.info.slice_of_frame)]
            clip = engine.decode(self.before[None])[0][frames - int(kept.sum()) :]
        # frames that are not kept stand still: the tokens of kept slices do not depend on them
        clip = np.concatenate([clip, np.repeat(clip[-1:], frames - len(clip), 0)])
        return engine.encode(clip[None])[0]


@dataclass(frozen=True, eq=False)
class Job:
    """One growth, checked and ready for the engine."""

    run: str
    model: str
    request: Request
    canvas: Canvas | None = None
    expected: export.Recipe | None = None
    """The recipe this run must reproduce ("make again")."""


def _pictures(number: Any) -> int:
    offered = presets()["limits"]["pictures"]
    if number not in offered:
        raise ValueError(f"branch: got {number!r} pictures, expected one of {offered}")
    return number


def _raw(text: str, dtype: str, shape: tuple[int, ...], what: str) -> np.ndarray:
    """Base64 of little-endian values from the browser -> array; ValueError if it does not fit."""
    try:
        data = base64.b64decode(text, validate=True)
        return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what}: not readable ({error}); reload the page") from error


def fit(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Any image -> uint8 [h, w, 3] of the model's size: centre crop, transparency on white."""
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    height, width = size
    scale = max(width / picture.width, height / picture.height)
    box_w, box_h = width / scale, height / scale
    left, top = (picture.width - box_w) / 2, (picture.height - box_h) / 2
    box = (left, top, left + box_w, top + box_h)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS, box=box))


class Studio:
    """The page's server side. Holds engines and the waiting line, never anybody's tokens."""

    def __init__(self, engines: Engines, limits: export.Limits = export.LIMITS) -> None:
        self.engines, self.limits = engines, limits
        self.line = Line()
        # seconds that a full decode took, by model and number of pictures
        self._decoding: dict[tuple[str, int], float] = {}
        self._growth: Iterator[dict[str, Any]] | None = None
        self._on_device = on_gpu(self._run, duration=self.seconds_on_gpu)

    # ---- before compute is spent -------------------------------------------------------------

    def check(self, form: Form, start: dict[str, Any]) -> Job:
        """Form and player state -> a job the engine accepts; ValueError with the remedy if not."""
        run = str(start.get("run", ""))[:64]
        if start.get("file"):
            return self._check_again(run, start["file"])
        info = self.engines.info(form.model)
        if start.get("resume"):
            # a branch has as many pictures as what it leaves, whatever the form says by now
            form = replace(form, pictures=_pictures(start["resume"]["pictures"]))
        request = form.request(info, start.get("seed"))
        canvas = None
        if start.get("canvas"):
            canvas = self._canvas(info, start["canvas"])
            if canvas.tokens is None and start.get("resume"):
                shape = (request.num_samples, *info.grid)
                words = _raw(start["resume"]["tokens"], "uint16", shape, "branch")
                canvas = replace(canvas, tokens=words[0].astype(np.int64))
            # an upload is encoded in the engine's lane; until then its cells count as known
            tokens = np.zeros(info.grid, np.int64) if canvas.tokens is None else canvas.tokens
            request = replace(request, known=np.where(canvas.cells, tokens, -1))
        if start.get("resume"):
            request = self._resume(info, request, start["resume"])
        request = validate(info, request)
        self.line.join(run)
        return Job(run, form.model, request, canvas)

    def _canvas(self, info: ModelInfo, given: dict[str, Any]) -> Canvas:
        shape = tuple(info.grid)

        def grid_of(name: str) -> np.ndarray | None:
            text = given.get(name)
            return _raw(text, "uint16", shape, "tokens").astype(np.int64) if text else None

        cells = _raw(given["keep"], "uint8", shape, "kept cells").astype(bool)
        if not cells.any():
            raise ValueError("Nothing of the picture is kept. Keep a part of it, or use Image.")
        if given.get("before"):
            return Canvas(cells, before=grid_of("before"))
        data = export.from_data_uri(given["picture"], self.limits)
        picture = export.open_picture(data, self.limits)
        return Canvas(cells, fit(picture, info.size), grid_of("tokens"))

    def _resume(self, info: ModelInfo, request: Request, given: dict[str, Any]) -> Request:
        """Go on from step k of an earlier run, whose tokens the browser has kept."""
        shape = (request.num_samples, *info.grid)
        words = _raw(given["tokens"], "uint16", shape, "branch").astype(np.int64)
        sure = _raw(given["confidence"], "uint8", shape, "branch")
        parent = validate(info, request)
        plan = plan_of(info, parent)
        step = int(given["step"])
        if not 1 <= step < plan.total:
            raise ValueError(f"branch: got step {step}, expected 1 to {plan.total - 1}")
        done = np.concatenate([s.positions for s in plan.steps[:step]])
        written = plan.known.copy()
        written[done] = True
        tokens = np.where(written, words.reshape(len(words), -1), -1)
        if (tokens[:, written] == export.UNKNOWN_TOKEN).any():
            raise ValueError("branch: steps before it are missing; scrub to it again, then branch")
        confidence = np.where(sure == export.UNKNOWN_CONFIDENCE, np.nan, sure / 254)
        confidence = np.where(written, confidence.reshape(len(words), -1), np.nan)
        frame = Frame(
            step=step,
            total=plan.total,
            positions=np.stack(np.unravel_index(plan.steps[step - 1].positions, plan.grid), 1),
            tokens=tokens.reshape(shape),
            confidence=confidence.reshape(shape).astype(np.float32),
            elapsed=0.0,
            request=parent,
            passes=0,
        )
        return replace(request, resume=frame)

    def _check_again(self, run: str, file: str) -> Job:
        """The job that remakes a file from its recipe."""
        recipe, pixels = self.read(file)
        info = self.engines.info(recipe["model"])
        if list(info.grid) != list(recipe["grid"]):
            raise ValueError(
                f"The file was made on a grid of {recipe['grid']}, {info.name} has "
                f"{list(info.grid)}. It can be replayed, not made again."
            )
        given = {k: v for k, v in recipe["request"].items() if k in Request.__dataclass_fields__}
        for name in ("prompt", "label", "seed_position"):
            if isinstance(given.get(name), list):
                given[name] = tuple(given[name])
        # A recipe from before there was min_p was made without it.
        request = Request(**{"min_p": 0.0, **given})
        cells = int(np.prod(recipe["grid"]))
        steps = export.unpack(recipe["steps"], "uint16", cells)
        tokens = export.unpack(recipe["tokens"], "uint16", cells).astype(np.int64)
        canvas = None
        if (steps == 0).any():
            kept = (steps == 0).reshape(info.grid)
            canvas = Canvas(kept, pixels, tokens.reshape(info.grid))
            request = replace(request, known=np.where(kept, canvas.tokens, -1))
        if recipe.get("resumed_from"):
            sure = export.unpack(recipe["confidence"], "uint8", cells)
            n = request.num_samples
            request = self._resume(
                info,
                request,
                {
                    "step": recipe["resumed_from"],
                    "tokens": base64_of(np.tile(tokens.astype("<u2"), (n, 1))),
                    "confidence": base64_of(np.tile(sure, (n, 1))),
                },
            )
        request = validate(info, request)
        self.line.join(run)
        return Job(run, recipe["model"], request, canvas, recipe)

    def comparisons(self, model: str) -> list[dict[str, Any]]:
        """What the lab can compare with a model and those on this machine."""
        here = [m for m in self.engines.models() if m.available]
        return comparisons(self.engines.info(model), here)

    def check_comparison(self, form: Form, start: dict[str, Any]) -> list[Job]:
        """One job per pane of the lab, all checked before the first is started."""
        sets = {s["name"]: s["panes"] for s in self.comparisons(form.model)}
        if start.get("compare") not in sets:
            raise ValueError(f"compare: got {start.get('compare')!r}, expected {', '.join(sets)}")
        run = str(start.get("run", ""))[:64]
        jobs = []
        for pane in sets[start["compare"]]:
            asked = replace(form, **pane["form"])
            info = self.engines.info(asked.model)
            request = asked.request(info, pane["seed"])
            jobs.append(Job(run, asked.model, validate(info, request)))
        self.line.join(run)
        return jobs

    def compare(self, jobs: Sequence[Job]) -> Iterator[dict[str, Any]]:
        """Grow the panes one after the other; their messages say which pane they belong to."""
        for pane, message in self._in_line(jobs):
            yield {**message, "pane": pane}

    # ---- growing ------------------------------------------------------------------------------

    def _engine(self, job: Job) -> Generator[dict[str, Any], None, Engine]:
        """The engine of a job; while it is fetched and loaded, messages that tell how far it is.

        Closing this generator stops a transfer; what has come is kept and gone on with next time.
        """
        if self.engines.resident(job.model):
            return self.engines.get(job.model)
        title = self.engines.info(job.model).title
        told: dict[str, Any] = {"text": f"Loading {title}", "share": None}
        closed = threading.Event()

        def progress(text: str, share: float | None) -> None:
            if closed.is_set():
                raise Closed
            told.update(text=text[:1].upper() + text[1:], share=share)

        loading: Future[Engine] = Future()

        def load() -> None:
            try:
                engine = self.engines.get(job.model, progress)
                if engine.info.accepts_known:
                    # what previews look up may have to be made first; not within the first step
                    engine.preview(np.full((1, *engine.info.grid), -1))
                loading.set_result(engine)
            except BaseException as error:
                loading.set_exception(error)

        # a daemon: a transfer must not keep the studio from being stopped
        threading.Thread(target=load, daemon=True).start()
        try:
            while not wait([loading], SECONDS_PER_NEWS).done:
                yield {"kind": "progress", "run": job.run, **told}
        finally:
            closed.set()
        return loading.result()

    def grow(self, job: Job) -> Iterator[dict[str, Any]]:
        """Messages of one growth. Closing this, or `line.stop`, ends it within one step."""
        for _, message in self._in_line([job]):
            yield message

    def _in_line(self, jobs: Sequence[Job]) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, message) of jobs of one run, which hold their place in the line together."""
        run = jobs[0].run
        if not self.line.enter(run):
            return
        if self._growth is not None:
            self._growth.close()  # left open by a client that went away before its first message
        growth = None
        try:
            for number, job in enumerate(jobs):
                growth = self._growth = self._grow(job)
                for message in growth:
                    yield number, message
                    if self.line.stopped(run):
                        return
        finally:
            if growth is not None:
                growth.close()
            self.line.leave(run)

    def _grow(self, job: Job) -> Iterator[dict[str, Any]]:
        """Have the engine, then run it."""
        yield from self._engine(job)
        self.line.restart(job.run)  # a download says nothing about how long growing takes
        yield from self._on_device(job)

    def _run(self, job: Job) -> Iterator[dict[str, Any]]:
        """Run the engine. On a shared GPU this runs in a process of its own (see `zero.py`)."""
        frames = None
        try:
            engine = self.engines.get(job.model)
            request = job.request
            if job.canvas is not None and job.canvas.tokens is None:
                tokens = job.canvas.encoded(engine)
                request = replace(request, known=np.where(job.canvas.cells, tokens, -1))
                yield {"kind": "likeness", "run": job.run, "text": likeness(engine, tokens)}
            plan = engine.plan(request)
            frames = engine.generate(request)
            steps = np.zeros(plan.grid.cells, np.int64)
            for number, step in enumerate(plan.steps, 1):
                steps[step.positions] = number
            batch, sent, last, spent = [], 0.0, None, 0.0
            for frame in frames:
                last = frame
                batch.append(self._step(engine, job, frame))
                if self._may_guess(engine, frame, spent):
                    batch[-1]["guess"], cost = self._guess(engine, frame)
                    spent += cost
                if time.monotonic() - sent >= SECONDS_PER_MESSAGE:
                    yield self._steps_message(job, plan.total, steps, batch)
                    batch, sent = [], time.monotonic()
                if self.line.stopped(job.run):
                    return
            if last is None:
                raise RuntimeError("the engine returned no step")
            if batch:
                yield self._steps_message(job, plan.total, steps, batch)
            yield self._done(engine, job, last, steps)
        finally:
            if frames is not None:
                frames.close()

    def seconds_on_gpu(self, job: Job) -> int:
        """How long a shared GPU is asked for: the plan's steps, and time to begin and to decode.

        Generous for the largest model on the GPUs lent there; what is not used is given back.
        """
        info = self.engines.info(job.model)
        steps = plan_of(info, job.request).total
        if job.request.resume is not None:
            steps -= job.request.resume.step
        each = 0.05 + 0.02 * job.request.num_samples * info.parameters / 1e9
        return min(120, 10 + math.ceil(steps * each))

    def _picture(self, job: Job, video: np.ndarray, blend: bool) -> np.ndarray:
        """Decoded uint8 [B, F, h, w, 3] with the kept pixels of an upload put back exactly.

        A clip shows what its tokens decode to: pixels put back into some frames would flicker.
        """
        if job.canvas is None or video.shape[1] > 1:
            return video
        original, mask = job.canvas.pixels, job.canvas.mask()
        out = video.copy()
        for sample in out:
            for frame in sample:
                if blend:
                    reach = original.shape[0] // job.canvas.cells.shape[1]
                    frame[:] = export.keep_pixels(frame, original, mask, reach)
                else:
                    frame[mask] = original[mask]
        return out

    def _step(self, engine: Engine, job: Job, frame: Frame) -> dict[str, Any]:
        t, h, w = np.asarray(frame.positions).T
        order = np.argsort(np.ravel_multi_index((t, h, w), frame.tokens.shape[1:]))
        at = (slice(None), t[order], h[order], w[order])
        return {
            "step": int(frame.step),
            "tokens": base64_of(export.token_words(frame.tokens[at]).astype("<u2")),
            "confidence": base64_of(export.confidence_bytes(frame.confidence[at])),
            "sheet": self._sheet(engine, job, frame),
            "elapsed": round(float(frame.elapsed), 4),
        }

    def _may_guess(self, engine: Engine, frame: Frame, spent: float) -> bool:
        """Whether a full decode of an unfinished clip is due, after `spent` seconds on such.

        Only where tokens are no places; elsewhere every step has its picture. Once without knowing
        what it costs, half way; from then on as often as the share of time allows.
        """
        if engine.info.accepts_known or frame.step == frame.total:
            return False
        cost = self._decoding.get((engine.info.name, len(frame.tokens)))
        if cost is None:
            return 2 * frame.step >= frame.total
        return spent + cost <= SHARE_FOR_GUESSES * (frame.elapsed - spent)

    def _guess(self, engine: Engine, frame: Frame) -> tuple[str, float]:
        """What tokens decode to, a neutral one for each missing one; and the seconds it took."""
        began = time.monotonic()
        video = engine.preview(frame.tokens, full=True)
        cost = time.monotonic() - began
        self._decoding[engine.info.name, len(frame.tokens)] = cost
        sheet = np.concatenate([export.sheet(clip) for clip in video])
        return export.data_uri(export.jpeg_bytes(sheet), "image/jpeg"), cost

    def _sheet(self, engine: Engine, job: Job, frame: Frame) -> str | None:
        """Quick pictures of the tokens so far; None where tokens are no places in a picture."""
        if not engine.info.accepts_known:
            return None
        preview = engine.preview(frame.tokens)
        video = self._picture(job, preview, blend=False)
        sheet = np.concatenate([export.sheet(clip) for clip in video])
        return export.data_uri(export.jpeg_bytes(sheet), "image/jpeg")

    def _steps_message(
        self, job: Job, total: int, steps: np.ndarray, batch: list[dict[str, Any]]
    ) -> dict[str, Any]:
        return {
            "kind": "steps",
            "run": job.run,
            "total": total,
            "order": base64_of(steps.astype("<u2")),
            "frames": batch,
        }

    def pictures(
        self, engine: Engine, job: Job, frame: Frame, steps: np.ndarray
    ) -> tuple[list[str], list[export.Recipe]]:
        """The full decode as PNG data addresses (animated for clips), each with its recipe."""
        decoded = engine.decode(frame.tokens)
        video = self._picture(job, decoded, blend=True)
        recipes = [recipe_of(engine, frame, steps, i) for i in range(len(frame.tokens))]
        files = [
            export.data_uri(export.png_bytes(clip, recipe, engine.info.fps), "image/png")
            for clip, recipe in zip(video, recipes, strict=True)
        ]
        return files, recipes

    def _done(self, engine: Engine, job: Job, frame: Frame, steps: np.ndarray) -> dict[str, Any]:
        pictures, recipes = self.pictures(engine, job, frame, steps)
        return {
            "sheets": sheets_of(pictures, engine.info.frames, engine.info.fps),
            "kind": "done",
            "run": job.run,
            "total": int(frame.total),
            "order": base64_of(steps.astype("<u2")),
            "tokens": base64_of(export.token_words(frame.tokens).astype("<u2")),
            "confidence": base64_of(export.confidence_bytes(frame.confidence)),
            "pictures": pictures,
            "elapsed": round(float(frame.elapsed), 4),
            "passes": int(frame.passes),
            "request": request_fields(frame.request),
            "digest": engine.digest,
            "verdict": None if job.expected is None else verdict(job.expected, recipes),
        }

    # ---- files --------------------------------------------------------------------------------

    def read(self, file: str) -> tuple[export.Recipe, np.ndarray]:
        """A file made here (data address) -> its recipe and pixels; ValueError if it is not.

        Pixels are uint8 [h, w, 3], or all frames [F, h, w, 3] of an MP4.
        """
        data = export.from_data_uri(file, self.limits)
        if clips.is_mp4(data):
            return clips.read_clip(data, self.limits)
        return export.read_recipe(data, self.limits)

    def replay(self, file: str, run: str = "replay") -> dict[str, Any]:
        """A dropped file (data address) -> everything the player needs, without any model."""
        recipe, pixels = self.read(file)
        if pixels.ndim == 4:  # from here on as if it had been saved as the PNG the page works with
            data = export.png_bytes(pixels, recipe, float(recipe["fps"]))
            file, pixels = export.data_uri(data, "image/png"), pixels[0]
        known = {m.name: m for m in self.engines.models()}
        same_model = (
            recipe["model"] in known and list(known[recipe["model"]].grid) == recipe["grid"]
        )
        cells = int(np.prod(recipe["grid"]))
        steps = export.unpack(recipe["steps"], "uint16", cells)
        return {
            "kind": "replay",
            "run": run,
            "total": int(steps.max()),
            "spec": {
                "model": recipe["model"],
                "grid": recipe["grid"],
                "size": list(pixels.shape[:2]),
                "frames": int(recipe["frames"]),
                "fps": float(recipe["fps"]),
                "slice_of_frame": recipe["slice_of_frame"],
                "directions": list(recipe.get("directions", [])),
                "known_level": recipe.get("known_level", "zero"),
                "mirrors": bool(recipe.get("mirrored")),
                "accepts_known": not recipe.get("holistic"),
                "seed": recipe["request"].get("seed_position", [0, 0, 0]),
            },
            "order": base64_of(steps.astype("<u2")),
            "tokens": base64_of(export.unpack(recipe["tokens"], "uint16", cells).astype("<u2")),
            "confidence": base64_of(export.unpack(recipe["confidence"], "uint8", cells)),
            "pictures": [file],
            "sheets": sheets_of([file], int(recipe["frames"]), float(recipe["fps"])),
            "request": recipe["request"],
            "digest": recipe["digest"],
            "again": same_model,
            "title": title_of(recipe),
        }

    def growth(self, file: str) -> dict[str, str]:
        """A PNG of this studio (data address) -> its growth as a GIF, or what is wrong with it."""
        try:
            recipe, pixels = self.read(file)
        except ValueError as error:
            return {"error": str(error)}
        return {"file": export.data_uri(export.growth_gif(pixels, recipe), "image/gif")}

    def clip(self, given: dict[str, Any]) -> dict[str, str]:
        """Clips that continue each other, as one file.

        Args:
            given: `files` (data addresses of the clips as they were made), `format` (see
                `clips.FORMATS`) and `fps`.

        Returns:
            `file`, a data address, or `error`.
        """
        try:
            parts = []
            for file in given["files"][:MAX_PARTS]:
                data = export.from_data_uri(file, self.limits)
                recipe, _ = export.read_recipe(data, self.limits)
                frames, fps = int(recipe["frames"]), float(recipe["fps"])
                parts.append((export.read_frames(data, frames, fps), recipe))
            kind, fps = str(given["format"]), min(60.0, max(1.0, float(given["fps"])))
            data = clips.write(clips.join(parts), kind, fps, [recipe for _, recipe in parts])
        except (ValueError, KeyError, TypeError) as error:
            return {"error": str(error)}
        return {"file": export.data_uri(data, clips.FORMATS[kind])}


def likeness(engine: Engine, tokens: np.ndarray) -> str:
    """What an upload's tokens [T, H, W] say of how well the model knows such pictures, measured."""
    own = engine.info.held_out_loss
    if not own:
        return ""
    costs = float(engine.surprise(tokens[None])[0])
    numbers = f"its tokens cost {costs:.1f} nats each, those of its own kind {own:.1f}"
    if costs > own + UNLIKE:
        return f"This picture is unlike what {engine.info.title} has learnt: {numbers}."
    return f"{engine.info.title} knows such pictures: {numbers}."


def sheets_of(pictures: list[str], frames: int, fps: float) -> list[str] | None:
    """Clips as data addresses of their frames side by side; None for pictures."""
    if frames == 1:
        return None
    clips = [export.read_frames(export.from_data_uri(p), frames, fps) for p in pictures]
    return [export.data_uri(export.jpeg_bytes(export.sheet(c), 92), "image/jpeg") for c in clips]
