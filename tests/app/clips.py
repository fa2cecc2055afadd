"""Recorded clips for the Video page; run by hand when the model of clips is replaced.

    python -m tests.app.clips [--model emoji-motion] [--prompt "a purple lock spins"] [--rng-seed 7]

writes six files to app/clips, of the model's own prompts where none are given. Look at what it made
before it is kept.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from app.server.engines import Engines
from app.server.examples import CLIPS
from app.server.form import Form
from app.server.studio import Studio
from nar_core import Engine, ideas, list_models
from tests.app.race import from_place

MOST = 6


def record(studio: Studio, model: str, prompts: Sequence[str], rng_seed: int, to: Path) -> None:
    """Grow a clip of each prompt and write them to a folder, in place of what was in it."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    place = studio.engines.info(model).default_seed_position
    for number, prompt in enumerate(prompts):
        form = Form(model, prompt, rng_seed=rng_seed)
        name = f"{number}-{prompt.replace(' ', '-')}.png"
        (to / name).write_bytes(from_place(studio, form, place))


def main() -> None:
    """Grow the clips and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="emoji-motion")
    parser.add_argument("--prompt", action="append", help="what to grow; give it several times")
    parser.add_argument("--rng-seed", type=int, default=7)
    args = parser.parse_args()
    studio = Studio(Engines(Engine.load, list_models))
    info = studio.engines.info(args.model)
    own = dict.fromkeys([*info.prompts, *ideas(info, MOST, args.rng_seed)])
    record(studio, args.model, (args.prompt or list(own))[:MOST], args.rng_seed, CLIPS)


if __name__ == "__main__":
    main()
