"""The Video page in a real browser: a first frame, a clip that goes on, files, seeds in time."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from app.server import examples, jobs
from app.wire import data_uri
from tests.app.inside import box_of, said_at_once, unhurried

PLAYER = "nar.pages.get('video')"
STATE = f"{PLAYER}.state"
RUN = "nar.run('video')"


@pytest.fixture
def video(open_page):
    """The Video page with the model of nine slices, nothing grown yet."""
    page = open_page("?model=frames")
    page.wait_for_selector(".studio.video .player canvas:visible")
    page.wait_for_function(f"{STATE}.spec.model === 'frames'")
    return page


def grow(page) -> None:
    page.click(".studio.video .grow")
    page.wait_for_function(
        f"{STATE}.phase === 'done' && {RUN}.finals.length > 0 && {STATE}.step === {RUN}.plan.total"
    )


def test_a_link_opens_the_video_page_where_a_clip_grows_moves_and_is_saved_in_files_that_replay(
    open_page, served, sound
):
    """Its seed position is a cell and a slice. Slices lie side by side while it grows, and are one
    square when it moves, until someone chooses how to look at it."""
    video = open_page("?model=frames&prompt=fox&seed=1,2,3&rng=4")
    video.wait_for_selector(".studio.video .player canvas")
    video.wait_for_function(f"{PLAYER}?.state.spec.model === 'frames'")
    video.wait_for_function(f"{STATE}.seedPosition.join() === '1,2,3'")
    assert video.input_value(".studio.video .prompt textarea") == "fox"
    assert video.evaluate("nar.pages.get('image').state.spec.model") == "emoji"
    sound(video)
    # it is clicked in the middle: at its edge, whole pixels of the mouse are those of the next cell
    canvas = video.locator(".studio.video .screen canvas")
    at = canvas.evaluate(
        f"""(canvas) => {{
          const box = canvas.getBoundingClientRect(), inside = [];
          for (let y = 2; y < box.height; y += 4) for (let x = 2; x < box.width; x += 4) {{
            const at = {{ clientX: box.left + x, clientY: box.top + y }};
            const cell = {PLAYER}.views.canvas.cellAt(at);
            if (String(cell) === '2,6,1') inside.push({{ x, y }});
          }}
          return inside[Math.floor(inside.length / 2)];
        }}"""
    )
    canvas.click(position=at)
    assert video.evaluate(f"{STATE}.seedPosition.join()") == "2,6,1"
    view = f"{STATE}.layout"
    assert video.evaluate(view) == "slices"
    steps = 1 + 6 + 6 + 6
    unhurried(video, steps)
    top = box_of(canvas)["y"]
    grow(video)
    assert box_of(canvas)["y"] == top, "whatever is offered beside it"
    share = "getComputedStyle(document.querySelector('.studio.video .share')).display"
    assert video.evaluate(share) == "none", "it would leave a gap"
    assert video.evaluate(f"{RUN}.plan.total") == steps
    assert video.evaluate("nar.painted('video')") == steps
    sound(video, "#studio-video")
    video.wait_for_function(f"!{STATE}.playing && {view} === 'loop'")
    assert video.locator(".studio.video [data-layout=loop][aria-pressed=true].on").count() == 1
    # Nothing below has moved.
    transport = "document.querySelector('.studio.video .transport').getBoundingClientRect().top"
    looping = video.evaluate(transport)
    play = "document.querySelector('.studio.video .play').click()"
    shown = said_at_once(video, play, f"[{view}, {transport}]")
    assert shown == ["slices", pytest.approx(looping, abs=1)]
    video.wait_for_function(f"!{STATE}.playing && {view} === 'loop'")
    # The clip runs on; what has the keyboard's focus keeps it.
    video.evaluate("window.pace = 0")
    video.evaluate(f"{PLAYER}.set(nar.store.branchMarked(nar.store.scrubbed({STATE}, 5)))")
    grow(video)
    video.focus(".studio.video .lane")
    tick = video.evaluate(f"{STATE}.tick")
    video.wait_for_function(f"{STATE}.tick > {tick + 2}")
    assert video.evaluate("document.activeElement.dataset.lane") == "0"
    # what was chosen stays
    video.click(".studio.video [data-layout=slices]")
    grow(video)
    video.wait_for_function(f"!{STATE}.playing")
    assert video.evaluate(view) == "slices"
    its_files_to_share_are_large_with_its_recipe(video)
    it_repeats_or_stops_at_its_last_frame(video)
    keys_in_a_menu_choose_there(video)
    page = files_replay_on_the_video_page(video, open_page)
    recorded_clips_replay_without_a_model(page, served)


def its_files_to_share_are_large_with_its_recipe(video) -> None:
    for name, size, named in (
        ("gif", (640, 640), ".gif"), ("tall-clip", (640, 800), "-4x5.gif"),
    ):  # fmt: skip
        with video.expect_download() as saved:
            video.click(f".studio.video [data-act={name}]")
        assert saved.value.suggested_filename.endswith(named)
        picture = Image.open(saved.value.path())
        assert picture.size == size
        assert picture.info["loop"] == 0
        assert '"prompt"' in picture.info["comment"].decode()


def it_repeats_or_stops_at_its_last_frame(video) -> None:
    video.click(".studio.video [data-layout=loop]")
    video.select_option(".studio.video .rate select", "24")
    video.wait_for_function(f"{STATE}.tick > 10")
    video.uncheck(".studio.video .repeat")
    video.wait_for_function(f"{STATE}.tick > 10")
    assert video.evaluate(f"nar.store.shownSlices({STATE}, {STATE}.spec).frames[0]") == 8


def keys_in_a_menu_choose_there(video) -> None:
    """Elsewhere they are the player's."""
    video.select_option(".studio.video .rate select", "")
    video.focus(".studio.video .rate select")
    for key in ("n", "Enter", "1"):
        video.keyboard.press(key)
    assert video.evaluate(f"[{STATE}.phase, {STATE}.layers.picture]") == ["done", True]
    video.keyboard.press("Escape")
    video.focus(".studio.video .rate select")
    video.keyboard.press("ArrowDown")
    video.keyboard.press("ArrowDown")
    total = video.evaluate(f"{RUN}.plan.total")
    assert video.evaluate(f"{STATE}.step") == total
    assert video.input_value(".studio.video .rate select") != ""


