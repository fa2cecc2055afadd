"""What is felt of its speed, on the page as it is served; run by hand.

    python -m tests.app.felt [--tab image | video] [--times 20]

starts the studio and the system's Chromium, grows with the model of a page until it is in memory,
clicks Grow again and again, and prints milliseconds until the canvas shows the first step that was
grown, and the last one, as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.app.studios import free_port

ROOT = Path(__file__).parents[2]

WATCHED = """() => new Promise((resolve) => {
  const player = [...document.querySelectorAll('.player')].find((one) => one.offsetParent);
  const track = player.querySelector('.track');
  const began = performance.now();
  let isAsked = false, first = 0;
  // looked at in every frame: what is found was drawn by the one before
  const look = () => {
    const { state } = player.dataset, step = Number(track.ariaValueNow);
    isAsked ||= state === 'waiting';
    if (isAsked && !first && state !== 'waiting' && step >= 1) first = performance.now() - began;
    if (first && state === 'done' && step === Number(track.ariaValueMax)) {
      return resolve({ first, done: performance.now() - began });
    }
    requestAnimationFrame(look);
  };
  player.closest('.studio').querySelector('.grow').click();
  look();
})"""


def clicks(page: Page, times: int) -> list[dict[str, float]]:
    """Milliseconds to the first step that is seen and to the last one, of so many growths."""
    taken = []
    for _ in range(times):
        taken.append(page.evaluate(WATCHED))
        page.wait_for_timeout(200)  # what follows a growth is not part of the next one
    return taken


def served(port: int) -> subprocess.Popen[bytes]:
    """The studio of this folder, when it answers."""
    command = [sys.executable, "app.py", "--preload", "--port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
            return server
        except OSError:
            time.sleep(0.2)
    server.kill()
    raise RuntimeError("app.py does not answer")


def main() -> None:
    """Click, and say how long it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tab", default="image", choices=["image", "video"])
    parser.add_argument("--times", type=int, default=20)
    args = parser.parse_args()
    port = free_port()
    server = served(port)
    try:
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(60_000)
            page.goto(f"http://127.0.0.1:{port}/?tab={args.tab}")
            page.wait_for_selector(".player[data-state=ready] canvas:visible")
            clicks(page, 2)  # the model is in memory now
            taken = clicks(page, args.times)
            browser.close()
    finally:
        server.terminate()
        server.wait(60)
    out = {}
    for name in ("first", "done"):
        ms = [one[name] for one in taken]
        out[name] = {"median": statistics.median(ms), "least": min(ms), "most": max(ms)}
    sys.stdout.write(json.dumps({"tab": args.tab, "times": args.times, "milliseconds": out}) + "\n")


if __name__ == "__main__":
    main()
