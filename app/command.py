"""NAR Studio: start it, then open the address it prints."""

from __future__ import annotations

import argparse
import logging
import os
import threading

from app.files import LIMITS, Limits
from app.pages.page import build, launch_options
from app.server import zero
from app.server.engines import Engines
from app.server.studio import MOST_WAITING, Studio
from nar_core import Engine, __version__, list_models


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = out.add_argument
    add("--version", action="version", version=f"NAR Studio {__version__}")
    add("--host", help="address to listen on (default: GRADIO_SERVER_NAME, or 127.0.0.1)")
    add("--port", type=int, help="port (default: GRADIO_SERVER_PORT, or the first free from 7860)")
    add("--share", action="store_true", help="also open a public link through gradio.live")
    add("--auth", metavar="NAME:PASSWORD", help="ask for this name and password")
    add("--model", help="model shown first: a name from the list, or a model folder")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    add("--mcp", action="store_true", help='offer the API as MCP tools (needs "gradio[mcp]")')
    add(
        "--queue-size",
        type=int,
        default=MOST_WAITING,
        help="growths that may wait (default: %(default)s)",
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
    add("--verbose", action="store_true", help="log what happens")
    return out


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and serve the page until interrupted."""
    args = parser().parse_args(argv)
    if args.auth and ":" not in args.auth:
        parser().error("--auth: expected NAME:PASSWORD")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING)
    limits = Limits(round(args.max_upload * 1e6), round(args.max_pixels * 1e6))
    engines = Engines(Engine.load, list_models)
    engines.configure(device=args.device, keep=args.keep_models)
    first = engines.include(args.model) if args.model else None
    studio = Studio(engines, limits, args.queue_size)
    page = build(studio, first)
    shown = engines.first("image", first)
    if args.preload or zero.SHARED:
        engines.get(shown.name)
    elif shown.available:
        # meanwhile the page can be looked at
        threading.Thread(target=studio.warm, args=[shown.name], daemon=True).start()
    page.launch(
        server_name=args.host,
        server_port=args.port,
        share=args.share,
        auth=tuple(args.auth.split(":", 1)) if args.auth else None,
        mcp_server=args.mcp,
        state_session_capacity=args.sessions,
        **launch_options(studio),
    )
