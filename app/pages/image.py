"""The page for pictures from a prompt or a class."""

from __future__ import annotations

import gradio as gr

from app.pages.controls import ask, lead, settings
from app.pages.parts import player, source
from app.pages.wiring import Page, wire_page
from app.server.examples import recorded
from app.server.spec import spec_of
from app.server.studio import Studio
from nar_core import ModelInfo

ASKED = ("place", "stop", "growth", "clip", "names", "vocabulary", "words")
"""What a player may ask outside the queue, see `Studio.server_functions`."""


def image_page(studio: Studio, model: gr.Dropdown, first: ModelInfo, facts: gr.HTML) -> Page:
    """Ask, stage and settings; the model is chosen in the head."""
    lead("Pictures grow outward, all neighbours at once.", "Click where it should start.")
    with gr.Row(elem_classes=["studio", "image"], elem_id="studio-image"):
        with gr.Column(elem_classes=["ask"], min_width=0):
            form = ask(first)
        with gr.Column(elem_classes=["stage"], min_width=0):
            canvas = player(
                "image",
                spec_of(first),
                studio.server_functions(ASKED),
                recorded(),
                elem_id="player-image",
            )
        with gr.Column(elem_classes=["settings"], min_width=0):
            gr.HTML(source("html/starts.html"), apply_default_css=False)
            form |= settings(first)
    page = Page({"model": model, **form}, canvas)
    wire_page(studio, page, "image", model, facts, reads=False)
    return page
