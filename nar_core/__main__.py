"""The command line: `python -m nar_core list | generate | bench | evaluate | train`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from . import bench, evaluate
from .device import pick_device
from .engine import Engine
from .mp4 import write_mp4
from .request import Request
from .settings import NUM_SAMPLES, RNG_SEED, SETTINGS, Setting, Value
from .train import generator, tokenizer
from .train.loop import load_config, rank_and_world
from .weights.registry import list_models

CONFIGS = Path(__file__).parent / "train" / "configs"


def numbers(text: str) -> tuple[int, ...]:
    """ "8,8" to (8, 8)."""
    return tuple(int(x) for x in text.split(","))


def config_names() -> list[str]:
    """Training configurations that come with the project."""
    return sorted(p.stem for p in CONFIGS.glob("*.yaml"))


def build_parser() -> argparse.ArgumentParser:
    """All verbs and their arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m nar_core",
        description="Next-neighbour generation of pictures and clips from any seed position.",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--json", action="store_true", help="one JSON object as the last line of standard output"
    )
    common.add_argument("--verbose", action="store_true", help="log what is done to standard error")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, run, told: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, parents=[common], help=told, description=told)
        added.set_defaults(run=run)
        return added

    listing = verb("list", list_verb, "list the models, and which are on this machine")
    listing.add_argument("--task", choices=["text", "class"], help="only models of this task")
    add_generate_arguments(
        verb("generate", generate_verb, "grow pictures or clips and write them to a folder")
    )
    bench.add_arguments(
        verb("bench", bench.run, "measure speed and memory beside the published way of sampling")
    )
    evaluate.add_arguments(
        verb("evaluate", evaluate.run, "measure reconstruction and likelihood, draw contact sheets")
    )
    training = verb("train", train_verb, "train a tokenizer or a generator on a folder of pictures")
    training.add_argument(
        "what", choices=["tokenizer", "generator"], help="the tokenizer comes first"
    )
    training.add_argument(
        "config",
        help=f"a YAML file, or one of {', '.join(sorted(p.stem for p in CONFIGS.glob('*')))}",
    )
    training.add_argument("settings", nargs="*", metavar="key=value", help="changes to the config")
    training.add_argument("--out", required=True, help="run folder; a run found there is resumed")
    training.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    training.add_argument("--threads", type=int, help="CPU threads")
    return parser


def add_generate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `generate`; what is left out takes the model's default."""
    parser.add_argument("--model", default="emoji", help="registry name or model folder")
    parser.add_argument(
        "--prompt", nargs="+", default=[""], help="text, or one per sample (text models)"
    )
    parser.add_argument("--label", nargs="+", help="class name or number, or one per sample")
    parser.add_argument("--seed-position", type=numbers, metavar="[T,]H,W", help="where to start")
    for setting in (RNG_SEED, NUM_SAMPLES):
        add_setting(parser, setting, setting.off)
    for setting in SETTINGS:
        add_setting(parser, setting)
    parser.add_argument("--growth", action="store_true", help="also write a GIF of the growth")
    parser.add_argument("--out", default="outputs", help="folder to write to")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")


def add_setting(
    parser: argparse.ArgumentParser, setting: Setting, default: Value | None = None
) -> None:
    """The argument of one setting; without a default, what is left out is left to the model."""
    kind = {"number": float, "whole": int, "choice": str}[setting.kind]
    names = (setting.name, *setting.aliases)
    parser.add_argument(
        *(f"--{name.replace('_', '-')}" for name in names),
        dest=setting.name,
        type=kind,
        default=default,
        metavar=None if setting.kind != "choice" else "CHOICE",
        help=setting.told + (f": {', '.join(setting.choices)}" if setting.choices else ""),
    )


def list_verb(args: argparse.Namespace) -> dict:
    """Every known model."""
    models = [m for m in list_models() if args.task in (None, m.task)]
    return {"models": [asdict(m) | {"memory": m.memory()} for m in models]}


def class_label(text: str) -> str | int:
    """A number is a class number, anything else a name."""
    return int(text) if text.lstrip("-").isdigit() else text


