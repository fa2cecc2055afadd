"""What a landscape is told by: terrain, season, time of day, clouds, haze, water."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from ..world import pair_is_held_out
from .cells import View

TERRAINS = ("mountains", "hills", "islands", "desert", "canyon", "forest")
SEASONS = ("spring", "summer", "autumn", "winter")
TIMES = ("morning", "noon", "sunset", "dusk", "night")
CLOUDS = ("clear sky", "some clouds", "many clouds")
HAZES = ("clear air", "haze")
WATERS = ("lake", "no lake")
VALUES: dict[str, tuple[str, ...]] = {
    "terrain": TERRAINS,
    "season": SEASONS,
    "time": TIMES,
    "clouds": CLOUDS,
    "haze": HAZES,
    "water": WATERS,
}
SLOTS = tuple(VALUES)
# Ids in a model's condition table: append only.
TERMS = (*TERRAINS, *SEASONS, *TIMES, *CLOUDS, *HAZES, *WATERS)

# How often training leaves a slot blank, so that prompts may.
_BLANK = {"terrain": 0.04, "season": 0.3, "time": 0.06, "clouds": 0.3, "haze": 0.4, "water": 0.4}


@dataclass(frozen=True)
class Landscape:
    """The facts of one landscape, each a word of VALUES, or None for anything.

    `view` is one look at one land of these facts; without it nothing is settled but them.

    Raises ValueError for another word, and for a lake among islands, which have the sea.
    """

    terrain: str | None = None
    season: str | None = None
    time: str | None = None
    clouds: str | None = None
    haze: str | None = None
    water: str | None = None
    view: View | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in said(self):
            if value is not None and value not in VALUES[name]:
                raise ValueError(f"{name}: expected one of {', '.join(VALUES[name])}; got {value}")
        if self.terrain == "islands" and self.water:
            raise ValueError(f"islands stand in the sea; leave water out, got {self.water}")


@dataclass(frozen=True)
class Complete(Landscape):
    """Facts with nothing left blank, which would be refused; only islands leave out water."""

    terrain: str = ""
    season: str = ""
    time: str = ""
    clouds: str = ""
    haze: str = ""


def is_held_out(facts: Landscape) -> bool:
    """Whether training never shows this terrain at this time of day."""
    if facts.terrain is None or facts.time is None:
        return False
    return pair_is_held_out("landscape", facts.terrain, facts.time)


@cache
def pairs(held_out: bool) -> tuple[tuple[str, str], ...]:
    """(terrain, time) of every combination that training never shows, or of every other."""
    every = [(terrain, time) for terrain in TERRAINS for time in TIMES]
    return tuple(p for p in every if is_held_out(Landscape(terrain=p[0], time=p[1])) == held_out)


def complete(facts: Landscape, rng: np.random.Generator) -> Complete:
    """The facts with blanks filled in: any season and weather, but no combination held out.

    Islands keep their water blank.
    """
    fits = [
        (terrain, time)
        for terrain, time in pairs(False)
        if facts.terrain in (None, terrain)
        and facts.time in (None, time)
        and not (facts.water and terrain == "islands")
    ]
    if facts.terrain and facts.time:
        fits = [(facts.terrain, facts.time)]
    terrain, time = fits[rng.integers(len(fits))]
    season, clouds, water = (x[rng.integers(len(x))] for x in (SEASONS, CLOUDS, WATERS))
    haze = HAZES[int(rng.random() < 0.35)]
    return Complete(
        terrain,
        facts.season or season,
        time,
        facts.clouds or clouds,
        facts.haze or haze,
        None if terrain == "islands" else facts.water or water,
    )


def draw(rng: np.random.Generator, held_out: bool = False) -> Complete:
    """Complete facts of the training distribution, or of what it never shows."""
    chosen = pairs(held_out)
    terrain, time = chosen[rng.integers(len(chosen))]
    return complete(Landscape(terrain=terrain, time=time), rng)


def with_blanks(full: Complete, rng: np.random.Generator) -> Landscape:
    """The facts as training tells them: now and then one is left out, as prompts will do.

    Of a held-out combination neither half is.
    """
    kept = {"terrain", "time"} if is_held_out(full) else set()
    told: dict[str, Any] = dict(said(full))
    for slot in SLOTS:
        if rng.random() < _BLANK[slot] and slot not in kept:
            told[slot] = None
    return Landscape(**told)


def said(facts: Landscape) -> Iterator[tuple[str, str | None]]:
    """Each slot with its value, None where it is blank."""
    return ((slot, getattr(facts, slot)) for slot in SLOTS)


def encode(facts: Landscape) -> list[int]:
    """Ids into TERMS per slot, -1 where a slot is blank."""
    return [-1 if value is None else TERMS.index(value) for _, value in said(facts)]