def files_replay_on_the_video_page(video, open_page):
    """One that was not shown until then, and is returned."""
    tokens = video.evaluate(f"{RUN}.tokens.join()")
    files = []
    for button, kind in (
        ("[data-act=mp4]", "video/mp4"), (".formats [data-act=save]", "image/png"),
    ):  # fmt: skip
        with video.expect_download() as download:
            video.click(f".studio.video {button}")
        saved = download.value.path().read_bytes()
        files.append({"name": f"clip.{kind[-3:]}", "mimeType": kind, "buffer": saved})
    page, before = open_page(), None
    for file in files:
        page.click("#pages [data-tab-id=image]")
        page.set_input_files(".recent input", file)
        # Nothing is there to ask before the page that plays it has been shown.
        page.wait_for_selector(".studio.video .player canvas:visible")
        page.wait_for_function(
            f"(before) => {RUN}?.replayed && {RUN}.finals.length && {RUN}.id !== before", arg=before
        )
        assert page.evaluate(f"{RUN}.tokens.join()") == tokens, file["name"]
        before = page.evaluate(f"{RUN}.id")
    return page


def recorded_clips_replay_without_a_model(page, served) -> None:
    """They are offered in rows of three."""
    page.focus(".studio.video .track")
    page.keyboard.press("n")
    tiles = page.locator(".studio.video .examples button")
    tiles.first.wait_for()
    names = [tiles.nth(k).get_attribute("aria-label").split(": ")[1] for k in range(6)]
    assert names == ["owl", "fox", "car", "dog", "cat", "tree"]
    rows = [round(tiles.nth(k).bounding_box()["y"]) for k in range(6)]
    assert len(set(rows[:3])) == len(set(rows[3:])) == 1
    assert rows[0] < rows[3]
    ran = served.engine("frames").steps_run
    tiles.nth(4).click()
    page.wait_for_function(f"{RUN}?.replayed && {STATE}.step === {RUN}.plan.total")
    assert page.evaluate(f"[{RUN}.title, {RUN}.spec.grid[0]]") == ["cat", 9]
    assert served.engine("frames").steps_run == ran
    assert tiles.first.is_hidden()


