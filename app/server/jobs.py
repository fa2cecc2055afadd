"""A start is checked and becomes a job: everything the engine needs, before compute is spent."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.server.engines import Engines
from app.server.form import Form, typed
from app.server.spec import comparisons, swept
from app.wire import Branch, Kept, Start
from nar_core import (
    ModelInfo,
    Original,
    Prepared,
    Request,
    box_alone,
    framed,
    prepare,
    reading_picture,
)
from nar_core.files import (
    LIMITS,
    Limits,
    Recipe,
    confidence_of,
    open_within,
    png_bytes,
    read_file,
    read_picture,
    request_of,
    room,
    tokens_of,
)

MOST_PROMPTS = 8
"""Prompts that the lab grows in every pane."""

NOTHING_KEPT = "kept cells: got none, expected one or more; keep a part of the picture"


@dataclass(frozen=True, eq=False)
class Job:
    """One growth, checked, planned and ready for the engine.

    Attributes:
        previews: whether quick pictures of its steps are wanted.
        expected: the recipe that it must reproduce ("make again").
    """

    run: str
    prepared: Prepared
    original: Original | None = None
    previews: bool = True
    expected: Recipe | None = None

    @property
    def model(self) -> str:
        """Its model's name."""
        return self.prepared.model

    @property
    def kin(self) -> Hashable:
        """Jobs for which this is equal can be grown together."""
        return self.prepared.kin


class Desk:
    """Where starts are checked; it raises ValueError, with the remedy, for what cannot be grown."""

    def __init__(self, engines: Engines, limits: Limits = LIMITS) -> None:
        self.engines, self.limits = engines, limits

    def job(self, form: Form, start: Start) -> Job:
        """What a start asks for: from the form, from a branch of it, or from a file."""
        if start.file is not None:
            return self.again(start.run, start.file)
        info = self.engines.info(form.model)
        if start.query is not None:
            form = form.linked(info, start.query)
        if start.prompt is not None:
            form = replace(form, prompt=start.prompt)
        if start.rng_seed is not None:
            form = replace(form, rng_seed=start.rng_seed)
        branch = start.branch
        if branch is not None:
            # it has as many pictures as what it leaves, whatever the form says by now
            form = replace(form, num_samples=branch.pictures)
        request, original = form.request(info, start.seed_position), None
        if start.kept is not None:
            request, original = self._keep(info, request, start.kept, branch)
        return Job(start.run, _prepared(info, request, branch), original)

    def comparisons(self, model: str) -> list[dict[str, Any]]:
        """What the lab can compare with a model and those on this machine."""
        here = [m for m in self.engines.models() if m.available]
        return comparisons(self.engines.info(model), here)

    def comparison(self, form: Form, start: Start) -> list[Job]:
        """One job per pane of the lab, all checked before the first is started."""
        sets = {s["name"]: s["panes"] for s in self.comparisons(form.model)}
        if start.compare not in sets:
            raise ValueError(f"compare: got {start.compare!r}, expected {', '.join(sets)}")
        panes = sets[start.compare]
        if start.values:
            panes = swept(start.compare, start.values, panes[0]["seed_position"])
        prompts = [line for line in typed(form.prompt, MOST_PROMPTS).splitlines() if line.strip()]
        if len(prompts) > MOST_PROMPTS:
            raise ValueError(
                f"prompt: got {len(prompts)} lines, expected at most {MOST_PROMPTS}; leave some out"
            )
        jobs = []
        for pane in panes:
            changed = dict(pane["form"])
            asked = replace(form, model=changed.pop("model", form.model), settings=changed)
            info = self.engines.info(asked.model)
            each = [
                replace(asked, prompt=line).request(info, pane["seed_position"])
                for line in prompts or [""]
            ]
            request = each[0]
            if info.task == "text" and len(each) > 1:
                words = tuple(str(one.prompt) for one in each)
                request = replace(request, prompt=words, num_samples=len(words))
            jobs.append(Job(start.run, prepare(info, request)))
        return jobs

    def _keep(
        self, info: ModelInfo, request: Request, given: Kept, branch: Branch | None
    ) -> tuple[Request, Original | None]:
        """The request with what is kept of a picture or clip, and the picture it is kept of."""
        cells = _grid(info, given.cells, "kept cells")
        if not cells.any():
            raise ValueError(NOTHING_KEPT)
        if given.before is not None:
            return _go_on(info, request, cells, given.before), None
        assert given.picture is not None
        with room():
            pixels = read_picture(given.picture, info.size, self.limits)
        tokens = None if given.tokens is None else _grid(info, given.tokens, "tokens")
        if tokens is None and branch is not None:
            tokens = _grid(info, branch.tokens[0], "branch")
        if tokens is None:  # an upload is encoded when its turn comes
            request = replace(request, known=pixels, keep=cells)
        else:
            request = replace(request, known=np.where(cells, tokens, -1))
        return request, Original(pixels, cells)

    def framed(self, info: ModelInfo, picture: bytes, prompt: str) -> bytes | None:
        """A picture of a thing alone as a clip begins with it, as PNG; see `nar_core.framed`."""
        with room():
            opened = open_within(picture, self.limits)
            with reading_picture(picture):
                pixels = framed(info, opened, box_alone(info, prompt))
            return None if pixels is None else png_bytes(pixels)

    def again(self, run: str, file: bytes) -> Job:
        """The job that remakes a file from its recipe."""
        with room():
            recipe, frames = read_file(file, self.limits)
        info = self.engines.info(recipe.model)
        request, original, branch = request_of(recipe, info), None, None
        if request.known is not None:
            original = Original(frames[0], recipe.steps == 0)
        if recipe.resumed_from:
            pictures = recipe.request["num_samples"]
            tokens = tokens_of(np.tile(recipe.tokens.reshape(-1), (pictures, 1)))
            sure = confidence_of(np.tile(recipe.confidence.reshape(-1), (pictures, 1)))
            branch = Branch(recipe.resumed_from, pictures, tokens, sure)
        return Job(run, _prepared(info, request, branch), original, expected=recipe)


