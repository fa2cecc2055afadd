"""PNG files that carry their recipe, and the GIF of a growth."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from app.server.form import Form
from app.wire import bytes_of_uri
from nar_core.files import holds_more, limits, read_recipe, read_wide
from nar_core.files.growth import growth_gif
from nar_core.files.png import PART, jpeg_bytes, png_bytes, read_png
from nar_core.files.recipe import CHUNK, Recipe, pack, recipe_from
from nar_core.files.wide import CHUNK as WIDE
from tests.app.studios import fake_studio, finish, png_with


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, Recipe]:
    done = finish(fake_studio(), Form("emoji", "red apple"), {"seed_position": [0, 4, 9]})
    recipe, frames = read_png(bytes_of_uri(done["pictures"][0], 5_000_000))
    return frames[0], recipe


def test_the_recipe_comes_back_and_takes_little_room(made):
    pixels, recipe = made
    data = png_bytes(pixels, recipe)
    read, again = read_png(data)
    assert read.json() == recipe.json()
    assert np.array_equal(again[0], pixels)
    assert len(data) < len(png_bytes(pixels)) + 4000


def test_a_picture_without_recipe_is_named(made):
    with pytest.raises(ValueError, match="no recipe inside"):
        read_png(png_bytes(made[0]))


def test_of_a_whole_of_several_parts_the_last_is_read(made):
    pixels, recipe = made
    whole = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    whole[72:200, 172:300] = pixels

    def file(said: str) -> bytes:
        return png_bytes(whole, recipe, {PART: said})

    read, frames = read_png(file('{"at": [72, 172]}'))
    assert read.json() == recipe.json()
    assert np.array_equal(frames, pixels[None])
    assert holds_more(file('{"at": [72, 172]}'))
    assert not holds_more(png_bytes(pixels, recipe))
    for said in ('{"at": [73, 172]}', '{"at": [72, 173]}'):
        with pytest.raises(ValueError, match=r"part: got one of 1 x 128 x 128 .* within 300 x 200"):
            read_png(file(said))
    for said in ("", "{}", "[72, 172]", '{"at": [-1, 0]}', '{"at": [0, 0, 0]}', '{"at": [0.5, 0]}'):
        with pytest.raises(ValueError, match=r"^(part|recipe):"):
            read_png(file(said))


def test_an_empty_remark_is_no_recipe(made):
    jpeg = jpeg_bytes(made[0])
    with pytest.raises(ValueError, match="no recipe inside"):
        read_recipe(jpeg[:2] + b"\xff\xfe\0\2" + jpeg[2:])


@pytest.mark.parametrize("name", [CHUNK, WIDE])
def test_a_text_is_taken_up_to_what_a_recipe_needs(made, name):
    """Also where it is not compressed, of which Pillow lets pass more."""
    read = {CHUNK: read_png, WIDE: read_wide}[name]

    def file(length: int) -> bytes:
        info, out = PngImagePlugin.PngInfo(), io.BytesIO()
        info.add_text(name, "7".rjust(length))
        Image.fromarray(made[0]).save(out, "PNG", pnginfo=info)
        return out.getvalue()

    with pytest.raises(ValueError, match="recipe: got 7, expected"):
        read(file(limits.MAX_RECIPE))
    told = "recipe: got 1,000,001 characters, expected at most 1,000,000; use the file as"
    with pytest.raises(ValueError, match=told):
        read(file(limits.MAX_RECIPE + 1))


@pytest.mark.parametrize("size", [(128, 128), (64, 64), (1, 1)])
def test_a_file_is_cut_off_at_any_place(made, size):
    data = png_bytes(made[0][: size[0], : size[1]], made[1])
    for end in range(0, len(data) - 24, max(1, len(data) // 25)):
        with pytest.raises(ValueError, match=r"picture|recipe"):
            read_png(data[:end])


def test_too_much_text_is_not_unpacked(made):
    with pytest.raises(ValueError, match=r"picture|recipe"):
        read_png(png_with(made[0], "[" * 3_000_000))


def test_frames_are_bounded_before_they_are_decoded(made):
    _, recipe = made
    more = {"frames": 256, "slice_of_frame": [0] * 256, "size": [8, 8]}
    large = np.zeros((1024, 1024, 3), np.uint8)
    with pytest.raises(ValueError, match="256 times 1024 x 1024 pixels"):
        read_png(png_with(large, {**recipe.json(), **more}))


def test_a_clip_has_as_many_frames_as_its_recipe_says():
    done = finish(fake_studio(), Form("clip", "fox"), {"seed_position": [2, 4, 4]})
    clip, frames = read_png(bytes_of_uri(done["pictures"][0], 5_000_000))
    assert frames.shape == (8, 64, 64, 3)
    moving = Image.open(io.BytesIO(png_bytes(frames, clip)))
    # without end; frames are alike two by two
    assert (moving.info["loop"], moving.info["duration"]) == (0, 250)
    short = {**clip.json(), "frames": 5, "slice_of_frame": [0, 0, 1, 2, 3]}
    with pytest.raises(ValueError, match="got more than 5 frames at 8 a second, expected 5"):
        read_png(png_bytes(frames, recipe_from(short)))


@pytest.mark.parametrize("fps", [1, 8, 24])
def test_a_clip_in_which_nothing_moves_is_read(fps):
    done = finish(fake_studio(), Form("clip", "fox"), {"seed_position": [2, 4, 4]})
    clip, frames = read_png(bytes_of_uri(done["pictures"][0], 5_000_000))
    frames = np.repeat(frames[:1], len(frames), 0)
    _, read = read_png(png_bytes(frames, replace(clip, fps=fps)))
    assert np.array_equal(read, frames)


def test_a_picture_that_moves_is_told_by_its_frames_alone(made):
    pixels, recipe = made
    moving = png_bytes(np.stack([pixels, 255 - pixels]), recipe)
    with pytest.raises(ValueError, match="picture: got 2 frames, expected 1; use the file"):
        read_png(moving)


def test_growth_gif_has_a_frame_per_step(made):
    pixels, recipe = made
    gif = Image.open(io.BytesIO(growth_gif(pixels, recipe)))
    assert gif.n_frames == recipe.total
    paces = []
    for number in range(gif.n_frames):
        gif.seek(number)
        paces.append(gif.info["duration"])
    assert paces == [140] * 20 + [1400]  # three seconds in all, and the end is held
    tall = Image.open(io.BytesIO(growth_gif(pixels, recipe, tall=True)))
    assert (gif.size, tall.size) == ((640, 640), (640, 800))
    gif.seek(0)
    first = np.asarray(gif.convert("RGB")).astype(int)
    assert abs(first[0, 0] - (242, 242, 240)).max() <= 8


def test_a_growth_of_many_steps_leaves_some_out(made, monkeypatch):
    pixels, recipe = made
    monkeypatch.setattr("nar_core.files.growth.MAX_GIF_PIXELS", 384 * 384 * 7)
    gif = Image.open(io.BytesIO(growth_gif(pixels, recipe)))
    assert gif.n_frames <= 8
    gif.seek(gif.n_frames - 1)
    whole = np.asarray(gif.convert("RGB").resize((128, 128), Image.Resampling.NEAREST))
    assert np.abs(whole.astype(int) - pixels).mean() < 4


def test_the_most_work_a_recipe_can_ask_for_stays_small():
    """The largest grid there is, in as many steps as it can take."""
    at = np.indices((256, 256)).sum(0)[None].astype(np.uint16) + 1
    done = finish(fake_studio(), Form("emoji", "owl"), {})
    data = read_png(bytes_of_uri(done["pictures"][0], 5_000_000))[0].json()
    values = {"steps": pack(at), "tokens": pack(at), "confidence": pack((at > 0).astype(np.uint8))}
    data |= {**values, "grid": [1, 256, 256]}
    data["token_digest"] = Recipe.token_digest.fget(type("", (), {"tokens": at}))
    recipe = recipe_from(data)
    assert recipe.total == 511
    assert len(recipe.growth()) == 511
    gif = Image.open(io.BytesIO(growth_gif(np.zeros((1024, 1024, 3), np.uint8), recipe)))
    assert gif.n_frames * 1024 * 1024 < limits.MAX_GIF_PIXELS * 1.1
