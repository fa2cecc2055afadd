"""Pictures as people have them."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from nar_core import fit
from nar_core.files.limits import Limits
from nar_core.files.picture import read_picture
from nar_core.picture import TURNS


def four() -> Image.Image:
    """Red, green, blue and white quarters."""
    out = Image.new("RGB", (64, 64), "white")
    for colour, at in (("red", (0, 0)), ("lime", (32, 0)), ("blue", (0, 32))):
        out.paste(colour, (*at, at[0] + 32, at[1] + 32))
    return out


def saved(picture: Image.Image, kind: str = "PNG", **more) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def corners(pixels: np.ndarray) -> list[list[int]]:
    return [pixels[y, x].tolist() for y in (8, 24) for x in (8, 24)]


UPRIGHT = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_may_be_held_in_any_way(kind, orientation):
    turned = four()
    if orientation > 1:  # what the camera saves is what, turned, is upright
        back = {6: 8, 8: 6}.get(orientation, orientation)
        turned = turned.transpose(TURNS[back])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(turned, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    assert corners(read_picture(data, (32, 32))) == UPRIGHT


def test_a_picture_held_sideways_is_cropped_as_it_is_seen():
    tall = Image.new("RGB", (40, 120), "red")
    tall.paste("blue", (0, 40, 40, 80))
    exif = Image.Exif()
    exif[0x0112] = 6
    out = read_picture(saved(tall.transpose(TURNS[8]), exif=exif), (32, 32))
    assert out[16, 16].tolist() == [0, 0, 255]
    assert out[3, 3].tolist() == [0, 0, 255]


def test_sixteen_bits_and_floats_are_scaled():
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(64, 0)
    for values in ((ramp * 65535).astype(np.uint16), ramp, ramp * 1000):
        kind = "PNG" if values.dtype == np.uint16 else "TIFF"
        out = read_picture(saved(Image.fromarray(values), kind), (64, 64))
        assert out[0, 0].max() <= 3
        assert 120 <= out[32, 32, 0] <= 136
        assert out[63, 63].min() >= 252
    odd = ramp.copy()
    odd[0, 0] = np.nan
    assert read_picture(saved(Image.fromarray(odd), "TIFF"), (64, 64)).shape == (64, 64, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_is_read(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    out = read_picture(saved(Image.new("RGB", (64, 48), "white").convert(mode), kind), (32, 32))
    assert out.min() >= 250


def test_animated_pictures_give_their_first_frame():
    first, second = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue")
    data = saved(first, "GIF", save_all=True, append_images=[second])
    assert read_picture(data, (16, 16))[8, 8, 0] > 240


def test_transparency_lies_on_white_and_the_centre_is_cut_out():
    picture = Image.new("RGBA", (300, 100), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (100, 0, 200, 100))
    out = fit(picture, (64, 64))
    assert out.shape == (64, 64, 3)
    assert out[32, 32].tolist() == [0, 0, 255]
    assert fit(Image.new("RGBA", (8, 8)), (16, 16)).min() == 255
    palette = Image.new("P", (8, 8), 0)
    assert read_picture(saved(palette, transparency=0), (16, 16)).min() == 255


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_one_pixel_and_ribbons_are_pictures(size):
    assert read_picture(saved(Image.new("RGB", size, "red")), (32, 32))[16, 16].tolist() == [
        255, 0, 0
    ]  # fmt: skip


@pytest.mark.parametrize("cut", [0, 1, 20, 60, 100, -30])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_what_is_cut_off_is_told(cut, kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    with pytest.raises(ValueError, match=r"picture: .*; use a whole PNG or JPEG"):
        read_picture(saved(noise, kind)[:cut], (32, 32))


def bomb(width: int, height: int) -> bytes:
    """A few kilobytes that say they are a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(min(1 + width * 3, 2**20))))
    return b"\x89PNG\r\n\x1a\n" + head + rows + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(4001, 4000), (40_000, 10), (10, 40_000), (2**31 - 1, 2**31 - 1)])
def test_the_size_is_read_before_the_pixels(size):
    with pytest.raises(ValueError, match="picture"):
        read_picture(bomb(*size), (32, 32))
    with pytest.raises(ValueError, match=r"got 20 x 20 pixels, expected at most 0.0001 million"):
        read_picture(saved(Image.new("RGB", (20, 20))), (8, 8), Limits(pixels=100))


def test_no_size_is_taken_for_damage_by_rounding():
    """49 / 128 * 128 is more than 49 by the least there is."""
    for side in (49, 98, 103, 107, 197, 253):
        for size in ((side, side), (side, 2 * side), (3 * side, side)):
            out = read_picture(saved(Image.new("RGB", size, "red")), (128, 128))
            assert out[64, 64].tolist() == [255, 0, 0]


def tiled(side: int) -> bytes:
    """A TIFF of 16 x 16 pixels in one tile of side x side."""
    row = zlib.compressobj(9)
    data = b"".join(row.compress(bytes(side)) for _ in range(side)) + row.flush()
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side}
    at = 8 + 2 + 12 * (len(tags) + 2) + 4
    tags |= {324: at, 325: len(data)}
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return (
        head + b"".join(struct.pack("<HHII", t, 4, 1, n) for t, n in tags.items()) + bytes(4) + data
    )


