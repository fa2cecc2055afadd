"""What the page's controls and shared links say, as the engine's Request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from app.presets import AS_TYPED, dress, presets, undress
from nar_core import ModelInfo, Request


@dataclass
class Form:
    """What the page's controls say, in the order in which they are wired."""

    model: str
    prompt: str = ""
    style: str | None = None
    label: str | None = None
    guidance: float | None = None
    heads: str = "mixed"
    fusion: str = "logits"
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    rng_seed: int = 0
    pictures: int = 1

    def request(self, info: ModelInfo, seed: Sequence[int] | None) -> Request:
        """The engine's request; ValueError names what is wrong in the words of the page."""
        limits = presets()["limits"]
        longest = limits["prompt_characters"]
        if len(self.prompt or "") > longest:
            raise ValueError(
                f"The prompt has {len(self.prompt)} characters, at most {longest} are possible. "
                "Shorten it."
            )
        if self.rng_seed is None or not 0 <= int(self.rng_seed) <= limits["rng_seed"]:
            raise ValueError(f"The rng seed must lie between 0 and {limits['rng_seed']}.")
        more = {
            "guidance_scale": None if self.guidance is None else float(self.guidance),
            "temperature": None if self.temperature is None else float(self.temperature),
            "top_k": None if self.top_k is None else int(self.top_k),
            "top_p": None if self.top_p is None else float(self.top_p),
            "min_p": None if self.min_p is None else float(self.min_p),
        }
        if info.task == "class":
            more["label"] = self.label or None
        else:
            more["prompt"] = dress(self.model, self.prompt, self.style)
        return Request(
            seed_position=None if seed is None else tuple(int(n) for n in seed),
            rng_seed=int(self.rng_seed),
            heads=self.heads,
            fusion=self.fusion,
            num_samples=int(self.pictures),
            **{name: value for name, value in more.items() if value is not None},
        )


FORM_FIELDS = tuple(field.name for field in fields(Form))


def heads_of(info: ModelInfo) -> list[str]:
    """Values of `Request.heads` that mean something for a model: one axis, two of three, or all."""
    axes = ["horizontal", "vertical"] + (["temporal"] if info.grid.t > 1 else [])
    pairs = ["+".join(pair) for pair in combinations(axes, 2)] if len(axes) > 2 else []
    return ["mixed", *axes, *pairs]


def form_of_link(info: ModelInfo, given: dict[str, str]) -> dict[str, Any]:
    """Query parameters of a shared link -> values of the form; what does not fit is left out."""
    numbers = {
        "guidance": ("guidance", float),
        "temperature": ("temperature", float),
        "top_k": ("top_k", int),
        "top_p": ("top_p", float),
        "min_p": ("min_p", float),
        "rng": ("rng_seed", int),
    }
    out: dict[str, Any] = {}
    for key, (name, kind) in numbers.items():
        try:
            number = kind(given[key])
        except (KeyError, ValueError):
            continue
        low, high = _range(name)
        if low <= number <= high:
            out[name] = number
    if given.get("prompt") and info.task == "text":
        typed, style = undress(
            info.name, given["prompt"][: presets()["limits"]["prompt_characters"]]
        )
        out["prompt"], out["style"] = typed, style or AS_TYPED
    if given.get("label") in info.labels:
        out["label"] = given["label"]
    if given.get("heads") in heads_of(info):
        out["heads"] = given["heads"]
    if given.get("fusion") in ("logits", "probabilities", "confident", "freshest"):
        out["fusion"] = given["fusion"]
    if given.get("pictures") in [str(n) for n in presets()["limits"]["pictures"]]:
        out["pictures"] = int(given["pictures"])
    return out


def _range(name: str) -> tuple[float, float]:
    limit = presets()["limits"][name]
    return (limit["min"], limit["max"]) if isinstance(limit, dict) else (0, limit)


def seed_of_link(info: ModelInfo, given: dict[str, str]) -> list[int]:
    """The seed position a shared link names, or the model's own."""
    try:
        seed = [int(n) for n in given["seed"].split(",")]
    except (KeyError, ValueError):
        seed = []
    inside = len(seed) == 3 and all(0 <= p < n for p, n in zip(seed, info.grid, strict=True))
    return seed if inside else list(info.default_seed_position)
