"""What the player and the lab are told of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.presets import preset, presets
from app.server.form import OFFERED, axes_of
from app.wire import Spec
from nar_core import SETTINGS, ModelInfo, Setting, box_alone, heads_for

CHOICES = {setting.name: setting.choices for setting in SETTINGS}

ROWS = {setting.name: setting for setting in SETTINGS}

SWEPT = {
    "guidance": ("guidance_scale", (1, 2, 4, 8)),
    "temperature": ("temperature", (0, 0.2, 0.5, 1)),
    "top_k": ("top_k", (1, 10, 100, 0)),
    "top_p": ("top_p", (0.5, 0.8, 0.95, 1)),
    "min_p": ("min_p", (0, 0.05, 0.2, 0.5)),
}
"""Sets of the lab whose values can be chosen: the setting, and the values to begin with."""

MOST_PANES = 8

WHOLE_CLIP = (
    "A token of this model describes the whole clip, not a place in it: while it grows, cells show "
    "how sure each token is, and now and then what a decode makes of them."
)

SEEN_LATE = (
    "This model grows right and down from the upper left. It sees a kept cell only when growth "
    "has come as far, not earlier."
)


def spec_of(info: ModelInfo) -> Spec:
    """What the player must know of a model to plan and draw."""
    return {
        "model": info.name,
        "grid": list(info.grid),
        "size": list(info.size),
        "frames": info.frames,
        "fps": info.fps,
        "slice_of_frame": list(info.slice_of_frame),
        "directions": list(info.directions),
        "known_level": info.known_level,
        "order": info.order,
        "seed_positions": info.seed_positions,
        "accepts_known": info.accepts_known,
        "composes": bool(info.world),
        "longest_prompt": presets()["longest_prompt"],
        "framed": box_alone(info) is not None,
        "settings": {setting.name: getattr(info, setting.name) for setting in OFFERED},
        "note": "" if info.accepts_known else WHOLE_CLIP,
        "seed_position": list(info.default_seed_position),
        "upload_note": preset(
            info.name, "upload_note", SEEN_LATE if info.known_level == "distance" else ""
        ),
    }


def comparisons(info: ModelInfo, models: Sequence[ModelInfo] = ()) -> list[dict[str, Any]]:
    """What the lab can compare with a model: sets of two or more panes.

    The values of a set with a `setting` can be others, see `swept`. A pane has a title, a seed
    position and the fields of the form that it changes, the model among them. `models` are those on
    this machine.
    """
    own = list(info.default_seed_position)
    t, h, w = (n // 2 for n in info.grid)
    single = [name for name in heads_for(axes_of(info)) if "+" not in name]
    heads = [(CHOICES["heads"][name], {"heads": name}) for name in single]

    def panes(choices: list[tuple[str, dict[str, Any]]], start: list[int]) -> list[dict[str, Any]]:
        return [{"title": title, "seed_position": start, "form": form} for title, form in choices]

    sets = [("table5", "Table 5: heads", panes(heads, [0, 0, 0]))]
    if info.seed_positions == "any":
        places = {
            "Centre": [t, h, w],
            "Edge": [t, 0, w],
            "Corner": [0, 0, 0],
            "Aside": [t, h // 2, w // 2],
        }
        sets.append(("heads", "Heads", panes(heads, own)))
        sets.append(("seeds", "Start", [p for k, v in places.items() for p in panes([(k, {})], v)]))
    for name, (setting, values) in SWEPT.items():
        sets.append((name, ROWS[setting].title, swept(name, values, own)))
    rules = [(title, {"fusion": name}) for name, title in CHOICES["fusion"].items()]
    sets.append(("fusion", "Fusion", panes(rules, own)))
    same = [m for m in models if m.name != info.name and askable(m) == askable(info)][:3]
    if same:
        checkpoints = [
            {
                "title": m.title,
                "seed_position": list(m.default_seed_position),
                "form": {"model": m.name},
                "spec": spec_of(m),
            }
            for m in (info, *same)
        ]
        sets.append(("checkpoints", "Checkpoints", checkpoints))
    return [
        {"name": name, "title": title, "panes": these}
        | (_setting(ROWS[SWEPT[name][0]]) if name in SWEPT else {})
        for name, title, these in sets
    ]


def _setting(row: Setting) -> dict[str, Any]:
    """What a set says of its setting: its name, and which numbers it may be."""
    bounds = {"low": row.low, "high": row.high, "above": row.above, "whole": row.kind == "whole"}
    return {"setting": row.name, "bounds": bounds | {"expected": row.expected}}


def swept(name: str, values: Sequence[Any], start: Sequence[int]) -> list[dict[str, Any]]:
    """The panes of a set for other values of its setting, numbers or texts.

    Raises ValueError for a set without one, too few or too many values, or one that cannot be.
    """
    if name not in SWEPT:
        raise ValueError(f"values: got some for {name!r}, expected one of {', '.join(SWEPT)}")
    if not 2 <= len(values) <= MOST_PANES:
        raise ValueError(
            f"values: got {len(values)}, expected 2 to {MOST_PANES}, with commas between them"
        )
    row = ROWS[SWEPT[name][0]]
    checked = [row.parse(str(value)) for value in values]
    return [
        {"title": f"{row.title} {value:g}", "seed_position": list(start), "form": {row.name: value}}
        for value in checked
    ]


def askable(info: ModelInfo) -> tuple[Any, ...]:
    """Models for which this is the same can be asked the same thing."""
    return info.media, info.task, info.world, info.labels
