"""From the form to a Request, from Frames to messages for the player. No Gradio components here.

Every message is a small dict. `run` names one growth and is chosen by the browser, so a message of
an earlier run can be told from the present one. Pixels travel as data addresses: nothing is written
to disk, neither per step nor at the end.
"""

from __future__ import annotations

import base64
import logging
import math
import platform
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from app import clips, export
from app.export import base64_of
from app.zero import on_gpu
from nar_core import Engine, Frame, ModelInfo, Request, plan_of, validate

log = logging.getLogger(__name__)

SECONDS_PER_MESSAGE = 0.05
"""No more than 20 messages a second: there is no back-pressure towards a slow browser."""

MAX_PARTS = 32
"""Clips that may be put together into one file."""

FORGET_TICKET_AFTER = 6.0
"""Seconds without a sign of life after which somebody waiting no longer counts."""

REMEMBER_RUNS = 1000
"""How many ended runs are remembered, so that none of them begins again."""


UNLIKE = 1.5
"""A picture is foreign if its tokens cost so many nats more than those of a model's own kind."""

SECONDS_PER_NEWS = 0.25
"""How often a model that is being fetched or loaded is asked how far it is."""

SHARE_FOR_GUESSES = 0.1
"""Of the time that growing takes, what decodes of an unfinished clip may take.

Each costs as much as that of a finished clip, so how many there are follows from their cost."""

WHOLE_CLIP = (
    "A token of this model describes the whole clip, not a place in it: while it grows, cells show "
    "how sure each token is, and now and then what a decode makes of them."
)

SEEN_LATE = (
    "This model grows right and down from the upper left. It sees a kept cell only when growth "
    "has come as far, not earlier."
)

Progress = Callable[[str, float | None], None]

AS_TYPED = "As typed"
"""The style that adds nothing."""


@lru_cache(maxsize=1)
def presets() -> dict[str, Any]:
    """The contents of presets.yaml."""
    return yaml.safe_load((Path(__file__).parent / "presets.yaml").read_text("utf-8"))


def styles_of(model: str) -> dict[str, str]:
    """Style name -> prompt form with `{}` for the subject."""
    models = presets()["models"]
    return models.get(model, models["default"])["styles"]


def dress(model: str, prompt: str, style: str | None) -> str:
    """The prompt a model was trained on: the style's words around what was typed.

    An empty prompt stays empty (the null condition), and one that already has a style's form stays
    as it is.
    """
    prompt = " ".join((prompt or "").split())
    form = styles_of(model).get(style or "")
    return form.format(prompt) if form and prompt and not undress(model, prompt)[1] else prompt


def undress(model: str, prompt: str) -> tuple[str, str]:
    """Inverse of `dress`: (what was typed, style or "")."""
    for style, form in styles_of(model).items():
        before, after = form.split("{}")
        if prompt.startswith(before) and prompt.endswith(after) and len(prompt) > len(form) - 2:
            return prompt[len(before) : len(prompt) - len(after)], style
    return prompt, ""


def names_of(info: ModelInfo) -> dict[str, list[str]]:
    """What a model was trained on, as it is typed: style (`AS_TYPED` without one) -> names."""
    out: dict[str, list[str]] = {}
    for prompt in info.names:
        typed, style = undress(info.name, prompt)
        out.setdefault(style or AS_TYPED, []).append(typed)
    return out


class Closed(BaseException):
    """Nobody waits for a model any more. No `Exception`, so that nothing on the way keeps it."""


@lru_cache(maxsize=1)
def examples() -> list[dict[str, str]]:
    """Growths that come with the studio and replay without a model: title and file of each."""
    out = []
    for path in sorted((Path(__file__).parents[1] / "assets" / "examples").glob("*.png")):
        recipe, _ = export.read_recipe(path)
        file = export.data_uri(path.read_bytes(), "image/png")
        out.append({"title": _title(recipe), "file": file})
    return out


