"""The command line: `python -m nar_core VERB`, one file for each verb."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ..device import is_out_of_memory
from ..train.loop import rank_and_world
from ..version import __version__
from . import bench, evaluate, generate, models, train, worlds

ENDING = (signal.SIGINT, signal.SIGTERM)
REMEDIES = defaultdict(
    lambda: "check that it is there, and what may be done with it",
    {
        **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the disk, then try again"),
        **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "name another one, or allow it"),
    },
)
"""What to do about an operating system's refusal."""

VERBS = {
    "list": models,
    "generate": generate,
    "bench": bench,
    "evaluate": evaluate,
    "train": train,
    "worlds": worlds,
}
"""Each has `HELP`, `add_arguments(parser)` and `run(args)`, which returns what `--json` prints."""


KINDS = {"int": "a whole number", "float": "a number"}

ODD: tuple[tuple[str, str], ...] = (
    (
        r"argument (\S+?)(?:/\S+)?: invalid choice: (.+) \(choose from (.+)\)",
        "{0}: got {1}, expected one of {2}",
    ),
    (r"argument (\S+?)(?:/\S+)?: invalid (\w+) value: (.+)", "{0}: got {2}, expected {1}"),
    (r"argument (\S+?)(?:/\S+)?: expected (.+)", "{0}: got nothing, expected {1}"),
    (
        r"argument (\S+?)(?:/\S+)?: not allowed with argument (\S+?)(?:/\S+)?",
        "{0}: got it beside {1}, expected one of them; leave one out",
    ),
    (
        r"argument (\S+?)(?:/\S+)?: ignored explicit argument (.+)",
        "{0}: got {1}, expected no value; leave it out",
    ),
    (r"argument (\S+?)(?:/\S+)?: (.+)", "{0}: {1}"),
    (r"the following arguments are required: (.+)", "{0}: got nothing, expected to be said"),
    (
        r"unrecognized arguments: (.+)",
        "{0}: got what has no meaning here, expected known arguments",
    ),
    (
        r"ambiguous option: (\S+) could match (.+)",
        "{0}: got what may mean several, expected one of {1}; type it out",
    ),
)
"""What argparse says of a mistake, and how it is told here."""


class Parser(argparse.ArgumentParser):
    """Mistakes are told in one line, as those that the verbs find."""

    def error(self, message: str) -> NoReturn:
        """End with 2, and say what was got, what is expected and what to do."""
        told = message
        for odd, form in ODD:
            if found := re.fullmatch(odd, message, re.DOTALL):
                told = form.format(*(KINDS.get(part, part) for part in found.groups()))
                break
        remedy = "" if ";" in told else f"; see {self.prog} --help"
        self.exit(2, f"{' '.join(told.split())}{remedy}\n")


def build_parser() -> argparse.ArgumentParser:
    """All verbs and their arguments."""
    parser = Parser(
        prog="python -m nar_core",
        description="Next-neighbour generation of pictures and clips from any seed position.",
    )
    parser.add_argument("--version", action="version", version=f"NAR Studio {__version__}")
    common = Parser(add_help=False)
    common.add_argument(
        "--json", action="store_true", help="one JSON object as the last line of standard output"
    )
    common.add_argument("--verbose", action="store_true", help="log what is done to standard error")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        added = verbs.add_parser(name, parents=[common], help=verb.HELP, description=verb.HELP)
        added.set_defaults(run=verb.run)
        verb.add_arguments(added)
    return parser


def report(found: dict[str, Any]) -> str:
    """Lines of `key: value`, indented where a value holds others; a table for models."""
    if "models" in found:
        return "\n".join(map(models.line, found["models"])) or "no models"
    return "\n".join(_lines(found))


def _lines(found: dict[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in found.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif value and isinstance(value, list) and all(isinstance(x, dict) for x in value):
            yield f"{indent}{key}:"
            yield from (f"{indent}  {line}" for line in _table(value))
        else:
            yield f"{indent}{key}: {value}"


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Records under the names of their values."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(x.ljust(w) for x, w in zip(line, widths, strict=True)).rstrip()


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Arguments of the command line; `key=value` may stand anywhere behind `train`."""
    parser = build_parser()
    args, rest = parser.parse_known_args(argv)
    if args.verb == "train":
        args.changes += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest:
        parser.prog += f" {args.verb}"
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGINT unwind what is going on, so that nothing half-written stays."""

    def end(number: int, _) -> None:
        for ending in ENDING:  # once is enough
            signal.signal(ending, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0, 2 after a mistake of the user's, told in one line, or 128 and the signal."""
    args = parse(argv)
    logging.basicConfig(
        level=logging.INFO if args.verbose or args.verb == "train" else logging.WARNING,
        format="%(message)s",
        stream=sys.stderr,
    )
    try:
        with _ended_by_signals():
            found = args.run(args)
        if not rank_and_world()[0]:  # of several processes the first one tells
            _tell(json.dumps(found) if args.json else report(found))
    except (ValueError, OSError, ImportError) as error:
        told = str(error)
        if isinstance(error, OSError) and error.strerror:
            told = f"{error.filename or 'a file'}: {error.strerror}; {REMEDIES[error.errno or 0]}"
        sys.stderr.write(f"{' '.join(told.split())}\n")
        return 2
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        sys.stderr.write(
            "memory: got less than is needed; ask for fewer at once (--batch), or take a smaller "
            "model\n"
        )
        return 2
    except KeyboardInterrupt as ended:
        # a training run goes on from its last save
        return 128 + (ended.args[0] if ended.args else signal.SIGINT)
    return 0


def _tell(text: str) -> None:
    """The last lines of standard output, if it is still read. Raises OSError, with its name."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # what is left of it would be written at the end of the process once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        error.filename = "standard output"
        raise
