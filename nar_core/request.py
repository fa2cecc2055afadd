"""What a user asks for. Checks here need no model; `Engine.validate` does the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .settings import NUM_SAMPLES, RNG_SEED, SETTINGS, Sampling


@dataclass(frozen=True, eq=False)
class Request(Sampling[None]):
    """One generation, with every setting of `settings.py`; None means the model's default.

    Attributes:
        prompt: a text, or one per sample; empty is the null condition (text models).
        label: class name or number, or one per sample; None is no class (class models).
        seed_position: (t, h, w), or (h, w) for pictures, where growth starts.
        rng_seed: random seed; sample i of a batch equals a single run with `rng_seed + i`.
        num_samples: pictures or clips, sharing one plan.
        known: given tokens, int [T, H, W] or [B, T, H, W], -1 where unknown.
        resume: a `Frame` to go on from; its tokens and its order of growth stay.
    """

    prompt: str | tuple[str, ...] = ""
    label: str | int | tuple[str | int | None, ...] | None = None
    seed_position: tuple[int, ...] | None = None
    rng_seed: int = 0
    num_samples: int = 1
    known: Any = None
    resume: Any = None

    def check(self) -> None:
        """Raise ValueError, with what was got and what to do, for values no model accepts."""
        NUM_SAMPLES.check(self.num_samples)
        RNG_SEED.check(self.rng_seed)
        for setting in SETTINGS:
            value = getattr(self, setting.name)
            if value is not None:
                setting.check(value)
