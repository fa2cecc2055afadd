"""What can be done with a result in a real browser: branch, replay, make again, link, return."""

from __future__ import annotations

import base64
import io
import threading

from PIL import Image

from tests.app.inside import box_of, overheard, toast, unhurried
from tests.app.test_browser_growth import (
    RUN,
    STATE,
    choose_model,
    player_data,
    settled,
    wait_finished,
    wait_state,
)


def picture_of(page) -> bytes:
    return base64.b64decode(page.evaluate(f"{RUN}.pictures[0]").split(",")[1])


def branch(page, step: int, change) -> None:
    """Continue the finished growth from a step with something changed."""
    page.focus(".player .track")
    for _ in range(17 - step):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("b")
    change()
    page.click(".studio .grow")
    page.wait_for_function(f"{RUN}.from === {step} && {RUN}.finals.length === 1")
    wait_finished(page, 17)


def test_branches_keep_what_was_before_and_form_a_tree_that_says_what_was_changed(grown, sound):
    before = grown.evaluate(f"[...{RUN}.tokens]")
    grown.focus(".player .track")
    for _ in range(9):
        grown.keyboard.press("ArrowLeft")
    assert grown.inner_text(".player .now").startswith("Step 8 of 17")
    grown.keyboard.press("b")
    grown.fill(".prompt textarea", "fox")
    assert grown.inner_text(".studio .grow") == "Continue from step 8"
    unhurried(grown, 17)
    grown.click(".studio .grow")
    wait_finished(grown, 17)
    assert player_data(grown)["painted"] == 10  # where it left, and nine more
    after = grown.evaluate(f"[...{RUN}.tokens]")
    steps = grown.evaluate(f"[...{RUN}.plan.step]")
    assert all(a == b for a, b, s in zip(after, before, steps, strict=True) if s <= 8)
    assert after != before
    assert grown.locator(".player [data-lane]").count() == 2
    grown.locator(".player [data-lane='0'] .frame").click()
    assert grown.evaluate(f"[...{RUN}.tokens]") == before

    def settings():
        grown.locator(".settings .head input[type=number]").first.fill("6")
        grown.keyboard.press("Tab")
        grown.locator(".heads label", has_text="Vertical").click()

    # a branch of the branch leaves it, not the trunk
    grown.locator(".player [data-lane='1'] .frame").click()
    branch(grown, 12, settings)
    lanes = grown.locator(".player [data-lane]")
    named = [lanes.nth(k).get_attribute("aria-label") for k in range(3)]
    assert named == ["owl", "fox, from step 8", "vertical, guidance scale 6, from step 12"]
    starts = grown.eval_on_selector_all(
        ".player .lane path",
        "paths => paths.map(p => Number(p.getAttribute('d').match(/V?([0-9.]+)V/)[1]))",
    )
    assert starts[1] > starts[0]
    request = grown.evaluate(f"{RUN}.request")
    assert (request["guidance_scale"], request["heads"]) == (6, "vertical")
    sound(grown)  # with Recent


