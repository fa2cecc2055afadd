"""`python -m nar_core`."""

from __future__ import annotations

import io
import multiprocessing
import os
import sys


def main() -> None:
    """Run the command line; after a signal leave at once, without waiting for torch's threads."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever has started it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 -- until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be any bytes
    try:
        from .cli import main as command

        code = command()
    except KeyboardInterrupt:
        code = 130
    if code > 128:
        for child in multiprocessing.active_children():
            child.kill()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads of torch that are still at work would abort the end
    sys.exit(code)


if __name__ == "__main__":
    main()
