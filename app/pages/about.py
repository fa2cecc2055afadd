"""The page that says what this is: an article, and what the models are."""

from __future__ import annotations

import gradio as gr

from app.pages.parts import article
from app.server.engines import Engines
from app.server.examples import RACE

KEPT = """
Results live in this tab; no picture is written on the server, and every downloaded PNG carries its
own recipe.
"""


def about_page(engines: Engines) -> None:
    """The article, and a list."""
    article(f"{RACE.name}/raster.png")
    gr.Markdown(_models(engines) + KEPT, elem_classes=["prose-page"])


def _models(engines: Engines) -> str:
    """What the models are, as Markdown."""
    told = [
        f"**{m.title}**  \n{engines.facts(m)}  \nTrained on {m.trained_on}. {m.note}"
        for m in engines.models()
    ]
    more = "A model that is not here is fetched when something is first grown, if that is allowed."
    return "\n## Models\n\n" + "\n\n".join([*told, more])
