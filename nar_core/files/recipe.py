"""The recipe that a file carries: what made a picture, and its tokens in order of growth.

A recipe is one JSON object in the PNG text chunk `nar_studio`. Schema 1:

    schema            1
    model, digest     registry name, sha256 prefix of the weights
    grid              [T, H, W] of the token grid
    directions        directions the checkpoint has heads for, to name each cell's senders
    known_level       level of given cells, "zero" or "distance"
    order             "raster" where cells came one after the other, each told by the one before, or
                      absent
    size              [height, width] of a frame in pixels
    frames, fps       pixel frames of the whole picture or clip (1 and 0 for a picture)
    slice_of_frame    which slice of the grid each frame belongs to
    request           prompt, label, seed_position, rng_seed, num_samples and the sampling settings,
                      as the engine resolved them
    sample            which of request.num_samples this file shows
    steps             packed uint16 [N], raster order: the step that wrote each cell, 0 if given
    tokens            packed uint16 [N], raster order
    confidence        packed uint8 [N]: probability of the drawn token times 254, 255 if given
    token_digest      sha256 prefix of the tokens
    recipe_digest     that of model, request, sample, steps, tokens and branch, by which a recipe
                      that was changed by hand is told, or absent
    mirrored          in files of before: true where the picture is the mirror image of a growth
                      from the upper left: steps, tokens and confidence lie as seen
    holistic          true where a token describes the whole clip, not a place in it
    resumed_from      step after which a branch left its parent, or absent
    made_with         device, dtype, machine and torch version, to name what differs when a remake
                      is not identical

"packed" is base64 of zlib of the little-endian bytes. The order of growth is `steps`, then raster
order within a step. Cells of step 0 came with the picture (outpainting, erasing).

A file may come from anywhere: what is read of it are these fields, with these types, within
limits, and nothing else is ever passed on.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import zlib
from copy import deepcopy
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, TypedDict, cast, get_args

import numpy as np

from ..engine import Engine
from ..foreign import Fields, is_number, parse, settled, shown
from ..info import ModelInfo
from ..plan import DIRECTIONS, DecodePlan, GridShape, Order
from ..request import Frame, Request
from ..settings import SETTINGS, Setting
from .limits import (
    LIMITS,
    MAX_CELLS,
    MAX_FRAMES,
    MAX_PARTS,
    MAX_RECIPE,
    MAX_STEPS_TIMES_CELLS,
    Limits,
    need_pixels,
)
from .values import bytes_of, confidence_bytes, text_of, token_words

CHUNK = "nar_studio"
SCHEMA = 1
AS_DOWNLOADED = "use the file as downloaded"

MADE_WITH = ("device", "dtype", "machine", "torch")
LONGEST_PROMPT = 1000
LONGEST_NAME = 200
MAX_SAMPLES = 16


class Verdict(TypedDict):
    """Whether a file was made again token for token, and what differs if not."""

    same: bool
    differs: list[str]


@dataclass(frozen=True, eq=False)
class Recipe:
    """A recipe that holds together; see the head of this file.

    `steps`, `tokens` and `confidence` are arrays [T, H, W]; `resumed_from` is 0 where there was no
    parent. `request` has only JSON values under the names of `Request`. `changed` is whether it was
    changed by hand since it was written, None where the file cannot tell.
    """

    model: str
    digest: str
    grid: tuple[int, int, int]
    directions: tuple[str, ...]
    known_level: str
    size: tuple[int, int]
    frames: int
    fps: float
    slice_of_frame: tuple[int, ...]
    request: dict[str, Any]
    sample: int
    steps: np.ndarray
    tokens: np.ndarray
    confidence: np.ndarray
    mirrored: bool = False
    holistic: bool = False
    resumed_from: int = 0
    order: Order = "neighbours"
    made_with: dict[str, str] = field(default_factory=dict)
    changed: bool | None = False

    @property
    def total(self) -> int:
        """Decoding steps."""
        return int(self.steps.max())

    @property
    def token_digest(self) -> str:
        """Short sha256 of the tokens in raster order, the same on every machine."""
        return hashlib.sha256(self.tokens.astype("<i4").tobytes()).hexdigest()[:16]

    @property
    def recipe_digest(self) -> str:
        """Short sha256 of what makes the growth and its tokens; 2 and 2.0 are one number."""
        said = {s.name: float(x) if is_number(x) else x for s in SETTINGS
                if (x := self.request.get(s.name, s.off)) != s.off}  # fmt: skip
        words = [self.request[n] for n in ("prompt", "label", "seed_position", "rng_seed")]
        count = self.request["num_samples"], self.sample, self.resumed_from
        told = [self.model, self.digest, self.token_digest, *words, *count, said]
        whole = json.dumps(told).encode() + self.steps.astype("<u2").tobytes()
        return hashlib.sha256(whole).hexdigest()[:16]

    @property
    def given_frames(self) -> np.ndarray:
        """Which frames were given to the growth whole, bool [frames]."""
        given = (self.steps == 0).all((1, 2))
        return given[list(self.slice_of_frame)]

    def json(self) -> dict[str, Any]:
        """As it stands in a file; a copy, which may be changed."""
        out: dict[str, Any] = {
            "schema": SCHEMA,
            "model": self.model,
            "digest": self.digest,
            "grid": list(self.grid),
            "directions": list(self.directions),
            "known_level": self.known_level,
            "size": list(self.size),
            "frames": self.frames,
            "fps": self.fps,
            "slice_of_frame": list(self.slice_of_frame),
            "request": deepcopy(self.request),
            "sample": self.sample,
            "steps": pack(self.steps.astype(np.uint16)),
            "tokens": pack(self.tokens.astype(np.uint16)),
            "confidence": pack(self.confidence.astype(np.uint8)),
            "token_digest": self.token_digest,
            "made_with": dict(self.made_with),
        }
        more = {
            "recipe_digest": self.recipe_digest if self.changed is False else "",
            "mirrored": self.mirrored,
            "holistic": self.holistic,
            "resumed_from": self.resumed_from,
            "order": self.order if self.order != "neighbours" else "",
        }
        return out | {name: value for name, value in more.items() if value}

    def growth(self) -> list[dict[str, Any]]:
        """Its steps: positions [n][t, h, w], tokens [n] and confidence [n] of each."""
        steps, tokens = self.steps.reshape(-1), self.tokens.reshape(-1)
        sure = np.round(self.confidence.reshape(-1) / 254, 4)
        order = np.argsort(steps, kind="stable")
        ends = np.searchsorted(steps[order], np.arange(self.total + 2))
        out = []
        for step in range(1, self.total + 1):
            at = order[ends[step] : ends[step + 1]]
            out.append(
                {
                    "step": step,
                    "positions": np.stack(np.unravel_index(at, self.grid), 1).tolist(),
                    "tokens": tokens[at].tolist(),
                    "confidence": sure[at].tolist(),
                }
            )
        return out


def pack(values: np.ndarray) -> str:
    """Array -> base64 of its zlib-compressed little-endian bytes."""
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return text_of(zlib.compress(data, 9))


def unpack(text: Any, dtype: str, shape: tuple[int, ...], what: str = "values") -> np.ndarray:
    """Inverse of `pack`; ValueError unless exactly as many values come out."""
    wanted = np.dtype(dtype).itemsize * math.prod(shape)
    data = bytes_of(text, f"recipe: {what}", AS_DOWNLOADED, 2 * wanted + 64)
    try:
        data = zlib.decompressobj().decompress(data, wanted + 1)
    except zlib.error as error:
        raise ValueError(f"recipe: {what}: not readable ({error}); {AS_DOWNLOADED}") from error
    if len(data) != wanted:
        came = f"more than {wanted}" if len(data) > wanted else len(data)
        raise ValueError(f"recipe: {what}: got {came} bytes, expected {wanted}; {AS_DOWNLOADED}")
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


# ---- reading ---------------------------------------------------------------------------------


def told_in(text: str | bytes) -> Any:
    """The JSON value of a file's text; ValueError for no JSON, or more of it than is needed."""
    if len(text) > MAX_RECIPE:
        raise ValueError(
            f"recipe: got {len(text):,} characters, expected at most {MAX_RECIPE:,}; "
            f"{AS_DOWNLOADED}"
        )
    return parse(text, "recipe", AS_DOWNLOADED)


