"""A served page with the fake engine, and a browser to look at it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from app.pages.page import build, launch_options
from app.server.engines import Engines
from app.server.studio import Studio
from tests.app.fake_engine import MODELS, FakeEngine
from tests.app.inside import look_inside
from tests.app.studios import free_port

PATIENCE = 60_000
"""Milliseconds to wait for the browser: generous, because a busy machine is not a fault."""


@pytest.fixture(scope="session")
def served() -> Iterator[SimpleNamespace]:
    """The page on a free port; `engine(name)` is the engine behind it."""
    loaded: dict[str, FakeEngine] = {}

    def load(name: str, device: str = "auto", progress=None) -> FakeEngine:
        if name == "far":
            return fetch(progress)
        return loaded.setdefault(name, FakeEngine(name))

    def fetch(progress) -> FakeEngine:
        """A transfer that goes half way, waits to be let go, and ends as the test has set."""
        progress("downloading Far", 0.5)
        gate.go.wait(60)
        progress("downloading Far", 0.6)
        if gate.offline:
            raise FileNotFoundError("Far: download far.pt and put it into checkpoints/far")
        return loaded.setdefault("far", FakeEngine("far"))

    gate = SimpleNamespace(go=threading.Event(), offline=True)

    engines = Engines(load, lambda: list(MODELS))
    engines.configure("auto", keep=len(MODELS), may_fetch=True)
    studio = Studio(engines)
    demo = build(studio, "emoji")
    _, url, _ = demo.launch(
        server_name="127.0.0.1",
        server_port=free_port(),
        prevent_thread_lock=True,
        quiet=True,
        **launch_options(studio),
    )
    yield SimpleNamespace(url=url, engine=engines.get, demo=demo, gate=gate, studio=studio)
    demo.close()


@pytest.fixture(autouse=True)
def quick_engines(request: pytest.FixtureRequest) -> None:
    """Every test starts with engines that do not wait."""
    if "served" in request.fixturenames:
        served = request.getfixturevalue("served")
        for model in (m for m in MODELS if m.available):
            served.engine(model.name).seconds_per_step = 0.0


@pytest.fixture(scope="module")
def browser():
    """Chromium, or a skip that says what is missing.

    One for each module: while playwright runs, no other test of its process can run a loop.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with sync_api.sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium to run: {str(error).splitlines()[0]}")
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def context(browser):
    """One context for the pages of a module, so that the front end is compiled once."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def open_page(served, context):
    """`open_page(query="", width=1280, ready=True, **media)` -> a page whose player is ready, or
    that plays what a link says."""
    pages, faults = [], []

    def opened(query: str = "", width: int = 1280, ready: bool = True, **media):
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(**media)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(served.url + query)
        # Whichever page a link opens: the others are hidden by the time a busy machine looks.
        page.wait_for_selector(f".player{'[data-state=ready]' if ready else ''} canvas:visible")
        if ready:
            page.wait_for_selector(".studio .grow:visible")
        look_inside(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert not faults, faults


@pytest.fixture
def grown(open_page):
    """A page with one finished picture of an owl, grown from the centre."""
    page = open_page()
    page.fill(".prompt textarea", "owl")
    page.click(".studio .grow")
    page.wait_for_selector(".player[data-state=done] .track[aria-valuenow='17']")
    return page
