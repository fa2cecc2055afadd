"""Logs as one JSON object a line, in a file that does not grow without end."""

from __future__ import annotations

import json
import logging
import logging.handlers
from datetime import datetime, timezone
from pathlib import Path

KEPT = 4
"""How many full files stay beside the one that is written."""


class Lines(logging.Formatter):
    """A record as one line of JSON: time, level, where from, what, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        told = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat("T", "seconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=True)


def configure(verbose: bool, file: Path | None, megabytes: float) -> None:
    """Log to standard error, or to a file of at most so many megabytes.

    Raises:
        ValueError: the file cannot be written.
    """
    level = logging.INFO if verbose or file else logging.WARNING
    if file is None:
        logging.basicConfig(level=level, force=True)
        return
    try:
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=round(megabytes * 1e6), backupCount=KEPT, encoding="utf-8"
        )
    except OSError as error:
        raise ValueError(
            f"--log: {file} cannot be written ({error.strerror}); give a file in a folder that is "
            "there and writable"
        ) from error
    handler.setFormatter(Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
