"""What is known of a model before it is loaded: the one record that everyone reads."""

from __future__ import annotations

from dataclasses import dataclass

from ..plan import DIRECTIONS, GridShape


@dataclass(frozen=True)
class ModelInfo:
    """A model as `list_models` describes it.

    Attributes:
        name, title: registry name, and how a page calls it.
        task: "text" or "class"; media: "image" or "video".
        grid: token grid; size: frame (height, width) in pixels; frames, fps: of a clip.
        directions: directions that have a head; known_level: see `plan.levels_of`.
        seed_positions: "any" if the checkpoint learnt to start anywhere, else "corner".
        default_seed_position: (t, h, w).
        accepts_known: whether cells can be given, which takes tokens that are places.
        labels: class names; prompts: examples.
        guidance_scale, temperature, top_k, top_p: the defaults of a request.
        prompt_words: most words a prompt may have, 0 where the text encoder cuts it.
        parameters: of the generator; bytes: size of the files.
        trained_on, licence, note: what a user must know.
        embedded: shipped with this repository; available: on this machine already.
    """

    name: str
    title: str
    task: str
    media: str
    grid: GridShape
    size: tuple[int, int]
    frames: int = 1
    fps: int = 0
    directions: tuple[str, ...] = DIRECTIONS
    known_level: str = "zero"
    seed_positions: str = "any"
    default_seed_position: tuple[int, int, int] = (0, 0, 0)
    accepts_known: bool = True
    labels: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    guidance_scale: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    prompt_words: int = 0
    parameters: int = 0
    bytes: int = 0
    trained_on: str = ""
    licence: str = ""
    note: str = ""
    embedded: bool = False
    available: bool = False