def recipe_from(data: Any, size: tuple[int, int] | None = None, limits: Limits = LIMITS) -> Recipe:
    """JSON of a file -> its recipe; ValueError, with the remedy, if it does not hold together.

    Args:
        size: (height, width) of the file's frames, for recipes that do not name it.
    """
    given = Fields(data, "recipe", AS_DOWNLOADED)
    given.whole("schema", SCHEMA, SCHEMA)
    t, h, w = given.wholes("grid", 3, 256, low=1)
    grid = (t, h, w)
    if math.prod(grid) > MAX_CELLS:
        raise ValueError(
            f"recipe: got grid {list(grid)}, expected at most {MAX_CELLS:,} cells; {AS_DOWNLOADED}"
        )
    frames, size, slices = _frames(given, grid, size, limits)
    steps = unpack(given.any("steps"), "uint16", grid, "steps")
    _check_steps(steps, grid)
    request = _request(given.part("request"), grid)
    directions = given.any("directions", [])
    if not isinstance(directions, list) or not all(d in DIRECTIONS for d in directions):
        raise ValueError(
            f"recipe: got directions {shown(directions)}, expected a list of "
            f"{', '.join(DIRECTIONS)}; {AS_DOWNLOADED}"
        )
    made_with = given.part("made_with") if given.has("made_with") else None
    recipe = Recipe(
        model=given.text("model", LONGEST_NAME),
        digest=given.text("digest", 64),
        grid=grid,
        directions=tuple(directions[: len(DIRECTIONS)]),
        known_level=given.one_of("known_level", ("zero", "distance"), "zero"),
        size=size,
        frames=frames,
        fps=given.number("fps", 0, 120),
        slice_of_frame=slices,
        request=request,
        sample=given.whole("sample", 0, MAX_SAMPLES - 1),
        steps=steps,
        tokens=unpack(given.any("tokens"), "uint16", grid, "tokens"),
        confidence=unpack(given.any("confidence"), "uint8", grid, "confidence"),
        mirrored=given.flag("mirrored"),
        holistic=given.flag("holistic"),
        resumed_from=given.whole("resumed_from", 0, max(0, int(steps.max()) - 1), 0),
        order=cast(Order, given.one_of("order", get_args(Order), "neighbours")),
        made_with={n: made_with.text(n, 80) for n in MADE_WITH if made_with and made_with.has(n)},
    )
    if given.text("token_digest", 64, "") != recipe.token_digest:
        raise ValueError(f"recipe: its tokens do not match their digest; {AS_DOWNLOADED}")
    if not given.has("recipe_digest"):
        return replace(recipe, changed=None)
    return replace(recipe, changed=given.text("recipe_digest", 64) != recipe.recipe_digest)


