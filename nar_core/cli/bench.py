"""`bench`: speed and memory, beside the published way of sampling."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from ..device import arithmetic, pick_device
from ..engine import Engine
from ..measure.speed import device_name, random_engine, random_model, random_tokenizer, speed
from ..measure.suite import GUIDANCE, PUBLISHED, SUITES, save_chart, suite, table
from ..models.transformer import NARTransformer
from ..settings import NAMED
from ..tokenizers.base import Tokenizer
from ..weights.list import official_models
from ..weights.load import load_model
from ..writing import DRAWN, need_file, write_json
from .arguments import (
    add_device,
    add_model,
    add_setting,
    check_counts,
    given,
    need_only,
    option,
    told_again,
    use_threads,
)

HELP = "measure speed and memory beside the published way of sampling"

AGAIN = {"minutes": 8.0, "repeats": 3, "device": "auto", "dtype": "auto", "threads": None}
"""What may have been said besides of a suite that is told again; not where it is this."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    add_model(what)
    what.add_argument(
        "--random-init",
        choices=official_models(),
        metavar="NAME",
        help=f"random weights of an official size: {', '.join(official_models())}",
    )
    what.add_argument(
        "--suite",
        choices=SUITES,
        help="many batches and ways of sampling of models of official sizes, within --minutes",
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="of a suite, at most")
    parser.add_argument("--picture", type=Path, help="where a suite is drawn")
    parser.add_argument(
        "--figures", type=Path, help="where a suite is written as JSON; the page draws it"
    )
    parser.add_argument("--batch", type=int, default=1, help="pictures or clips at once")
    add_setting(parser, NAMED["guidance_scale"], GUIDANCE)
    parser.add_argument("--repeats", type=int, default=3, help="timed runs; medians are reported")
    parser.add_argument(
        "--steps-only", action="store_true", help="leave out previews and the final decode"
    )
    parser.add_argument(
        "--no-baseline", action="store_true", help="leave out the published way of sampling"
    )
    add_device(parser)
    parser.add_argument("--threads", type=int, help="CPU threads")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """See `measure.speed`."""
    check_counts(args, ("batch", "repeats"))
    if not 0 < args.minutes < float("inf"):
        raise ValueError(f"--minutes: got {args.minutes:g}, expected a number above 0; say more")
    _check_given(args)
    use_threads(args.threads)
    for name in ("picture", "figures"):
        if file := getattr(args, name):
            need_file(file, f"--{name}", DRAWN if name == "picture" else ())
    if args.suite:
        return _suite(args)
    plain: NARTransformer | None = None
    plain_tokenizer: Tokenizer | None = None
    if args.random_init:
        engine = random_engine(args.random_init, args.device, args.dtype, not args.steps_only)
    else:
        engine = Engine.load(args.model, args.device, args.dtype)
    if not args.no_baseline:
        # A second copy, because the engine lays its weights out in a way of its own.
        numbers = arithmetic(engine.dtype, engine.device, engine.info.parameters)
        if args.random_init:
            plain = random_model(args.random_init, engine.device, numbers)
            plain_tokenizer = random_tokenizer(args.random_init, engine.device)
        else:
            loaded = load_model(args.model)
            plain = loaded.model.to(engine.device, numbers)
            plain_tokenizer = loaded.tokenizer.to(engine.device)
    return speed(
        engine,
        plain,
        None if args.steps_only else plain_tokenizer,
        batch=args.batch,
        guidance_scale=args.guidance_scale,
        repeats=args.repeats,
        steps_only=args.steps_only,
    )


def _check_given(args: argparse.Namespace) -> None:
    """Raise ValueError for what would be ignored: a suite settles much, and alone has some."""
    if args.suite:
        need_only(args, add_arguments, ("suite", "picture", "figures", *AGAIN), "a suite")
        return
    for name, value in given(args, add_arguments).items():
        if name in ("minutes", "picture", "figures"):
            raise ValueError(f"{option(name)}: got {value} without a suite; add --suite cpu")


def _suite(args: argparse.Namespace) -> dict[str, Any]:
    """What was timed, where and by which command; see `measure.suite`."""
    rows, left = suite(args.suite, args.device, args.dtype, args.repeats, args.minutes)
    if args.picture:
        told = f"guidance {GUIDANCE:g}, {args.dtype}, {torch.get_num_threads()} threads"
        title = f"{rows[0].model}, {told}"
        save_chart([row for row in rows if row.model == rows[0].model], title, args.picture)
    found: dict[str, Any] = {
        "command": told_again(args, f"bench --suite {args.suite}", AGAIN),
        "device_name": device_name(pick_device(args.device)),
        "dtype": args.dtype,
        "threads": torch.get_num_threads(),
        "guidance": GUIDANCE,
        "rows": table(rows),
    }
    if args.suite == "gpu":
        found["published on an A100"] = PUBLISHED
    if left:
        found["no time for"] = left
    if args.figures:
        write_json(args.figures, found, indent=1)
    return found
