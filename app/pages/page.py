"""The whole page: its head, its tabs, and what it needs to be served."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.components.api_component import Api
from gradio.data_classes import BlocksConfigDict
from gradio.events import api
from starlette.middleware import Middleware

from app.pages.about import about_page
from app.pages.controls import PRIVATE, facts
from app.pages.image import image_page
from app.pages.lab import lab_page, sets_of
from app.pages.outpaint import outpaint_page
from app.pages.parts import SmallPage, head, recent, routes, source
from app.pages.theme import theme
from app.pages.video import video_page
from app.pages.wiring import nothing, warn_of_link, wire_link, wire_picked
from app.server import health, tools
from app.server.api import endpoints
from app.server.doors import Doors
from app.server.errors import for_page
from app.server.examples import CLIPS, FIGURES, FOLDER, RACE, STORY
from app.server.gate import CLOSED_TO_OTHERS, Gate
from app.server.studio import Studio
from nar_core.foreign import shown

TOGGLE_THEME = "() => { document.dispatchEvent(new Event('nar:theme')); }"

PAGES = "video", "outpaint", "lab", "about"
"""Those that an address may name; that of pictures is opened by itself."""

MOST_QUEUED = 200
"""Calls that may wait in Gradio's own queue, mostly for a moment: growths wait in `Line`.

What they carry is limited by `gate`."""

LOOKS_EVERY = 0.01
"""Seconds between two looks of Gradio's queue for a call.

With its own thousandth of a second a page that nobody asks takes a twentieth of a core."""

FILES_AT_ONCE = 2

CALLS_AT_ONCE = 60
"""Calls under way besides growths that wait."""


class Studied(gr.Blocks):
    """Gradio's page: calls may leave out what has a default, and what goes wrong is a sentence."""

    def get_config_file(self) -> BlocksConfigDict:
        """As Gradio's, but what only programs call is nowhere on the page, which waits for none.

        It is half of all components, and Gradio's script looks through all for each of them.
        """
        config: Any = super().get_config_file()
        calls = [part for part in config["components"] if part["type"] == "api"]
        for part in calls:
            part["props"]["visible"] = False
        unseen = {part["id"] for part in calls}
        children = config["layout"]["children"]
        config["layout"]["children"] = [one for one in children if one["id"] not in unseen]
        return config

    async def call_function(self, *args: Any, **more: Any) -> Any:
        """Raises gr.Error where the function of an event or endpoint raises anything."""
        try:
            return await super().call_function(*args, **more)
        except gr.Error:
            raise
        except Exception as error:
            raise for_page(error, "Not done") from error

    def validate_inputs(self, block_fn: BlockFunction, inputs: list[Any]) -> None:
        """Add what was left out; gr.Error where that has no default."""
        missing = block_fn.inputs[len(inputs) :]
        if not missing:
            return
        name = block_fn.api_name
        if not isinstance(missing[0], Api):  # an event of the page
            told = f"request: got {len(inputs)} values, expected {len(block_fn.inputs)}"
            raise gr.Error(f"{told}; reload the page", print_exception=False)
        assert block_fn.fn is not None
        _, *known = inspect.signature(block_fn.fn).parameters.values()  # the first is who calls
        needed = [one.name for one in known if one.default is one.empty]
        if len(inputs) < len(needed):
            told = f"{name}: got {len(inputs)} arguments, expected {', '.join(needed)}"
            raise gr.Error(f"{told} at least; add the others", print_exception=False)
        inputs += [one.default for one in known[len(inputs) :]]


