"""What a model makes of a request, before its weights are there: defaults, refusals, the plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from .info import ModelInfo
from .models.condition import split_words
from .picture import fit
from .plan import make_plan, start_amid
from .request import Frame, Prepared, Request, check_codes, check_resumed
from .settings import (
    NUM_SAMPLES,
    RNG_SEED,
    SETTINGS,
    SamplingSettings,
    array_of,
    axes_of,
    heads_for,
    shortened,
)
from .splitter import normal
from .subject import first_frame
from .words import box_alone, understand

Labels = str | int | Sequence[str | int | None] | None


def prepare(info: ModelInfo, request: Request) -> Prepared:
    """Fill in what is unsaid, check everything and make the plan, before compute is spent.

    A picture that is known becomes pixels of the model's size.

    Raises:
        ValueError: what was got, what is expected, and the remedy; also for a field that does not
            apply to the model, or not beside `resume`.
    """
    if not isinstance(request, Request):
        raise ValueError(f"request: got {shortened(request)}, expected a Request")
    request.check()
    if request.resume is not None:
        if not isinstance(request.resume, Frame):
            raise ValueError(
                f"resume: got {shortened(request.resume)}, expected a frame that `generate` gave; "
                "a file is gone on from by `nar_core generate --resume`"
            )
        request = _going_on(info, request, request.resume)
    settled = {
        setting.name: setting.check(_first(getattr(request, setting.name), default))
        for setting, default in (
            (NUM_SAMPLES, NUM_SAMPLES.off),
            (RNG_SEED, RNG_SEED.off),
            *((setting, getattr(info, setting.name)) for setting in SETTINGS),
        )
    }
    rows = int(settled["num_samples"])
    request = replace(request, **settled)
    _check_heads(info, str(settled["heads"]))
    seed = _seed_position(info, request.seed_position)
    if info.task == "text":
        _must_be_unsaid(request, "label", f"{info.name} reads a prompt; say it in words")
        request = replace(request, prompt=_prompts(info, request.prompt, rows), label=None)
    else:
        _must_be_unsaid(request, "prompt", f"{info.name} grows classes; give a label")
        request = replace(request, label=_labels(info, request.label, rows), prompt=None)
    request = replace(request, **_known(info, request, rows))
    known = _cells(request)
    is_free = request.seed_position is None and info.seed_positions == "any"
    if is_free and known is not None and known.any():
        seed = start_amid(known)
    plan = make_plan(info.grid, seed, known, info.directions, info.known_level, info.order)
    if request.resume is not None:
        check_resumed("resume", request.resume, plan)
    return Prepared(
        model=info.name,
        request=replace(request, seed_position=seed),
        plan=plan,
        settings=SamplingSettings(**{x.name: getattr(request, x.name) for x in SETTINGS}),
        rng_seed=int(settled["rng_seed"]),
        num_samples=rows,
        vocab_size=info.vocab_size,
    )


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value


def _must_be_unsaid(request: Request, name: str, remedy: str) -> None:
    value = getattr(request, name)
    value = value.tolist() if hasattr(value, "tolist") else value  # of NumPy or torch
    said = value if isinstance(value, tuple | list) else (value,)
    if any(x is not None and x != "" for x in said):
        raise ValueError(f"{name}: got {shortened(value)}, expected none: {remedy}")


def _going_on(info: ModelInfo, request: Request, frame: Frame) -> Request:
    """The request with what it leaves unsaid taken from that of the frame it goes on from."""
    own = frame.request
    shape = (_first(request.num_samples, own.num_samples), *info.grid)
    if frame.model not in ("", info.name) or frame.tokens.shape != shape:
        raise ValueError(
            f"resume: got a frame of {frame.model or 'some model'} of shape {frame.tokens.shape}, "
            f"expected {info.name}, {shape}; go on with the same model and num_samples"
        )
    if frame.step >= frame.total:
        raise ValueError("resume: got the last frame, expected one before it to go on from")
    check_codes("resume", frame.tokens, info.vocab_size)
    if request.seed_position is not None:
        said = _seed_position(info, request.seed_position)
        _must_agree("seed_position", said, own.seed_position)
    if request.known is not None:
        said = _known(info, request, shape[0]).get("known", request.known)
        _must_agree("known", said, own.known)
    unsaid = [f.name for f in fields(Request) if getattr(request, f.name) is None]
    return replace(request, **{name: getattr(own, name) for name in unsaid})


def _must_agree(name: str, said: Any, own: Any) -> None:
    """Raise ValueError where something is said beside `resume` that its frame settles otherwise."""
    if said is not None and said is not own and not np.array_equal(said, own):
        raise ValueError(
            f"{name}: got another than that of the frame to resume, expected none: growth goes on "
            "from where it began and around what was known; leave it out, or begin anew"
        )


def _check_heads(info: ModelInfo, heads: str) -> None:
    sizes = dict(zip("thw", info.grid, strict=True))
    axes = {d[1] for d in info.directions if sizes[d[1]] > 1}
    if heads != "mixed" and not axes_of(heads) <= axes:
        raise ValueError(
            f"heads: got {heads!r}, expected one of {', '.join(heads_for(axes))}: "
            f"{info.name} has no others"
        )


def cell_of(info: ModelInfo, given: Any, name: str) -> tuple[int, int, int]:
    """A cell (t, h, w), or (h, w) of a picture; ValueError, naming it, unless it is in the grid."""
    grid = info.grid
    if hasattr(given, "tolist"):  # an array of NumPy or torch
        given = given.tolist()
    cell = tuple(given) if isinstance(given, Sequence) else (given,)
    cell = (0, *cell) if len(cell) == 2 and grid.t == 1 else cell
    if len(cell) != 3 or any(
        not isinstance(p, Real) or isinstance(p, bool) or p not in range(n)
        for p, n in zip(cell, grid, strict=True)
    ):
        form = "(h, w)" if grid.t == 1 else "(t, h, w)"
        raise ValueError(
            f"{name}: got {shortened(given)}, expected {form} inside the grid "
            f"{tuple(grid)[-2 if grid.t == 1 else 0 :]}, counted from 0"
        )
    t, h, w = (int(p) for p in cell)
    return t, h, w


def _seed_position(info: ModelInfo, given: Sequence[int] | None) -> tuple[int, int, int]:
    wished = info.default_seed_position if given is None else given
    seed = cell_of(info, wished, "seed_position")
    if info.seed_positions == "corner" and any(seed):
        raise ValueError(
            f"seed_position: got {seed}, expected (0, 0, 0): {info.name} has learnt to grow "
            "from the upper-left corner only; choose that, or a model for any seed position"
        )
    return seed


def _known(info: ModelInfo, request: Request, rows: int) -> dict[str, Any]:
    """`known` as tokens int64 [B, T, H, W], or as pixels with the cells to `keep` of them."""
    if request.known is None:
        if request.keep is not None:
            raise ValueError("keep: got cells, expected none: nothing is known to keep them of")
        return {}
    if not info.accepts_known:
        raise ValueError(
            f"known: got given cells, expected none: a token of {info.name} describes the "
            "whole clip, not a place in it; choose another model to go on from pixels"
        )
    given: Any = request.known
    pictures = _are_pictures(info, given)
    keep = _keep(info, request, pictures)
    if pictures:
        assert keep is not None
        return {"known": _pixels(info, request, given, keep, rows), "keep": keep}
    known = _tokens(info, given, rows)
    return {"known": known if keep is None else np.where(keep, known, -1), "keep": None}


def _are_pictures(info: ModelInfo, known: Any) -> bool:
    """Whether what is known are pixels, uint8 of the model's size, or a picture; else tokens."""
    if isinstance(known, Image.Image):
        return True
    known = array_of(known, "known")
    return known.dtype == np.uint8 and known.shape[-3:] == (*info.size, 3)


