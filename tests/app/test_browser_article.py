"""The article in a real browser: it plays what was recorded, and asks nobody."""

from __future__ import annotations

import pytest

from tests.app.inside import box_of
from tests.app.test_browser_growth import wait_state

PIXELS = """() => {
  const canvas = document.querySelector('.article .panes canvas');
  return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join();
}"""


@pytest.fixture
def article(served, new_page):
    """`article(width=1280, **media)` -> the page opened at About, its story told."""

    def opened(width: int = 1280, **media):
        page = new_page(width, 800, **media)
        page.goto(f"{served.url}?tab=about")
        page.wait_for_selector(".article .panes canvas")
        return page

    return opened


def read(page, act: str) -> None:
    page.click(f".article [data-go={act}]")
    page.wait_for_selector(f".article[data-at={act}]")


def test_every_act_plays_what_was_recorded_and_grows_nothing_until_it_is_tried(
    article, served, sound
):
    ran = served.engine("emoji").steps_run
    page = article()
    sound(page)
    acts = page.eval_on_selector_all(".article [data-act]", "all => all.map(a => a.dataset.act)")
    assert len(acts) == 10
    panes = {"guidance": 3, "orders": 5, "gained": 3, "anywhere": 4}
    for act in acts:
        read(page, act)
        assert page.locator(".article figure").count() == panes.get(act, 1)
        assert page.locator(f"[data-go={act}]").get_attribute("aria-current") == "step"
    read(page, "meet")
    page.wait_for_function(
        "document.querySelector('.article .now').textContent === 'Step 12 of 31'"
    )
    read(page, "mixing")
    assert page.locator(".article .microscope .row").count() == 5
    page.wait_for_function("document.querySelector('.article .play').ariaLabel === 'Play'")
    page.click(".article .play")
    page.wait_for_function(
        "document.querySelector('.article .now').textContent === 'Step 17 of 17'"
    )
    assert page.inner_text(".article .wrong")
    sound(page, ".article .stage")
    # what is measured stands beside it
    read(page, "gained")
    speed = page.locator(".article [data-act=gained] .speed")
    speed.get_by_text("bench --suite cpu").wait_for()
    sound(page, ".article .stage, .article [data-act=gained]")
    seconds = speed.locator("tbody").inner_text()
    assert speed.locator("svg circle").count() == speed.locator("tbody td").count() - 3  # steps
    speed.get_by_role("button", name="Pictures a second").click()
    assert speed.locator("tbody").inner_text() != seconds
    assert page.evaluate("document.activeElement.dataset.quantity") == "per_second"
    speed.get_by_role("button", name="On a GPU").click()
    speed.get_by_text("bench --suite gpu").wait_for()
    assert page.evaluate("document.activeElement.dataset.file") == "speed-gpu.json"
    speed.get_by_role("button", name="Memory").click()  # which on a CPU all ways need alike
    speed.get_by_role("button", name="On a CPU").click()
    assert speed.locator("tbody").inner_text() == seconds
    # formulas and starts by keyboard
    page.focus(".article [data-go=distance]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".article[data-at=distance]")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    plain = page.evaluate(PIXELS)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.see") == "front"
    front = page.evaluate(PIXELS)
    page.keyboard.press("Tab")
    rows = page.evaluate(PIXELS)
    assert len({plain, front, rows}) == 3
    page.focus(".article .panes canvas")
    assert page.evaluate(PIXELS) == plain
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    assert page.inner_text(".article .now") == "24 steps from row 1, column 9"
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".article .now") == "25 steps from row 1, column 10"
    # it is tried on the page where one's own are grown, with what was shown
    read(page, "anywhere")
    page.click("[data-act=anywhere] [data-try]")
    page.wait_for_selector(".studio.image .player[data-state=done]")
    wait_state(page, "done")
    assert page.inner_text(".studio.image .player .now").endswith("of 23")
    assert served.engine("emoji").steps_run == ran
    page.click("#pages button[role=tab][data-tab-id=about]")
    read(page, "distance")
    box_of(page.locator(".article .panes canvas"))  # the page has come there
    page.click(".article .panes canvas", position={"x": 5, "y": 5})
    assert page.inner_text(".article .now") == "31 steps from row 1, column 1"
    page.click("[data-act=distance] [data-try]")
    page.wait_for_selector(".studio.image .player[data-state=ready] .now:text('31 steps')")
    # and in the Lab the same is measured
    page.click("#pages button[role=tab][data-tab-id=about]")
    read(page, "mixing")
    measured = []
    for part in (".article [data-act=mixing]", ".evidence .tables"):
        heard = page.locator(f"{part} .heard")
        heard.get_by_text("evaluate --model emoji --world").wait_for(state="attached")
        measured.append(heard.locator("tbody").text_content())
        page.click("#pages [data-tab-id=lab]")
    assert measured[0] == measured[1]
    for title in ("horizontal", "vertical", "both, averaged"):
        assert title in measured[0]
    page.locator(".evidence .speed").get_by_text("bench --suite cpu").wait_for()


