"""Train a mini tokenizer: `python -m nar_core train tokenizer CONFIG`."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from ..tokenizers.base import Tokenizer, device_of
from ..tokenizers.mini import PATCH, MiniConfig, MiniTokenizer
from ..weights.fetch import find_folder
from .config import TokenizerConfig, TokenizerSource, TokenizerTraining, said
from .data import DataFolder, as_float, augment, is_held_out, on_white
from .graph import compiled
from .identity import FREE, claim, digest
from .loop import Run

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Clips that are measured at once."""

CHUNK = 32  # pictures in memory at once


def psnr(squared_error: float, count: int) -> float:
    """Peak signal-to-noise ratio in dB of values in [0, 1], pooled over `count` values."""
    return 10 * math.log10(count / max(squared_error, 1e-12))


@torch.no_grad()
def reconstruction_psnr(tokenizer: Tokenizer, clips: np.ndarray) -> float:
    """PSNR (dB, pooled over all pixels) of RGBA clips [N, F, H, W, 4] on white."""
    device = device_of(tokenizer)
    error, count = 0.0, 0
    for i in range(0, len(clips), AT_ONCE):
        x = on_white(as_float(clips[i : i + AT_ONCE])).to(device)
        y = tokenizer.decode(tokenizer.encode(x)).float().clamp(0, 1)
        error += float(((y * 255).round() / 255 - x).square().sum())
        count += x.numel()
    return psnr(error, count)


