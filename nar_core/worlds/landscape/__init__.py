"""The landscape world: rendered land under a sky, by terrain, season, time of day and weather.

Facts are in `facts`, their words in `words`. `terrains` raises a land, `scene` looks at it once all
around, and `light` turns any window of that look into a picture at a time of day, in a season and
weather; so one land gives many pictures, which is what makes the world quick (`views`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from ..world import Understood
from . import words
from .cells import CELL, PARTS, TOLD, View, mirrored, nothing
from .facts import (
    SLOTS,
    TERMS,
    TIMES,
    Complete,
    Landscape,
    complete,
    draw,
    encode,
    is_held_out,
    with_blanks,
)
from .light import aim, shine
from .scene import TURN, Scene, look
from .terrains import RAISE

SIDE = 128
_STEP = 2 * CELL  # columns of a cell
# A land is shown so often before another takes its place.
_LIVES = (16, 33)
# What a prompt can be settled as: so many looks around each of so many lands.
LANDS, LOOKS = 125, 8
# Where a prompt leaves it open: the times of day of one land after another, and the first one's
# season and weather. Who names a place wants to see it, so it begins by day.
_TIMES_IN_TURN = ("noon", "morning", "sunset", "noon", "dusk", "night")
_AT_FIRST = {"season": "summer", "clouds": "some clouds", "haze": "clear air"}


class LandscapeWorld:
    """Landscapes of 128 x 128 pixels, and wide ones: see `World` for what each method promises."""

    name = "landscape"
    size = (SIDE, SIDE)
    frames = 1
    slots = SLOTS
    terms = TERMS
    parts, told = PARTS, TOLD
    vocabulary = words.VOCABULARY

    def draw(self, rng: np.random.Generator) -> Landscape:
        return with_blanks(draw(rng), rng)

    def draw_held_out(self, rng: np.random.Generator) -> Landscape:
        return with_blanks(draw(rng, held_out=True), rng)

    def is_held_out(self, facts: Landscape) -> bool:
        return is_held_out(facts)

    def arrangements(self, facts: Landscape) -> list[Landscape]:
        """Looks around one land after another, nothing left blank.

        They are made when their cells or pictures are wanted.
        """
        if facts.view:
            return [facts]
        ways = ((land, look) for land in range(LANDS) for look in range(LOOKS))
        lands = [_land_of(facts, land)[0] for land in range(LANDS)]
        return [_with(lands[land], _look_at, facts, land, look) for land, look in ways]

    def leads(self, facts: Landscape, number: int) -> list[Landscape]:
        """That of the number first, then those of the same land that begin at any other cell."""
        land, look = divmod(number % (LANDS * LOOKS), LOOKS)
        turned = range(1, TURN // _STEP)
        full, _ = _land_of(facts, land)
        others = (_with(full, _turned, facts, land, look, by) for by in turned)
        return [_with(full, _look_at, facts, land, look), *others]

    def box(self, facts: Landscape | None) -> None:
        return None

    def cells(self, facts: Landscape) -> np.ndarray:
        return facts.view.cells if facts.view else nothing()

    def render(self, facts: Landscape, rng: np.random.Generator) -> np.ndarray:
        """A picture of the facts, blanks as the rng has it: uint8 [1, 128, 128, 3]."""
        if facts.view:
            return facts.view.picture[None]
        return self.panorama(facts, rng, SIDE)[None]

    def panorama(self, facts: Landscape, rng: np.random.Generator, width: int) -> np.ndarray:
        """A view `width` pixels wide, uint8 [128, width, 3]; a full turn is TURN / 2 pixels."""
        full = complete(facts, rng)
        sun, first = aim(rng, full.time, 2 * width)
        return _look(rng, full, sun, first, 2 * width)[0]

    def views(
        self, rng: np.random.Generator, lands: int = 12, every: bool = False
    ) -> Iterator[tuple[Landscape, np.ndarray]]:
        """Endless (facts, picture uint8 [1, 128, 128, 3]), distributed as facts are by `draw`.

        A land is looked at some two dozen times, in other directions, times, seasons and weathers,
        before another takes its place: making one takes as long as that many looks. `lands` of
        them, 8 MB each, take turns by chance. Half of the pictures are mirror images. With `every`
        terrain is shown at every time, held out or not, and nothing is left blank: so a judge is
        taught, never a generator.
        """
        kept: dict[int, tuple[Complete, Scene]] = {}
        lives = np.zeros(lands, int)
        while True:
            i = int(rng.integers(lands))
            if not lives[i]:
                land = draw(rng, bool(every and rng.random() < 0.2))
                kept[i] = land, _land(rng, land, 0, TURN)
                lives[i] = rng.integers(*_LIVES)
            lives[i] -= 1
            land, scene = kept[i]
            time = TIMES[rng.integers(len(TIMES))] if every else None
            full = complete(Landscape(terrain=land.terrain, time=time, water=land.water), rng)
            sun, first = aim(rng, full.time, 2 * SIDE)
            picture, ids = shine(rng, scene, full, sun, first, 2 * SIDE)
            if rng.random() < 0.5:
                picture, ids = np.ascontiguousarray(picture[:, ::-1]), mirrored(ids)
            made = picture, ids.reshape(-1, TOLD)
            facts = full if every else with_blanks(full, rng)
            yield _with(facts, tuple, made), picture[None]

    def say(self, facts: Landscape, rng: np.random.Generator | None = None) -> str:
        return words.say(facts, rng)

    def understand(self, prompt: str) -> Understood:
        return words.understand(prompt)

    def encode(self, facts: Landscape) -> list[int]:
        return encode(facts)


def _with(facts: Landscape, look: Callable[..., Any], *how: Any) -> Landscape:
    return replace(facts, view=View(partial(look, *how)))


@lru_cache(maxsize=64)
def _look_at(facts: Landscape, land: int, look: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture and ids of cells [256, 7] of one of the looks that a prompt can be settled as."""
    picture, ids = _around(facts, land, look, 2 * SIDE)
    return picture, ids.reshape(-1, TOLD)


