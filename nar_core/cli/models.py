"""`list`: the models, and which are on this machine."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from ..weights.list import list_models

HELP = "list the models, and which are on this machine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", choices=["text", "class"], help="only models of this task")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Every known model."""
    models = [m for m in list_models() if args.task in (None, m.task)]
    return {"models": [asdict(m) | {"memory": m.memory()} for m in models]}


def line(model: dict[str, Any]) -> str:
    """A model in one line."""
    here = "here" if model["available"] else f"to fetch {model['download'] / 1e6:7.0f} MB"
    return (
        f"{model['name']:24} {model['task']:6} {model['media']:6} "
        f"{model['parameters'] / 1e6:8.1f}M  memory {model['memory'] / 1e6:7.0f} MB  "
        f"{here:20} {model['licence']}"
    )
