"""Loading models: by registry name, from a model folder, or from an official weight file."""

from __future__ import annotations

from pathlib import Path

import torch

from ..models.transformer import NARTransformer
from ..plan import GridShape
from ..tokenizers.base import Tokenizer
from ..tokenizers.larp_video import LarpTokenizer
from ..tokenizers.vq_image import VQTokenizer
from . import adapters
from .embedded import Loaded, is_model_folder, load_folder
from .files import build, expect, read
from .registry import CHECKPOINTS


def load_model(name: str | Path, progress=None) -> Loaded:
    """Load by registry name or folder. Raises ValueError for an unknown name or unfit files."""
    inside = CHECKPOINTS / str(name)
    folder = inside if is_model_folder(inside) else Path(name)
    if not is_model_folder(folder):
        raise ValueError(f"model: got {str(name)!r}, expected a listed name or a model folder")
    return load_folder(folder, embedded=folder == inside)


def load_generator(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    grid: GridShape | tuple[int, int, int] | None = None,
    ema: bool = False,
) -> NARTransformer:
    """Build an official generator from a weight file or a folder with one.

    Args:
        grid: the token grid, where the file does not record it (official picture models).
        ema: take a trainer's averaged weights.

    Raises:
        ValueError: the file is damaged, of another kind, or does not fit.
    """
    file = read(path, ema)
    expect(file, ("nar-image", "nar-video"), "an official NAR generator")
    shape = GridShape(*grid) if grid is not None else None
    config = adapters.generator_config(file.kind, file.tensors, file.settings, shape)
    tensors = adapters.renamed(file.kind, file.tensors)
    file.tensors.clear()
    return build(lambda: NARTransformer(config), tensors, device, dtype, where=str(file.path))


def load_tokenizer(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    size: tuple[int, int] | None = None,
    grid: GridShape | tuple[int, int, int] | None = None,
) -> Tokenizer:
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
        config, kind = adapters.vq_config(file.tensors, size), VQTokenizer
    else:
        config, kind = adapters.larp_config(file.tensors, file.settings, grid), LarpTokenizer
    tensors = adapters.renamed(file.kind, file.tensors)
    file.tensors.clear()
    return build(lambda: kind(config), tensors, device, dtype, where=str(file.path))
