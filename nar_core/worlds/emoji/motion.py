"""Emoji scenes that move: clips that loop, with a verb for each thing.

A clip is a window of a scene's canvas, and things move by whole cells of the tokenizer's grid, so
that what moves keeps its tokens. Slides and falls leave at one edge and come back at the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from ..world import Understood
from . import EmojiWorld, _pick, grammar, random_thing
from .cells import Shown
from .objects import BY_NOUN
from .scene import (
    CELL,
    RELATIONS,
    SCENES,
    Corners,
    Layout,
    Placed,
    Scene,
    Thing,
    backdrop,
    paste,
    placed,
    random_place,
    sprite,
    waves,
)

FRAMES = 17
SIDE = 80
CELLS = SIDE // CELL
WINDOW = (24, 40)  # where the clip lies on a scene's canvas, pixels
GROUND = 9  # the row of cells on which things stand
ALONE, TOGETHER = 7, 5  # cells

# What a verb does in each frame: cells to the right and down, quarter turns, and how much of the
# size is left. Slides and falls go once round in FRAMES frames.
_HOP = (0, -1, -2, -3, -3, -2, -1, 0)
_ROUND = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
_SWELL = (3 / 7,) * 5 + (5 / 7,) * 5 + (1.0,) * 7
WANTING = "jumps", "spins", "slides right"  # offered where nothing moves
Step = tuple[int, int, int, float]
STEPS: dict[str, Callable[[int], Step]] = {
    "": lambda f: (0, 0, 0, 1.0),
    "jumps": lambda f: (0, (*_HOP, *_HOP, 0)[f], 0, 1.0),
    "falls": lambda f: (0, f, 0, 1.0),
    "slides left": lambda f: (-f, 0, 0, 1.0),
    "slides right": lambda f: (f, 0, 0, 1.0),
    "spins": lambda f: (0, 0, f // 2 % 4, 1.0),
    "grows": lambda f: (0, 0, 0, _SWELL[f]),
    "shrinks": lambda f: (0, 0, 0, _SWELL[::-1][f]),
    "shakes": lambda f: ((0, 1, 0, -1)[f % 4], 0, 0, 1.0),
    "circles": lambda f: (*_ROUND[f // 2 % 8], 0, 1.0),
}


def corners(scene: Scene) -> list[Corners]:
    """Every layout of a moving scene in its first frame, as the upper-left cells of its boxes."""
    stands = scene.place in SCENES
    if len(scene.things) == 1 and scene.count == 1:
        cells = TOGETHER if scene.size == "small" else ALONE
        middle = (CELLS - cells) // 2
        rows = {GROUND - cells} if stands else {middle, middle + 1} - {CELLS - cells + 1}
        if scene.things[0].verb == "jumps":
            rows = {max(0, GROUND - cells) if stands else CELLS - cells}
        columns = {middle, CELLS - cells - middle}
        return [((x, y),) for y in sorted(rows) for x in sorted(columns)]
    n = TOGETHER
    level = GROUND - n if stands else 3
    if any(t.verb == "jumps" for t in scene.things) and not stands:
        level = CELLS - n
    flat = ((0, level), (n, level))
    low = n - 1 if stands else n
    if len(scene.things) == 2:
        if scene.relation == "above":
            return [((x, 0), (x, low)) for x in (2, 3)]
        return [flat, flat[::-1]] if scene.relation == "and" else [flat]
    if scene.count == 2:
        return [flat]
    if scene.count == 3:
        return [((x, 0), (0, low), (n, low)) for x in (2, 3)]
    return [((0, 0), (n, 0), (0, low), (n, low))]


def layouts(scene: Scene) -> list[Layout]:
    """The layout of a moving scene in its first frame, or every way to lay it out."""
    alone = len(scene.things) == 1 and scene.count == 1 and scene.size != "small"
    return placed(scene, ALONE if alone else TOGETHER, corners(scene))


def paint(layout: Layout, place: str, shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A clip of a layout, uint8 [17, 80, 80, 3]; `shift` moves all things by so many pixels."""
    stands = place in SCENES
    behind = backdrop(place).crop((*WINDOW, WINDOW[0] + SIDE, WINDOW[1] + SIDE))
    frames = []
    for f in range(FRAMES):
        canvas = behind.copy()
        for thing in layout:
            shown = _moved(thing, f, stands)
            paste(canvas, shown.image, shown.x + shift[0], shown.y + shift[1])
        if place == "sea":
            top = (GROUND - 1) * CELL
            front = waves().crop((WINDOW[0], 0, WINDOW[0] + SIDE, 2 * CELL))
            canvas.alpha_composite(front.crop((0, 0, SIDE, SIDE - top)), (0, top))
            ImageDraw.Draw(canvas).rectangle((0, top + CELL, SIDE, SIDE), (92, 170, 226, 255))
        frames.append(np.asarray(canvas.convert("RGB")))
    return np.stack(frames)


