"""The items of a data folder as tokens, the prompts that name them, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.condition import ConditionConfig, cut, word_ids
from ..picture import evenly
from ..tokenizers.base import Tokenizer
from .config import FolderSource, GeneratorTraining
from .data import DataFolder, as_float, augment, is_held_out, on_white, windows
from .filling import fill
from .identity import digest
from .plans import GrowthPlan

CHUNK = 32  # pictures in memory at once
SHOWN = ("variants", "shift", "scale", "flip", "tinted", "stride")
"""What of a source decides which tokens it gives."""


def prompt_of(record: dict) -> str:
    """The prompt that names a record: its `text`, its name, or that of the folder it lies in.

    Raises ValueError, with the remedy, for a record that has none of them.
    """
    if "text" in record:
        return record["text"]
    name = record.get("name", record.get("label"))
    if name is None:
        raise ValueError(
            f"data folder: {record['file']}: got neither text nor name, expected one; add it to "
            "the index, or train on classes with source.label"
        )
    return str(name)


def keyword_prompt(record: dict, rng: np.random.Generator) -> str:
    """One or two keywords in place of the name, so that synonyms are learnt too."""
    words = record.get("keywords")
    if not words:
        return prompt_of(record)
    chosen = rng.choice(words, min(len(words), int(rng.integers(1, 3))), replace=False)
    return " ".join(chosen)


def told_by(records: list[dict], other: np.ndarray, rng: np.random.Generator) -> list[dict | None]:
    """The records whose prompts the samples are told by, None where there is no prompt.

    Where `other` [n], a third each: its own, none, and that of the sample before, so that growth
    from a known picture follows the picture and not only a name that it has learnt.
    """
    return [
        (record, None, records[i - 1])[rng.integers(3)] if other[i] else record
        for i, record in enumerate(records)
    ]


def select_records(data: DataFolder, only: Any = None, drop: Any = None) -> DataFolder:
    """The records that `only` keeps and `drop` does not remove.

    `only` is {field: values}, all of which must hold, or a list of such, any of which may; `drop`
    is {field: values}, any of which removes a record.
    """
    choices = only if isinstance(only, list) else [only or {}]
    return data.select(
        lambda r: (
            any(all(r.get(k) in v for k, v in choice.items()) for choice in choices)
            and not any(r.get(k) in v for k, v in (drop or {}).items())
        )
    )


class TokenSource:
    """The items of a folder as tokens, each in several augmented variants, the first plain.

    Attributes:
        training, validation: rows of what `config` selects, without and with what is held out.
        others: rows of what it leaves aside and does not hold out; empty unless `with_others`.

    Tokens are kept in `cache`, which belongs to this process, and taken from there while `of`
    (pictures and tokenizer, as a short hash) and what is done to them are the same. `data` is the
    folder where it has been opened already.
    """

    def __init__(
        self,
        config: FolderSource,
        tokenizer: Tokenizer,
        device: torch.device,
        cache: Path,
        with_others: bool = False,
        of: str = "",
        data: DataFolder | None = None,
    ):
        data = data or DataFolder.open(config.folder)
        files = {r["file"] for r in select_records(data, config.only, config.drop).records}
        data = data.select(lambda r: with_others or r["file"] in files)
        chosen = np.array([r["file"] in files for r in data.records])
        held_out = np.array([is_held_out(r, config) for r in data.records])
        self.records = data.records
        self.config = config
        self.validation = np.flatnonzero(held_out & chosen)
        self.training = np.flatnonzero(~held_out & chosen)
        self.others = np.flatnonzero(~held_out & ~chosen)
        if not len(self.training):
            raise ValueError(
                f"source: got {len(self.records)} items of which none is trained on, expected at "
                "least one; see source.only, source.drop and source.hold_out"
            )
        self.plain_share = config.plain_share
        self.chances = self._chances(config)
        shown = {f: getattr(config, f) for f in SHOWN}
        key = digest([of, [r["file"] for r in self.records], shown])
        chunks = self._chunks(data, config, tokenizer, device)
        self._fill = lambda: fill(cache, key, len(data.records), CHUNK, chunks, "encoding")

    @cached_property
    def tokens(self) -> np.ndarray:
        """Int16 [N, variants, cells]; encoded when they are first asked for, which takes long."""
        return self._fill()

    @staticmethod
    def _chunks(
        data: DataFolder, config: FolderSource, tokenizer: Tokenizer, device: torch.device
    ) -> Callable[[int, int], np.ndarray]:
        """What encodes items, int16 [n, variants, cells]; only these pictures are in memory."""

        def encoded(first: int, last: int) -> np.ndarray:
            generator = torch.Generator().manual_seed(first)
            rng = np.random.default_rng(first)
            part = replace(data, records=data.records[first:last])
            clips = part.pixels(tokenizer.size, progress=False)
            starts = np.zeros(len(clips), int)
            out = []
            for v in range(config.variants):
                rgba = as_float(windows(clips, tokenizer.frames, config.stride, starts))
                rgb = on_white(rgba) if v == 0 else augment(
                    rgba, generator, config.shift, config.scale, config.flip, config.tinted
                )  # fmt: skip
                out.append(tokenizer.encode(rgb.to(device)).flatten(1).to(torch.int16).cpu())
                starts = rng.integers(0, clips.shape[1], len(clips))
            return torch.stack(out, 1).numpy()

        return encoded

    def classes(self) -> list[str]:
        """The labels that are trained on, in order. Raises ValueError where an item has none."""
        return sorted({self.class_of(self.records[i]) for i in self.training})

    def class_of(self, record: dict) -> str:
        """The label of a record. Raises ValueError where it has none."""
        return self._name_of(record, self.config)

    def _chances(self, config: FolderSource) -> np.ndarray:
        """How likely each row of `training` is drawn, by `often`: {prompt or class: times}."""
        said = [self._name_of(record, config) for record in self.records]
        names = [said[i] for i in self.training]
        often = config.often or {}
        if unknown := set(often) - set(names):
            raise ValueError(
                f"source.often: got {sorted(unknown)}, expected names that are trained on, or "
                "null where all are drawn alike; leave the others out"
            )
        times = np.array([often.get(name, 1.0) for name in names])
        if not times.sum():
            raise ValueError(f"source.often: got {often}, expected one above 0 at least; raise one")
        return times / times.sum()

    @staticmethod
    def _name_of(record: dict, config: FolderSource) -> str:
        """The class of a record, or its prompt. Raises ValueError where it has none."""
        if config.label is None:
            return prompt_of(record)
        name = record.get(config.label)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"data folder: {record['file']}: got {name!r} as its {config.label}, expected the "
                "name of a class; add it to the index, or choose another source.label"
            )
        return name.strip()

    def sample(self, other: np.ndarray, rng: np.random.Generator) -> tuple[list[dict], Tensor]:
        """Random records and their tokens, int64 [n, cells]; of the others where `other` [n]."""
        n = len(other)
        rows = rng.choice(self.training, n, p=self.chances)
        rows[other] = rng.choice(self.others, other.sum())
        variant = rng.integers(0, self.tokens.shape[1], n)
        variant = np.where(~other & (rng.random(n) < self.plain_share), 0, variant)
        tokens = self.tokens[rows, variant].astype(np.int64)
        return [self.records[i] for i in rows], torch.from_numpy(tokens)


class FolderStream:
    """Samples of a folder, told by prompts or classes; see `stream.TokenStream`.

    Args:
        labels: the model's classes.
        config: `null_share`, `keyword_share` and `other_share` of what is drawn.
    """

    def __init__(
        self,
        source: TokenSource,
        condition: ConditionConfig,
        config: GeneratorTraining,
        labels: Sequence[str] = (),
    ):
        self.source, self.form, self.config = source, condition, config
        self.labels = list(labels)
        if condition.kind == "class":
            self._check_labels()
        named = condition.kind == "words"
        names = {prompt_of(source.records[i]) for i in source.training} if named else set()
        self.names: tuple[str, ...] = tuple(sorted(names))

    def _check_labels(self) -> None:
        """Raise ValueError where what is trained on is of no class of the model's."""
        source = self.source
        rows = np.concatenate([source.training, source.validation])
        unknown = sorted({source.class_of(source.records[i]) for i in rows} - set(self.labels))
        if unknown:
            raise ValueError(
                f"info.labels: got {len(self.labels)} names without {', '.join(unknown[:5])} "
                f"({len(unknown)} are in the data and not among them), expected every "
                f"{source.config.label!r} of the data; add them, or leave info.labels out (null) "
                "to take those of the data, or choose with source.only"
            )

    def draw(self, plans: Sequence[GrowthPlan], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A sample for each plan; what goes on from known slices may be of other names."""
        goes_on = np.array([plan.goes_on for plan in plans])
        other = goes_on & (rng.random(len(plans)) < self.config.other_share)
        records, tokens = self.source.sample(other, rng)
        return self.condition(told_by(records, other, rng), rng), tokens

    def condition(
        self, records: Sequence[dict | None], rng: np.random.Generator | None = None
    ) -> Tensor:
        """Condition input, null for None; with `rng`, sometimes keywords or the null condition."""
        if self.form.kind == "class":
            # What is no class of the model's is only ever shown after known slices.
            names = [self._said(r, rng, self.source.class_of) for r in records]
            return torch.tensor([self.labels.index(n) if n in self.labels else -1 for n in names])
        prompts = [self._said(r, rng, lambda r: self._prompt(r, rng)) for r in records]
        # Names longer than the slots are cut in training; users are told instead.
        form = self.form
        prompts = [cut(p, form.slots, form.parted) for p in prompts]
        return word_ids(prompts, form.slots, form.buckets, form.parted)

    def _said(
        self,
        record: dict | None,
        rng: np.random.Generator | None,
        name_of: Callable[[dict], str],
    ) -> str:
        """The name of a record, or nothing."""
        if record is None or (rng is not None and rng.random() < self.config.null_share):
            return ""
        return name_of(record)

    def _prompt(self, record: dict, rng: np.random.Generator | None) -> str:
        if rng is not None and rng.random() < self.config.keyword_share:
            return keyword_prompt(record, rng)
        return prompt_of(record)

    def to_measure(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """At most 48 items of each kind, evenly spread."""
        for name, rows in (("", self.source.training), ("held_out_", self.source.validation)):
            rows = rows[evenly(len(rows), 48)]
            if len(rows):
                tokens = torch.from_numpy(self.source.tokens[rows, 0].astype(np.int64))
                yield name, self.condition([self.source.records[i] for i in rows]), tokens

    def seen(self, processes: int) -> int:
        """How many pictures are trained on, by all processes alike."""
        return len(self.source.training)

    def figures(self) -> dict[str, float]:
        """Nothing is to be said of it."""
        return {}

    def close(self) -> None:
        """Nothing is open."""