class Engines:
    """Loads engines on first use and keeps the last few; safe to call from several threads."""

    def __init__(
        self,
        load: Callable[..., Engine],
        models: Callable[[], Sequence[ModelInfo]],
        keep: int = 1,
    ) -> None:
        """`load(name, device=..., progress=...)` makes an engine; `models()` lists what is."""
        self._load, self._models, self._keep = load, models, keep
        self._device = "auto"
        self._added: dict[str, ModelInfo] = {}
        self._folders: dict[str, str] = {}
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()

    def configure(self, device: str, keep: int) -> None:
        """Set the device and how many engines stay in memory, before any is loaded."""
        self._device, self._keep = device, max(1, keep)

    def include(self, name: str) -> str:
        """Offer a model that is not on the list by itself (a model folder)."""
        if all(m.name != name for m in self.models()):
            engine = self._load(name, device=self._device)
            self._added[engine.info.name] = engine.info
            self._folders[engine.info.name] = name
            self._engines[engine.info.name] = engine
            return engine.info.name
        return name

    def models(self, media: str | None = None) -> list[ModelInfo]:
        """All models, those on this machine before those that would be fetched."""
        found = list(self._models())
        found += [m for m in self._added.values() if m.name not in {f.name for f in found}]
        found.sort(key=lambda m: not m.available)
        return [m for m in found if media in (None, m.media)]

    def first(self, wanted: str | None = None) -> ModelInfo:
        """The picture model shown first: the wanted one, that of presets.yaml, or any."""
        models = self.models("image")
        wanted = wanted or presets()["first"]
        return next((m for m in models if m.name == wanted), models[0])

    def choices(self, media: str) -> list[tuple[str, str]]:
        """(what a picker shows, name) of every model of one medium."""
        return [
            (m.title if m.available else f"{m.title} (to be fetched)", m.name)
            for m in self.models(media)
        ]

    def facts(self, info: ModelInfo) -> str:
        """One line on a model: size, kind, licence, memory, and whether it is here."""
        kind = {"text": "text", "class": "class"}[info.task]
        kind += f" to {'clip' if info.media == 'video' else 'picture'}, {info.size[1]} px"
        here = "on this machine"
        if not info.available:
            here = f"to be fetched, {info.download / 1e6:,.0f} MB"
        size, memory = info.parameters / 1e6, info.memory(self._device) / 1e6
        return (
            f"{size:.0f} M parameters · {kind} · licence {info.licence} · "
            f"about {memory:,.0f} MB of memory · {here}"
        )

    def info(self, name: str) -> ModelInfo:
        """What is known of a model without loading it; ValueError for an unknown name."""
        for model in self.models():
            if model.name == name:
                return model
        raise ValueError(
            f"model: got {name!r}, expected one of {', '.join(m.name for m in self.models())}"
        )

    def resident(self, name: str) -> bool:
        """Whether the model is in memory."""
        return name in self._engines

    def get(self, name: str, progress: Progress | None = None) -> Engine:
        """The engine of a model, fetched and loaded if need be.

        Raises:
            ValueError: an unknown name, or what to download and where to put it.
        """
        self.info(name)
        with self._lock:
            if name not in self._engines:
                # Room is made first: two models would need the memory of both.
                while len(self._engines) >= self._keep:
                    self._engines.popitem(last=False)
                source = self._folders.get(name, name)
                try:
                    self._engines[name] = self._load(source, device=self._device, progress=progress)
                except (FileNotFoundError, ImportError) as error:
                    raise ValueError(str(error)) from error
            self._engines.move_to_end(name)
            return self._engines[name]