def _moved(placed: Placed, f: int, stands: bool) -> Shown:
    """A thing in frame f."""
    right, down, turns, share = STEPS[placed.thing.verb](f)
    still = Thing(placed.thing.noun, placed.thing.colour, placed.thing.worn)
    cells = max(1, round(placed.cells * share))
    image, above = sprite(still, cells)
    if turns:
        image = image.transpose(getattr(Image.Transpose, f"ROTATE_{360 - 90 * turns}"))
        above = 0
    wide, high = -(-image.width // CELL), -(-(image.height - above) // CELL)
    x = placed.x + (placed.cells - wide) // 2
    y = placed.y + (placed.cells - high if stands else (placed.cells - high) // 2)
    x = _around(x, right, placed.cells) * CELL
    y = _around(y, down, placed.cells) * CELL - above
    return Shown(image, x, y, cells, turns)


def _around(at: int, by: int, cells: int) -> int:
    """A place along an axis after a move; far moves leave at one end and come back at the other."""
    if abs(by) < 4:
        far = at + by
        return far if -cells <= far < CELLS else (far + cells) % FRAMES - cells
    return (at + by + cells) % FRAMES - cells


class EmojiMotionWorld(EmojiWorld):
    """Clips of 17 frames of 80 x 80 pixels: the scenes of the emoji world, moving."""

    name = "emoji-motion"
    size = (SIDE, SIDE)
    frames = FRAMES
    alone = ALONE
    vocabulary = grammar.vocabulary(moving=True)

    def _any(self, rng: np.random.Generator) -> Scene:
        place = random_place(rng)
        kind = rng.random()
        if kind < 0.6:
            thing = _moving(rng, 0.92, rng.random() < 0.08)
            size = "" if thing.worn else str(rng.choice(["", "small", "big"], p=[0.88, 0.08, 0.04]))
            return Scene((thing,), size=size, place=place)
        if kind < 0.72:
            return Scene((_moving(rng, 0.85),), count=int(rng.integers(2, 5)), place=place)
        relation = RELATIONS[rng.choice(3, p=[0.32, 0.34, 0.34])]
        first, second = _moving(rng, 0.8), _moving(rng, 0.8)
        if first.noun == second.noun:
            return self._any(rng)
        return Scene((first, second), relation=relation, place=place)

    def layouts(self, facts: Scene) -> list[Layout]:
        return layouts(facts)

    def corners(self, facts: Scene) -> list[Corners]:
        return corners(facts)

    def render(self, facts: Scene, rng: np.random.Generator) -> np.ndarray:
        return self.paint(facts, _pick(rng, layouts(facts)))

    def loose(self, facts: Scene, rng: np.random.Generator) -> np.ndarray:
        """As `render`, but half of the clips lie off the grid, as pictures of other sources do."""
        layout = _pick(rng, layouts(facts))
        down, right = rng.integers(-3, 5, 2) if rng.random() < 0.5 else (0, 0)
        return paint(layout, facts.place, (int(down), int(right)))

    def paint(self, facts: Scene, layout: Layout) -> np.ndarray:
        """A clip of one layout of the facts, uint8 [17, 80, 80, 3]."""
        return paint(layout, facts.place)

    def _shown(self, placed: Placed, frame: int, stands: bool) -> Shown:
        return _moved(placed, frame, stands)

    def understand(self, prompt: str) -> Understood:
        found = grammar.understand(prompt, verbs=True)
        if found.facts is None or any(thing.verb for thing in found.facts.things):
            return found
        return replace(found, wanting=WANTING)


def _moving(rng: np.random.Generator, share: float, worn: bool = False) -> Thing:
    thing = random_thing(rng, 0.45, worn)
    verbs = [v for v in STEPS if v]
    verb = verbs[rng.integers(len(verbs))] if rng.random() < share else ""
    assert BY_NOUN[thing.noun].head or not thing.worn
    return Thing(thing.noun, thing.colour, thing.worn, verb)
