"""Conditions: class names, caption features, or plain words, each with a null form for guidance."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..splitter import split

FILLERS = {"a", "an", "the", "of", "emoji"}
TRIPLES = 16
"""Letter triples of a word that are told, at most."""


@dataclass(frozen=True)
class ConditionConfig:
    """What the model is told.

    Args:
        kind: "class", "caption" (features of a text encoder), "words" (hashed words) or "facts" (of
            a world, see `nar_core.worlds`).
        slots: condition tokens, the seed query not counted.
        classes: number of classes, the row after the last is the null class; or of a world's terms.
        caption_width: width of caption features.
        buckets: rows of the word table.
        parted: hyphens and apostrophes part hashed words, as for weights of before.
        causal: condition tokens see only earlier ones (official models), or each other.
        seed_query: end the condition with a token that carries the seed position.
        broadcast: also add the pooled condition to every token.
        told: ids that a world tells of each cell besides (what stands there); 0 where it does not.
        parts: rows of their table.
    """

    kind: Literal["class", "caption", "words", "facts"]
    slots: int = 1
    classes: int = 0
    caption_width: int = 0
    buckets: int = 8192
    parted: bool = False
    causal: bool = True
    seed_query: bool = False
    broadcast: bool = False
    told: int = 0
    parts: int = 0

    @property
    def length(self) -> int:
        """Condition tokens in all."""
        return self.slots + self.seed_query


@dataclass
class Condition:
    """An embedded condition.

    Attributes:
        slots: [B, C, D].
        valid: bool [B, C], False at padding, or None where nothing is padded.
        broadcast: [B, D] added to every token, or None.
        cells: [B, N, D] added to the token of each cell, or None.
    """

    slots: Tensor
    valid: Tensor | None = None
    broadcast: Tensor | None = None
    cells: Tensor | None = None


class ClassCondition(nn.Module):
    """One embedding per class, the last row for "no class"."""

    def __init__(self, config: ConditionConfig, width: int):
        super().__init__()
        self.null = config.classes
        self.table = nn.Embedding(config.classes + 1, width)

    def forward(self, labels: Tensor) -> Condition:
        """Labels int64 [B]; negative means none."""
        labels = torch.where(labels < 0, self.null, labels)
        return Condition(self.table(labels)[:, None])

    def null_like(self, labels: Tensor) -> Tensor:
        return torch.full_like(labels, self.null)


@dataclass
class Caption:
    """Caption features [B, C, caption_width], left padded with zeros; their mask, bool [B, C]."""

    features: Tensor
    valid: Tensor


class CaptionCondition(nn.Module):
    """Projected features of a frozen text encoder (paper, section 4.1; left padded)."""

    null: Tensor

    def __init__(self, config: ConditionConfig, width: int):
        super().__init__()
        # Never optimised by the authors, so it exists only in the file.
        self.register_buffer("null", torch.zeros(config.slots, config.caption_width))
        self.fc1 = nn.Linear(config.caption_width, width, bias=False)
        self.fc2 = nn.Linear(width, width, bias=False)

    def forward(self, caption: Caption) -> Condition:
        x = self.fc2(F.gelu(self.fc1(caption.features.to(self.null.dtype)), approximate="tanh"))
        return Condition(x, caption.valid)

    def null_like(self, caption: Caption) -> Caption:
        # The null caption shares the caption's padding mask: the weights were trained that way.
        return Caption(self.null.expand_as(caption.features), caption.valid)


def split_words(prompt: str, parted: bool = False) -> list[str]:
    """Lower-case words of a prompt without fillers; their order is kept.

    `parted`: at hyphens and apostrophes too, see `ConditionConfig`.
    """
    words = (w.lower() for w in split(prompt))
    parts = (p for w in words for p in (re.split("['-]", w) if parted else [w]))
    return [p for p in parts if p not in FILLERS]


def cut(prompt: str, slots: int, parted: bool = False) -> str:
    """A prompt that has at most so many words, as many of its first as fit."""
    words = split_words(prompt, parted)
    return prompt if len(words) <= slots else " ".join(words[:slots])


def word_ids(prompts: list[str], slots: int, buckets: int, parted: bool = False) -> Tensor:
    """Hash words and their letter triples, int64 [B, slots, 1 + TRIPLES]; -1 where nothing is.

    An unknown word still shares its triples with the words it resembles. An empty prompt gives
    only -1, the null condition. Raises ValueError for a prompt with more than `slots` words.
    """
    out = torch.full((len(prompts), slots, 1 + TRIPLES), -1)
    for row, prompt in zip(out, prompts, strict=True):
        words = split_words(prompt, parted)
        if len(words) > slots:
            raise ValueError(
                f"prompt: got {len(words)} words besides fillers, expected at most {slots}; "
                f"shorten {prompt!r}"
            )
        for slot, word in zip(row, words, strict=False):
            framed = f"<{word}>"
            triples = [framed[i : i + 3] for i in range(len(framed) - 2)]
            grams = [framed, *triples[:TRIPLES]]
            ids = [zlib.crc32(g.encode()) % buckets for g in grams]
            slot[: len(ids)] = torch.tensor(ids)
    return out


class _Slots(nn.Module):
    """What conditions trained with the generator share: a table, a place for each slot, blanks."""

    def __init__(self, config: ConditionConfig, rows: int, width: int):
        super().__init__()
        self.table = nn.Embedding(rows, width)
        self.places = nn.Parameter(nn.init.normal_(torch.empty(config.slots, width), std=0.02))
        self.blank = nn.Parameter(nn.init.normal_(torch.empty(width), std=0.02))
        self.null = nn.Parameter(nn.init.normal_(torch.empty(config.slots, width), std=0.02))
        self.norm = nn.LayerNorm(width)
        self.pool = nn.Linear(width, width, bias=False) if config.broadcast else None

    def filled(self, values: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Values [B, C, D] with blanks, or the null condition where a row has nothing at all.

        Args:
            there: bool [B, C, 1], where there is a value.

        Returns:
            The slots and, bool [B, C, 1], those that count when they are pooled.
        """
        is_null = ~there.any(1, keepdim=True)
        slots = torch.where(is_null, self.null, torch.where(there, values, self.blank))
        return slots, there | is_null

    def pooled(self, slots: Tensor, counted: Tensor) -> Tensor | None:
        """The mean of the slots that count, projected, [B, D]; None where nothing is broadcast."""
        if self.pool is None:
            return None
        weight = counted.to(slots.dtype)
        return self.pool((slots * weight).sum(1) / weight.sum(1))

    def null_like(self, ids: Tensor) -> Tensor:
        return torch.full_like(ids, -1)


