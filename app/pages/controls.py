"""The controls of a form: components by the names of `server.form.FORM_FIELDS`."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr
from gradio.components import Component

from app.pages.parts import source
from app.presets import preset, presets
from app.server.engines import Engines
from app.server.form import OFFERED, axes_of
from app.server.spec import SWEPT
from nar_core import NUM_SAMPLES, RNG_SEED, ModelInfo, Setting, heads_for

PRIVATE: dict[str, Any] = {
    "api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None,
    "preprocess": False, "show_progress_on": [],
}  # fmt: skip
"""Events of the page itself; the player shows what they do.

Values come as they were sent: what reads them says what is wrong, and Gradio's components would say
less of it. No component shows how far an event is: Gradio would look up every one that any event
changes, in the whole page, whenever one event says anything.
"""

DICE = "() => Math.floor(Math.random() * 1000000)"

MAIN = ("guidance_scale", "heads")
"""Settings that are always seen; the others are folded away."""

Controls = dict[str, Component]


def properties(info: ModelInfo) -> dict[str, dict[str, Any]]:
    """What changes in a form with the model: field -> properties of its component."""
    words = info.task == "text"
    wanted = preset(info.name, "label")
    first = wanted if wanted in info.labels else next(iter(info.labels), None)
    out: dict[str, dict[str, Any]] = {
        "prompt": {
            "visible": words,
            "placeholder": ", ".join(info.prompts[:3]) or "Describe a picture",
        },
        "label": {"visible": not words, "choices": list(info.labels), "value": first},
    }
    for setting in OFFERED:
        out[setting.name] = {"value": getattr(info, setting.name)}
    heads = heads_for(axes_of(info))
    out["heads"]["choices"] = [(t, n) for n, t in _setting("heads").choices.items() if n in heads]
    return out


def lead(headline: str, invitation: str) -> None:
    """What a page is, in two sentences."""
    words = f"<h1>{html.escape(headline)} <span>{html.escape(invitation)}</span></h1>"
    gr.HTML(words, apply_default_css=False, elem_classes=["lead"])


def ask(info: ModelInfo, before: str = "", prompt: str | None = None) -> Controls:
    """What to grow, and the buttons; `before` is markup above it, `prompt` is there at first."""
    start = properties(info)
    if before:
        gr.HTML(before, apply_default_css=False)
    words = gr.Textbox(
        example_of(info) if prompt is None else prompt,
        label="Prompt",
        lines=2,
        max_lines=4,
        elem_classes=["prompt"],
        **start["prompt"],
    )
    gr.HTML(source("html/names.html"), apply_default_css=False, elem_classes=["names-row"])
    label = gr.Dropdown(
        label="What to grow", elem_classes=["label"], filterable=True, **start["label"]
    )
    gr.Button("Grow", variant="primary", elem_classes=["grow"])
    gr.Button("Stop", variant="secondary", elem_classes=["stop"])
    return {"prompt": words, "label": label}


def example_of(info: ModelInfo) -> str:
    """The prompt that is there at first."""
    return info.prompts[0] if info.prompts else ""


def settings(info: ModelInfo) -> Controls:
    """How to grow it: the sampling settings, the variation and the number of pictures."""
    start = properties(info)
    out = {}
    for name in MAIN:
        out[name] = _control(_setting(name), start[name])
        see_in_lab(name)
    with gr.Row(elem_classes=["pair"]):
        out["rng_seed"] = gr.Number(
            7, label=RNG_SEED.title, precision=0, minimum=0, elem_classes=["rng"], min_width=0
        )
        dice = gr.Button("Any variation", elem_classes=["dice", "icon"], min_width=36, scale=0)
        out["num_samples"] = gr.Radio(
            presets()["pictures"],
            value=1,
            label=NUM_SAMPLES.title,
            elem_classes=["seg", "pictures"],
            min_width=0,
        )
    about = ". ".join(f"{s.title}: {s.help}" for s in (RNG_SEED, NUM_SAMPLES))
    gr.HTML(f"<small>{html.escape(about)}.</small>", apply_default_css=False)
    with gr.Accordion("Sampling", open=False, elem_classes=["more"]):
        for setting in OFFERED:
            if setting.name not in MAIN:
                out[setting.name] = _control(setting, start[setting.name])
                see_in_lab(setting.name)
    dice.click(None, None, out["rng_seed"], js=DICE)
    return out


IN_LAB = {"heads": "heads", "fusion": "fusion"} | {row: name for name, (row, _) in SWEPT.items()}
"""Sets of the lab that show what a setting does, see `spec.comparisons`."""


def see_in_lab(name: str) -> None:
    """A way from a setting to what it does, side by side."""
    if name in IN_LAB:
        words = f'<button type="button" data-lab="{IN_LAB[name]}">See it in the Lab</button>'
        gr.HTML(words, apply_default_css=False, elem_classes=["see-in-lab"])


def _setting(name: str) -> Setting:
    return next(setting for setting in OFFERED if setting.name == name)


def _control(setting: Setting, start: dict[str, Any]) -> Component:
    """The component of one sampling setting, as its row in settings.py says."""
    said: dict[str, Any] = {"label": setting.title, "info": _sentence(setting.told)}
    if setting.name == "heads":
        return gr.Radio(elem_classes=["seg", "heads"], **said, **start)
    if setting.kind == "choice":
        choices = [(title, name) for name, title in setting.choices.items()]
        return gr.Dropdown(choices, filterable=False, **said, **start)
    assert setting.slider is not None
    low, high, step = setting.slider
    return gr.Slider(low, high, step=step, buttons=[], **said, **start)


def _sentence(text: str) -> str:
    """A line of the settings table as it stands on a page."""
    return f"{text[:1].upper()}{text[1:]}."


def facts(engines: Engines, model: gr.Dropdown, first: ModelInfo) -> gr.HTML:
    """One line under a picker: what the chosen model is, and whether it is here."""
    line = gr.HTML(
        facts_of(engines, first.name), apply_default_css=False, elem_classes=["model-facts"]
    )
    model.change(lambda name: facts_of(engines, name), model, line, **PRIVATE)
    return line


def facts_of(engines: Engines, name: str) -> str:
    """What is told of a model, as HTML; of one that is not here first what that means."""
    info = engines.info(name)
    told = html.escape(engines.facts(info))
    if info.available:
        return f"<small>{told}</small>"
    size = (
        f"{info.download / 1e9:.1f} GB" if info.download >= 1e9 else f"{info.download / 1e6:.0f} MB"
    )
    or_fetch = f", or grow with it: {size} are fetched first" if engines.may_fetch else ""
    start = "" if engines.may_fetch else " · start the studio with --fetch"
    return (
        f"<small>Not on this server; watch a recorded growth{or_fetch}.<details><summary>For the "
        f"operator</summary>{told}{start}</details></small>"
    )
