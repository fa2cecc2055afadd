"""What is asked of a model of emoji scenes, still or moving, and how its answers are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from PIL import Image

from ..engine import Engine
from ..worlds.emoji import COLOURABLE, NOUNS, VERBS, WEARERS, EmojiWorld, Layout, Scene, Thing
from ..worlds.emoji.colours import COLOURS
from ..worlds.emoji.objects import BY_NOUN
from ..worlds.emoji.scene import CELL, PLACES, RELATIONS, SIZES, WORN, random_place, sprite
from .judge import Renderings, Verdict

OTHERS = 24  # other objects for each thing that look most like it, and as many at random


def _pick(rng: np.random.Generator, among: Sequence[str]) -> str:
    return among[int(rng.integers(len(among)))]


def _plain(rng: np.random.Generator) -> Thing:
    return Thing(_pick(rng, NOUNS))


def _coloured(rng: np.random.Generator) -> Thing:
    return Thing(_pick(rng, COLOURABLE), _pick(rng, tuple(COLOURS)))


def _two(
    rng: np.random.Generator,
    thing: Callable[[np.random.Generator], Thing],
    relations: Sequence[str],
) -> Scene:
    first, second = thing(rng), thing(rng)
    while second.noun == first.noun:
        second = thing(rng)
    return Scene((first, second), relation=_pick(rng, relations))


# The categories of GenEval (the paper's Table 3), and what else these worlds can be asked for.
QUESTIONS: dict[str, Callable[[np.random.Generator], Scene]] = {
    "single object": lambda rng: Scene((_plain(rng),)),
    "two objects": lambda rng: _two(rng, _plain, ("and",)),
    "counting": lambda rng: Scene((_plain(rng),), count=int(rng.integers(2, 5))),
    "colours": lambda rng: Scene((_coloured(rng),)),
    "position": lambda rng: _two(rng, _plain, ("left of", "above")),
    "attribute binding": lambda rng: _two(rng, _coloured, RELATIONS),
    "wearing": lambda rng: Scene((Thing(_pick(rng, WEARERS), worn=_pick(rng, WORN)),)),
    "moving": lambda rng: Scene((Thing(_pick(rng, NOUNS), verb=_pick(rng, VERBS)),)),
}


class EmojiExam:
    """Questions about emoji scenes, three tenths of them in some place, and verdicts on answers."""

    def __init__(self, engine: Engine, world: EmojiWorld):
        self.engine, self.world = engine, world
        self.moves = world.frames > 1
        self.categories = tuple(k for k in QUESTIONS if k != "moving" or self.moves)

    def ask(self, category: str, held_out: bool, rng: np.random.Generator) -> Scene | None:
        """Facts of a category; None for held-out single objects, for one noun is no combination."""
        if held_out and category == "single object":
            return None
        while True:
            scene = replace(QUESTIONS[category](rng), place=random_place(rng))
            if self.world.is_held_out(scene) == held_out:
                return scene

    def judge(self, facts: Scene, growths: np.ndarray) -> list[Verdict]:
        """Verdicts on growths uint8 [n, F, H, W, 3] of one prompt."""
        drawn = list(self._drawn(facts, np.random.default_rng(0)))
        renderings = Renderings(
            [differs for differs, _, _ in drawn],
            lambda i: self.world.paint(*drawn[i][1:]),
            lambda pixels: self.engine.decode(self.engine.encode(pixels[None]))[0],
        )
        return [renderings.judge(growth) for growth in growths]

    def told(self, rng: np.random.Generator) -> dict[str, float]:
        """Nothing: rightness and damage say it all."""
        return {}

    def _drawn(self, scene: Scene, rng: np.random.Generator) -> Iterator[tuple[str, Scene, Layout]]:
        """Every layout of a scene, and of all that differ from it in one fact: fact, scene, layout.

        Scenes that words cannot ask for are among them: a thing is missing, one of several is
        another.
        """
        for differs, other in [("", scene), *alternatives(scene, rng, self.moves)]:
            for layout in self.world.layouts(other):
                yield differs, other, layout
        for layout in self.world.layouts(scene):
            for i, placed in enumerate(layout):
                rest = layout[:i] + layout[i + 1 :]
                yield "missing", scene, rest
                if scene.count > 1:
                    for noun in _others(placed.thing.noun, rng):
                        odd = replace(placed, thing=_renamed(placed.thing, noun))
                        yield "object", scene, (*rest, odd)


def alternatives(
    scene: Scene, rng: np.random.Generator, moves: bool = False
) -> Iterator[tuple[str, Scene]]:
    """Scenes that differ in one fact, with the name of the fact; every value that it can have.

    Of other objects twice `OTHERS`, of verbs none unless it `moves`. A colour that is not said is
    no other colour: a cherry is red, too.
    """
    for i, thing in enumerate(scene.things):
        others = [("object", _renamed(thing, noun)) for noun in _others(thing.noun, rng)]
        if BY_NOUN[thing.noun].takes != "none":
            others += [("colour", replace(thing, colour=c)) for c in COLOURS if c != thing.colour]
        if BY_NOUN[thing.noun].head:
            others += [("worn", replace(thing, worn=w)) for w in ("", *WORN) if w != thing.worn]
        if moves:
            others += [("verb", replace(thing, verb=v)) for v in ("", *VERBS) if v != thing.verb]
        for differs, other in others:
            things = (*scene.things[:i], other, *scene.things[i + 1 :])
            yield differs, replace(scene, things=things)
    if len(scene.things) == 1:
        for count in (1, 2, 3, 4):
            if count != scene.count:
                yield "count", replace(scene, count=count, size="")
        for size in SIZES:
            if scene.count == 1 and SIZES[size] != SIZES[scene.size]:
                yield "size", replace(scene, size=size)
    else:
        first, second = scene.things
        for relation in RELATIONS:
            for things in ((first, second), (second, first)):
                if (things, relation) != (scene.things, scene.relation):
                    yield "relation", replace(scene, things=things, relation=relation)
        if first.colour != second.colour:
            exchanged = _painted(first, second.colour), _painted(second, first.colour)
            yield "binding", replace(scene, things=exchanged)
    for place in ("", *PLACES):
        if place != scene.place:
            yield "background", replace(scene, place=place)


@cache
def _seen(noun: str) -> np.ndarray:
    """A thing on white as an int array [96, 96, 3]."""
    image, _ = sprite(Thing(noun), SIZES[""])
    side = SIZES[""] * CELL
    canvas = Image.new("RGBA", (side, side), "white")
    canvas.alpha_composite(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(canvas.convert("RGB"), int)


@cache
def _by_likeness(noun: str) -> tuple[str, ...]:
    """The other objects, beginning with what looks most like this one."""
    others = [other for other in NOUNS if other != noun]
    return tuple(sorted(others, key=lambda other: ((_seen(other) - _seen(noun)) ** 2).sum()))


def _others(noun: str, rng: np.random.Generator) -> list[str]:
    """Other objects that a thing is held against."""
    alike, rest = _by_likeness(noun)[:OTHERS], _by_likeness(noun)[OTHERS:]
    return [*alike, *map(str, rng.choice(rest, OTHERS, replace=False))]


def _painted(thing: Thing, colour: str) -> Thing:
    return thing if BY_NOUN[thing.noun].takes == "none" else replace(thing, colour=colour)


def _renamed(thing: Thing, noun: str) -> Thing:
    """The thing as another object; what the other cannot have is left out."""
    known = BY_NOUN[noun]
    return replace(
        _painted(replace(thing, noun=noun, colour=""), thing.colour),
        worn=thing.worn if known.head else "",
    )
