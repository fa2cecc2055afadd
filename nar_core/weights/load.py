"""Loading models: by registry name, from a model folder, or from an official weight file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..models.text_encoder import TextEncoder, require_packages
from ..models.transformer import NARTransformer
from ..plan import GridShape
from ..settings import shortened
from ..tokenizers.larp_video import LarpTokenizer
from ..tokenizers.vq_image import VQTokenizer
from . import adapt
from .embedded import Loaded, is_model_folder, load_folder
from .fetch import CHECKPOINTS, Progress, check_sha256, fetch, fetch_encoder, find_in
from .list import Official, model_folders, official_models
from .read import expect, files_of, fill, find_weight_file, read


def load_model(name: str | Path, progress: Progress | None = None) -> Loaded:
    """Load by registry name, folder or weight file.

    A folder is a model folder of this project, or one named like an official model that holds its
    weight file. A weight file is an official model's: its own name or its folder's says which.

    Raises:
        ValueError: an unknown name, or files that are not what they should be.
        FileNotFoundError: official weights that are neither here nor to be had.
    """
    if not isinstance(name, str | Path):
        raise ValueError(f"model: got {shortened(name)}, expected a name or a folder")
    folders = model_folders()
    folder = folders.get(str(name), Path(name))
    if is_model_folder(folder):
        loaded = load_folder(folder, embedded=folder.parent == CHECKPOINTS)
        if loaded.model.config.condition.kind == "caption":  # begun from an official text model
            loaded.text_encoder = load_text_encoder(progress)
        return loaded
    folder = Path(os.path.abspath(folder))  # of which "." and a file in it have names, too
    official = official_models().get(folder.name)
    if folder.is_file():
        official = official_models().get(folder.stem) or official_models().get(folder.parent.name)
        if official is None:
            raise ValueError(
                f"model: got the file {str(name)!r}, expected one that is named, or lies in a "
                f"folder that is named, like its model: {', '.join(official_models())}"
            )
    if official is None and is_model_folder(folder / "export"):
        raise ValueError(
            f"model: got {str(name)!r}, a training's run folder, expected a model folder; say "
            f"{Path(name) / 'export'}"
        )
    if official is None:
        raise ValueError(
            f"model: got {str(name)!r}, expected a model folder or one of "
            f"{', '.join([*folders, *official_models()])}"
        )
    path = find_weight_file(folder) if folder.exists() else fetch(official.weights, progress)
    return _load_official(official, path, progress)


def fetch_model(name: str | Path, progress: Progress | None = None) -> None:
    """Have the files of a model on this machine, without reading them; see `load_model`."""
    official = official_models().get(str(name))
    if official is None or str(name) in model_folders():
        return
    if official.info.task == "text":
        require_packages()
    _tokenizer_file(official, fetch(official.weights, progress), progress)
    if official.info.task == "text":
        fetch_encoder(progress)


def _tokenizer_file(official: Official, path: Path, progress: Progress | None) -> Path:
    """The tokenizer of an official model: beside its weights, else fetched if need be."""
    beside = find_in(path.parent, official.tokenizer) or find_in(
        path.parent.parent, official.tokenizer
    )
    return beside or fetch(official.tokenizer, progress)


def _load_official(official: Official, path: Path, progress: Progress | None) -> Loaded:
    info = official.info
    tokenizer_path = _tokenizer_file(official, path, progress)
    for file in (path, tokenizer_path):
        check_sha256(file)
    # Before gigabytes are read: the text encoder may turn out to be missing.
    text_encoder = None
    if info.task == "text":
        text_encoder = load_text_encoder(progress)
    model = load_generator(path, grid=info.grid)
    # Weights for other classes than the published ones are as good; their names are not known.
    config, classes = official.config, model.config.condition.classes
    if config.condition.kind == "class" and classes != config.condition.classes:
        config = replace(config, condition=replace(config.condition, classes=classes))
        info = replace(info, labels=tuple(f"class {i}" for i in range(classes)))
    wrong = [
        f"{name} is {got}, expected {want}"
        for name, want in vars(config).items()
        if (got := getattr(model.config, name)) != want
    ]
    if wrong:
        raise ValueError(f"{path}: not the weights of {info.name}: {'; '.join(wrong)}")
    tokenizer = load_tokenizer(tokenizer_path, size=info.size, grid=info.grid)
    if (tokenizer.grid, tokenizer.vocab_size) != (info.grid, model.config.vocab_size):
        raise ValueError(
            f"{tokenizer_path}: got a tokenizer of grid {tuple(tokenizer.grid)} and "
            f"{tokenizer.vocab_size} codes, expected {tuple(info.grid)} and "
            f"{model.config.vocab_size} for {info.name}"
        )
    info = replace(info, available=True)
    return Loaded(info, model, tokenizer, digest_of(path), None, text_encoder)


def load_text_encoder(progress: Progress | None = None) -> TextEncoder:
    """The encoder of the official text models, fetched if need be.

    Raises:
        ImportError: the optional packages are missing.
        FileNotFoundError: the weights are neither here nor to be had.
    """
    require_packages()  # before gigabytes are fetched
    return TextEncoder.load(fetch_encoder(progress))


def digest_of(path: Path) -> str:
    """Short hash of a large file: its length and evenly spaced pieces, not all its gigabytes."""
    pieces, size = 64, 1 << 16
    digest = hashlib.sha256()
    for part in files_of(path):
        length = part.stat().st_size
        digest.update(str(length).encode())
        with part.open("rb") as file:
            for i in range(pieces):
                file.seek(max(0, length - size) * i // (pieces - 1))
                digest.update(file.read(size))
    return digest.hexdigest()[:16]


def load_generator(
    path: str | Path, *, grid: GridShape | tuple[int, int, int] | None = None
) -> NARTransformer:
    """Build an official generator from a weight file or a folder with one.

    Args:
        grid: the token grid, where the file does not record it (official picture models).

    Raises:
        ValueError: the file is damaged, of another kind, or does not fit.
    """
    file = read(path)
    expect(file, ("nar-image", "nar-video"), "an official NAR generator")
    shape = GridShape(*grid) if grid is not None else None
    config = adapt.generator_config(file.kind, file.tensors, file.settings, shape)
    tensors = adapt.renamed(file.kind, file.tensors)
    file.tensors.clear()
    called = partial(adapt.their_name, file.kind)
    return fill(lambda: NARTransformer(config), tensors, where=str(file.path), called=called)


def load_tokenizer(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    grid: GridShape | tuple[int, int, int] | None = None,
) -> VQTokenizer | LarpTokenizer:
    """Build an official tokenizer from a weight file or a folder with one.

    Args:
        size: pictures' height and width, for VQ tokenizers (default 256 x 256).
        grid: the generator's lattice, for LARP.

    Raises:
        ValueError: the file is damaged, of another kind, or does not fit.
    """
    file = read(path)
    expect(file, ("vq", "larp"), "an official tokenizer")
    if file.kind == "vq":
        vq = adapt.vq_config(file.tensors, size)
        make = partial(VQTokenizer, vq)
    else:
        shape = GridShape(*grid) if grid is not None else None
        larp = adapt.larp_config(file.tensors, file.settings, shape)
        make = partial(LarpTokenizer, larp)
    tensors = adapt.renamed(file.kind, file.tensors)
    file.tensors.clear()
    return fill(make, tensors, where=str(file.path))
