"""presets.yaml, and prompts in the form a model was trained on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from nar_core import ModelInfo, ideas

IDEAS = 200
AS_TYPED = "As typed"
"""The style that adds nothing."""


@lru_cache(maxsize=1)
def presets() -> dict[str, Any]:
    """The contents of presets.yaml."""
    contents: Any = OmegaConf.to_container(OmegaConf.load(Path(__file__).parent / "presets.yaml"))
    return contents


def styles_of(model: str) -> dict[str, str]:
    """Style name -> prompt form with `{}` for the subject."""
    models = presets()["models"]
    return models.get(model, models["default"])["styles"]


def dress(model: str, prompt: str, style: str | None) -> str:
    """The prompt a model was trained on: the style's words around what was typed.

    An empty prompt stays empty (the null condition), and one that already has a style's form stays
    as it is.
    """
    prompt = " ".join((prompt or "").split())
    form = styles_of(model).get(style or "")
    return form.format(prompt) if form and prompt and not undress(model, prompt)[1] else prompt


def undress(model: str, prompt: str) -> tuple[str, str]:
    """Inverse of `dress`: (what was typed, style or "")."""
    for style, form in styles_of(model).items():
        before, after = form.split("{}")
        if prompt.startswith(before) and prompt.endswith(after) and len(prompt) > len(form) - 2:
            return prompt[len(before) : len(prompt) - len(after)], style
    return prompt, ""


def names_of(info: ModelInfo) -> dict[str, list[str]]:
    """Prompts to pick from, as they are typed: style (`AS_TYPED` without one) -> prompts.

    Of a model of a world: ideas from it; else every prompt that the model was trained on.
    """
    out: dict[str, list[str]] = {}
    for prompt in ideas(info, IDEAS) if info.world else info.names:
        typed, style = undress(info.name, prompt)
        out.setdefault(style or AS_TYPED, []).append(typed)
    return out
