"""What axe says of a page, in light and dark, on a desktop and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # tests that open no page need none
    from playwright.sync_api import Page

AXE = Path(__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
"""In tests/web, where `npm ci` installs it."""

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules that look at colours: nothing else is another in the dark."""

WIDTHS = {"desktop": 1280, "phone": 390}
ASKED = """async ([rules, within]) => {
  const options = { runOnly: rules, resultTypes: ["violations"] }; // what is right is only counted
  const { passes, violations } = await axe.run(within || document, options);
  const told = violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`));
  return [passes.length, told];
}"""


class Told(NamedTuple):
    """How many rules something on the page keeps to, and each thing that breaks one."""

    where: str
    passed: int
    violations: list[str]


def asked(page: Page, within: str = "") -> Iterator[Told]:
    """What axe says as the page stands, or of a part of it, in the dark of its colours alone, which
    are all that is another there; how it looks is as before afterwards."""
    size = page.viewport_size
    was_dark = page.evaluate("document.body.classList.contains('dark')")
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    at_once = page.add_style_tag(content="* { transition: none !important; }")
    for name, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        for dark in (False, True):
            _shade(page, dark)
            passed, violations = page.evaluate(ASKED, [COLOURS if dark else RULES, within])
            yield Told(f"{name}, {'dark' if dark else 'light'}", passed, violations)
    _shade(page, was_dark)
    at_once.evaluate("(style) => style.remove()")
    if size:
        page.set_viewport_size(size)


def _shade(page: Page, dark: bool) -> None:
    page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", dark)
