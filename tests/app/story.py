"""The recorded growths of the article (About); run by hand, after `python -m tests.app.race`.

    python -m tests.app.story [--model emoji] [--clips emoji-motion]

writes app/story/*.png, which carry their recipe, and story.json: for each of them what the server
would tell the page of the file, and of one growth also why a cell became what it is. The prompt and
rng seed are those of the race. What goes wrong is not chosen: it is the first prompt of the exam
(`evaluate --world`) that comes out wrong. Look at what it made before it is kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

import numpy as np

from app.server.engines import Engines
from app.server.examples import RACE, STORY
from app.server.explaining import explanation_of
from app.server.growing import Finished
from app.server.jobs import Job
from app.server.studio import Studio
from app.server.telling import replayed
from nar_core import Engine, Request, list_models, prepare
from nar_core.files import jpeg_bytes, png_bytes, read_png, sheet
from nar_core.measure.world import exam_of
from nar_core.worlds import WORLDS

PLACES = {"centre": (0, 8, 8), "corner": (0, 0, 0), "aside": (0, 4, 4)}
SCALES = {"guidance-1": 1.0, "guidance-2": 2.0, "guidance-8": 8.0}
CLIP = "a jumping frog"


def grown(studio: Studio, model: str, request: Request) -> bytes:
    """A PNG with its recipe."""
    prepared = prepare(studio.engines.info(model), request)
    *_, end = studio.grower.grow(Job("story", prepared, previews=False))
    assert isinstance(end, Finished)
    return png_bytes(end.video[0], end.recipe)


def around(studio: Studio, model: str, request: Request) -> Request:
    """The same with the middle of its own picture given, and another rng seed for the rest."""
    recipe, _ = read_png(grown(studio, model, request))
    known = np.full(recipe.grid, -1, np.int64)
    known[:, 4:12, 4:12] = recipe.tokens[:, 4:12, 4:12]
    return replace(request, known=known, rng_seed=request.rng_seed + 1)


def wrong(engine: Engine) -> Request:
    """The first request of the exam whose growth is judged wrong."""
    exam, world = exam_of(engine), WORLDS[engine.info.world]()
    rng = np.random.default_rng(0)
    while True:
        for category in exam.categories:
            facts = exam.ask(category, False, rng)
            if facts is None:
                continue
            request = Request(prompt=world.say(facts), rng_seed=0, seed_position=PLACES["centre"])
            pixels = engine.decode(engine.generate_all(request).tokens)
            if not exam.judge(facts, pixels)[0].right:
                return request


def wanted(studio: Studio, model: str, clips: str) -> dict[str, tuple[str, Request]]:
    """Name of each growth -> model and request."""
    race = json.loads((RACE / "race.json").read_text("utf-8"))
    words: dict[str, Any] = {"prompt": race["prompt"], "rng_seed": race["rng_seed"]}
    one = Request(**words, seed_position=PLACES["centre"])
    out = {name: (model, replace(one, seed_position=at)) for name, at in PLACES.items()}
    out |= {name: (model, replace(one, guidance_scale=x)) for name, x in SCALES.items()}
    out["around"] = model, around(studio, model, one)
    out["wrong"] = model, wrong(studio.engines.get(model))
    grid = studio.engines.info(clips).grid
    middle = grid.t // 2, grid.h // 2, grid.w // 2
    out["clip"] = clips, Request(prompt=CLIP, rng_seed=0, seed_position=middle)
    return out


def main() -> None:
    """Grow them, ask why one cell became what it is, and write both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--clips", default="emoji-motion")
    args = parser.parse_args()
    studio = Studio(Engines(Engine.load, list_models))
    STORY.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {}
    for name, (model, request) in wanted(studio, args.model, args.clips).items():
        data = grown(studio, model, request)
        (STORY / f"{name}.png").write_bytes(data)
        message = replayed(studio.engines, data, name)
        told[name] = {**message, "pictures": [f"{STORY.name}/{name}.png"]}
        if message["sheets"]:
            frames = sheet(read_png(data)[1])
            (STORY / f"{name}.jpg").write_bytes(jpeg_bytes(frames, 88))
            told[name]["sheets"] = [f"{STORY.name}/{name}.jpg"]
    job = studio.desk.again("story", (STORY / "centre.png").read_bytes())
    cell = most_open(job)
    explained = explanation_of(studio.engines.get(args.model), job, cell)
    explained = {"kind": "explained", "run": "centre", **explained}
    text = json.dumps({"growths": told, "explained": explained}, separators=(",", ":"))
    (STORY / "story.json").write_text(text + "\n", "utf-8")


def most_open(job: Job) -> tuple[int, int, int]:
    """Of the inner cells that two neighbours predict, the one whose token was nearest to a half."""
    recipe = job.expected
    assert recipe is not None
    _, h, w = recipe.request["seed_position"]
    sure = recipe.confidence.astype(int)
    inside = np.zeros(recipe.grid, bool)
    inside[:, 3:13, 3:13] = True
    inside[:, h], inside[:, :, w] = False, False
    gap = np.where(inside, abs(sure - 127), 999)
    at = np.unravel_index(int(gap.argmin()), recipe.grid)
    return int(at[0]), int(at[1]), int(at[2])


if __name__ == "__main__":
    main()
