"""Train a mini tokenizer: `python -m nar_core train tokenizer CONFIG`."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..tokenizers.mini import PATCH, MiniConfig, MiniTokenizer
from .data import DataFolder, augment, held_out, on_background
from .loop import Run

log = logging.getLogger(__name__)


def as_float(pictures: np.ndarray) -> Tensor:
    """RGBA uint8 [B, H, W, 4] to float [B, 4, H, W] in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def psnr(squared_error: float, count: int) -> float:
    """Peak signal-to-noise ratio in dB of values in [0, 1], pooled over `count` values."""
    return 10 * math.log10(count / max(squared_error, 1e-12))


@torch.no_grad()
def reconstruction_psnr(tokenizer: MiniTokenizer, pictures: np.ndarray, batch: int = 16) -> float:
    """PSNR (dB, pooled over all pixels) of RGBA pictures [N, H, W, 4] on white."""
    device = next(tokenizer.parameters()).device
    error, count = 0.0, 0
    for i in range(0, len(pictures), batch):
        x = on_background(as_float(pictures[i : i + batch])).to(device)
        y = tokenizer.decode(tokenizer.encode(x[:, None]))[:, 0].float().clamp(0, 1)
        error += float(((y * 255).round() / 255 - x).square().sum())
        count += x.numel()
    return psnr(error, count)


@torch.no_grad()
def code_statistics(tokenizer: MiniTokenizer, pictures: np.ndarray, batch: int = 16) -> dict:
    """How pictures [N, H, W, 4] use the codes, and the mean patch of every code.

    Returns:
        `used` (share of the vocabulary that occurs), `perplexity` (2 ** entropy), `white_codes`
        (codes on a blank picture) and `patches`, uint8 [V, 8, 8, 3], the preview table.
    """
    device = next(tokenizer.parameters()).device
    counts = torch.zeros(tokenizer.vocab_size, device=device)
    sums = torch.zeros(tokenizer.vocab_size, PATCH * PATCH * 3, device=device)
    for i in range(0, len(pictures), batch):
        x = on_background(as_float(pictures[i : i + batch])).to(device)
        codes = tokenizer.encode(x[:, None])
        y = tokenizer.decode(codes)[:, 0].float().clamp(0, 1)
        cells = F.pixel_unshuffle(y, PATCH).permute(0, 2, 3, 1).flatten(0, 2)
        counts.index_add_(0, codes.flatten(), torch.ones(codes.numel(), device=device))
        sums.index_add_(0, codes.flatten(), cells)
    # A code that never occurred shows what it decodes to among its own kind.
    never = (counts == 0).nonzero().flatten()
    for part in never.split(256):
        alone = tokenizer.decode(part[:, None, None, None].expand(-1, 1, 3, 3))[:, 0].float()
        cells = F.pixel_unshuffle(alone.clamp(0, 1), PATCH)[:, :, 1, 1]
        sums[part] = cells
    patches = (sums / counts.clamp(min=1)[:, None]).unflatten(1, (3, PATCH, PATCH))
    share = counts / counts.sum()
    entropy = -(share * share.clamp(min=1e-12).log2()).sum()
    blank = tokenizer.encode(torch.ones(1, 1, 3, *tokenizer.size, device=device))
    return {
        "used": float((counts > 0).float().mean()),
        "perplexity": float(2**entropy),
        "white_codes": int(blank.unique().numel()),
        "patches": (patches * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu(),
    }


class PictureSource:
    """Random augmented pictures of one folder.

    Args:
        config: folder, weight, size, key (the record field that decides what is held out),
            hold_out (share), and the arguments of `augment`.
    """

    def __init__(self, config: DictConfig):
        self.config = config
        data = DataFolder.open(config.folder)
        out = np.array([held_out(str(r.get(config.key, r["file"])), config.hold_out)
                        for r in data.records])  # fmt: skip
        pictures = data.images(config.size)
        self.training, self.validation = pictures[~out], pictures[out]

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """RGB float [n, 3, size, size] in [0, 1]."""
        chosen = torch.randint(len(self.training), (n,), generator=generator).numpy()
        config = self.config
        return augment(
            as_float(self.training[chosen]),
            generator,
            shift=config.shift,
            scale=tuple(config.scale),
            flip=config.flip,
            tinted=config.tinted,
        )


def train(config: DictConfig, folder: Path, device: torch.device) -> None:
    """Train by `config` (model, sources, train) in a run folder; export beside it at the end."""
    torch.manual_seed(config.train.seed)
    tokenizer = MiniTokenizer(MiniConfig(**OmegaConf.to_container(config.model))).to(device)
    if config.get("init_from"):
        tokenizer.load_state_dict(load_weights(config.init_from))
    if config.train.get("decoder_only"):
        for name in ("embed_first", "encoder_fine", "down", "encoder", "to_code"):
            getattr(tokenizer, name).requires_grad_(False)
    sources = [PictureSource(s) for s in config.sources]
    weights = torch.tensor([s.config.weight for s in sources], dtype=torch.float)
    forward = torch.compile(tokenizer) if config.train.compile else tokenizer
    run = Run(tokenizer, config.train, folder, device)

    def loss_of(index: int) -> Tensor:
        generator = torch.Generator().manual_seed(config.train.seed * 1_000_003 + index)
        share = torch.multinomial(weights, config.train.batch, True, generator=generator)
        counts = torch.bincount(share, minlength=len(sources)).tolist()
        parts = [s.sample(n, generator) for s, n in zip(sources, counts, strict=True) if n]
        x = torch.cat(parts).to(device)
        error = forward(x[:, None])[:, 0].float() - x
        # The absolute error keeps edges clean; the squared one is what PSNR measures.
        return error.square().mean() + config.train.l1 * error.abs().mean()

    def evaluate() -> dict[str, float]:
        return {
            f"psnr_{Path(s.config.folder).name}": round(
                reconstruction_psnr(tokenizer, s.validation[:200]), 3
            )
            for s in sources
            if len(s.validation)
        }

    run.fit(loss_of, evaluate)
    if run.rank == 0:
        with run.averaged():
            export(tokenizer, config, run, sources, evaluate())


def export(tokenizer, config: DictConfig, run: Run, sources, figures: dict) -> None:
    """Write a self-describing tokenizer folder (float16 weights, config, record) into the run."""
    folder = run.folder / "export"
    folder.mkdir(exist_ok=True)
    pictures = np.concatenate([s.training[:: max(1, len(s.training) // 1500)] for s in sources])
    statistics = code_statistics(tokenizer, pictures)
    state = {k: v.half().contiguous().cpu() for k, v in tokenizer.state_dict().items()}
    save_file({**state, "patches": statistics.pop("patches")}, folder / "tokenizer.safetensors")
    OmegaConf.save({"kind": "mini", "model": config.model}, folder / "config.yaml")
    record = {
        "steps": run.step,
        "samples": run.step * config.train.batch * run.world,
        "hours": round(run.seconds / 3600, 3),
        "validation": figures,
        "codes": {k: round(v, 4) for k, v in statistics.items()},
        "config": config,
    }
    OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
    log.info("exported %s: %s", folder, {k: v for k, v in record.items() if k != "config"})


def load_weights(folder: str | Path) -> dict[str, Tensor]:
    """State dict of an exported tokenizer, float32, without its preview table."""
    state = load_file(Path(folder) / "tokenizer.safetensors")
    return {k: v.float() for k, v in state.items() if k != "patches"}
