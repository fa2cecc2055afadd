"""Which models there are."""

from __future__ import annotations

from pathlib import Path

from .embedded import is_model_folder, read_info
from .info import ModelInfo

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


def list_models() -> list[ModelInfo]:
    """Embedded models."""
    folders = sorted(f for f in CHECKPOINTS.iterdir() if is_model_folder(f))
    return [read_info(folder, embedded=True) for folder in folders]
