"""A stranger's first minute in a real browser."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from app.server.examples import recorded
from tests.app.test_browser_growth import (
    RUN,
    STATE,
    click_cell,
    player_data,
    settled,
    slow_growth,  # noqa: F401
    wait_finished,
    wait_state,
)

BOX = ".studio.image .prompt textarea"
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


def test_words_are_picked_and_enter_grows(open_page):
    page = open_page("?model=composed")
    page.wait_for_function(f"{STATE}.spec.model === 'composed'")
    line = page.locator(".studio.image .knows")
    line.wait_for()
    assert line.inner_text().startswith("Knows 150 things")
    page.fill(BOX, "a red car")
    line.click()
    picker = page.locator(".studio.image .picker")
    picker.locator("[data-pick=cat] i").wait_for()
    page.keyboard.type("cat")
    picker.locator("[data-pick=apple]").wait_for(state="detached")
    picker.locator("[data-pick=cat]").click()
    assert page.input_value(BOX) == "a red car and cat"
    page.keyboard.press("Escape")
    assert picker.is_hidden()
    # nothing typed is a surprise, which the form then says
    page.fill(BOX, "")
    page.focus(BOX)
    page.keyboard.press("Enter")
    wait_finished(page, 17)
    idea = page.input_value(BOX)
    assert idea
    assert page.evaluate(f"{RUN}.request.prompt") == idea


def test_what_was_drawn_for_what_was_asked_is_told(open_page):
    page = open_page("?model=composed")
    page.wait_for_function(f"{STATE}.spec.model === 'composed'")
    page.fill(BOX, "a scarlet car")
    page.locator(".studio.image .taken").wait_for()
    page.focus(BOX)
    page.keyboard.press("Enter")
    wait_finished(page, 17)
    told = page.inner_text(".studio.image .drawn")
    assert told == "Asked “a scarlet car”, drawn “a red car”."


def test_grow_again_is_the_next_variation(open_page):
    page = open_page()
    page.click(".studio.image .grow")
    wait_finished(page, 17)
    first = page.evaluate(f"{RUN}.tokens.join()")
    page.click(".studio.image .grow")
    page.wait_for_function(f"{RUN}.request?.rng_seed === 8 && {STATE}.phase === 'done'")
    assert page.input_value(".studio.image .rng input") == "8"
    assert page.evaluate(f"{RUN}.tokens.join()") != first
    # what is changed meanwhile meets the same random numbers
    page.fill(BOX, "owl")
    page.click(".studio.image .grow")
    page.wait_for_function(f"{RUN}.request?.prompt.includes('owl') && {STATE}.phase === 'done'")
    assert page.evaluate(f"{RUN}.request.rng_seed") == 8


def test_a_click_on_a_picture_grows_from_there(open_page):
    page = open_page()
    click_cell(page, 8, 8)
    click_cell(page, 8, 8)  # chosen already: it grows
    wait_finished(page, 17)
    click_cell(page, 0, 0)
    wait_finished(page, 31)
    assert player_data(page)["seed"] == "0,0,0"
    assert page.evaluate(f"{RUN}.request.rng_seed") == 7


def test_stop_ends_at_the_step_that_is_seen(slow_growth):  # noqa: F811
    page, engine = slow_growth
    page.wait_for_function(f"{STATE}.step >= 2")
    page.click(".studio .stop")
    wait_state(page, "done")
    step = page.evaluate(f"{STATE}.step")
    assert page.evaluate(f"{RUN}.last") == step
    assert page.inner_text(".player .now").startswith(f"Step {step} of 33 stopped")
    with page.expect_download() as saved:
        page.click("[data-act=standing]")
    pixels = np.asarray(Image.open(io.BytesIO(saved.value.path().read_bytes())))
    grown = page.evaluate(f"{RUN}.plan.step.filter((k) => k <= {step}).length")
    assert (pixels[..., 3] > 0).mean() == grown / 1024
    # and it is gone on with
    tokens = page.evaluate(f"[...{RUN}.tokens]")
    settled(lambda: engine.open_runs == 0)
    engine.seconds_per_step = 0
    page.click(".studio .branch")
    wait_finished(page, 33)
    steps = page.evaluate(f"[...{RUN}.plan.step]")
    after = page.evaluate(f"[...{RUN}.tokens]")
    assert all(a == b for a, b, s in zip(after, tokens, steps, strict=True) if s <= step)
    assert page.evaluate(f"{RUN}.request.rng_seed") == 7


def test_on_a_phone_what_plays_is_in_view_and_cells_can_be_hit(open_page):
    page = open_page("?model=clip", width=390)
    page.wait_for_selector("#player-video .player[data-state=ready]")
    canvas = page.locator("#player-video .screen canvas")
    assert canvas.bounding_box()["width"] / 8 > 40  # cells of one slice
    before = page.evaluate("nar.pages.get('video').state.seedPosition[0]")
    page.click("#player-video .slice [data-slice='-1']")
    assert page.evaluate("nar.pages.get('video').state.seedPosition[0]") == before - 1
    page.evaluate("scrollTo(0, 0)")
    page.click("#studio-video .grow")
    page.wait_for_selector("#player-video .player[data-state=done]")
    page.wait_for_function(
        """() => {
            const screen = document.querySelector('#player-video .screen');
            const { top, bottom } = screen.getBoundingClientRect();
            return top >= -1 && bottom <= innerHeight + 1;
        }"""
    )
