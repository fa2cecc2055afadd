"""The canvas player as a Gradio component: constant markup, all drawing in the browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent
STYLES = [HERE / "page.css", HERE / "player.css"]


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
        spec: the model shown first, see `handlers.spec_of`.

    Events out: `start`, `stop`, `replay`. In: messages as its value, see `handlers`.
    """
    config = json.dumps({"mode": mode, "spec": spec})
    script = source("plan.js", "paint.js", "player.js")
    return gr.HTML(
        html_template=source("player.html"),
        js_on_load=f"{script}\nmountPlayer(element, {{trigger, server, watch, props}}, {config});",
        server_functions=server_functions,
        elem_classes=["player-host"],
        apply_default_css=False,
        **more,
    )