def setting_in(given: Fields, setting: Setting) -> float | int | str:
    """A setting's value in a file, off where it is not said; ValueError, with the remedy."""
    try:
        return settled(setting, given.any(setting.name, setting.off))
    except ValueError as error:
        raise ValueError(f"recipe: {error}; {AS_DOWNLOADED}") from error


def recipes_from(data: Any, limits: Limits = LIMITS) -> list[Recipe]:
    """JSON of a clip file -> the recipes of the growths that it was put together from.

    Raises ValueError as `recipe_from`, and for no parts or too many.
    """
    parts = Fields(data, "recipe", AS_DOWNLOADED).any("parts")
    if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_PARTS:
        raise ValueError(
            f"recipe: got parts {shown(parts)}, expected 1 to {MAX_PARTS}; {AS_DOWNLOADED}"
        )
    return [recipe_from(part, limits=limits) for part in parts]


def _frames(
    given: Fields, grid: tuple[int, int, int], size: tuple[int, int] | None, limits: Limits
) -> tuple[int, tuple[int, int], tuple[int, ...]]:
    """Number of frames, their (height, width), and the slice of each."""
    frames = given.whole("frames", 1, MAX_FRAMES)
    # files of the first release name neither; their frames were shared evenly
    slices = GridShape(*grid).slice_of_frame(frames)
    if given.has("slice_of_frame"):
        slices = given.wholes("slice_of_frame", frames, grid[0] - 1)
    if given.has("size") or size is None:
        height, width = given.wholes("size", 2, 4096, low=1)
        size = (height, width)
    need_pixels("recipe", size[1], size[0], limits, frames)
    return frames, size, slices


