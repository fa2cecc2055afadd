"""Where weight files come from: folders on this machine, the hub's cache, and then the hub."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .files import SUFFIXES, find_weight_file, single_weight_file

log = logging.getLogger(__name__)

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
ENVIRONMENT = "NAR_CHECKPOINTS"
SETTINGS = "config.json"

Progress = Callable[[str, "float | None"], None]


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


def checkpoint_folders() -> list[Path]:
    """Folders searched for models: those of NAR_CHECKPOINTS (separated as in PATH), then ours."""
    named = [Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]
    return [*named, CHECKPOINTS]


def locate(source: Source) -> Path | None:
    """The weight file if it is on this machine, else None; never uses the network.

    In each checkpoint folder it is `<name>/` or `<repository>/` with the file in it, `<name>.pt` or
    another suffix, or the published file name itself; last comes the hub's cache.

    Raises:
        ValueError: a folder holds several weight files.
    """
    for folder in checkpoint_folders():
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
        if source.file and source.file.startswith("vq"):
            names.append(source.file)
        for name in names:
            if (folder / name).is_file():
                return folder / name
    return _cached(source)


def _cached(source: Source) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        snapshot = Path(snapshot_download(source.hub, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        return None
    if source.file:
        return snapshot / source.file if (snapshot / source.file).is_file() else None
    whole = [p.name for p in snapshot.iterdir() if p.is_file() and p.suffix in SUFFIXES]
    return snapshot / single_weight_file(whole, source.hub) if whole else None


def is_here(source: Source) -> bool:
    """Whether the file is on this machine, an unclear folder counting as no."""
    try:
        return locate(source) is not None
    except ValueError:
        return False


def fetch(source: Source, progress: Progress | None = None) -> Path:
    """The weight file, downloaded if need be; a download that was cut short is resumed.

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
    file = source.file or "its only .safetensors, .pt or .pth file"
    reason = f" ({type(error).__name__}: {str(error).splitlines()[0][:200]})" if str(error) else ""
    return (
        f"{source.name}: the weights are not on this machine and could not be downloaded{reason}. "
        f"On a machine with network, download {file}, and config.json if there is one, from "
        f"https://huggingface.co/{source.hub} and put it into the folder "
        f"{CHECKPOINTS.name}/{source.name} of this project, or into a folder {source.name} inside "
        f"any folder named by the environment variable {ENVIRONMENT}"
    )


def _download(source: Source, progress: Progress | None) -> Path:
    from huggingface_hub import HfApi, hf_hub_download

    # Not `list_repo_files`, which retries for half a minute where there is no network.
    names = [s.rfilename for s in HfApi().model_info(source.hub, timeout=10).siblings]
    if source.file and source.file not in names:
        log.warning("%s: %s is gone, looking for another file", source.hub, source.file)
    file = source.file if source.file in names else single_weight_file(names, source.hub)
    if SETTINGS in names:
        hf_hub_download(source.hub, SETTINGS)
    log.info("downloading %s from %s", file, source.hub)
    return Path(hf_hub_download(source.hub, file, tqdm_class=progress_bar(source.name, progress)))


def progress_bar(name: str, progress: Progress | None) -> type:
    """A progress bar that also tells `progress`."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            # Shown on terminals only, so the count is kept here as well.
            super().__init__(*args, **{"disable": None, **kwargs})
            self.done = kwargs.get("initial") or 0

        def update(self, n=1):
            self.done += n
            if progress is not None:
                progress(f"downloading {name}", self.done / self.total if self.total else None)
            return super().update(n)

    return Bar
