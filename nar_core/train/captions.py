"""Captions of pictures for a published text model: as features of its frozen text encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..models.condition import Caption
from .data import DataFolder
from .filling import fill, filled
from .identity import digest
from .loop import rank_and_world
from .source import prompt_of

CHUNK = 16  # captions that are encoded at once

Encoder = Callable[[list[str], torch.device], Caption]


def captioned_files(root: str | Path) -> tuple[list[Path], list[str]]:
    """Pictures of a data folder and what is said of each.

    Raises:
        ValueError: one has no caption, or is no file of its own.
    """
    folder = DataFolder.open(root)
    files = [folder.root / record["file"] for record in folder.records]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise ValueError(
            f"data: got {missing[0]} ({len(missing)} in all), which is not there, expected plain "
            "files; unpack images.zip, or mend the index"
        )
    return files, [prompt_of(record) for record in folder.records]


class Captions:
    """Features of captions, in a file: the encoder is larger than the model, and needed once.

    Args:
        texts: the captions, each once.
        path: where the features are kept.
        load: gives the encoder, only asked where some are missing.
    """

    def __init__(
        self, texts: Sequence[str], path: Path, load: Callable[[], Encoder], device: torch.device
    ):
        of = digest(list(texts))
        encoder: Encoder | None = None
        if filled(path, of) < len(texts):
            if rank_and_world()[1] > 1:
                raise ValueError(
                    "captions: got none encoded, expected all; encode them by one process with "
                    "train.steps=0"
                )
            encoder = load()

        def features(first: int, last: int) -> np.ndarray:
            """Float16 [n, C, D]."""
            assert encoder is not None
            caption = encoder(list(texts[first:last]), device)
            return (caption.features * caption.valid[..., None]).half().cpu().numpy()

        self.features = fill(path, of, len(texts), CHUNK, features, "captions")

    def rows(self, index: np.ndarray, nothing: np.ndarray, null: Tensor) -> Caption:
        """The captions of so many rows, bool `nothing` [B]: the null caption [C, D] with its mask.

        Padding is the features that are zero.
        """
        features = torch.from_numpy(self.features[index].astype(np.float32)).to(null.device)
        valid = (features != 0).any(-1)
        left = torch.from_numpy(nothing).to(null.device)[:, None, None]
        return Caption(torch.where(left, null, features), valid)