def _check_steps(steps: np.ndarray, grid: tuple[int, ...]) -> None:
    """Raise ValueError for more steps than there are fronts, or than a small grid has cells."""
    cells, fronts = steps.size, sum(grid) - len(grid) + 1
    most = max(fronts, min(cells, MAX_STEPS_TIMES_CELLS // cells))
    if not 1 <= steps.max() <= most:
        raise ValueError(
            f"recipe: got {steps.max()} steps on a grid of {list(grid)}, expected 1 to {most}, "
            f"or there is nothing to replay; {AS_DOWNLOADED}"
        )


def _request(given: Fields, grid: tuple[int, ...]) -> dict[str, Any]:
    """The request of a recipe, only what `Request` knows of it; what is not said is off.

    A recipe from before there was a setting was made without it.
    """
    out: dict[str, Any] = {}
    for name in ("prompt", "label"):
        value = given.any(name, None)
        if isinstance(value, list):
            out[name] = given.texts(name, MAX_SAMPLES, LONGEST_PROMPT)
        else:
            out[name] = given.text(name, LONGEST_PROMPT, None if name == "label" else "")
    highs = [n - 1 for n in grid]
    out["seed_position"] = list(given.wholes("seed_position", 3, highs))
    out["rng_seed"] = given.whole("rng_seed", 0, 2**63 - 1 - MAX_SAMPLES)
    for setting in SETTINGS:
        out[setting.name] = setting_in(given, setting)
    out["num_samples"] = given.whole("num_samples", 1, MAX_SAMPLES, 1)
    return out


# ---- writing ---------------------------------------------------------------------------------


def need_told(request: Request) -> None:
    """Raise ValueError for a validated request of longer words or numbers than a file may tell."""
    for setting in SETTINGS:
        settled(setting, getattr(request, setting.name))
    for name in ("prompt", "label"):
        longest = max((len(word) for word in getattr(request, name) or () if word), default=0)
        if longest > LONGEST_PROMPT:
            raise ValueError(
                f"{name}: got {longest:,} characters, expected at most {LONGEST_PROMPT:,} for a "
                "file to tell them; shorten it"
            )


def request_fields(request: Request) -> dict[str, Any]:
    """A validated request as JSON, without the token grids it may hold; see `need_told`."""
    need_told(request)

    def one(value: Any) -> Any:
        if not isinstance(value, tuple):
            return value
        return value[0] if len(set(value)) == 1 else list(value)

    return {
        "prompt": one(request.prompt) or "",
        "label": one(request.label),
        "seed_position": [int(n) for n in request.seed_position or ()],
        "rng_seed": request.rng_seed,
        **{setting.name: getattr(request, setting.name) for setting in SETTINGS},
        "num_samples": request.num_samples,
    }


def request_of(recipe: Recipe, info: ModelInfo) -> Request:
    """The request that made a file, with the cells that were given to it.

    Raises ValueError where the model cannot make it again.
    """
    if tuple(info.grid) != recipe.grid:
        raise ValueError(
            f"recipe: got a grid of {list(recipe.grid)}, {info.name} has {list(info.grid)}; "
            "replay it instead of making it again"
        )
    if info.order != recipe.order:
        raise ValueError(
            f"recipe: got a growth in the order of {recipe.order}, {info.name} grows in that of "
            f"{info.order}; replay it instead of making it again"
        )
    if recipe.mirrored:
        raise ValueError(
            "recipe: got the mirror image of a growth, which is no longer made; "
            "replay it instead of making it again"
        )
    said: dict[str, Any] = {
        n: tuple(v) if isinstance(v, list) else v for n, v in recipe.request.items()
    }
    given = recipe.steps == 0
    known = np.where(given, recipe.tokens.astype(np.int64), -1) if given.any() else None
    return Request(**said, known=known)


def steps_of(plan: DecodePlan) -> np.ndarray:
    """The step that writes each cell, int64 [N], 0 where it is given."""
    steps = np.zeros(plan.grid.cells, np.int64)
    for number, step in enumerate(plan.steps, 1):
        steps[step.positions] = number
    return steps


def recipe_of(engine: Engine, frame: Frame, steps: np.ndarray, sample: int) -> Recipe:
    """The recipe of one sample of a finished frame; `steps` [N] says which step wrote each cell.

    One of several of which some have no class, or of more than a file tells of, is told `alone`.
    """
    info, resumed = engine.info, frame.request.resume
    told = Recipe(
        model=info.name,
        digest=engine.digest,
        grid=(int(info.grid.t), int(info.grid.h), int(info.grid.w)),
        directions=tuple(info.directions),
        known_level=info.known_level,
        size=(int(info.size[0]), int(info.size[1])),
        frames=info.frames,
        fps=info.fps,
        slice_of_frame=tuple(info.slice_of_frame),
        request=request_fields(frame.request),
        sample=sample,
        steps=steps.reshape(info.grid),
        tokens=token_words(frame.tokens[sample]),
        confidence=confidence_bytes(frame.confidence[sample]),
        holistic=not info.accepts_known,
        resumed_from=0 if resumed is None else int(resumed.step),
        order=info.order,
        made_with=made_with(engine),
    )
    labels, many = told.request["label"], told.request["num_samples"] > MAX_SAMPLES
    return alone(told) if many or (isinstance(labels, list) and None in labels) else told


def alone(recipe: Recipe) -> Recipe:
    """The recipe of one of several samples as that of a run of its own."""
    several, word = recipe.request, label_of(recipe)
    request = several | {"num_samples": 1, "rng_seed": several["rng_seed"] + recipe.sample}
    request |= {"prompt": word} if several["prompt"] else {"label": word or None}
    return replace(recipe, request=request, sample=0)


def made_with(engine: Engine) -> dict[str, str]:
    """What may make a remake differ although the recipe is the same."""
    return {
        "device": str(engine.device).split(":")[0],
        "dtype": str(engine.dtype).removeprefix("torch."),
        "machine": platform.machine(),
        "torch": version("torch"),
    }


def verdict(expected: Recipe, made: list[Recipe]) -> Verdict:
    """Is this the same picture, token for token? If not, what differs between then and now."""
    now = made[min(expected.sample, len(made) - 1)]
    if now.token_digest == expected.token_digest:
        return {"same": True, "differs": []}
    differs = ["the recipe, which was changed since"] if expected.changed else []
    differs += [] if now.digest == expected.digest else ["weights"]
    before = expected.made_with
    differs += [name for name, value in now.made_with.items() if before.get(name, value) != value]
    unknown = "library versions, or a recipe that was changed since"
    return {
        "same": False,
        "differs": differs or ["library versions" if expected.changed is False else unknown],
    }


def label_of(recipe: Recipe) -> str:
    """What was asked for: its prompt or class, that of its sample; "" for neither."""
    words = recipe.request["prompt"] or recipe.request["label"] or ""
    return words if isinstance(words, str) else words[min(recipe.sample, len(words) - 1)] or ""
