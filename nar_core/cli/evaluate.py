"""`evaluate`: reconstruction and likelihood, rightness, contact sheets, the paper's tables."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..engine import Engine
from ..measure.ablations import ablations
from ..measure.configurations import compare
from ..measure.growing import Grower
from ..measure.items import TrainingPictures, part_of, spread
from ..measure.likelihood import measure
from ..measure.rightness import recall
from ..measure.sheets import contact_sheet, drawn_prompts, growth_strips
from ..measure.starts import drawn, seed_map
from ..measure.tables import PROMPTS_FILE, TABLES, TableRun, make_table
from ..measure.world import drift, reconstruction, rightness, variation
from ..request import Request
from ..settings import NUM_SAMPLES, RNG_SEED, SETTINGS
from ..train.data import DataFolder, need_apart
from ..writing import DRAWN, need_file, need_folder, save_picture, write_json
from .arguments import (
    add_device,
    add_model,
    add_setting,
    check_counts,
    given,
    lines_of,
    need_only,
    option,
    own_device,
    said,
    told_again,
)

HELP = "measure reconstruction, likelihood and rightness, draw contact sheets"

MACHINE = {"device": "auto", "dtype": "auto"}
"""What may have been said of the machine; not where it is this."""

GROWN = {
    "rng_seed": RNG_SEED.off,
    **MACHINE,
    **dict.fromkeys(setting.name for setting in SETTINGS),
}
"""What may have been said besides of growths that are told again; not where it is this."""

AGAIN = {
    **{"data": None, "part": "all", "limit": 0, "world": 0},
    **{"rng_seeds": 1, "seed_position": None},
    **GROWN,
}
"""The same of a comparison."""

TAKEN: dict[str, tuple[str, ...]] = {
    "data": ("part", "limit", "recall"),
    "world": (),
    "drift": (),
    "seed_map": ("picture", "every", "count"),
    "sheet": ("prompts", "count"),
    "growth": ("prompts",),
    "table": ("out", "samples", "batch", "reference", "features", "samples_only"),
    "ablations": (),
}
"""What may be measured or drawn, and what else may be said of each."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--data", help="data folder to measure on (images.zip and index.jsonl)")
    parser.add_argument(
        "--part",
        choices=("all", "training", "held-out"),
        default="all",
        help="of --data what the generator was trained on, or what was held out, by its record",
    )
    parser.add_argument("--limit", type=int, default=0, help="pictures at most, 0 for all")
    parser.add_argument(
        "--world",
        type=int,
        default=0,
        metavar="N",
        help="grow N prompts of the model's world, of seen and held-out combinations, from the "
        "corner, the centre and any cell: how many are right, how much of them is damaged",
    )
    parser.add_argument(
        "--drift",
        action="store_true",
        help="grow around a known rectangle of the world's pictures and say what is kept of it; of "
        "clips also how the second frame goes on from the first",
    )
    parser.add_argument(
        "--seed-map",
        metavar="FILE",
        help="grow --count prompts of the model's world from every cell, judge them and write what "
        "was found to this JSON file; a run that finds it goes on",
    )
    parser.add_argument("--picture", metavar="FILE", help="draw the seed map to this PNG")
    parser.add_argument(
        "--every", type=int, default=1, help="of --seed-map only every n-th row and column"
    )
    parser.add_argument(
        "--ablations",
        metavar="FOLDER",
        help="measure the models of the run folders in it beside each other, by --world prompts "
        "and three rng seeds each, and write ablations.json there; --model is not asked",
    )
    parser.add_argument("--sheet", help="write a contact sheet to this PNG")
    parser.add_argument(
        "--prompts",
        nargs="*",
        help="prompts of the sheet, or a file with one a line; without, drawn from the training "
        "names or the model's world",
    )
    parser.add_argument(
        "--count", type=int, default=16, help="prompts drawn for the sheet or the seed map"
    )
    parser.add_argument(
        "--recall",
        type=int,
        default=0,
        metavar="N",
        help="grow N training names and tell how many come out nearest to their own picture",
    )
    parser.add_argument("--growth", help="write strips of growing pictures to this PNG")
    parser.add_argument(
        "--seed-position",
        nargs="+",
        metavar="PLACE",
        help="corner, centre, any or [T,]H,W: compare heads, fusion and these seed positions by "
        "likelihood, on --data or renderings of the world, and by rightness with --world",
    )
    parser.add_argument(
        "--rng-seeds",
        type=int,
        default=1,
        metavar="N",
        help="of a comparison by --world: so many rng seeds with prompts of their own, judged "
        "together",
    )
    parser.add_argument(
        "--figures", metavar="FILE", help="where a comparison is written as JSON; the page shows it"
    )
    add_setting(parser, RNG_SEED, RNG_SEED.off)
    for setting in SETTINGS:
        several = "several are compared, see --seed-position" if setting.choices else ""
        add_setting(parser, setting, several=several)
    add_device(parser)
    parser.add_argument(
        "--table", type=int, choices=TABLES, help="make a published table's samples and score them"
    )
    parser.add_argument("--out", help="folder for them; a run found there is continued")
    parser.add_argument("--samples", type=int, help="how many, by default as published")
    parser.add_argument("--batch", type=int, default=8, help="samples at once")
    parser.add_argument(
        "--reference",
        help="table 1: folder of real pictures, .npy, or the ADM evaluator's .npz; 2: .npy of real "
        f"clips uint8 [N, F, H, W, 3]; 3: GenEval's {PROMPTS_FILE}",
    )
    parser.add_argument(
        "--features",
        metavar="FILE",
        help="table 1: the Inception network as TorchScript, or torch-fidelity's weights, by "
        "default fetched by it (requirements-eval.txt); 2: the I3D network as TorchScript",
    )
    parser.add_argument(
        "--samples-only", action="store_true", help="table: make the samples, do not score them"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what was asked for: `psnr` (dB), `loss_*` (nats per token), `sheet`, `scores`."""
    check_counts(args, ("limit", "world", "recall"), 0)
    check_counts(args, ("every", "count", "rng_seeds", "samples", "batch"))
    _check_rng_seed(args.rng_seed)
    if args.ablations:
        return _ablations(args)
    settings = said(args)
    heads, fusion = (settings.pop(name, []) for name in ("heads", "fusion"))
    comparing = bool(args.seed_position) or max(len(heads), len(fusion)) > 1
    if comparing:
        _check_comparison(args)
    else:
        _check_one(args)
        settings |= {n: v[0] for n, v in (("heads", heads), ("fusion", fusion)) if v}
    if not any(getattr(args, name) for name in TAKEN):
        names = ", ".join(map(option, TAKEN))
        raise ValueError(f"evaluate: got nothing to do, expected one of {names}; say one")
    if args.table and not args.out:
        raise ValueError(
            f"--table: got {args.table} without --out, expected a folder for the samples; say --out"
        )
    for name in ("sheet", "growth", "seed_map", "picture", "figures"):
        if getattr(args, name) is not None:
            endings = () if name in ("seed_map", "figures") else DRAWN
            need_file(Path(getattr(args, name)), option(name), endings)
            if args.data:
                need_apart(Path(getattr(args, name)), Path(args.data), option(name))
    if args.table:
        need_folder(Path(args.out), "--out")
        if args.reference:
            need_apart(Path(args.out), Path(args.reference), "--out")
    engine = Engine.load(args.model, device=own_device(args.device), dtype=args.dtype)
    grower = Grower(engine, args.rng_seed, settings)
    prompts = read_prompts(args.prompts or ())
    # what cannot be grown is told before hours of it
    for one in [{}, *({"heads": x} for x in heads), *({"fusion": x} for x in fusion)]:
        engine.prepare(Request(rng_seed=args.rng_seed, **(settings | one)))
    for prompt in prompts:
        engine.prepare(grower.request([prompt]))
        if args.sheet and engine.info.world and engine.understand(prompt).facts is None:
            raise ValueError(
                "--prompts: got an empty one, expected what a sheet can show; write something"
            )
    out: dict[str, Any] = {"model": engine.info.name, "digest": engine.digest}
    if comparing:
        return out | _comparison(grower, args, heads, fusion)
    train = None
    if args.data:
        data = part_of(DataFolder.open(args.data), args.part, engine)
        if args.recall or args.sheet:  # which not every model has
            train = TrainingPictures(engine, args.data)
        out |= measure(engine, spread(data, args.limit))
    if args.recall and train:
        out |= recall(grower, train, args.recall)
    if args.world:
        out |= rightness(grower, args.world)
        out |= {"variation": variation(grower), "psnr": reconstruction(grower)}
    if args.drift:
        out |= drift(grower)
    if args.seed_map:
        file = Path(args.seed_map)
        again = f"evaluate --model {args.model} --seed-map {file.name} --every {args.every}"
        command = told_again(args, again, GROWN)
        found = seed_map(grower, args.count, file, args.every, command)
        if args.picture:
            save_picture(drawn(found), Path(args.picture))
        out |= found
    if args.sheet:
        chosen = prompts or drawn_prompts(grower, train, args.count)
        out |= contact_sheet(grower, Path(args.sheet), chosen, train)
    if args.growth:
        out |= growth_strips(grower, Path(args.growth), prompts)
    if args.table:
        out |= make_table(
            grower,
            args.table,
            TableRun(
                Path(args.out),
                args.samples,
                args.batch,
                args.reference,
                args.features,
                not args.samples_only,
            ),
        )
    return out


def _check_rng_seed(first: int) -> None:
    """Raise ValueError for one up to which no rng seed of samples and of --rng-seeds counts."""
    last = int(RNG_SEED.high or 0) - 2 * int(NUM_SAMPLES.high or 0)
    if not 0 <= first <= last:
        raise ValueError(
            f"--rng-seed: got {first}, expected 0 to {last}, since those of samples and of "
            "--rng-seeds count up from it; say another"
        )


def _ablations(args: argparse.Namespace) -> dict[str, Any]:
    """See `measure.ablations`; without the rounds, which the file keeps."""
    need_only(args, add_arguments, ("ablations", "world", *MACHINE), "--ablations")
    if not args.world:
        raise ValueError(
            "--ablations: got no --world, expected how many prompts to grow; say --world 256"
        )
    folder = Path(args.ablations)
    need_folder(folder, "--ablations")

    def load(path: Path) -> Engine:
        return Engine.load(str(path), device=own_device(args.device), dtype=args.dtype)

    verb = f"evaluate --ablations {folder.name} --world {args.world}"
    told = ablations(folder, args.world, load, told_again(args, verb, MACHINE))
    for row in told["rows"]:
        del row["rounds"]
    return told


def _check_comparison(args: argparse.Namespace) -> None:
    """Raise ValueError for what is not measured for every configuration."""
    others = [n for n in given(args, add_arguments) if n not in ("model", "figures", *AGAIN)]
    if others:
        raise ValueError(
            f"{option(others[0])}: got several configurations too, expected one; say a "
            "single one of --heads and --fusion, and no --seed-position"
        )
    if not (args.world or args.data):
        raise ValueError(
            "--seed-position: got neither --world nor --data, expected what to measure on; say one"
        )
    if args.rng_seeds > 1 and not args.world:
        raise ValueError(
            f"--rng-seeds: got {args.rng_seeds} without --world, expected 1 where no prompts are "
            "grown; say --world N, or leave it out"
        )


def _check_one(args: argparse.Namespace) -> None:
    """Raise ValueError for what only a comparison has, or what is not measured takes."""
    for name, value in given(args, add_arguments).items():
        if name in ("rng_seeds", "figures"):
            raise ValueError(
                f"{option(name)}: got {value} and one configuration, expected several "
                "--heads or --fusion, or --seed-position; say more of them, or leave it out"
            )
        takers = [taker for taker, options in TAKEN.items() if name in options]
        if takers and not any(getattr(args, taker) for taker in takers):
            raise ValueError(
                f"{option(name)}: got {value} without {', '.join(map(option, takers))}, "
                "expected that, of which it says more; say it too, or leave this out"
            )


def _comparison(
    grower: Grower, args: argparse.Namespace, heads: Sequence[str], fusion: Sequence[str]
) -> dict[str, Any]:
    """`configurations`, see `measure.configurations.compare`."""
    info = grower.engine.info
    data = None
    if args.data:
        data = part_of(DataFolder.open(args.data), args.part, grower.engine)
        data = spread(data, args.limit)
    places = args.seed_position or ["corner" if info.seed_positions == "corner" else "centre"]
    heads, fusion = heads or [info.heads], fusion or [info.fusion]
    found = compare(grower, heads, fusion, places, data, args.world, args.rng_seeds)
    rng_seeds = list(range(args.rng_seed, args.rng_seed + args.rng_seeds))
    out = {"prompts": args.world, "rng_seeds": rng_seeds, "configurations": found}
    if args.figures:
        command = told_again(args, f"evaluate --model {args.model}", AGAIN)
        told = {"command": command, "model": info.name, "digest": grower.engine.digest}
        write_json(Path(args.figures), told | out, indent=1)
    return out


def read_prompts(given: Sequence[str]) -> list[str]:
    """The prompts themselves, or the lines of a file that is named in their place."""
    if len(given) == 1 and Path(given[0]).is_file():
        return lines_of(given[0], "--prompts") or []
    return list(given)
