"""How the page's scripts are served: once, as modules, under an address that holds their hash."""

from __future__ import annotations

import asyncio
import json
import re
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import get_args, get_type_hints

import pytest
from gradio import queueing

from app import wire
from app.pages.parts import LATE, WEB, address, modules, source
from app.pages.theme import theme


def get(url: str):
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30)


def test_modules_are_kept_by_the_browser_for_good(served):
    for module in modules():
        with get(f"{served.url}{address()}/{module}") as reply:
            assert reply.headers["content-type"].startswith("text/javascript")
            assert "immutable" in reply.headers["cache-control"]
            assert reply.read()


def test_scripts_of_another_version_are_not_there(served):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{served.url}gradio_api/web/0123456789ab/main.js")


def test_a_component_holds_one_line_of_script(served):
    parts = [c for c in served.demo.config["components"] if c["type"] == "html"]
    scripts = [c["props"]["js_on_load"] for c in parts if "mount" in c["props"]["js_on_load"]]
    assert len(scripts) == 7  # image, video, outpaint, lab, evidence, article, recent
    for script in scripts:
        assert "\n" not in script
        assert len(script.split(json.dumps("spec"))[0]) < 300


def test_no_control_that_is_used_has_a_colour_of_gradios_own():
    unused = ("stat_", "primary_", "secondary_")
    colours = {k: v for k, v in vars(theme()).items() if not k.startswith(unused)}
    foreign = [
        k for k, v in colours.items() if isinstance(v, str) and v.startswith(("*pr", "*sec"))
    ]
    assert foreign == []
    assert "button_primary_border_color_hover" in colours


def test_no_component_shows_how_far_an_event_is(served):
    """With a hundred that do, each step of a growth has them all looked up."""
    events = [e for e in served.demo.config["dependencies"] if e["backend_fn"] and e["outputs"]]
    of_page = [e for e in events if e["api_visibility"] == "private"]
    assert len(of_page) > 20
    assert [e["id"] for e in of_page if e["show_progress_on"] != []] == []


def test_the_page_holds_nothing_that_only_programs_call(served):
    """Gradio's script looks through all that a page holds, again for each of its components."""
    with get(f"{served.url}config") as reply:
        told = json.loads(reply.read())
    kinds = {part["id"]: part["type"] for part in told["components"]}
    held, open_ = [], [told["layout"]]
    while open_:
        part = open_.pop()
        held.append(kinds.get(part["id"]))
        open_ += part.get("children") or []
    assert "api" not in held
    assert "html" in held
    assert "api" in kinds.values()  # what programs call is told to them


def test_a_page_that_nobody_asks_rests(served, monkeypatch):
    """Gradio's queue looks for calls; how often is told by how often it sleeps."""
    looked = []

    async def sleep(seconds: float, real=asyncio.sleep) -> None:
        looked.append(seconds)
        await real(seconds)

    monkeypatch.setattr(queueing, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    start = time.monotonic()
    time.sleep(0.5)
    monkeypatch.undo()
    assert 0 < len(looked) < 200 * (time.monotonic() - start)


def test_the_page_is_light_and_fetches_each_module_once(served, context):
    page = context.new_page()
    context.new_cdp_session(page).send("Network.clearBrowserCache")
    fetched = []
    page.on("requestfinished", lambda request: fetched.append(request))
    page.goto(served.url)
    page.wait_for_selector(".player[data-state=ready] canvas")
    page.wait_for_selector(".recent")
    own = {
        request.url.removeprefix(served.url): request.sizes()["responseBodySize"]
        for request in fetched
        if request.url == served.url or ("/web/" in request.url and "/recorded/" not in request.url)
    }
    page.close()
    scripts = sorted(name for name in own if name.endswith(".js"))
    assert set(LATE) < set(modules())
    assert scripts == [f"{address()}/{module}" for module in modules() if module not in LATE]
    assert len(own) == len([r for r in fetched if r.url.removeprefix(served.url) in own]) < 48
    assert 100_000 < sum(own.values()) < 250_000


class Names(HTMLParser):
    """What the buttons and labels of a file are called, and what is seen on them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], str]] = []
        self._open: list[int] = []

    def handle_starttag(self, tag, attrs):
        if tag in ("a", "button", "label"):
            self._open.append(len(self.found))
            self.found.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag):
        if tag in ("a", "button", "label"):
            self._open.pop()

    def handle_data(self, data):
        for at in self._open:
            tag, attributes, text = self.found[at]
            self.found[at] = (tag, attributes, text + data)


@pytest.mark.parametrize("name", sorted(p.name for p in (WEB / "html").glob("*.html")))
def test_what_is_seen_on_a_button_is_in_its_name(name):
    """Who speaks to the page says what stands there (WCAG 2.5.3); and a label is no button."""
    names = Names()
    names.feed(source(f"html/{name}"))
    for tag, attributes, text in names.found:
        assert tag != "label" or "role" not in attributes, text
        if called := attributes.get("aria-label"):
            assert set(re.findall(r"\w+", text.lower())) <= set(re.findall(r"\w+", called.lower()))


def test_the_page_knows_every_message_of_the_server():
    told = (*get_args(wire.Message), wire.LatelyMessage)
    sent = {get_args(get_type_hints(m)["kind"])[0] for m in told}
    assert set(re.findall(r"kind: '(\w+)'", source("wire.js"))) == sent