def test_downloads_are_the_files_they_say_and_come_back_from_recent_and_from_a_file_beside_others(
    grown, open_page, served, tmp_path
):
    with grown.expect_download() as saved:
        grown.click("[data-act=save]")
    assert saved.value.suggested_filename == "owl.png"
    picture = Image.open(saved.value.path())
    assert picture.size == (128, 128)
    assert "nar_studio" in picture.text
    with grown.expect_download() as saved:
        grown.click("[data-act=growth]")
    assert saved.value.suggested_filename == "owl-growth.gif"
    assert Image.open(io.BytesIO(saved.value.path().read_bytes())).n_frames == 17
    grown.fill(".prompt textarea", "fox")
    grown.click(".studio .grow")
    grown.wait_for_function(f"{RUN}.title === 'fox'")
    wait_finished(grown, 17)
    assert grown.locator(".recent [data-run]").count() == 2
    grown.locator(".recent [data-run]", has_text="owl").click()
    grown.wait_for_function(f"{RUN}.title === 'owl'")
    grown.focus(".player .track")
    grown.keyboard.press("ArrowLeft")
    assert grown.inner_text(".player .now").startswith("Step 16 of 17")
    # there are not more than a few
    grown.evaluate(
        f"""() => {{
        for (let k = 0; k < 40; k++)
          nar.pages.finished({{ ...{RUN}, id: `r${{k}}`, title: `r${{k}}` }}, 'image', []);
        }}"""
    )
    kept = grown.locator(".recent [data-run] span").all_inner_texts()
    assert kept == [f"r{k}" for k in range(39, 23, -1)]
    # a file replays and is made again, and a foreign one is a toast
    page, engine = grown, served.engine("emoji")
    file = tmp_path / "owl.png"
    file.write_bytes(picture_of(page))
    page.keyboard.press("n")
    plain = tmp_path / "plain.png"
    Image.new("RGB", (64, 64)).save(plain)
    page.set_input_files(".recent input[type=file]", plain)
    assert "plain.png: got no recipe inside" in toast(page)
    wait_state(page, "ready")
    ran = engine.steps_run
    unhurried(page, 17)
    page.set_input_files(".recent input[type=file]", file)
    wait_finished(page, 17)
    assert player_data(page)["painted"] == 17
    assert engine.steps_run == ran
    page.click("[data-act=again]")
    page.wait_for_selector(".verdict:not([hidden])")
    assert page.inner_text(".verdict") == "Verified: every token is the same."
    assert engine.steps_run == ran + 17
    several_pictures_share_one_growth(page)
    who_waits_is_told_and_a_tab_closed_during_the_first_step_frees_the_engine(
        page, open_page, served.engine("wide")
    )


def several_pictures_share_one_growth(page) -> None:
    page.evaluate("window.pace = 0")
    page.focus(".player .track")
    page.keyboard.press("n")
    page.locator(".pictures label", has_text="4").click()
    page.click(".studio .grow")
    wait_finished(page, 17)
    first = page.evaluate(f"{RUN}.tokens.slice(0, 256).join()")
    page.locator(".samples button").nth(2).click()
    assert page.evaluate(f"{STATE}.sample") == 2
    assert page.evaluate(f"{RUN}.tokens.slice(512, 768).join()") != first


def who_waits_is_told_and_a_tab_closed_during_the_first_step_frees_the_engine(
    page, open_page, engine
) -> None:
    """While somebody else grows it waits."""
    first = open_page("?model=wide")
    first.wait_for_function(f"{STATE}.spec.model === 'wide'")
    engine.seconds_per_step = 0.1
    first.click(".studio .grow")
    first.wait_for_function(f"{RUN}.last >= 1")
    engine.seconds_per_step = 1.0  # longer than what is looked at meanwhile
    page.bring_to_front()
    page.click(".studio .grow")
    page.wait_for_function(
        "document.querySelector('.player .now').textContent.includes('1 ahead of you')"
    )
    first.click(".studio .stop")
    engine.seconds_per_step = 0.0
    wait_finished(page, 17)
    # closed
    first.bring_to_front()
    settled(lambda: engine.open_runs == 0)
    engine.seconds_per_step, engine.steps_run = 1.0, 0
    first.click(".studio .grow")
    settled(lambda: engine.open_runs == 1)
    first.close()
    settled(lambda: engine.open_runs == 0)
    assert engine.steps_run <= 3