class Line:
    """Who is waiting for the one engine: only counts and times, nothing of what they make.

    A run waits, runs once and is over. Stopping is a note here that the growth reads after every
    step: cancelling it from the browser would race with a new start of the same page.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._running: dict[str, float] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        self._tabs: dict[str, str] = {}
        self._seconds = 2.0
        self._lock = threading.Lock()

    def join(self, run: str) -> None:
        """Wait, unless it was stopped while it was still being checked."""
        with self._lock:
            if run not in self._over:
                self._waiting[run] = time.monotonic()

    def enter(self, run: str) -> bool:
        """Begin; False if the run was stopped before, or has begun already."""
        with self._lock:
            self._waiting.pop(run, None)
            if run in self._over or run in self._running:
                return False
            for left in list(self._running):  # there is one lane: it was given up unfinished
                self._end(left)
            self._running = {run: time.monotonic()}
            return True

    def restart(self, run: str) -> None:
        """Count the time of a run from now."""
        with self._lock:
            self._running[run] = time.monotonic()

    def leave(self, run: str) -> None:
        """The run has ended, by itself or not."""
        with self._lock:
            self._end(run)
            started = self._running.pop(run, None)
            if started is not None:
                self._seconds += 0.3 * (time.monotonic() - started - self._seconds)

    def stop(self, run: str) -> None:
        """Ask a run to end, whether it is being checked, waits or runs."""
        with self._lock:
            self._end(run)

    def belongs(self, run: str, tab: str) -> None:
        """Note which tab of a browser a run was started in."""
        with self._lock:
            if run not in self._over:
                self._tabs[run] = tab

    def closed(self, tab: str) -> None:
        """A tab was closed: nobody waits for its runs any more."""
        with self._lock:
            for run in [run for run, of in self._tabs.items() if of == tab]:
                self._end(run)

    def stopped(self, run: str) -> bool:
        """Should this run end now?"""
        return run in self._over

    def _end(self, run: str) -> None:
        self._waiting.pop(run, None)
        self._tabs.pop(run, None)
        self._over[run] = None
        while len(self._over) > REMEMBER_RUNS:
            self._over.popitem(last=False)

    def place(self, run: str) -> dict[str, float]:
        """How many come before this run and about how long that takes, in seconds."""
        with self._lock:
            now = time.monotonic()
            if run in self._waiting:
                self._waiting[run] = now
            for other, seen in list(self._waiting.items()):
                if now - seen > FORGET_TICKET_AFTER:
                    del self._waiting[other]
            before = list(self._waiting)
            ahead = before.index(run) if run in before else 0
            ahead += len(self._running) if run in before else 0
            return {"ahead": ahead, "seconds": round(ahead * self._seconds, 1)}


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


@dataclass
class Form:
    """What the page's controls say, in the order in which they are wired."""

    model: str
    prompt: str = ""
    style: str | None = None
    label: str | None = None
    guidance: float | None = None
    heads: str = "mixed"
    fusion: str = "logits"
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    rng_seed: int = 0
    pictures: int = 1

    def request(self, info: ModelInfo, seed: Sequence[int] | None) -> Request:
        """The engine's request; ValueError names what is wrong in the words of the page."""
        limits = presets()["limits"]
        longest = limits["prompt_characters"]
        if len(self.prompt or "") > longest:
            raise ValueError(
                f"The prompt has {len(self.prompt)} characters, at most {longest} are possible. "
                "Shorten it."
            )
        if self.rng_seed is None or not 0 <= int(self.rng_seed) <= limits["rng_seed"]:
            raise ValueError(f"The rng seed must lie between 0 and {limits['rng_seed']}.")
        more = {
            "guidance_scale": None if self.guidance is None else float(self.guidance),
            "temperature": None if self.temperature is None else float(self.temperature),
            "top_k": None if self.top_k is None else int(self.top_k),
            "top_p": None if self.top_p is None else float(self.top_p),
            "min_p": None if self.min_p is None else float(self.min_p),
        }
        if info.task == "class":
            more["label"] = self.label or None
        else:
            more["prompt"] = dress(self.model, self.prompt, self.style)
        return Request(
            seed_position=None if seed is None else tuple(int(n) for n in seed),
            rng_seed=int(self.rng_seed),
            heads=self.heads,
            fusion=self.fusion,
            num_samples=int(self.pictures),
            **{name: value for name, value in more.items() if value is not None},
        )


FORM_FIELDS = tuple(field.name for field in fields(Form))


def _pictures(number: Any) -> int:
    offered = presets()["limits"]["pictures"]
    if number not in offered:
        raise ValueError(f"branch: got {number!r} pictures, expected one of {offered}")
    return number


def heads_of(info: ModelInfo) -> list[str]:
    """Values of `Request.heads` that mean something for a model: one axis, two of three, or all."""
    axes = ["horizontal", "vertical"] + (["temporal"] if info.grid.t > 1 else [])
    pairs = ["+".join(pair) for pair in combinations(axes, 2)] if len(axes) > 2 else []
    return ["mixed", *axes, *pairs]


