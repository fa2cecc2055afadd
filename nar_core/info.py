"""What is known of a model before it is loaded: the one record that everyone reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .device import pick_device, pick_dtype
from .plan import DIRECTIONS, GridShape, KnownLevel, Order
from .settings import SamplingSettings


@dataclass(frozen=True)
class ModelInfo(SamplingSettings):
    """A model as `list_models` describes it, with its default for every sampling setting.

    Attributes:
        name, title: registry name, and how a page calls it.
        task: "text" or "class"; media: "image" or "video".
        world: name of the world that its prompts are facts of, see `nar_core.worlds`; "" for none.
        grid: token grid; size: frame (height, width) in pixels; frames, fps: of a clip.
        directions: directions that have a head; known_level: see `plan.levels_of`; order: see
            `plan.Order`.
        seed_positions: "any" if the checkpoint learnt to start anywhere, else "corner".
        default_seed_position: (t, h, w).
        accepts_known: whether cells can be given, which takes tokens that are places.
        labels: class names; prompts: examples; names: every prompt a small model was trained on.
        prompt_words: most words a prompt may have, 0 where the text encoder cuts it; parted: see
            `ConditionConfig`.
        vocab_size: number of codes.
        parameters: of the generator; likewise tokenizer_parameters, text_parameters (the encoder).
        cache_values: numbers that the KV cache of one row holds.
        bytes: size of the files; download: of those that are not on this machine yet.
        held_out_loss: nats per token on pictures of its own kind, from its record; 0 if not known.
        trained_on, licence, note: what a user must know.
        embedded: shipped with this repository; available: on this machine already.
    """

    name: str
    title: str
    task: Literal["text", "class"]
    media: Literal["image", "video"]
    grid: GridShape
    size: tuple[int, int]
    world: str = ""
    frames: int = 1
    fps: int = 0
    directions: tuple[str, ...] = DIRECTIONS
    known_level: KnownLevel = "zero"
    order: Order = "neighbours"
    seed_positions: Literal["any", "corner"] = "any"
    default_seed_position: tuple[int, int, int] = (0, 0, 0)
    accepts_known: bool = True
    labels: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    prompt_words: int = 0
    parted: bool = False
    vocab_size: int = 0
    parameters: int = 0
    tokenizer_parameters: int = 0
    text_parameters: int = 0
    cache_values: int = 0
    bytes: int = 0
    download: int = 0
    held_out_loss: float = 0.0
    trained_on: str = ""
    licence: str = ""
    note: str = ""
    embedded: bool = False
    available: bool = False

    def memory(self, device: str = "auto", dtype: str = "auto") -> int:
        """Bytes for the model and one guided picture or clip, as `Engine.load` would place them.

        Generator parameters and two rows of the KV cache (with and without the condition) at the
        size of `dtype`, the tokenizer in float32 and the text encoder in bfloat16. What Python and
        its libraries take, and what a decode needs while it runs, comes on top: some hundred MB.
        """
        size = pick_dtype(dtype, pick_device(device), self.parameters).itemsize
        own = size * (self.parameters + 2 * self.cache_values)
        return own + 4 * self.tokenizer_parameters + 2 * self.text_parameters

    @property
    def slice_of_frame(self) -> tuple[int, ...]:
        """Which slice of the grid each pixel frame belongs to."""
        return self.grid.slice_of_frame(self.frames)
