"""`bench`: speed and memory, beside the published way of sampling."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from ..device import arithmetic
from ..engine import Engine
from ..measure.speed import random_engine, random_model, speed
from ..measure.suite import PUBLISHED, SUITES, save_chart, suite, table
from ..weights.list import official_models
from ..weights.load import load_model
from .arguments import add_device, add_model

HELP = "measure speed and memory beside the published way of sampling"


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
    parser.add_argument("--picture", type=Path, help="where a suite is drawn against the batch")
    parser.add_argument("--batch", type=int, default=1, help="pictures or clips at once")
    parser.add_argument("--guidance", type=float, default=2.0, help="guidance scale, 1 for none")
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
    for name in ("batch", "repeats"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name}: got {getattr(args, name)}, expected 1 or more")
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.suite:
        return _suite(args)
    plain = None
    if args.random_init:
        engine = random_engine(args.random_init, args.device, args.dtype, not args.steps_only)
    else:
        engine = Engine.load(args.model, args.device, args.dtype)
    if not args.no_baseline:
        # A second copy, because the engine lays its weights out in a way of its own.
        numbers = arithmetic(engine.dtype, engine.device, engine.info.parameters)
        if args.random_init:
            plain = random_model(args.random_init, engine.device, numbers)
        else:
            plain = load_model(args.model).model.to(engine.device, numbers)
    return speed(
        engine,
        plain,
        batch=args.batch,
        guidance_scale=args.guidance,
        repeats=args.repeats,
        steps_only=args.steps_only,
    )


def _suite(args: argparse.Namespace) -> dict[str, Any]:
    """See `measure.suite`."""
    rows, left = suite(args.suite, args.device, args.dtype, args.repeats, args.minutes)
    if args.picture:
        title = f"{rows[0].model}, guidance 2, {args.dtype}, {torch.get_num_threads()} threads"
        save_chart([row for row in rows if row.model == rows[0].model], title, args.picture)
    found: dict[str, Any] = {"rows": table(rows), "threads": torch.get_num_threads()}
    if args.suite == "gpu":
        found["published on an A100"] = PUBLISHED
    if left:
        found["no time for"] = left
    return found
