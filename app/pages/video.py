"""The page for clips, which may begin with a picture and go on as long as one likes."""

from __future__ import annotations

import gradio as gr

from app.pages.controls import ask, facts, lead, settings
from app.pages.image import ASKED
from app.pages.parts import player, source
from app.pages.wiring import Page, wire_page
from app.server.examples import recorded_clips
from app.server.spec import spec_of
from app.server.studio import Studio
from nar_core import ModelInfo


def video_page(studio: Studio, first: ModelInfo) -> Page:
    """Ask, stage and settings, among them the choice of a clip model."""
    lead("Clips grow outward in space and time.", "Click the cell and slice to start from.")
    with gr.Row(elem_classes=["studio", "video"], elem_id="studio-video"):
        with gr.Column(elem_classes=["ask"], min_width=0):
            form = ask(first, source("html/first-frame.html"))
        with gr.Column(elem_classes=["stage"], min_width=0):
            canvas = player(
                "video",
                spec_of(first),
                studio.server_functions((*ASKED, "framed")),
                recorded_clips(),
                elem_id="player-video",
            )
        with gr.Column(elem_classes=["settings"], min_width=0):
            choices = studio.engines.choices("video")
            model = gr.Dropdown(choices, value=first.name, label="Model", filterable=False)
            told = facts(studio.engines, model, first)
            gr.HTML(source("html/starts.html"), apply_default_css=False)
            form |= settings(first)
    page = Page({"model": model, **form}, canvas)
    wire_page(studio, page, "video", model, told)
    return page
