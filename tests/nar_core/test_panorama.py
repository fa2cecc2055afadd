"""Pictures wider than a model's grid."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nar_core import Engine, Request
from nar_core.panorama import _mirrored, panorama
from nar_core.worlds import WORLDS

from .helpers import write_model_folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine.load(write_model_folder(tmp_path_factory.mktemp("models")), dtype="float32")


def asked(engine, **fields) -> Request:
    return Request(prompt="apple", rng_seed=3, **fields)


def test_the_first_window_stays_and_the_rest_grows_around_it(engine):
    """All but what fades into its neighbours, half of what each shows of it."""
    grid, (height, width) = engine.info.grid, engine.info.size
    cell = width // grid.w
    request = asked(engine, num_samples=2)
    alone = engine.decode(engine.generate_all(request).tokens)[:, 0]
    np.testing.assert_array_equal(panorama(engine, request, grid.w), alone)
    for columns in (grid.w + 1, 3 * grid.w, 3 * grid.w + 1):
        wide = panorama(engine, request, columns)
        assert wide.shape == (2, height, columns * cell, 3)
        first = (columns - grid.w) // 2 * cell
        middle = wide[:, :, first : first + width]
        kept = slice(width // 2, width // 2 + 1) if columns > grid.w + 1 else slice(0, width // 2)
        np.testing.assert_array_equal(middle[:, :, kept], alone[:, :, kept])
        assert (wide.std((0, 1, 3)) > 0).all()  # every column was painted


def test_each_of_a_batch_is_that_of_a_run_of_its_own(engine):
    grid = engine.info.grid
    both = panorama(engine, asked(engine, num_samples=2), 3 * grid.w)
    for sample in range(2):
        one = panorama(engine, Request(prompt="apple", rng_seed=3 + sample), 3 * grid.w)
        np.testing.assert_array_equal(both[sample], one[0])


def test_a_picture_of_any_size_stands_in_the_middle(engine):
    picture = Image.new("RGB", (70, 90), (200, 30, 30))
    width = engine.info.size[1]
    wide = panorama(engine, asked(engine, num_samples=2), engine.info.grid.w + 2, picture)
    left = (wide.shape[2] - width) // 2
    assert (wide[:, :, left : left + width] == (200, 30, 30)).all()
    assert len(wide) == 2


def test_each_window_sees_the_pixels_beside_it_and_fades_into_them(engine, monkeypatch):
    """What it knows is encoded at its own place: tokens of an edge are not taken to the middle."""
    grid, width = engine.info.grid, engine.info.size[1]
    asked_for = []
    grow = engine.generate_all
    monkeypatch.setattr(engine, "generate_all", lambda r: asked_for.append(r) or grow(r))
    cell = width // grid.w
    wide = panorama(engine, asked(engine), grid.w + 2)
    first, right, left = asked_for
    middle = engine.decode(grow(first).tokens)[:, 0]
    there = np.concatenate([middle[:, :, cell:], middle[:, :, : -cell - 1 : -1]], 2)
    tokens = engine.encode(there[:, None])
    np.testing.assert_array_equal(right.known[..., :-1], tokens[..., :-1])
    assert (right.known[..., -1] == -1).all()
    assert (left.known[..., 0] == -1).all()
    assert (left.known[..., 1:] >= 0).all()
    grown = engine.decode(grow(right).tokens)[0, 0]
    np.testing.assert_array_equal(wide[0, :, -cell:], grown[:, -cell:])
    edge = wide[0, :, -cell - 1].astype(float)  # the last pixel column of the middle
    share = 1 - 1 / (width - cell)
    hoped = share * grown[:, -cell - 1] + (1 - share) * middle[0, :, -1]
    assert np.abs(edge - hoped).max() <= 0.5


def test_a_picture_in_the_middle_comes_back_unchanged(engine):
    grid, (height, width) = engine.info.grid, engine.info.size
    cell = width // grid.w
    shape = (2, height, width, 3)
    middle = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    wide = panorama(engine, asked(engine, num_samples=2), 2 * grid.w, middle)
    first = grid.w // 2 * cell
    np.testing.assert_array_equal(wide[:, :, first : first + width], middle)


def test_what_cannot_be_wide_is_refused(engine, tmp_path):
    with pytest.raises(ValueError, match=r"columns: got 1, expected"):
        panorama(engine, asked(engine), 1)
    clips = Engine.load(write_model_folder(tmp_path, "clips", frames=4), dtype="float32")
    with pytest.raises(ValueError, match="expected a model of pictures"):
        panorama(clips, asked(clips), 99)


@pytest.mark.parametrize("shape", [(32, 40, 3), (2, 32, 40, 3), (1, 30, 40, 3)])
def test_pixels_of_another_form_in_the_middle_are_told(engine, shape):
    assert engine.info.size == (32, 40)
    for middle in (np.zeros(shape, np.uint8), np.zeros((1, 32, 40, 3)), "a.png"):
        with pytest.raises(ValueError, match=r"middle: got .*, expected a PIL picture, or pixels"):
            panorama(engine, asked(engine), engine.info.grid.w, middle)


def test_beside_what_is_kept_lies_its_mirror_image():
    row = np.arange(8)[None, None, :, None]
    assert _mirrored(row, slice(0, 5)).ravel().tolist() == [0, 1, 2, 3, 4, 4, 3, 2]
    assert _mirrored(row, slice(3, 8)).ravel().tolist() == [5, 4, 3, 3, 4, 5, 6, 7]


def test_windows_differ_in_what_is_drawn_and_not_in_what_is_arranged(engine, monkeypatch):
    seeds, grow = [], engine.generate_all
    monkeypatch.setattr(engine, "generate_all", lambda r: seeds.append(r.rng_seed) or grow(r))
    panorama(engine, asked(engine), 3 * engine.info.grid.w)
    assert len(set(seeds)) == len(seeds) > 2
    world = WORLDS["landscape"]()
    ways = world.arrangements(world.understand("hills at noon").facts)
    lands = [ways[seed % len(ways)] for seed in seeds]
    assert all(np.array_equal(world.cells(land), world.cells(lands[0])) for land in lands)


def test_what_is_known_of_the_first_window_is_not_asked_of_the_others(engine):
    grid = engine.info.grid
    picture = Image.new("RGB", (engine.info.size[1], engine.info.size[0]), (200, 30, 30))
    keep = np.zeros(grid, bool)
    keep[..., :2] = True
    told: list[int] = []
    generate_all = engine.generate_all

    class Spy:
        def __getattr__(self, name):
            return getattr(engine, name)

        def generate_all(self, request):
            told.append(int(engine.prepare(request).plan.known.sum()))
            return generate_all(request)

    panorama(Spy(), asked(engine), 2 * grid.w)
    plain, told = told, []
    panorama(Spy(), asked(engine, known=picture, keep=keep), 2 * grid.w)
    assert (plain[0], told[0]) == (0, 2 * grid.h)
    assert told[1:] == plain[1:]


def test_what_no_window_could_be_grown_for_is_refused_before_the_first(engine):
    class Unused:
        info, prepare = engine.info, engine.prepare

    columns = 2 * engine.info.grid.w
    frame = engine.generate_all(asked(engine))
    with pytest.raises(ValueError, match="rng_seed: got 9223372036854775000, expected 0 to 922337"):
        panorama(Unused(), Request(prompt="apple", rng_seed=9223372036854775000), columns)
    with pytest.raises(ValueError, match="resume: got a frame, expected none"):
        panorama(Unused(), Request(resume=frame), columns)
