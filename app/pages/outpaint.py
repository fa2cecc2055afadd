"""The page that keeps a part of a picture and grows the rest."""

from __future__ import annotations

import gradio as gr

from app.pages.controls import ask, settings
from app.pages.image import ASKED
from app.pages.wiring import Page, wire_growth, wire_handover, wire_model
from app.player import player
from app.server.spec import spec_of
from app.server.studio import Studio
from nar_core import ModelInfo

SOURCE = """<div class="source"><label class="tile"><input type="file" accept="image/*" hidden>
<img alt="The picture to continue" hidden><span>Choose or drop a picture</span></label>
<small class="upload-note"></small>
<div class="tools"><span class="name">On the picture</span>
<div class="seg" role="group" aria-label="On the picture">
<button type="button" data-tool="keep" class="on" aria-pressed="true">Keep</button>
<button type="button" data-tool="erase" aria-pressed="false">Erase</button>
<button type="button" data-tool="seed" aria-pressed="false">Place seed</button></div></div></div>"""


def outpaint_page(studio: Studio, model: gr.Dropdown, first: ModelInfo, facts: gr.HTML) -> Page:
    """Ask, stage and settings; the model is chosen in the head."""
    with gr.Row(elem_classes=["studio", "outpaint"], elem_id="studio-outpaint"):
        with gr.Column(elem_classes=["ask"]):
            form = ask(first, SOURCE)
        with gr.Column(elem_classes=["stage"]):
            canvas = player(
                "outpaint",
                spec_of(first),
                studio.server_functions(ASKED),
                elem_id="player-outpaint",
            )
        with gr.Column(elem_classes=["settings"]):
            form |= settings(first)
    page = Page({"model": model, **form}, canvas)
    wire_growth(studio, page, facts)
    wire_handover(studio, page)
    wire_model(studio, page, model.change)
    return page
