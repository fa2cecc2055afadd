"""Recipes and files: what is written can be read back, and damage is named."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from app import export
from app.recipes import recipe_of
from nar_core import Request
from tests.app.fake_engine import FakeEngine


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, export.Recipe]:
    engine = FakeEngine("emoji")
    frame = engine.generate_all(Request(prompt="owl", seed_position=(0, 4, 9), rng_seed=3))
    steps = np.zeros(256, np.int64)
    for number, step in enumerate(engine.plan(frame.request).steps, 1):
        steps[step.positions] = number
    return engine.decode(frame.tokens)[0, 0], recipe_of(engine, frame, steps, 0)


def test_png_carries_its_recipe(made):
    pixels, recipe = made
    data = export.png_bytes(pixels, recipe)
    read, again = export.read_recipe(data)
    assert read == recipe
    assert np.array_equal(again, pixels)
    assert len(data) < len(export.png_bytes(pixels)) + 4000


def test_growth_follows_the_plan(made):
    _, recipe = made
    growth = export.growth_of(recipe)
    assert growth[0]["positions"] == [[0, 4, 9]]
    distance = [abs(h - 4) + abs(w - 9) for _, h, w in growth[5]["positions"]]
    assert set(distance) == {5}
    assert sum(len(step["tokens"]) for step in growth) == 256


def test_a_picture_without_recipe_is_named(made):
    with pytest.raises(ValueError, match="no recipe inside"):
        export.read_recipe(export.png_bytes(made[0]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 9}, "schema 9"),
        ({"grid": [1, 16]}, "grid"),
        ({"frames": 0}, "0 frames"),
        ({"grid": [1, 15, 16]}, "bytes, expected"),
        ({"tokens": "!!"}, "unreadable"),
        ({"token_digest": "0"}, "digest"),
        ({"steps": export.pack(np.zeros(256, np.uint16))}, "nothing to replay"),
    ],
)
def test_a_damaged_recipe_is_named(made, change, words):
    pixels, recipe = made
    with pytest.raises(ValueError, match=words):
        export.read_recipe(export.png_bytes(pixels, {**recipe, **change}))


def test_a_compressed_bomb_is_not_unpacked():
    bomb = export.pack(np.zeros(10_000_000, np.uint8))
    with pytest.raises(ValueError, match="expected 256"):
        export.unpack(bomb, "uint8", 256)


def test_growth_gif_has_a_frame_per_step(made):
    pixels, recipe = made
    gif = Image.open(io.BytesIO(export.growth_gif(pixels, recipe)))
    assert gif.n_frames == max(s["step"] for s in export.growth_of(recipe))
    gif.seek(0)
    first = np.asarray(gif.convert("RGB")).astype(int)
    assert abs(first[0, 0] - (242, 242, 240)).max() <= 8


def test_kept_pixels_are_exact_and_the_seam_fades():
    original = np.full((32, 32, 3), 100, np.uint8)
    grown = np.full((32, 32, 3), 116, np.uint8)
    kept = np.zeros((32, 32), bool)
    kept[:, :16] = True
    out = export.keep_pixels(grown, original, kept, reach=8).astype(int)
    assert (out[:, :16] == 100).all()
    assert (out[:, 24:] == 116).all()
    border = out[8, 15:25, 0]
    assert (np.diff(border) >= 0).all()
    assert np.diff(border).max() <= 4


def test_confidence_bytes_tell_unknown_from_certain():
    given = np.array([0.0, 1.0, np.nan], np.float32)
    assert export.confidence_bytes(given).tolist() == [0, 254, 255]


def test_a_file_of_the_first_release_is_read(made):
    """Its recipe names neither the size of a frame nor the slice of each."""
    pixels, recipe = made
    old = {k: v for k, v in recipe.items() if k not in ("size", "slice_of_frame")}
    read, _ = export.read_recipe(export.png_bytes(pixels, old))
    assert (list(read["size"]), read["slice_of_frame"]) == ([128, 128], [0])
