"""What the page's controls, a program and a shared link say, as the engine's Request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.presets import presets
from nar_core import NUM_SAMPLES, RNG_SEED, SETTINGS, ModelInfo, Request, heads_for
from nar_core.files import MAX_SAMPLES
from nar_core.foreign import is_text, settled, shown

WORDS = ("model", "prompt", "label")

OFFERED = tuple(s for s in SETTINGS if s.slider or s.choices)
"""The sampling settings that a page and a program can change."""

FORM_FIELDS = (*WORDS, *(s.name for s in OFFERED), "rng_seed", "num_samples")
"""Everything a form may say, by the names of `Request`, in the order in which it is shown."""

VARIATION = replace(RNG_SEED, high=presets()["largest_rng_seed"])
PICTURES = replace(NUM_SAMPLES, high=MAX_SAMPLES, name="pictures")
"""The rows of what every growth here is asked for, with its bounds and name here."""

LINK_NAMES = {"rng": "rng_seed", "pictures": "num_samples", "seed": "seed_position"}
"""Names in links that are not those of the form; settings know their own (`Setting.aliases`)."""

LINKED = {*FORM_FIELDS, *LINK_NAMES, *(n for s in SETTINGS for n in (s.name, *s.aliases))}
"""Every name by which a link fills a form."""


def typed(prompt: Any, prompts: int = 1) -> str:
    """So many prompts as they came, "" for none; ValueError where it is no text, or too long."""
    longest = prompts * presets()["longest_prompt"]
    prompt = "" if prompt is None else prompt
    if not is_text(prompt):
        raise ValueError(f"prompt: got {shown(prompt)}, expected a text; type some words")
    if len(prompt) > longest:
        raise ValueError(
            f"prompt: got {len(prompt):,} characters, expected at most {longest}; shorten it"
        )
    return prompt


@dataclass(frozen=True)
class Form:
    """What was asked for.

    Attributes:
        settings: sampling settings by name; None, or not there, is the model's own.
        of_page: it was filled in on the page, which hides what a model does not read; elsewhere
            such words are refused.
    """

    model: str
    prompt: str = ""
    label: str | None = None
    rng_seed: int = 0
    num_samples: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    of_page: bool = False

    @classmethod
    def of(cls, **values: Any) -> Form:
        """A form from values by their names; settings are told from the rest."""
        names = {setting.name for setting in SETTINGS}
        settings = {name: value for name, value in values.items() if name in names}
        return cls(**{n: v for n, v in values.items() if n not in names}, settings=settings)

    def linked(self, info: ModelInfo, given: Mapping[str, Any]) -> Form:
        """The same with what a link says in place of it."""
        said = form_of_link(info, given)
        settings = {s.name: said.pop(s.name) for s in SETTINGS if s.name in said}
        return replace(self, **said, settings={**self.settings, **settings})

    def request(self, info: ModelInfo, seed_position: Sequence[int] | None) -> Request:
        """The engine's request; ValueError names what is wrong."""
        prompt = typed(self.prompt)
        rng_seed = int(settled(VARIATION, self.rng_seed))
        pictures = int(settled(PICTURES, self.num_samples))
        asked: dict[str, Any] = {
            setting.name: settled(setting, self.settings[setting.name])
            for setting in SETTINGS
            if self.settings.get(setting.name) is not None
        }
        if info.task == "class" or not self.of_page:
            asked["label"] = None if self.label == "" else self.label
        if info.task == "text" or not self.of_page:
            asked["prompt"] = " ".join(prompt.split())
        return Request(
            seed_position=None if seed_position is None else tuple(seed_position),
            rng_seed=rng_seed,
            num_samples=pictures,
            **asked,
        )


def axes_of(info: ModelInfo) -> frozenset[str]:
    """The axes along which a model has heads: "w", "h" and for clips "t"."""
    return frozenset(direction[1] for direction in info.directions)


def form_of_link(info: ModelInfo, given: Mapping[str, Any]) -> dict[str, Any]:
    """Query parameters of a shared link -> values of the form; what does not fit is left out."""
    return fitting(info, given)[0]


def fitting(info: ModelInfo, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """As `form_of_link`, and for all that is left out why."""
    said = {LINK_NAMES.get(name, name): value for name, value in given.items() if is_text(value)}
    out: dict[str, Any] = {}
    why: list[str] = []
    rows = {setting.name: setting for setting in SETTINGS}
    for name, row in {**rows, "rng_seed": VARIATION, "num_samples": PICTURES}.items():
        text = next((said[n] for n in (name, *row.aliases) if said.get(n)), None)
        if text is None:
            continue
        try:
            value = settled(row, row.parse(text) if text.isascii() else text)
        except ValueError as error:
            why.append(f"{error}; it is left out")
            continue
        heads = heads_for(axes_of(info))
        if name == "heads" and value not in heads:
            why.append(f"heads: got {value}, expected one of {', '.join(heads)}; it is left out")
        else:
            out[name] = value
    prompt, longest = said.get("prompt"), presets()["longest_prompt"]
    if prompt and info.task == "text":
        out["prompt"] = prompt[:longest]
        if len(prompt) > longest:
            told = f"got {len(prompt):,} characters, expected at most {longest}"
            why.append(f"prompt: {told}; the rest is left out")
    label = said.get("label")
    if label in info.labels:
        out["label"] = label
    elif label and info.task == "class":
        some = ", ".join(info.labels[:3])
        why.append(f"label: got {shown(label)}, expected a class, such as {some}; it is left out")
    return out, why


def seed_of_link(info: ModelInfo, given: Mapping[str, Any]) -> tuple[list[int], list[str]]:
    """The seed position a shared link names, or the model's own, and why one is left out."""
    text = given.get("seed", "")
    parts = text.split(",") if is_text(text) and len(text) < 40 else []
    seed = [int(p) for p in parts if p.isascii() and p.isdigit()]
    inside = len(parts) == len(seed) == 3 and all(
        p < n for p, n in zip(seed, info.grid, strict=True)
    )
    if inside or not is_text(text) or not text:
        return seed if inside else list(info.default_seed_position), []
    told = f"got {shown(text)}, expected t,h,w in the grid {tuple(info.grid)}, counted from 0"
    return list(info.default_seed_position), [f"seed: {told}; it is left out"]
