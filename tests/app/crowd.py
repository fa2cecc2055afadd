"""Several people at once: pictures a minute, grown together and one at a time; run by hand.

    python -m tests.app.crowd [--clients 8] [--pictures 2] [--rounds 3] [--model emoji]

Each client asks for a picture, waits for its file, and asks for the next one; prompts and random
seeds differ, the seed position is the same, as on a page where nobody chose another. Both ways
are the same server code, `--together 8` and `--together 1`, timed in turn in one process. Its last
line is a JSON object; seconds are those from asking to having the picture.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import time
from typing import Any

from tqdm import tqdm

from app.server.engines import Engines
from app.server.form import Form
from app.server.studio import Studio
from app.server.telling import Teller
from app.server.turns import Client
from app.wire import start_of
from nar_core import Engine, list_models

PROMPTS = ("red apple", "owl", "penguin", "red heart", "whale", "snowman", "rocket", "tulip")


async def client(studio: Studio, model: str, number: int, pictures: int) -> list[float]:
    """Seconds that each picture of one client took."""
    taken = []
    for picture in range(pictures):
        began = time.monotonic()
        form = Form(model, PROMPTS[number % len(PROMPTS)], rng_seed=100 * number + picture)
        start = start_of({"run": secrets.token_hex(8)}, studio.limits.upload)
        job = studio.desk.job(form, start)
        teller, last = Teller(job.run), None
        async for event in studio.events(job, Client(f"10.0.0.{number}")):
            for message in teller.told(event):  # as what a page is sent is made
                last = message
        if last is None or last["kind"] != "done":
            raise RuntimeError(f"{job.run} ended with {last and last['kind']}")
        taken.append(time.monotonic() - began)
    return taken


def crowd(studio: Studio, model: str, clients: int, pictures: int) -> tuple[float, list[float]]:
    """Pictures a minute of so many clients, and the seconds that each picture took."""

    async def everybody() -> list[list[float]]:
        return await asyncio.gather(*(client(studio, model, n, pictures) for n in range(clients)))

    began = time.monotonic()
    taken = asyncio.run(everybody())
    rate = 60 * clients * pictures / (time.monotonic() - began)
    return rate, [seconds for own in taken for seconds in own]


def main() -> None:
    """Measure, and say what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=2, help="that each asks for in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="emoji")
    args = parser.parse_args()
    engines = Engines(Engine.load, list_models)
    ways = {
        f"together {most}": Studio(engines, together=most) for most in (max(args.clients, 2), 1)
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    waits: dict[str, list[float]] = {name: [] for name in ways}
    for studio in ways.values():  # warms up
        crowd(studio, args.model, args.clients, 1)
    for number in tqdm(range(args.rounds), desc="rounds"):
        # The other way round every time, so that other load hits both alike.
        for name, studio in list(ways.items())[:: 1 if number % 2 == 0 else -1]:
            rate, taken = crowd(studio, args.model, args.clients, args.pictures)
            rates[name].append(rate)
            waits[name] += taken
    out: dict[str, Any] = {"model": args.model, "clients": args.clients}
    for name in ways:
        out[name] = {
            "pictures a minute": round(statistics.median(rates[name]), 1),
            "seconds a picture": round(statistics.median(waits[name]), 2),
        }
    several, one = (statistics.median(rates[name]) for name in ways)
    sys.stdout.write(json.dumps({**out, "ratio": round(several / one, 2)}) + "\n")


if __name__ == "__main__":
    main()
