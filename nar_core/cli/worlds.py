"""`worlds`: what the worlds make, to look at."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..measure.sheets import world_sheet
from ..settings import RNG_SEED
from ..worlds import WORLDS
from .arguments import add_setting

HELP = "draw what a world makes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["sheet"], help="pictures or clips under their prompts")
    parser.add_argument("world", choices=WORLDS, help=f"one of {', '.join(WORLDS)}")
    parser.add_argument("--out", required=True, help="PNG to write, and for clips a GIF beside it")
    parser.add_argument("--count", type=int, default=48, help="how many")
    parser.add_argument(
        "--held-out", action="store_true", help="combinations that training never shows"
    )
    add_setting(parser, RNG_SEED, RNG_SEED.off)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """`sheet` is the file, `moving` that of clips."""
    if args.count < 1:
        raise ValueError(f"--count: got {args.count}, expected 1 or more")
    return world_sheet(args.world, Path(args.out), args.count, args.rng_seed, args.held_out)