def form_of_link(info: ModelInfo, given: dict[str, str]) -> dict[str, Any]:
    """Query parameters of a shared link -> values of the form; what does not fit is left out."""
    numbers = {
        "guidance": ("guidance", float),
        "temperature": ("temperature", float),
        "top_k": ("top_k", int),
        "top_p": ("top_p", float),
        "min_p": ("min_p", float),
        "rng": ("rng_seed", int),
    }
    out: dict[str, Any] = {}
    for key, (name, kind) in numbers.items():
        try:
            number = kind(given[key])
        except (KeyError, ValueError):
            continue
        low, high = _range(name)
        if low <= number <= high:
            out[name] = number
    if given.get("prompt") and info.task == "text":
        typed, style = undress(
            info.name, given["prompt"][: presets()["limits"]["prompt_characters"]]
        )
        out["prompt"], out["style"] = typed, style or AS_TYPED
    if given.get("label") in info.labels:
        out["label"] = given["label"]
    if given.get("heads") in heads_of(info):
        out["heads"] = given["heads"]
    if given.get("fusion") in ("logits", "probabilities", "confident", "freshest"):
        out["fusion"] = given["fusion"]
    if given.get("pictures") in [str(n) for n in presets()["limits"]["pictures"]]:
        out["pictures"] = int(given["pictures"])
    return out


def _range(name: str) -> tuple[float, float]:
    limit = presets()["limits"][name]
    return (limit["min"], limit["max"]) if isinstance(limit, dict) else (0, limit)


def seed_of_link(info: ModelInfo, given: dict[str, str]) -> list[int]:
    """The seed position a shared link names, or the model's own."""
    try:
        seed = [int(n) for n in given["seed"].split(",")]
    except (KeyError, ValueError):
        seed = []
    inside = len(seed) == 3 and all(0 <= p < n for p, n in zip(seed, info.grid, strict=True))
    return seed if inside else list(info.default_seed_position)


def request_fields(request: Request) -> dict[str, Any]:
    """A validated request as JSON, without the token grids it may hold."""

    def one(value: Any) -> Any:
        if not isinstance(value, tuple):
            return value
        return value[0] if len(set(value)) == 1 else list(value)

    return {
        "prompt": one(request.prompt),
        "label": one(request.label),
        "seed_position": [int(n) for n in request.seed_position],
        "rng_seed": request.rng_seed,
        "guidance_scale": request.guidance_scale,
        "guidance_interval": request.guidance_interval,
        "heads": request.heads,
        "fusion": request.fusion,
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "min_p": request.min_p,
        "num_samples": request.num_samples,
    }


def spec_of(info: ModelInfo) -> dict[str, Any]:
    """What the player must know of a model to plan and draw."""
    return {
        "model": info.name,
        "grid": list(info.grid),
        "size": list(info.size),
        "frames": info.frames,
        "fps": info.fps,
        "slice_of_frame": list(info.slice_of_frame),
        "directions": list(info.directions),
        "known_level": info.known_level,
        "seed_positions": info.seed_positions,
        "mirrors": info.mirrors,
        "accepts_known": info.accepts_known,
        "note": "" if info.accepts_known else WHOLE_CLIP,
        "seed": list(info.default_seed_position),
        "upload_note": presets()["models"]
        .get(info.name, {})
        .get("upload_note", SEEN_LATE if info.known_level == "distance" else ""),
    }


