"""Pictures as people have them: turned by their camera, with alpha, a palette, sixteen bits."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LYING = tuple(TURNS[n] for n in (5, 6, 7, 8))
"""Those that exchange width and height."""

IMAGE = "an image; use a whole PNG or JPEG"
"""What is expected unless something else is said, and what to do."""

KINDS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "PPM")
"""What is read, by Pillow's names. Others of its readers start other programs (EPS) or unpack
pictures of another size than they say (icons); few people have such pictures."""

MOST_READS = 20_000
"""Parts of a file that are read before its first picture is there; ordinary ones have a hundred."""

MOST_FRACTIONS = 1000
"""Of one note beside a picture; cameras write six at most."""

NO_PICTURES = {
    rb"\s*<!doctype html|\s*<html": "a web page",
    rb"[^\0]{0,1000}<svg": "an SVG drawing",
    rb"version https://git-lfs": "a Git-LFS pointer, which stands for a file that was not fetched",
    rb"....ftyp(hei|hev|mif1|msf1)": "an HEIC photo",
    rb"....ftyp": "a film",
    rb"\x1a\x45\xdf\xa3": "a film",
    rb"%PDF|%!PS": "a page to print",
    rb"\0\0\x01\0|icns": "an icon",
    rb"....jP  |\xff\x4f\xff\x51": "a JPEG 2000 picture",
    rb"8BPS": "a Photoshop file",
    rb"PK\x03\x04": "a ZIP archive",
    rb"[\t\n\r -~]{5,}$": "a text",
}
"""What is often given in the place of a picture, by how it begins."""


def open_picture(
    source: bytes | str | Path, name: str = "picture", wanted: str = IMAGE
) -> Image.Image:
    """An image of which only the head has been read; ValueError, with its name, if it is none.

    Args:
        wanted: what is expected of what is no image, and what to do.
    """
    _bound_notes()
    with reading_picture(source, name, wanted):
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        return Image.open(_InParts(data), formats=KINDS)


class _InParts(BytesIO):
    """A file that is read in a bounded number of parts, however many it says it has.

    Pillow's readers go through all that stands before a picture (and put the remarks of a GIF
    together one by one), so that a small file could keep them busy for minutes.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise Image.DecompressionBombError(f"it has more than {MOST_READS:,} parts")
        return super().read(size)


class _Notes:
    """A file of notes (EXIF, TIFF's tags), each read once: one place may be named by thousands."""

    def __init__(self, file: IO[bytes]) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file
        here = file.tell()
        self._left = 2 * file.seek(0, SEEK_END) + 65_536  # some overlap a little
        file.seek(here)

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise Image.DecompressionBombError("its notes are longer than itself")
        return data


@lru_cache(maxsize=1)
def _bound_notes() -> None:
    """Have Pillow read no more notes than there are: it reads them itself while it opens a file.

    As it is, 8 KB of them may take gigabytes. Every kind of file comes by this one reader.
    """
    load = ImageFileDirectory_v2.load

    def bounded(self: ImageFileDirectory_v2, fp: IO[bytes]) -> None:
        load(self, _Notes(fp))  # pyright: ignore[reportArgumentType]
        for tag, kind in self.tagtype.items():
            # each of them becomes an object of half a dozen others
            if kind in (5, 10) and len(self._tagdata.get(tag, b"")) > 8 * MOST_FRACTIONS:
                raise Image.DecompressionBombError("its notes hold too many fractions")

    ImageFileDirectory_v2.load = bounded


@contextmanager
def reading_picture(
    source: bytes | str | Path, name: str = "picture", wanted: str = IMAGE
) -> Iterator[None]:
    """Pillow's readers raise whatever they stumble over; here it is a ValueError in a sentence."""
    data = source if isinstance(source, bytes) else Path(source)
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(f"{name}: got no such file, expected a picture; put it there") from error
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+ pixels", str(error))  # of Pillow's own, the first number of two
        told, do = (pixels[0], "make it smaller") if pixels else (error, "use a whole PNG or JPEG")
        raise ValueError(
            f"{name}: got one that is too large ({told}), expected an image; {do}"
        ) from error
    except Exception as error:
        raise ValueError(f"{name}: got {_instead(data, error)}, expected {wanted}") from error


def _instead(source: bytes | Path, error: Exception) -> str:
    """What was given in the place of a picture, as far as it can be told."""
    if isinstance(source, Path) and not source.is_file():
        return "something that is no file"
    if isinstance(error, PermissionError):
        return "a file that may not be read"
    begin = source[:1024] if isinstance(source, bytes) else source.open("rb").read(1024)
    if not begin:
        return "an empty file"
    if not isinstance(error, Image.UnidentifiedImageError):
        told = str(error).split("<")[0].strip()[:100] or type(error).__name__
        return f"a damaged one ({told})"
    kinds = (kind for form, kind in NO_PICTURES.items() if re.match(form, begin, re.I | re.S))
    return next(kinds, "something of no known kind")


