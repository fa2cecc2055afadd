"""What the endpoints answer, typed: the schema that clients are told is made from these."""

from __future__ import annotations

from typing import Any, TypedDict

from app.wire import WordsAnswer


class ModelAnswer(TypedDict):
    """What a program must know of a model.

    `labels`, `prompts` and `names` may be the first few only, `labels_in_all` and `names_in_all`
    count them; `settings` are its defaults; `download` and `memory` are bytes.
    """

    name: str
    title: str
    task: str
    media: str
    grid: list[int]
    size: list[int]
    frames: int
    seed_positions: str
    default_seed_position: list[int]
    labels: list[str]
    labels_in_all: int
    prompts: list[str]
    names: list[str]
    names_in_all: int
    guidance_scale: float
    settings: dict[str, Any]
    available: bool
    download: int
    memory: int
    licence: str
    trained_on: str


class GrownAnswer(TypedDict):
    """A finished growth; `pictures` are PNG files with their recipe, `understood` its words."""

    pictures: list[str]
    model: str
    digest: str
    request: dict[str, Any]
    understood: WordsAnswer
    steps: int
    passes: int
    seconds: float


class StepAnswer(TypedDict, total=False):
    """One step of one picture: positions [n][t, h, w], tokens [n], confidence [n].

    `preview` if it was asked for; `picture`, `request` and `understood` with the last one.
    """

    step: int
    total: int
    positions: list[list[int]]
    tokens: list[int]
    confidence: list[float]
    elapsed: float
    preview: str
    picture: str
    request: dict[str, Any]
    understood: WordsAnswer


class GrowthStep(TypedDict):
    """One step of a recipe: positions [n][t, h, w], tokens [n], confidence [n]."""

    step: int
    positions: list[list[int]]
    tokens: list[int]
    confidence: list[float]


class RecipeAnswer(TypedDict, total=False):
    """What a file made here holds, see `nar_core/files/recipe.py`; `growth` are its steps."""

    schema: int
    model: str
    digest: str
    grid: list[int]
    directions: list[str]
    known_level: str
    size: list[int]
    frames: int
    fps: float
    slice_of_frame: list[int]
    request: dict[str, Any]
    sample: int
    steps: str
    tokens: str
    confidence: str
    token_digest: str
    recipe_digest: str
    made_with: dict[str, str]
    mirrored: bool
    holistic: bool
    resumed_from: int
    order: str
    growth: list[GrowthStep]
