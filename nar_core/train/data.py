"""Data folders: `images.zip` or plain files, beside `index.jsonl` or `metadata.jsonl`; or pictures
alone, in a folder for each class.

Pictures are clips of one frame: pixels are [N, F, H, W, C] throughout.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import logging
import re
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..picture import open_picture, reading_picture, upright
from .config import HeldOut

log = logging.getLogger(__name__)

MOST_BYTES = 200_000_000  # of one picture's file
MOST_FRAMES = 4096  # of one clip
INDICES = {"index.jsonl": "file", "metadata.jsonl": "file_name"}
"""Names of an index, and which field of a record names its file."""
PICTURES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")
OTHER_INDICES = {f"{Path(n).stem}{end}" for n in INDICES for end in (".csv", ".json", ".parquet")}
"""Which are not read, so that a folder with one is not taken for pictures alone."""


@dataclass(frozen=True)
class DataFolder:
    """An opened data folder.

    Attributes:
        root: the folder.
        records: one dict per item, as written in the index; `file` names the member.
        indexed: whether there is an index, which may name only what is in the folder. Without one
            a class may be a link to a folder.
    """

    root: Path
    records: list[dict]
    indexed: bool = True

    @classmethod
    def open(cls, root: str | Path) -> DataFolder:
        """Read the index. Raises ValueError when the folder is not of either form."""
        root = Path(root)
        for name, key in INDICES.items():
            if (root / name).is_file():
                return cls(root, _records(root / name, key))
        return cls(root, by_folder(root), indexed=False)

    def select(self, keep) -> DataFolder:
        """The same folder with the records for which `keep(record)` holds."""
        return replace(self, records=[r for r in self.records if keep(r)])

    def pixels(self, size: tuple[int, int], progress: bool = True) -> np.ndarray:
        """All items in index order, RGBA uint8 [N, F, height, width, 4]; F = 1 for pictures.

        A clip is one file of square tiles in rows, and its record says how many `frames` it has.
        Of pictures and tiles of another shape than `size`, the middle is taken.
        Raises ValueError when items differ in length, or naming the file that cannot be read.
        """
        frames = self._frames()
        out = np.empty((len(self.records), frames, *size, 4), np.uint8)
        label = f"reading {self.root.name}"
        with ExitStack() as stack:
            members = self._members(stack)
            bar = tqdm(self.records, label, disable=not progress, leave=False)
            for i, name in enumerate(record["file"] for record in bar):
                where = str(self.root / name)
                raw = self._bytes(name, members)
                image = open_picture(raw, where)
                with reading_picture(raw, where):
                    image = upright(image)
                for f, tile in enumerate(_tiles(image.size, frames, where)):
                    box = _middle(tile, size)
                    out[i, f] = np.asarray(
                        image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box)
                    )
        return out

    def checksums(self) -> list[int]:
        """Of every item's file, in order. Raises ValueError for one that is not there."""
        self._frames()
        with ExitStack() as stack:
            members = self._members(stack)
            return [
                members[name].getinfo(name).CRC
                if name in members
                else zlib.crc32(self._bytes(name, members))
                for name in (record["file"] for record in self.records)
            ]

    def _frames(self) -> int:
        """How many frames each item has."""
        counts = {r.get("frames", 1) for r in self.records} or {1}
        if len(counts) > 1:
            raise ValueError(
                f"data folder: got clips of {sorted(counts)} frames, expected one length; cut "
                "them alike"
            )
        return counts.pop()

    def _members(self, stack: ExitStack) -> dict[str, zipfile.ZipFile]:
        """The archive of every file that lies in one."""
        out = {}
        for path in sorted(self.root.glob("*.zip")):
            try:
                archive = stack.enter_context(zipfile.ZipFile(path))
            except (zipfile.BadZipFile, OSError) as error:
                raise ValueError(
                    f"{path}: got a damaged archive ({error}), expected a ZIP; pack it again"
                ) from error
            out |= dict.fromkeys(archive.namelist(), archive)
        return out

    def _bytes(self, name: str, members: dict[str, zipfile.ZipFile]) -> bytes:
        """A file of the folder; ValueError, with its name, where it is not there or outside."""
        path = self.root / name
        is_inside = name in members or path.resolve().is_relative_to(self.root.resolve())
        if self.indexed and not is_inside:
            raise ValueError(
                f"{path}: got a file outside the data folder, expected one in it; put it there"
            )
        try:
            size = members[name].getinfo(name).file_size if name in members else path.stat().st_size
            if size > MOST_BYTES:
                raise ValueError(
                    f"{path}: got {size / 1e6:.0f} MB, expected a picture of at most "
                    f"{MOST_BYTES / 1e6:.0f}; make it smaller"
                )
            return members[name].read(name) if name in members else path.read_bytes()
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            # a password is a RuntimeError, as is a way of packing that is not known here
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ValueError(
                f"{path}: not to be read ({reason}), expected a picture; put it there, "
                "or take its line out of the index"
            ) from error


