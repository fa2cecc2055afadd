"""What the player and the lab are told of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.presets import preset
from app.server.form import OFFERED, axes_of
from app.wire import Spec
from nar_core import SETTINGS, ModelInfo, heads_for

CHOICES = {setting.name: setting.choices for setting in SETTINGS}

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
        "seed_positions": info.seed_positions,
        "accepts_known": info.accepts_known,
        "composes": bool(info.world),
        "settings": {setting.name: getattr(info, setting.name) for setting in OFFERED},
        "note": "" if info.accepts_known else WHOLE_CLIP,
        "seed": list(info.default_seed_position),
        "upload_note": preset(
            info.name, "upload_note", SEEN_LATE if info.known_level == "distance" else ""
        ),
    }


def comparisons(info: ModelInfo, models: Sequence[ModelInfo] = ()) -> list[dict[str, Any]]:
    """What the lab can compare with a model: sets of two to four panes.

    A pane has a title, a seed position and the fields of the form that it changes, the model among
    them. `models` are those on this machine.
    """
    own = list(info.default_seed_position)
    t, h, w = (n // 2 for n in info.grid)
    single = [name for name in heads_for(axes_of(info)) if "+" not in name]
    heads = [(CHOICES["heads"][name], {"heads": name}) for name in single]

    def panes(choices: list[tuple[str, dict[str, Any]]], seed: list[int]) -> list[dict[str, Any]]:
        return [{"title": title, "seed": seed, "form": form} for title, form in choices]

    sets = [("table5", "Table 5: heads", panes(heads, [0, 0, 0]))]
    if info.seed_positions == "any":
        places = {
            "Centre": [t, h, w],
            "Edge": [t, 0, w],
            "Corner": [0, 0, 0],
            "Aside": [t, h // 2, w // 2],
        }
        sets.append(("heads", "Heads", panes(heads, own)))
        sets.append(
            ("seeds", "Seed position", [p for k, v in places.items() for p in panes([(k, {})], v)])
        )
    scales = [(f"Guidance {x}", {"guidance_scale": float(x)}) for x in (1, 2, 4, 8)]
    sets.append(("guidance", "Guidance", panes(scales, own)))
    rules = [(title, {"fusion": name}) for name, title in CHOICES["fusion"].items()]
    sets.append(("fusion", "Fusion", panes(rules, own)))
    same = [m for m in models if m.name != info.name and askable(m) == askable(info)][:3]
    if same:
        checkpoints = [
            {
                "title": m.title,
                "seed": list(m.default_seed_position),
                "form": {"model": m.name},
                "spec": spec_of(m),
            }
            for m in (info, *same)
        ]
        sets.append(("checkpoints", "Checkpoints", checkpoints))
    return [{"name": name, "title": title, "panes": these} for name, title, these in sets]


def askable(info: ModelInfo) -> tuple[Any, ...]:
    """Models for which this is the same can be asked the same thing."""
    return info.media, info.task, info.world, info.labels
