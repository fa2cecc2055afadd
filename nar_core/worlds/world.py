"""What a world is: endless pictures or clips, composed from facts by rule, with their words."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

NEGATIONS = frozenset(
    re.findall(
        r"\S+",
        """no not without never neither nor zero 0 none except minus isn't aren't doesn't don't
        didn't wasn't won't can't cannot""",
    )
)
# Words that only ask, and those that praise what shall come: they say nothing of a picture.
ASKING = frozenset(
    re.findall(
        r"\w+",
        """can could would should will you i we want like need see give create generate made get let
        do does what how look looks images pictures best quality masterpiece high highly detailed
        ultra very so such also but then here only just hd uhd hq 4k 8k 16k resolution trending
        artstation award winning professional perfect amazing awesome wonderful fantastic""",
    )
)
OR = frozenset(("or", "nor"))  # what is denied before them is denied behind them too
HELD_OUT = 0.12  # share of the pairs that training never shows

# A world's own frozen dataclass; equal facts are equal pictures, but for their layout.
Facts = Any


@dataclass(frozen=True)
class Word:
    """One word of a prompt and what became of it.

    Attributes:
        text: the word as it was typed.
        kind: "known", "taken as" another word of the world, "filler" (says nothing), "left out"
            (known, but nothing that is drawn can take it), or "unknown".
        meaning: the word it was taken as, or one that an unknown word may be a misspelling of.
    """

    text: str
    kind: Literal["known", "taken as", "filler", "left out", "unknown"]
    meaning: str = ""


@dataclass(frozen=True)
class Understood:
    """What a world makes of a prompt.

    Attributes:
        facts: what will be drawn, None where nothing was understood.
        words: the words of the prompt, in order.
        caption: the facts in the world's plain words.
        wanting: words to choose from where it says nothing of what matters: what a clip does.
    """

    facts: Facts | None
    words: tuple[Word, ...]
    caption: str = ""
    wanting: tuple[str, ...] = ()

    def of(self, kind: str) -> tuple[Word, ...]:
        """The words of one kind."""
        return tuple(w for w in self.words if w.kind == kind)

    @property
    def unknown(self) -> tuple[Word, ...]:
        """The words that are not known at all."""
        return self.of("unknown")

    @property
    def remarks(self) -> tuple[str, ...]:
        """One sentence for each kind of word that was not simply known; none where all were."""
        out = []
        if taken := self.of("taken as"):
            out.append(", ".join(f"{w.text!r} is taken as {w.meaning!r}" for w in taken))
        if unknown := self.of("unknown"):
            near = (f" (nearest: {w.meaning!r})" if w.meaning else "" for w in unknown)
            out.append(
                ", ".join(f"{w.text!r}{n}" for w, n in zip(unknown, near, strict=True))
                + (" is" if len(unknown) == 1 else " are")
                + " not known and left out"
            )
        if left := self.of("left out"):
            words = ", ".join(repr(w.text) for w in left)
            out.append(f"{words}: nothing here can take it, left out")
        if self.wanting:
            out.append(f"nothing moves; say what it does, such as {self.wanting[0]!r}")
        return tuple(out)


class World(Protocol):
    """Endless pictures (or clips) by rule.

    Attributes:
        name: what the registry and the model's configuration call it.
        size: height and width in pixels.
        frames: frames of a clip, 1 for pictures.
        slots: names of the places that facts fill in the model's condition.
        terms: every value of every slot; its index is its id in the model's table, so the order is
            fixed and new ones are appended.
        told: ids that it tells of each cell of the token grid, 0 where nothing stands in cells of
            its own; parts: how many values they have, all together.
        vocabulary: the words that it knows, by what they say, each as it may be typed.
    """

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def frames(self) -> int: ...
    @property
    def slots(self) -> tuple[str, ...]: ...
    @property
    def terms(self) -> tuple[str, ...]: ...
    @property
    def told(self) -> int: ...
    @property
    def parts(self) -> int: ...
    @property
    def vocabulary(self) -> dict[str, tuple[str, ...]]: ...

    def draw(self, rng: np.random.Generator) -> Facts:
        """Facts to train on, never a held-out combination."""
        ...

    def draw_held_out(self, rng: np.random.Generator) -> Facts:
        """Facts with a combination that training never shows."""
        ...

    def is_held_out(self, facts: Facts) -> bool:
        """Whether facts hold a combination that training never shows."""
        ...

    def arrangements(self, facts: Facts) -> list[Facts]:
        """Every way to settle what a prompt leaves open: where things stand."""
        ...

    def leads(self, facts: Facts, number: int) -> list[Facts]:
        """The ways that may have led to what is there already, the number-th of all first.

        Numbers go round.
        """
        ...

    def cells(self, facts: Facts) -> np.ndarray:
        """What stands in each cell, int64 [T * H * W, told]; -1 for nothing or open."""
        ...

    def box(self, facts: Facts | None) -> tuple[int, int, int] | None:
        """Where a thing alone stands first: column, row and cells along a side of its box.

        Without facts one of the usual size in the middle. None where they draw several, or things
        have no size.
        """
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


def pair_is_held_out(*parts: str) -> bool:
    """Whether a combination is held out: by its hash, so that no list has to be kept."""
    digest = hashlib.sha256("|".join(parts).encode()).hexdigest()
    return int(digest[:8], 16) / 2**32 < HELD_OUT


# Words of their own that one slip would make one that some world knows.
_OTHER_WORDS = frozenset(
    re.findall(
        r"\w+",
        """airline airlines beast bellow betas boast boost booth bouncers breaches canons carbs
        caring carriers castes cheery coast coats commuter commuters compute copper crushes dairy
        dessert desserts emotion emotions explores fakes filed files flatter fling giggles groove
        grooves homme hoops hoping launch looks lunches mousse places plants posture postures
        preaches preset prevents rabbis rackets racking raking retrieve roster rosters salons
        sauces scandals seater shooters sliver snowball speakers summary sundays sweeter tallies
        thorough though throes ticket topical topics trailers trainees traitors treble trough
        waging beatles lyons manson marian martin martina robyn scarlett thorne""",
    )
)
_VOWELS = frozenset("aeiouy")


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that an unknown one may be a misspelling of, "" where it is another word.

    What only shares some letters ("rain", "train") helps nobody.
    """
    near = [k for k in known if k[0] == word[0] and abs(len(k) - len(word)) < 2]
    found = difflib.get_close_matches(word, near, 1, 0.76)
    return found[0] if found else ""