def _records(path: Path, key: str) -> list[dict]:
    """The records of an index; ValueError with the line of one that is wrong."""
    raw = path.read_bytes()
    code = "utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        text = raw.decode(code)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {error}, expected UTF-8; save it as that") from error
    if text.lstrip().startswith("["):
        raise ValueError(f"{path}: got a list, expected one record a line; write each by itself")
    out = []
    # not `splitlines`, which also parts at signs that a caption may hold
    for number, line in enumerate(re.split("\r\n|\n|\r", text), 1):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                told = str(error) or type(error).__name__
                raise ValueError(f"{path}, line {number}: got no JSON ({told}); mend it") from error
            out.append(_record(record, key, f"{path}, line {number}"))
    if not out:
        raise ValueError(f"{path}: got no record, expected one line for each picture; add some")
    return out


def _record(record: Any, key: str, where: str) -> dict:
    """A record that names a file and says nothing of a wrong type."""
    if not isinstance(record, dict):
        raise ValueError(
            f"{where}: got {record!r:.60}, expected names and values in braces; write it so"
        )
    if key not in record:
        raise ValueError(f"{where}: got no {key!r}, expected the name of a picture; add it")
    record = {**record, "file": record[key]}
    for name in ("file", "text", "name"):
        if name in record and not (isinstance(record[name], str) and record[name].strip()):
            raise ValueError(f"{where}: {name}: got {record[name]!r:.60}, expected a text; mend it")
    keywords = record.get("keywords") or []
    if not isinstance(keywords, list) or not all(
        isinstance(word, str) and word.strip() for word in keywords
    ):
        raise ValueError(
            f"{where}: keywords: got {keywords!r:.60}, expected a list of texts; mend it"
        )
    frames = record.get("frames", 1)
    if not isinstance(frames, int) or isinstance(frames, bool) or not 1 <= frames <= MOST_FRAMES:
        raise ValueError(
            f"{where}: frames: got {frames!r:.60}, expected a whole number from 1 to "
            f"{MOST_FRAMES}; change it"
        )
    return record


Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