def test_the_microscope_tells_of_a_cell_and_of_all_and_growth_goes_on_from_another_candidate(
    grown, served, monkeypatch, tmp_path, sound
):
    """A branch in which one token was chosen; its file says so and is made again."""
    # hovering names the distance, the step, the token and its senders
    box = box_of(grown.locator(".player .screen canvas"))
    cell = box["width"] / 16
    grown.mouse.move(box["x"] + 6.5 * cell, box["y"] + 11.5 * cell)
    tip = grown.inner_text(".player .tip")
    assert "Row 12, column 7" in tip
    assert "horizontal + vertical" in tip
    token = grown.evaluate(f"{RUN}.tokens[11 * 16 + 6]")
    assert str(token) in tip
    grown.focus(".player .screen canvas")
    assert grown.locator(".microscope").is_hidden()
    grown.keyboard.press("m")
    assert grown.inner_text(".microscope") == "Click a cell to see why it became what it is."
    runs = grown.evaluate(f"Object.keys({STATE}.runs).length")
    box = box_of(grown.locator(".player .screen canvas"))
    cell = box["width"] / 16
    grown.mouse.click(box["x"] + 9.5 * cell, box["y"] + 3.5 * cell)
    grown.wait_for_selector(".microscope header")
    told = grown.inner_text(".microscope")
    assert told.startswith("Row 4, column 10 in step")
    assert "→ horizontal head\nfor row 4, column 9" in told
    assert "↓ vertical head\nfor the condition alone" in told
    assert "by the number 0.125" in told
    token = grown.evaluate(f"{RUN}.tokens[3 * 16 + 9]")
    drawn = grown.locator(".microscope .drawn-one img")
    assert drawn.count() == 5  # in two heads, fused, guided, drawn from
    assert drawn.first.get_attribute("alt") == f"Token {token}, 75 %, drawn"
    assert grown.evaluate("document.querySelector('.microscope img').naturalWidth") == 8
    # a click asks and does not start another growth; without the microscope it does
    assert grown.evaluate(f"Object.keys({STATE}.runs).length") == runs
    assert grown.evaluate(f"{STATE}.phase") == "done"
    # keys go to the next cell and ask
    grown.keyboard.press("ArrowDown")
    chosen = "Row 5, column 10: press Enter to see why it became what it is."
    assert grown.inner_text(".microscope") == chosen
    grown.keyboard.press("Enter")
    grown.locator(".microscope header", has_text="Row 5, column 10 in step").wait_for()
    assert grown.evaluate(f"[Object.keys({STATE}.runs).length, {STATE}.step]") == [runs, 17]
    grown.keyboard.press("m")
    assert grown.locator(".microscope").is_hidden()

    # what cannot be explained is a toast
    def refused(*asked):
        raise ValueError("cell: got one that nobody knows")

    monkeypatch.setattr(served.engine("emoji"), "explain", refused)
    grown.click(".player .lens")
    grown.click(".player .screen canvas", position={"x": 40, "y": 40})
    assert "got one that nobody knows" in toast(grown)
    assert grown.inner_text(".microscope") == "Click a cell to see why it became what it is."
    monkeypatch.undo()
    grown.click(".toast-close")
    grown.wait_for_selector(".toast-body", state="detached")
    grown.click(".player .lens")
    # a map shows where the heads disagree, in place of what is told of a cell, until one is clicked
    button = ".player .disagree"
    assert grown.locator(button).is_hidden()
    grown.click(".player .lens")
    before = grown.evaluate("document.querySelector('.player .screen canvas').toDataURL()")
    grown.click(button)
    grown.wait_for_function("document.querySelector('.microscope').innerText.includes('nats')")
    assert "by up to 0.17 nats" in grown.inner_text(".microscope")  # of 17 steps
    values = grown.evaluate(f"{STATE}.map.values")
    steps = grown.evaluate(f"[...{RUN}.plan.step]")
    assert [value for row in values[0] for value in row] == [step / 100 for step in steps]
    seen = grown.evaluate("document.querySelector('.player .screen canvas').toDataURL()")
    assert seen != before
    assert grown.get_attribute(button, "aria-pressed") == "true"
    sound(grown, "#player-image")
    grown.click(".player .screen canvas", position={"x": 40, "y": 40})
    grown.wait_for_selector(".microscope header")
    assert grown.get_attribute(button, "aria-pressed") == "false"
    sound(grown, "#player-image")
    served.engine("emoji").digest, kept = "other weights", served.engine("emoji").digest
    try:
        grown.click(button)
        assert "other weights of emoji made" in toast(grown)
        assert grown.get_attribute(button, "aria-pressed") == "false"
    finally:
        served.engine("emoji").digest = kept
    grown.keyboard.press("m")
    assert grown.locator(button).is_hidden()
    # what is asked again is answered: the same answer twice is no message less, and a second
    # question is not dropped
    canvas, told = ".player .screen canvas", ".microscope header"
    first, second = {"x": 40, "y": 40}, {"x": 200, "y": 120}
    grown.click(".player .lens")
    words = ""
    for _ in range(2):
        grown.click(canvas, position=first)
        grown.wait_for_selector(told)
        words = grown.inner_text(told)
        assert "Looking" not in grown.inner_text(".microscope")
    for shown in ("nats", "Click a cell", "nats"):  # the map is asked for, put away, asked for
        grown.click(".player .disagree")
        grown.wait_for_function(
            f"document.querySelector('.microscope').innerText.includes('{shown}')"
        )
    explain, go = served.engine("emoji").explain, threading.Event()

    def slowly(*asked):
        assert go.wait(60)
        return explain(*asked)

    monkeypatch.setattr(served.engine("emoji"), "explain", slowly)
    grown.click(canvas, position=first)
    grown.wait_for_timeout(300)
    grown.click(canvas, position=second)
    go.set()
    grown.wait_for_selector(told)
    assert grown.inner_text(told) != words
    monkeypatch.undo()
    grown.keyboard.press("m")
    # growth goes on from another candidate
    before = grown.evaluate(f"[...{RUN}.tokens]")
    grown.click(".player .lens")
    box = box_of(grown.locator(".player .screen canvas"))
    cell = box["width"] / 16
    grown.mouse.click(box["x"] + 9.5 * cell, box["y"] + 3.5 * cell)
    grown.click(".microscope .row:last-of-type [data-token='7']")
    wait_finished(grown, 17)
    after, steps = (grown.evaluate(f"[...{RUN}.{name}]") for name in ("tokens", "plan.step"))
    at = 3 * 16 + 9
    assert after[at] == 7 != before[at]
    changed = [i for i in range(256) if after[i] != before[i]]
    assert changed == [at]  # of this engine, whose other tokens do not depend on it
    assert grown.evaluate(f"{RUN}.from") == steps[at]
    assert grown.evaluate(f"{RUN}.request.rng_seed") == 7
    assert grown.locator(".player [data-lane]").count() == 2
    file = tmp_path / "chosen.png"
    file.write_bytes(picture_of(grown))
    grown.set_input_files(".recent input[type=file]", file)
    grown.wait_for_function(f"{RUN}.replayed")
    wait_finished(grown, 17)
    assert grown.evaluate(f"{RUN}.tokens[{at}]") == 7
    grown.click("[data-act=again]")
    grown.wait_for_selector(".verdict:not([hidden])")
    assert grown.inner_text(".verdict") == "Verified: every token is the same."


