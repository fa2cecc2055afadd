"""The landscape world: rendered land under a sky, by terrain, season, time of day and weather.

Facts are in `facts`, their words in `words`. `terrains` raises a land, `scene` looks at it once all
around, and `light` turns any window of that look into a picture at a time of day, in a season and
weather; so one land gives many pictures, which is what makes the world quick (`views`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..world import Understood
from . import words
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
# A land is shown so often before another takes its place.
_LIVES = (16, 33)


class LandscapeWorld:
    """Landscapes of 128 x 128 pixels, and wide ones: see `World` for what each method promises."""

    name = "landscape"
    size = (SIDE, SIDE)
    frames = 1
    slots = SLOTS
    terms = TERMS
    parts = told = 0
    vocabulary = words.VOCABULARY

    def draw(self, rng: np.random.Generator) -> Landscape:
        return with_blanks(draw(rng), rng)

    def draw_held_out(self, rng: np.random.Generator) -> Landscape:
        return with_blanks(draw(rng, held_out=True), rng)

    def is_held_out(self, facts: Landscape) -> bool:
        return is_held_out(facts)

    def arrangements(self, facts: Landscape) -> list[Landscape]:
        return [facts]

    def box(self, facts: Landscape | None) -> None:
        return None

    def cells(self, facts: Landscape) -> np.ndarray:
        return np.empty(((SIDE // 8) ** 2, 0), int)

    def render(self, facts: Landscape, rng: np.random.Generator) -> np.ndarray:
        """A picture of the facts, blanks as the rng has it: uint8 [1, 128, 128, 3]."""
        return self.panorama(facts, rng, SIDE)[None]

    def panorama(self, facts: Landscape, rng: np.random.Generator, width: int) -> np.ndarray:
        """A view `width` pixels wide, uint8 [128, width, 3]; a full turn is TURN / 2 pixels."""
        full = complete(facts, rng)
        sun, first = aim(rng, full.time, 2 * width)
        scene = _land(rng, full, first, min(2 * width, TURN))
        return shine(rng, scene, full, sun, first, 2 * width)

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
            picture = shine(rng, scene, full, sun, first, 2 * SIDE)
            if rng.random() < 0.5:
                picture = picture[:, ::-1]
            yield full if every else with_blanks(full, rng), np.ascontiguousarray(picture)[None]

    def say(self, facts: Landscape, rng: np.random.Generator | None = None) -> str:
        return words.say(facts, rng)

    def understand(self, prompt: str) -> Understood:
        return words.understand(prompt)

    def encode(self, facts: Landscape) -> list[int]:
        return encode(facts)


def _land(rng: np.random.Generator, full: Complete, first: int, columns: int) -> Scene:
    return look(rng, RAISE[full.terrain](rng, full.water == "lake"), first, columns)


__all__ = ["Landscape", "LandscapeWorld"]