def _tiles(size: tuple[int, int], frames: int, where: str) -> list[Box]:
    """Boxes of a sheet's tiles, or the one of a whole picture, of (width, height)."""
    width, height = size
    if frames == 1:
        return [(0, 0, width, height)]
    side = round((width * height / frames) ** 0.5)
    if not side or (width // side) * (height // side) < frames:
        raise ValueError(
            f"{where}: got {width} x {height} pixels, expected {frames} square tiles in rows; "
            "mend its `frames` in the index"
        )
    corners = [divmod(f, width // side) for f in range(frames)]
    return [(x * side, y * side, (x + 1) * side, (y + 1) * side) for y, x in corners]


def _middle(box: Box, size: tuple[int, int]) -> Box:
    """The largest box of the shape of `size`, (height, width), in the middle of another."""
    (left, top, right, bottom), (height, width) = box, size
    wide, high = right - left, bottom - top
    w = max(1, min(wide, high * width // height))
    h = max(1, min(high, wide * height // width))
    left, top = left + (wide - w) // 2, top + (high - h) // 2
    return (left, top, left + w, top + h)


def by_folder(root: Path) -> list[dict]:
    """Records of pictures that have no index, each with its folder's name as `label`.

    Raises ValueError where there are none, or some beside folders of others, or an index that is
    not read. Files that are left out are told.
    """
    if not root.is_dir():
        raise ValueError(
            f"data folder: got {root}, which is no folder, expected one of pictures; write its "
            "path in full (`~` stands for itself)"
        )
    if own := sorted({p.parent.name for name in INDICES for p in root.glob(f"*/{name}")}):
        raise ValueError(
            f"data folder: got {root}, expected {' or '.join(INDICES)} in it, as there is in "
            f"{', '.join(own)}; give one of these"
        )
    # a class may be a link to a folder, which `rglob` does not follow below where it begins
    inside = [p for top in root.iterdir() for p in (top.rglob("*") if top.is_dir() else [top])]
    found = sorted(p.relative_to(root) for p in inside if p.is_file())
    found = [p for p in found if not any(part.startswith(".") for part in p.parts)]
    if other := [p for p in found if p.name.lower() in OTHER_INDICES]:
        raise ValueError(
            f"data folder: got {root / other[0]}, expected {' or '.join(INDICES)}, with one record "
            "a line; write it as that, or take it away"
        )
    files = [p for p in found if p.suffix.lower() in PICTURES]
    loose = [p for p in files if len(p.parts) == 1]
    if not files:
        raise ValueError(
            f"data folder: got {root}, expected index.jsonl or metadata.jsonl in it, or pictures "
            f"({', '.join(PICTURES)}), by class in folders of their own; put some there"
        )
    if len(files) < len(found):
        rest = [p for p in found if p.suffix.lower() not in PICTURES]
        log.warning(
            "data folder: %s: %d files are no pictures that are read and are left out, such as %s",
            root, len(rest), rest[0].as_posix(),
        )  # fmt: skip
    if loose and len(loose) < len(files):
        raise ValueError(
            f"data folder: got {root} with {len(loose)} pictures beside folders of pictures, "
            "expected all of them in folders, which name their classes, or none; move those"
        )
    name = root.resolve().name
    return [{"file": p.as_posix(), "label": name if loose else p.parts[0]} for p in files]


def held_out(key: str, share: float) -> bool:
    """Whether the item called `key` belongs to the held-out `share` (0 to 1), by its hash."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32 < share


def need_apart(place: Path, folder: Path, name: str) -> None:
    """Raise ValueError, with the `name` of the option, where what is written would be read.

    Args:
        place: file or folder to write; folder: of pictures, in which an index tells its files.
    """
    own, there = place.resolve(), folder.resolve()
    indexed = any((there / index).is_file() for index in INDICES)
    if own == there or (there in own.parents and not indexed):
        raise ValueError(
            f"{name}: got {place}, which is among the pictures in {folder}, expected a place of "
            "its own; name another one, such as in runs"
        )


def is_held_out(record: dict, source: HeldOut) -> bool:
    """Whether a source (`key`, `hold_out`) leaves a record out of training."""
    return held_out(str(record.get(source.key, record["file"])), source.hold_out)


def as_float(pixels: np.ndarray) -> Tensor:
    """Uint8 [..., H, W, C] to float [..., C, H, W] in [0, 1]."""
    return torch.from_numpy(pixels).movedim(-1, -3).float() / 255


def on_white(rgba: Tensor) -> Tensor:
    """Composite RGBA [..., 4, H, W] in [0, 1] on white; RGB in [0, 1]."""
    rgb, alpha = rgba.split([3, 1], -3)
    return rgb * alpha + 1 - alpha


def windows(clips: np.ndarray, frames: int, stride: int, starts: np.ndarray) -> np.ndarray:
    """Frames start, start + stride, ... of each clip [N, F, ...], wrapping; [N, frames, ...]."""
    index = (starts[:, None] + stride * np.arange(frames)) % clips.shape[1]
    return clips[np.arange(len(clips))[:, None], index]


def augment(
    rgba: Tensor,
    generator: torch.Generator,
    shift: float = 0.06,
    scale: tuple[float, float] = (0.85, 1.05),
    flip: float = 0.5,
    tinted: float = 0.3,
) -> Tensor:
    """Random shift, scale, flip and light background, alike in all frames of a clip.

    Args:
        rgba: float [B, F, 4, H, W] in [0, 1].
        shift: the largest shift, as a share of the side.
        scale: the range of scales.
        flip: chance of a mirror image.
        tinted: chance of a light colour in place of white behind the picture.

    Returns:
        RGB float [B, F, 3, H, W] in [0, 1].
    """
    b, frames = rgba.shape[:2]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(b, *shape, generator=generator) * (high - low) + low

    # Premultiplied, so that resampling does not pull in the colour of transparent pixels.
    rgb, alpha = rgba.split([3, 1], 2)
    rgba = torch.cat([rgb * alpha, alpha], 2).flatten(1, 2)
    zoom = 1 / uniform(*scale)
    mirror = torch.where(uniform(0, 1) < flip, -1.0, 1.0)
    theta = torch.zeros(b, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * mirror, zoom
    theta[:, :, 2] = uniform(-2 * shift, 2 * shift, 2)
    grid = F.affine_grid(theta, list(rgba.shape), align_corners=False)
    rgba = F.grid_sample(rgba, grid, mode="bilinear", align_corners=False)
    rgb, alpha = rgba.unflatten(1, (frames, 4)).split([3, 1], 2)
    light = uniform(0.75, 1.0, 1, 3, 1, 1)
    background = torch.where(uniform(0, 1, 1, 1, 1, 1) < tinted, light, torch.ones(1))
    return rgb + background * (1 - alpha)