def comparisons(info: ModelInfo, models: Sequence[ModelInfo] = ()) -> list[dict[str, Any]]:
    """What the lab can compare with a model: sets of two to four panes.

    A pane has a title, a seed position and the fields of the form that it changes, the model among
    them. `models` are those on this machine.
    """
    own = list(info.default_seed_position)
    t, h, w = (n // 2 for n in info.grid)
    axes = ["horizontal", "vertical"] + (["temporal"] if info.grid.t > 1 else [])
    heads = [(name.capitalize(), {"heads": name}) for name in ("mixed", *axes)]
    fusions = {
        "Mean of logits": "logits",
        "Mean of probabilities": "probabilities",
        "Most confident": "confident",
        "Freshest": "freshest",
    }

    def panes(choices: list[tuple[str, dict[str, Any]]], seed: list[int]) -> list[dict[str, Any]]:
        return [{"title": title, "seed": seed, "form": form} for title, form in choices]

    sets = [("table5", "Table 5: heads", panes(heads, [0, 0, 0]))]
    if info.seed_positions == "any":
        places = {
            "Centre": [t, h, w],
            "Edge": [t, 0, w],
            "Corner": [0, 0, 0],
            "Aside": [t, h // 2, w // 2],
        }
        sets.append(("heads", "Heads", panes(heads, own)))
        sets.append(
            ("seeds", "Seed position", [p for k, v in places.items() for p in panes([(k, {})], v)])
        )
    scales = [(f"Guidance {x}", {"guidance": float(x)}) for x in (1, 2, 4, 8)]
    sets.append(("guidance", "Guidance", panes(scales, own)))
    rules = [(title, {"fusion": name}) for title, name in fusions.items()]
    sets.append(("fusion", "Fusion", panes(rules, own)))
    same = [m for m in models if m.name != info.name and askable(m) == askable(info)][:3]
    if same:
        checkpoints = [
            {
                "title": m.title,
                "seed": list(m.default_seed_position),
                "form": {"model": m.name},
                "spec": spec_of(m),
            }
            for m in (info, *same)
        ]
        sets.append(("checkpoints", "Checkpoints", checkpoints))
    return [{"name": name, "title": title, "panes": these} for name, title, these in sets]


def askable(info: ModelInfo) -> tuple[Any, ...]:
    """Models for which this is the same can be asked the same thing."""
    return info.media, info.task, info.labels


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
        preview = engine.preview(frame.tokens, mirrored=frame.mirrored)
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
        decoded = engine.decode(frame.tokens, frame.mirrored)
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
            "mirrored": bool(frame.mirrored),
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
            "title": _title(recipe),
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


def _title(recipe: export.Recipe) -> str:
    """A short name for a replayed file."""
    request = recipe["request"]
    words = request.get("prompt") or request.get("label") or "Replay"
    if not isinstance(words, str):
        words = words[min(int(recipe["sample"]), len(words) - 1)]
    return undress(recipe["model"], words)[0][:40]


def recipe_of(engine: Engine, frame: Frame, steps: np.ndarray, sample: int) -> export.Recipe:
    """The recipe of one sample of a finished frame; `steps` [N] says which step wrote each cell."""
    info, tokens = engine.info, frame.tokens[sample]
    recipe: export.Recipe = {
        "schema": export.SCHEMA,
        "model": info.name,
        "digest": engine.digest,
        "grid": [int(n) for n in info.grid],
        "directions": list(info.directions),
        "known_level": info.known_level,
        "size": [int(n) for n in info.size],
        "frames": info.frames,
        "fps": info.fps,
        "slice_of_frame": list(info.slice_of_frame),
        "request": request_fields(frame.request),
        "sample": sample,
        "steps": export.pack(steps.astype(np.uint16)),
        "tokens": export.pack(export.token_words(tokens).reshape(-1)),
        "confidence": export.pack(export.confidence_bytes(frame.confidence[sample]).reshape(-1)),
        "token_digest": export.token_digest(tokens),
        "made_with": made_with(engine),
    }
    if frame.mirrored:
        recipe["mirrored"] = True
    if not info.accepts_known:
        recipe["holistic"] = True
    if frame.request.resume is not None:
        recipe["resumed_from"] = int(frame.request.resume.step)
    return recipe


def made_with(engine: Engine) -> dict[str, str]:
    """What may make a remake differ although the recipe is the same."""
    return {
        "device": str(getattr(engine, "device", "cpu")).split(":")[0],
        "dtype": str(getattr(engine, "dtype", "float32")).removeprefix("torch."),
        "machine": platform.machine(),
        "torch": version("torch"),
    }


def verdict(expected: export.Recipe, made: list[export.Recipe]) -> dict[str, Any]:
    """Is this the same picture, token for token? If not, what differs between then and now."""
    now = made[min(int(expected["sample"]), len(made) - 1)]
    if now["token_digest"] == expected["token_digest"]:
        return {"same": True, "differs": []}
    differs = [] if now["digest"] == expected["digest"] else ["weights"]
    before = expected.get("made_with", {})
    differs += [k for k, v in now["made_with"].items() if before.get(k, v) != v]
    return {"same": False, "differs": differs or ["library versions"]}
