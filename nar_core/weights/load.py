"""Loading a model by name or folder."""

from __future__ import annotations

from pathlib import Path

from .embedded import Loaded, is_model_folder, load_folder
from .registry import CHECKPOINTS


def load_model(name: str | Path, progress=None) -> Loaded:
    """Load by registry name or folder. Raises ValueError for an unknown name or unfit files."""
    inside = CHECKPOINTS / str(name)
    folder = inside if is_model_folder(inside) else Path(name)
    if not is_model_folder(folder):
        raise ValueError(f"model: got {str(name)!r}, expected a listed name or a model folder")
    return load_folder(folder, embedded=folder == inside)
