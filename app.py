"""NAR Studio: `python app.py`, then open the address it prints. `python app.py --help` for more."""

from __future__ import annotations

import argparse
import logging
import os

from app.handlers import Engines
from app.ui import build, launch_options
from nar_core import Engine, list_models

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

engines = Engines(Engine.load, list_models)
# weights are loaded when they are first needed, not here
demo = build(engines)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = out.add_argument
    add("--host", help="address to listen on (default: GRADIO_SERVER_NAME, or 127.0.0.1)")
    add("--port", type=int, help="port (default: GRADIO_SERVER_PORT, or the first free from 7860)")
    add("--share", action="store_true", help="also open a public link through gradio.live")
    add("--auth", metavar="NAME:PASSWORD", help="ask for this name and password")
    add("--model", help="model shown first: a name from the list, or a model folder")
    add("--device", default="auto", help="auto, cpu, cuda or mps (default: %(default)s)")
    add("--mcp", action="store_true", help='offer the API as MCP tools (needs "gradio[mcp]")')
    add("--queue-size", type=int, default=20, help="people who may wait (default: %(default)s)")
    add("--max-upload", default="5mb", help="largest upload (default: %(default)s)")
    add("--sessions", type=int, default=100, help="sessions remembered (default: %(default)s)")
    add("--keep-models", type=int, default=1, help="models kept in memory (default: %(default)s)")
    add("--verbose", action="store_true", help="log what happens")
    return out


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and serve the page until interrupted."""
    args = parser().parse_args(argv)
    if args.auth and ":" not in args.auth:
        parser().error("--auth: expected NAME:PASSWORD")
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING)
    engines.configure(device=args.device, keep=args.keep_models)
    page = build(engines, engines.include(args.model)) if args.model else demo
    page.queue(max_size=args.queue_size)
    page.launch(
        server_name=args.host,
        server_port=args.port,
        share=args.share,
        auth=tuple(args.auth.split(":", 1)) if args.auth else None,
        mcp_server=args.mcp,
        max_file_size=args.max_upload,
        state_session_capacity=args.sessions,
        **launch_options(),
    )


if __name__ == "__main__":
    main()