def test_a_picture_begins_a_clip_that_goes_on_and_is_saved(video, tmp_path, monkeypatch):
    """Before that it is told whether the model knows such; and the words of another picture do not
    begin it: the prompt is empty beside an upload."""
    prompt = ".studio.video .prompt textarea"
    assert video.input_value(prompt)
    note, file = ".studio.video .upload-note", tmp_path / "picture.png"
    noise = np.random.default_rng(0).integers(
        0, 255, (8, 8, 3), np.uint8
    )  # a colour for every cell
    for pixels, told in (
        (noise, "This picture is unlike what Frames has learnt"),
        (np.full((8, 8, 3), (200, 60, 20), np.uint8), "Frames knows such pictures"),
    ):
        Image.fromarray(pixels).resize((640, 640), Image.Resampling.NEAREST).save(file)
        video.set_input_files(".studio.video .source input", file)
        video.wait_for_function(f"{STATE}.likeness.includes({told!r})")
        assert told in video.inner_text(note)
        assert "begins with this picture; the other 8 slices" in video.inner_text(note)
        assert "after the picture" in video.inner_text(".studio.video .now")
        assert video.input_value(prompt) == ""
    assert video.evaluate(f"{STATE}.phase") == "ready"
    # and grown without any it gets no words of something else
    grow(video)
    assert video.evaluate(f"{RUN}.request.prompt") == ""
    assert video.input_value(prompt) == ""
    video.click(".studio.video .clear")
    assert "Frames" not in video.inner_text(note)
    # it goes on and is saved
    file = tmp_path / "picture.png"
    Image.fromarray(np.full((80, 64, 3), (200, 60, 20), np.uint8)).save(file)
    video.evaluate(
        """async (address) => {
            const dataTransfer = new DataTransfer();
            const bytes = await (await fetch(address)).blob();
            dataTransfer.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
            const drop = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
            document.querySelector('.studio.video .source .tile span').dispatchEvent(drop);
        }""",
        data_uri(file.read_bytes(), "image/png"),
    )
    video.wait_for_selector(".studio.video[data-source=yes]")
    assert video.evaluate(f"{STATE}.region.keep.filter((k) => k).length") == 64
    grow(video)
    first = video.evaluate(f"[...{RUN}.tokens.slice(0, 64)]")
    red = (200 * 15 // 255 + 1) * 256  # the fake tokenizer keeps four bits of each colour
    assert {t // 256 * 256 for t in first} == {red}
    with video.expect_download() as download:
        video.click(".studio.video [data-act=mp4]")
    assert download.value.suggested_filename.endswith(".mp4")
    video.click(".studio.video [data-act=extend]")
    video.wait_for_function(
        f"{STATE}.phase === 'done' && {RUN}.earlier.length === 1 && {RUN}.finals.length > 0"
    )
    # Five frames are known again, and four new ones follow.
    assert video.evaluate(f"{STATE}.region.keep.filter((k) => k).length") == 5 * 64
    assert video.evaluate(f"nar.clip.allFrames({RUN}, 0).length") == 9 + 4
    # The whole clip plays, first what was there before.
    scene = f"nar.canvas.sceneOf({STATE}, {RUN}, 0, {{}})"
    video.wait_for_function(f"{STATE}.layout === 'loop'")
    video.wait_for_function(f"{scene}.image === {RUN}.earlier[0].image")
    video.wait_for_function(f"{scene}.image === {RUN}.finals[0] && {scene}.frames[0] === 8")
    with video.expect_download() as download:
        video.click(".studio.video [data-act=strip]")
    assert download.value.suggested_filename.endswith("-strip.png")
    strip = Image.open(io.BytesIO(download.value.path().read_bytes()))
    assert strip.size == (13 * 64, 64)
    video.click(".studio.video .clear")
    assert video.evaluate(f"nar.store.knownCells({STATE})") is None
    # a thing that is to move is as large as those the model knows: of other pictures all is seen,
    # and so it is where a model's things have no size
    pixels = np.full((160, 160, 3), 250, np.uint8)
    pixels[90:110, 20:120] = (200, 30, 30)
    file = tmp_path / "thing.png"
    Image.fromarray(pixels).save(file)
    monkeypatch.setattr(jobs, "box_alone", lambda info, prompt: (1, 2, 5))
    boxes = []
    for sized in ("false", "true"):
        video.evaluate(f"{STATE}.spec.framed = {sized}")
        video.set_input_files(".studio.video .source input", file)
        video.wait_for_function(f"{STATE}.source?.address")
        address = video.evaluate(f"{STATE}.source.address")
        shown = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
        assert shown.size == (64, 64)
        red = np.abs(np.asarray(shown).astype(int) - (200, 30, 30)).sum(-1) < 60
        rows, columns = np.nonzero(red)
        boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        video.click(".studio.video .clear")
    assert boxes == [(8, 36, 48, 44), (8, 32, 48, 40)]


def test_without_recorded_clips_none_are_offered(monkeypatch, tmp_path):
    monkeypatch.setattr(examples, "CLIPS", tmp_path / "nowhere")
    assert examples.recorded_clips.__wrapped__() == {"examples": [], "race": None}
