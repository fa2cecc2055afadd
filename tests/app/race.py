"""The recorded race that the page opens on: one prompt grown three ways; run by hand.

    python -m tests.app.race [--model emoji] [--prompt "a penguin in the snow"] [--rng-seed 7]

writes app/race/centre.png and corner.png, which carry their recipe, raster.png, grown by the
same model one token at a time, and race.json. Look at what it made before it is kept.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from PIL import Image

from app.files.png import png_bytes
from app.server.engines import Engines
from app.server.examples import RACE
from app.server.form import Form
from app.server.growing import Finished
from app.server.jobs import Job
from app.server.studio import Studio
from nar_core import Engine, Request, list_models, prepare


def by_raster(engine: Engine, prompt: str, rng_seed: int) -> np.ndarray:
    """A picture uint8 [h, w, 3] grown token by token in raster order.

    Each token is the first of a growth from its cell, around all that stands: with the model's own
    heads, and the same random numbers as any other order.
    """
    tokens = np.full(engine.info.grid, -1, np.int64)
    for position in np.ndindex(*tokens.shape):
        known = tokens.copy() if (tokens >= 0).any() else None
        request = Request(prompt=prompt, rng_seed=rng_seed, seed_position=position, known=known)
        growth = engine.generate(request)
        tokens[position] = next(growth).tokens[0][position]
        growth.close()
    return engine.decode(tokens[None])[0, 0]


def from_place(studio: Studio, form: Form, seed_position: tuple[int, int, int]) -> bytes:
    """A PNG with its recipe of a growth from one cell."""
    info = studio.engines.info(form.model)
    job = Job("race", prepare(info, form.request(info, seed_position)), previews=False)
    *_, end = studio.grower.grow(job)
    assert isinstance(end, Finished)
    return png_bytes(end.video[0], end.recipe)


def main() -> None:
    """Grow the three and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="emoji")
    parser.add_argument("--prompt", default="a penguin in the snow")
    parser.add_argument("--rng-seed", type=int, default=7)
    args = parser.parse_args()
    studio = Studio(Engines(Engine.load, list_models))
    info = studio.engines.info(args.model)
    form = Form(args.model, args.prompt, rng_seed=args.rng_seed)
    RACE.mkdir(parents=True, exist_ok=True)
    centre = info.grid.t // 2, info.grid.h // 2, info.grid.w // 2
    for name, place in (("centre", centre), ("corner", (0, 0, 0))):
        (RACE / f"{name}.png").write_bytes(from_place(studio, form, place))
    pixels = by_raster(studio.engines.get(args.model), args.prompt, args.rng_seed)
    Image.fromarray(pixels).save(RACE / "raster.png", optimize=True)
    words = {"prompt": args.prompt, "model": args.model, "rng_seed": args.rng_seed}
    (RACE / "race.json").write_text(json.dumps(words) + "\n", "utf-8")


if __name__ == "__main__":
    main()
