"""What a world is: endless pictures or clips, composed from facts by rule, with their words."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

HELD_OUT = 0.12  # share of the pairs that training never shows

# A world's own frozen dataclass; equal facts are equal pictures, but for their layout.
Facts = Any


@dataclass(frozen=True)
class Word:
    """One word of a prompt and what became of it.

    Attributes:
        text: the word as it was typed.
        kind: "known", "taken as" another word of the world, "filler" (says nothing), "left out"
            (known, but there is no room for it beside the rest), or "unknown".
        meaning: the word it was taken as, or the nearest known one to an unknown word.
    """

    text: str
    kind: Literal["known", "taken as", "filler", "left out", "unknown"]
    meaning: str = ""


@dataclass(frozen=True)
class Understood:
    """What a world makes of a prompt: facts (None where there are none) and the words, in order."""

    facts: Facts | None
    words: tuple[Word, ...]

    @property
    def unknown(self) -> tuple[Word, ...]:
        """The words that were left out."""
        return tuple(w for w in self.words if w.kind == "unknown")


class World(Protocol):
    """Endless pictures (or clips) by rule.

    Attributes:
        name: what the registry and the model's configuration call it.
        size: height and width in pixels.
        frames: frames of a clip, 1 for pictures.
        slots: names of the places that facts fill in the model's condition.
        terms: every value of every slot; its index is its id in the model's table, so the order is
            fixed and new ones are appended.
    """

    name: str
    size: tuple[int, int]
    frames: int
    slots: tuple[str, ...]
    terms: tuple[str, ...]

    def draw(self, rng: np.random.Generator) -> Facts:
        """Facts to train on, never a held-out combination."""
        ...

    def draw_held_out(self, rng: np.random.Generator) -> Facts:
        """Facts with a combination that training never shows."""
        ...

    def is_held_out(self, facts: Facts) -> bool:
        """Whether facts hold a combination that training never shows."""
        ...

    def render(self, facts: Facts, rng: np.random.Generator) -> np.ndarray:
        """A picture or clip of the facts, uint8 [F, H, W, 3]; the rng chooses among layouts."""
        ...

    def say(self, facts: Facts, rng: np.random.Generator | None = None) -> str:
        """A prompt for the facts: the plain wording, or one that the rng chooses."""
        ...

    def understand(self, prompt: str) -> Understood:
        """The facts that a prompt asks for, and what became of each of its words."""
        ...

    def encode(self, facts: Facts) -> list[int]:
        """Ids of the facts, one per slot, -1 where a slot is empty."""
        ...


def pair_is_held_out(*parts: str, share: float = HELD_OUT) -> bool:
    """Whether a combination is held out: by its hash, so that no list has to be kept."""
    digest = hashlib.sha256("|".join(parts).encode()).hexdigest()
    return int(digest[:8], 16) / 2**32 < share


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that an unknown one resembles most, "" where none does."""
    found = difflib.get_close_matches(word, list(known), 1, 0.6)
    return found[0] if found else ""
