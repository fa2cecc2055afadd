"""A thing alone on plain ground begins a clip as large as the model's own, by every way."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nar_core import Engine, ModelInfo, NARPipeline, Request, box_alone, fit, framed
from nar_core.cli import main
from nar_core.files import read_recipe
from nar_core.picture import ORIENTATION
from nar_core.plan import GridShape
from nar_core.subject import Subject, first_frame, place_of, subject_of
from nar_core.worlds import WORLDS

from .helpers import write_model_folder

INFO = ModelInfo("a", "A", "text", "video", GridShape(17, 10, 10), (80, 80), "emoji-motion", 17)
CELL, BOX = 8, (1, 2, 7)
JUMPS, SPINS = "a lion jumps", "a lion spins"


def painted(width: int, height: int, *boxes: tuple[int, int, int, int], ground: int = 255):
    """A ground of one grey with boxes (x, y, wide, high) of another, uint8 [height, width, 3]."""
    out = np.full((height, width, 3), ground, np.uint8)
    for x, y, wide, high in boxes:
        out[y : y + high, x : x + wide] = ground - 60
    return out


def dark(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is no ground."""
    rows, columns = np.nonzero(np.abs(pixels.astype(int) - pixels[0, 0]).max(-1) > 30)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_a_thing_is_found_on_its_ground():
    found = subject_of(painted(128, 128, (24, 8, 96, 90), ground=230))
    assert found == Subject(24, 8, 96, 90, (230, 230, 230))


@pytest.mark.parametrize(
    "boxes",
    [
        (),
        ((0, 40, 50, 50),),
        ((78, 40, 50, 50),),
        ((40, 0, 50, 50),),
        ((40, 78, 50, 50),),
        ((8, 8, 56, 56), (64, 64, 56, 56)),
        ((60, 60, 9, 9),),
    ],
)
def test_nothing_a_crowd_a_speck_and_a_scene_are_no_thing_alone(boxes):
    pixels = painted(128, 128, *boxes)
    assert subject_of(pixels) is None
    assert framed(INFO, pixels) is None


