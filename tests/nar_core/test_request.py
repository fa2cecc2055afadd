"""Requests that no model accepts are refused before anything is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from nar_core import Request


def test_the_defaults_are_fine():
    Request().check()
    assert Request().axes == {"w", "h", "t"}


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