def fit(picture: Image.Image | np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture as a model sees it, uint8 [height, width, 3].

    It is turned as its camera says, cropped to its centre, and what is transparent is put on white.

    Args:
        picture: of any mode, or pixels uint8 [h, w, 3 or 4].
        size: height and width.
    """
    picture = as_picture(picture)
    plain, turn = eight_bits(picture), turn_of(picture)
    # the crop is symmetric, so that only few pixels have to be turned
    small = _cropped(plain, (size[1], size[0]) if turn in LYING else size)
    return np.asarray(small if turn is None else small.transpose(turn))


def as_picture(picture: Image.Image | np.ndarray) -> Image.Image:
    """A picture of one, or of pixels uint8 [h, w, 3 or 4]; ValueError of anything else."""
    if isinstance(picture, Image.Image):
        return picture
    pixels = np.asarray(picture)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] not in (3, 4):
        raise ValueError(
            f"picture: got {pixels.dtype} {pixels.shape}, expected a PIL picture, or pixels "
            "uint8 [h, w, 3 or 4]"
        )
    return Image.fromarray(pixels)


def upright(picture: Image.Image) -> Image.Image:
    """A picture of any mode, turned as its camera says, as eight bits in RGBA."""
    plain, turn = eight_bits(picture).convert("RGBA"), turn_of(picture)
    whole = plain if turn is None else plain.transpose(turn)
    whole.info = {}  # or else it would be turned again by what the camera said
    return whole


def turn_of(picture: Image.Image) -> Image.Transpose | None:
    """How a loaded picture has to be turned to stand upright."""
    try:
        said = picture.getexif().get(ORIENTATION, 1)
        return TURNS.get(said)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return None  # its pixels are whole all the same


def eight_bits(picture: Image.Image) -> Image.Image:
    """A picture of any mode as L, LA, RGB or RGBA; of an animated one the first frame.

    Raises ValueError for one without pixels.
    """
    if not all(picture.size):
        raise ValueError(f"picture: got {picture.width} x {picture.height} pixels, expected some")
    picture.load()  # also because the EXIF data may stand behind the pixels
    if picture.mode == "La":  # of which Pillow makes nothing else
        picture = picture.convert("LA")
    if picture.mode.startswith(("I", "F")):
        return _grey(picture)
    if picture.mode in ("L", "RGB") and not picture.has_transparency_data:
        return picture
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _cropped(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """An image of eight bits -> one in RGB of (height, width)."""
    height, width = size
    scale = max(width / picture.width, height / picture.height)
    # rounded, either may be larger than the picture by a little
    box_w, box_h = min(width / scale, picture.width), min(height / scale, picture.height)
    left, top = (picture.width - box_w) / 2, (picture.height - box_h) / 2
    box = (left, top, left + box_w, top + box_h)
    return on_white(picture.resize((width, height), Image.Resampling.LANCZOS, box))


def on_white(picture: Image.Image) -> Image.Image:
    """A picture of eight bits in RGB, what is transparent on white."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    clear = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _grey(picture: Image.Image) -> Image.Image:
    """An image of more than eight bits as L, or LA; Pillow would cut its values off at 255.

    Sixteen bits are scaled by their range, other values by what is there; no number is black.
    """
    values = np.array(picture, np.float32)
    finite = np.isfinite(values)
    low = float(values.min(initial=np.inf, where=finite))
    high = float(values.max(initial=-np.inf, where=finite))
    black, white = min(low, 0.0), _white(picture.mode, high)
    hidden = picture.info.get("transparency")
    clear = values == hidden if isinstance(hidden, int) else None
    # in place: of a large picture, each copy is as large as itself
    values -= black
    values *= 255 / (white - black)
    np.nan_to_num(values, copy=False, posinf=255, neginf=0)
    np.round(values, out=values)
    grey = Image.fromarray(values.astype(np.uint8))
    if clear is not None:
        grey.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    return grey


def _white(mode: str, high: float) -> float:
    """Which value is white, where `high` is the greatest."""
    if mode.startswith("I;16"):
        return 65535.0
    if mode == "I":
        return next((white for white in (255.0, 65535.0) if high <= white), high)
    if high <= 1:  # also of -1 to 1, and where there is no number at all
        return 1.0
    return 255.0 if 16 < high <= 255 else high


def evenly(count: int, most: int) -> list[int]:
    """At most so many of `count` numbers from 0, evenly spread, with the first and the last."""
    return np.linspace(0, count - 1, min(count, max(most, 1))).round().astype(int).tolist()


def tiled(rows: Sequence[Sequence[np.ndarray] | np.ndarray], gap: int = 4) -> Image.Image:
    """Rows of pictures of one size, uint8 [height, width, 3], in one picture on white."""
    height, width = rows[0][0].shape[:2]
    size = (len(rows[0]) * (width + gap) - gap, len(rows) * (height + gap) - gap)
    out = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            out.paste(Image.fromarray(picture), (x * (width + gap), y * (height + gap)))
    return out
