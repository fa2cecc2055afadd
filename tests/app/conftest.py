"""A served page with the fake engine, and a browser to look at it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from app.pages import page as layout
from app.pages.page import build, launch_options
from app.server import examples
from app.server.engines import Engines
from app.server.studio import Studio
from tests.app.access import AXE, asked
from tests.app.clips import record
from tests.app.fake_engine import MODELS, FakeEngine
from tests.app.inside import look_inside
from tests.app.studios import fake_studio, free_port
from tests.app.without import without

PATIENCE = 60_000
"""Milliseconds to wait for the browser: generous, because a busy machine is not a fault."""

PACE = """{
  const real = requestAnimationFrame.bind(window);
  let [time, before] = [0, 0];
  window.requestAnimationFrame = (then) => real((now) => {
    if (now !== before) {
      time = window.pace && time ? time + window.pace : Math.max(now, time + 200);
      before = now;
    }
    then(time);
  });
}"""
"""Every frame of a page is 200 ms after the one before it, or more on a slow machine.

So what plays is through in few frames. `unhurried` of `inside` has each of its steps painted.
"""


@pytest.fixture(scope="session")
def six_clips(tmp_path_factory) -> Iterator[None]:
    """The Video page offers six recorded clips, whatever has been recorded."""
    folder = tmp_path_factory.mktemp("recorded") / "clips"
    record(fake_studio(), "frames", ("owl", "fox", "car", "dog", "cat", "tree"), 7, folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(examples, "CLIPS", folder)
        patched.setattr(layout, "CLIPS", folder)
        examples.recorded_clips.cache_clear()
        yield
    examples.recorded_clips.cache_clear()


@pytest.fixture(scope="session")
def served(six_clips) -> Iterator[SimpleNamespace]:
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


@pytest.fixture(scope="session")
def profile() -> Iterator[str]:
    """Chromium's folder: only in one it keeps compiled code."""
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        yield folder
        CHROMIUM.close()


class Chromium:
    """One context of Chromium for the pages of modules that follow each other."""

    def __init__(self) -> None:
        self.left: list = []
        """Pages of tests before, which show nothing: what they have loaded opens them sooner."""
        self._open: tuple | None = None

    def context(self, profile: str):
        """The context, or a skip that says what is missing."""
        if self._open is None:
            missing = "playwright is not installed"
            sync_api = pytest.importorskip("playwright.sync_api", reason=missing)
            names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
            playwright = sync_api.sync_playwright().start()
            try:
                context = playwright.chromium.launch_persistent_context(
                    profile,
                    executable_path=next(filter(None, map(shutil.which, names)), None),
                    args=["--no-sandbox"],
                    viewport={"width": 1280, "height": 900},
                )
            except sync_api.Error as error:
                playwright.stop()
                pytest.skip(f"no Chromium to run: {str(error).splitlines()[0]}")
            context.set_default_timeout(PATIENCE)
            context.add_init_script(PACE)
            self._open = playwright, context
        return self._open[1]

    def close(self) -> None:
        if self._open is not None:
            playwright, context = self._open
            self._open = None
            self.left.clear()
            context.close()
            playwright.stop()


CHROMIUM = Chromium()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None):
    """Chromium stays while browser tests follow each other, in whichever files, and no longer:
    while playwright runs, no other test of its process can run a loop."""
    try:
        return (yield)
    finally:
        if nextitem is None or not nextitem.path.name.startswith("test_browser"):
            CHROMIUM.close()


@pytest.fixture
def context(profile):
    """A context of Chromium, or a skip that says what is missing."""
    return CHROMIUM.context(profile)


@pytest.fixture
def new_page(served, context):
    """`new_page(width=1280, height=900, **media)` -> a page that shows nothing yet."""
    pages, faults, left = [], [], CHROMIUM.left

    def fault(error) -> None:
        faults.append(str(error))

    def opened(width: int = 1280, height: int = 900, **media):
        page = left.pop() if left else context.new_page()
        pages.append(page)
        page.bring_to_front()  # a page behind another is hardly painted
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(**{"reduced_motion": "no-preference", **media})
        page.on("pageerror", fault)
        return page

    yield opened
    for page in pages:
        if not page.is_closed():
            if page.url.startswith(served.url):
                page.evaluate("localStorage.clear(); sessionStorage.clear()")
            page.goto("about:blank")
            page.unroute_all()  # while something is routed nothing is cached
            page.remove_listener("pageerror", fault)
            left.append(page)
    assert not faults, faults


@pytest.fixture
def open_page(served, new_page):
    """`open_page(query="", width=1280, ready=True, **media)` -> a page whose player is ready, or
    that plays what a link says."""

    def opened(query: str = "", width: int = 1280, ready: bool = True, **media):
        page = new_page(width, **media)
        page.goto(served.url + query)
        # Whichever page a link opens: the others are hidden by the time a busy machine looks.
        player = f".player{'[data-state=ready]' if ready else ''} canvas:visible"
        page.wait_for_selector(f"{player}, .lab-page .grow:visible")  # the Lab shows no player yet
        if ready:
            page.wait_for_selector(".grow:visible")
        look_inside(page)
        return page

    return opened


@pytest.fixture
def grown(open_page):
    """A page with one finished picture of an owl, grown from the centre."""
    page = open_page()
    page.fill(".prompt textarea", "owl")
    page.click(".studio .grow")
    page.wait_for_selector(".player[data-state=done] .track[aria-valuenow='17']")
    return page


@pytest.fixture
def sound():
    """`sound(page, within="")`: for those who do not see or point axe finds nothing wrong with the
    page as it stands; `within` is what has changed since the whole was looked at.

    Without axe a test does the rest of what it does, and is said to lack it at its end.
    """

    def heard(page, within: str = "") -> None:
        if not AXE.is_file():
            return
        for where, passed, violations in asked(page, within):
            assert not violations, (where, *violations)
            assert passed

    yield heard
    if not AXE.is_file():
        without("`npm ci --prefix tests/web`")
