"""Pictures of the real page for the README, and the example growths of the page; run by hand.

    python -m tests.app.screenshots [--model emoji] [--prompt "red apple"] ... [--rng-seed 7]

writes assets/page-light.png, page-dark.png, page-phone.png, growing.gif and app/examples/*.png.
Needs Chromium and the models; look at what it made before it is kept.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from app.pages.page import build, launch_options
from app.server.engines import Engines
from app.server.examples import FOLDER
from app.server.studio import Studio
from nar_core import Engine, list_models
from tests.app.inside import look_inside

ASSETS = Path(__file__).parents[2] / "assets"
STATE = "nar.pages.get('image').state"
RUN = "nar.run('image')"
PATIENCE = 120_000


def open_page(browser, url: str, width: int, height: int, dark: bool = False) -> Page:
    """The page, ready, in a theme."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    page.wait_for_selector(".player[data-state=ready] canvas:visible")
    look_inside(page)
    page.evaluate(f"document.body.classList.toggle('dark', {str(dark).lower()})")
    return page


def grow(page: Page, prompt: str) -> None:
    """Grow from a prompt, or branch if a step is marked, and wait for the end."""
    box = page.locator(".studio.image .prompt textarea")
    if box.is_visible():
        box.fill(prompt)
    page.click(".studio.image .grow")
    page.wait_for_function(f"{STATE}.phase === 'done' && {RUN}.finals.length > 0")
    page.wait_for_function(f"!{STATE}.playing")


def show(page: Page, step: int) -> None:
    """Scrub to a step."""
    page.evaluate(f"nar.pages.get('image').set(nar.store.scrubbed({STATE}, {step}))")
    page.wait_for_timeout(200)


def growing_gif(page: Page, file: Path) -> None:
    """The player's canvas at every step, the last one held."""
    frames = []
    for step in range(1, page.evaluate(f"{RUN}.plan.total") + 1):
        show(page, step)
        shot = page.locator(".studio.image .screen").screenshot()
        frames.append(Image.open(io.BytesIO(shot)).convert("RGB").resize((400, 400)))
    both = Image.new("RGB", (400, 800))
    both.paste(frames[len(frames) // 2], (0, 0))
    both.paste(frames[-1], (0, 400))
    palette = both.quantize(255, Image.Quantize.MAXCOVERAGE)
    frames = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    pace = [140] * (len(frames) - 1) + [1800]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=pace, loop=0)


def take(url: str, prompts: list[str], rng_seed: int) -> None:
    """All pictures, from the page at `url`."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = open_page(browser, url, 1440, 900)
        page.fill(".studio.image .rng input", str(rng_seed))
        page.keyboard.press("Tab")
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        for prompt in reversed(prompts):
            grow(page, prompt)
            data = base64.b64decode(page.evaluate(f"{RUN}.pictures[0]").split(",")[1])
            (FOLDER / f"{prompt.replace(' ', '-')}.png").write_bytes(data)
        growing_gif(page, ASSETS / "growing.gif")
        # light: a branch, in the middle of it
        show(page, 3)
        page.keyboard.press("b")
        grow(page, prompts[-1])
        show(page, 12)
        page.mouse.move(2, 2)
        page.screenshot(path=ASSETS / "page-light.png")
        page.close()
        # dark: how sure each token was, and what one cell hears and sees
        page = open_page(browser, url, 1440, 900, dark=True)
        grow(page, prompts[0])
        page.click(".studio.image [data-layer=confidence]")
        show(page, 11)
        box = page.locator(".studio.image .screen canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.35)
        page.wait_for_timeout(300)
        page.screenshot(path=ASSETS / "page-dark.png")
        page.close()
        page = open_page(browser, url, 390, 844)
        grow(page, prompts[0])
        show(page, 10)
        page.screenshot(path=ASSETS / "page-phone.png")
        browser.close()


def main() -> None:
    """Serve the page with real models and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--prompt", action="append", help="what to grow; give it several times")
    parser.add_argument("--rng-seed", type=int, default=7)
    args = parser.parse_args()
    studio = Studio(Engines(Engine.load, list_models))
    info = studio.engines.info(args.model)
    prompts = args.prompt or list(info.prompts[:4])
    demo = build(studio, args.model)
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, **launch_options(studio))
    try:
        take(url, prompts, args.rng_seed)
    finally:
        demo.close()


if __name__ == "__main__":
    main()
