"""Train a mini tokenizer: `python -m nar_core train tokenizer CONFIG`."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ..picture import evenly
from ..tokenizers.base import Tokenizer, device_of
from ..tokenizers.mini import PATCH, MiniConfig, MiniTokenizer
from ..weights.embedded import EXPORT, name_of, sha256_of
from ..weights.fetch import find_folder
from ..worlds import WORLDS
from ..writing import whole_folder
from .begin import LIKE, tensors_of, unfit
from .config import (
    TokenizerConfig,
    TokenizerSource,
    TokenizerTraining,
    said,
    without_places,
)
from .data import DataFolder, as_float, augment, is_held_out, on_white
from .graph import compiled
from .identity import FREE, claim, digest
from .loop import Run, rank_and_world

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Clips that are measured at once."""

CHUNK = 32  # pictures in memory at once
HELD_OUT = 128  # pictures of a world that are measured
BLOCK = 256  # pictures of a world that are drawn after one another


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
def code_statistics(tokenizer: Tokenizer, sources: list[np.ndarray]) -> dict:
    """How clips use the codes, and the mean patch of every code.

    Args:
        sources: RGBA clips [N, F, H, W, 4] of each.

    Returns:
        `used` (share of the vocabulary that occurs), `perplexity` (2 ** entropy), `white_codes`
        (codes on a blank picture) and `patches`, uint8 [V, 8, 8, 3], for previews.
    """
    device = device_of(tokenizer)
    counts = torch.zeros(tokenizer.vocab_size, device=device)
    sums = torch.zeros(tokenizer.vocab_size, PATCH * PATCH * 3, device=device)
    parts = [clips[i : i + AT_ONCE] for clips in sources for i in range(0, len(clips), AT_ONCE)]
    for part in parts:
        x = on_white(as_float(part)).to(device)
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
        size: (height, width) of the pictures, where `config` says no side of a square.
        cache: a file in which they are kept as they are read, and from which they are drawn.

    Attributes:
        pictures: short hash of them; captions: of their records.
        rows: which of them are trained on.

    Raises ValueError where that is none.
    """

    def __init__(self, config: TokenizerSource, size: tuple[int, int], cache: Path):
        self.config = config
        data = DataFolder.open(config.folder)
        self.pictures, self.captions = digest(data.checksums()), digest(data.records)
        out = np.array([is_held_out(r, config) for r in data.records])
        self.rows, self._held_out = np.flatnonzero(~out), np.flatnonzero(out)
        if not len(self.rows):
            raise ValueError(
                f"{config.folder}: got {len(out)} pictures of which none is trained on, expected "
                "at least one; lower hold_out"
            )
        own = size_of(config, size)
        self._reading = lambda: self._read(data, own, cache)

    @cached_property
    def clips(self) -> np.ndarray:
        """RGBA uint8 [N, F, H, W, 4], on disk; read when they are first asked for."""
        return self._reading()

    @cached_property
    def validation(self) -> np.ndarray:
        """The first frames of what is held out, [N, 1, H, W, 4]."""
        return self.clips[self._held_out, :1]

    @staticmethod
    def _read(data: DataFolder, size: tuple[int, int], cache: Path) -> np.ndarray:
        """RGBA uint8 [N, F, H, W, 4] on disk: more pictures than fit into memory may come."""
        kept = None
        for i in tqdm(range(0, len(data.records), CHUNK), desc=f"reading {data.root.name}"):
            part = replace(data, records=data.records[i : i + CHUNK]).pixels(size, progress=False)
            if kept is None:
                shape = (len(data.records), *part.shape[1:])
                kept = np.lib.format.open_memmap(cache, "w+", np.uint8, shape)
            kept[i : i + CHUNK] = part
        if kept is None:
            raise ValueError(f"{data.root}: got no pictures, expected some; put pictures there")
        kept.flush()
        # The name goes, what was written stays until it is no longer drawn from.
        opened = np.load(cache, mmap_mode="r")
        cache.unlink()
        return opened

    def spread(self, most: int) -> np.ndarray:
        """First frames of at most so many of the pictures trained on, evenly spread.

        RGBA uint8 [n, 1, H, W, 4].
        """
        return self.clips[self.rows[evenly(len(self.rows), most)], :1]

    def skip(self, n: int) -> None:
        """As if n had been sampled, which changes nothing."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """RGB float [n, 1, 3, H, W] in [0, 1]."""
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


class WorldPool:
    """Pictures of a world at hand, some of them replaced by others at every draw.

    Where a world has colours to change, each has a twin: the same scene in other colours. Pictures
    are drawn `BLOCK` by `BLOCK`, each by its number, so that a run goes on with those that follow.

    Attributes:
        passed: how many have been replaced.
        validation: RGBA uint8 [N, 1, H, W, 4] of held-out combinations.
    """

    def __init__(self, config: TokenizerSource, key: tuple[int, int]):
        self.config, self.world, self.key = config, WORLDS[config.world](), key
        self.pictures, self.captions = config.world, config.world
        self._views: Any = getattr(self.world, "views", None)
        self._recoloured: Any = getattr(self.world, "recoloured", None)
        self._render: Any = getattr(self.world, "loose", self.world.render)
        rng = np.random.default_rng(0)
        drawn = [self.world.render(self.world.draw_held_out(rng), rng) for _ in range(HELD_OUT)]
        self.validation = _opaque(np.stack([d[rng.integers(len(d))] for d in drawn])[:, None])
        self.passed = self._drawn = 0
        self._pairs: Any = None
        self._scenes: Iterator[np.ndarray] = iter(())

    @property
    def pairs(self) -> np.ndarray:
        """The frames at hand with their twins, uint8 [pool, 1 or 2, H, W, 3]; drawn as needed."""
        pool = self.config.pool
        for number in range(max(self._drawn, self.passed), self.passed + pool):
            block, at = divmod(number, BLOCK)
            if not at or number != self._drawn:
                rng = np.random.default_rng((*self.key, 1, block))
                self._scenes = islice(self._block(rng), at, None)
            pair, self._drawn = next(self._scenes), number + 1
            if self._pairs is None:
                self._pairs = np.empty((pool, *pair.shape), np.uint8)
            self._pairs[number % pool] = pair
        return self._pairs

    def _block(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Endless frames with twins, uint8 [2, H, W, 3]; frames alone where there are none."""
        if self._views is not None:
            for _, frame in self._views(rng):
                yield frame
        while True:
            ways = self.world.arrangements(self.world.draw(rng))
            facts = ways[rng.integers(len(ways))]
            same = rng.bit_generator.state
            frames = self._render(facts, rng)
            at = int(rng.integers(len(frames)))
            if self._recoloured is None:
                yield frames[at : at + 1]
                continue
            other = self._recoloured(facts, rng)
            rng.bit_generator.state = same
            twin = self._render(other, rng)
            yield np.stack([frames[at], twin[at]])

    def spread(self, most: int) -> np.ndarray:
        """At most so many of the pictures, RGBA [n, 1, H, W, 4]."""
        return _opaque(self.pairs[:most, :1])

    def skip(self, n: int) -> None:
        """As if n had been sampled: some are replaced."""
        self.passed += math.ceil(n * self.config.fresh)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """RGB float [n, 1 or 2, 3, H, W] in [0, 1], a picture and its twin."""
        self.skip(n)
        chosen = torch.randint(self.config.pool, (n,), generator=generator).numpy()
        return as_float(self.pairs[chosen])