def test_what_is_unpacked_at_once_is_bounded_too():
    assert read_picture(tiled(64), (8, 8)).max() == 0
    with pytest.raises(ValueError, match=r"picture: got a tile of 5008 x 5008 pixels, expected at"):
        read_picture(tiled(5008), (8, 8))


def test_a_jpeg_is_not_gone_through_without_an_end():
    data = saved(Image.new("RGB", (64, 64), "red"), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert read_picture(data[:-2] + last * 40 + data[-2:], (8, 8))[4, 4, 0] > 240
    with pytest.raises(ValueError, match=r"got a JPEG of \d+ scans, expected at most 100; save"):
        read_picture(data[:-2] + last * 100 + data[-2:], (8, 8))


def icon(data: bytes) -> bytes:
    """An icon that says 16 x 16 of whatever picture it holds."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(data), 22) + data


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (icon(saved(Image.new("RGB", (300, 300)))), "an icon"),
        (saved(Image.new("RGB", (64, 64)), "ICNS"), "an icon"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "a page to print"),
        (saved(Image.new("RGB", (64, 64)), "JPEG2000"), "a JPEG 2000 picture"),
    ],
)
def test_readers_that_do_more_than_read_are_not_begun(data, told):
    with pytest.raises(ValueError, match=f"picture: got {told}, expected an image; use a whole"):
        read_picture(data, (8, 8))


def notes(count: int, size: int, length: int, kind: int = 7) -> bytes:
    """TIFF notes of so many tags, the values of all of which are the same `size` bytes."""
    tags = b"".join(struct.pack("<HHII", 1000 + i, kind, size, 8) for i in range(count))
    out = b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4)
    return out + bytes(max(0, length - len(out)))


def with_chunk(kind: bytes, data: bytes, times: int = 1) -> bytes:
    """A PNG with chunks before its pixels."""
    png, told = saved(four()), struct.pack(">I", len(data)) + kind + data
    return png[:33] + (told + struct.pack(">I", zlib.crc32(kind + data))) * times + png[33:]


def with_segments(code: int, data: bytes, times: int = 1) -> bytes:
    """A JPEG with segments before its pixels."""
    jpeg = saved(four(), "JPEG")
    return (
        jpeg[:2]
        + (bytes([255, code]) + struct.pack(">H", len(data) + 2) + data) * times
        + (
            jpeg[20:]  # without its JFIF head, so that its notes are asked for its resolution
        )
    )


def with_remark(part: bytes, times: int) -> bytes:
    """A GIF with a remark of many parts before its pixels."""
    gif = saved(four().convert("P"), "GIF")
    at = 13 + 3 * 2 ** ((gif[10] & 7) + 1)  # behind the head and its palette
    return gif[:at] + b"!\xfe" + (bytes([len(part)]) + part) * times + b"\0" + gif[at:]


RAW = b"Raw profile type exif\0\0"


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(b"eXIf", notes(500, 900_000, 1_000_000)),
        with_chunk(
            b"zTXt",
            RAW + zlib.compress(b"\nexif\n99\n" + notes(3000, 200_000, 250_000).hex().encode()),
        ),
        with_segments(0xE1, b"Exif\0\0" + notes(5000, 60_000, 65_000)),
        with_segments(0xE2, b"MPF\0" + notes(5000, 60_000, 65_000)),
        saved(four(), "WEBP", exif=b"Exif\0\0" + notes(500, 900_000, 1_000_000)),
        notes(500, 900_000, 1_000_000),
    ],
    ids=["PNG", "PNG of old", "JPEG", "MPO", "WEBP", "TIFF"],
)
def test_notes_beside_a_picture_are_read_once(data):
    tracemalloc.start()
    with contextlib.suppress(ValueError):  # some are read without them
        read_picture(data, (8, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_notes_that_name_one_place_again_and_again_are_told():
    with pytest.raises(ValueError, match=r"picture: got one that is too large \(its notes are lo"):
        read_picture(with_chunk(b"eXIf", notes(500, 900_000, 1_000_000)), (8, 8))
    with pytest.raises(ValueError, match=r"\(its notes hold too many fractions\), expected"):
        read_picture(with_chunk(b"eXIf", notes(1, 100_000, 900_000, kind=5)), (8, 8))


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(b"tIME", b"", 30_000),
        with_chunk(b"IDAT", b"", 30_000),
        with_segments(0xE4, b"", 30_000),
        with_remark(b"a", 30_000),
        with_remark(b"a" * 255, 19_000),
    ],
    ids=["chunks", "pixels in parts", "segments", "remark", "long remark"],
)
def test_a_file_is_not_gone_through_in_countless_parts(data):
    with pytest.raises(ValueError, match=r"picture: got one that is too large \(it has more than"):
        read_picture(data, (8, 8))


def test_a_file_of_some_hundred_parts_is_read():
    for data in (with_chunk(b"tIME", b"", 900), with_remark(b"a" * 255, 900)):
        assert corners(read_picture(data, (32, 32))) == UPRIGHT
