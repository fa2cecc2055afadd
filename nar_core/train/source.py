"""What a generator learns from: items of a data folder as tokens, and prompts that name them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from tqdm import tqdm

from .data import DataFolder, as_float, augment, is_held_out, on_white, windows

STYLES = {"fluent3d": "3d", "noto": "flat"}


def prompt_of(record: dict) -> str:
    """The prompt that names a record: its `text`, or its name, with the style where it has one."""
    return record["text"] if "text" in record else styled(record, record["name"])


def styled(record: dict, words: str) -> str:
    """Words with the style of a record, if it has one."""
    style = STYLES.get(record.get("style"))
    return f"{style} emoji of {words}" if style else words


def keyword_prompt(record: dict, rng: np.random.Generator) -> str:
    """Style and one or two keywords in place of the name, so that synonyms are learnt too."""
    words = record.get("keywords")
    if not words:
        return prompt_of(record)
    chosen = rng.choice(words, min(len(words), int(rng.integers(1, 3))), replace=False)
    return styled(record, " ".join(chosen))


def told_by(records: list[dict], other: np.ndarray, rng: np.random.Generator) -> list[dict | None]:
    """The records whose prompts the samples are told by, None where there is no prompt.

    Where `other` [n], a third each: its own, none, and that of the sample before, so that growth
    from a known picture follows the picture and not only a name that it has learnt.
    """
    return [
        (record, None, records[i - 1])[rng.integers(3)] if other[i] else record
        for i, record in enumerate(records)
    ]


def select_records(data: DataFolder, config: DictConfig) -> DataFolder:
    """The records that `config.only` keeps and `config.drop` does not remove.

    `only` is {field: values}, all of which must hold, or a list of such, any of which may; `drop`
    is {field: values}, any of which removes a record.
    """
    only = OmegaConf.to_container(config.get("only") or OmegaConf.create({}))
    drop = OmegaConf.to_container(config.get("drop") or OmegaConf.create({}))
    choices = only if isinstance(only, list) else [only]
    return data.select(
        lambda r: (
            any(all(r.get(k) in v for k, v in choice.items()) for choice in choices)
            and not any(r.get(k) in v for k, v in drop.items())
        )
    )


class TokenSource:
    """The items of a folder as tokens, each in several augmented variants, the first plain.

    Attributes:
        training, validation: rows of what `config` selects, without and with what is held out.
        others: rows of what it leaves aside and does not hold out; empty unless `with_others`.
    """

    def __init__(
        self, config: DictConfig, tokenizer, device: torch.device, cache: Path, with_others=False
    ):
        data = DataFolder.open(config.folder)
        files = {r["file"] for r in select_records(data, config).records}
        data = data.select(lambda r: with_others or r["file"] in files)
        chosen = np.array([r["file"] in files for r in data.records])
        held_out = np.array([is_held_out(r, config) for r in data.records])
        self.records = data.records
        self.validation = np.flatnonzero(held_out & chosen)
        self.training = np.flatnonzero(~held_out & chosen)
        self.others = np.flatnonzero(~held_out & ~chosen)
        self.plain_share = config.plain_share
        self.chances = self._chances(config)
        if cache.is_file():
            self.tokens = np.load(cache)
            if len(self.tokens) != len(self.records):
                raise ValueError(
                    f"{cache}: got tokens of {len(self.tokens)} items, expected "
                    f"{len(self.records)}: remove it, or choose another run folder"
                )
            return
        clips = data.pixels(tokenizer.size[0])
        generator = torch.Generator().manual_seed(0)
        rng = np.random.default_rng(0)
        starts = np.zeros(len(clips), int)
        variants = []
        for v in tqdm(range(config.variants), desc="encoding variants"):
            parts = []
            for i in range(0, len(clips), 32):
                part = slice(i, i + 32)
                rgba = as_float(
                    windows(clips[part], tokenizer.frames, config.get("stride", 1), starts[part])
                )
                rgb = on_white(rgba) if v == 0 else augment(
                    rgba, generator, config.shift, tuple(config.scale), config.flip, config.tinted
                )  # fmt: skip
                parts.append(tokenizer.encode(rgb.to(device)).flatten(1).cpu())
            variants.append(torch.cat(parts))
            starts = rng.integers(0, clips.shape[1], len(clips))
        self.tokens = torch.stack(variants, 1).to(torch.int16).numpy()
        # In one move: another process of the same run may be waiting to read it.
        written = cache.with_name(f"{cache.stem}-{os.getpid()}.npy")
        np.save(written, self.tokens)
        os.replace(written, cache)

    @property
    def names(self) -> list[str]:
        """The prompts of what is trained on, where its records have any."""
        records = [self.records[i] for i in self.training]
        return sorted({prompt_of(r) for r in records if "text" in r or "name" in r})

    def _chances(self, config: DictConfig) -> np.ndarray:
        """How likely each row of `training` is drawn, by `often`: {prompt or class: times}."""
        records = [self.records[i] for i in self.training]
        names = [r[config.label] if "label" in config else prompt_of(r) for r in records]
        often = config.get("often") or {}
        if unknown := set(often) - set(names):
            raise ValueError(
                f"source.often: got {sorted(unknown)}, expected names that are trained on, or "
                "null where all are drawn alike"
            )
        times = np.array([often.get(name, 1.0) for name in names])
        return times / times.sum()

    def sample(self, other: np.ndarray, rng: np.random.Generator) -> tuple[list[dict], Tensor]:
        """Random records and their tokens, int64 [n, cells]; of the others where `other` [n]."""
        n = len(other)
        rows = rng.choice(self.training, n, p=self.chances)
        rows[other] = rng.choice(self.others, other.sum())
        variant = rng.integers(0, self.tokens.shape[1], n)
        variant = np.where(~other & (rng.random(n) < self.plain_share), 0, variant)
        tokens = self.tokens[rows, variant].astype(np.int64)
        return [self.records[i] for i in rows], torch.from_numpy(tokens)
