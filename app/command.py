"""NAR Studio: start it, then open the address it prints."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import threading
from pathlib import Path

from app.pages.page import build, launch_options
from app.server import logins, logs, replicas, shelf, zero
from app.server.doors import Doors
from app.server.ending import Ending, leave
from app.server.engines import Engines
from app.server.gate import take_connections
from app.server.line import MOST_OF_ONE, MOST_TOGETHER
from app.server.studio import MOST_WAITING, Studio
from nar_core import Engine, __version__, fetch_model, list_models, trim_heap
from nar_core.files import LIMITS, Limits

TRIM_EVERY = 10.0
"""Seconds between two times that freed memory is given back to the system."""


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
    add("--allow-origin", action="append", default=[], metavar="SITE", help="a site that may call")
    add("--models", metavar="A,B", help="offer these models only")
    add("--offline", action="store_true", help="fetch nothing; offer what is on this machine")
    add("--fetch", action="store_true", help="let visitors fetch models that are not here")
    add("--model", help="model shown first: a name from the list, or a model folder")
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
        _serve(args)
    except ValueError as error:
        parser().error(str(error))


def _serve(args: argparse.Namespace) -> None:
    """Serve what the command line asks for; ValueError where it asks for what cannot be."""
    if args.hash_password is not None:
        password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        sys.stdout.write(logins.line_of(args.hash_password, password) + "\n")
        return
    _check(args)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logs.configure(args.verbose, args.log, args.log_size)
    shelf.settle()
    take_connections()
    host = args.host or os.environ.get("GRADIO_SERVER_NAME", "")
    doors = Doors.of([*args.allow_host, *filter(None, [host])], args.allow_origin, args.share)
    login = logins.checker(args.auth_file) if args.auth_file else None
    limits = Limits(round(args.max_upload * 1e6), round(args.max_pixels * 1e6))
    engines = Engines(Engine.load, list_models, fetch=fetch_model)
    only = [name.strip() for name in (args.models or "").split(",") if name.strip()]
    engines.configure(args.device, args.keep_models, only, args.offline, args.fetch)
    if args.engine == "ray" and args.model and Path(args.model).is_dir():
        raise ValueError(
            f"--model: got the folder {args.model}, expected a name, with --engine ray; put the "
            "folder into one that NAR_CHECKPOINTS names on every machine, and say its name"
        )
    first = engines.include(args.model) if args.model else None
    shown = engines.first("image", first)
    grower, lanes = None, 1
    if args.engine == "ray":
        least, lanes = _replicas(args.replicas)
        warmed = shown.name if shown.available else None
        handle = replicas.deploy(args.device, args.keep_models, warmed, (least, lanes))
        grower = replicas.Replicas(engines, handle, warmed)
    studio = Studio(
        engines, limits, args.queue_size, args.per_session, args.together, grower, lanes
    )
    page = build(studio, first)
    # a replica is warm before it is used, and nothing is loaded here
    early = args.preload or zero.SHARED or grower is not None
    if early and grower is None:
        engines.get(shown.name)
    ending = Ending(studio, args.drain)
    ending.prepare()
    try:
        page.launch(
            server_name=args.host,
            server_port=args.port,
            share=args.share,
            auth=login or (tuple(args.auth.split(":", 1)) if args.auth else None),
            mcp_server=args.mcp,
            state_session_capacity=args.sessions,
            prevent_thread_lock=True,
            **launch_options(studio, doors),
        )
    except OSError as error:
        raise ValueError(
            f"--port: {args.port or os.environ.get('GRADIO_SERVER_PORT') or '7860 and above'} "
            f"cannot be listened on ({_first_line(error)}); end what uses it, or choose another"
        ) from error
    if shown.available and not early:
        # not earlier: Gradio wants its own page to answer within seconds
        threading.Thread(target=studio.warm, args=[shown.name], daemon=True).start()
    over = threading.Event()
    threading.Thread(target=_trim, args=[over], daemon=True, name="trim").start()
    ending.wait()
    over.set()
    if grower is not None:
        replicas.withdraw()
    leave(page)


def _trim(over: threading.Event) -> None:
    """What growths of many shapes have freed would stay with the process, in ever more pieces."""
    while not over.wait(TRIM_EVERY):
        trim_heap()


def _replicas(said: str) -> tuple[int, int]:
    """The least and most replicas that `N` or `N:M` says; ValueError where it says none."""
    least, _, most = said.partition(":")
    numbers = [int(n) if n.isdecimal() else 0 for n in (least, most or least)]
    if not 1 <= numbers[0] <= numbers[1] <= 1000:
        raise ValueError(f"--replicas: got {said!r}, expected 2, or 1:8 for as many as are needed")
    return numbers[0], numbers[1]


def _check(args: argparse.Namespace) -> None:
    """ValueError for an option that cannot be meant."""
    if args.auth and ":" not in args.auth:
        raise ValueError("--auth: expected NAME:PASSWORD")
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
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option}: got {value}, expected a number from {least:g} up")


def _first_line(error: OSError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
