"""Prompts in the form a model was trained on."""

from __future__ import annotations

import pytest

from app.presets import AS_TYPED, dress, names_of, undress
from tests.app.fake_engine import INFO


@pytest.mark.parametrize(
    ("typed", "style", "asked"),
    [
        ("red apple", "3D", "3d emoji of red apple"),
        ("  red   apple ", "Flat", "flat emoji of red apple"),
        ("red apple", AS_TYPED, "red apple"),
        ("flat emoji of owl", "3D", "flat emoji of owl"),
        ("", "3D", ""),
    ],
)
def test_style_rewrites_the_prompt(typed, style, asked):
    assert dress("emoji", typed, style) == asked


def test_undress_is_the_inverse_of_dress():
    assert undress("emoji", "flat emoji of owl") == ("owl", "Flat")
    assert undress("emoji", "an owl") == ("an owl", "")


def test_names_are_told_by_style():
    assert names_of(INFO["emoji"]) == {
        "3D": ["fox", "green pear", "red apple"],
        "Flat": ["owl"],
    }
    assert names_of(INFO["clip"])[AS_TYPED][0] == "3d emoji of fox"
    assert names_of(INFO["fruit"]) == {}
