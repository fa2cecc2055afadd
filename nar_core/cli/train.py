"""`train`: a tokenizer or a generator, from a folder of pictures or from a world."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..train import generator, tokenizer
from ..train.config import CONFIGS, load_config
from ..train.data import need_apart
from ..train.identity import held
from ..train.loop import rank_and_world
from ..writing import need_folder
from .arguments import own_device, use_threads

HELP = "train a tokenizer or a generator on a folder of pictures"

TRAINERS = {"tokenizer": tokenizer, "generator": generator}


def config_names() -> list[str]:
    """Training configurations that come with the project."""
    return sorted(p.stem for p in CONFIGS.glob("*.yaml"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=TRAINERS, help="the tokenizer comes first")
    parser.add_argument("config", help=f"a YAML file, or one of {', '.join(config_names())}")
    parser.add_argument("changes", nargs="*", metavar="key=value", help="changes to the config")
    parser.add_argument("--out", required=True, help="run folder; a run found there is resumed")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, help="CPU threads")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train in a run folder; `export` is the finished model folder."""
    if not args.out:
        raise ValueError("--out: got nothing, expected a run folder; say one, such as runs/mine")
    need_folder(Path(args.out), "--out")
    path = Path(args.config)
    if not path.is_file():
        path = CONFIGS / f"{args.config}.yaml"
    if not path.is_file():
        known = ", ".join(config_names())
        raise ValueError(
            f"config: got {args.config!r}, expected a YAML file, or one of {known}; name one"
        )
    wrong = [s for s in args.changes if not s.partition("=")[0].strip() or "=" not in s]
    if wrong:
        raise ValueError(f"settings: got {' '.join(wrong)}, expected key=value; put = between them")
    use_threads(args.threads)
    device = own_device(args.device)
    config = load_config(path, args.changes, args.what)
    _need_apart(config, Path(args.out))
    with held(Path(args.out), alone=rank_and_world()[0] == 0):
        TRAINERS[args.what].train(config, Path(args.out), device)
    return {"run": args.out, "export": str(Path(args.out) / "export")}


def _need_apart(config: Any, out: Path) -> None:
    """Raise ValueError where a run would be written among the pictures that it learns from."""
    sources = getattr(config, "sources", None) or [getattr(config, "source", None)]
    for source in (config, *sources):
        for folder in (getattr(source, "data", ""), getattr(source, "folder", "")):
            if folder:
                need_apart(out, Path(folder), "--out")
