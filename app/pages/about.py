"""The page that says what this is, and what the models are."""

from __future__ import annotations

import gradio as gr

from app.server.engines import Engines

ABOUT = """# A picture can grow in every direction at once.
A raster model writes one token after another: 256 steps for a grid of 16 × 16. Here every token is
predicted by the neighbours that touch it, so a whole front appears in one step: 31 steps from the
corner, 17 from the centre.

A cell hears from each neighbour that is already there, one head for each direction, and the answers
are averaged. The same rule fills a hole, widens a picture and goes back to try again from the
middle.

*Neighboring Autoregressive Modeling for Efficient Visual Generation*, He et al., 2025
([arXiv 2503.10696](https://arxiv.org/abs/2503.10696)).

Results live in this tab; no picture is written on the server, and every downloaded PNG carries its
own recipe.
"""


def about_page(engines: Engines) -> None:
    """One text."""
    gr.Markdown(ABOUT + _models(engines), elem_classes=["prose-page"])


def _models(engines: Engines) -> str:
    """What the models are, as Markdown."""
    told = [
        f"**{m.title}**  \n{engines.facts(m)}  \nTrained on {m.trained_on}. {m.note}"
        for m in engines.models()
    ]
    more = "A model that is not here is fetched when something is first grown with it."
    return "\n## Models\n\n" + "\n\n".join([*told, more])
