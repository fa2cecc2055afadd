"""A look into the page from outside: its own modules, and which steps were really shown."""

from __future__ import annotations

from typing import Any

from app.player import address

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


def look_inside(page: Any) -> None:
    """`nar` in a page that is ready: its modules, `run(page)` and the steps `painted(page)`."""
    page.evaluate(LOOK, address())
