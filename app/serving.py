"""The page as the command line has it: logs, engines, the line, the page, and their end."""

from __future__ import annotations

import argparse
import os
import socket
import threading
from pathlib import Path

from app.pages.page import build, launch_options
from app.server import logins, logs, replicas, shelf, zero
from app.server.doors import Doors
from app.server.ending import Ending, leave
from app.server.engines import Engines
from app.server.gate import take_connections
from app.server.studio import Studio
from nar_core import Engine, fetch_model, list_models, share_heap, trim_heap
from nar_core.files import Limits

TRIM_EVERY = 10.0
"""Seconds between two times that freed memory is given back to the system."""


def serve(args: argparse.Namespace) -> None:
    """Serve until a signal ends it; ValueError where the command line asks for what cannot be."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    share_heap()
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
    if args.engine == "ray" and args.model and Path(args.model).exists():
        raise ValueError(
            f"--model: got {args.model} of this machine, expected a name with --engine ray; put "
            "it into a folder that NAR_CHECKPOINTS names on every machine, and say its name"
        )
    first = engines.include(args.model) if args.model else None
    shown = engines.first("image", first)
    grower, fleet, lanes = None, None, 1
    if args.engine == "ray":
        least, lanes = _replicas(args.replicas)
        warmed = shown.name if shown.available else None
        fleet = replicas.deploy(args.device, args.keep_models, warmed, (least, lanes))
        grower = replicas.Replicas(engines, fleet.handle, warmed)
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
        if host and not _is_here(host):
            raise ValueError(
                f"--host: got {host}, expected an address of this machine; choose 127.0.0.1, or "
                "0.0.0.0 for all that it has"
            ) from error
        raise ValueError(
            f"--port: {args.port or os.environ.get('GRADIO_SERVER_PORT') or '7860 and above'} "
            f"cannot be listened on ({_first_line(error)}); end what uses it, or choose another"
        ) from error
    if shown.available and not early:
        # not earlier: the page comes first
        threading.Thread(target=studio.warm, args=[shown.name], daemon=True).start()
    over = threading.Event()
    threading.Thread(target=_trim, args=[over], daemon=True, name="trim").start()
    ending.wait()
    over.set()
    if fleet is not None:
        fleet.leave()
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


def _is_here(host: str) -> bool:
    """Whether an address is one of this machine, on which something may listen."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, 0), family=kind):
            return True
    except OSError:
        return False


def _first_line(error: OSError) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