def test_a_result_is_sent_to_the_lab_which_grows_several_prompts_in_every_pane(open_page, sound):
    page = open_page()
    page.fill(".prompt textarea", "owl")
    page.fill(".rng input", "31")
    page.keyboard.press("Tab")
    page.click(".studio .grow")
    wait_finished(page, 17)
    page.click(".studio.image [data-send=lab]")
    page.wait_for_selector(".lab figure")
    page.wait_for_function("document.querySelector('.lab-head input[type=number]').value === '31'")
    assert page.input_value(".lab-head .prompt textarea, .lab-head .prompt input") == "owl"
    page.click("[data-compare=heads]")
    page.click(".lab-page .grow")
    page.wait_for_selector(".lab[data-state=done]")
    lab = "nar.pages.get('lab')"
    sound(page)
    mixed = page.evaluate(f"[...{lab}.state.panes[0].run.confidence].join()")
    assert mixed == page.evaluate(f"[...{RUN}.confidence].join()")
    # it grows several prompts, although it sees but the first value and the last
    page.click("[data-compare=guidance]")
    page.evaluate(
        f"""() => {{
          const lab = {lab}, receive = lab.receive;
          let number = 0;
          lab.receive = (sent) => {{
            const told = Object.values(sent?.messages ?? {{}});
            const isLast = told.some(({{ kind, pane }}) => kind === 'done' && pane === 3);
            if (number++ === 0 || isLast) receive.call(lab, sent);
          }};
        }}"""
    )
    page.fill(".lab-head .prompt textarea", "owl\n\nred  apple\nfox")
    page.click(".lab-page .grow")
    page.wait_for_selector(".lab[data-state=done]")
    seen = "document.querySelector('.lab canvas').toDataURL()"
    options = page.locator(".lab .which option")
    assert options.all_inner_texts() == ["owl", "red apple", "fox"]
    first = page.evaluate(seen)
    page.select_option(".lab .which select", index=2)
    assert page.evaluate(seen) != first
    with page.expect_download() as download:
        page.click(".lab [data-save=csv]")
    rows = download.value.path().read_text().splitlines()
    panes = page.locator(".lab figure").count()
    assert len(rows) == 1 + 3 * panes
    assert sum(",fox," in row for row in rows) == panes
    # and shows where growth should start
    part = page.locator(".evidence .starts-map")
    part.locator(".how").get_by_text("--count 8").wait_for()
    seen, words = "document.querySelector('.starts-map canvas').toDataURL()", set()
    for name in ("Right", "Damage", "Steps", "Seconds"):
        part.get_by_role("button", name=name).click()
        words.add((part.locator(".told").inner_text(), page.evaluate(seen)))
    assert len({told for told, _ in words}) == len({drawn for _, drawn in words}) == 4
    assert part.locator("tbody tr").count() == 15  # 17 to 31 steps
    with page.expect_download() as download:
        part.locator("[data-keep=csv]").click()
    assert len(download.value.path().read_text().splitlines()) == 1 + 256


