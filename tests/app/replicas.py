"""Two engine replicas under Ray Serve on this machine, one of them killed while both grow.

`python -m tests.app.replicas [--growths 8]` needs `pip install -r requirements-ray.txt`. Its last
line is a JSON object: seconds of so many growths by one and by two replicas, none of which agree in
their seed position, so that each is grown alone; whether a second studio could share the two; and
whether what the killed replica had begun was finished by another as if nothing had happened.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from app.server.engines import Engines
from app.server.form import Form
from app.server.growing import Finished, Grower, Stepped
from app.server.jobs import Job
from app.server.replicas import Fleet, Replicas, deploy
from app.server.studio import Studio
from app.server.turns import Client
from app.wire import start_of
from nar_core import Engine, list_models


def studio_of(replicas: int) -> tuple[Studio, Fleet]:
    """A studio whose growths are made by so many replicas."""
    engines = Engines(Engine.load, list_models)
    fleet = deploy("cpu", 1, "emoji", (replicas, replicas))
    return Studio(engines, grower=Replicas(engines, fleet.handle), lanes=replicas), fleet


def job_of(studio: Studio, number: int) -> Job:
    """A growth that agrees with no other."""
    start = {"run": f"r{number}-{time.monotonic_ns()}", "seed_position": [0, 4 + number % 8, 8]}
    form = Form("emoji", "red heart", rng_seed=number)
    return studio.desk.job(form, start_of(start, studio.limits.upload))


async def heard(studio: Studio, number: int, begun: asyncio.Event | None = None) -> list[Any]:
    """The events of one growth; `begun` is set at its fourth step."""
    events = []
    async for event in studio.events(job_of(studio, number), Client(f"10.0.0.{number}")):
        events.append(event)
        if begun is not None and isinstance(event, Stepped) and event.step == 4:
            begun.set()
    return events


def seconds_of(studio: Studio, growths: int) -> float:
    """How long that many growths take that are asked for at once."""

    async def all_of_them() -> None:
        await asyncio.gather(*(heard(studio, number) for number in range(growths)))

    asyncio.run(all_of_them())  # every replica has made its first one
    began = time.monotonic()
    asyncio.run(all_of_them())
    return round(time.monotonic() - began, 2)


def kill_one() -> str:
    """Kill a replica; its name."""
    import ray

    named = ray.util.list_named_actors(all_namespaces=True)
    name, space = next((a["name"], a["namespace"]) for a in named if "REPLICA" in a["name"])
    ray.kill(ray.get_actor(name, namespace=space), no_restart=True)
    return name


async def through_a_loss(studio: Studio) -> list[list[Any]]:
    """The events of two growths, while both of which ran a replica was killed."""
    begun = [asyncio.Event(), asyncio.Event()]
    growths = [asyncio.create_task(heard(studio, n, begun[n])) for n in range(2)]
    for event in begun:
        await event.wait()
    print("killed", await asyncio.to_thread(kill_one), file=sys.stderr)
    return await asyncio.gather(*growths)


def shared() -> bool:
    """Whether a second studio grows by these replicas, and leaves them as they are."""
    import ray

    cluster = ray.get_runtime_context().gcs_address
    words = [sys.executable, "-m", "tests.app.replicas", "--join"]
    ended = subprocess.run(
        words, stdout=subprocess.PIPE, env={**os.environ, "RAY_ADDRESS": cluster}, check=True
    )
    return json.loads(ended.stdout.splitlines()[-1])


def joined() -> bool:
    """Whether what another studio has started grows a picture for this one, too."""
    studio, fleet = studio_of(1)
    events = asyncio.run(heard(studio, 3))
    fleet.leave()
    return not fleet.own and isinstance(events[-1], Finished)


def tried(replicas: int, growths: int) -> dict[str, Any]:
    """What so many replicas do; see the top."""
    studio, fleet = studio_of(replicas)
    out: dict[str, Any] = {f"seconds_with_{replicas}": seconds_of(studio, growths)}
    ended: list[list[Any]] = []
    if replicas > 1:
        out["shared"] = shared()
        ended = asyncio.run(through_a_loss(studio))
    fleet.leave()
    alone, whole = Grower(studio.engines), []
    for number, events in enumerate(ended):
        *_, here = alone.grow(job_of(studio, number))
        steps = [event.step for event in events if isinstance(event, Stepped)]
        last = events[-1]
        same = isinstance(last, Finished) and np.array_equal(last.tokens, here.tokens)
        whole.append(same and steps == list(range(1, here.total + 1)))
    return {**out, "finished_through_a_loss": whole} if ended else out


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--growths", type=int, default=8)
    asked.add_argument("--replicas", type=int, help="only with so many")
    asked.add_argument("--join", action="store_true", help="only share those of RAY_ADDRESS")
    args = asked.parse_args()
    if args.join:
        print(json.dumps(joined()))
    elif args.replicas:
        print(json.dumps(tried(args.replicas, args.growths)))
    else:
        words = [sys.executable, "-m", "tests.app.replicas", "--growths", str(args.growths)]
        out: dict[str, Any] = {"growths": args.growths}
        for replicas in ("1", "2"):  # each with a Ray of its own
            told = subprocess.run(
                [*words, "--replicas", replicas], stdout=subprocess.PIPE, check=True
            ).stdout
            out |= json.loads(told.splitlines()[-1])
        print(json.dumps(out))
