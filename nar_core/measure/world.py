"""Do combinations come out that were asked for? A model of a world against the world's truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from ..engine import Engine
from ..worlds import WORLDS
from ..worlds.emoji import EmojiWorld
from ..worlds.world import Facts
from .emoji import EmojiExam
from .growing import Grower, any_cell, main_of, places_of, seeds_of
from .judge import Verdict, damaged, interval
from .landscape import LandscapeExam
from .likelihood import continuation

BATCH = 8


class Exam(Protocol):
    """What a model of one world is asked, and whether its answers are right.

    Attributes:
        categories: what is asked for, one after the other.
    """

    categories: tuple[str, ...]

    def ask(self, category: str, held_out: bool, rng: np.random.Generator) -> Facts | None:
        """Facts of a category, of combinations that training shows or that it never does.

        None where the category has none of them.
        """
        ...

    def judge(self, facts: Facts, growths: np.ndarray) -> list[Verdict]:
        """Verdicts on growths uint8 [n, F, H, W, 3] of one prompt."""
        ...

    def told(self, rng: np.random.Generator) -> dict[str, float]:
        """Figures of all that was judged together."""
        ...


def exam_of(engine: Engine) -> Exam:
    """The exam of the world that a model draws. Raises ValueError for a model of no world."""
    name = engine.info.world
    if not name:
        raise ValueError(
            f"--world: got {engine.info.name}, which was trained on a folder, expected the model "
            "of a world; try --data"
        )
    world = WORLDS[name]()
    if isinstance(world, EmojiWorld):
        return EmojiExam(engine, world)
    return LandscapeExam(engine)


def questions(exam: Exam, count: int, rng: np.random.Generator) -> list[tuple[str, str, Facts]]:
    """`count` facts with their category and part, `seen` or `held_out`, which take turns."""
    asked: list[tuple[str, str, Facts]] = []
    while len(asked) < count:
        for category in exam.categories:
            for part in ("seen", "held_out"):
                facts = exam.ask(category, part == "held_out", rng)
                if facts is not None:
                    asked.append((category, part, facts))
    return asked[:count]


def rightness(grower: Grower, count: int, places: Sequence[str] = ()) -> dict[str, Any]:
    """Grow `count` prompts from the corner, the centre and any cell, and judge them.

    Prompts take turns among the categories, and there among combinations that training shows and
    those that it never does, as `Exam.ask` has them; every batch of them has an `any` cell of its
    own.

    Args:
        places: some of these three; all by default, of a model that starts in the corner that one.

    Returns:
        `right_*` and `damage_*` for each place; `right_seen` and `right_held_out`, from the centre,
        or from the first place; `differs`, in which fact the wrong ones are wrong, and
        `differs_held_out`, in which of those that `right_held_out` is the share of; and
        `categories`, with Wilson's 95 % intervals: for seen and held_out and each place
        [right, low, high], and over all places `damage`; and what `Exam.told` has to say.
    """
    engine, rng = grower.engine, np.random.default_rng(grower.rng_seed)
    exam, world = exam_of(engine), WORLDS[engine.info.world]()
    asked = questions(exam, count, rng)
    places = tuple(places) or places_of(engine)
    found: dict[tuple[str, str, str], list[Verdict]] = defaultdict(list)
    with tqdm(total=count, desc="rightness") as bar:
        for i in range(0, count, BATCH):
            batch = asked[i : i + BATCH]
            prompts = [world.say(facts, rng) for _, _, facts in batch]
            cells = {**seeds_of(engine.info.grid), "any": any_cell(engine.info.grid, rng)}
            grown = [grower.grow(prompts, cells[place], i) for place in places]
            for (category, part, facts), *answers in zip(batch, *grown, strict=True):
                verdicts = exam.judge(facts, np.stack(answers))
                for where, verdict in zip(places, verdicts, strict=True):
                    found[category, part, where].append(verdict)
                bar.update()
    return _report(found, places) | exam.told(rng)


def _report(
    found: dict[tuple[str, str, str], list[Verdict]], places: Sequence[str]
) -> dict[str, Any]:
    """See `rightness`."""

    def where(place: str | None = None, part: str | None = None) -> list[Verdict]:
        chosen = [v for k, v in found.items() if place in (None, k[2]) and part in (None, k[1])]
        return [verdict for verdicts in chosen for verdict in verdicts]

    out: dict[str, Any] = {"prompts": len(where(places[0]))}
    out |= {f"right_{place}": _share(where(place)) for place in places}
    out |= {f"right_{part}": _share(where(main_of(places), part)) for part in ("seen", "held_out")}
    out |= {f"damage_{place}": _damage(where(place)) for place in places}
    out["differs"] = _differs(where())
    out["differs_held_out"] = _differs(where(main_of(places), "held_out"))
    categories: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    for (category, part, place), verdicts in found.items():
        hits, n = sum(v.right for v in verdicts), len(verdicts)
        categories[category][part] |= {
            "prompts": n,
            place: [round(x, 3) for x in (hits / n, *interval(hits, n))],
        }
    for category, parts in categories.items():
        for part, figures in parts.items():
            figures["damage"] = _damage([v for p in places for v in found[category, part, p]])
    out["categories"] = {category: dict(parts) for category, parts in categories.items()}
    return out


def _differs(verdicts: Sequence[Verdict]) -> dict[str, int]:
    return dict(Counter(v.differs for v in verdicts if v.differs).most_common())


def _share(verdicts: Sequence[Verdict]) -> float | None:
    return round(float(np.mean([v.right for v in verdicts])), 4) if verdicts else None


def _damage(verdicts: Sequence[Verdict]) -> float | None:
    known = [v.damage for v in verdicts if v.damage is not None]
    return round(float(np.mean(known)), 4) if known else None


def reconstruction(grower: Grower, pictures: int = 64) -> float:
    """What the tokenizer leaves of renderings, every other one held out: dB over all pixels."""
    engine, rng = grower.engine, np.random.default_rng((grower.rng_seed, 3))
    world, error = WORLDS[engine.info.world](), 0.0
    for i in range(pictures):
        facts = world.draw_held_out(rng) if i % 2 else world.draw(rng)
        pixels = world.render(facts, rng)[None]
        apart = engine.decode(engine.encode(pixels)).astype(float) - pixels
        error += np.square(apart / 255).mean() / pictures
    return round(float(-10 * np.log10(max(error, 1e-10))), 3)


def variation(grower: Grower, prompts: int = 8, samples: int = 4) -> float:
    """How far four growths of one prompt from the centre, or where the model starts, lie apart.

    Mean absolute distance of pixels (0 to 255) between any two of them, over some prompts.
    """
    engine, rng = grower.engine, np.random.default_rng((grower.rng_seed, 2))
    exam, world = exam_of(engine), WORLDS[engine.info.world]()
    seed = seeds_of(engine.info.grid)[main_of(places_of(engine))]
    distances = []
    for i in tqdm(range(prompts), desc="variation"):
        facts = exam.ask(exam.categories[i % len(exam.categories)], False, rng)
        grown = grower.grow([world.say(facts)] * samples, seed, i * samples).astype(float)
        distances += [np.abs(a - b).mean() for a, b in combinations(grown, 2)]
    return round(float(np.mean(distances)), 3)


def drift(grower: Grower, prompts: int = 16) -> dict[str, float]:
    """Renderings of which a rectangle is known, half as high and wide, and the rest is grown.

    Returns:
        `drift_kept`, the share of known cells that still show what the rendering shows there, for
        the decoder sees what was grown beside them; `drift_right`, the share of growths that are
        right; of clips also what `continuation` tells.
    """
    engine, rng = grower.engine, np.random.default_rng((grower.rng_seed, 4))
    exam, world = exam_of(engine), WORLDS[engine.info.world]()
    grid = engine.info.grid
    inside = np.zeros(grid, bool)
    inside[:, grid.h // 4 : -(grid.h // 4), grid.w // 4 : -(grid.w // 4)] = True
    kept, right, pictures, told = [], [], [], []
    for i in tqdm(range(prompts), desc="drift"):
        facts = exam.ask(exam.categories[i % len(exam.categories)], False, rng)
        told.append(world.say(facts))
        pictures.append(world.render(facts, rng))
        tokens = engine.encode(pictures[-1][None])
        seed = seeds_of(grid)[main_of(places_of(engine))]
        request = grower.request(told[-1:], seed, i)
        request = replace(request, known=np.where(inside, tokens[0], -1))
        grown = engine.decode(engine.generate_all(request).tokens)
        broken = damaged(grown[0], pictures[-1], engine.decode(tokens)[0])
        kept.append(1 - broken[:, inside[0]].mean())
        right.append(exam.judge(facts, grown)[0].right)
    out = {
        "drift_kept": round(float(np.mean(kept)), 4),
        "drift_right": round(float(np.mean(right)), 4),
    }
    return out | (continuation(engine, np.stack(pictures), told) if grid.t > 1 else {})
