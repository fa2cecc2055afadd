"""A look into the page from outside: its own modules, and which steps were really shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.pages.parts import address

# A step is drawn before its number is told to screen readers.
LOOK = """async (address) => {
  const load = (name) => import(`/${address}/${name}.js`);
  const names = ['pages', 'store', 'views/canvas', 'tools/pixels', 'tools/clip'];
  const [pages, store, canvas, pixels, clip] = await Promise.all(names.map(load));
  const run = (page) => store.currentRun(pages.get(page).state);
  const shown = new Map();
  new MutationObserver((records) => {
    for (const { target } of records) {
      const step = Number(target.getAttribute('aria-valuenow'));
      const page = target.closest('.studio')?.id.replace('studio-', '');
      if (!step || !page || !pages.get(page) || !run(page)) continue;
      const { id } = run(page);
      shown.set(id, (shown.get(id) ?? new Set()).add(step));
    }
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ['aria-valuenow'] });
  const painted = (page) => shown.get(pages.get(page).state.current)?.size ?? 0;
  window.nar = { pages, store, canvas, pixels, clip, run, painted };
}"""


def unhurried(page: Any, steps: int) -> None:
    """From now on frames follow each other faster than the steps of a growth of so many do, so that
    every step is painted."""
    page.evaluate("(steps) => { window.pace = Math.min(100, 1200 / (steps + 1)); }", steps)


def box_of(element: Any) -> dict[str, float]:
    """The box of a locator's element on the screen, once it rests: a page may be scrolling."""
    return element.evaluate(
        """async (element) => {
          const frame = () => new Promise((then) => requestAnimationFrame(then));
          const at = () => JSON.stringify(element.getBoundingClientRect());
          for (let [box, still] = [at(), 0]; still < 3; ) {
            await frame();
            still = at() === box ? still + 1 : 0;
            box = at();
          }
          return JSON.parse(at());
        }"""
    )


def said_at_once(page: Any, done: str, read: str) -> Any:
    """What `read` is right after `done`, both of them scripts: a moment later it may be another.

    What plays, flashes or is told for a while is looked at so: a busy machine comes too late.
    """
    return page.evaluate(f"() => {{ {done}; return {read}; }}")


def overheard(page: Any, selector: str, words: str) -> Callable[[], None]:
    """From now on listen to an element; what is returned waits until it has said `words`."""
    page.evaluate(
        """(selector) => {
          const element = document.querySelector(selector);
          window.overheard = '';
          new MutationObserver(() => { window.overheard += element.textContent; })
            .observe(element, { subtree: true, childList: true, characterData: true });
        }""",
        selector,
    )
    return lambda: page.wait_for_function(f"overheard.includes({words!r})")


def toast(page: Any) -> str:
    """What the toast says that comes next; it goes away by itself."""
    page.wait_for_function("window.toast = document.querySelector('.toast-body')?.innerText")
    return page.evaluate("window.toast")


def look_inside(page: Any) -> None:
    """`nar` in a page that is ready: its modules, `run(page)` and the steps `painted(page)`."""
    page.evaluate(LOOK, address())
