"""Why a cell of a picture made here became what it is, for whoever holds the file."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from app.server.jobs import Job
from app.wire import CandidateAnswer, Explanation, data_uri
from nar_core import Candidate, Engine, Frame
from nar_core import Explanation as Told
from nar_core.files import Recipe, png_bytes

CANDIDATES = 5
"""Tokens that are told of each distribution."""


def explanation_of(engine: Engine, job: Job, cell: tuple[int, ...]) -> Explanation:
    """An explanation as plain values, with a picture of every token in it.

    Args:
        job: that of a file which is made again; its recipe is what it expects.
        cell: (t, h, w), counted from 0.

    Raises:
        ValueError: other weights made the file, or the cell was not decoded.
    """
    recipe = _own(engine, job)
    told = engine.explain(_frame(job, recipe), cell, recipe.sample, CANDIDATES)
    pictures = _pictures(engine, told)

    def plain(candidates: Iterable[Candidate]) -> list[CandidateAnswer]:
        return [
            {
                "token": c.token,
                "probability": round(c.probability, 4),
                "picture": pictures[c.token],
            }
            for c in candidates
        ]

    return {
        "model": recipe.model,
        "cell": list(told.cell),
        "step": told.step,
        "token": told.token,
        "picture": pictures[told.token],
        "heads": [
            {
                "direction": said.direction,
                "sender": None if said.sender is None else list(said.sender),
                "candidates": plain(said.candidates),
            }
            for said in told.heads
        ],
        "fused": plain(told.fused),
        "guided": plain(told.guided),
        "drawn_from": plain(told.drawn_from),
        "number": round(told.number, 6),
        "disagreement": round(told.disagreement, 4),
        "attention": np.round(told.attention.astype(float), 5).tolist(),
        "attention_to_condition": round(told.attention_to_condition, 4),
    }


def disagreement_of(engine: Engine, job: Job) -> list[list[list[float]]]:
    """How much the heads disagreed in every cell of a file, nats [T][H][W], 0 where one was given.

    Raises:
        ValueError: as `explanation_of`.
    """
    recipe = _own(engine, job)
    found = engine.disagreement(_frame(job, recipe), recipe.sample)
    return np.round(np.nan_to_num(found).astype(float), 4).tolist()


def _own(engine: Engine, job: Job) -> Recipe:
    """The recipe of a file that this engine made; ValueError where other weights did."""
    recipe = job.expected
    assert recipe is not None
    if recipe.digest != engine.digest:
        raise ValueError(
            f"file: got one that other weights of {recipe.model} made ({recipe.digest}), expected "
            f"one of these ({engine.digest}); make it again first"
        )
    return recipe


def _frame(job: Job, recipe: Recipe) -> Frame:
    """The last frame of the growth that made a file; other samples of it stand in for themselves.

    A file holds the tokens of one sample, and only that one is explained.
    """
    prepared, grid = job.prepared, job.prepared.plan.grid
    tokens = np.broadcast_to(recipe.tokens.astype(np.int64), (prepared.num_samples, *grid))
    sure = np.full(tokens.shape, np.nan, np.float32)
    total = prepared.plan.total
    none = np.zeros((0, 3), np.int64)
    return Frame(total, total, none, tokens, sure, 0.0, 0, prepared.request, recipe.model)


def _pictures(engine: Engine, told: Told) -> dict[int, str]:
    """Every token of an explanation -> the patch of pixels that previews show for it."""
    several = (told.fused, told.guided, told.drawn_from, *(said.candidates for said in told.heads))
    tokens = sorted({told.token} | {c.token for candidates in several for c in candidates})
    grid = engine.info.grid
    each = grid.h * grid.w
    asked = np.full((-(-len(tokens) // each), *grid), -1)
    asked[:, 0].flat[: len(tokens)] = tokens  # in the first slice, which the first frame shows
    pictures = engine.preview(asked)[:, 0]
    high, wide = pictures.shape[1] // grid.h, pictures.shape[2] // grid.w
    out = {}
    for i, token in enumerate(tokens):
        row, (y, x) = i // each, divmod(i % each, grid.w)
        patch = pictures[row, y * high : (y + 1) * high, x * wide : (x + 1) * wide]
        out[token] = data_uri(png_bytes(np.ascontiguousarray(patch)), "image/png")
    return out
