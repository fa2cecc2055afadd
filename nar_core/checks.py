"""What a model makes of a request, before its weights are there: defaults, refusals, the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real

import numpy as np

from .info import ModelInfo
from .models.condition import split_words
from .plan import DecodePlan, make_plan
from .request import Request
from .settings import SETTINGS
from .worlds import WORLDS, Understood, Word

MIRRORED = {"+w": "-w", "-w": "+w"}


def validate(info: ModelInfo, request: Request) -> Request:
    """Fill in the model's defaults and check everything, before compute is spent.

    Raises:
        ValueError: what was got, what is expected, and the remedy.
    """
    request.check()
    request = replace(request, num_samples=int(request.num_samples), rng_seed=int(request.rng_seed))
    frame = request.resume
    if frame is not None:
        _check_resume(info, request, frame)
        request = replace(
            request, known=frame.request.known, seed_position=frame.request.seed_position
        )
    request = replace(request, seed_position=_seed_position(info, request.seed_position))
    if request.known is not None:
        request = replace(request, known=_known(info, request))
    if info.task == "text":
        request = replace(request, prompt=_prompts(info, request))
    else:
        request = replace(request, label=_labels(info, request))

    said = {x.name: getattr(request, x.name) for x in SETTINGS}
    settled = {
        x.name: x.check(getattr(info, x.name) if said[x.name] is None else said[x.name])
        for x in SETTINGS
    }
    request = replace(request, **settled)
    plan_of(info, request)
    return request


def is_mirrored(info: ModelInfo, request: Request) -> bool:
    """Whether a validated request grows the mirror image of a growth from the upper left."""
    return info.mirrors and request.seed_position == (0, 0, info.grid.w - 1)


def plan_of(info: ModelInfo, request: Request) -> DecodePlan:
    """The plan of a validated request, as it is seen. Raises ValueError as `make_plan` does."""
    directions = info.directions
    if is_mirrored(info, request):
        directions = tuple(MIRRORED.get(d, d) for d in directions)
    known = None if request.known is None else request.known[0] >= 0
    return make_plan(info.grid, request.seed_position, known, directions, info.known_level)


def _seed_position(info: ModelInfo, given: Sequence[int] | None) -> tuple[int, int, int]:
    grid = info.grid
    seed = info.default_seed_position if given is None else given
    seed = tuple(seed) if isinstance(seed, Sequence | np.ndarray) else (seed,)
    seed = (0, *seed) if len(seed) == 2 and grid.t == 1 else seed
    if len(seed) != 3 or any(
        not isinstance(p, Real) or p not in range(n) for p, n in zip(seed, grid, strict=True)
    ):
        form = "(h, w)" if grid.t == 1 else "(t, h, w)"
        raise ValueError(
            f"seed_position: got {given}, expected {form} inside the grid "
            f"{tuple(grid)[-2 if grid.t == 1 else 0 :]}, counted from 0"
        )
    seed = tuple(int(p) for p in seed)
    mirror = (0, 0, grid.w - 1)
    if info.seed_positions == "corner" and any(seed) and not (info.mirrors and seed == mirror):
        also = f", or {mirror} for the mirror image of such a picture" if info.mirrors else ""
        raise ValueError(
            f"seed_position: got {seed}, expected (0, 0, 0){also}: {info.name} has learnt to grow "
            "from the upper-left corner only; choose that, or a model for any seed position"
        )
    return seed


def _known(info: ModelInfo, request: Request) -> np.ndarray:
    if not info.accepts_known:
        raise ValueError(
            f"known: got given cells, expected none: a token of {info.name} describes the "
            "whole clip, not a place in it; choose another model to go on from pixels"
        )
    if is_mirrored(info, request):
        raise ValueError(
            f"known: got given cells, expected none from seed position {request.seed_position}, "
            "which is a mirror image; mirror the picture and start at (0, 0, 0)"
        )
    grid, n = info.grid, request.num_samples
    known = np.asarray(request.known)
    if known.ndim == 3 and grid.t == 1 and known.shape[0] != 1:
        known = known[:, None]
    if known.shape not in {tuple(grid), (n, *grid), (1, *grid)}:
        raise ValueError(f"known: got shape {known.shape}, expected {tuple(grid)} or {(n, *grid)}")
    if not np.issubdtype(known.dtype, np.integer):
        raise ValueError(f"known: got {known.dtype}, expected whole numbers, -1 for unknown")
    if known.min() < -1 or known.max() >= info.vocab_size:
        raise ValueError(
            f"known: got tokens from {known.min()} to {known.max()}, expected -1 (unknown) to "
            f"{info.vocab_size - 1}"
        )
    known = np.broadcast_to(known.reshape(-1, *grid), (n, *grid)).astype(np.int64)
    if ((known >= 0) != (known[:1] >= 0)).any():
        raise ValueError("known: rows differ in which cells are known, expected one known set")
    return known


def _check_resume(info: ModelInfo, request: Request, frame) -> None:
    shape = (request.num_samples, *info.grid)
    if frame.tokens.shape != shape:
        raise ValueError(
            f"resume: got a frame of shape {frame.tokens.shape}, expected {shape}; "
            "go on with the same model and num_samples"
        )
    if frame.step >= frame.total:
        raise ValueError("resume: got the last frame, expected one before it to go on from")


def _prompts(info: ModelInfo, request: Request) -> tuple[str, ...]:
    n = request.num_samples
    one = not isinstance(request.prompt, tuple | list)
    prompts = (request.prompt,) * n if one else tuple(request.prompt)
    if len(prompts) != n or not all(isinstance(p, str) for p in prompts):
        raise ValueError(f"prompt: got {request.prompt!r}, expected one text, or {n} (num_samples)")
    for prompt in prompts:
        words = len(split_words(prompt))
        if info.prompt_words and words > info.prompt_words:
            raise ValueError(
                f"prompt: got {words} words, expected at most {info.prompt_words} "
                f"(fillers such as 'the' do not count); shorten {prompt[:60]!r}"
            )
        if info.world and split_words(prompt) and understand(info, prompt).facts is None:
            raise ValueError(
                f"prompt: got {prompt[:60]!r}, in which {info.name} knows nothing to draw, "
                f"expected words of its world, such as {info.prompts[0]!r}"
            )
    return prompts


def understand(info: ModelInfo, prompt: str) -> Understood:
    """What a model makes of each word of a prompt.

    A model of a world grows the facts that it has understood; the text encoder of another reads
    every word, and so do hashed words.
    """
    if info.world:
        return WORLDS[info.world]().understand(prompt)
    return Understood(None, tuple(Word(w, "known") for w in prompt.split()))


def _labels(info: ModelInfo, request: Request) -> tuple[str | None, ...]:
    n = request.num_samples
    one = not isinstance(request.label, tuple | list)
    labels = (request.label,) * n if one else tuple(request.label)
    if len(labels) != n:
        raise ValueError(f"label: got {len(labels)} labels, expected one, or {n} (num_samples)")
    return tuple(_class_name(info, label) for label in labels)


def _class_name(info: ModelInfo, label: str | int | None) -> str | None:
    labels = info.labels
    if label is None:
        return None
    if isinstance(label, int | np.integer) and not isinstance(label, bool):
        if 0 <= label < len(labels):
            return labels[label]
        raise ValueError(f"label: got {label}, expected 0 to {len(labels) - 1}, or a name")
    if label in labels:
        return label
    near = [x for x in labels if str(label).lower() in x.lower()][:5] or labels[:5]
    raise ValueError(
        f"label: got {label!r}, expected one of {len(labels)} class names, "
        f"such as {', '.join(near)}"
    )
