"""Where weight files come from: folders on this machine, the hub's cache, and then the hub."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import logging
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tqdm import tqdm

from .read import INDEX, SUFFIXES, TOKENIZERS, find_weight_file, shards_of, single_weight_file

log = logging.getLogger(__name__)

BESIDE = Path(__file__).parents[2] / "checkpoints"
INSIDE = Path(__file__).parents[1] / "checkpoints"
CHECKPOINTS = INSIDE if INSIDE.is_dir() else BESIDE
"""Where the embedded models lie: in the repository beside the packages, in a wheel inside one."""
ENVIRONMENT = "NAR_CHECKPOINTS"
CACHE = "NAR_CACHE"
SETTINGS = "config.json"

ENCODER = "google/flan-t5-xl"
ENCODER_NAME = ENCODER.split("/")[-1]
ENCODER_FILES = ["*.json", "*.safetensors", "spiece.model"]

Progress = Callable[[str, "float | None"], None]
"""Told what is going on, and which share of it is done, None where that is not known."""


@dataclass(frozen=True)
class Source:
    """Where one weight file comes from.

    Attributes:
        name: our name, under which local copies are looked for.
        hub: repository on the hub.
        file: its weight file, or None to take the only one.
    """

    name: str
    hub: str
    file: str | None = None


def named_folders() -> list[Path]:
    """The folders of NAR_CHECKPOINTS, separated as in PATH."""
    return [Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]


def checkpoint_folders() -> list[Path]:
    """Folders searched for models: those of NAR_CHECKPOINTS, what was fetched, the embedded."""
    return list(dict.fromkeys([*named_folders(), fetched_folder(), CHECKPOINTS]))


def fetched_folder() -> Path:
    """Where fetched weights are put.

    NAR_CACHE; else the first folder of NAR_CHECKPOINTS; else `checkpoints` in the repository, or
    the user's cache where the packages were installed.
    """
    if os.environ.get(CACHE):
        return Path(os.environ[CACHE])
    if named := named_folders():
        return named[0]
    if CHECKPOINTS != INSIDE:
        return CHECKPOINTS
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nar-studio"


def find_folder(said: str, what: str) -> Path:
    """A folder as it was said, or the one of that name where models are kept.

    Raises ValueError, naming `what` it is for, where there is none.
    """
    found = [Path(said), *(folder / Path(said).name for folder in checkpoint_folders())]
    for path in found:
        if path.is_dir():
            return path
    raise ValueError(
        f"{what}: got {said!r}, expected a folder, or the name of one in "
        f"{', '.join(map(str, checkpoint_folders()))}"
    )


def locate(source: Source) -> Path | None:
    """The weight file if it is on this machine, else None; never uses the network.

    In each checkpoint folder it is `<name>/` or `<repository>/` with the file in it, `<name>.pt` or
    another suffix, or the published file name itself; last comes the hub's cache.

    Raises:
        ValueError: a folder holds several weight files.
    """
    for folder in checkpoint_folders():
        if found := find_in(folder, source):
            return found
    return _cached(source)


def find_in(folder: Path, source: Source) -> Path | None:
    """The weight file inside a folder of models, see `locate`."""
    for name in (source.name, source.hub.split("/")[-1]):
        inside = folder / name
        if inside.is_dir():
            if source.file and (inside / source.file).is_file():
                return inside / source.file
            if any(p.suffix in SUFFIXES for p in inside.iterdir()):
                return find_weight_file(inside)
    # A published name such as last_version.pt says nothing of the model, so it must stand in a
    # folder; a tokenizer's file name is its own.
    names = [source.name + suffix for suffix in SUFFIXES]
    if source.file and source.file.startswith(TOKENIZERS):
        names.append(source.file)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _cached(source: Source) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot = Path(snapshot_download(source.hub, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        return None
    if source.file:
        return snapshot / source.file if (snapshot / source.file).is_file() else None
    here = [p.name for p in snapshot.iterdir() if p.is_file()]
    if not any(name.endswith(SUFFIXES) for name in here):
        return None
    found = snapshot / single_weight_file(here, source.hub)
    # A download of several files that broke off is not taken for weights.
    there = not found.name.endswith(INDEX) or set(shards_of(found)) <= set(here)
    return found if there else None


def is_here(source: Source) -> bool:
    """Whether the file is on this machine, an unclear folder counting as no."""
    try:
        return locate(source) is not None
    except ValueError:
        return False


def fetch(source: Source, progress: Progress | None = None) -> Path:
    """The weight file, downloaded into `fetched_folder` if need be, and resumed there.

    Raises:
        FileNotFoundError: not here and not to be had; says what to download and where to put it.
        ValueError: the repository or a folder holds several weight files.
    """
    found = locate(source)
    if found is not None:
        return found
    try:
        return _download(source, progress)
    except ValueError:
        raise
    except Exception as error:
        # Whatever went wrong on the way, what the user can do about it is the same.
        raise FileNotFoundError(missing_message(source, error)) from error


def missing_message(source: Source, error: Exception | None = None) -> str:
    """What to download and where to put it."""
    file = source.file or "its only .safetensors, .pt or .pth file, or its shards with their index"
    reason = f" ({type(error).__name__}: {str(error).splitlines()[0][:200]})" if str(error) else ""
    return (
        f"{source.name}: the weights are not on this machine and could not be downloaded{reason}. "
        f"On a machine with network, download {file}, and config.json if there is one, from "
        f"https://huggingface.co/{source.hub} and put it into the folder "
        f"{fetched_folder() / source.name}, or into a folder {source.name} inside "
        f"any folder named by the environment variable {ENVIRONMENT}"
    )


def _download(source: Source, progress: Progress | None) -> Path:
    from huggingface_hub import HfApi

    # Not `list_repo_files`, which retries for half a minute where there is no network.
    names = [s.rfilename for s in HfApi().model_info(source.hub, timeout=10).siblings or ()]
    if source.file and source.file not in names:
        log.warning("%s: %s is gone, looking for another file", source.hub, source.file)
    folder = fetched_folder() / source.name
    by_hand = f"download the right one and put it alone into {folder}"
    file = source.file if source.file in names else single_weight_file(names, source.hub, by_hand)
    if SETTINGS in names:
        transfer(source.hub, SETTINGS, folder)
    text = f"downloading {source.name}"
    if file.endswith(INDEX):
        return _download_shards(source, file, folder, text, progress)
    return transfer(source.hub, file, folder, text, progress)


def _download_shards(
    source: Source, index: str, folder: Path, text: str, progress: Progress | None
) -> Path:
    """An index and the shards it names; they come into place together, when all are there."""
    stage = folder / ".fetching"
    with _alone(folder / ".fetching.lock", f"{text}: another process fetches it", progress):
        if not (folder / index).is_file():
            names = shards_of(transfer(source.hub, index, stage))
            for number, name in enumerate(names, 1):
                transfer(source.hub, name, stage, f"{text}, {number} of {len(names)}", progress)
            for name in (*names, index):
                for path in (_beside(stage / name), stage / name):
                    if path.is_file():
                        path.replace(folder / path.name)
            shutil.rmtree(stage)
    return folder / index


def transfer(
    repository: str,
    file: str,
    folder: Path,
    text: str = "",
    progress: Progress | None = None,
) -> Path:
    """A file of the hub into `folder`; what an earlier try has brought is kept and gone on with.

    Not the hub's own download, which begins anew (huggingface_hub 2.4). It is taken over only when
    its size and hash are those that the hub tells, and by one process at a time; others wait.
    `progress` may raise to stop it, or the waiting. Raises OSError where the transfer fails.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    target = folder / file
    if target.is_file():
        return target
    found = get_hf_file_metadata(hf_hub_url(repository, file), timeout=10)
    if not found.size:
        raise OSError(f"{file}: the hub does not tell its size, try again later")
    # The version stands in the name, so that parts of two versions are never joined.
    version = hashlib.sha256(str(found.etag).encode()).hexdigest()[:8]
    partial = target.with_name(f"{target.name}.{version}.partial")
    lock = target.with_name(f"{target.name}.lock")
    with _alone(lock, f"{text or file}: another process fetches it", progress):
        if not target.is_file():
            log.info("downloading %s from %s", file, repository)
            try:
                _download_rest(partial, found.location, found.size, text or file, progress)
            finally:
                if partial.is_file() and not partial.stat().st_size:
                    partial.unlink()
            _verify(partial, file, found.size, str(found.etag))
            partial.replace(target)
            _note_sha256(target, str(found.etag))
            for old in target.parent.glob(f"{glob.escape(target.name)}.*.partial"):
                old.unlink()  # of a version that the hub has no more
    return target


