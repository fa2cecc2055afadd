"""The walk of a first-time visitor, on the page as it is served; run by hand, and look at it.

    python -m tests.app.walk --out FOLDER [--photo FILE] [--width 390] [--dark] [--only image lab]

opens the page in a fresh browser, grows what is offered, types prompts that a stranger may type,
outpaints a photo and a result, has a result move and go on, and visits the Lab and the article. It
writes a picture of each stop, and tells what the page says there and after how many seconds
something is seen. At the end it tells the seconds that count (to first meaning, which is the
sentence and the race; to the first growth; to a picture of a prompt of one's own) and of every page
how many of axe's rules it keeps to, and what breaks one.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import Image
from playwright.sync_api import Error, Page, sync_playwright

from nar_core import list_models, samples
from tests.app.access import asked
from tests.app.felt import WATCHED, health, served
from tests.app.studios import free_port

PROMPTS = (
    "a dog wearing sunglasses on the beach",
    "three bananas and a pineaple",
    "happy birthday cake",
    "Two purple elephants",
    "a robot dancing in the rain",
    "a cat next to a dog",
    "sunset over the ocean",
    "my house with a big tree",
    "spaceship",
    "a yellow taxi in front of a castle",
    "5 green aliens",
    "an astronaut riding a horse",
)
PATIENCE = 240_000  # ms


class Walk:
    """One visitor: a page, a folder for what is seen, and a line for each stop."""

    def __init__(self, page: Page, out: Path, photo: bytes):
        self.page, self.out, self.photo, self.stops = page, out, photo, 0
        self.seconds: dict[str, float] = {}
        self.access: dict[str, dict[str, object]] = {}

    def open(self, port: int) -> None:
        """The address, and the first growth, of what is offered."""
        began = time.perf_counter()
        self.page.goto(f"http://127.0.0.1:{port}/")
        self.page.wait_for_selector("h1:visible")
        self.page.wait_for_selector(".player canvas:visible")
        self.seconds["from the address to first meaning"] = round(time.perf_counter() - began, 2)
        self.page.wait_for_selector(".player[data-state=ready]")
        self.look("opens")
        taken = self.page.evaluate(WATCHED)
        self.seconds["from the first click to the first step"] = round(taken["first"] / 1000, 2)
        self.seconds["and to the whole picture"] = round(taken["done"] / 1000, 2)
        self.look("grown")

    def hear(self, tab: str) -> None:
        """What axe says of a page, in light and dark, on a desktop and on a phone."""
        self.access[tab] = {
            where: violations or f"{passed} rules kept"
            for where, passed, violations in asked(self.page)
        }

    def look(self, name: str, **told: object) -> None:
        """A picture of what is seen now, and what is said there."""
        self.stops += 1
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=self.out / f"{self.stops:02}-{name}.png")
        toasts = self.page.locator(".toast-body").all_inner_texts()
        row = {"stop": f"{self.stops:02}-{name}", **told, **({"toast": toasts} if toasts else {})}
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        for closing in self.page.locator(".toast-close").all():  # it is none of the next stop
            closing.click()

    def grow(self, tab: str, button: str = ".grow:visible") -> float | None:
        """Seconds until a growth has been shown, None where none began."""
        studio = f".studio.{tab}"
        began = time.perf_counter()
        self.page.click(f"{studio} {button}")
        with suppress(Error):  # it may be over already
            self.page.wait_for_selector(f"{studio} .stop:visible", timeout=3000)
        self.page.wait_for_selector(f"{studio} .player[data-state=done], .toast-body")
        track = f"document.querySelector('{studio} .track')"
        self.page.wait_for_function(f"{track}.ariaValueNow === {track}.ariaValueMax")
        seconds = round(time.perf_counter() - began, 1)
        self.page.wait_for_timeout(500)  # where it was refused, that is told by now
        return None if self.page.locator(".toast-body").count() else seconds

    def go(self, tab: str) -> None:
        """To another page."""
        self.page.click(f"#pages [data-tab-id={tab}]")
        self.page.wait_for_timeout(2500)

    def image(self) -> None:
        """Prompts of a stranger's own."""
        for prompt in PROMPTS:
            self.page.fill(".studio.image .prompt textarea", prompt)
            self.page.wait_for_timeout(1500)
            words = self.page.inner_text(".studio.image .names-row")
            seconds = self.grow("image")
            if seconds:
                self.seconds.setdefault("from a click to the first prompt of one's own", seconds)
            drawn = self.page.inner_text(".studio.image .drawn") if seconds else ""
            told = {"words": words, "drawn": drawn, "seconds": seconds}
            self.look("image", prompt=prompt, **told)

    def outpaint(self) -> None:
        """A photo that grows to the right, and a result that is sent there."""
        self.go("outpaint")
        self.look("outpaint-opens")
        said = self.page.locator(".studio.outpaint .upload-note")
        file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": self.photo}
        self.page.set_input_files(".studio.outpaint .source input[type=file]", [file])  # pyright: ignore
        self.page.wait_for_timeout(6000)
        self.look("outpaint-photo", said=said.inner_text())
        for side in ("right", "left"):
            self.page.focus(f".studio.outpaint [data-side={side}]")
            for _ in range(8):
                self.page.keyboard.press(f"Arrow{side.title()}")
            self.look(f"outpaint-{side}", now=self.page.inner_text(".studio.outpaint .now"))
            self.look(f"outpaint-{side}-grown", seconds=self.grow("outpaint"))
        self.go("image")
        if not self.page.locator(".studio.image [data-send=outpaint]:visible").count():
            self.grow("image")
        self.page.click(".studio.image [data-send=outpaint]")
        self.page.wait_for_timeout(6000)
        self.look("outpaint-result", said=said.inner_text())
        self.page.focus(".studio.outpaint [data-side=right]")
        for _ in range(8):
            self.page.keyboard.press("ArrowRight")
        self.look("outpaint-result-grown", seconds=self.grow("outpaint"))

    def video(self) -> None:
        """A result that moves, goes on, and a clip of a prompt."""
        self.go("video")
        self.look("video-opens")
        self.page.fill(".studio.video .prompt textarea", "a red car slides right")
        self.look("video-grown", seconds=self.grow("video"))
        self.go("image")
        if not self.page.locator(".studio.image [data-send=video]:visible").count():
            self.grow("image")
        self.page.click(".studio.image [data-send=video]")
        self.page.wait_for_timeout(6000)
        self.look("video-result", said=self.page.inner_text(".studio.video .upload-note"))
        self.look("video-result-grown", seconds=self.grow("video"))
        self.look("video-continued", seconds=self.grow("video", "[data-act=extend]"))

    def lab(self) -> None:
        """One experiment."""
        self.go("lab")
        self.look("lab-opens")
        self.page.click(".lab-page .grow")
        self.page.wait_for_selector(".lab[data-state=done]")
        self.look("lab-grown")

    def about(self) -> None:
        """The article, step by step."""
        self.go("about")
        for step in self.page.locator(".article nav [data-go]").all():
            step.click()
            self.page.wait_for_timeout(2500)
            self.look(f"about-{step.get_attribute('data-go')}")


