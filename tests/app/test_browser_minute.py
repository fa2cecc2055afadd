"""A stranger's first minute in a real browser."""

from __future__ import annotations

from app.server.examples import recorded
from tests.app.test_browser_growth import STATE, player_data

RACE = ".studio.image .race"


def test_the_page_opens_on_a_recorded_race(open_page, served):
    page, engine = open_page(), served.engine("emoji")
    ran = engine.steps_run
    assert page.inner_text("h1:visible").startswith("Pictures grow outward")
    page.wait_for_selector(f"{RACE} [data-over] :text('centre')")
    panes = page.locator(f"{RACE} figcaption")
    assert "step" in panes.nth(0).inner_text()
    assert panes.nth(2).inner_text().endswith("done in 17 steps")
    assert recorded()["race"]["prompt"] in page.inner_text(f"{RACE} small")
    painted = """(n) => {
        const canvas = document.querySelectorAll('.race canvas')[n];
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return pixels.filter((x, i) => i % 4 === 3 && x > 0).length / canvas.width / canvas.height;
    }"""
    assert page.evaluate(painted, 2) == 1
    assert page.evaluate(painted, 0) < 0.5
    assert engine.steps_run == ran
    # the grid is below: it is seen under the pointer, and a click on it is a start
    page.hover(".studio.image .screen canvas", position={"x": 30, "y": 30}, force=True)
    page.wait_for_selector(f"{RACE}[data-away]", state="attached")
    page.mouse.move(2, 2)
    page.wait_for_selector(f"{RACE}:not([data-away])")
    page.click(".studio.image .screen > canvas", position={"x": 5, "y": 5})
    page.wait_for_selector(RACE, state="hidden")
    assert player_data(page)["seed"] == "0,0,0"


def test_with_reduced_motion_the_race_stands_still(open_page):
    page = open_page(reduced_motion="reduce")
    page.wait_for_selector(RACE)
    told = [
        words.splitlines()[-1] for words in page.locator(f"{RACE} figcaption").all_inner_texts()
    ]
    assert told == ["step 17 of 256", "step 17 of 31", "done in 17 steps"]


def test_a_link_opens_without_the_race(open_page):
    page = open_page("?prompt=fox&seed=0,0,0")
    page.wait_for_function(f"{STATE}.seedPosition.join() === '0,0,0'")
    assert page.is_hidden(RACE)