def test_on_a_phone_the_canvas_stays_above_the_text_and_the_act_that_is_read_follows_the_scroll(
    article,
):
    """A clip's slices lie side by side while it grows, and are one square when it moves. An act
    that was gone to stays however long scrolling takes."""
    page = article(390)
    for act in ("mixing", "orders", "anywhere"):
        read(page, act)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        stage = "document.querySelector('.article .stage').getBoundingClientRect()"
        page.wait_for_function(f"{stage}.bottom < 640")  # scrolling takes a moment
        page.wait_for_function(
            """(act) => {
              const stage = document.querySelector('.article .stage').getBoundingClientRect();
              const title = document.querySelector(`[data-act=${act}] h2`).getBoundingClientRect();
              return stage.top <= 1 && title.top >= stage.bottom - 1 && title.bottom < innerHeight;
            }""",
            arg=act,
        )
    read(page, "time")
    page.wait_for_function(
        "document.querySelector('.article .now').textContent === 'Step 19 of 19'"
    )
    # one that has grown covers none of the text
    stage = box_of(page.locator(".article .stage"))
    heading = box_of(page.locator(".article [data-act=time] h2"))
    assert heading["y"] >= stage["y"] + stage["height"]
    # where there is room the canvas stays beside it, and the act follows
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate(  # as by a hand, which is followed at once
        "document.dispatchEvent(new Event('wheel'));"
        "document.querySelector('[data-act=meet]').scrollIntoView()"
    )
    page.wait_for_selector(".article[data-at=meet]")
    page.evaluate("document.querySelector('[data-act=time]').scrollIntoView()")
    page.wait_for_selector(".article[data-at=time]")
    # the canvas has stayed
    box = box_of(page.locator(".article .panes"))
    assert 0 <= box["y"] < 200
    page.evaluate("document.querySelector('[data-act=why]').scrollIntoView()")
    page.wait_for_selector(".article[data-at=why]")
    read(page, "anywhere")
    page.evaluate("""() => {
      window.acts = [];
      const article = document.querySelector('.article');
      const note = () => window.acts.push(article.dataset.at);
      new MutationObserver(note).observe(article, { attributeFilter: ['data-at'] });
      Element.prototype.scrollIntoView = function () {
        const at = document.scrollingElement;
        const start = at.scrollTop;
        const away = this.getBoundingClientRect().top;
        let step = 0;
        const timer = setInterval(() => {
          at.scrollTop = start + (away * ++step) / 12;
          if (step === 12) window.arrived = !clearInterval(timer);
        }, 100);
      };
    }""")
    box_of(page.locator(".article [data-act=anywhere]"))  # what the first act scrolled is over
    read(page, "distance")
    page.wait_for_function("window.arrived")
    acts = page.evaluate("window.acts")
    assert set(acts[acts.index("distance") :]) == {"distance"}
    page.wait_for_function("""() => { // and from there scrolling is followed again
      document.scrollingElement.scrollTop += 40;
      return document.querySelector('.article').dataset.at !== 'distance';
    }""")


def test_an_act_that_was_gone_to_is_come_to_though_the_page_grows_meanwhile(article):
    page = article()
    grow = """(act) => {
      const more = document.createElement('div');
      more.style.height = '900px';
      const before = document.querySelector(`[data-act=${act}]`);
      const late = () => scrollY < 300 ? requestAnimationFrame(late) : before.before(more);
      late();
    }"""
    page.evaluate(grow, "guidance")
    read(page, "guidance")
    page.wait_for_function("""() => {
      const act = document.querySelector('[data-act=guidance]');
      const away = act.getBoundingClientRect().top;
      return Math.abs(away - parseFloat(getComputedStyle(act).scrollMarginTop)) <= 1;
    }""")
    box_of(page.locator(".article [data-act=guidance]"))
    page.wait_for_selector(".article[data-at=guidance]")
    # what is pressed in it meanwhile is no scrolling
    acts = page.evaluate("""async () => {
      const article = document.querySelector('.article');
      const [acts, frame] = [[], () => new Promise((then) => requestAnimationFrame(then))];
      document.querySelector('.article [data-go=why]').click();
      for (let [at, still] = [-1, 0]; still < 20; at = scrollY) {
        const press = new PointerEvent('pointerdown', { bubbles: true });
        article.querySelector('.play').dispatchEvent(press);
        await frame();
        acts.push(article.dataset.at);
        still = scrollY === at ? still + 1 : 0;
      }
      return acts;
    }""")
    assert set(acts) == {"why"}