@pytest.mark.parametrize("high", [3, 4, 6])
def test_a_ribbon_of_which_no_pixel_would_be_left_is_no_thing_alone(high):
    ribbon = painted(256, high, (20, high // 2, 215, 1))
    assert framed(INFO, ribbon, (3, 3, 3)) is None
    assert first_frame(INFO, Image.fromarray(ribbon), (3, 3, 3)).shape == (80, 80, 3)


def test_it_becomes_as_large_as_things_of_the_clip_and_lies_on_their_grid():
    subject = Subject(24, 8, 96, 96, (0, 0, 0))
    scale, x, y = place_of(subject, CELL, BOX)
    assert scale == 56 / 96
    assert (24 * scale + x, 8 * scale + y) == pytest.approx((8, 16))
    _, _, low = place_of(replace(subject, high=40), CELL, BOX)  # three cells: two rows lower
    assert 8 * scale + low == pytest.approx(32)
    _, right, below = place_of(subject, CELL, (2, 3, 7))
    assert (right - x, below - y) == pytest.approx((8, 8))


def test_what_has_the_size_already_keeps_its_pixels_and_its_cells():
    scale, x, y = place_of(Subject(33, 41, 55, 30, (0, 0, 0)), CELL, BOX)
    assert (scale, x % 8, y % 8, 32 + x) == (1, 0, 0, 8)


@pytest.mark.parametrize("size", [(100, 60), (800, 1200), (2600, 2000)])
@pytest.mark.parametrize("ground", [255, 190])
def test_a_picture_of_any_size_is_drawn_anew(size, ground):
    """As a camera turned it, with its ground around it."""
    wide, high = size
    pixels = painted(wide, high, (wide // 2, high // 4, wide // 4, high // 8), ground=ground)
    made = framed(INFO, Image.fromarray(pixels), BOX)
    assert made.shape == (80, 80, 3)
    assert (made[[0, -1]] == ground).all()
    left, top, right, bottom = dark(made)
    assert max(right - left, bottom - top) == pytest.approx(56, abs=1)
    assert left % 8 < 2 or left % 8 > 6
    file = BytesIO()
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    Image.fromarray(np.rot90(pixels)).save(file, "PNG", exif=turned)
    again = framed(INFO, Image.open(file), BOX)
    assert dark(again) == (left, top, right, bottom)


def test_what_is_transparent_is_white_ground():
    clear = np.zeros((64, 64, 4), np.uint8)
    clear[20:40, 16:48] = (200, 30, 30, 255)
    made = framed(INFO, Image.fromarray(clear), BOX)
    assert (made[0, 0] == 255).all()
    assert dark(made)[0] == pytest.approx(8, abs=1)


def test_the_clips_own_things_stay_as_they_are():
    """A world's first frame, given with its own prompt, is the first frame."""
    world, same = WORLDS["emoji-motion"](), 0
    for noun in ("lion", "car", "apple", "robot", "umbrella", "fox"):
        facts = world.understand(f"{noun} spins").facts
        first = world.paint(facts, world.layouts(facts)[0])[0]
        same += np.array_equal(framed(INFO, first, box_alone(INFO, f"{noun} spins")), first)
    assert same == 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model of random weights whose prompts are of the world of moving things."""
    place = tmp_path_factory.mktemp("moving")
    return write_model_folder(place, frames=2, size=(80, 80), world="emoji-motion")


@pytest.fixture(scope="module")
def engine(folder) -> Engine:
    return Engine.load(folder, device="cpu")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    pixels = painted(300, 200, (160, 20, 100, 90), ground=240)
    pixels[30:60, 180:220] = (200, 30, 30)
    return Image.fromarray(pixels)


def first_slice(engine: Engine, pixels: np.ndarray) -> np.ndarray:
    return engine.encode(Image.fromarray(pixels))[0, 0]


def test_every_way_begins_with_the_same_frame(engine, folder, picture, tmp_path, capsys):
    """Also in a batch: each sample stands where its own prompt has it."""
    wanted = {p: first_slice(engine, framed(engine.info, picture, box_alone(engine.info, p)))
              for p in (JUMPS, SPINS)}  # fmt: skip
    cropped = first_slice(engine, fit(picture, engine.info.size))
    assert len({x.tobytes() for x in (*wanted.values(), cropped)}) == 3
    both = Request(prompt=(JUMPS, SPINS), known=picture, num_samples=2, rng_seed=3)
    frame = engine.generate_all(both)
    for row, prompt in enumerate((JUMPS, SPINS)):
        assert np.array_equal(frame.tokens[row, 0], wanted[prompt])
        alone = engine.generate_all(Request(prompt=prompt, known=picture, rng_seed=3 + row))
        assert np.array_equal(alone.tokens[0], frame.tokens[row])
    picture.save(tmp_path / "a.png")
    out = str(tmp_path / "out")
    words = ["--model", str(folder), "--image", str(tmp_path / "a.png"), "--out", out, "--json"]
    assert main(["generate", *words, "--prompt", JUMPS, SPINS, "--rng-seed", "3"]) == 0
    files = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
    for row, file in enumerate(files):
        grown = read_recipe(Path(file).read_bytes()).tokens
        assert np.array_equal(grown[0], wanted[(JUMPS, SPINS)[row]])
    pipe = NARPipeline(engine)
    latent = pipe([JUMPS, SPINS], image=picture, generator=3, output_type="latent").images
    assert np.array_equal(latent, frame.tokens)


def test_pixels_and_parts_of_a_picture_are_taken_as_they_are(engine, picture):
    """Once prepared it is not drawn anew a second time."""
    pixels = fit(picture, engine.info.size)
    keep = np.zeros(engine.info.grid, bool)
    keep[0, :5] = True
    whole = engine.generate_all(Request(prompt=JUMPS, known=pixels))
    assert np.array_equal(whole.tokens[0, 0], first_slice(engine, pixels))
    part = engine.generate_all(Request(prompt=JUMPS, known=picture, keep=keep))
    assert np.array_equal(part.tokens[0, 0, :5], first_slice(engine, pixels)[:5])
    request = engine.validate(Request(prompt=JUMPS, known=picture))
    again = engine.validate(request)
    assert np.array_equal(request.known, again.known)
    two = np.stack([pixels, 255 - pixels])
    rows = engine.generate_all(Request(prompt=JUMPS, known=two, num_samples=2))
    assert np.array_equal(rows.tokens[1, 0], first_slice(engine, two[1]))
    with pytest.raises(ValueError, match=r"known: got 2 pictures, expected 1 or 3 \(num_samples\)"):
        engine.prepare(Request(prompt=JUMPS, known=two, num_samples=3))