def _pixels(info: ModelInfo, request: Request, known: Any, keep: np.ndarray, n: int) -> np.ndarray:
    """Pixels uint8 [1 or n, height, width, 3] of what is known, one for all samples or one of each.

    Of a clip that begins with a picture, a thing alone stands where each prompt has it.
    """
    if not isinstance(known, Image.Image):
        pixels = array_of(known, "known").reshape(-1, *info.size, 3)
        if len(pixels) not in (1, n):
            raise ValueError(f"known: got {len(pixels)} pictures, expected 1 or {n} (num_samples)")
        return pixels
    if info.grid.t == 1 or not keep[0].all():
        return fit(known, info.size)[None]
    prompts = request.prompt if isinstance(request.prompt, tuple) else (request.prompt or "",)
    boxes = [box_alone(info, prompt) for prompt in prompts]
    firsts = {box: first_frame(info, known, box) for box in boxes}
    return np.stack([firsts[box] for box in boxes] if len(firsts) > 1 else [*firsts.values()])


def _keep(info: ModelInfo, request: Request, pictures: bool) -> np.ndarray | None:
    grid, keep = info.grid, request.keep
    if keep is None:
        if not pictures:
            return None
        if grid.t == 1:
            raise ValueError(
                f"keep: got none, expected bool {tuple(grid)}: which cells of the picture are known"
            )
        return np.broadcast_to(np.arange(grid.t)[:, None, None] == 0, grid)
    keep = array_of(keep, "keep")
    if keep.dtype != bool or keep.shape not in {tuple(grid), tuple(grid)[grid.t == 1 :]}:
        raise ValueError(f"keep: got {keep.dtype} {keep.shape}, expected bool {tuple(grid)}")
    if not keep.any():
        raise ValueError("keep: got no cell, expected at least one; or leave out what is known")
    return keep.reshape(grid)