def _grid(info: ModelInfo, values: np.ndarray, what: str) -> np.ndarray:
    """Values of all cells in the form of a model's grid; ValueError for another number of them."""
    if values.size != info.grid.cells:
        raise ValueError(
            f"{what}: not readable ({values.size} cells, {info.name} has {info.grid.cells}); "
            "reload the page"
        )
    return values.reshape(info.grid)


def _go_on(info: ModelInfo, request: Request, cells: np.ndarray, before: np.ndarray) -> Request:
    """A clip begins with the last slices of the one before it, token by token."""
    whole = np.asarray(cells.all((1, 2)))
    count = int(whole.sum())
    if not whole[:count].all() or cells[count:].any():
        raise ValueError(
            "kept cells: got parts of frames, expected whole ones at the beginning; reload the page"
        )
    known = np.full(info.grid, -1, np.int64)
    known[:count] = _grid(info, before, "before")[len(known) - count :]
    return replace(request, known=known)


def _prepared(info: ModelInfo, request: Request, branch: Branch | None) -> Prepared:
    """The request checked and planned; from a step of an earlier run on where there is a branch.

    The browser has kept that run's tokens.
    """
    prepared = prepare(info, request)
    if branch is None:
        return prepared
    shape = (branch.pictures, *info.grid)
    if branch.tokens.size != np.prod(shape):
        raise ValueError(
            f"branch: not readable ({branch.tokens.size} tokens, expected {np.prod(shape)}); "
            "reload the page"
        )
    try:
        return prepared.resumed(
            branch.step, branch.tokens.reshape(shape), branch.confidence.reshape(shape)
        )
    except ValueError as error:
        raise ValueError(f"branch: {error}; scrub to the step again, then branch") from error