def test_the_lab_races_models_that_differ_in_one_thing_and_compares_checkpoints_and_heads(
    open_page, served
):
    """As `evaluate --ablations` has written: two models here, grown by both orders."""
    share = {"right": [0.5, 0.4, 0.6], "right_seen": [0.6, 0.5, 0.7], "right_held_out": [0, 0, 0.1]}
    row = {
        **share, "name": "raster", "title": "Line by line", "order": "raster", "place": "corner",
        "steps": 16, "parameters": 4_000_000, "loss": 2.5, "seconds": 0.8, "samples": 80,
        "hours": 0.3, "frechet": 9.0,
    }  # fmt: skip
    heads = {"name": "heads", "title": "Neighbours", "order": "neighbours", "steps": 7}
    told = {
        "command": "evaluate --ablations runs --world 4", "world": "landscape", "prompts": 4,
        "rng_seeds": [0, 1, 2], "grid": [1, 4, 4], "examples": ["hills", "a desert"],
        "rows": [row, {**row, **heads, "seconds": 0.2}],
    }  # fmt: skip
    pixels = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(pixels, "JPEG")
    page = open_page(width=390)
    page.route("**/figures/ablations/*.json", lambda route: route.fulfill(json=told))
    page.route("**/figures/ablations/*.jpg", lambda route: route.fulfill(body=pixels.getvalue()))
    page.click("#pages [data-tab-id=lab]")
    assert box_of(page.locator(".lab .link"))["height"] >= 44
    part = page.locator(".evidence .ablations")
    steps = part.locator(".panes figcaption span")
    steps.get_by_text("done in 7 steps").wait_for()
    painted = """() => [...document.querySelectorAll('.ablations canvas')].map((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return Math.round(16 * data.filter((x, i) => i % 4 === 3 && x).length / data.length * 4);
    })"""
    page.wait_for_function(f"({painted})().join() === '16,16'")
    part.locator(".scrub").fill("4")
    assert steps.all_inner_texts() == ["step 4 of 16", "step 4 of 7"]
    assert page.evaluate(painted) == [4, 10]
    part.get_by_role("button", name="Real time").click()
    part.locator(".scrub").fill("50")  # a quarter of the slowest one's time
    assert steps.all_inner_texts() == ["step 4 of 16", "done in 7 steps"]
    assert part.locator("tbody td:last-child").all_inner_texts() == ["3.80", "3.06"]
    assert part.locator(".how").inner_text() == told["command"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_download() as download:
        part.locator("[data-keep=csv]").click()
    assert len(download.value.path().read_text().splitlines()) == 3
    page.set_viewport_size({"width": 1280, "height": 900})
    # it compares as in Table 5
    page.click("[data-compare=checkpoints]")
    titles = page.locator(".lab figcaption b")
    assert titles.all_inner_texts() == ["Emoji", "Corner", "Wide"]
    page.click(".lab-page .grow")
    page.wait_for_selector(".lab[data-state=done]")
    steps = [facts.split("\n")[1] for facts in page.locator(".lab dl").all_inner_texts()]
    assert steps == ["17", "31", "33"]
    page.click("[data-compare=table5]")
    page.wait_for_selector(".lab:not([data-state=done])")
    assert page.locator(".lab figcaption b").all_inner_texts() == [
        "Mixed",
        "Horizontal",
        "Vertical",
    ]
    page.click(".lab-page .grow")
    page.wait_for_selector(".lab[data-state=done]")
    assert page.locator(".lab figcaption dl").count() == 3
    for facts in page.locator(".lab figcaption dl").all_inner_texts():
        assert facts.split("\n")[:2] == ["Steps", "31"]
    page.focus(".lab .scrub")
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.inner_text(".lab .now") == "Step 5 of 31"
    assert page.locator(".lab .k").all_inner_texts() == ["5 of 31"] * 3
    page.click("[data-compare=seeds]")
    assert page.locator(".lab .k").all_inner_texts()[:3] == ["17 steps", "24 steps", "31 steps"]
    # Tab out of a menu stops nothing
    choose_model(page, "Fruit")
    page.wait_for_function("nar.pages.get('lab')?.state.spec.model === 'fruit'")
    served.engine("fruit").seconds_per_step = 0.3
    page.click(".lab-page .grow")
    page.wait_for_function("nar.pages.get('lab').state.panes[0].run.last >= 1")
    served.engine("fruit").seconds_per_step = 1.0  # longer than what is looked at meanwhile
    page.click(".lab-head [role=combobox]")
    page.keyboard.press("Tab")
    assert page.evaluate("nar.pages.get('lab').state.active")
    page.click(".lab-head [role=combobox]")
    page.wait_for_selector(".lab-head [role=combobox][aria-expanded=true]")
    page.keyboard.press("Escape")
    assert page.evaluate("nar.pages.get('lab').state.active")
    page.focus(".lab-head [type=number]")
    page.keyboard.press("Escape")
    assert page.evaluate("nar.pages.get('lab').state.active") is None


def where_the_server_does_not_answer_it_is_said(page) -> None:
    told = overheard(page, ".player .actions", "Failed")
    page.route("**/component_server/**", lambda route: route.abort())
    page.click(".player [data-act=growth]")
    told()
    assert page.inner_text(".player .now") == "The server does not answer."
    # nor of a question that is left open
    page.route("**/queue/join**", lambda route: None)
    page.click(".player .lens")
    page.evaluate("nar.pages.get('image').explain([0, 8, 8])")
    assert page.inner_text(".player .microscope") == "Looking"
    page.wait_for_selector(".player .microscope p:text-is('The server does not answer')")
    page.unroute_all()
    panel = "document.querySelector('.player .microscope').textContent"
    page.wait_for_function(f"!{panel}.includes('does not answer')")
    page.click(".player .lens")
    page.wait_for_function(f"{STATE}.note === ''")


def test_a_button_says_its_own_words_again_and_a_branch_what_it_left(grown):
    """However often it is pressed meanwhile; a file that is being written is written once. Beside
    others, where its tree is not seen, "variation 9" says nothing of a branch."""
    said = "document.querySelector('.player [data-act={}] span').textContent"
    grown.context.grant_permissions(["clipboard-read", "clipboard-write"])
    told = overheard(grown, "[data-act=link]", "copied")
    grown.dblclick(".player [data-act=link]")
    told()
    files = []
    grown.on("download", lambda file: files.append(file))
    grown.dblclick(".player [data-act=growth]")
    grown.wait_for_function(f"{said.format('growth')} === 'Share growth'")
    grown.wait_for_function(f"{said.format('link')} === 'Copy link'")
    # on http in a local network a browser has no clipboard to write to
    grown.evaluate("window.clipboard = navigator.clipboard")
    grown.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    grown.focus(".player [data-act=link]")
    grown.keyboard.press("Enter")
    grown.wait_for_function(f"{said.format('link')} === 'Link copied'")
    assert "prompt=owl" in grown.evaluate("clipboard.readText()")
    assert grown.evaluate("document.activeElement.dataset.act") == "link"
    grown.click("#pages [data-tab-id=lab]")
    grown.click(".lab .link")
    grown.wait_for_function("document.querySelector('.lab .link').textContent === 'Copied'")
    assert "tab=lab" in grown.evaluate("clipboard.readText()")
    grown.click("#pages [data-tab-id=image]")
    grown.wait_for_function(f"{said.format('link')} === 'Copy link'")  # of what came before, too
    assert grown.evaluate(said.format("growth")) == "Share growth"
    assert len(files) == 1
    where_the_server_does_not_answer_it_is_said(grown)
    # a branch
    grown.focus(".player .track")
    for _ in range(9):
        grown.keyboard.press("ArrowLeft")
    grown.keyboard.press("b")
    grown.fill(".rng input", "9")
    grown.keyboard.press("Tab")
    grown.click(".studio .grow")
    wait_finished(grown, 17)
    tile = grown.locator(".recent [data-run]").first
    told = ["variation 9", "step 8 of owl"]
    assert tile.inner_text().splitlines() == told
    assert tile.get_attribute("title") == "variation 9, from step 8 of owl"
    stem, names = "variation-9-from-step-8-of-owl", []
    for act in ("save", "growth", "tall"):
        with grown.expect_download() as saved:
            grown.click(f".player [data-act={act}]")
        names.append(saved.value.suggested_filename)
    assert names == [f"{stem}.png", f"{stem}-growth.gif", f"{stem}-growth-4x5.gif"]
    # from Recent it comes back among its branches
    link = "document.querySelector('.player [data-act=link]').hidden"
    assert grown.evaluate(link) is False
    grown.keyboard.press("n")
    grown.set_viewport_size({"width": 1280, "height": 600})
    tile.scroll_into_view_if_needed()
    tile.click()
    assert grown.evaluate(f"{STATE}.lanes.length") == 2
    assert grown.evaluate(f"{RUN}.from") == 8
    assert grown.evaluate(link) is False
    canvas = "document.querySelector('.player .screen').getBoundingClientRect()"
    grown.wait_for_function(f"{canvas}.top >= -1 && {canvas}.top < 100")
    grown.set_viewport_size({"width": 1280, "height": 900})
    # a prompt of any length leaves a page that can be reloaded
    grown.fill(".prompt textarea", "a red apple and " * 8000)
    grown.fill(".rng input", "31")
    grown.keyboard.press("Tab")
    grown.wait_for_function("location.search.includes('rng_seed=31')")
    assert len(grown.url) < 4000
    assert grown.reload().status == 200
    tile = grown.locator(".recent [data-run]").first
    tile.wait_for()
    assert tile.inner_text().splitlines() == told
    # tiles without a second line stay beside those with one
    tops = grown.locator(".recent [data-run] img").evaluate_all(
        "(all) => all.map((one) => Math.round(one.getBoundingClientRect().top))"
    )
    assert len(tops) == 2
    assert len(set(tops)) == 1