def misspelt(word: str, known: Iterable[str]) -> str:
    """The known word that an unknown one surely is, with a slip of the pen; "" where it is none.

    What a letter makes another word of is none: "plate" is no plane, and "racket" no rocket.
    """
    if len(word) < 5 or word in _OTHER_WORDS:
        return ""
    found = [k for k in known if k[0] == word[0] and _slip(word, k)]
    return max(found, key=lambda k: (difflib.SequenceMatcher(None, word, k).ratio(), k), default="")


def _slip(word: str, meant: str) -> bool:
    """Whether a word is another one as people misspell it.

    A letter too few is likelier a slip than one too many or another one, which make other words
    unless these are long; so do all of them of what ends in "ing".
    """
    n, more = len(word), len(word) - len(meant)
    if _sound(word) == _sound(meant):
        return True
    differ = [i for i, (a, b) in enumerate(zip(word, meant, strict=False)) if a != b]
    if more == 0 and len(differ) == 2 and word[differ[0]] == meant[differ[1]]:
        i, j = differ
        return j == i + 1 and word[j] == meant[i]
    if word.endswith("ing"):
        return False
    if word[-1] != meant[-1]:
        return n > 5 and meant[:-1] == word and meant[-1] != "s"
    if more == 0 and len(differ) == 1:
        i = differ[0]
        return n > 7 or (n > 6 and {word[i], meant[i]} <= _VOWELS)
    if abs(more) == 1:
        short, long = sorted((word, meant), key=len)
        i = differ[0] if differ else n
        return n > (5 if more < 0 else 7) and long[:i] + long[i + 1 :] == short
    return False


def _sound(word: str) -> str:
    """About how a word sounds: letters that stand for one another, and no doubled ones."""
    alike = word.replace("ph", "f").replace("c", "k").replace("y", "i")
    return "".join(c for c, before in zip(alike, " " + alike, strict=False) if c != before)
