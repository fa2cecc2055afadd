"""Arguments that several verbs share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..device import DTYPES, pick_device
from ..settings import NUM_SAMPLES, SETTINGS, Setting, Value, whole
from ..train.loop import rank_and_world

DEFAULT_MODEL = "emoji"

MOST_THREADS = 1024


def add_model(parser: argparse._ActionsContainer, default: str | None = DEFAULT_MODEL) -> None:
    """Which model."""
    parser.add_argument(
        "--model", default=default, help="name, model folder, or weight file of an official model"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where it runs and in which numbers."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", default="auto", help=f"auto, {', '.join(DTYPES)}")


def own_device(name: str) -> torch.device:
    """The device of a name; of several processes (torchrun) each has a GPU of its own."""
    device, (rank, world) = pick_device(name), rank_and_world()
    if device.type == "cuda" and world > 1:
        device = torch.device("cuda", rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    return device


def use_threads(count: int | None) -> None:
    """So many CPU threads. Raises ValueError for fewer than one, and too many."""
    if count is not None:
        torch.set_num_threads(whole("--threads", count, 1, MOST_THREADS))


def option(name: str) -> str:
    """How an argument of this name is typed."""
    return f"--{name.replace('_', '-')}"


def check_counts(args: argparse.Namespace, names: Iterable[str], least: int = 1) -> None:
    """Raise ValueError for fewer than `least` of any of these that was said, or more than grow."""
    for name in names:
        if (value := getattr(args, name)) is not None:
            whole(option(name), value, least, int(NUM_SAMPLES.high or 0))


def add_setting(
    parser: argparse.ArgumentParser,
    setting: Setting,
    default: Value | None = None,
    several: str = "",
) -> None:
    """The argument of one setting; without a default, what is left out is left to the model.

    Args:
        several: what several values of it do, where it may have them.
    """
    kind = {"number": float, "whole": int, "choice": str}[setting.kind]
    names = (setting.name, *setting.aliases)
    parser.add_argument(
        *map(option, names),
        dest=setting.name,
        type=kind,
        default=default,
        nargs="+" if several else None,
        metavar="CHOICE" if setting.choices else None,
        help=setting.told
        + (f": {', '.join(setting.choices)}" if setting.choices else "")
        + (f"; {several}" if several else ""),
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """An argument for every sampling setting."""
    for setting in SETTINGS:
        add_setting(parser, setting)


def said(args: argparse.Namespace, settings: Iterable[Setting] = SETTINGS) -> dict[str, Any]:
    """The settings that were given, by name."""
    values = {setting.name: getattr(args, setting.name) for setting in settings}
    return {name: value for name, value in values.items() if value is not None}


def given(
    args: argparse.Namespace, add: Callable[[argparse.ArgumentParser], None]
) -> dict[str, Any]:
    """What was said of a verb's arguments, which `add` adds: not what is so when it is unsaid."""
    parser = argparse.ArgumentParser()
    add(parser)
    unsaid = vars(parser.parse_args([]))
    return {name: getattr(args, name) for name in unsaid if getattr(args, name) != unsaid[name]}


def need_only(
    args: argparse.Namespace,
    add: Callable[[argparse.ArgumentParser], None],
    names: Collection[str],
    beside: str,
) -> None:
    """Raise ValueError for any other argument that was said: it would be ignored."""
    for name, value in given(args, add).items():
        if name not in names:
            raise ValueError(
                f"{option(name)}: got {value} with {beside}, expected none, for it settles that "
                "itself; leave one of them out"
            )


def lines_of(path: str | None, option: str) -> list[str] | None:
    """The lines of a text file that say something; None where no file is named.

    Raises ValueError, with the option's name, where there is no such file, or nothing in it.
    """
    if path is None:
        return None
    if not Path(path).is_file():
        raise ValueError(f"{option}: got {path}, expected a text file; name one that is there")
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{option}: got {path}, expected a text file in UTF-8; save it as that"
        ) from error
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise ValueError(
            f"{option}: got {path}, in which nothing stands, expected one a line; write some"
        )
    return found


def told_again(args: argparse.Namespace, verb: str, plain: Mapping[str, Any]) -> str:
    """What to type for the same figures; what was left out is left out.

    Args:
        verb: with what is always said; plain: other arguments, and their values where unsaid.
    """
    told = f"python -m nar_core {verb}"
    for name, off in plain.items():
        if (value := getattr(args, name)) != off:
            words = value if isinstance(value, list) else [value]
            told += f" {option(name)} {' '.join(map(str, words))}"
    return told + (f" --figures {Path(args.figures).name}" if args.figures else "")