@contextlib.contextmanager
def _alone(lock: Path, text: str, progress: Progress | None) -> Iterator[None]:
    """Hold a lock between processes and threads; `progress` is told of the waiting.

    Its file goes with it, however that ends; one that a killed process left is taken over.
    """
    from huggingface_hub.utils import WeakFileLock

    lock.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(WeakFileLock(lock, timeout=1))
                break
            except TimeoutError:
                if progress is not None:
                    progress(text, None)
        try:
            yield
        finally:
            # While it is held: who waits for a file that is gone sees that, and makes a new one.
            with contextlib.suppress(PermissionError):  # Windows removes it when it is released
                lock.unlink(missing_ok=True)


def _download_rest(
    partial: Path, address: str, size: int, text: str, progress: Progress | None
) -> None:
    """What is lacking of a file; a partial one that is too long begins anew."""
    with partial.open("ab") as out:
        if out.tell() > size:
            out.truncate(0)
            out.seek(0)
        if out.tell() == size:
            return
        request = urllib.request.Request(address, headers={"Range": f"bytes={out.tell()}-"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            if answer.status != 206:  # the whole file comes again
                out.truncate(0)
                out.seek(0)
            bar = tqdm(
                total=size, initial=out.tell(), desc=text, unit="B", unit_scale=True, disable=None
            )
            with bar:
                # what has come, not a whole block: a slow hub can be given up, too
                while out.tell() < size and (block := answer.read1(1 << 20)):
                    out.write(block)
                    bar.update(len(block))
                    if progress is not None:
                        progress(text, min(1.0, out.tell() / size))
        if out.tell() < size:
            raise OSError(f"{text}: got {out.tell()} of {size} bytes, try again to go on")


def _verify(path: Path, name: str, size: int, etag: str) -> None:
    """Remove a fetched file, and raise OSError, where it is not what the hub has.

    The hub tells the sha256 of large files and the Git hash of small ones.
    """
    git = hashlib.sha1(f"blob {size}\0".encode())
    kind = {64: hashlib.sha256, 40: lambda: git}.get(len(etag))
    found = etag
    if kind is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
    if path.stat().st_size != size or found != etag:
        path.unlink()
        raise OSError(
            f"{name}: got other bytes than the hub's hash {etag[:12]} is of, and removed them; "
            "try again"
        )


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _note_sha256(path: Path, etag: str) -> None:
    """Write beside a file which sha256 it has, as `sha256sum` does, where the hub tells it."""
    if len(etag) == 64:
        _beside(path).write_text(f"{etag}  {path.name}\n", encoding="utf-8")


def check_sha256(path: Path) -> None:
    """Raise ValueError for a file that is not what a `.sha256` beside it says, if there is one."""
    said = _beside(path)
    if not (path.is_file() and said.is_file()):
        return
    expected = said.read_text("utf-8").split()[:1]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if expected != [found]:
        raise ValueError(
            f"{path}: got bytes of sha256 {found[:12]}, expected "
            f"{''.join(expected)[:12]} as {said.name} beside it tells; remove both and fetch them "
            "again"
        )


# The text encoder of the official text models


def find_encoder() -> Path | None:
    """Where the encoder lies whole on this machine, or None; never uses the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    folders = [root / ENCODER_NAME for root in checkpoint_folders()]
    with contextlib.suppress(LocalEntryNotFoundError, FileNotFoundError):
        folders.append(Path(snapshot_download(ENCODER, local_files_only=True)))
    return next((folder for folder in folders if _is_whole(folder)), None)


def _is_whole(folder: Path) -> bool:
    """Whether the settings and every shard that the index names are there."""
    index = folder / "model.safetensors.index.json"
    try:
        names = shards_of(index) if index.is_file() else ["model.safetensors"]
    except ValueError:
        return False
    return all((folder / name).is_file() for name in ("config.json", *names))


def fetch_encoder(progress: Progress | None = None) -> Path:
    """Where the encoder lies, downloaded if need be.

    Raises:
        FileNotFoundError: not here and not to be had; says what to download and where to put it.
    """
    from huggingface_hub import HfApi

    found = find_encoder()
    if found is not None:
        return found
    folder = fetched_folder() / ENCODER_NAME
    try:
        names = [s.rfilename for s in HfApi().model_info(ENCODER, timeout=10).siblings or ()]
        for name in (n for n in names if any(fnmatch(n, pattern) for pattern in ENCODER_FILES)):
            transfer(ENCODER, name, folder, f"downloading {ENCODER_NAME}, {name}", progress)
        return folder
    except Exception as error:
        raise FileNotFoundError(
            f"{ENCODER_NAME}: the text encoder is not on this machine and could not be downloaded "
            f"({type(error).__name__}). On a machine with network, download the .json and "
            f".safetensors files and spiece.model from https://huggingface.co/{ENCODER} and put "
            f"them into {fetched_folder() / ENCODER_NAME}, or into a folder "
            f"{ENCODER_NAME} inside any folder named by the environment variable {ENVIRONMENT}"
        ) from error
