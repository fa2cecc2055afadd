"""The main job in a real browser: ask, choose a cell, watch it grow, stop it."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.pages.parts import address
from app.server.spec import spec_of
from nar_core.plan import DIRECTIONS, GridShape, legal_seed_positions, make_plan, start_amid
from tests.app.fake_engine import MODELS
from tests.app.inside import box_of, said_at_once, toast, unhurried

PLAYER = "nar.pages.get('image')"
STATE = f"{PLAYER}.state"
RUN = "nar.run('image')"
TRACK = "document.querySelector('.player .track')"


def player_data(page) -> dict[str, Any]:
    """The start, the run, its state and how many of its steps were shown, on the Image page."""
    return page.evaluate(
        f"""() => ({{
          seed: {STATE}.seedPosition.join(), run: {STATE}.current, state: {STATE}.phase,
          painted: nar.painted('image'),
        }})"""
    )


def wait_state(page, state: str) -> None:
    page.wait_for_selector(f".player[data-state={state}]")


def wait_finished(page, steps: int) -> None:
    wait_state(page, "done")
    page.wait_for_selector(f".player .track[aria-valuenow='{steps}']")


def show(page, step: int) -> None:
    """Scrub to a step, whatever has the focus."""
    page.evaluate(f"{PLAYER}.set(nar.store.scrubbed({STATE}, {step}))")


def click_cell(page, row: int, column: int, side: int = 16) -> None:
    box = box_of(page.locator(".player .screen canvas"))
    cell = box["width"] / side
    page.mouse.click(box["x"] + (column + 0.5) * cell, box["y"] + (row + 0.5) * cell)


def choose_model(page, title: str) -> None:
    """Choose another model for the Image page, by its title."""
    page.click("#model input")
    page.get_by_role("option", name=title, exact=True).click()


def settled(read, timeout: float = 30.0):
    """Wait until `read()` is true."""
    end = time.monotonic() + timeout
    while not read():
        assert time.monotonic() < end, "did not settle"
        time.sleep(0.02)


def test_examples_and_names_are_offered_and_a_bad_prompt_or_leaving_the_picker_costs_nothing(
    open_page, served
):
    """The picker says its model again when it is left, by Tab on the way to something else too."""
    page, engine = open_page(), served.engine("emoji")
    an_example_replays(page, engine)
    names = page.locator(".studio.image .names")
    names.locator("[data-name]").first.wait_for()
    offered = set(names.locator("[data-name]").all_inner_texts())
    assert offered <= {"fox", "green pear", "owl", "red apple"}
    assert offered
    page.fill(".studio.image .prompt textarea", "Pear")
    names.get_by_text("green pear").click()
    assert page.input_value(".studio.image .prompt textarea") == "green pear"
    page.fill(".studio.image .prompt textarea", "submarine")
    assert names.locator("span").inner_text() == "not among its 4 names"
    names.get_by_label("Any of the 4 names").click()
    drawn = page.input_value(".studio.image .prompt textarea")
    assert drawn in {"fox", "green pear", "owl", "red apple"}
    page.click(".studio .grow")
    wait_finished(page, 17)
    assert page.evaluate(f"{RUN}.request.prompt") == drawn
    # nothing of that is lost
    heads = page.locator(".studio.image .heads").get_by_label("Horizontal", exact=True)
    heads.check()
    page.focus("#model input")
    ring = "getComputedStyle(document.querySelector('#model {}')).outlineStyle"
    around, inside = (page.evaluate(ring.format(part)) for part in (".wrap:has(input)", "input"))
    assert (around, inside) == ("solid", "none"), "one ring is around it"
    page.keyboard.press("Tab")
    page.click("#model input")
    shown = "[...document.querySelectorAll('[role=option]')].some((o) => o.offsetParent)"
    page.wait_for_function(shown)
    page.keyboard.press("Tab")
    page.wait_for_function(f"!{shown}")  # left with Tab it closes
    assert page.evaluate("document.activeElement.id") == "theme"
    page.click("#model input")
    page.keyboard.press("Escape")
    page.focus(".studio .grow")
    page.wait_for_timeout(700)
    assert page.evaluate(f"[{STATE}.phase, {STATE}.step]") == ["done", 17]
    assert heads.is_checked()
    # another is taken when it is chosen, and so is the first again; one of classes has no names
    for name, title in (("fruit", "Fruit"), ("emoji", "Emoji")):
        choose_model(page, title)
        page.wait_for_function(f"{STATE}.spec.model === '{name}'")
        hidden = ".studio.image .names[hidden]" if name == "fruit" else ".studio.image .names"
        page.wait_for_selector(hidden, state="attached" if name == "fruit" else "visible")
    a_bad_prompt_costs_nothing(page, engine)
    no_step_is_lost_where_values_are_not_seen(page, engine)


def an_example_replays(page, engine) -> None:
    """On a page that has just been opened."""
    examples = page.locator(".player .examples button")
    ran = engine.steps_run
    unhurried(page, 31)
    examples.first.click()
    page.wait_for_function(f"{RUN}?.replayed && {STATE}.step === {RUN}.plan.total")
    wait_state(page, "done")
    assert player_data(page)["painted"] == page.evaluate(f"{RUN}.plan.total")
    assert engine.steps_run == ran
    page.evaluate("window.pace = 0")
    page.focus(".player .track")
    page.keyboard.press("n")


def a_bad_prompt_costs_nothing(page, engine) -> None:
    """It is a toast."""
    before = engine.steps_run
    page.fill(".prompt textarea", "very " * 20 + "long")
    page.click(".studio .grow")
    assert "words" in toast(page)
    wait_state(page, "ready")
    # the same refusal once more reaches the page as well
    refused = page.evaluate(f"{PLAYER}.heard.sent.run")
    page.click(".studio .grow")
    page.wait_for_function(
        f"{PLAYER}.heard.sent.run !== '{refused}' &&"
        f"Object.values({PLAYER}.heard.sent.messages).at(-1).kind === 'failed'"
    )
    wait_state(page, "ready")
    assert engine.steps_run == before
    # nor is what was refused taken for what has grown
    page.fill(".prompt textarea", "owl")
    page.click(".studio .grow")
    wait_finished(page, 17)
    variation = page.input_value(".rng input")
    for _ in range(2):
        refused = page.evaluate(f"{PLAYER}.heard.sent.run")
        page.fill(".prompt textarea", "very " * 20 + "long")
        page.click(".studio .grow:text-is('Grow')")
        page.wait_for_function(
            f"{PLAYER}.heard.sent.run !== '{refused}' && {STATE}.phase === 'done'"
        )
    page.wait_for_selector(".studio .grow:text-is('Grow')")
    assert page.input_value(".rng input") == variation


def no_step_is_lost_where_values_are_not_seen(page, engine) -> None:
    """Gradio tells a component of the last of those that come at once: here of every fourth."""
    page.fill(".prompt textarea", "owl")
    page.evaluate(
        f"""() => {{
          const player = {PLAYER}, [receive, hear] = [player.receive, player.hear];
          let number = 0;
          window.heard = [];
          player.receive = (sent) => {{
            const isLast = JSON.stringify(sent).includes('"done"');
            if (number++ % 4 === 3 || isLast) receive.call(player, sent);
          }};
          player.hear = (message) => {{
            if (message?.kind === 'steps') window.heard.push(...message.frames.map((f) => f.step));
            hear.call(player, message);
          }};
        }}"""
    )
    engine.seconds_per_step = 0.05
    page.click(".studio .grow")
    wait_finished(page, 17)
    assert page.evaluate("heard") == list(range(1, 18))


def test_a_growth_of_a_picture_or_a_clip_and_its_transport_by_mouse_and_by_keyboard(
    open_page, served
):
    """What it tells a screen reader, what every layer draws, and that every step is painted."""
    page, engine = open_page(), served.engine("emoji")
    now, track = page.locator(".player output.now"), page.locator(".player .track")
    assert (now.get_attribute("role"), now.get_attribute("aria-live")) == ("status", "polite")
    assert track.get_attribute("aria-valuetext") == "17 steps planned"
    page.click(".studio .grow")
    wait_finished(page, 17)
    box = box_of(track)
    each = box_of(page.locator(".player .bar").nth(1))["x"]
    each -= box_of(page.locator(".player .bar").nth(0))["x"]
    page.mouse.click(box["x"] + 5.5 * each, box["y"] + 20)
    assert now.inner_text().startswith("Step 6 of 17")
    assert track.get_attribute("aria-valuenow") == "6"
    assert track.get_attribute("aria-valuetext") == "step 6 of 17"
    speed = page.locator(".player .speed")
    said = []
    for _ in range(3):
        speed.click()
        said.append(speed.inner_text())
    assert said == ["2×", "0.5×", "1×"]
    play = page.locator(".player .play")
    assert play.get_attribute("aria-label") == "Play"
    space = f"{TRACK}.dispatchEvent(new KeyboardEvent('keydown', {{ key: ' ', bubbles: true }}))"
    label = "document.querySelector('.player .play').ariaLabel"
    assert said_at_once(page, space, label) == "Pause"
    page.wait_for_function(f"{label} === 'Play'")  # at the end
    assert said_at_once(page, f"{space}; {space}", label) == "Play"
    page.focus(".player .track")
    page.keyboard.press("End")
    assert track.get_attribute("aria-valuenow") == "17"
    page.keyboard.press("Home")
    assert track.get_attribute("aria-valuenow") == "1"
    # every layer changes what is drawn, and hovering lights cells
    show(page, 9)
    drawn = "document.querySelector('.studio.image .screen canvas').toDataURL()"
    plain = page.evaluate(drawn)
    for key in "1234":
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press(key)
        assert page.evaluate(drawn) != plain
        page.keyboard.press(key)
        assert page.evaluate(drawn) == plain
    box = box_of(page.locator(".player .screen canvas"))
    cell = box["width"] / 16
    page.mouse.move(box["x"] + 8.5 * cell, box["y"] + 5.5 * cell)  # distance 3
    read = """([row, column]) => {
        const canvas = document.querySelector('.studio.image .screen canvas');
        const c = canvas.width / 16, pen = canvas.getContext('2d');
        return [...pen.getImageData((column + .5) * c, (row + .5) * c, 1, 1).data].join();
    }"""
    lit, dim = page.evaluate(read, [8, 6]), page.evaluate(read, [8, 3])  # distance 2 and 5
    page.mouse.move(2, 2)
    assert page.evaluate(read, [8, 6]) != lit
    assert page.evaluate(read, [8, 3]) != dim
    # from another cell, by keyboard alone
    page.keyboard.press("n")
    wait_state(page, "ready")
    page.focus(".player .screen canvas")
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert player_data(page)["seed"] == "0,7,6"
    page.keyboard.press("Enter")
    steps = make_plan(GridShape(1, 16, 16), (0, 7, 6)).total
    wait_finished(page, steps)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".player .now").startswith(f"Step 2 of {steps}")
    page.keyboard.press("3")
    assert page.is_checked("[data-layer=confidence]")
    page.keyboard.press("n")
    wait_state(page, "ready")
    # with other words from a third, by the mouse
    page.fill(".prompt textarea", "green pear")
    click_cell(page, 3, 5)
    assert player_data(page)["seed"] == "0,3,5"
    plan = make_plan(GridShape(1, 16, 16), (0, 3, 5))
    assert page.inner_text(".player .now").startswith(f"{plan.total} steps from here")
    assert page.locator(".player .bar.plan").count() == plan.total
    unhurried(page, plan.total)
    page.click(".studio .grow")
    wait_finished(page, plan.total)
    assert player_data(page)["painted"] == plan.total
    request = page.evaluate(f"{RUN}.request")
    assert request["prompt"] == "green pear"
    assert request["seed_position"] == [0, 3, 5]
    assert engine.open_runs == 0
    page.evaluate("window.pace = 0")
    a_clip_is_the_same_player(page)
    one_of_holistic_tokens_shows_its_lattice(page, served)


def a_clip_is_the_same_player(page) -> None:
    page.click("#pages [data-tab-id=video]")
    page.wait_for_selector(".studio.video .grow")
    clip = "nar.pages.get('video')"
    now = page.locator(".studio.video .player .now")
    total = make_plan(GridShape(4, 8, 8), (2, 4, 4)).total
    assert now.inner_text().startswith(f"{total} steps")
    page.focus(".studio.video canvas")
    page.keyboard.press("PageDown")
    assert page.evaluate(f"{clip}.state.seedPosition.join()") == "3,4,4"
    total = make_plan(GridShape(4, 8, 8), (3, 4, 4)).total
    unhurried(page, total)
    page.keyboard.press("Enter")
    page.wait_for_function(f"{clip}.state.step === {total}")
    page.wait_for_selector(".studio.video .player[data-state=done]")
    assert page.evaluate("nar.painted('video')") == total
    page.click(".studio.video [data-layout=loop]")
    tick = page.evaluate(f"{clip}.state.tick")
    page.wait_for_function(f"{clip}.state.tick > {tick + 1}")


def one_of_holistic_tokens_shows_its_lattice(page, served) -> None:
    """And some decodes."""
    served.engine("whole").seconds_per_step = 0.02
    page.click(".studio.video .settings [aria-label=Model]")
    page.get_by_role("option", name="Whole").click()
    player, run = "nar.pages.get('video')", "nar.run('video')"
    page.wait_for_function(f"{player}.state.spec.model === 'whole'")
    assert "describes the whole clip" in page.inner_text(".studio.video .starts small")
    page.click(".studio.video .grow")
    page.wait_for_selector(".studio.video .player[data-state=done]")
    page.wait_for_function(f"{run}.guesses.size > 0")
    first = page.evaluate(f"Math.min(...{run}.guesses.keys())")
    scrub = f"{player}.set(nar.store.scrubbed({player}.state, %s))"
    page.evaluate(scrub % first)
    assert f"Decoded at step {first}" in page.inner_text(".studio.video .guess")
    shown = f"nar.canvas.sceneOf({player}.state, {run}, 0, {{}})"
    assert page.evaluate(f"{shown}.image === null && {shown}.layers.confidence")
    page.evaluate(scrub % f"{run}.plan.total")
    assert page.is_hidden(".studio.video .guess")
    assert page.evaluate(f"{shown}.image !== null && !{shown}.layers.confidence")


@pytest.fixture
def slow_growth(open_page, served):
    """A page in the middle of a growth of 33 steps that takes at least a quarter of a minute."""
    page, engine = open_page("?model=wide"), served.engine("wide")
    page.wait_for_function(f"{STATE}.spec.model === 'wide'")
    engine.seconds_per_step, engine.steps_run = 0.1, 0
    page.click(".studio .grow")
    settled(lambda: engine.steps_run >= 3)
    engine.seconds_per_step = 0.5
    return page, engine


def test_stop_frees_the_engine_and_no_frame_of_it_comes_later(slow_growth):
    """Neither into what grows next nor into what is grown again at the instant of stopping. Closing
    the tab frees it, too, and on a slow line no step is lost."""
    page, engine = slow_growth
    page.wait_for_function(f"{STATE}.step >= 2")
    old = page.evaluate(f"Object.values({PLAYER}.heard.sent.messages).at(-1)")
    assert old["kind"] == "steps"
    page.click(".studio .stop")
    settled(lambda: engine.open_runs == 0)
    wait_state(page, "done")
    assert engine.steps_run < 33
    # it has ended at the step that is seen
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
    engine.seconds_per_step = 0
    page.click(".studio .branch")
    wait_finished(page, 33)
    steps = page.evaluate(f"[...{RUN}.plan.step]")
    after = page.evaluate(f"[...{RUN}.tokens]")
    assert all(a == b for a, b, s in zip(after, tokens, steps, strict=True) if s <= step)
    assert page.evaluate(f"{RUN}.request.rng_seed") == 7
    # and something else
    engine.seconds_per_step = 0.02
    page.fill(".prompt textarea", "blue fish")
    page.click(".studio .grow")
    page.wait_for_function(f"{RUN}.title === 'blue fish'")
    page.evaluate(f"old => {PLAYER}.receive({{...old}})", old)
    run = page.evaluate(f"{RUN}.id")
    assert old["run"] != run
    wait_finished(page, 33)
    assert player_data(page)["run"] == run
    assert page.evaluate(f"{RUN}.title") == "blue fish"
    assert page.evaluate(f"{RUN}.request.prompt") == "blue fish"
    # at the instant of stopping
    engine.seconds_per_step = 0.05
    unhurried(page, 33)
    page.click(".studio .grow")
    settled(lambda: engine.open_runs == 1)
    for number in range(3):
        page.evaluate(f"{PLAYER}.stop(); {PLAYER}.start({{ title: 'run {number}' }})")
    run = page.evaluate(f"{RUN}.id")
    wait_finished(page, 33)
    assert player_data(page)["run"] == run
    assert page.evaluate(f"{RUN}.title") == "run 2"
    assert player_data(page)["painted"] == 33
    settled(lambda: engine.open_runs == 0)
    # on a slow line
    page.focus(".player .track")
    page.keyboard.press("n")
    wait_state(page, "ready")
    page.click(".studio.image [data-at=corner]")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 150, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    engine.seconds_per_step = 0.01
    unhurried(page, 63)
    page.click(".studio .grow")
    wait_finished(page, 63)
    assert player_data(page)["painted"] == 63
    network.detach()
    settled(lambda: engine.open_runs == 0)
    # and the tab is closed
    engine.seconds_per_step, engine.steps_run = 0.1, 0
    page.click(".studio .grow")
    settled(lambda: engine.steps_run >= 3)
    engine.seconds_per_step = 0.5
    page.close()
    settled(lambda: engine.open_runs == 0)
    assert engine.steps_run < 33


def test_of_a_model_it_is_said_where_it_may_start_and_where_it_is_not_here_it_is_fetched(
    open_page, served
):
    """A transfer, which waits half way, is asked for and told; its failure loses nothing, and what
    has come grows."""
    gate = served.gate
    shown = "getComputedStyle(document.querySelector('#head .model-facts')).opacity"
    page = open_page()
    assert page.evaluate(shown) == "0"
    choose_model(page, "Corner")
    page.wait_for_function(f"{STATE}.spec.model === 'corner'")
    # there is nothing to compare
    assert page.locator(".studio.image .starts [data-lab]").is_hidden()
    click_cell(page, 5, 5)
    words = page.inner_text(".player .now")
    assert "row 1, column 1 is possible" in words
    grow = "document.querySelector('.studio .grow').click()"
    assert said_at_once(page, grow, f"{STATE}.phase") == "ready"
    page.mouse.move(5, 700)
    page.evaluate("document.activeElement.blur()")
    # one that is not here says so without being pointed at
    page.click("#model input")
    page.wait_for_selector("#model [aria-expanded=true]")
    page.wait_for_function(f"{shown} === '0'")  # it would lie on the models
    page.click("text=Far (to be fetched)")
    page.mouse.move(5, 700)
    page.evaluate("document.activeElement.blur()")
    page.wait_for_function(f"{shown} === '1'")
    assert "Not on this server" in page.inner_text("#head .model-facts")
    page.click("#head summary")
    assert page.locator("#head details[open]").count() == 1
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        facts = box_of(page.locator("#head > .model-facts"))
        tabs = box_of(page.locator("#pages [role=tab]").first)
        assert width > 760 or facts["y"] + facts["height"] <= tabs["y"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    # and it is fetched when it is asked for once more
    page.wait_for_function(f"{STATE}.spec.model === 'far'")
    page.fill(".prompt textarea", "grey goose")
    page.click(".studio .grow")
    assert "522 MB would be fetched first. Ask for it once more" in toast(page)
    wait_state(page, "ready")
    try:
        for gate.offline in (True, False):
            gate.go.clear()
            page.click(".toast-close")
            page.wait_for_selector(".toast-body", state="detached")
            page.click(".studio .grow")
            now = "document.querySelector('.player .now').innerText"
            page.wait_for_function(f"{now}.includes('50 %')")
            assert "Downloading Far" in page.inner_text(".player .now")
            gate.go.set()
            if gate.offline:
                assert "put it into checkpoints/far" in toast(page)
                wait_state(page, "ready")
                assert page.input_value(".prompt textarea") == "grey goose"
    finally:
        gate.go.set()
    wait_finished(page, 17)
    assert page.evaluate(f"{RUN}.spec.model") == "far"


def test_the_plan_drawn_is_the_plan_decoded(served, context):
    """web/plan.js against nar_core.plan: steps, senders, legality, with and without known cells;
    and where growth starts amid what is known."""
    page = context.new_page()
    page.goto(f"{served.url}{address()}/plan.js")  # any page of the server
    rng = np.random.default_rng(3)
    cases = []
    for grid in (GridShape(1, 7, 5), GridShape(3, 4, 5)):
        hole = np.ones(grid, bool)
        hole[:, 1:3, 2:4] = False
        for directions, level in ((DIRECTIONS, "zero"), (("+w", "+h", "+t"), "distance")):
            for known in (None, hole, ~hole):
                seed = tuple(int(rng.integers(n)) for n in grid)
                cases += [(grid, seed, known, directions, level)]
                cases += [(grid, (0, 0, 0), known, directions, level)]
    script = (
        f"const {{ isLegal, makePlan, maySee, sendersOf }} = await import('/{address()}/plan.js');"
        """
    const plan = makePlan(spec, seed, known), cells = [...plan.step.keys()];
    return JSON.stringify({
      step: [...plan.step], legal: isLegal(plan), total: plan.total,
      sees: cells.map(i => cells.filter(j => maySee(plan, i, j))),
      senders: cells.map(i => sendersOf(plan, i).map(s => [s.head.name, s.cell])) });
    """
    )

    def planned(spec, seed, known):
        """As text: to read it value by value would take most of the test's time."""
        call = f"async ([spec, seed, known]) => {{ {script} }}"
        return json.loads(page.evaluate(call, [spec, list(seed), known]))

    for grid, seed, known, directions, level in cases:
        spec = {"grid": list(grid), "directions": list(directions), "known_level": level}
        given = None if known is None else known.astype(int).reshape(-1).tolist()
        drawn = planned(spec, seed, given)
        legal = legal_seed_positions(grid, directions, known, level)[seed]
        assert drawn["legal"] == bool(legal)
        if not legal:
            continue
        plan = make_plan(grid, seed, known, directions, level)
        assert drawn["total"] == plan.total
        for cell, seen in enumerate(drawn["sees"]):
            assert seen == np.flatnonzero(plan.levels <= plan.levels[cell]).tolist()
        for number, step in enumerate(plan.steps, 1):
            for cell, fan_in in zip(step.positions, step.fan_in, strict=True):
                assert drawn["step"][cell] == number
                senders = [[DIRECTIONS[d], int(s)] for d, s in enumerate(fan_in) if s >= 0]
                assert drawn["senders"][cell] == senders
    info = next(m for m in MODELS if m.name == "corner")
    seed = (0, 0, info.grid.w - 1)
    # a file of before may hold the mirror image of a growth
    plan = make_plan(info.grid, seed, None, ("-w", "+h"), "distance")
    spec = {**spec_of(info), "mirrors": True}
    drawn = planned(spec, seed, None)
    for cell, fan_in in enumerate(plan.fan_in):
        senders = [[DIRECTIONS[d], int(s)] for d, s in enumerate(fan_in) if s >= 0]
        assert drawn["senders"][cell] == senders
    # rectangles that are known or holes, and cells here and there
    known = []
    for n in range(60):
        cells = np.zeros((1 + n % 3, 6, 7), bool)
        ends = [sorted(rng.choice(side + 1, 2, replace=False)) for side in cells.shape]
        cells[tuple(slice(*end) for end in ends)] = True
        known.append([cells, ~cells, rng.random(cells.shape) < 0.3][n % 7 % 3])
    known = [cells for cells in known if cells.any()]
    holes = sum(not cells[start_amid(cells)] for cells in known)
    assert 5 < holes < len(known) - 5
    given = [[cells.astype(int).reshape(-1).tolist(), cells.shape] for cells in known]
    script = f"(await import('/{address()}/plan.js')).startAmid(...one)"
    found = page.evaluate(f"(all) => Promise.all(all.map(async (one) => {script}))", given)
    assert [tuple(at) for at in found] == [start_amid(cells) for cells in known]
    page.close()
