"""A stranger's first minute in a real browser."""

from __future__ import annotations

import io
import re
import urllib.request

from PIL import Image

from app.pages.parts import address
from app.server.examples import recorded
from app.server.form import OFFERED
from nar_core import RNG_SEED
from tests.app.inside import box_of, look_inside, overheard
from tests.app.test_browser_article import PIXELS, read
from tests.app.test_browser_growth import (
    PLAYER,
    RUN,
    STATE,
    click_cell,
    player_data,
    wait_finished,
)

BOX = ".studio.image .prompt textarea"
RACE = ".studio.image .race"
CLIP = "nar.pages.get('video').state"
CLIP_RUN = "nar.run('video')"


def test_the_page_opens_on_a_recorded_race_and_fetches_nothing_from_elsewhere(
    new_page, served, sound
):
    """It overflows nowhere, every control says what it is, and a click on the grid is a start."""
    page, asked, engine = new_page(width=1440), [], served.engine("emoji")
    ran = engine.steps_run

    def note(request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(served.url)
    page.wait_for_selector(".player[data-state=ready] canvas:visible")
    page.remove_listener("request", note)
    assert any(u.startswith(served.url) for u in asked)
    assert [u for u in asked if not u.startswith((served.url, "data:", "blob:"))] == []
    look_inside(page)
    it_overflows_nowhere(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    sound(page)
    page.wait_for_selector(f"{RACE} [data-over] :text('centre')")
    assert page.inner_text("h1:visible").startswith("Pictures grow outward")
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
    every_control_says_what_it_is(page)
    a_prompt_that_is_too_long_stays_and_is_told(page)
    a_click_grows_from_there_and_grow_again_is_the_next_variation(page)
    on_a_phone_it_can_move_what_plays_is_in_view_and_cells_can_be_hit(page)
    what_can_be_pressed_is_come_to_by_keys(page)


def it_overflows_nowhere(page) -> None:
    page.locator(f"{RACE} figcaption", has_text="step").first.wait_for()
    cut = f"""[...document.querySelectorAll('{RACE} figcaption')]
        .filter(e => e.scrollWidth > e.clientWidth).length"""
    for width in (1440, 1024, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(cut) == 0
    small = """[...document.querySelectorAll('.studio button, .studio .seg label, .layers label')]
        .filter(e => e.offsetParent && e.getBoundingClientRect().height < 43.5)
        .map(e => e.className + e.textContent).join()"""
    page.wait_for_function(f"{small} === ''")  # some change in a moment


def every_control_says_what_it_is(page) -> None:
    settings = page.inner_text(".studio.image .settings")
    for setting in OFFERED:
        if setting.name in ("guidance_scale", "heads"):  # the others are folded away
            assert setting.help[1:] in settings
    assert RNG_SEED.help in settings
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button')].filter((b) => b.offsetParent
            && !/[a-z]{3}/i.test(b.getAttribute('aria-label') ?? b.textContent))
            .map((b) => b.className + b.textContent)"""
    )
    assert unnamed == []
    # a model that reads any text is not told that there is nothing to draw
    page.fill(BOX, "a zeitgeist in the rain")
    page.wait_for_timeout(600)
    assert "Nothing" not in page.inner_text(".studio.image .names")


def what_can_be_pressed_is_come_to_by_keys(page) -> None:
    """But for the copies of the tabs that Gradio measures, and steps, which arrows go through."""
    unreached = """() => {
        const cursor = (e) => getComputedStyle(e).cursor;
        const takesFocus = (e) => e.tabIndex >= 0 && e.checkVisibility();
        const isReached = (e) => takesFocus(e) || (e.control && takesFocus(e.control))
            || [...e.querySelectorAll('*')].some(takesFocus);
        return [...document.querySelectorAll('body *')].filter((e) => cursor(e) === 'pointer'
            && cursor(e.parentElement) !== 'pointer' && e.checkVisibility()
            && !e.closest('[aria-hidden=true], .visually-hidden, .lane.on') && !isReached(e))
            .map((e) => e.outerHTML.slice(0, 80));
    }"""
    for name in ("video", "outpaint", "lab", "about", "image"):
        page.click(f"#pages [role=tab][data-tab-id={name}]")
        page.wait_for_selector(f"#pages [role=tab][data-tab-id={name}][aria-selected=true]")
        assert page.evaluate(unreached) == []


def a_prompt_that_is_too_long_stays_and_is_told(page) -> None:
    """Before it is refused."""
    told = page.locator(".studio.image .too-long")
    long = "x" * 199 + "🦊"
    page.fill(BOX, long)
    assert told.is_hidden()
    page.fill(BOX, long + "yz")
    assert told.inner_text() == "The prompt has 202 letters, 2 too many: shorten it."
    page.click(".studio.image .grow")
    page.get_by_text("got 202 characters, expected at most 200").first.wait_for()
    assert page.input_value(BOX) == long + "yz"
    page.fill(BOX, "fox")
    assert told.is_hidden()
    # in the Lab each line is a prompt
    page.click("#pages [data-tab-id=lab]")
    page.fill(".lab-page .prompt textarea", f"owl\n{long}yz")
    page.locator(".lab .now", has_text="Prompt 2 has 202 letters").wait_for()
    page.click("#pages [data-tab-id=image]")


def a_click_grows_from_there_and_grow_again_is_the_next_variation(page) -> None:
    click_cell(page, 8, 8)
    click_cell(page, 8, 8)  # chosen already: it grows
    wait_finished(page, 17)
    click_cell(page, 0, 0)
    wait_finished(page, 31)
    assert player_data(page)["seed"] == "0,0,0"
    assert page.evaluate(f"{RUN}.request.rng_seed") == 7
    # the same once more is the next variation
    first = page.evaluate(f"{RUN}.tokens.join()")
    page.click(".studio.image .grow")
    page.wait_for_function(f"{RUN}.request?.rng_seed === 8 && {STATE}.phase === 'done'")
    assert page.input_value(".studio.image .rng input") == "8"
    assert page.evaluate(f"{RUN}.tokens.join()") != first
    page.wait_for_selector(".studio.image .grow:text-is('Grow again')")
    # what is changed meanwhile meets the same random numbers
    page.fill(BOX, "owl")
    page.wait_for_selector(".studio.image .grow:text-is('Grow')")
    page.click(".studio.image .grow")
    page.wait_for_function(f"{RUN}.request?.prompt.includes('owl') && {STATE}.phase === 'done'")
    assert page.evaluate(f"{RUN}.request.rng_seed") == 8


def on_a_phone_it_can_move_what_plays_is_in_view_and_cells_can_be_hit(page) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    page.click(".studio.image [data-send=video]")
    page.wait_for_selector(".studio.video .player canvas:visible")
    page.wait_for_function("scrollY === 0")
    page.wait_for_function(f"{CLIP}.source?.address")
    assert page.evaluate(f"{CLIP}.region.keep.filter((k) => k).length") == 64
    assert page.is_visible(".studio.video .source img")
    page.click(".studio.video .clear")
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


def test_with_reduced_motion_nothing_plays_by_itself(open_page):
    """Neither race nor growth nor clip nor article."""
    page = open_page(reduced_motion="reduce")
    page.wait_for_selector(RACE)
    told = [
        words.splitlines()[-1] for words in page.locator(f"{RACE} figcaption").all_inner_texts()
    ]
    assert told == ["step 17 of 256", "step 17 of 31", "done in 17 steps"]
    page.click(".studio .grow")
    wait_finished(page, 17)
    # a clip moves only when it is played
    page.click("#pages [data-tab-id=video]")
    page.wait_for_selector(".studio.video .player[data-state=ready] canvas")
    page.click(".studio.video .grow")
    page.wait_for_function(f"{CLIP}.phase === 'done' && {CLIP_RUN}.finals.length > 0")
    page.wait_for_function(f"!{CLIP}.playing")
    tick = page.evaluate(f"{CLIP}.tick")
    page.wait_for_timeout(500)
    assert page.evaluate(f"{CLIP}.tick") == tick
    play = page.locator(".studio.video .play")
    assert play.get_attribute("aria-label") == "Play"
    play.click()
    page.wait_for_function(f"{CLIP}.layout === 'loop' && {CLIP}.tick > {tick + 3}")
    play.click()
    tick = page.evaluate(f"{CLIP}.tick")
    page.wait_for_timeout(500)
    assert page.evaluate(f"{CLIP}.tick") == tick
    # and so does the article
    page.click("#pages [data-tab-id=about]")
    page.wait_for_selector(".article .panes canvas")
    read(page, "gained")
    assert page.inner_text(".article .now") == "Step 31 of 256"
    before = page.evaluate(PIXELS)
    page.wait_for_timeout(300)
    assert page.evaluate(PIXELS) == before
    page.click(".article .play")
    page.wait_for_function("document.querySelector('.article .now').textContent > 'Step 31 of 256'")


def test_words_are_marked_picked_drawn_and_told(open_page, monkeypatch):
    page = open_page("?model=composed")
    page.wait_for_function(f"{STATE}.spec.model === 'composed'")
    names = page.locator(".studio.image .names")
    page.fill(BOX, "a scarlet car and a catt")
    names.locator(".taken").wait_for()
    assert names.locator(".taken").inner_text() == "scarlet → red"
    assert names.locator(".unknown").inner_text() == "catt: not known"
    assert names.locator(".known").all_inner_texts() == ["car ✓", "and ✓"]
    page.set_viewport_size({"width": 390, "height": 900})
    page.fill(BOX, f"a {'x' * 150} and a catt")
    page.wait_for_function("document.querySelector('.unknown')?.textContent.startsWith('xxx')")
    long, line = box_of(names.locator(".unknown").first), box_of(names)
    assert long["x"] + long["width"] <= line["x"] + line["width"]
    page.set_viewport_size({"width": 1280, "height": 900})
    names.get_by_text("cat?").click()
    assert page.input_value(BOX).endswith("x and a cat")
    page.fill(BOX, "a red car")
    names.locator(".taken, .unknown").first.wait_for(state="detached")
    names.get_by_text("every word known ✓").wait_for()
    assert names.locator("[data-name]").count() > 1
    names.get_by_label("Another idea").click()
    assert page.input_value(BOX) not in ("", "a red car")
    # they are picked, and Enter grows
    line = page.locator(".studio.image .knows")
    line.wait_for()
    assert line.inner_text().startswith("Knows 150 things")
    page.fill(BOX, "a red car")
    line.click()
    picker = page.locator(".studio.image .picker")
    picker.locator("[data-pick=cat] i").wait_for()
    cut = "(all) => all.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"
    assert picker.locator(".pictured span").evaluate_all(cut) == []
    seen_through = """() => [...document.querySelectorAll('.studio.image :is(span, button)')]
        .filter((e) => e.offsetParent && !e.closest('.picker')).filter((e) => {
            const picker = document.querySelector('.studio.image .picker');
            const [a, b] = [e, picker].map((one) => one.getBoundingClientRect());
            const [x, y] = [a.left + a.width / 2, a.top + a.height / 2];
            const isBehind = x > b.left && x < b.right && y > b.top && y < b.bottom;
            return isBehind && !picker.contains(document.elementFromPoint(x, y));
        }).map((e) => e.textContent)"""
    assert page.evaluate(seen_through) == []
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
    # what was drawn for what was asked is told
    page.fill(BOX, "a scarlet car")
    page.locator(".studio.image .taken").wait_for()
    page.focus(BOX)
    page.keyboard.press("Enter")
    wait_finished(page, 17)
    told = page.inner_text(".studio.image .drawn")
    assert told == "Asked “a scarlet car”, drawn “a red car”."
    # of a branch it is told of its words, not of what it changes
    page.evaluate(f"nar.pages.get('image').set(nar.store.scrubbed({STATE}, 5))")
    page.keyboard.press("Escape")
    page.click(".studio.image .branch")
    page.click(".studio.image .grow")
    wait_finished(page, 17)
    assert page.inner_text(".studio.image .drawn") == told
    # words that another page has sent are read too
    page.evaluate("nar.pages.send('image', { query: { prompt: 'a navy cat' } })")
    page.wait_for_function(f"document.querySelector('{BOX}').value === 'a navy cat'")
    page.locator(".studio.image .taken").get_by_text("navy → blue").wait_for()
    # words are offered where nothing moves; ideas, or another model, where nothing can be drawn
    still = {"drawn": "a cat", "words": [], "remarks": [], "wanting": ["jumps", "spins"]}
    monkeypatch.setattr("app.server.studio.understood", lambda info, prompt, others: still)
    page.fill(BOX, "a cat")
    names.get_by_role("button", name="spins").click()
    assert page.input_value(BOX) == "a cat spins"
    lost = {
        **still, "drawn": "", "wanting": [],
        "words": [{"text": "zeitgeist", "kind": "unknown", "meaning": ""}],
    }  # fmt: skip
    monkeypatch.setattr("app.server.studio.understood", lambda info, prompt, others: lost)
    page.fill(BOX, "zeitgeist")
    names.get_by_text("Nothing to draw").wait_for()
    idea = names.locator("[data-name]").first
    told = idea.inner_text()
    idea.click()
    assert page.input_value(BOX) == told != "zeitgeist"
    # and another model that can draw it
    elsewhere = {
        "drawn": "", "words": [{"text": "sunset", "kind": "unknown", "meaning": ""}], "remarks": [],
        "wanting": [], "elsewhere": [{"model": "wide", "title": "Vistas", "drawn": "at sunset"}],
    }  # fmt: skip
    monkeypatch.setattr("app.server.studio.understood", lambda info, prompt, others: elsewhere)
    page.fill(BOX, "sunset")
    page.get_by_role("button", name="Vistas: at sunset").click()
    page.wait_for_function(f"{STATE}.spec.model === 'wide'")
    assert page.input_value(BOX) == "sunset"


def test_the_address_holds_page_and_form_and_back_walks(open_page, served):
    page = open_page()
    page.fill(BOX, "owl")
    page.click(".studio.image [data-at=corner]")
    page.wait_for_function("/prompt=owl/.test(location) && /seed=0%2C0%2C0/.test(location)")
    for name in ("Lab", "About"):
        page.click(f"#pages button[role=tab]:has-text('{name}')")
        page.wait_for_function(
            f"new URLSearchParams(location.search).get('tab') === '{name.lower()}'"
        )
    page.go_back()
    page.wait_for_selector("#pages button[data-tab-id=lab][aria-selected=true]")
    page.go_back()
    page.wait_for_selector("#pages button[data-tab-id=image][aria-selected=true]")
    page.click("#theme")
    dark = page.evaluate("document.body.classList.contains('dark')")
    page.click(".studio.image .grow")
    wait_finished(page, 31)
    page.reload()
    wait_finished(page, 31)
    page.wait_for_function(f"document.querySelector('{BOX}')?.value === 'owl'")
    assert page.evaluate("document.body.classList.contains('dark')") == dark
    page.click(".recent button:has-text('owl')")
    wait_finished(page, 31)
    # a setting leads to what it does in the Lab, whose address holds what it compares
    page.click(".studio.image .settings [data-lab=guidance]")
    page.wait_for_selector(".lab [data-compare=guidance].on")
    words = ".lab-head .prompt textarea, .lab-head .prompt input"
    page.wait_for_function(f"document.querySelector('{words}').value === 'owl'")
    page.click("[data-compare=seeds]")
    page.wait_for_function("location.search.includes('compare=seeds')")
    page.click("[data-compare=guidance]")
    page.fill(".lab .values input", "1, 2.5, 4")
    page.keyboard.press("Tab")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(".lab .link")
    page.wait_for_function("document.querySelector('.lab .link').textContent === 'Copied'")
    link = page.evaluate("navigator.clipboard.readText()")
    page.goto("about:blank")
    page.goto(link)
    titles = "[...document.querySelectorAll('.lab figcaption b')].map((b) => b.textContent).join()"
    page.wait_for_function(f"{titles}.includes('2.5')")
    look_inside(page)
    page.wait_for_function("nar.pages.get('lab').state.spec.model === 'emoji'")
    assert page.evaluate("nar.pages.get('lab').state.values") == ["1", "2.5", "4"]
    # and so does Outpaint's
    page.click("#pages [data-tab-id=outpaint]")
    page.fill(".studio.outpaint .prompt textarea", "blue fish")
    page.keyboard.press("Tab")
    page.wait_for_function("location.search.includes('prompt=blue')")
    query = page.evaluate("location.search")
    assert "tab=outpaint" in query
    page.goto(served.url + query)
    page.wait_for_selector(".studio.outpaint .player canvas:visible")
    box = "document.querySelector('.studio.outpaint .prompt textarea').value"
    page.wait_for_function(f"{box} === 'blue fish'")
    assert page.evaluate("document.querySelector('.studio.image .prompt textarea').value") != (
        "blue fish"
    )


def test_what_has_grown_outlives_a_reload_also_in_the_middle_of_a_growth(open_page, served):
    """Gradio loads the page again by itself where a server that was lost comes back; until then it
    tells of nothing that is typed."""
    page, engine = open_page(), served.engine("emoji")
    page.fill(BOX, "owl")
    page.click(".studio .grow")
    wait_finished(page, 17)
    owl = page.evaluate(f"{RUN}.tokens.join()")
    page.evaluate(f"{PLAYER}.set(nar.store.branchMarked(nar.store.scrubbed({STATE}, 8)))")
    page.fill(BOX, "fox")
    engine.seconds_per_step = 0.2
    page.click(".studio .grow")
    page.wait_for_function(f"{RUN}.from === 8 && {STATE}.step >= 10")
    page.evaluate("addEventListener('nar:form', (e) => e.stopImmediatePropagation(), true)")
    page.fill(BOX, "half typed")
    page.fill(".rng input", "44")
    page.check(".studio.image .heads input[value=vertical]", force=True)
    page.wait_for_function("/heads=vertical.*rng_seed=44/.test(location.search)")
    # also one that nobody sees, of which only this is told
    page.evaluate("sessionStorage.removeItem('nar-left'); dispatchEvent(new Event('pagehide'))")
    assert page.evaluate("sessionStorage.getItem('nar-left')")
    page.reload()
    page.wait_for_selector(".player[data-state=done]")
    look_inside(page)
    page.wait_for_function(f"document.querySelector('{BOX}').value === 'half typed'")
    assert page.input_value(".rng input") == "44"
    assert page.is_checked(".studio.image .heads input[value=vertical]")
    stands = f"[{RUN}.state, {RUN}.title, {STATE}.lanes.length]"
    assert page.evaluate(stands) == ["stopped", "fox", 2]
    stood = page.evaluate(f"{STATE}.step")
    assert stood >= 10
    ran = engine.steps_run
    page.click(".player [data-lane='0'] .frame")  # the trunk, as it was
    assert page.evaluate(f"{RUN}.tokens.join()") == owl
    page.click(".player [data-lane='1'] .frame")
    assert engine.steps_run == ran, "nothing grows that was not asked for"
    engine.seconds_per_step = 0
    page.click(".player .branch:text('Go on')")
    page.wait_for_function(f"{RUN}.title === 'gone on' && {RUN}.finals.length")
    assert page.evaluate(f"[{RUN}.from, {RUN}.request.prompt]") == [stood, "half typed"]
    # a link that is opened in its place shows nothing of that
    page.goto(f"{served.url}?model=emoji&prompt=half+typed&rng_seed=44&heads=vertical")
    page.wait_for_selector(".player[data-state=ready]")


def test_a_link_fills_the_form_or_grows_the_same_up_to_a_step_of_a_branch(open_page):
    page = open_page("?prompt=fox&seed=0,0,0")
    page.wait_for_function(f"{STATE}.seedPosition.join() === '0,0,0'")
    assert page.input_value(BOX) == "fox"
    assert page.is_hidden(RACE)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.fill(BOX, "owl")
    page.fill(".rng input", "31")
    page.keyboard.press("Tab")
    page.click(".studio.image .grow")
    wait_finished(page, 31)
    told = overheard(page, "[data-act=link]", "copied")
    page.click("[data-act=link]")
    told()
    link = page.evaluate("navigator.clipboard.readText()")
    made = page.evaluate(f"{RUN}.tokens.join()")
    # a branch of it, and a link to one of its steps
    page.evaluate(f"{PLAYER}.set(nar.store.branchMarked(nar.store.scrubbed({STATE}, 8)))")
    page.fill(BOX, "fox")
    page.click(".studio.image .grow")
    page.wait_for_function(f"{RUN}.from === 8 && {STATE}.phase === 'done' && !{STATE}.playing")
    branched = page.evaluate(f"{RUN}.tokens.join()")
    assert branched != made
    page.evaluate(f"{PLAYER}.set(nar.store.scrubbed({STATE}, 12))")
    to_step = page.evaluate(
        f"""async () => (await import('/{address()}/link.js'))
            .linkOf({STATE}.runs, {RUN}, {STATE}.step)"""
    )
    other = open_page("?" + link.split("?")[1], ready=False)
    wait_finished(other, 31)  # it plays
    assert other.evaluate(f"{RUN}.tokens.join()") == made
    assert other.input_value(BOX) == "owl"
    assert other.input_value(".rng input") == "31"
    other.click(".studio .grow:text('Grow again')")
    other.wait_for_function(f"{RUN}.request?.rng_seed === 32")  # as after any growth
    other.fill(".rng input", "31")
    other.keyboard.press("Tab")
    other.click(".studio .grow")
    other.wait_for_function(f"{RUN}.request?.rng_seed === 31")
    assert other.evaluate(f"{RUN}.tokens.join()") == made
    other = open_page(f"?{to_step}", ready=False)
    other.wait_for_function(
        f"window.nar && {RUN}?.from === 8 && {STATE}.step === 12 && {STATE}.phase === 'done'"
    )
    assert other.evaluate(f"{RUN}.tokens.join()") == branched
    assert other.locator(".player [data-lane]").count() == 2


def test_a_link_grows_as_many_as_it_says_and_keeps_what_a_damaged_branch_would_leave(open_page):
    grown = f"window.nar && {RUN}?.finals.length && {STATE}.phase === 'done'"
    link = "?model=emoji&prompt=owl&rng=7&play=1"
    for asked, pictures in (("pictures=4", 4), ("num_samples=3", 3), ("num_samples=abc", 1),
                            ("num_samples=1000000000", 1)):  # fmt: skip
        page = open_page(f"{link}&{asked}", ready=False)
        page.wait_for_function(grown)
        assert page.evaluate(f"[{RUN}.samples, {RUN}.finals.length]") == [pictures, pictures]
        assert page.locator(".samples button:visible").count() == (pictures if pictures > 1 else 0)
        if asked == "num_samples=3":  # asked again and again, none of its pictures was there before
            page.click(".studio .grow")
            page.wait_for_function(f"{RUN}.request?.rng_seed === 10")
        page.close()  # a browser holds few streams of one server open
    for step in ("at%3D99%26prompt%3Dfox", ""):
        page = open_page(f"{link}&then={step}", ready=False)
        page.wait_for_function(f"{grown} && {PLAYER}.link === null")
        assert page.evaluate(f"[{STATE}.lanes.length, {RUN}.title]") == [1, "owl"]


def test_embedded_it_is_the_player_alone(open_page):
    page = open_page("?prompt=owl&model=emoji&embed=1&play=1", ready=False)
    wait_finished(page, 17)
    assert page.is_hidden("#head")
    assert page.is_hidden(".recent")
    assert page.is_visible(".player .screen canvas")
    for width, height in ((1280, 900), (640, 620), (390, 560)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("document.documentElement.scrollHeight <= innerHeight + 8")
    page = open_page("?embed=1", ready=False)
    page.wait_for_selector(f"{RACE} small")
    assert page.is_hidden(f"{RACE} p")  # nothing is asked for that cannot be done there


def test_the_first_page_has_the_model_that_the_lab_was_opened_or_filled_with(open_page):
    """They share a picker."""
    page = open_page("?tab=lab&model=fruit")
    both = "[nar.pages.get('lab'), nar.pages.get('image')].map((one) => one?.state.spec.model)"
    page.wait_for_function(f"window.nar && {both}.join() === 'fruit,fruit'")
    page.evaluate("nar.pages.send('lab', { query: { model: 'emoji', prompt: 'owl' } })")
    page.wait_for_function(f"{both}.join() === 'emoji,emoji'")
    words = "document.querySelector('.lab-head .prompt :is(textarea, input)').value"
    page.wait_for_function(f"{words} === 'owl'")


def test_where_scripts_do_not_come_it_is_said_and_the_page_can_be_loaded_again(open_page):
    page = open_page()
    page.route("**/article-store.js", lambda route: route.abort())
    page.click("#pages [data-tab-id=about]")
    page.wait_for_selector("p.not-come:has-text('The server does not answer')")
    page.unroute_all()
    page.click("p.not-come button")
    page.wait_for_selector(".article .panes canvas")
    assert page.locator("p.not-come").count() == 0


def test_on_a_phone_on_its_side_and_at_twice_the_size_a_growth_is_seen_whole_with_its_line(
    open_page,
):
    page = open_page(width=844, reduced_motion="reduce")
    for width, height in ((844, 390), (720, 450)):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("scrollTo(0, 0)")
        page.click(".studio .grow")
        page.wait_for_function(f"{STATE}.phase === 'done'")
        screen, line = (
            box_of(page.locator(f".studio.image .player {part}"))
            for part in (".screen", "output.now")
        )
        assert screen["y"] >= 0
        assert line["y"] + line["height"] <= height


def test_where_the_browser_keeps_nothing_the_page_is_the_same(new_page, served):
    """In a page of another site many let nothing be kept: even to look is an error."""

    def forgetful(route) -> None:
        reply = route.fetch()
        refuses = "get() { throw new DOMException('denied', 'SecurityError'); }"
        script = "".join(
            f"Object.defineProperty(window, '{name}', {{ {refuses} }});"
            for name in ("localStorage", "sessionStorage")
        )
        told = reply.text().replace("<head>", f"<head><script>{script}</script>", 1)
        route.fulfill(response=reply, body=told)

    page = new_page()
    page.route(served.url, forgetful)
    page.goto(served.url)
    page.wait_for_selector(".player[data-state=ready] canvas:visible")
    page.fill(BOX, "owl")
    page.click(".studio.image .grow")
    page.wait_for_selector(".player[data-state=done] .track[aria-valuenow='17']")
    page.locator(".recent [data-run]").wait_for()
    page.click("#theme")
    page.wait_for_selector("body.dark")
    page.unroute(served.url)
    page.goto("about:blank")


def test_where_the_words_of_a_model_come_late_nothing_moves_under_the_finger(new_page, served):
    page, held = new_page(390), []
    page.route("**/component_server/**", lambda route: held.append(route))
    with page.expect_request(lambda asked: "vocabulary" in (asked.post_data or "")):
        page.goto(served.url)
    page.wait_for_selector(".player[data-state=ready] canvas:visible")
    grow = page.locator(".studio.image .grow")
    top = box_of(grow)["y"]
    for late in held:
        late.continue_()
    page.wait_for_selector(".studio.image .knows:has-text('Knows')")
    page.wait_for_selector(".studio.image .names [data-name]")
    assert box_of(grow)["y"] == top


def test_other_sites_are_told_what_the_page_is(served):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(served.url) as reply:
        page = reply.read().decode()
    said = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]*)">', page))
    assert said["title"] == "NAR Studio"
    assert said["url"] == served.url
    assert page.count("og:image") == 1
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(said["image"]) as reply:
        assert Image.open(io.BytesIO(reply.read())).size == (1200, 630)