@torch.no_grad()
def code_statistics(tokenizer: Tokenizer, clips: np.ndarray) -> dict:
    """How clips [N, F, H, W, 4] use the codes, and the mean patch of every code.

    Returns:
        `used` (share of the vocabulary that occurs), `perplexity` (2 ** entropy), `white_codes`
        (codes on a blank picture) and `patches`, uint8 [V, 8, 8, 3], for previews.
    """
    device = device_of(tokenizer)
    counts = torch.zeros(tokenizer.vocab_size, device=device)
    sums = torch.zeros(tokenizer.vocab_size, PATCH * PATCH * 3, device=device)
    for i in range(0, len(clips), AT_ONCE):
        x = on_white(as_float(clips[i : i + AT_ONCE])).to(device)
        codes = tokenizer.encode(x)
        y = tokenizer.decode(codes).float().clamp(0, 1)
        cells = F.pixel_unshuffle(y, PATCH).movedim(2, -1).flatten(0, 3)
        codes = codes.flatten()
        counts.index_add_(0, codes, torch.ones(codes.numel(), device=device))
        sums.index_add_(0, codes, cells)
    # A code that never occurred shows what it decodes to among its own kind.
    never = (counts == 0).nonzero().flatten()
    for part in never.split(256):
        alone = tokenizer.decode(part[:, None, None, None].expand(-1, 1, 3, 3))[:, 0].float()
        cells = F.pixel_unshuffle(alone.clamp(0, 1), PATCH)[:, :, 1, 1]
        sums[part] = cells
    patches = (sums / counts.clamp(min=1)[:, None]).unflatten(1, (3, PATCH, PATCH))
    share = counts / counts.sum()
    entropy = -(share * share.clamp(min=1e-12).log2()).sum()
    blank = torch.ones(1, tokenizer.frames, 3, *tokenizer.size, device=device)
    blank = tokenizer.encode(blank)[:, 0]
    return {
        "used": float((counts > 0).float().mean()),
        "perplexity": float(2**entropy),
        "white_codes": int(blank.unique().numel()),
        "patches": (patches * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu(),
    }


def reconstruction_loss(made: Tensor, video: Tensor, config: TokenizerTraining) -> Tensor:
    """How far frames made [B, F, 3, H, W] are from a video, by the weights of `config`.

    The squared error is what PSNR measures, the absolute one (`l1`) keeps edges clean.
    """
    error = made - video
    return error.square().mean() + config.l1 * error.abs().mean()


class Source:
    """Random augmented pictures of one folder, or frames of its clips.

    Args:
        config: folder, weight, size, key (the record field that decides what is held out),
            hold_out (share), and the arguments of `augment`.
        size: of the pictures, where `config` says none.
        cache: a file in which they are kept as they are read, and from which they are drawn.

    Attributes:
        pictures: short hash of them; captions: of their records.
        clips: RGBA uint8 [N, F, size, size, 4], on disk; rows: which of them are trained on.
        validation: the first frames of what is held out, [N, 1, size, size, 4].
    """

    def __init__(self, config: TokenizerSource, size: int, cache: Path):
        self.config = config
        data = DataFolder.open(config.folder)
        self.pictures, self.captions = digest(data.checksums()), digest(data.records)
        out = np.array([is_held_out(r, config) for r in data.records])
        clips = self._read(data, config.size or size, cache)
        self.clips, self.rows = clips, np.flatnonzero(~out)
        self.validation = clips[np.flatnonzero(out), :1]

    @staticmethod
    def _read(data: DataFolder, size: int, cache: Path) -> np.ndarray:
        """RGBA uint8 [N, F, size, size, 4] on disk: more pictures than fit into memory may come."""
        kept = None
        for i in tqdm(range(0, len(data.records), CHUNK), desc=f"reading {data.root.name}"):
            part = DataFolder(data.root, data.records[i : i + CHUNK]).pixels(size, progress=False)
            if kept is None:
                shape = (len(data.records), *part.shape[1:])
                kept = np.lib.format.open_memmap(cache, "w+", np.uint8, shape)
            kept[i : i + CHUNK] = part
        if kept is None:
            raise ValueError(f"{data.root}: got no pictures, expected some")
        kept.flush()
        # The name goes, what was written stays until it is no longer drawn from.
        opened = np.load(cache, mmap_mode="r")
        cache.unlink()
        return opened

    def spread(self, most: int) -> np.ndarray:
        """First frames of at most so many of the pictures trained on, [n, 1, size, size, 4]."""
        return self.clips[self.rows[:: max(1, len(self.rows) // most)], :1]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """RGB float [n, 1, 3, size, size] in [0, 1]."""
        chosen = self.rows[torch.randint(len(self.rows), (n,), generator=generator).numpy()]
        frame = torch.randint(self.clips.shape[1], (n,), generator=generator).numpy()
        return augment(
            as_float(self.clips[chosen, frame][:, None]),
            generator,
            shift=self.config.shift,
            scale=self.config.scale,
            flip=self.config.flip,
            tinted=self.config.tinted,
        )


def train(config: TokenizerConfig, folder: Path, device: torch.device) -> None:
    """Train by `config` (model, sources, train) in a run folder; export beside it at the end."""
    torch.manual_seed(config.train.seed)
    model = MiniConfig(**asdict(config.model))
    tokenizer = MiniTokenizer(model).to(device)
    if config.init_from:
        config.init_from = str(find_folder(config.init_from, "init_from"))
        start_from(tokenizer, Path(config.init_from))
    if config.train.decoder_only:
        for module in tokenizer.encoding_modules():
            module.requires_grad_(False)
    folder.mkdir(parents=True, exist_ok=True)
    sources = [
        Source(s, model.size[0], folder / f"pictures-{i}-{os.getpid()}.npy")
        for i, s in enumerate(config.sources)
    ]
    for source in sources:
        if not len(source.rows):
            raise ValueError(
                f"{source.config.folder}: got {len(source.clips)} pictures of which none is "
                "trained on, expected at least one; lower hold_out"
            )
    claim(folder, {
        "pictures": digest([s.pictures for s in sources]),
        "captions": digest([s.captions for s in sources]),
        "model": digest(said(config.model)),
        "train": digest({k: v for k, v in said(config.train).items() if k not in FREE}),
    })  # fmt: skip
    weights = torch.tensor([s.config.weight for s in sources], dtype=torch.float)
    forward = compiled(tokenizer, device) if config.train.compile else tokenizer
    run = Run(tokenizer, config.train, folder, device)

    def loss_of(index: int) -> Tensor:
        generator = torch.Generator().manual_seed(config.train.seed * 1_000_003 + index)
        share = torch.multinomial(weights, config.train.batch, True, generator=generator)
        counts = torch.bincount(share, minlength=len(sources)).tolist()
        parts = [s.sample(n, generator) for s, n in zip(sources, counts, strict=True) if n]
        x = torch.cat(parts).to(device)
        return reconstruction_loss(forward(x).float(), x, config.train)

    def evaluate() -> dict[str, float]:
        return {
            f"psnr_{Path(s.config.folder).name}": round(
                reconstruction_psnr(tokenizer, s.validation[:200]), 3
            )
            for s in sources
            if len(s.validation)
        }

    figures = run.fit(loss_of, evaluate)
    if run.rank == 0:
        with run.averaged():
            export(tokenizer, config, run, sources, figures)


def export(
    tokenizer: MiniTokenizer,
    config: TokenizerConfig,
    run: Run,
    sources: list[Source],
    figures: dict[str, float],
) -> None:
    """Write a self-describing tokenizer folder (float16 weights, config, record) into the run."""
    folder = run.folder / "export"
    folder.mkdir(exist_ok=True)
    clips = [s.spread(1500) for s in sources]
    statistics = code_statistics(tokenizer, np.concatenate(clips))
    state = {k: v.half().contiguous().cpu() for k, v in tokenizer.state_dict().items()}
    save_file({**state, "patches": statistics.pop("patches")}, folder / "tokenizer.safetensors")
    OmegaConf.save(
        OmegaConf.create({"kind": "mini", "model": said(config.model)}), folder / "config.yaml"
    )
    record = {
        "steps": run.step,
        "samples": run.step * config.train.batch * run.world,
        "hours": round(run.seconds / 3600, 3),
        "validation": figures,
        "codes": {k: round(v, 4) for k, v in statistics.items()},
        "config": said(config),
    }
    if config.init_from and (before := Path(config.init_from) / "record.yaml").is_file():
        record["begun_from"] = OmegaConf.load(before)
    OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
    log.info("exported %s: %s", folder, {k: v for k, v in record.items() if k != "config"})


def start_from(tokenizer: MiniTokenizer, folder: Path) -> None:
    """Begin with the weights of an exported tokenizer of the same shape, else ValueError."""
    state = load_file(folder / "tokenizer.safetensors")
    state.pop("patches", None)
    try:
        tokenizer.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"init_from: the weights in {folder} do not fit: {error}") from None
