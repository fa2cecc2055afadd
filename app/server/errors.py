"""Any exception as one sentence that a person can use: what was got, what is expected, the remedy.

A `ValueError` of a check says so by itself. Everything else is told by its kind, because its text
is for whoever wrote the code and may name places on this machine; the log has all of it.
"""

from __future__ import annotations

import errno
import html
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from nar_core import is_out_of_memory

log = logging.getLogger(__name__)

LONGEST = 600

UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What no message should hold: control characters, marks that turn text round, half characters."""


class Refused(ValueError):
    """A check's own words, whatever stage it was found in."""


class Stopped(Exception):
    """A growth was ended before it was finished, by whoever began it or because they left."""


class Failed(Exception):
    """A growth broke; the text is the sentence for whoever waits for it."""


class Busy(Exception):
    """Too many wait already; the text says what to do."""


def sentence(error: BaseException, doing: str = "") -> str:
    """What is shown of an exception.

    Args:
        doing: what failed, as the beginning of a sentence ("The growth"); a `ValueError` is shown
            as it is where nothing is given, because then it comes from a check.
    """
    kind = type(error).__name__
    if isinstance(error, Stopped):
        return "Stopped before it was finished; start it again."
    if isinstance(error, Refused | Busy | Failed) or (isinstance(error, ValueError) and not doing):
        return plain(str(error))
    doing = doing or "The request"
    if is_out_of_memory(error):
        return f"{doing} ran out of memory; ask for fewer pictures, or choose a smaller model."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{doing} found no room on the server's disk; make room there, then try again."
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{doing} may not write on the server; make its folder writable, then try again."
    log.error("%s failed", doing, exc_info=error)
    return f"{doing} failed on the server ({kind}); try again, or with other settings."


@contextmanager
def named(name: str) -> Iterator[None]:
    """What a check says of a picture, a clip or a file, it says of this one by its name."""
    try:
        yield
    except ValueError as error:
        what, _, told = str(error).partition(": ")
        plainly = told if what in ("picture", "clip", "file") else str(error)
        raise ValueError(f"{name}: {plainly}") from error


def outcome(error: BaseException | None) -> str:
    """How something ended, in one word for an operator's counters."""
    if error is None:
        return "done"
    if isinstance(error, Stopped):
        return "stopped"
    return "refused" if isinstance(error, Busy | ValueError) else "failed"


def ended(error: BaseException) -> Exception:
    """What is told of whatever ended a growth; it holds on to nothing that the growth used."""
    if isinstance(error, Stopped | Refused):
        return error
    return Failed(sentence(error, "The growth"))


def plain(text: str) -> str:
    """A message without control characters and lone surrogates, and not too long."""
    text = UNSEEN.sub(" ", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def for_program(error: BaseException) -> gr.Error:
    """The error that a client of the API gets."""
    return gr.Error(sentence(error), print_exception=False)


def for_page(error: BaseException, title: str, doing: str = "", **more: Any) -> gr.Error:
    """The toast on the page, which reads its words as HTML; none where somebody has stopped it."""
    words = html.escape(sentence(error, doing), quote=False)
    visible = not isinstance(error, Stopped)
    return gr.Error(words, title=title, visible=visible, print_exception=False, **more)
