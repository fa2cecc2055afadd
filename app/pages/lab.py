"""The page that grows two to four panes in step, from one prompt and one rng seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.pages.controls import example_of, lead, properties
from app.pages.parts import evidence, lab
from app.pages.wiring import Page, wire_address, wire_handover, wire_model, wire_picked, wire_start
from app.server.spec import spec_of
from app.server.studio import Studio
from nar_core import RNG_SEED, ModelInfo


def lab_page(studio: Studio, model: gr.Dropdown, first: ModelInfo, image: Page) -> Page:
    """One row to ask, and the panes; `image` is the page whose model it shares."""
    start = properties(first)
    lead("One difference at a time.", "The panes share their random numbers.")
    with gr.Column(elem_classes=["lab-page"]):
        with gr.Row(elem_classes=["lab-head"]):
            prompt = gr.Textbox(
                example_of(first),
                label="Prompt, or several, one a line",
                lines=1,
                max_lines=8,
                elem_classes=["prompt"],
                min_width=200,
                **start["prompt"],
            )
            label = gr.Dropdown(label="What to grow", min_width=200, **start["label"])
            rng_seed = gr.Number(7, label=RNG_SEED.title, precision=0, minimum=0, min_width=80)
            gr.Button("Grow all", variant="primary", elem_classes=["grow"], min_width=120)
            gr.Button("Stop", variant="secondary", elem_classes=["stop"], min_width=120)
        sets = studio.desk.comparisons(first.name)
        panes = lab(spec_of(first), sets, studio.server_functions(["place", "stop"]))
    evidence()
    form = {"model": model, "prompt": prompt, "label": label, "rng_seed": rng_seed}
    page = Page(form, panes)
    wire_start(studio, page, studio.compare)

    wire_model(studio, page, model.change, sets_of(studio))
    filled = wire_handover(studio, page, sets_of(studio))
    wire_picked(studio, image, "image", filled.then)
    wire_address(page, "lab")
    return page


def sets_of(studio: Studio) -> Callable[[str], dict[str, Any]]:
    """What can be compared with a model, by its name, as the lab is told it."""
    return lambda name: {"sets": studio.desk.comparisons(name)}