def generate_verb(args: argparse.Namespace) -> dict:
    """Grow, decode and write; `files` are the paths."""
    engine = Engine.load(args.model, args.device, args.dtype)
    labels = None if args.label is None else tuple(map(class_label, args.label))
    request = Request(
        prompt=args.prompt[0] if len(args.prompt) == 1 else tuple(args.prompt),
        label=labels[0] if labels and len(labels) == 1 else labels,
        seed_position=args.seed_position,
        **{x.name: getattr(args, x.name) for x in (RNG_SEED, NUM_SAMPLES, *SETTINGS)},
    )
    request = engine.validate(request)
    growth = []
    steps = tqdm(engine.generate(request), total=engine.plan(request).total, desc="growing")
    for frame in steps:
        if args.growth:
            growth.append(engine.preview(frame.tokens, mirrored=frame.mirrored))
    video = engine.decode(frame.tokens, frame.mirrored)
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, pixels in enumerate(video):
        path = folder / f"{engine.info.name}-{request.rng_seed + i}"
        files.append(write(path, pixels, engine.info.fps))
        if args.growth:
            previews = [preview[i, 0] for preview in growth]
            files.append(
                write_growth(path.with_name(f"{path.name}-growth.gif"), previews, pixels[0])
            )
    return {
        "model": engine.info.name,
        "digest": engine.digest,
        "steps": frame.total,
        "passes": frame.passes,
        "seconds": round(frame.elapsed, 4),
        "seed_position": list(request.seed_position),
        "mirrored": frame.mirrored,
        "files": [str(f) for f in files],
    }


def write(path: Path, pixels: np.ndarray, fps: int) -> Path:
    """Write uint8 [F, height, width, 3] as a PNG, or as an MP4 where there are several frames."""
    if len(pixels) == 1:
        path = path.with_name(f"{path.name}.png")
        Image.fromarray(pixels[0]).save(path)
        return path
    path = path.with_name(f"{path.name}.mp4")
    write_mp4(path, pixels, fps or 8)
    return path


def write_growth(path: Path, previews: list[np.ndarray], last: np.ndarray) -> Path:
    """Write previews uint8 [height, width, 3] and the finished picture as a GIF."""
    pictures = [Image.fromarray(p) for p in [*previews, last]]
    durations = [80] * len(previews) + [1500]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return path


def train_verb(args: argparse.Namespace) -> dict:
    """Train in a run folder; `export` is the finished model folder."""
    path = Path(args.config)
    if not path.is_file():
        path = CONFIGS / f"{args.config}.yaml"
    if not path.is_file():
        known = ", ".join(config_names())
        raise ValueError(f"config: got {args.config!r}, expected a YAML file, or one of {known}")
    wrong = [s for s in args.settings if "=" not in s]
    if wrong:
        raise ValueError(f"settings: got {' '.join(wrong)}, expected key=value")
    if args.threads:
        torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    if device.type == "cuda" and rank_and_world()[1] > 1:
        device = torch.device("cuda", rank_and_world()[0] % torch.cuda.device_count())
        torch.cuda.set_device(device)
    trainer = {"tokenizer": tokenizer, "generator": generator}[args.what]
    trainer.train(load_config(path, args.settings), Path(args.out), device)
    return {"run": args.out, "export": str(Path(args.out) / "export")}


def report(found: dict[str, Any]) -> str:
    """Lines of `key: value`; a table for models."""
    if "models" in found:
        lines = [
            f"{m['name']:24} {m['task']:6} {m['media']:6} {m['parameters'] / 1e6:8.1f}M  "
            f"memory {m['memory'] / 1e6:7.0f} MB  "
            + ("here".ljust(20) if m["available"] else f"to fetch {m['download'] / 1e6:7.0f} MB ")
            + f" {m['licence']}"
            for m in found["models"]
        ]
        return "\n".join(lines) or "no models"
    return "\n".join(f"{key}: {value}" for key, value in found.items())


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line; `key=value` may stand anywhere behind `train`."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if args.verb == "train":
        args.settings += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0, or 2 after a mistake of the user's, told in one line."""
    args = parse(argv)
    logging.basicConfig(
        level=logging.INFO if args.verbose or args.verb == "train" else logging.WARNING,
        format="%(message)s",
        stream=sys.stderr,
    )
    try:
        found = args.run(args)
    except (ValueError, FileNotFoundError, ImportError) as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        return 130  # a training run goes on from its last save
    sys.stdout.write((json.dumps(found) if args.json else report(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
