"""Pictures of every kind, and what is said of what is none."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nar_core import Original
from nar_core.picture import ORIENTATION, fit, open_picture, reading_picture, upright


def saved(picture: Image.Image, kind: str = "PNG", **more) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


@pytest.mark.parametrize(
    "mode",
    [
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBX",
        "CMYK",
        "YCbCr",
        "HSV",
        "LAB",
        "I",
        "I;16",
        "I;16B",
        "F",
    ],
)
def test_every_mode_is_seen_and_trained_on_alike(mode):
    white = 65535 if mode.startswith("I") else 1 if mode in ("1", "F") else 255
    picture = Image.new("RGB", (12, 8), "white")
    if mode == "LAB":
        picture = Image.merge("LAB", [Image.new("L", (12, 8), x) for x in (255, 128, 128)])
    elif mode.startswith("I;"):
        kind = ">u2" if mode == "I;16B" else "<u2"
        picture = Image.frombytes(mode, (12, 8), np.full((8, 12), white, kind).tobytes())
    elif mode in "IF":
        picture = Image.new(mode, (12, 8), white)
    else:
        picture = picture.convert("LA").convert("PA") if mode == "PA" else picture.convert(mode)
    assert picture.mode == mode
    assert fit(picture, (4, 4)).min() >= 250
    assert np.asarray(upright(picture)).min() >= 250


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (0, 65535, np.uint16),
        (0, 1, np.float32),
        (-1, 1, np.float32),
        (0, 1.3, np.float32),  # light, or what resampling has overshot
        (0, 255, np.float32),
        (-40, 4000, np.float32),
        (0, 65535, np.int32),
        (0, 255, np.int32),
    ],
)
def test_values_of_more_than_eight_bits_go_from_black_to_white(low, high, kind):
    values = np.linspace(low, high, 64).astype(kind)[None].repeat(8, 0)
    row = fit(Image.fromarray(values), (8, 64))[4, :, 0].astype(int)
    assert row[0] <= 2
    assert 120 <= row[32] <= 136
    assert row[-1] >= 253


def test_what_is_dark_in_sixteen_bits_stays_dark():
    row = fit(Image.fromarray(np.full((8, 8), 6553, np.uint16)), (4, 4))
    assert 24 <= row.min() <= row.max() <= 26


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size):
    with pytest.raises(ValueError, match=f"got {size[0]} x {size[1]} pixels, expected some"):
        fit(Image.new("L", size), (4, 4))


def test_what_is_no_number_spoils_only_its_own_place():
    values = np.full((32, 32), 500, np.float32)
    values[:, :16] = 1000
    values[0, :3] = np.nan, np.inf, -np.inf
    row = np.asarray(upright(Image.fromarray(values)))[..., 0]
    assert row[0, :3].tolist() == [0, 255, 0]
    assert set(row[1:].ravel().tolist()) == {255, 128}
    assert fit(Image.fromarray(np.full((4, 4), np.nan, np.float32)), (2, 2)).max() == 0


def test_sixteen_bits_with_a_clear_value():
    values = np.full((8, 8), 1000, np.uint16)
    values[:, 4:] = 7
    data = saved(Image.fromarray(values), transparency=7)
    assert fit(open_picture(data), (8, 8))[4, 6].tolist() == [255] * 3
    assert np.asarray(upright(open_picture(data)))[4, [1, 6], 3].tolist() == [255, 0]


def test_training_sees_pictures_upright_too():
    lying = Image.new("RGB", (20, 10), "red")
    lying.paste("blue", (0, 0, 10, 10))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    seen = upright(open_picture(saved(lying, "JPEG", exif=exif, quality=95)))
    assert seen.size == (10, 20)
    assert seen.getpixel((5, 3))[2] > 200
    assert seen.getpixel((5, 16))[0] > 200
    np.testing.assert_array_equal(fit(seen, (20, 10)), np.asarray(seen)[..., :3])  # not once more


@pytest.mark.filterwarnings("ignore")  # of Pillow's, about the same
def test_damaged_words_about_a_picture_do_not_spoil_it():
    for exif in (b"Exif\0\0garbage, and more of it", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0"):
        for kind in ("PNG", "WEBP"):
            data = saved(Image.new("RGB", (8, 8), "white"), kind, exif=exif)
            assert fit(open_picture(data), (4, 4)).min() > 250
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "<x tiff:Orientation='many'>")
    data = saved(Image.new("RGB", (8, 8), "white"), pnginfo=text)
    assert fit(open_picture(data), (4, 4)).min() == 255


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", "b")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><title>404</title>", "a web page"),
        (b"\n<html><svg></svg></html>", "a web page"),
        (b'<?xml version="1.0"?><!-- a --><svg viewBox="0 0 1 1"/>', "an SVG drawing"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git-LFS pointer"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an HEIC photo"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a film"),
        (b"%PDF-1.7\n", "a page to print"),
        (zipped(), "a ZIP archive"),
        (b"hello, world\n", "a text"),
        (bytes(range(200, 256)), "something of no known kind"),
    ],
)
def test_what_is_no_picture_is_called_what_it_is(data, told, tmp_path):
    file = tmp_path / "holiday.png"
    file.write_bytes(data)
    for source in (data, file):
        with pytest.raises(ValueError, match=rf"holiday.png: got {told}.*; use a whole PNG"):
            open_picture(source, "holiday.png")


def test_damage_is_told_with_the_name_of_the_file(tmp_path):
    whole = saved(Image.effect_noise((64, 64), 90))
    file = tmp_path / "torn.png"
    file.write_bytes(whole[: len(whole) // 2])
    with (
        pytest.raises(ValueError, match=r"torn.png: got a damaged one \(.+\), expected an image"),
        reading_picture(file, "torn.png"),
    ):
        fit(open_picture(file, "torn.png"), (8, 8))
    for place in (tmp_path, tmp_path / "gone.png"):
        with pytest.raises(ValueError, match=r"a.png: got"):
            open_picture(place, "a.png")


def bomb(side: int) -> bytes:
    """A few bytes that say they are a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_picture_beyond_all_use_is_not_decoded():
    with pytest.raises(ValueError, match=r"large \(900000000 pixels\), .*; make it smaller"):
        open_picture(bomb(30_000), "huge.png")


def test_a_picture_of_any_size_is_put_back_as_its_pixels_are():
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (90, 70, 3), np.uint8))
    video = rng.integers(0, 256, (2, 1, 32, 40, 3), np.uint8)
    cells = np.zeros((1, 4, 5), bool)
    cells[0, 1:3, 2:4] = True
    pixels = fit(picture, (32, 40))
    for name in ("pasted", "blended"):
        made = getattr(Original(picture, cells), name)(video)
        assert np.array_equal(made, getattr(Original(pixels, cells), name)(video))
        assert np.array_equal(made[1, 0, 8:24, 16:32], pixels[8:24, 16:32])
