"""Pictures wider than a model's grid."""

from __future__ import annotations

import numpy as np
import pytest

from nar_core import Engine, Request
from nar_core.panorama import decode_wide, panorama

from .helpers import write_model_folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine.load(write_model_folder(tmp_path_factory.mktemp("models")), dtype="float32")


def asked(engine, **fields) -> Request:
    return Request(prompt="apple", rng_seed=3, **fields)


def test_the_first_window_stays_and_the_rest_grows_around_it(engine):
    grid = engine.info.grid
    for columns in (grid.w, grid.w + 1, 3 * grid.w, 3 * grid.w + 1):
        wide = panorama(engine, asked(engine, num_samples=2), columns)
        assert wide.shape == (2, 1, grid.h, columns)
        assert (wide >= 0).all()
        first = (columns - grid.w) // 2
        alone = engine.generate_all(asked(engine, num_samples=2)).tokens
        np.testing.assert_array_equal(wide[..., first : first + grid.w], alone)


def test_a_given_middle_stays_and_every_window_saw_its_neighbour(engine):
    grid = engine.info.grid
    middle = np.arange(grid.cells).reshape(1, 1, grid.h, grid.w) % engine.info.vocab_size
    wide = panorama(engine, asked(engine), grid.w + 2, middle)
    np.testing.assert_array_equal(wide[..., 1:-1], middle)
    right = wide[..., 2:]
    known = right.copy()
    known[..., -1] = -1
    request = Request(
        prompt="apple", rng_seed=4, known=known, seed_position=(0, grid.h // 2, grid.w // 2)
    )
    np.testing.assert_array_equal(engine.generate_all(request).tokens, right)


def test_windows_fade_into_each_other(engine):
    grid, height = engine.info.grid, engine.info.size[0]
    same = np.full((1, 1, grid.h, 3 * grid.w), 5)
    wide = decode_wide(engine, same)
    cell = engine.info.size[1] // grid.w
    assert wide.shape == (1, height, 3 * grid.w * cell, 3)
    alone = engine.decode(same[..., : grid.w])[:, 0]
    np.testing.assert_array_equal(decode_wide(engine, same[..., : grid.w]), alone)


def test_what_cannot_be_wide_is_refused(engine, tmp_path):
    with pytest.raises(ValueError, match=r"columns: got 1, expected"):
        panorama(engine, asked(engine), 1)
    clips = Engine.load(write_model_folder(tmp_path, "clips", frames=4), dtype="float32")
    with pytest.raises(ValueError, match="expected a model of pictures"):
        panorama(clips, asked(clips), 99)
