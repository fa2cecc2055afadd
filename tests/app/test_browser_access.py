"""What axe finds wrong on the pages for those who do not see or point: nothing."""

from __future__ import annotations

import pytest

from tests.app.access import AXE, asked
from tests.app.test_browser_article import article, read  # noqa: F401
from tests.app.test_browser_clips import STATE as CLIP
from tests.app.test_browser_clips import grow as grow_clip
from tests.app.test_browser_growth import wait_finished
from tests.app.test_browser_outpaint import outpaint, wait_grown  # noqa: F401
from tests.app.test_browser_results import branch
from tests.app.without import without


@pytest.fixture(autouse=True)
def axe():
    """Without it nothing is asked."""
    if not AXE.is_file():
        without("`npm ci --prefix tests/web`")


def sound(page, within: str = "") -> None:
    """Nothing is wrong in light and dark, on a desktop and on a phone; `within` is what has changed
    since the whole was looked at."""
    for where, passed, violations in asked(page, within):
        assert not violations, (where, *violations)
        assert passed


def test_what_is_grown_and_its_tree_and_the_microscope(open_page):
    page, studio = open_page(), "#studio-image"
    sound(page)
    page.fill(".prompt textarea", "owl")
    page.click(".studio .grow")
    wait_finished(page, 17)
    branch(page, 7, lambda: page.fill(".prompt textarea", "fox"))
    assert page.locator(".player .lane[role=button]").count() == 2
    sound(page)  # with Recent
    page.click(".player .lens")
    page.click(".player .disagree")
    page.wait_for_function("document.querySelector('.microscope').innerText.includes('nats')")
    sound(page, studio)
    page.click(".player .screen canvas", position={"x": 40, "y": 40})
    page.wait_for_selector(".microscope header")
    sound(page, studio)


def test_an_outpainted_picture_a_clip_and_the_lab(outpaint):  # noqa: F811
    sound(outpaint)
    outpaint.click(".studio.outpaint .grow")
    wait_grown(outpaint, 3)
    sound(outpaint, "#studio-outpaint")
    outpaint.click("#pages [data-tab-id=video]")
    outpaint.click(".studio.video .settings [aria-label=Model]")
    outpaint.get_by_role("option", name="Frames").click()
    outpaint.wait_for_function(f"{CLIP}.spec.model === 'frames'")
    sound(outpaint)
    grow_clip(outpaint)
    sound(outpaint, "#studio-video")
    outpaint.click("#pages [data-tab-id=lab]")
    outpaint.click(".lab-page .grow")
    outpaint.wait_for_selector(".lab[data-state=done]")
    sound(outpaint)


def test_the_article(article):  # noqa: F811
    page = article()
    sound(page)
    for act in ("mixing", "gained"):
        read(page, act)
        sound(page, ".article")
