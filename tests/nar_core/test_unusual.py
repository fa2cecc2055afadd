"""What a program may hand over besides plain Python: arrays, tensors, pictures of odd modes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core import (
    ModelInfo,
    Original,
    Request,
    fit,
    framed,
    ideas,
    illustrate,
    samples,
    write_mp4,
)
from nar_core.checks import prepare
from nar_core.device import pick_device
from nar_core.plan import GridShape

GRID = GridShape(1, 4, 4)
TEXT = ModelInfo("tiny", "Tiny", "text", "image", GRID, (32, 32), vocab_size=60)
CLASS = ModelInfo("kinds", "Kinds", "class", "image", GRID, (32, 32), labels=("cat", "dog"))
KEPT = np.zeros(GRID, bool)
KEPT[0, 1] = True
TOKENS = np.where(KEPT, 7, -1)


def asked_of(**given: Any) -> Request:
    return Request(**given)


PLAIN: list[Callable[[int], Any]] = [
    np.int64, np.uint8, np.float32, np.array, torch.tensor, lambda n: torch.tensor(float(n)),
]  # fmt: skip


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize(
    "name", ["rng_seed", "num_samples", "temperature", "guidance_scale", "top_k"]
)
def test_a_number_is_a_number_of_numpy_or_torch_too(kind, name):
    settled = getattr(prepare(TEXT, asked_of(**{name: kind(3)})).request, name)
    assert settled == 3
    assert type(settled) in (int, float)


@pytest.mark.parametrize("given", [[1, 2], np.array([1, 2]), torch.tensor([0, 1, 2])])
def test_a_seed_position_may_be_an_array(given):
    assert prepare(TEXT, asked_of(seed_position=given)).plan.seed_position == (0, 1, 2)


@pytest.mark.parametrize(
    "given",
    [("dog", "cat"), ["DOG", 0], (np.int64(1), " cat "), np.array([1, 0]), torch.tensor([1, 0])],
)
def test_labels_may_be_an_array(given):
    assert prepare(CLASS, asked_of(label=given, num_samples=2)).request.label == ("dog", "cat")
    for single in (np.array(1), torch.tensor(1)):
        assert prepare(CLASS, asked_of(label=single)).request.label == ("dog",)


def test_prompts_of_an_array_are_texts():
    prompts = prepare(TEXT, asked_of(prompt=np.array(["a", "b"]), num_samples=2)).request.prompt
    assert prompts == ("a", "b")
    assert [type(p) for p in prompts] == [str, str]


@pytest.mark.parametrize(
    "given",
    [TOKENS, TOKENS.tolist(), torch.from_numpy(TOKENS),
     torch.from_numpy(TOKENS).to(torch.int8), torch.nn.Parameter(torch.from_numpy(TOKENS), False)],
)  # fmt: skip
def test_tokens_and_cells_may_be_lists_or_tensors(given):
    known = prepare(TEXT, asked_of(known=given)).request.known
    assert np.array_equal(known, TOKENS[None])
    pixels = torch.zeros(32, 32, 3, dtype=torch.uint8)
    for keep in (KEPT, KEPT.tolist(), torch.from_numpy(KEPT)):
        prepared = prepare(TEXT, asked_of(known=pixels, keep=keep))
        assert np.array_equal(prepared.plan.known.reshape(GRID), KEPT)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK",
                                  "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B"])  # fmt: skip
def test_a_picture_of_any_mode_is_taken(mode):
    prepared = prepare(TEXT, asked_of(known=Image.new(mode, (40, 20)), keep=KEPT))
    assert np.shape(prepared.request.known) == (1, 32, 32, 3)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"prompt": 3}, "prompt: got 3, expected one text"),
        ({"prompt": "an owl \udcff"}, "prompt: got .*, expected text in UTF-8; type it anew"),
        ({"prompt": Path("a")}, r"prompt: got PosixPath\('a'\), expected one text"),
        ({"prompt": {"a", "b"}, "num_samples": 2}, "prompt: got {.*}, expected one text, or 2"),
        ({"prompt": ["a", None], "num_samples": 2}, r"prompt: got \['a', None\], expected one"),
        ({"prompt": ["a", ["b"]], "num_samples": 2}, r"prompt: got \['a', \['b'\]\], expected one"),
        ({"prompt": b"a" * 9999}, "prompt: got b'a{1,80}…, expected one text"),
        ({"rng_seed": True}, "rng_seed: got True"),
        ({"rng_seed": torch.tensor(2.5)}, "rng_seed: got 2.5, expected a whole number"),
        ({"num_samples": 2**32}, "num_samples: got 4294967296, expected a whole number from 1 to"),
        ({"temperature": np.nan}, "temperature: got nan, expected a number from 0"),
        ({"top_k": list(range(999))}, "top_k: got .{1,80}…, expected a whole number"),
        ({"seed_position": list(range(999))}, r"seed_position: got \[0, .{1,80}…, expected \(h, w"),
        ({"seed_position": torch.tensor([1.5, 1.0])}, r"seed_position: got \[1.5, 1.0\], expected"),
        ({"known": "a.npy"}, "known: got .*, expected tokens"),
        ({"known": [[1, 2], [3]]}, "known: got .*, expected an array"),
        ({"known": torch.zeros(1, 4, 4, dtype=torch.bfloat16)}, "known: got .*, expected an array"),
        ({"known": Image.new("RGB", (0, 5)), "keep": KEPT}, "picture: got 0 x 5 pixels"),
        ({"known": TOKENS, "keep": [[True], []]}, "keep: got .*, expected an array"),
        ({"resume": "a.png"}, "resume: got 'a.png', expected a frame"),
        ({"label": np.zeros((2, 2), int)}, "label: got .*, expected none: tiny reads a prompt"),
        ({"prompt": np.array("a")}, r"prompt: got array\('a'.*, expected one text"),
        ({"known": np.zeros((1, 4, 4), int)}, "known set: got every cell, expected at least one"),
    ],
)  # fmt: skip
def test_what_is_none_of_it_is_told_with_its_name(asked, told):
    with pytest.raises(ValueError, match=told):
        prepare(TEXT, asked_of(**asked))


@pytest.mark.parametrize("request_", [None, "an owl", {"prompt": "an owl"}])
def test_what_is_no_request_is_told(request_: Any):
    with pytest.raises(ValueError, match=r"request: got .*, expected a Request"):
        prepare(TEXT, request_)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), "a"])
def test_pixels_of_another_form_are_told(pixels: Any):
    boxed = (1, 1, 2)
    for take in (lambda: fit(pixels, (8, 8)), lambda: framed(TEXT, pixels, boxed)):
        with pytest.raises(ValueError, match=r"picture: got .*, expected a PIL picture, or pixels"):
            take()


@pytest.mark.parametrize(
    ("pixels", "cells", "told"),
    [
        (Image.new("RGB", (9, 9)), KEPT[0], r"cells: got bool \(4, 4\), expected bool \[T, H, W\]"),
        (Image.new("RGB", (9, 9)), TOKENS, "cells: got int64"),
        (np.zeros((32, 32, 3)), KEPT, "pixels: got float64"),
        (np.zeros((8, 8, 3), np.uint8), KEPT, r"pixels: got \(8, 8, 3\), expected \(32, 32, 3\)"),
    ],
)
def test_an_original_of_another_form_is_told(pixels: Any, cells: Any, told):
    for name in ("blended", "pasted"):
        with pytest.raises(ValueError, match=told):
            getattr(Original(pixels, cells), name)(np.zeros((1, 1, 32, 32, 3), np.uint8))


def test_cells_of_an_original_may_be_a_tensor():
    kept = Original(Image.new("RGB", (32, 32), "red"), torch.from_numpy(KEPT))  # pyright: ignore
    made = kept.blended(np.zeros((1, 1, 32, 32, 3), np.uint8))
    assert made[0, 0, 8, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("seed", [-1, 1.5, None, "a"])
def test_random_seeds_of_words_are_those_of_a_request(seed: Any):
    world = replace(TEXT, world="emoji")
    for draw in (lambda: illustrate(world, "a dog", seed), lambda: ideas(world, 1, seed),
                 lambda: samples(world, 1, seed)):  # fmt: skip
        with pytest.raises(ValueError, match=r"rng_seed: got .*, expected a whole number"):
            draw()


@pytest.mark.parametrize("device", ["cpu:x", "cpu:1", "cpu:", "gpu", "x" * 999])
def test_a_device_that_is_none_is_told(device):
    with pytest.raises(ValueError, match=r"device: got .{1,90}, expected auto or, here, "):
        pick_device(device)


@pytest.mark.parametrize(
    ("frames", "fps", "told"),
    [
        ([], 8, "clip: got no frame"),
        ([np.zeros((8, 8, 3))], 8, "clip: got a frame float64"),
        ([np.zeros((8, 8), np.uint8)], 8, r"clip: got a frame uint8 \(8, 8\)"),
        ([np.zeros((8, n, 3), np.uint8) for n in (8, 10)], 8, r"frame uint8 \(8, 10, 3\)"),
        ([np.zeros((8, 8, 3), np.uint8)], 0, "fps: got 0, expected a number above 0"),
        ([np.zeros((8, 8, 3), np.uint8)], np.nan, "fps: got nan"),
    ],
)
def test_no_clip_is_written_of_what_is_none(tmp_path, frames, fps, told):
    with pytest.raises(ValueError, match=told):
        write_mp4(tmp_path / "a.mp4", frames, fps)


def test_a_clip_is_written_under_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-y.mp4", "file:a.mp4"):
        write_mp4(Path(name), [np.zeros((8, 8, 3), np.uint8)] * 2, 8)
        assert Path(name).stat().st_size > 0
