"""The items of a data folder as a model sees them, and which of them it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch

from ..engine import Engine
from ..picture import evenly
from ..train.config import FolderSource
from ..train.data import DataFolder, as_float, is_held_out, on_white, windows
from ..train.source import prompt_of, select_records
from ..weights.read import read_yaml


def _recorded(engine: Engine) -> dict[str, Any]:
    """The `source` of a model's training record, empty where it has none."""
    path = engine.folder / "record.yaml" if engine.folder else None
    return (read_yaml(path).get("source") or {}) if path and path.is_file() else {}


def source_of(engine: Engine) -> FolderSource:
    """The `source` of a model's training record: folder, selection, what was held out.

    Raises ValueError where the model has no such record.
    """
    source = _recorded(engine)
    if "folder" not in source:
        raise ValueError(
            f"evaluate: got {engine.info.name}, expected a model with a training record that names "
            "the folder; without one there is only --part all"
        )
    names = {f.name for f in fields(FolderSource)}
    return FolderSource(**{k: v for k, v in source.items() if k in names})


def names_of(engine: Engine, records: Sequence[dict]) -> list[str]:
    """The prompts of records, or of a class model their classes; "" where there is none.

    The class stands in the field that the training record names.
    """
    if engine.info.task != "class":
        return [prompt_of(record) for record in records]
    label = _recorded(engine).get("label") or "label"
    return [str(record.get(label, "")).strip() for record in records]


def part_of(data: DataFolder, part: str, engine: Engine) -> DataFolder:
    """The items that a model was trained on (`training`), that its record holds out, or `all`.

    Held out are items of every kind, also of kinds that training leaves aside. Raises ValueError
    where nothing is left to measure.
    """
    if part == "all":
        return data
    source = source_of(engine)
    if part == "held-out":
        found = data.select(lambda r: is_held_out(r, source))
    else:
        found = select_records(data, source.only, source.drop).select(
            lambda r: not is_held_out(r, source)
        )
    if not found.records:
        raise ValueError(f"evaluate: got --part {part}, of which {data.root} has nothing: try all")
    return found


def spread(data: DataFolder, limit: int) -> DataFolder:
    """At most `limit` items, evenly spread over the folder; all for 0."""
    if not limit:
        return data
    chosen = evenly(len(data.records), limit)
    return replace(data, records=[data.records[i] for i in chosen])


def rgba_of(engine: Engine, data: DataFolder) -> np.ndarray:
    """Items as the model sees them, RGBA uint8 [N, F, H, W, 4]; clips go round a whole loop.

    Raises ValueError where the folder holds clips that are too short, or no clips at all.
    """
    frames = engine.info.frames
    pixels = data.pixels(engine.info.size)
    if frames == 1 and pixels.shape[1] == 1:
        return pixels
    stride = pixels.shape[1] // max(1, frames - 1)
    if not stride or frames == 1:
        raise ValueError(
            f"data: got items of {pixels.shape[1]} frames, expected {max(1, frames - 1)} or more "
            f"for {engine.info.name}"
        )
    return windows(pixels, frames, stride, np.zeros(len(pixels), int))


def rgb_of(rgba: np.ndarray) -> np.ndarray:
    """RGBA uint8 [..., H, W, 4] on white, RGB uint8."""
    white = (on_white(as_float(rgba)) * 255).round().to(torch.uint8)
    return white.movedim(-3, -1).numpy()


class TrainingPictures:
    """What a model was trained on, as its training record says, to compare grown pictures with.

    Args:
        folder: the training folder.

    Attributes:
        names: prompt or class of every picture.
        pixels: RGB uint8 [N, F, H, W, 3].
    """

    def __init__(self, engine: Engine, folder: str):
        data = part_of(DataFolder.open(folder), "training", engine)
        self.names = names_of(engine, data.records)
        self.pixels = rgb_of(rgba_of(engine, data))
        self.keys = self._small(self.pixels)

    def draw(self, count: int, rng: np.random.Generator) -> list[str]:
        """`count` different names at random, or all there are."""
        names = sorted(set(self.names))
        return [str(x) for x in rng.choice(names, min(count, len(names)), False)]

    def distances(self, picture: np.ndarray) -> np.ndarray:
        """Mean squared distance (of 0 to 1) at 32 px of RGB uint8 [F, h, w, 3] to every one."""
        return ((self.keys - self._small(picture[None])) ** 2).mean(-1)

    @staticmethod
    def _small(pictures: np.ndarray) -> np.ndarray:
        """RGB float [N, F * 32 * 32 * 3] of RGB uint8 [N, F, h, w, 3]."""
        x = torch.from_numpy(pictures).flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        small = torch.nn.functional.adaptive_avg_pool2d(x, 32)
        return small.unflatten(0, pictures.shape[:2]).flatten(1).numpy()