def _opaque(rgb: np.ndarray) -> np.ndarray:
    """RGB uint8 [..., 3] as RGBA."""
    return np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], -1)


def size_of(source: TokenizerSource, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a source's pictures, those of a tokenizer where it does not say."""
    if source.world:
        return WORLDS[source.world]().size
    return (source.size, source.size) if source.size else size


def source_of(
    config: TokenizerSource, size: tuple[int, int], folder: Path, key: tuple[int, int]
) -> Source | WorldPool:
    """What a part of the configuration names: a folder's pictures, or a world's."""
    if config.world:
        return WorldPool(config, key)
    return Source(config, size, folder / f"pictures-{os.getpid()}.npy")


def check_sources(sources: Sequence[TokenizerSource], window: int, size: tuple[int, int]) -> None:
    """Raise ValueError for one that names no folder and no world, or both, or an unknown one.

    And where pictures of several sizes would not be seen in parts of one, `window` pixels a side.
    """
    for source in sources:
        if bool(source.folder) == bool(source.world):
            raise ValueError(
                f"sources: got folder {source.folder!r} and world {source.world!r}, expected "
                "one; leave one out"
            )
        if source.world and source.world not in WORLDS:
            raise ValueError(
                f"sources: got the world {source.world!r}, expected one of {', '.join(WORLDS)}; "
                "choose one"
            )
    sizes = {size_of(source, size) for source in sources}
    least = min(map(min, sizes))
    if len(sizes) > 1 and not 0 < window <= least:
        told = " and ".join(f"{h} x {w}" for h, w in sorted(sizes))
        raise ValueError(
            f"train.window: got {window} for pictures of {told}, expected 8 to {least}, so that "
            "all are seen in parts of one size; say such a window"
        )


def unlikeness(digits: Tensor) -> Tensor:
    """How far digits [P, 2, ..., d] of pairs are apart, as a share of how far they vary at all.

    Squared, summed over digits. Were it not a share, digits that say nothing would be alike best.
    """
    apart = (digits[:, 0] - digits[:, 1]).square().flatten(0, -2).mean(0)
    return (apart / (digits.flatten(0, -2).var(0) + 1e-2)).sum()


def counts_of(shares: np.ndarray, n: int, by: float) -> list[int]:
    """How many of n come from each source; `by` in [0, 1) decides on what is left of a whole one.

    They are the same at every step where shares of n are whole: a compiled graph is for one shape.
    """
    ends = np.floor(np.cumsum(shares) * n + by + 1e-9).astype(int)
    ends[-1] = n
    return np.diff(np.minimum(ends, n), prepend=0).tolist()


def one_of(pairs: Tensor, generator: torch.Generator) -> Tensor:
    """A picture or its twin, [n, 1, 3, H, W] of [n, 1 or 2, 3, H, W]."""
    which = torch.randint(pairs.shape[1], (len(pairs),), generator=generator)
    return pairs[torch.arange(len(pairs)), which][:, None]


def windows_of(pictures: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A square of each picture [B, T, 3, H, W], three in four of them on the token grid."""
    if not side or side > min(pictures.shape[-2:]):
        return pictures
    high, wide = (n - side for n in pictures.shape[-2:])
    out = []
    for picture in pictures:
        step = PATCH if torch.rand((), generator=generator) < 0.75 else 1
        y = int(torch.randint(high // step + 1, (), generator=generator)) * step
        x = int(torch.randint(wide // step + 1, (), generator=generator)) * step
        out.append(picture[..., y : y + side, x : x + side])
    return torch.stack(out)


def train(config: TokenizerConfig, folder: Path, device: torch.device) -> None:
    """Train by `config` (model, sources, train) in a run folder; export beside it at the end."""
    model = MiniConfig(**asdict(config.model))
    check_sources(config.sources, config.train.window, model.size)
    torch.manual_seed(config.train.seed)
    tokenizer = MiniTokenizer(model).to(device)
    if config.init_from:
        config.init_from = str(find_folder(config.init_from, "init_from"))
        start_from(tokenizer, Path(config.init_from))
    if config.train.decoder_only:
        for module in tokenizer.encoding_modules():
            module.requires_grad_(False)
    key = (config.train.seed, rank_and_world()[0])
    sources = [source_of(s, tokenizer.size, folder, key) for s in config.sources]
    folder.mkdir(parents=True, exist_ok=True)
    claim(folder, {
        "pictures": digest([s.pictures for s in sources]),
        "captions": digest([s.captions for s in sources]),
        "model": digest(said(config.model)),
        "train": digest({k: v for k, v in said(config.train).items() if k not in FREE}),
    })  # fmt: skip
    weights = np.array([s.config.weight for s in sources])
    shares = weights / weights.sum()
    run = Run(tokenizer, config.train, folder, device)
    forward = compiled(tokenizer, device) if config.train.compile else tokenizer
    told = config.train

    def drawn(index: int) -> tuple[torch.Generator, list[int]]:
        generator = torch.Generator().manual_seed(told.seed * 1_000_003 + index)
        by = float(torch.rand((), generator=generator))
        return generator, counts_of(shares, told.batch, by)

    for index in range(run.rank, run.step * run.world, run.world):
        for source, n in zip(sources, drawn(index)[1], strict=True):
            source.skip(n)
    for source in sources:
        _ = source.validation, source.spread(1)  # read or drawn now: nothing is left to check

    def loss_of(index: int) -> Tensor:
        generator, counts = drawn(index)
        parts = [s.sample(n, generator) for s, n in zip(sources, counts, strict=True) if n]
        if not told.alike:
            parts = [one_of(part, generator) for part in parts]
        parts = [windows_of(part, told.window, generator) for part in parts]
        parts.sort(key=lambda part: -part.shape[1])  # pairs first
        pairs = sum(len(part) for part in parts if part.shape[1] == 2)
        x = torch.cat([part.flatten(0, 1) for part in parts])[:, None].to(device)
        made, digits = forward(x)
        loss = reconstruction_loss(made.float(), x, told)
        if told.alike and pairs:
            both = digits[: 2 * pairs, ..., : told.alike_digits].unflatten(0, (pairs, 2))
            loss = loss + told.alike * unlikeness(both)
        return loss

    def evaluate() -> dict[str, float]:
        return {
            f"psnr_{Path(s.config.folder or s.config.world).name}": round(
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
    sources: list[Source | WorldPool],
    figures: dict[str, float],
) -> None:
    """Write a self-describing tokenizer folder (float16 weights, config, record) into the run."""
    clips = [s.spread(1500) for s in sources]
    statistics = code_statistics(tokenizer, clips)
    state = {k: v.half().contiguous().cpu() for k, v in tokenizer.state_dict().items()}
    state["patches"] = statistics.pop("patches")
    record = {
        "steps": run.step,
        "samples": run.step * config.train.batch * run.world,
        "hours": round(run.seconds / 3600, 3),
        "validation": figures,
        "codes": {k: round(v, 4) for k, v in statistics.items()},
        "config": without_places(said(config)),
    }
    if config.init_from:
        begun = Path(config.init_from)
        record["config"]["init_from"] = name_of(begun)  # where it lay concerns nobody else
        if (before := begun / "record.yaml").is_file():
            record["begun_from"] = OmegaConf.load(before)
    with whole_folder(run.folder / EXPORT) as folder:
        save_file(state, folder / "tokenizer.safetensors")
        told = {"kind": "mini", "model": said(config.model)}
        told["sha256"] = sha256_of(folder / "tokenizer.safetensors")
        OmegaConf.save(OmegaConf.create(told), folder / "config.yaml")
        OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
    shown = {k: v for k, v in record.items() if k != "config"}
    log.info("exported %s: %s", run.folder / EXPORT, shown)


def start_from(tokenizer: MiniTokenizer, folder: Path) -> None:
    """Begin with the weights of an exported tokenizer of the same shape, else ValueError.

    Digits that are others in number begin anew; blocks of a deeper decoder begin with nothing.
    """
    state = tensors_of(folder / "tokenizer.safetensors")
    state.pop("patches", None)
    wanted = tokenizer.state_dict()
    depth = Counter(kind for kind, _ in {tuple(name.split(".")[:2]) for name in state})
    for name in wanted:
        kind, number, *_ = name.split(".")
        if kind.startswith("decoder") and 0 < depth[kind] <= int(number):
            state[name] = wanted[name]
    for name in ("to_code.weight", "to_code.bias", "from_code.weight"):
        if name in state and state[name].shape != wanted[name].shape:
            # Trained features are large: at full size a digit may begin, and stay, at one end.
            state[name] = wanted[name] * (0.3 if name == "to_code.weight" else 1)
    try:
        tokenizer.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"init_from: got weights in {folder} that do not fit ({unfit(error)}), {LIKE}"
        ) from None