def build(studio: Studio, default: str | None = None) -> gr.Blocks:
    """The whole page. No weights are loaded here.

    Args:
        default: name of the picture model shown first; those of presets.yaml if absent.
    """
    engines = studio.engines
    first = engines.first("image", default)
    with Studied(
        title="NAR Studio", analytics_enabled=False, delete_cache=(3600, 3600), fill_width=True
    ) as demo:
        # first, so that no private event of the page takes one of their names
        for name, function in endpoints(studio, first.name).items():
            files = {"concurrency_limit": FILES_AT_ONCE, "concurrency_id": "files"}
            lane: dict[str, Any] = (
                files if name in ("clip", "replay") else {"concurrency_limit": None}
            )
            api(function, api_name=name, **lane)
        # cleared with whatever else Gradio keeps for a while
        demo.temp_file_sets.append(studio.shelf.files)
        with gr.Row(elem_id="head"):
            gr.HTML(source("html/brand.html"), apply_default_css=False, elem_id="brand")
            model = gr.Dropdown(
                engines.choices("image"),
                value=first.name,
                label="Model",
                show_label=False,
                container=False,
                elem_id="model",
                filterable=False,
            )
            gr.Button("Light or dark", elem_id="theme", elem_classes=["icon"], size="sm").click(
                None, js=TOGGLE_THEME
            )
            told = facts(engines, model, first)
        with gr.Tabs(elem_id="pages") as pages:
            with gr.Tab("Image", id="image"):
                linked = {"image": image_page(studio, model, first, told)}
            clips = engines.models("video")
            if clips:
                with gr.Tab("Video", id="video"):
                    linked["video"] = video_page(studio, clips[0])
            with gr.Tab("Outpaint", id="outpaint"):
                wide = engines.first("outpaint", default)
                linked["outpaint"] = outpaint_page(studio, wide)
            with gr.Tab("Lab", id="lab"):
                linked["lab"] = lab_page(studio, model, first, linked["image"])
            with gr.Tab("About", id="about"):
                about_page(engines)
        recent()
        demo.unload(_closing(studio))
        # what has been fetched meanwhile
        demo.load(lambda: gr.update(choices=engines.choices("image")), None, model, **PRIVATE)
        query = gr.State()
        opened = demo.load(_query, None, query, **PRIVATE)
        opened.then(_named, query, pages, **PRIVATE)
        for name, page in linked.items():
            own = {"outpaint": wide, "video": clips[0] if clips else first}.get(name, first)
            told_too = sets_of(studio) if name == "lab" else nothing
            filled = wire_link(studio, opened, query, page, pages, own, name, told_too)
            if name == "lab":  # whose model is that of the first page, too
                wire_picked(studio, linked["image"], "image", filled.then)
    # growths wait in a line of their own, and no call may go round either
    demo.queue(max_size=MOST_QUEUED, api_open=False)
    demo._queue.sleep_when_free = LOOKS_EVERY
    # after each call Gradio would sum up the last ten thousand, for a page that the gate closes
    demo._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    return demo


def launch_options(studio: Studio, doors: Doors = CLOSED_TO_OTHERS) -> dict[str, Any]:
    """What `launch()` needs, the same for the application and its tests."""
    # four files of the largest size, as text
    largest = studio.limits.upload * 16 // 3
    gate = Middleware(Gate, largest=largest, listeners=studio.listeners, doors=doors)
    return {
        "theme": theme(),
        "head": head(),
        "app_kwargs": {
            "routes": [*health.routes(studio), *routes([FOLDER, CLIPS, RACE, STORY, FIGURES])],
            "middleware": [gate, Middleware(SmallPage)],
            "lifespan": tools.lifespan(studio),
        },
        "max_file_size": studio.limits.upload,
        # Gradio takes up so many calls at once, those included whose growths wait in the line
        "max_threads": studio.line.most + CALLS_AT_ONCE,
        "footer_links": ["api"],
        "run_history": False,
        "show_error": True,
        # all it does is to end the server where its page takes more than three seconds
        "_frontend": False,
    }


def _closing(studio: Studio) -> Any:
    """What happens when a tab is closed."""

    def closed(request: gr.Request) -> None:
        studio.line.closed(request.session_hash or "")

    return closed


def _named(query: dict[str, str] | None) -> Any:
    """The page that an address names is opened; any other word opens nothing, and that is said.

    `query` is None for who asks before the page has told its address.
    """
    page = (query or {}).get("tab")  # `page` is a word of Gradio
    if page not in (*PAGES, "image", None, ""):
        told = f"got {shown(page)}, expected one of image, {', '.join(PAGES)}"
        warn_of_link(f"tab: {told}; it is left out")
    return gr.update(selected=page) if page in PAGES else gr.skip()


def _query(request: gr.Request) -> dict[str, str]:
    """Query parameters of the page's address: a shared link."""
    return dict(request.query_params) if request else {}
