"""The canvas player as a Gradio component: constant markup, all drawing in the browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent


@cache
def source(*names: str) -> str:
    """The named files of this folder, joined."""
    return "\n".join((HERE / name).read_text("utf-8") for name in names)


def player(
    mode: str, spec: dict[str, Any], server_functions: list[Callable], **more: Any
) -> gr.HTML:
    """One canvas.

    Args:
        mode: "image", "video" or "outpaint".
        spec: the model shown first, see `spec.spec_of`.

    Events out: `start`, `replay`. In: messages as its value, see `handlers`.
    """
    config = json.dumps({"mode": mode, "spec": spec})
    script = source("plan.js", "paint.js", "player.js", "region.js", "clip.js", "names.js")
    return gr.HTML(
        html_template=source("player.html"),
        js_on_load=f"{script}\nmountPlayer(element, {{trigger, server, watch, props}}, {config});",
        server_functions=server_functions,
        elem_classes=["player-host"],
        apply_default_css=False,
        **more,
    )


def lab(
    spec: dict[str, Any], sets: list[dict[str, Any]], server_functions: list[Callable]
) -> gr.HTML:
    """Growths side by side; `sets` is what can be compared, see `spec.comparisons`."""
    config = json.dumps({"spec": spec, "sets": sets})
    script = source("plan.js", "paint.js", "player.js", "lab.js")
    return gr.HTML(
        html_template=source("lab.html"),
        js_on_load=f"{script}\nmountLab(element, {{trigger, server, watch, props}}, {config});",
        server_functions=server_functions,
        apply_default_css=False,
    )


def recent(examples: list[dict[str, str]]) -> gr.HTML:
    """The strip of this session's results, and where a file is dropped to be replayed.

    Args:
        examples: title and file (data address) of growths that can be replayed at once.
    """
    return gr.HTML(
        html_template=source("recent.html"),
        js_on_load=f"{source('recent.js')}\nmountRecent(element, {json.dumps(examples)});",
        apply_default_css=False,
    )
