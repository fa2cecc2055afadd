"""`python -m nar_core`."""

from __future__ import annotations

import multiprocessing
import os
import sys


def main() -> None:
    """Run the command line; after a signal leave at once, without waiting for torch's threads."""
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
