"""The model card of a model folder, as the Hugging Face Hub reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .info import ModelInfo

LICENCES = {
    "MIT": "mit",
    "Apache-2.0": "apache-2.0",
    "CC BY 4.0": "cc-by-4.0",
    "CC BY-SA 4.0": "cc-by-sa-4.0",
    "CC0": "cc0-1.0",
}
"""Licences that the hub knows, by how they are written here."""

UNSAID = "Not said: ask its maker before you use or share it."
SHOWN = 12  # labels or prompts


def model_card(
    info: ModelInfo, record: Mapping[str, Any], samples: str = "", said: Sequence[str] = ()
) -> str:
    """Markdown with front matter.

    Args:
        record: of its training, as `record.yaml` holds it.
        samples: file name of a picture of samples; said: what each of them was asked to be.
    """
    kind = "video" if info.media == "video" else "image"
    task = f"text-to-{kind}" if info.task == "text" else "unconditional-image-generation"
    lines = ["---", f"license: {LICENCES.get(info.licence, 'other')}"]
    if info.licence not in LICENCES:
        lines.append(f"license_name: {(info.licence or 'not said').lower().replace(' ', '-')}")
    lines += [f"pipeline_tag: {task}", "library_name: nar-studio", "tags:"]
    lines += [f"- {tag}" for tag in ("nar-studio", "autoregressive", "next-neighbor-prediction")]
    what = "prompts" if info.task == "text" else f"{len(info.labels)} classes"
    height, width = info.size
    start = "any cell" if info.seed_positions == "any" else "the upper-left corner"
    form = f"clips of {info.frames} frames" if info.frames > 1 else "pictures"
    lines += ["---", "", f"# {info.title}", ""]
    lines += [
        f"Grows {form} of {width} x {height} pixels from {what}, outward from "
        f"{start} of a token grid of {' x '.join(map(str, info.grid))} "
        f"({info.parameters / 1e6:.1f} M parameters).",
        "",
    ]
    if samples:
        lines += [f"![{'; '.join(said)}]({samples})", ""]
        lines += [f"{number}. {words}" for number, words in enumerate(said, 1)] + [""]
    asked = f"prompt={_example(info)!r}" if info.task == "text" else f"label={_example(info)!r}"
    lines += [
        "```python",
        "from nar_core import Engine, Request",
        "",
        f'engine = Engine.load("{info.name}")  # the folder that these files lie in',
        f"frame = engine.generate_all(Request({asked}))",
        'frame.image().save("picture.png")',
        "```",
        "",
    ]
    lines += ["## Training", "", f"Trained on: {info.trained_on or 'not said'}.", ""]
    told = {
        "pictures": record.get("pictures"),
        "steps": record.get("steps"),
        "samples": record.get("samples"),
        "hours": record.get("hours"),
        **{f"{k} (nats per token)": v for k, v in (record.get("losses") or {}).items()},
    }
    lines += [f"* {name}: {value}" for name, value in told.items() if value is not None]
    if begun := record.get("begun_from"):
        lines.append(f"* begun from weights of {begun.get('name', 'another model')}")
    lines += ["", "How in full stands in `record.yaml`.", ""]
    if info.note:
        lines += ["## Limits", "", info.note, ""]
    known = info.labels or info.names or info.prompts
    if known:
        rest = f", and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        title = "Classes" if info.labels else "Prompts"
        lines += [f"## {title}", "", ", ".join(known[:SHOWN]) + rest, ""]
    lines += ["## Licence", "", info.licence or UNSAID, ""]
    return "\n".join(lines)


def _example(info: ModelInfo) -> str:
    return next(iter(info.labels or info.prompts or info.names), "")
