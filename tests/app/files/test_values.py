"""Values as text, and what stands for unknown cells."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from nar_core.files import (
    bytes_of,
    confidence_bytes,
    confidence_of,
    text_of,
    token_words,
    tokens_of,
)
from nar_core.foreign import Fields


def test_values_are_written_little_endian_and_bytes_as_they_are():
    for kind in ("<u2", ">u2"):
        assert base64.b64decode(text_of(np.array([1, 256], kind))) == b"\1\0\0\1"
    assert base64.b64decode(text_of(b"\1\2\3")) == b"\1\2\3"


@pytest.mark.parametrize("largest", [9, 10, 11, 12])
def test_text_is_read_up_to_the_largest(largest):
    assert bytes_of(text_of(bytes(largest)), "x", "mend it", largest) == bytes(largest)
    for wrong in (text_of(bytes(largest + 3)), None, 7):
        with pytest.raises(ValueError, match=rf"x: got .* base64 of at most {largest} bytes; mend"):
            bytes_of(wrong, "x", "mend it", largest)
    with pytest.raises(ValueError, match=r"x: not readable .*; mend it"):
        bytes_of("AAA\n", "x", "mend it", largest)


def test_unknown_tokens_are_written_as_the_largest_word():
    tokens = np.array([-1, 0, 7, 65534])
    words = token_words(tokens)
    assert (words.dtype, words.tolist()) == (np.uint16, [65535, 0, 7, 65534])
    back = tokens_of(words)
    assert (back.dtype, back.tolist()) == (np.int64, tokens.tolist())


def test_confidence_is_written_in_steps_of_a_254th():
    sure = confidence_bytes(np.array([np.nan, 0, 0.5, 1, -0.1, 1.2]))
    assert (sure.dtype, sure.tolist()) == (np.uint8, [255, 0, 127, 254, 0, 254])
    back = confidence_of(sure[:4])
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, np.array([np.nan, 0, 0.5, 1], np.float32))


@pytest.mark.parametrize(
    ("read", "taken", "refused"),
    [
        (lambda f: f.whole("x", 1, 3), (1, 3, 2.0), (0, 4, 1.5, True, "2", [1])),
        (lambda f: f.number("x", 0, 1), (0, 1, 0.5), (-0.1, 1.1, float("nan"), True, "1")),
        (lambda f: f.text("x", 3), ("", "owl"), ("owls", 3, "\ud800", [])),
        (lambda f: f.texts("x", 2, 3), (["owl"], ["a", "b"]), ([], ["a"] * 3, ["owls"], "ab", [1])),
        (lambda f: f.wholes("x", range(1, 3), 4), ([0], [4, 0]), ([], [5], [-1], [0] * 3, [0.5])),
        (lambda f: f.wholes("x", 2, [1, 2], low=1), ([1, 2],), ([2, 2], [0, 1], [1])),
        (lambda f: f.flag("x"), (True, False), (1, "true", [])),
        (lambda f: f.one_of("x", ("a", "b")), ("a", "b"), ("c", "ab", ["a"], 1)),
    ],
)
def test_fields_are_taken_up_to_their_bounds_and_not_beyond(read, taken, refused):
    for value in taken:
        found = read(Fields({"x": value}, "recipe", "mend it"))
        assert (list(found) if isinstance(found, tuple) else found) == value
    for value in refused:
        with pytest.raises(ValueError, match=r"^recipe: x: got .*, expected .*; mend it$"):
            read(Fields({"x": value}, "recipe", "mend it"))
