"""Finished files under addresses of their own, for callers that want a file instead of text.

They lie in Gradio's cache, in folders that nobody guesses, until Gradio clears it (an hour or two).
"""

from __future__ import annotations

import contextlib
import logging
import mimetypes
import os
import secrets
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from gradio import FileData, processing_utils, routes, utils

from app.wire import data_uri
from nar_core.foreign import shown

log = logging.getLogger(__name__)

ADDRESS = "/gradio_api/file="
"""What comes before the path of a file in its address."""


MOST_BYTES = 2_000_000_000
"""Of all files that lie there; the oldest go before Gradio's time."""

FOLDER = "GRADIO_TEMP_DIR"
"""The variable that names Gradio's cache."""


def settle() -> None:
    """Have Gradio's cache where files can be written, another where its own is not such a folder.

    Raises:
        ValueError: there is none on this machine.
    """
    named = Path(utils.get_upload_folder())
    try:
        named.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=named):
            return
    except OSError as error:
        why = error.strerror
    try:
        other = tempfile.mkdtemp(prefix="nar-studio-")
    except OSError as error:
        raise ValueError(
            f"{FOLDER}: got {named}, expected a folder to write to ({why}); name another one"
        ) from error
    log.warning("%s: %s cannot be written (%s); %s is used", FOLDER, named, why, other)
    os.environ[FOLDER] = other
    # where it has looked the variable up at its import
    routes.DEFAULT_TEMP_DIR = other  # pyright: ignore[reportPrivateImportUsage]


@lru_cache(maxsize=1)
def fetch_nothing() -> None:
    """Have Gradio leave what callers name as files as it came, to be checked like whatever comes.

    It would fetch what lies at an address, of any size, from wherever this machine reaches.
    """
    moved = processing_utils.async_move_files_to_cache

    async def ours(
        data: Any,
        block: Any,
        postprocess: bool = False,
        check_in_upload_folder: bool = False,
        keep_in_cache: bool = False,
    ) -> Any:
        if not postprocess:
            return data
        return await moved(data, block, postprocess, check_in_upload_folder, keep_in_cache)

    processing_utils.async_move_files_to_cache = ours


class Shelf:
    """What was put there; `files` is for whoever clears the cache."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self._sizes: dict[str, int] = {}  # the oldest first
        self._lock = threading.Lock()
        self.folder = Path(utils.get_upload_folder()).resolve()
        fetch_nothing()

    def put(self, data: bytes, name: str) -> Path:
        """Keep a file; its path."""
        # never one path for equal files: another studio here may clear its own
        path = self.folder / secrets.token_hex(16) / name
        path.parent.mkdir(parents=True)
        try:
            path.write_bytes(data)
        except OSError:  # nobody would clear away the half of it
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
                path.parent.rmdir()
            raise
        with self._lock:
            self.files.add(str(path))
            self._sizes[str(path)] = len(data)
            while sum(self._sizes.values()) > MOST_BYTES and len(self._sizes) > 1:
                oldest = next(iter(self._sizes))
                del self._sizes[oldest]
                self.files.discard(oldest)
                Path(oldest).unlink(missing_ok=True)
        return path

    def given(self, value: Any, largest: int) -> Any:
        """What a caller gives as a file: a data address in place of the address of one kept here.

        Anything else is left as it is, to be checked like whatever comes.

        Args:
            value: a data address, the address of a file here, or Gradio's own description of it.
            largest: bytes that it may have.

        Raises:
            ValueError: there is no such file any more, or it is too large.
        """
        path = value.get("path") if isinstance(value, dict) else value
        if not isinstance(path, str) or path.startswith("data:") or len(path) > 2000:
            return value
        path = unquote(path.partition(ADDRESS)[2] or path)
        if not path.startswith(str(self.folder)):
            return value
        file = Path(path)
        if path not in self.files or not file.is_file():
            raise ValueError(
                f"picture: got {shown(value)}, which is not here any more, expected the address of "
                "a file made within the hour; send the file itself as data:...;base64,... text"
            )
        size = file.stat().st_size
        if size > largest:
            raise ValueError(
                f"picture: got {size * 1e-6:.1f} MB, expected at most {largest * 1e-6:g} MB; "
                "make it smaller first"
            )
        return data_uri(file.read_bytes(), mimetypes.guess_type(file.name)[0] or "image/png")


def file_data(path: Path) -> FileData:
    """A kept file as Gradio's typed outputs have it."""
    kind = mimetypes.guess_type(path.name)[0]
    return FileData(path=str(path), orig_name=path.name, mime_type=kind)


def address_of(path: Path) -> str:
    """The address of a kept file on this server, without the server."""
    return ADDRESS + quote(str(path))
