"""Growing many names of one model, all in the same way, to measure or to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..engine import Engine, Frame
from ..plan import GridShape
from ..request import Request

Names = Sequence[str] | Sequence[int] | Sequence[str | int]
"""Prompts, or classes by name or number."""


@dataclass(frozen=True)
class Grower:
    """One picture or clip for each of the prompts or classes it is given.

    Attributes:
        rng_seed: of the first sample; those of the next ones count up.
        settings: sampling settings of every request; what is not among them is left to the model.
    """

    engine: Engine
    rng_seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def request(
        self, names: Names, seed_position: tuple[int, int, int] | None = None, number: int = 0
    ) -> Request:
        """The request for one sample of each name, which come `number` samples after the first."""
        by_class = self.engine.info.task == "class"
        told: dict[str, Any] = {"label" if by_class else "prompt": tuple(names)}
        return Request(
            seed_position=seed_position,
            rng_seed=self.rng_seed + number,
            num_samples=len(names),
            **told,
            **self.settings,
        )

    def frames(
        self, names: Names, seed_position: tuple[int, int, int] | None = None, number: int = 0
    ) -> Iterator[Frame]:
        """One frame per decoding step."""
        return self.engine.generate(self.request(names, seed_position, number))

    def grow(
        self, names: Names, seed_position: tuple[int, int, int] | None = None, number: int = 0
    ) -> np.ndarray:
        """Finished pixels, uint8 [B, F, height, width, 3]."""
        frame = self.engine.generate_all(self.request(names, seed_position, number))
        return self.engine.decode(frame.tokens)

    def grow_each(self, names: Names, numbers: Sequence[int]) -> np.ndarray:
        """As `grow`, from the model's own seed position, each sample with a number of its own."""
        requests = [self.request([name], None, n) for name, n in zip(names, numbers, strict=True)]
        *_, frames = self.engine.generate_together(requests)
        return self.engine.decode(np.concatenate([f.tokens for f in frames if f is not None]))


def dtype_of(engine: Engine) -> str:
    """In which numbers it computes, by name: what is grown depends on them."""
    return str(engine.dtype).removeprefix("torch.")


def seeds_of(grid: GridShape) -> dict[str, tuple[int, int, int]]:
    """The seed positions that measurements and sheets compare."""
    return {"corner": (0, 0, 0), "centre": (grid.t // 2, grid.h // 2, grid.w // 2)}


def any_cell(grid: GridShape, rng: np.random.Generator) -> tuple[int, int, int]:
    """A cell drawn at random."""
    t, h, w = rng.integers(0, grid)
    return int(t), int(h), int(w)


def places_of(engine: Engine) -> tuple[str, ...]:
    """Where a model is asked to start: `corner`, `centre` and `any`, or where it always does."""
    if engine.info.seed_positions == "corner":
        return ("corner",)
    return (*seeds_of(engine.info.grid), "any")


def main_of(places: Sequence[str]) -> str:
    """The place that is meant where one is: the centre, or where the model starts."""
    return "centre" if "centre" in places else places[0]


def starts_of(engine: Engine, rng: np.random.Generator) -> dict[str, tuple[int, int, int]]:
    """The seed position of each of `places_of`, `any` drawn at random."""
    cells = {**seeds_of(engine.info.grid), "any": any_cell(engine.info.grid, rng)}
    return {place: cells[place] for place in places_of(engine)}
