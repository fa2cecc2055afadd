"""Files are written whole or not at all, and where they can be is known before."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

DRAWN = (".png", ".jpg", ".jpeg", ".webp")
"""Endings of a picture that is drawn to a file."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place once all is written.

    Whatever ends the writing before, also a signal, leaves nothing behind, and an older file as it
    was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_picture(picture: Any, path: Path) -> None:
    """Write a PIL picture whole."""
    with whole_file(path) as part:
        picture.save(part)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write to, whose files take their places once all are written.

    What else lies in `folder` stays. Whatever ends the writing before leaves nothing behind.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
        part = Path(name)
        yield part
        for file in sorted(path for path in part.rglob("*") if path.is_file()):
            place = folder / file.relative_to(part)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)


def write_json(path: Path, told: Any, indent: int | None = None) -> None:
    """Write a file of JSON whole, so that a run that breaks off can be gone on with."""
    with whole_file(path) as part:
        part.write_text(json.dumps(told, indent=indent) + "\n", "utf-8")


def need_folder(folder: Path, name: str) -> None:
    """Raise ValueError, with the `name` of the option, unless files can be written into a folder.

    It need not be there yet, and is not made.
    """
    there = next(p for p in (folder, *folder.resolve().parents) if p.exists() or p.is_symlink())
    if not there.is_dir():
        raise ValueError(
            f"{name}: got {folder}, expected a folder, but {there} is a file; name another one"
        )
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ValueError(
            f"{name}: got {folder}, expected a folder to write to ({error.strerror} in {there}); "
            "name another one"
        ) from error


def need_file(path: Path, name: str, endings: Collection[str] = ()) -> None:
    """Raise ValueError, with the `name` of the option, unless a file can be written at a path.

    Its name has one of the endings, where there are some.
    """
    if path.is_dir():
        raise ValueError(f"{name}: got {path}, which is a folder, expected a file in it")
    if endings and path.suffix.lower() not in endings:
        raise ValueError(f"{name}: got {path}, expected a name that ends in {', '.join(endings)}")
    need_folder(path.parent, name)


@contextmanager
def free_path(folder: Path, stem: str, endings: Sequence[str]) -> Iterator[Path]:
    """A path in a folder, without an ending, at which no file with any of the endings lies yet.

    An empty file with the first ending keeps it from other processes until that file is written;
    whatever ends the writing before takes it away.
    """
    path = _kept(folder, stem, endings)
    kept = path.with_name(path.name + endings[0])
    try:
        yield path
    finally:
        if kept.is_file() and not kept.stat().st_size:
            kept.unlink()


def _kept(folder: Path, stem: str, endings: Sequence[str]) -> Path:
    """The first such path, with the empty file that keeps it."""
    for number in count(1):
        path = folder / (stem if number == 1 else f"{stem}-{number}")
        if any(path.with_name(path.name + ending).exists() for ending in endings):
            continue
        with suppress(FileExistsError):  # another process was faster
            path.with_name(path.name + endings[0]).open("xb").close()
            return path
    raise AssertionError