PAGES: dict[str, Callable[[Walk], None]] = {
    "image": Walk.image,
    "outpaint": Walk.outpaint,
    "video": Walk.video,
    "lab": Walk.lab,
    "about": Walk.about,
}


def photo_of(file: Path | None) -> bytes:
    """A photo as JPEG; without a file a landscape of the landscape world."""
    if file is not None:
        return file.read_bytes()
    [landscape] = [info for info in list_models() if info.name == "landscape"]
    [(_, picture)] = samples(landscape, 1, 3)
    out = io.BytesIO()
    Image.fromarray(picture[0]).resize((640, 640)).save(out, "JPEG", quality=80)
    return out.getvalue()


def main() -> None:
    """Serve the page and walk through it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for what is seen")
    parser.add_argument("--photo", type=Path, help="a photo to outpaint")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--only", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument("--port", type=int, help="of a studio that runs already")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    port = args.port or free_port()
    server = None if args.port else served(port)[0]
    try:
        while not (health(port) or {}).get("models"):
            time.sleep(0.2)
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(
                viewport={"width": args.width, "height": 900},
                color_scheme="dark" if args.dark else "light",
            )
            page.set_default_timeout(PATIENCE)
            page.on("pageerror", lambda error: print(f"broken: {error}"))
            walk = Walk(page, args.out, photo_of(args.photo))
            walk.open(port)
            for name in args.only:
                PAGES[name](walk)
                walk.hear(name)
            told = {"seconds": walk.seconds, "access": walk.access}
            sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
            browser.close()
    finally:
        if server is not None:
            server.terminate()
            server.wait(60)


if __name__ == "__main__":
    main()
