"""The Outpaint page in a real browser: one canvas that grows on any side, with holes, and undo."""

from __future__ import annotations

import base64
import io
import threading

import numpy as np
import pytest
from PIL import Image, ImageColor

from app.pages.parts import address
from app.wire import data_uri
from nar_core.files import read_png
from tests.app.inside import box_of, look_inside, toast
from tests.app.test_browser_growth import RUN, STATE
from tests.app.test_browser_growth import choose_model as choose_on_image
from tests.app.test_browser_results import picture_of

OUTPAINT = "nar.pages.get('outpaint').state"
OUTPAINTED = "nar.run('outpaint')"
STUDIO = ".studio.outpaint"
WHOLE = f"nar.pixels.wholePicture({OUTPAINT}.board)"


def choose_model(page, title: str) -> None:
    """Choose a model of the fake engine on the Outpaint page, by its title."""
    page.get_by_label("Model").and_(page.locator(f"{STUDIO} *")).click()
    page.get_by_role("option", name=title).click()
    page.wait_for_function(f"{OUTPAINT}.spec.model === '{title.lower()}'")


def pixels_of(address: str) -> np.ndarray:
    data = base64.b64decode(address.split(",")[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def photo(path, height: int = 128, width: int = 128, colours: int = 256) -> str:
    """A file of noise."""
    noise = np.random.default_rng(1).integers(0, colours, (height, width, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path / "photo.png")
    return str(path / "photo.png")


def upload(page, path) -> None:
    """A photo in place of what was there, read, with nothing grown beside it."""
    page.evaluate(
        f"nar.pages.get('outpaint').set(nar.store.withModel({OUTPAINT}, {OUTPAINT}.spec))"
    )
    page.set_input_files(f"{STUDIO} .source input[type=file]", photo(path))
    page.wait_for_function(
        f"{OUTPAINT}.board?.pieces.length === 1 && {OUTPAINT}.board.pieces[0].tokens"
    )


@pytest.fixture
def outpaint(open_page, tmp_path):
    """The Outpaint page, opened by its address, with an uploaded photo that has been read."""
    page = open_page("?tab=outpaint")
    page.wait_for_selector("#studio-outpaint:visible")
    upload(page, tmp_path)
    return page


def wait_grown(page, pieces: int) -> None:
    page.wait_for_function(
        f"{OUTPAINT}.phase === 'done' && {OUTPAINT}.board.pieces.length === {pieces} "
        f"&& !{OUTPAINT}.board.wanted && !{OUTPAINT}.playing"
    )


def at_cell(page, row: float, column: float) -> tuple[float, float]:
    """Where a cell of the board lies on the screen."""
    box_of(page.locator(f"{STUDIO} .screen canvas"))
    return page.evaluate(
        """async ([row, column, address]) => {
          const { placeOnBoard } = nar.canvas;
          const { boardPlace } = await import(`/${address}/views/grid.js`);
          const canvas = document.querySelector('.studio.outpaint .screen canvas');
          const box = canvas.getBoundingClientRect();
          const place = placeOnBoard(nar.pages.get('outpaint').state);
          const { cell, x, y } = boardPlace(place, canvas.width);
          const scale = box.width / canvas.width;
          const [down, right] = [row - place.bounds.top, column - place.bounds.left];
          return [box.left + (x + (right + 0.5) * cell) * scale,
                  box.top + (y + (down + 0.5) * cell) * scale];
        }""",
        [row, column, address()],
    )


def test_continue_in_outpaint_keeps_the_pixels_and_the_model_that_made_them(grown):
    source = picture_of(grown)
    grown.click(".studio.image [data-send=outpaint]")
    grown.wait_for_selector(".studio.outpaint[data-source=yes]")
    now = grown.locator(".studio.outpaint .player .now")
    grown.click(".studio.outpaint [data-tool=keep]")
    assert "for 192 tokens" in now.inner_text()
    box = box_of(grown.locator(".studio.outpaint .screen canvas"))
    cell = box["width"] / 18  # with its margin
    grown.mouse.move(box["x"] + 3.5 * cell, box["y"] + 3.5 * cell)
    grown.mouse.down()
    grown.mouse.move(box["x"] + 9.5 * cell, box["y"] + 7.5 * cell, steps=4)
    grown.mouse.up()
    assert f"for {256 - 5 * 7} tokens" in now.inner_text()
    grown.fill(".studio.outpaint .prompt textarea", "blue fish")
    grown.click(".studio.outpaint .grow")
    grown.wait_for_function(f"{OUTPAINTED}?.pictures.length === 1", timeout=60_000)
    made = base64.b64decode(grown.evaluate(f"{OUTPAINTED}.pictures[0]").split(",")[1])
    before, after = (np.asarray(Image.open(io.BytesIO(data))) for data in (source, made))
    kept = np.s_[2 * 8 : 7 * 8, 2 * 8 : 9 * 8]
    assert np.array_equal(before[kept], after[kept])
    assert not np.array_equal(before, after)
    # a picture of another model comes with it
    page = grown
    page.click("#pages [data-tab-id=image]")
    choose_on_image(page, "Fruit")
    page.wait_for_function(f"{STATE}.spec.model === 'fruit'")
    page.click(".studio.image .grow")
    page.wait_for_selector(".studio.image .player[data-state=done]")
    page.click(".studio.image [data-send=outpaint]")
    page.wait_for_selector(".studio.outpaint[data-source=yes]")
    page.wait_for_function(f"{OUTPAINT}.spec.model === 'fruit'")
    page.wait_for_function(f"{OUTPAINT}.source?.tokens?.length === 256")
    assert page.locator(".studio.outpaint").get_by_label("Model").input_value() == "Fruit"
    page.click("#pages [data-tab-id=image]")
    assert page.locator("#model input").input_value() == "Fruit"


def test_a_picture_grows_to_both_sides_and_a_saved_whole_replays_the_part_that_grew_last(
    outpaint, sound
):
    """Nothing that is there changes; what moves in its window is encoded anew from its pixels."""
    prompt = f"{STUDIO} .prompt textarea"
    assert outpaint.input_value(prompt) == ""  # words of another picture would not fit
    sound(outpaint)
    outpaint.click(f"{STUDIO} .grow")
    wait_grown(outpaint, 3)
    sound(outpaint, "#studio-outpaint")
    assert outpaint.evaluate(f"{OUTPAINTED}.request.prompt") in ("", [""])
    assert outpaint.input_value(prompt) == ""
    size = f"[{WHOLE}.width, {WHOLE}.height]"
    assert outpaint.evaluate(size) == [256, 128]
    before = pixels_of(outpaint.evaluate(f"{WHOLE}.toDataURL()"))
    assert outpaint.evaluate(f"{OUTPAINT}.past.length") == 1
    said = outpaint.evaluate(f"{OUTPAINT}.likeness")
    outpaint.click(f"{STUDIO} [data-side=right]")
    wait_grown(outpaint, 4)
    assert outpaint.evaluate(size) == [320, 128]
    assert outpaint.evaluate(f"{OUTPAINTED}.given.tokens") is None
    assert outpaint.evaluate(f"{OUTPAINT}.likeness") == said  # of the whole, not of its window
    assert np.array_equal(pixels_of(outpaint.evaluate(f"{WHOLE}.toDataURL()"))[:, :256], before)
    # pulled by the pointer it grows as far as it was pulled
    handle = box_of(outpaint.locator(f"{STUDIO} [data-side=top]"))
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    cell = at_cell(outpaint, 1, 0)[1] - at_cell(outpaint, 0, 0)[1]
    outpaint.mouse.move(x, y)
    outpaint.mouse.down()
    outpaint.mouse.move(x, y - 3 * cell, steps=6)
    assert outpaint.evaluate(f"{OUTPAINT}.board.wanted.top") == -3
    outpaint.mouse.up()
    outpaint.wait_for_function(f"{OUTPAINT}.phase === 'done' && !{OUTPAINT}.board.wanted")
    assert outpaint.evaluate(size) == [320, 152]
    with outpaint.expect_download() as saved:
        outpaint.click(f"{STUDIO} [data-act=wide]")
    assert Image.open(saved.value.path()).size == (320, 152)
    whole = pixels_of(outpaint.evaluate(f"{WHOLE}.toDataURL()"))
    part = pixels_of(outpaint.evaluate(f"{OUTPAINTED}.pictures[0]"))
    tokens = outpaint.evaluate(f"{OUTPAINTED}.tokens.join()")
    # and the file holds the part that grew last
    data = saved.value.path().read_bytes()
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), whole)
    recipe, frames = read_png(data)
    assert ",".join(map(str, recipe.tokens.reshape(-1))) == tokens
    assert np.array_equal(frames[0], part)
    file = {"name": "whole.png", "mimeType": "image/png", "buffer": data}
    outpaint.set_input_files(".recent input[type=file]", file)
    outpaint.wait_for_selector(".studio.image .player[data-state=done]")
    told = "Only the last growth of this file is replayed."
    assert outpaint.is_visible(".studio.image .part")
    assert outpaint.inner_text(".studio.image .part") == told
    assert outpaint.evaluate(f"{RUN}.tokens.join()") == tokens
    outpaint.click(".studio.image [data-act=again]")
    outpaint.wait_for_selector(".studio.image .verdict:not([hidden])")
    assert outpaint.inner_text(".studio.image .verdict") == "Verified: every token is the same."
    assert outpaint.is_hidden(".studio.image .part")  # a file of its own


def test_holes_and_edges_grow_and_are_undone_and_of_a_file_it_is_told_what_it_is(
    outpaint, served, monkeypatch, tmp_path
):
    holes_by_keyboard(outpaint)
    upload(outpaint, tmp_path)
    edges_by_keyboard(outpaint)
    upload(outpaint, tmp_path)
    of_four_alternatives_for_a_hole_one_is_chosen(outpaint)
    upload(outpaint, tmp_path)
    again_is_another(outpaint)
    upload(outpaint, tmp_path)
    growths_and_strokes_are_undone(outpaint)
    an_edge_that_is_brought_back_grows_nothing(outpaint)
    upload(outpaint, tmp_path)
    of_a_file_it_is_told_what_it_is_and_its_crop_is_shown_and_moved(outpaint, tmp_path)
    one_that_cannot_be_read_is_a_toast(outpaint, served, monkeypatch, tmp_path)


def holes_by_keyboard(outpaint) -> None:
    now = outpaint.locator(f"{STUDIO} .player .now")
    outpaint.focus(f"{STUDIO} .screen canvas")
    for key in ("ArrowDown", "ArrowDown", " "):
        outpaint.keyboard.press(key)
    assert "for 4 tokens" in now.inner_text()
    outpaint.keyboard.press(" ")  # kept again
    assert "Pull an edge" in now.inner_text()
    for key in (" ", "ArrowRight", "ArrowRight", " ", "Enter"):
        outpaint.keyboard.press(key)
    wait_grown(outpaint, 2)
    made = pixels_of(outpaint.evaluate(f"{OUTPAINTED}.pictures[0]"))
    sent = pixels_of(outpaint.evaluate(f"{OUTPAINT}.source.address"))
    changed = np.argwhere((made != sent).any(-1))
    assert changed.min(0).tolist() >= [9 * 8, 7 * 8]
    assert changed.max(0).tolist() <= [13 * 8, 13 * 8]


def edges_by_keyboard(outpaint) -> None:
    outpaint.focus(f"{STUDIO} [data-side=bottom]")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        outpaint.keyboard.press(key)
    assert outpaint.evaluate(f"{OUTPAINT}.board.wanted.bottom") == 18
    outpaint.keyboard.press("Enter")
    wait_grown(outpaint, 2)
    assert outpaint.evaluate(f"{WHOLE}.height") == 144
    # what something else has pulled is not gone on with
    handle = f"{STUDIO} [data-side=right]"
    outpaint.press(handle, "ArrowRight")
    outpaint.evaluate(f"nar.pages.get('outpaint').set(nar.store.pulled({OUTPAINT}, 'right', 8))")
    outpaint.press(handle, "ArrowRight")
    assert outpaint.evaluate(f"{OUTPAINT}.board.wanted.right") == 17


def of_four_alternatives_for_a_hole_one_is_chosen(outpaint) -> None:
    """It is brushed with the mouse, and growth goes on from what was chosen."""
    before = pixels_of(outpaint.evaluate(f"{WHOLE}.toDataURL()"))
    outpaint.mouse.move(*at_cell(outpaint, 4, 4))
    outpaint.mouse.down()
    outpaint.mouse.move(*at_cell(outpaint, 6, 9), steps=4)
    outpaint.mouse.up()
    outpaint.click(f"{STUDIO} .grow")
    wait_grown(outpaint, 2)
    tiles = outpaint.locator(f"{STUDIO} .deck .samples button")
    assert tiles.count() == 4
    boxes = [tile.bounding_box() for tile in tiles.all()]
    assert len({round(box["y"]) for box in boxes}) == 1
    assert min(box["width"] for box in boxes) > 100
    first = pixels_of(outpaint.evaluate(f"{WHOLE}.toDataURL()"))
    tiles.nth(2).click()
    third = pixels_of(outpaint.evaluate(f"{WHOLE}.toDataURL()"))
    changed = np.argwhere((first != third).any(-1))
    assert len(changed)
    assert changed.min(0).tolist() >= [32 - 8, 32 - 8]  # in the hole, or where its edge fades
    assert np.array_equal(third[:24], before[:24])
    outpaint.click(f"{STUDIO} [data-side=left]")
    wait_grown(outpaint, 3)
    wide = pixels_of(outpaint.evaluate(f"{WHOLE}.toDataURL()"))
    assert np.array_equal(wide[:, 64:], third)


def again_is_another(outpaint) -> None:
    outpaint.click(f"{STUDIO} [data-side=right]")
    wait_grown(outpaint, 2)
    first = outpaint.evaluate(f"{OUTPAINTED}.tokens.join()")
    outpaint.click(f"{STUDIO} .grow")
    outpaint.wait_for_function(f"{OUTPAINTED}.request?.rng_seed === 8")
    wait_grown(outpaint, 2)
    assert outpaint.evaluate(f"{OUTPAINTED}.tokens.join()") != first


def growths_and_strokes_are_undone(outpaint) -> None:
    """And a stroke beside the picture erases nothing."""
    before = outpaint.evaluate(f"{WHOLE}.toDataURL()")
    outpaint.click(f"{STUDIO} .grow")
    wait_grown(outpaint, 3)
    outpaint.mouse.click(*at_cell(outpaint, -1.2, 4))
    assert outpaint.evaluate(f"[{OUTPAINT}.phase, {OUTPAINT}.board.hole.size]") == ["done", 0]
    outpaint.mouse.move(*at_cell(outpaint, 4, 4))
    outpaint.mouse.down()
    outpaint.mouse.move(*at_cell(outpaint, 4, 8), steps=4)
    outpaint.mouse.up()
    assert outpaint.evaluate(f"{OUTPAINT}.board.hole.size") == 2 * 6
    outpaint.keyboard.press("Control+z")
    assert outpaint.evaluate(f"{OUTPAINT}.board.hole.size") == 0
    assert outpaint.evaluate(f"{OUTPAINT}.board.pieces.length") == 3
    outpaint.click(f"{STUDIO} .undo")
    assert outpaint.evaluate(f"{OUTPAINT}.board.pieces.length") == 1
    assert outpaint.evaluate(f"{WHOLE}.toDataURL()") == before
    assert outpaint.is_hidden(f"{STUDIO} .undo")


def an_edge_that_is_brought_back_grows_nothing(outpaint) -> None:
    """And nothing that was there is lost: neither what has grown nor what is seen of it."""
    outpaint.click(f"{STUDIO} .grow")
    wait_grown(outpaint, 3)
    run = outpaint.evaluate(f"{OUTPAINT}.current")
    handle = box_of(outpaint.locator(f"{STUDIO} [data-side=bottom]"))
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    outpaint.mouse.move(x, y)
    outpaint.mouse.down()
    outpaint.mouse.move(x, y + 90, steps=6)
    assert outpaint.evaluate(f"{OUTPAINT}.board.wanted.bottom") > 16
    outpaint.mouse.move(x, y + 1, steps=6)
    outpaint.mouse.up()
    outpaint.wait_for_timeout(500)
    assert outpaint.evaluate(f"[{OUTPAINT}.phase, {OUTPAINT}.current]") == ["done", run]
    assert outpaint.evaluate(f"{OUTPAINT}.board.wanted") is None
    assert outpaint.evaluate(f"{OUTPAINT}.board.pieces.length") == 3


def of_a_file_it_is_told_what_it_is_and_its_crop_is_shown_and_moved(outpaint, tmp_path) -> None:
    page, files = outpaint, f"{STUDIO} .source input[type=file]"
    note = page.locator(f"{STUDIO} .upload-note")
    page.wait_for_function(f"{OUTPAINT}.likeness")
    assert page.evaluate(f"{OUTPAINT}.phase") == "ready"
    assert "This picture is unlike what Emoji has learnt" in note.inner_text()
    assert "nats each (up to 3.5 is usual)" in note.inner_text()
    Image.new("RGB", (128, 128), "teal").save(tmp_path / "plain.png")
    page.set_input_files(files, tmp_path / "plain.png")
    page.wait_for_function(f"{OUTPAINT}.likeness.startsWith('Emoji knows such pictures')")
    # one that is pasted counts, but not where words are pasted with it
    for words in ("words", ""):
        is_left = page.evaluate(
            """async ([address, words]) => {
                const clipboardData = new DataTransfer();
                const bytes = await (await fetch(address)).blob();
                clipboardData.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));
                if (words) clipboardData.setData('text/plain', words);
                const told = { clipboardData, bubbles: true, cancelable: true };
                return document.body.dispatchEvent(new ClipboardEvent('paste', told));
            }""",
            [data_uri((tmp_path / "plain.png").read_bytes(), "image/png"), words],
        )
        assert is_left == bool(words)
    page.wait_for_function("nar.pages.get('outpaint').chosen.name === 'pasted.png'")
    file = tmp_path / "holiday <b>.png"
    file.write_text("<!doctype html><title>404</title>")
    page.set_input_files(files, file)
    page.wait_for_function(f"{OUTPAINT}.note.startsWith('holiday <b>.png: no picture')")
    cut = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (90, 60, 3)).astype(np.uint8)
    Image.fromarray(noise).save(cut)
    cut.write_bytes(cut.read_bytes()[:-900])  # browsers paint what there is
    page.set_input_files(files, cut)
    page.wait_for_function(f"{OUTPAINT}.note.startsWith('cut.jpg: a damaged picture')")
    # a drawing is made pixels by the browser, whether or not it says how large it is
    for colour, size in (("red", 'width="128" height="128"'), ("lime", 'viewBox="0 0 10 10"'),
                         ("blue", "")):  # fmt: skip
        file = tmp_path / f"{colour}.svg"
        drawn = f'<rect width="100%" height="100%" fill="{colour}"/>'
        file.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{drawn}</svg>')
        page.set_input_files(files, file)
        page.wait_for_function(f"nar.pages.get('outpaint')?.chosen?.name === '{colour}.svg'")
        page.wait_for_function(f"{OUTPAINT}.reading && {OUTPAINT}.board || {OUTPAINT}.likeness")
        made = page.evaluate(f"{OUTPAINT}.source.address")
        picture = Image.open(io.BytesIO(base64.b64decode(made.split(",")[1])))
        assert picture.format == "PNG"
        assert picture.size == (128, 128)
        assert picture.convert("RGB").getpixel((64, 64)) == ImageColor.getrgb(colour)
    # of a picture that is no square a part is seen
    stripes = np.zeros((100, 300, 3), np.uint8)
    stripes[:, :100, 0] = stripes[:, 100:200, 1] = stripes[:, 200:, 2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    page.set_input_files(f"{STUDIO} .source input[type=file]", tmp_path / "stripes.png")
    page.wait_for_function("nar.pages.get('outpaint').chosen.name === 'stripes.png'")
    page.wait_for_selector(f"{STUDIO} .crop:visible")
    middle = f"{OUTPAINT}.source.address"
    page.wait_for_function(middle)
    assert pixels_of(page.evaluate(middle))[64, 64].tolist() == [0, 255, 0]
    cut = page.locator(f"{STUDIO} .cut")
    whole, part = (box_of(page.locator(f"{STUDIO} {name}")) for name in (".crop", ".cut"))
    assert part["width"] / whole["width"] == pytest.approx(1 / 3, abs=0.02)
    before = page.evaluate(middle)
    page.mouse.move(whole["x"] + whole["width"] / 2, whole["y"] + 10)
    page.mouse.down()
    page.mouse.move(whole["x"] + 5, whole["y"] + 10, steps=3)
    page.mouse.up()
    page.wait_for_function(f"{middle} !== '{before}'")
    assert pixels_of(page.evaluate(middle))[64, 64].tolist() == [255, 0, 0]
    assert cut.get_attribute("aria-valuenow") == "0"
    cut.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("nar.pages.get('outpaint').chosen.along === 1")
    page.wait_for_function(f"{OUTPAINT}.board.pieces[0].tokens?.[0] === 15")  # it is read again
    assert pixels_of(page.evaluate(middle))[64, 64].tolist() == [0, 0, 255]
    # one that is tall is as it is, too
    Image.fromarray(stripes.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    page.set_input_files(f"{STUDIO} .source input[type=file]", tmp_path / "tall.png")
    page.wait_for_function("nar.pages.get('outpaint').chosen.name === 'tall.png'")
    page.wait_for_function(
        f"document.querySelector('{STUDIO} .crop img').naturalHeight === 300 && {OUTPAINT}.likeness"
    )
    tall, part = (box_of(page.locator(f"{STUDIO} {name}")) for name in (".crop", ".cut"))
    assert tall["height"] == pytest.approx(3 * tall["width"], abs=1)
    assert tall["height"] <= 240
    assert part["width"] == pytest.approx(part["height"], abs=1)
    # what has grown beside it would be lost
    page.click(f"{STUDIO} .grow")
    wait_grown(page, 3)
    cut.focus()
    page.keyboard.press("ArrowLeft")
    assert "Undo what has grown" in page.inner_text(f"{STUDIO} .now")
    page.locator(f"{STUDIO} .crop").click(position={"x": 5, "y": 5})
    page.wait_for_timeout(500)
    assert page.evaluate(f"{OUTPAINT}.board.pieces.length") == 3
    page.click(f"{STUDIO} .undo")
    cut.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("nar.pages.get('outpaint').chosen.along === 0.45")


def one_that_cannot_be_read_is_a_toast(page, served, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(served.studio.grower, "read", lambda *_: (_ for _ in ()).throw(KeyError()))
    page.set_input_files(f"{STUDIO} .source input[type=file]", photo(tmp_path))
    assert "Not read" in page.evaluate("document.body.innerText") or toast(page)
    page.wait_for_function(f"{OUTPAINT}.board && !{OUTPAINT}.reading")
    assert page.evaluate(f"{OUTPAINT}.phase") == "ready"


def test_words_of_a_link_stay_beside_an_example(open_page):
    shown = "nar.pages.get('outpaint')?.state"
    loaded = f"{shown}?.board && {shown}.spec.model === 'composed'"
    page = open_page("?tab=outpaint&model=composed&prompt=a+blue+car&rng_seed=9")
    page.wait_for_function(loaded)
    assert "An example" in page.inner_text(f"{STUDIO} .source .tile")
    box = page.locator(f"{STUDIO} .prompt textarea")
    page.wait_for_timeout(300)
    assert box.input_value() == "a blue car"
    page.reload()
    look_inside(page)
    page.wait_for_function(loaded)
    page.wait_for_timeout(300)
    assert box.input_value() == "a blue car"


def test_a_page_without_a_picture_shows_one_of_the_models_world_with_the_edges_it_can_grow(
    open_page, served, monkeypatch, tmp_path
):
    """With its own words, which go when another picture comes."""
    page, go = open_page("?tab=outpaint"), threading.Event()
    page.wait_for_selector(f"{STUDIO} .player canvas")
    choose_model(page, "Composed")
    page.wait_for_function(f"{OUTPAINT}.board")
    assert "An example" in page.inner_text(f"{STUDIO} .source .tile")
    box = f"document.querySelector('{STUDIO} .prompt textarea').value"
    page.wait_for_function(box)
    source = page.evaluate(f"{OUTPAINT}.source.address")
    page.click(f"{STUDIO} .grow")  # it is read first
    wait_grown(page, 3)
    # what is seen again from Recent is none of the example, and has no crop and no verdict of it
    page.locator(".recent [data-run]").first.click()
    page.wait_for_function(f"!{OUTPAINT}.source && !nar.pages.get('outpaint').chosen")
    assert page.evaluate(f"{OUTPAINT}.likeness") == ""
    # the example of one model is none of another
    choose_model(page, "Emoji")
    page.wait_for_function(f"{OUTPAINT}.spec.model === 'emoji'")
    choose_model(page, "Composed")
    page.wait_for_function(f"{OUTPAINT}.source?.address === {source!r}")
    choose_model(page, "Emoji")
    page.wait_for_function(f"{OUTPAINT}.spec.model === 'emoji'")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{OUTPAINT}.source?.address") != source
    buffer = io.BytesIO()
    Image.new("RGB", (128, 128), "teal").save(buffer, "PNG")
    file = {"name": "own.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.set_input_files(f"{STUDIO} .source input[type=file]", file)
    page.wait_for_function(f"!({box})")
    assert "Choose another" in page.inner_text(f"{STUDIO} .source .tile")
    page.wait_for_function(f"{OUTPAINT}.likeness")
    # who starts before the picture is read is told and can change their mind
    reading = served.studio.grower.read
    monkeypatch.setattr(
        served.studio.grower, "read", lambda *asked: go.wait(60) and reading(*asked)
    )
    page.set_input_files(f"{STUDIO} .source input[type=file]", photo(tmp_path))
    page.wait_for_function(f"{OUTPAINT}.reading")
    page.click(f"{STUDIO} .grow")
    assert page.inner_text(f"{STUDIO} .now") == "Reading the picture then it grows"
    page.focus(f"{STUDIO} .screen canvas")
    page.keyboard.press("Escape")
    assert page.inner_text(f"{STUDIO} .now").startswith("16 steps")
    go.set()
    page.wait_for_function(f"!{OUTPAINT}.reading")
    page.wait_for_timeout(300)
    assert page.evaluate(f"[{OUTPAINT}.phase, {OUTPAINT}.active]") == ["ready", None]
    # only edges that a model can grow have handles
    choose_model(page, "Corner")
    page.set_input_files(f"{STUDIO} .source input[type=file]", photo(tmp_path))
    page.wait_for_function(f"{OUTPAINT}.board?.pieces[0].tokens")
    offered = page.locator(f"{STUDIO} .handles button:visible").evaluate_all(
        "all => all.filter(b => !b.disabled).map(b => b.dataset.side)"
    )
    assert offered == ["right", "bottom"]
    assert page.evaluate(f"{OUTPAINT}.board.wanted.left") == 0
    now = page.locator(f"{STUDIO} .player .now")
    page.click(f"{STUDIO} [data-tool=keep]")
    keep = "nar.pages.get('outpaint').set(nar.store.edited(%s, %s, %s))"
    page.evaluate(keep % (OUTPAINT, [8, 8], [15, 15]))
    assert "only what is right of or below the kept part can match it" in now.inner_text()
    page.evaluate(keep % (OUTPAINT, [0, 0], [7, 7]))
    assert now.inner_text() == "23 steps for 192 tokens"
