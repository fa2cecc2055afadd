"""Requests that no model accepts are refused before anything is loaded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nar_core import ModelInfo, Request, prepare
from nar_core.plan import GridShape


def test_the_defaults_are_fine():
    Request().check()
    assert Request().axes == {"w", "h", "t"}


def test_growth_starts_amid_what_is_known_where_a_model_starts_anywhere():
    info = ModelInfo("any", "Any", "text", "image", GridShape(1, 16, 16), (128, 128), vocab_size=9)
    known = np.full(info.grid, -1)
    known[0, 2:6, 0:8] = 1
    asked = {
        "what is said": Request(known=known, seed_position=(1, 1)),
        "tokens": Request(known=known),
        "a hole": Request(known=np.where(known < 0, 1, -1)),
        "a picture": Request(known=np.zeros((128, 128, 3), np.uint8), keep=known[0] >= 0),
        "nothing known": Request(known=np.full(info.grid, -1)),
    }
    starts = {name: prepare(info, request).request.seed_position for name, request in asked.items()}
    assert starts == {
        "what is said": (0, 1, 1),
        "tokens": (0, 4, 4),
        "a hole": (0, 4, 4),
        "a picture": (0, 4, 4),
        "nothing known": (0, 0, 0),
    }
    corner = replace(info, seed_positions="corner")
    assert prepare(corner, Request(known=known)).plan.seed_position == (0, 0, 0)


def test_axes_of_head_configurations():
    assert Request(heads="horizontal").axes == {"w"}
    assert Request(heads="vertical+temporal").axes == {"h", "t"}


@pytest.mark.parametrize(
    "fields",
    [
        {"num_samples": np.int64(3), "rng_seed": np.int64(7), "top_k": np.int32(5)},
        {"guidance_scale": 1, "temperature": 0, "top_p": 1, "min_p": 0},
        {"guidance_scale": np.float32(2.5), "guidance_interval": 0},
        {"rng_seed": 2**62},
        {"num_samples": 300},
    ],
)
def test_numbers_of_any_kind_are_taken(fields):
    Request(**fields).check()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_samples", 0, "from 1 to 1000000"),
        ("num_samples", 1.5, "a whole number"),
        ("num_samples", True, "a whole number"),
        ("rng_seed", -1, "from 0 to"),
        ("rng_seed", 2**63 - 1, "to 9223372036854775791"),
        ("rng_seed", "7", "a whole number"),
        ("rng_seed", float("inf"), "a whole number"),
        ("guidance_scale", 0.5, "1 \\(no guidance\\) to 30"),
    ],
)
def test_refusals_name_the_value_and_what_is_expected(name, value, expected):
    with pytest.raises(ValueError, match=f"^{name}: got .*, expected .*{expected}") as told:
        Request(**{name: value}).check()
    assert repr(value) in str(told.value)