class WordCondition(_Slots):
    """Words as bags of letter triples, trained jointly with the generator."""

    def __init__(self, config: ConditionConfig, width: int):
        super().__init__(config, config.buckets, width)

    def forward(self, ids: Tensor) -> Condition:
        """Ids int64 [B, slots, pieces] from `word_ids`."""
        there = (ids >= 0).unsqueeze(-1)
        vectors = self.table(ids.clamp(min=0)) * there
        pieces = vectors[:, :, 1:].sum(2) / there[:, :, 1:].sum(2).clamp(min=1)
        words, counted = self.filled(self.norm(vectors[:, :, 0] + pieces), there[:, :, 0])
        return Condition(words + self.places, None, self.pooled(words, counted))


class FactsCondition(_Slots):
    """Facts of a world, one value per slot, trained jointly with the generator."""

    def __init__(self, config: ConditionConfig, width: int):
        super().__init__(config, config.classes, width)

    def forward(self, ids: Tensor) -> Condition:
        """Ids int64 [B, slots], -1 where a slot is empty; nothing but -1 is the null condition.

        What may follow them is of cells, see `cells.Cells`.
        """
        ids = ids[:, : len(self.places)]
        values = self.norm(self.table(ids.clamp(min=0)))
        slots, counted = self.filled(values, (ids >= 0).unsqueeze(-1))
        slots = slots + self.places  # pooled with its place: a colour belongs to a thing
        return Condition(slots, None, self.pooled(slots, counted))


CONDITIONS = {
    "class": ClassCondition,
    "caption": CaptionCondition,
    "words": WordCondition,
    "facts": FactsCondition,
}
