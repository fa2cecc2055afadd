"""The emoji world: everyday objects in other colours, numbers, places and company.

Facts become a picture in `scene`, words become facts in `grammar`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..world import Understood, pair_is_held_out
from . import grammar
from .cells import PARTS, TOLD, Shown, mark, nothing
from .colours import COLOURS
from .objects import BY_NOUN, OBJECTS
from .scene import (
    CELL,
    COUNTS,
    PLACES,
    RELATIONS,
    SCENES,
    SIDE,
    SIZES,
    WORN,
    Corners,
    Layout,
    Placed,
    Scene,
    Thing,
    corners,
    layouts,
    paint,
    random_place,
    spot,
    sprite,
)

VERBS = (
    "jumps",
    "falls",
    "slides left",
    "slides right",
    "spins",
    "grows",
    "shrinks",
    "shakes",
    "circles",
)
NOUNS = tuple(o.noun for o in OBJECTS)
COLOURABLE = tuple(o.noun for o in OBJECTS if o.takes != "none")
WEARERS = tuple(o.noun for o in OBJECTS if o.head)
_TERMS = (
    *(f"count {k}" for k in (2, 3, 4)),
    *(f"size {s}" for s in SIZES if s),
    *(f"colour {c}" for c in COLOURS),
    *(f"wears {w}" for w in WORN),
    *(f"verb {v}" for v in VERBS),
    *(f"relation {r}" for r in RELATIONS),
    *(f"place {p}" for p in PLACES),
    *(f"noun {n}" for n in NOUNS),
    *(f"{name} {at}" for name in ("x", "y", "second x", "second y") for at in range(SIDE // CELL)),
)


_IDS = {term: i for i, term in enumerate(_TERMS)}


class EmojiWorld:
    """Pictures of 128 x 128 pixels: one thing, several, or two in a relation, in some place."""

    name = "emoji"
    size = (SIDE, SIDE)
    frames = 1
    alone = SIZES[""]  # cells along a side of a thing of the usual size
    slots = (
        "count",
        "size",
        "colour",
        "noun",
        "wears",
        "verb",
        "relation",
        "second colour",
        "second noun",
        "second wears",
        "second verb",
        "place",
        "x",
        "y",
        "second x",
        "second y",
    )
    terms = _TERMS
    parts, told = PARTS, TOLD
    vocabulary = grammar.vocabulary(moving=False)

    def draw(self, rng: np.random.Generator) -> Scene:
        while True:
            scene = self._any(rng)
            if not self.is_held_out(scene):
                return scene

    def draw_held_out(self, rng: np.random.Generator) -> Scene:
        while True:
            scene = self._any(rng)
            if self.is_held_out(scene):
                return scene

    def _any(self, rng: np.random.Generator) -> Scene:
        place = random_place(rng)
        kind = rng.random()
        if kind < 0.48:
            worn = rng.random() < 0.14
            thing = random_thing(rng, 0.7, worn)
            size = "" if worn else str(rng.choice(["", "small", "big"], p=[0.86, 0.1, 0.04]))
            return Scene((thing,), size=size, place=place)
        if kind < 0.66:
            return Scene((random_thing(rng, 0.6),), count=int(rng.integers(2, 5)), place=place)
        relation = RELATIONS[rng.choice(3, p=[0.32, 0.34, 0.34])]
        first = random_thing(rng, 0.6, relation == "left of" and rng.random() < 0.08)
        second = random_thing(rng, 0.6, relation == "left of" and rng.random() < 0.08)
        if rng.random() < 0.08 and first.noun in COLOURABLE:  # one kind in two colours
            colours = rng.choice(list(COLOURS), 2, replace=False)
            first, second = (Thing(first.noun, str(c)) for c in colours)
        elif first.noun == second.noun:
            return self._any(rng)
        return Scene((first, second), relation=relation, place=place)

    def is_held_out(self, facts: Scene) -> bool:
        out = [pair_is_held_out("colour", t.noun, t.colour) for t in facts.things if t.colour]
        out += [pair_is_held_out("wears", t.noun, t.worn) for t in facts.things if t.worn]
        out += [pair_is_held_out("verb", t.noun, t.verb) for t in facts.things if t.verb]
        if facts.count > 1:
            out.append(pair_is_held_out("count", facts.things[0].noun, str(facts.count)))
        if len(facts.things) == 2:
            a, b = (t.noun for t in facts.things)
            out.append(pair_is_held_out("pair", a, b))
            if facts.relation == "and":  # drawn in either order
                out.append(pair_is_held_out("pair", b, a))
        return any(out)

    def layouts(self, facts: Scene) -> list[Layout]:
        """The layout of the facts, or every way to lay them out."""
        return layouts(facts)

    def corners(self, facts: Scene) -> list[Corners]:
        """Every layout, as the upper left cells of its boxes."""
        return corners(facts)

    def box(self, facts: Scene | None) -> tuple[int, int, int] | None:
        if facts is None:
            high, wide = (side // CELL for side in self.size)
            return (wide - self.alone) // 2, (high - self.alone + 1) // 2, self.alone
        layout = self.layouts(facts)[0]
        return (layout[0].x, layout[0].y, layout[0].cells) if len(layout) == 1 else None

    def arrangements(self, facts: Scene) -> list[Scene]:
        if facts.layout:
            return [facts]
        return [replace(facts, layout=layout) for layout in self.corners(facts)]

    def leads(self, facts: Scene, number: int) -> list[Scene]:
        ways = self.arrangements(facts)
        return [ways[(number + i) % len(ways)] for i in range(len(ways))]

    def recoloured(self, facts: Scene, rng: np.random.Generator) -> Scene:
        """The same scene, what can take a colour in another one."""
        things = tuple(
            replace(t, colour=str(rng.choice([c for c in COLOURS if c != t.colour])))
            if BY_NOUN[t.noun].takes != "none"
            else t
            for t in facts.things
        )
        return replace(facts, things=things)

    def render(self, facts: Scene, rng: np.random.Generator) -> np.ndarray:
        return self.paint(facts, _pick(rng, self.layouts(facts)))

    def paint(self, facts: Scene, layout: Layout) -> np.ndarray:
        """A picture of one layout of the facts, uint8 [1, 128, 128, 3]."""
        return paint(layout, facts.place)[None]

    def say(self, facts: Scene, rng: np.random.Generator | None = None) -> str:
        return grammar.say(facts, rng)

    def understand(self, prompt: str) -> Understood:
        return grammar.understand(prompt, verbs=False)

    def encode(self, facts: Scene) -> list[int]:
        first, second = (*facts.things, Thing(""))[:2]
        values = (
            f"count {facts.count}",
            f"size {facts.size}",
            f"colour {first.colour}",
            f"noun {first.noun}",
            f"wears {first.worn}",
            f"verb {first.verb}",
            f"relation {facts.relation}",
            f"colour {second.colour}",
            f"noun {second.noun}",
            f"wears {second.worn}",
            f"verb {second.verb}",
            f"place {facts.place}",
            *self._where(facts.layout),
        )
        return [_IDS.get(value, -1) for value in values]

    def cells(self, facts: Scene) -> np.ndarray:
        high, wide = (side // CELL for side in self.size)
        out = nothing(self.frames, high, wide)
        for layout in self.layouts(facts) if facts.layout else ():
            for frame, cells in enumerate(out):
                for placed in layout:
                    shown = self._shown(placed, frame, facts.place in SCENES)
                    mark(cells, placed.thing, shown)
        return out.reshape(-1, TOLD)

    def _shown(self, placed: Placed, frame: int, stands: bool) -> Shown:
        """A thing as it is painted in a frame."""
        image = sprite(placed.thing, placed.cells)[0]
        return Shown(image, *spot(placed, stands), placed.cells)

    @staticmethod
    def _where(layout: Corners) -> list[str]:
        """Where the first two things are; the others' places follow from it."""
        out = [""] * 4
        for i, (x, y) in enumerate(layout[:2]):
            name = "second " if i else ""
            out[2 * i : 2 * i + 2] = f"{name}x {x}", f"{name}y {y}"
        return out


def _pick(rng: np.random.Generator, choices):
    return choices[rng.integers(len(choices))]


def random_thing(rng: np.random.Generator, coloured: float, worn: bool = False) -> Thing:
    """A thing for training: its colour said with chance `coloured`, dressed where `worn`."""
    noun = _pick(rng, WEARERS if worn else NOUNS)
    colour = ""
    if BY_NOUN[noun].takes != "none" and rng.random() < coloured:
        colour = _pick(rng, tuple(COLOURS))
    return Thing(noun, colour, _pick(rng, WORN) if worn else "")


__all__ = ["COUNTS", "EmojiWorld", "Layout", "Scene", "Thing"]
