"""Data folders: `images.zip` or plain files, beside `index.jsonl` or `metadata.jsonl`."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm


@dataclass(frozen=True)
class DataFolder:
    """An opened data folder.

    Attributes:
        root: the folder.
        records: one dict per item, as written in the index; `file` names the member.
    """

    root: Path
    records: list[dict]

    @classmethod
    def open(cls, root: str | Path) -> DataFolder:
        """Read the index. Raises ValueError when the folder is not of either form."""
        root = Path(root)
        for name, key in (("index.jsonl", "file"), ("metadata.jsonl", "file_name")):
            if (root / name).is_file():
                lines = (root / name).read_text(encoding="utf-8").splitlines()
                records = [json.loads(line) for line in lines if line.strip()]
                return cls(root, [{**r, "file": r[key]} for r in records])
        raise ValueError(f"data folder: got {root}, expected index.jsonl or metadata.jsonl in it")

    def select(self, keep) -> DataFolder:
        """The same folder with the records for which `keep(record)` holds."""
        return DataFolder(self.root, [r for r in self.records if keep(r)])

    def images(self, size: int, progress: bool = True) -> np.ndarray:
        """All pictures in index order, RGBA uint8 [N, size, size, 4]."""
        archives = [zipfile.ZipFile(path) for path in sorted(self.root.glob("*.zip"))]
        members = {name: archive for archive in archives for name in archive.namelist()}
        out = np.empty((len(self.records), size, size, 4), np.uint8)
        bar = tqdm(
            self.records, desc=f"reading {self.root.name}", disable=not progress, leave=False
        )
        for i, record in enumerate(bar):
            name = record["file"]
            raw = members[name].read(name) if name in members else (self.root / name).read_bytes()
            image = Image.open(BytesIO(raw)).convert("RGBA")
            if image.size != (size, size):
                short = min(image.size)
                left, top = (image.width - short) // 2, (image.height - short) // 2
                box = (left, top, left + short, top + short)
                image = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
            out[i] = np.asarray(image)
        return out


def held_out(key: str, share: float) -> bool:
    """Whether the item called `key` belongs to the held-out `share` (0 to 1), by its hash."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32 < share


def on_background(rgba: Tensor, colour: Tensor | float = 1.0) -> Tensor:
    """Composite RGBA [B, 4, H, W] in [0, 1] on a colour ([B, 3, 1, 1] or grey); RGB in [0, 1]."""
    rgb, alpha = rgba[:, :3], rgba[:, 3:]
    return rgb * alpha + colour * (1 - alpha)


def augment(
    rgba: Tensor,
    generator: torch.Generator,
    shift: float = 0.06,
    scale: tuple[float, float] = (0.85, 1.05),
    flip: Tensor | float = 0.5,
    tinted: float = 0.3,
) -> Tensor:
    """Random shift, scale, flip and light background.

    Args:
        rgba: float [B, 4, H, W] in [0, 1].
        shift: the largest shift, as a share of the side.
        scale: the range of scales.
        flip: chance of a mirror image, one number or one per row.
        tinted: chance of a light colour in place of white behind the picture.

    Returns:
        RGB float [B, 3, H, W] in [0, 1].
    """
    b = len(rgba)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(b, *shape, generator=generator) * (high - low) + low

    # Premultiplied, so that resampling does not pull in the colour of transparent pixels.
    rgba = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], 1)
    zoom = 1 / uniform(*scale)
    mirror = torch.where(uniform(0, 1) < flip, -1.0, 1.0)
    theta = torch.zeros(b, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * mirror, zoom
    theta[:, :, 2] = uniform(-2 * shift, 2 * shift, 2)
    grid = F.affine_grid(theta, list(rgba.shape), align_corners=False)
    rgba = F.grid_sample(rgba, grid, mode="bilinear", align_corners=False)
    white = torch.ones(b, 3, 1, 1)
    light = uniform(0.75, 1.0, 3, 1, 1)
    background = torch.where(uniform(0, 1, 1, 1, 1) < tinted, light, white)
    return rgba[:, :3] + background * (1 - rgba[:, 3:])
