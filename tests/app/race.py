"""The recorded race that the page opens on: one prompt grown three ways; run by hand.

    python -m tests.app.race [--model emoji] [--prompt "a penguin in the snow"] [--rng-seed 7]

writes app/race/centre.png and corner.png, which carry their recipe, raster.png, grown by the
same model one token at a time, race.json and card.jpg. Look at what it made before it is kept.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.server.engines import Engines
from app.server.examples import RACE
from app.server.form import Form
from app.server.growing import Finished
from app.server.jobs import Job
from app.server.studio import Studio
from nar_core import Engine, Request, list_models, prepare
from nar_core.files.png import png_bytes

ORDERS = {"raster": "One by one", "corner": "From the corner", "centre": "From the centre"}
LARGE, SMALL = ImageFont.load_default(36), ImageFont.load_default(26)


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


def card(pictures: dict[str, Image.Image]) -> Image.Image:
    """What other sites show of the page: the three at one step, 1200 x 630 pixels."""
    out = Image.new("RGB", (1200, 630), "#fcfcfb")
    pen = ImageDraw.Draw(out)
    pen.text((36, 40), "NAR Studio", "#0a7862", ImageFont.load_default(52))
    pen.text((36, 110), "Pictures grow outward, all neighbours at once.", "#191a1d", LARGE)
    rows, columns = np.indices((16, 16))
    orders = {
        "raster": rows * 16 + columns + 1,
        "corner": rows + columns + 1,
        "centre": abs(rows - 8) + abs(columns - 8) + 1,
    }
    for k, (name, words) in enumerate(ORDERS.items()):
        at = (36 + 384 * k, 186)
        grown = orders[name] <= orders["centre"].max()
        mask = Image.fromarray(grown.astype(np.uint8) * 255).resize(
            (360, 360), Image.Resampling.NEAREST
        )
        pen.rectangle((*at, at[0] + 359, at[1] + 359), "#f2f2f0")
        out.paste(pictures[name].resize((360, 360), Image.Resampling.BICUBIC), at, mask)
        pen.text((at[0], 562), f"{words}: {orders[name].max()} steps", "#54575e", SMALL)
    return out


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
    card({name: Image.open(RACE / f"{name}.png").convert("RGB") for name in ORDERS}).save(
        RACE / "card.jpg", quality=88
    )
    words = {"prompt": args.prompt, "model": args.model, "rng_seed": args.rng_seed}
    (RACE / "race.json").write_text(json.dumps(words) + "\n", "utf-8")


if __name__ == "__main__":
    main()
