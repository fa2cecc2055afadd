"""What a user asks for. Checks here need no model; `Engine.validate` does the rest."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

AXES = {"horizontal": "w", "vertical": "h", "temporal": "t"}
FUSIONS = ("logits", "probabilities", "confident", "freshest")
MAX_SAMPLES = 16


@dataclass(frozen=True, eq=False)
class Request:
    """One generation; None means the model's default.

    Attributes:
        prompt: a text, or one per sample; empty is the null condition (text models).
        label: class name or number, or one per sample; None is no class (class models).
        seed_position: (t, h, w), or (h, w) for pictures, where growth starts.
        rng_seed: random seed; sample i of a batch equals a single run with `rng_seed + i`.
        guidance_scale: 1 is no guidance.
        guidance_interval: guide until so many tokens are generated; -1 guides to the end.
        heads: "mixed", or axes to hear where predictions meet: "horizontal", "vertical",
            "temporal", joined by "+" (paper, Table 5).
        fusion: "logits" (the paper's mean), "probabilities", "confident" or "freshest".
        temperature: 0 is greedy. top_k: 0 is off. top_p: 1 is off.
        min_p: tokens less than so many times as likely as the likeliest one, before guidance, are
            left out; 0 is off.
        num_samples: pictures or clips, sharing one plan.
        known: given tokens, int [T, H, W] or [B, T, H, W], -1 where unknown.
        resume: a `Frame` to go on from; its tokens and its order of growth stay.
    """

    prompt: str | tuple[str, ...] = ""
    label: str | int | tuple[str | int | None, ...] | None = None
    seed_position: tuple[int, ...] | None = None
    rng_seed: int = 0
    guidance_scale: float | None = None
    guidance_interval: int = -1
    heads: str = "mixed"
    fusion: str = "logits"
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    num_samples: int = 1
    known: Any = None
    resume: Any = None

    @property
    def axes(self) -> frozenset[str]:
        """The axes whose heads are heard where predictions meet."""
        if self.heads == "mixed":
            return frozenset(AXES.values())
        return frozenset(AXES[name] for name in self.heads.split("+"))

    def check(self) -> None:
        """Raise ValueError, with what was got and what to do, for values no model accepts."""

        def need(ok: bool, name: str, expected: str) -> None:
            if not ok:
                raise ValueError(f"{name}: got {getattr(self, name)!r}, expected {expected}")

        def number(value: Any) -> bool:
            return isinstance(value, Real) and not isinstance(value, bool) and value == value

        def whole(value: Any) -> bool:
            return number(value) and value == int(value) if value != float("inf") else False

        need(
            whole(self.num_samples) and 1 <= self.num_samples <= MAX_SAMPLES,
            "num_samples",
            f"a whole number from 1 to {MAX_SAMPLES}",
        )
        need(
            whole(self.rng_seed) and 0 <= self.rng_seed < 2**63 - MAX_SAMPLES,
            "rng_seed",
            "a whole number from 0 up, below 2**63",
        )
        need(
            self.guidance_scale is None
            or (number(self.guidance_scale) and 1 <= self.guidance_scale <= 30),
            "guidance_scale",
            "a number from 1 (no guidance) to 30",
        )
        need(
            whole(self.guidance_interval) and self.guidance_interval >= -1,
            "guidance_interval",
            "-1 (to the end) or a number of tokens",
        )
        need(
            self.temperature is None or (number(self.temperature) and 0 <= self.temperature <= 10),
            "temperature",
            "a number from 0 (greedy) to 10",
        )
        need(
            self.top_k is None or (whole(self.top_k) and self.top_k >= 0),
            "top_k",
            "0 (off) or a number of tokens",
        )
        need(
            self.top_p is None or (number(self.top_p) and 0 < self.top_p <= 1),
            "top_p",
            "a number above 0, at most 1 (off)",
        )
        need(
            self.min_p is None or (number(self.min_p) and 0 <= self.min_p <= 1),
            "min_p",
            "a number from 0 (off) to 1",
        )
        names = self.heads.split("+") if isinstance(self.heads, str) else [None]
        need(
            self.heads == "mixed" or all(n in AXES for n in names),
            "heads",
            f"'mixed', or {', '.join(AXES)} joined by '+'",
        )
        need(self.fusion in FUSIONS, "fusion", f"one of {', '.join(FUSIONS)}")
