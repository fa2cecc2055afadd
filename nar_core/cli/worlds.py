"""`worlds`: what the worlds make, to look at, and the judge of landscapes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..measure.landscape import WEIGHTS
from ..measure.sheets import world_sheet
from ..measure.teach import teach
from ..plan import GridShape
from ..settings import RNG_SEED
from ..weights.embedded import load_tokenizer_folder
from ..weights.fetch import CHECKPOINTS
from ..worlds import WORLDS
from ..writing import DRAWN, need_file
from .arguments import add_setting, check_counts

TAUGHT = 14_000
"""Pictures that the classifier is taught with."""

HELP = "draw what a world makes, or teach the classifier that judges landscapes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=["sheet", "judge"],
        help="pictures or clips under their prompts; or the classifier of landscapes",
    )
    parser.add_argument("world", choices=WORLDS, help=f"one of {', '.join(WORLDS)}")
    parser.add_argument(
        "--out",
        help="PNG to write, and for clips a GIF beside it; or where the classifier goes, by "
        "default where `evaluate --world` looks for it",
    )
    parser.add_argument("--count", type=int, help=f"how many: 48 on a sheet, {TAUGHT} to teach")
    parser.add_argument(
        "--held-out", action="store_true", help="combinations that training never shows"
    )
    add_setting(parser, RNG_SEED, RNG_SEED.off)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """`sheet` is the file, `moving` that of clips; of a judge the shares that it tells right."""
    check_counts(args, ("count",), 2 if args.what == "judge" else 1)  # some are held out
    RNG_SEED.check(args.rng_seed)
    if args.what == "sheet":
        if not args.out:
            raise ValueError("--out: got nothing, expected the PNG to write; say --out FILE.png")
        need_file(Path(args.out), "--out", DRAWN)
        return world_sheet(
            args.world, Path(args.out), args.count or 48, args.rng_seed, args.held_out
        )
    if args.world != "landscape":
        raise ValueError(
            f"judge: got {args.world}, expected landscape; growths of emoji worlds are compared "
            "with renderings and need no classifier"
        )
    tokenizer = load_tokenizer_folder(CHECKPOINTS / "world-tokenizer", GridShape(1, 16, 16))[0]
    out = Path(args.out or WEIGHTS)
    need_file(out, "--out")
    return {"judge": str(out)} | teach(tokenizer, out, args.count or TAUGHT, args.rng_seed)
