"""What axe finds wrong on the pages for those who do not see or point: nothing."""

from __future__ import annotations

import pytest

from tests.app.access import AXE, asked
from tests.app.test_browser_clips import grow as grow_clip
from tests.app.test_browser_clips import video  # noqa: F401
from tests.app.test_browser_outpaint import outpaint, wait_grown  # noqa: F401
from tests.app.test_browser_results import branch
from tests.app.without import without


@pytest.fixture(autouse=True)
def axe():
    """Without it nothing is asked."""
    if not AXE.is_file():
        without("`npm ci --prefix tests/web`")


def sound(page) -> None:
    """Nothing is wrong in light and dark, on a desktop and on a phone."""
    for where, passed, violations in asked(page):
        assert not violations, (where, *violations)
        assert passed


def test_the_first_page(open_page):
    sound(open_page())


def test_a_tree_of_branches_and_the_microscope(grown):
    branch(grown, 7, lambda: grown.fill(".prompt textarea", "fox"))
    assert grown.locator(".player .lane[role=button]").count() == 2
    sound(grown)
    grown.click(".player .lens")
    grown.click(".player .disagree")
    grown.wait_for_function("document.querySelector('.microscope').innerText.includes('nats')")
    sound(grown)
    grown.click(".player .screen canvas", position={"x": 40, "y": 40})
    grown.wait_for_selector(".microscope header")
    sound(grown)


def test_an_outpainted_picture(outpaint):  # noqa: F811
    sound(outpaint)
    outpaint.click(".studio.outpaint .grow")
    wait_grown(outpaint, 3)
    sound(outpaint)


def test_a_clip(video):  # noqa: F811
    sound(video)
    grow_clip(video)
    sound(video)


def test_the_lab(open_page):
    page = open_page()
    page.click("#pages [data-tab-id=lab]")
    page.click(".lab-page .grow")
    page.wait_for_selector(".lab[data-state=done]")
    sound(page)


def test_the_article(open_page):
    page = open_page()
    page.click("#pages [data-tab-id=about]")
    page.wait_for_selector(".article .panes canvas")
    sound(page)
    for act in ("mixing", "gained"):
        page.click(f".article [data-go={act}]")
        page.wait_for_selector(f".article[data-at={act}]")
        sound(page)
