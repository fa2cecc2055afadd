"""The page that keeps a part of a picture and grows the rest."""

from __future__ import annotations

import gradio as gr

from app.pages.controls import ask, facts, lead, settings
from app.pages.image import ASKED
from app.pages.parts import player, source
from app.pages.wiring import Page, wire_page
from app.server.spec import spec_of
from app.server.studio import Studio
from nar_core import ModelInfo


def outpaint_page(studio: Studio, first: ModelInfo) -> Page:
    """Ask, stage and settings, among them the choice of a picture model.

    It has its own: what grows beyond a picture well need not be what draws one from a prompt.
    """
    lead("A picture grows beyond its edges.", "Pull one, or brush a hole.")
    with gr.Row(elem_classes=["studio", "outpaint"], elem_id="studio-outpaint"):
        with gr.Column(elem_classes=["ask"], min_width=0):
            form = ask(first, source("html/source.html"), prompt="")
        with gr.Column(elem_classes=["stage"], min_width=0):
            canvas = player(
                "outpaint",
                spec_of(first),
                studio.server_functions([*ASKED, "example"]),
                elem_id="player-outpaint",
            )
        with gr.Column(elem_classes=["settings"], min_width=0):
            choices = studio.engines.choices("image")
            model = gr.Dropdown(choices, value=first.name, label="Model", filterable=False)
            told = facts(studio.engines, model, first)
            form |= settings(first)
    page = Page({"model": model, **form}, canvas)
    wire_page(studio, page, "outpaint", model, told)
    return page
