"""Explanations as plain values: a picture for every token, whatever the grid."""

from __future__ import annotations

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from app.server.explaining import explanation_of
from nar_core import Candidate, Explanation, Said
from nar_core.plan import GridShape
from tests.app.fake_engine import FakeEngine

TOKENS = range(20)


def test_every_token_has_its_picture_also_where_a_grid_is_small():
    """More tokens than cells: they are laid out in several grids."""
    some = tuple(Candidate(t, 0.05) for t in TOKENS)
    told = Explanation(
        (0, 1, 1), 3, 7, (Said("+w", None, some),), some, some, some, 0.5, 0.0,
        np.zeros((1, 2, 2), np.float32), 1.0,
    )  # fmt: skip

    def preview(tokens: np.ndarray) -> np.ndarray:
        grey = np.maximum(tokens, 0).repeat(8, 2).repeat(8, 3)
        return np.stack([grey] * 3, -1).astype(np.uint8)

    engine = SimpleNamespace(
        info=SimpleNamespace(grid=GridShape(1, 2, 2)),
        digest="d",
        preview=preview,
        explain=lambda *asked: told,
    )
    recipe = SimpleNamespace(digest="d", model="m", sample=0, tokens=np.zeros((1, 2, 2), np.int64))
    plan = SimpleNamespace(grid=GridShape(1, 2, 2), total=3)
    prepared = SimpleNamespace(num_samples=1, plan=plan, request=None)
    job = SimpleNamespace(expected=recipe, prepared=prepared)
    out = explanation_of(engine, job, (0, 1, 1))
    for candidate in out["fused"]:
        data = base64.b64decode(candidate["picture"].split(",")[1])
        assert (np.asarray(Image.open(io.BytesIO(data))) == candidate["token"]).all()


def test_a_file_of_other_weights_is_refused_and_says_which():
    engine = FakeEngine("emoji")
    recipe = SimpleNamespace(digest="0123", model="emoji", sample=0)
    with pytest.raises(ValueError, match=r"other weights of emoji made \(0123\)"):
        explanation_of(engine, SimpleNamespace(expected=recipe), (0, 0, 0))
