"""One row in nar_core/settings.py is all it takes: page, programs, links and recipes follow."""

from __future__ import annotations

import inspect

import gradio as gr
import pytest

from app.pages import controls
from app.server import api, form
from app.server.form import Form, form_of_link
from nar_core import SETTINGS, Setting, prepare
from nar_core.files import recipe
from tests.app.fake_engine import INFO
from tests.app.studios import fake_studio, finish

ADDED = Setting(
    "Sharpness",
    "number",
    "how sharp it is",
    off=0.0,
    low=0,
    high=2,
    slider=(0, 2, 0.5),
    aliases=("sharp",),
    name="sharpness",
)


@pytest.fixture
def added(monkeypatch):
    """The settings with one more, wherever the page's side reads them."""
    for module in (form, recipe, api):
        monkeypatch.setattr(module, "SETTINGS", (*SETTINGS, ADDED))
    for module in (form, controls):
        monkeypatch.setattr(module, "OFFERED", (*form.OFFERED[: len(SETTINGS)], ADDED))
    monkeypatch.setattr(type(INFO["emoji"]), "sharpness", 0.5, raising=False)


def test_every_offered_setting_is_on_the_page_and_in_recipes():
    with gr.Blocks():
        shown = controls.settings(INFO["emoji"])
    assert {setting.name for setting in form.OFFERED} <= set(shown)
    done = finish(fake_studio(), Form("emoji", "owl"), {})
    assert {setting.name for setting in SETTINGS} <= set(done["request"])


def test_an_added_one_is_a_slider(added):
    with gr.Blocks():
        slider = controls.settings(INFO["emoji"])["sharpness"]
    assert (slider.label, slider.value) == ("Sharpness", 0.5)
    assert (slider.minimum, slider.maximum, slider.step) == (0, 2, 0.5)


def test_an_added_one_is_an_argument_with_its_explanation_wherever_something_grows(added):
    endpoints = api.endpoints(fake_studio(), "emoji")
    names = {name: list(inspect.signature(f).parameters) for name, f in endpoints.items()}
    growing = [name for name in endpoints if "rng_seed" in names[name]]
    assert len(growing) == 7
    for name in growing:
        assert {s.name for s in SETTINGS} < set(names[name])
        assert "sharpness: how sharp it is; null is the model's default." in endpoints[name].__doc__
    # programs that give arguments by position find them where they were
    assert names["generate"][:14][-1] == "pictures"
    assert names["generate"][-1] == "sharpness"


def test_an_added_one_is_read_from_forms_links_and_recipes(added, monkeypatch):
    assert Form.of(model="emoji", sharpness=1.5).settings == {"sharpness": 1.5}
    assert form_of_link(INFO["emoji"], {"sharp": "1.5"}) == {"sharpness": 1.5}
    assert form_of_link(INFO["emoji"], {"sharpness": "3"}) == {}
    done = prepare(INFO["emoji"], form.Request(prompt="owl")).request
    data = {"seed_position": list(done.seed_position), "rng_seed": 0}
    read = recipe._request(recipe.Fields(data, "recipe", "x"), (1, 16, 16))
    assert read["sharpness"] == 0.0
