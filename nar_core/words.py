"""The words of a model: what it makes of a prompt, what it knows, and ideas for prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .info import ModelInfo
from .settings import RNG_SEED
from .splitter import split
from .worlds import WORLDS, Understood, Word

Box = tuple[int, int, int]
"""Column, row and cells along a side."""


def understand(info: ModelInfo, prompt: str) -> Understood:
    """What a model makes of each word of a prompt.

    A model of a world grows the facts that it has understood; the text encoder of another reads
    every word, and so do hashed words.
    """
    if not info.world:
        return Understood(None, tuple(Word(w, "known") for w in split(prompt)))
    world = WORLDS[info.world]()
    found = world.understand(prompt)
    return found if found.facts is None else replace(found, caption=world.say(found.facts))


def vocabulary(info: ModelInfo) -> dict[str, tuple[str, ...]]:
    """The words that a model knows, by what they say, each as it may be typed.

    Of a model without a world: the prompts it was trained on, where they are few enough to list.
    """
    if info.world:
        return WORLDS[info.world]().vocabulary
    return {"prompts": info.names} if info.names else {}


def box_alone(info: ModelInfo, prompt: str = "") -> Box | None:
    """Where a prompt has a thing alone stand first: column, row and cells along a side of its box.

    Without a prompt one of the usual size in the middle. None where it draws none or several, or
    things in the model's world have no size.
    """
    if not info.world:
        return None
    facts = understand(info, prompt).facts
    return WORLDS[info.world]().box(facts) if facts is not None or not prompt else None


def _random(rng_seed: int) -> np.random.Generator:
    """Numbers of an rng seed. Raises ValueError for what is none."""
    return np.random.default_rng(int(RNG_SEED.check(rng_seed)))


def illustrate(info: ModelInfo, prompt: str, rng_seed: int = 0) -> np.ndarray | None:
    """What a model's world itself draws for a prompt, uint8 [h, w, 3]; of a clip the first frame.

    None for a model without a world, and where nothing of the prompt was understood.
    """
    if not info.world:
        return None
    world = WORLDS[info.world]()
    facts = world.understand(prompt).facts
    return None if facts is None else world.render(facts, _random(rng_seed))[0]


def samples(info: ModelInfo, n: int, rng_seed: int = 0) -> list[tuple[str, np.ndarray]]:
    """n pictures or clips uint8 [F, h, w, 3] that a model's world draws, each with its prompt.

    None for a model without a world.
    """
    if not info.world:
        return []
    world, rng = WORLDS[info.world](), _random(rng_seed)
    drawn = [world.draw(rng) for _ in range(n)]
    return [(world.say(facts), world.render(facts, rng)) for facts in drawn]


def ideas(info: ModelInfo, n: int, rng_seed: int = 0) -> tuple[str, ...]:
    """n prompts to try: drawn from the model's world, else from what it was trained on.

    Fewer where it knows no more, none for a model that has neither.
    """
    rng = _random(rng_seed)
    if info.world:
        world, out = WORLDS[info.world](), []
        while len(out) < n:
            idea = world.say(world.draw(rng))
            if not world.understand(idea).wanting:
                out.append(idea)
        return tuple(out)
    known = info.names or info.prompts
    return tuple(str(x) for x in rng.permutation(known)[:n]) if known else ()
