"""What a run is of: no run goes on with other pictures, captions, tokenizer or settings.

A run folder belongs to one process at a time, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..writing import write_json

log = logging.getLogger(__name__)

FILE = "run.json"
SAVED = "last.pt"
FREE = (
    "steps",
    "minutes",
    "anneal",
    "save_minutes",
    "eval_every",
    "bf16",
    "compile",
    "tensorboard",
)
"""What of `train` a run may go on with other values of."""


def digest(value: Any) -> str:
    """Short hash of plain values."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of_folder(folder: Path, *names: str) -> str:
    """Short hash of some files of a folder."""
    out = hashlib.sha256()
    for name in names:
        out.update((folder / name).read_bytes())
    return out.hexdigest()[:16]


def claim(folder: Path, identity: Mapping[str, str]) -> bool:
    """Write down what the run in a folder is of; whether what lies there is of the same.

    Raises:
        ValueError: it has begun with something else; says with what.
    """
    path, going_on = folder / FILE, (folder / SAVED).is_file()
    same = going_on  # a run of before this was written down
    if path.is_file():
        begun = json.loads(path.read_text(encoding="utf-8"))
        other = [name for name in identity if begun.get(name) != identity[name]]
        same = not other
        if other and going_on:
            raise ValueError(
                f"{folder}: got a run that was begun with other values of {', '.join(other)}, "
                "expected the same to go on; choose another run folder, or remove this one "
                f"(of train, {', '.join(FREE)} may change)"
            )
    write_json(path, dict(identity), indent=1)
    return same


@contextlib.contextmanager
def held(folder: Path, alone: bool = True) -> Iterator[None]:
    """The run folder; it is free again however the process ends.

    A run that is refused before it has saved leaves the folder as it was, or none where none was.

    Args:
        alone: for this process only, as the first of several that train together holds it.

    Raises:
        ValueError: another process trains in it.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(folder / "lock") if alone else contextlib.nullcontext():
            before = set(folder.iterdir())
            try:
                yield
            except (ValueError, FileNotFoundError, ImportError):
                new = set(folder.iterdir()) - before
                for path in () if folder / SAVED in new else new:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                raise
    finally:
        with contextlib.suppress(OSError):  # what holds something stays
            for path in made:
                path.rmdir()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """A file that is there while it is locked. Raises ValueError where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        log.warning("%s is not guarded against a second run here", path.parent)
        yield
        return
    while True:
        with open(path, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ValueError(
                    f"{path.parent}: got a run folder that another process trains in, expected "
                    "one of its own; choose another --out, or end that process"
                ) from error
            if not _is_at(path, file.fileno()):
                continue  # who had it before has taken it away since it was opened
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(path: Path, opened: int) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), os.stat(path))
    except FileNotFoundError:
        return False
