"""NAR Studio: start it, then open the address it prints."""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from pathlib import Path

from app.server import logins, zero  # noqa: F401 -- where GPUs are lent it comes before torch
from app.server.bounds import MOST_OF_ONE, MOST_TOGETHER, MOST_WAITING
from nar_core import __version__
from nar_core.files import LIMITS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = out.add_argument
    add("--version", action="version", version=f"NAR Studio {__version__}")
    add("--host", help="address to listen on (default: GRADIO_SERVER_NAME, or 127.0.0.1)")
    add("--port", type=int, help="port (default: GRADIO_SERVER_PORT, or the first free from 7860)")
    add("--share", action="store_true", help="also open a public link through gradio.live")
    add("--auth", metavar="NAME:PASSWORD", help="ask for this name and password")
    add("--auth-file", type=Path, metavar="FILE", help="ask for a name and password of this file")
    add("--hash-password", metavar="NAME", help="print a line for such a file, and end")
    add("--allow-host", action="append", default=[], metavar="NAME", help="a name it is reached by")
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="SITE",
        help="a site that may call and embed it",
    )
    add("--models", metavar="A,B", help="offer these models only")
    add("--offline", action="store_true", help="fetch nothing; offer what is on this machine")
    add("--fetch", action="store_true", help="let visitors fetch models that are not here")
    add("--model", help="model shown first: a name, a folder, or a weight file")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    add("--engine", choices=["here", "ray"], default="here", help="grow here, or by Ray Serve")
    add("--replicas", default="1", metavar="N[:M]", help="of the engine, with --engine ray")
    add("--mcp", action="store_true", help='offer the API as MCP tools (needs "gradio[mcp]")')
    add(
        "--queue-size",
        type=int,
        default=MOST_WAITING,
        help="growths that may wait (default: %(default)s)",
    )
    add(
        "--per-session",
        type=int,
        default=MOST_OF_ONE,
        help="growths of one session that may wait (default: %(default)s)",
    )
    add(
        "--together",
        type=int,
        default=MOST_TOGETHER,
        help="pictures grown at once, where growths that wait agree (default: %(default)s)",
    )
    add(
        "--max-upload",
        type=float,
        default=LIMITS.upload / 1e6,
        metavar="MB",
        help="largest file, in megabytes (default: %(default)g)",
    )
    add(
        "--max-pixels",
        type=float,
        default=LIMITS.pixels / 1e6,
        metavar="MP",
        help="largest picture, in megapixels (default: %(default)g)",
    )
    add("--sessions", type=int, default=100, help="sessions remembered (default: %(default)s)")
    add("--keep-models", type=int, default=1, help="models kept in memory (default: %(default)s)")
    add("--preload", action="store_true", help="load the first model before anybody comes")
    add(
        "--drain",
        type=float,
        default=30,
        metavar="SECONDS",
        help="what growths under way may take after SIGTERM (default: %(default)g)",
    )
    add("--log", type=Path, metavar="FILE", help="log as lines of JSON into this file")
    add("--log-size", type=float, default=10, metavar="MB", help="of such a file (default: 10)")
    add("--verbose", action="store_true", help="log what happens")
    return out


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and serve the page until a signal ends it."""
    args = parser().parse_args(argv)
    try:
        _obey(args)
    except ValueError as error:
        parser().error(str(error))
    except KeyboardInterrupt:  # before the page is there; afterwards it ends in order
        raise SystemExit(128 + signal.SIGINT) from None


def _obey(args: argparse.Namespace) -> None:
    """Do what the command line asks for; ValueError where it asks for what cannot be."""
    if args.hash_password is not None:
        password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        sys.stdout.write(logins.line_of(args.hash_password, password) + "\n")
        return
    _check(args)
    from app.serving import serve  # Gradio takes seconds, and whoever asks what there is has none

    serve(args)


def _check(args: argparse.Namespace) -> None:
    """ValueError for an option that cannot be meant."""
    for name, value in vars(args).items():
        if value == "" or value == [""]:
            raise ValueError(f"{_option(name)}: got nothing, expected a value; or leave it out")
    if args.auth and not all(args.auth.partition(":")):
        raise ValueError("--auth: expected NAME:PASSWORD, neither of them empty")
    if args.auth and args.auth_file:
        raise ValueError("--auth: got --auth-file too, expected one of them; leave one out")
    if args.port is not None and not 0 <= args.port <= 65535:
        raise ValueError(f"--port: got {args.port}, expected 0 to 65535; choose another")
    for name, least in (
        ("queue_size", 1), ("per_session", 1), ("together", 1), ("sessions", 1),
        ("keep_models", 1), ("max_upload", 0.001), ("max_pixels", 0.001), ("drain", 0),
        ("log_size", 0.001),
    ):  # fmt: skip
        value = getattr(args, name)
        if not least <= value < 1e9:
            raise ValueError(f"{_option(name)}: got {value}, expected a number from {least:g} up")
    if args.replicas != "1" and args.engine != "ray":
        raise ValueError(f"--replicas: got {args.replicas}, expected none without --engine ray")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