def _turned(facts: Landscape, land: int, look: int, by: int) -> tuple[np.ndarray, np.ndarray]:
    """As `_look_at`, so many cells further to the right."""
    picture, ids = _turn(facts, land)
    by += look * TURN // LOOKS // _STEP
    columns = np.arange(by, by + SIDE // CELL) % ids.shape[1]
    pixels = np.arange(by * CELL, by * CELL + SIDE) % picture.shape[1]
    return picture[:, pixels], ids[:, columns].reshape(-1, TOLD)


@lru_cache(maxsize=8)
def _turn(facts: Landscape, land: int) -> tuple[np.ndarray, np.ndarray]:
    """A whole land, uint8 [128, 896, 3] and int64 [16, 112, 7], from its first look on."""
    return _around(facts, land, 0, TURN)


def _around(facts: Landscape, land: int, look: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """One of the looks around a land; which those are hangs on nothing but the facts."""
    full, rng = _land_of(facts, land)
    sun, first = aim(rng, full.time, 2 * SIDE)
    return _look(rng, full, sun, (first + look * TURN // LOOKS) % TURN, columns)


def _land_of(facts: Landscape, land: int) -> tuple[Complete, np.random.Generator]:
    """What stands for the blanks in one of the lands, and what else it is made by."""
    rng = np.random.default_rng(land)
    blanks = {}
    if facts.time is None:
        turn = land % len(_TIMES_IN_TURN)
        times = (*_TIMES_IN_TURN[turn:], *_TIMES_IN_TURN[:turn])
        blanks["time"] = next(t for t in times if not is_held_out(replace(facts, time=t)))
    if land == 0:
        blanks |= {slot: value for slot, value in _AT_FIRST.items() if getattr(facts, slot) is None}
    return complete(replace(facts, **blanks), rng), rng


def _look(
    rng: np.random.Generator, full: Complete, sun: int, first: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `shine`, of a land that is made for it."""
    scene = _land(rng, full, first, min(columns, TURN))
    return shine(rng, scene, full, sun, first, columns)


def _land(rng: np.random.Generator, full: Complete, first: int, columns: int) -> Scene:
    return look(rng, RAISE[full.terrain](rng, full.water == "lake"), first, columns)


__all__ = ["Landscape", "LandscapeWorld"]
