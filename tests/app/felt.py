"""What is felt of its speed, on the page as it is served; run by hand.

    python -m tests.app.felt [--times 20] [--switch] [--memory]

says what importing the engine takes, how soon the studio answers, what it has in memory with the
first model warm (with `--memory` also what the engine alone has, before and after many growths),
and, with the system's Chromium, milliseconds from a click on Grow until the canvas shows the first
step that was grown, and the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page, sync_playwright
from tqdm import tqdm

from nar_core.measure.speed import random_model
from nar_core.tokenizers.vq_image import VQConfig, VQTokenizer
from tests.app.studios import free_port
from tests.nar_core.helpers import published

ROOT = Path(__file__).parents[2]
SAID: dict[str, Any] = {"cwd": ROOT, "check": True, "capture_output": True, "text": True}

WATCHED = """() => new Promise((resolve, reject) => {
  const player = [...document.querySelectorAll('.player')].find((one) => one.offsetParent);
  const track = player.querySelector('.track');
  const began = performance.now();
  let isAsked = false, first = 0;
  // told of every change: on a busy machine a state may begin and end between two frames
  const told = new MutationObserver(() => { isAsked ||= player.dataset.state === 'waiting'; });
  told.observe(player, { attributeFilter: ['data-state'] });
  // looked at in every frame: what is found was drawn by the one before
  const look = () => {
    const { state } = player.dataset, step = Number(track.ariaValueNow);
    if (isAsked && !first && state !== 'waiting' && step >= 1) first = performance.now() - began;
    if (first && state === 'done' && step === Number(track.ariaValueMax)) {
      return resolve({ first, done: performance.now() - began });
    }
    if (performance.now() - began > 60000) {
      return reject(new Error(`${isAsked ? state : 'not asked'} at step ${step} after a minute`));
    }
    requestAnimationFrame(look);
  };
  player.closest('.studio').querySelector('.grow').click();
  look();
})"""


def clicks(page: Page, times: int, said: str) -> list[dict[str, float]]:
    """Milliseconds to the first step that is seen and to the last one, of so many growths."""
    taken = []
    for _ in tqdm(range(times), desc=said):
        taken.append(page.evaluate(WATCHED))
        page.wait_for_timeout(200)  # what follows a growth is not part of the next one
    return taken


def served(port: int) -> tuple[subprocess.Popen[bytes], float]:
    """The studio of this folder, when it answers, and the seconds until it did."""
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(6000):
        if health(port) is not None:
            return server, time.perf_counter() - began
        time.sleep(0.02)
    server.kill()
    raise RuntimeError("app.py does not answer")


def health(port: int) -> dict[str, Any] | None:
    """What the studio says of itself, None before it answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return None


def resident(server: subprocess.Popen[bytes]) -> float | None:
    """Megabytes of a process that are in memory, None where that is not told."""
    status = Path(f"/proc/{server.pid}/status")
    if not status.exists():
        return None
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def grown() -> dict[str, float | None]:
    """Megabytes of the engine alone: loaded, after one picture, and after many growths."""
    script = """
from nar_core import Engine, Request, trim_heap

def wait():
    trim_heap()
    print(flush=True)
    input()

engine = Engine.load("emoji")
wait()
engine.generate_all(Request(prompt="red heart"))
wait()
for start in (0, 0, 0), (0, 8, 8), (0, 3, 5), (0, 12, 1):
    for pictures in range(1, 9):
        engine.generate_all(
            Request(prompt="red heart", seed_position=start, num_samples=pictures)
        )
wait()
"""
    words = [sys.executable, "-c", script]
    told = {}
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as engine:
        assert engine.stdin
        assert engine.stdout
        for name in ("loaded", "after one picture", "after 32 growths from four starts"):
            engine.stdout.readline()
            told[name] = resident(engine)
            engine.stdin.write(b"\n")
            engine.stdin.flush()
    return told


def importing(times: int = 3) -> list[float]:
    """Seconds that a new process takes to import the engine, torch included."""
    script = "import time; t = time.perf_counter(); import nar_core; print(time.perf_counter() - t)"
    return [
        float(subprocess.run([sys.executable, "-c", script], **SAID).stdout) for _ in range(times)
    ]


def switching(times: int = 3) -> list[float]:
    """Seconds until another model is in memory: NAR-L, 1.5 GB of random weights in a file."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "NAR-L").mkdir()
        weights = published(random_model("NAR-L", torch.device("cpu"), torch.float32))
        torch.save({"model": weights}, Path(folder) / "NAR-L" / "last_version.pt")
        codes = {"quantize.codebook_used": torch.zeros(65536)}
        tokenizer = VQTokenizer(VQConfig((256, 256))).state_dict() | codes
        torch.save({"model": tokenizer}, Path(folder) / "vq16-class.pt")
        del weights, tokenizer
        script = (
            "import time; from nar_core import Engine; engine = Engine.load('emoji')\n"
            f"for _ in range({times}):\n"
            "    t = time.perf_counter(); engine = Engine.load('NAR-L')\n"
            "    print(time.perf_counter() - t)"
        )
        environment = {**os.environ, "NAR_CHECKPOINTS": folder}
        out = subprocess.run([sys.executable, "-c", script], env=environment, **SAID).stdout
    return [float(line) for line in out.split()]


def page_of(port: int, tab: str, times: int) -> dict[str, dict[str, float]]:
    """What clicks on a page take, in milliseconds."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{port}/?tab={tab}")
        page.wait_for_selector(f"#studio-{tab} .player[data-state=ready] canvas:visible")
        clicks(page, 2, f"{tab}, to warm up")  # the model is in memory now
        taken = clicks(page, times, tab)
        browser.close()
    return {name: spread([one[name] for one in taken]) for name in ("first", "done")}


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most."""
    told = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, 3) for name, value in told.items()}


def main() -> None:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="clicks on each page")
    parser.add_argument("--switch", action="store_true", help="also from one model to a large one")
    parser.add_argument("--memory", action="store_true", help="also of the engine alone")
    args = parser.parse_args()
    out: dict[str, Any] = {"import nar_core, s": spread(importing())}
    port = free_port()
    server, out["app.py ready, s"] = served(port)
    try:
        while not (health(port) or {}).get("models"):
            time.sleep(0.1)
        time.sleep(2)
        out["resident with the first model warm, MB"] = resident(server)
        for tab in ("image", "video"):
            out[f"clicks on {tab}, ms"] = page_of(port, tab, args.times)
    finally:
        server.terminate()
        server.wait(60)
    if args.memory:
        out["engine alone, MB"] = grown()
    if args.switch:
        out["model switch, s"] = spread(switching())
    sys.stdout.write(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