def _tokens(info: ModelInfo, known: ArrayLike, n: int) -> np.ndarray:
    """Given tokens as int64 [n, T, H, W]."""
    grid, known = info.grid, array_of(known, "known")
    if known.ndim == 3 and grid.t == 1 and known.shape[0] != 1:
        known = known[:, None]
    if known.shape not in {tuple(grid), (n, *grid), (1, *grid)}:
        raise ValueError(
            f"known: got {known.dtype} {known.shape}, expected tokens {tuple(grid)} or "
            f"{(n, *grid)}, a PIL picture, or pixels uint8 {(*info.size, 3)}"
        )
    check_codes("known", known, info.vocab_size)
    known = np.broadcast_to(known.reshape(-1, *grid), (n, *grid)).astype(np.int64)
    if ((known >= 0) != (known[:1] >= 0)).any():
        raise ValueError("known: rows differ in which cells are known, expected one known set")
    return known


def _cells(request: Request) -> np.ndarray | None:
    """The known set, bool [T, H, W], of a request that is settled."""
    if request.keep is not None or request.known is None:
        return request.keep
    assert isinstance(request.known, np.ndarray)
    return request.known[0] >= 0


def _prompts(info: ModelInfo, given: str | Sequence[str] | None, n: int) -> tuple[str, ...]:
    if given is None or isinstance(given, str):
        given = (given or "",) * n
    listed = isinstance(given, list | tuple | np.ndarray) and getattr(given, "ndim", 1) > 0
    prompts = tuple(given) if listed else ()
    if len(prompts) != n or not all(isinstance(p, str) for p in prompts):
        several = bool(prompts) and len(prompts) != n
        told = f"{len(prompts)} of {shortened(given)}" if several else shortened(given)
        raise ValueError(f"prompt: got {told}, expected one text, or {n} (num_samples)")
    prompts = tuple(map(str, prompts))
    for prompt in prompts:
        if re.search(r"[\ud800-\udfff]", prompt):  # halves of characters, which no file can hold
            raise ValueError(f"prompt: got {prompt[:60]!r}, expected text in UTF-8; type it anew")
        words = len(split_words(prompt, info.parted))
        if info.prompt_words and words > info.prompt_words:
            raise ValueError(
                f"prompt: got {words} words, expected at most {info.prompt_words} "
                f"(fillers such as 'the' do not count); shorten {prompt[:60]!r}"
            )
        # who says nothing gets what it likes; who says something, also by signs, what is said
        if info.world and normal(prompt).strip() and understand(info, prompt).facts is None:
            raise ValueError(
                f"prompt: got {prompt[:60]!r}, in which {info.name} knows nothing to draw, "
                f"expected words of its world, such as {info.prompts[0]!r}"
            )
    return prompts


def _labels(info: ModelInfo, given: Labels, n: int) -> tuple[str | None, ...]:
    plain: Any = given
    plain = plain.tolist() if hasattr(plain, "tolist") else plain  # of NumPy or torch
    several = isinstance(plain, tuple | list)
    labels: tuple[Any, ...] = tuple(plain) if several else (plain,) * n
    if len(labels) != n:
        raise ValueError(f"label: got {len(labels)} labels, expected one, or {n} (num_samples)")
    return tuple(_class_name(info, label) for label in labels)


def _class_name(info: ModelInfo, label: Any) -> str | None:
    labels = info.labels
    if label is None:
        return None
    label = label.item() if hasattr(label, "item") else label
    if isinstance(label, int) and not isinstance(label, bool):
        if 0 <= label < len(labels):
            return labels[label]
        raise ValueError(f"label: got {label}, expected 0 to {len(labels) - 1}, or a name")
    if label in labels:
        return label
    if isinstance(label, str):
        if re.fullmatch(r"-?[0-9]{1,9}", label):
            return _class_name(info, int(label))
        same = (x for x in labels if normal(x).lower() == normal(label).strip().lower())
        if (name := next(same, None)) is not None:
            return name
    near = [x for x in labels if str(label).lower() in x.lower()][:5] or labels[:5]
    raise ValueError(
        f"label: got {shortened(label)}, expected one of {len(labels)} class names, "
        f"such as {', '.join(near)}"
    )
