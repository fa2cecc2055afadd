"""What strangers send, read field by field: known names, known types, within limits.

JSON from a file, a link, a page or a program may hold anything. Nothing of it is passed on as it
came: what is wanted is taken out here, and what does not fit is refused with what was got, what is
expected and the remedy.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Sequence
from typing import Any

from .settings import Setting

__all__ = [
    "MISSING",
    "Fields",
    "is_number",
    "is_text",
    "is_whole",
    "parse",
    "settled",
    "shown",
]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlong = 30

LARGEST = 2**63 - 1
"""Beyond this, whole numbers are of no use: no array holds them."""

LONGEST_CHOICE = 60

MISSING: Any = object()
"""The default of a field that must be there."""


def shown(value: Any) -> str:
    """A value in a message: short, and without characters that no text can hold.

    Of what is too long for a message, its length is told, which may be what was wrong.
    """
    text = _SHORT.repr(value)
    if isinstance(value, str) and len(value) > _SHORT.maxstring:
        return f"{text} ({len(value):,} characters)"
    if isinstance(value, list | tuple) and len(value) > _SHORT.maxlist:
        return f"{text} ({len(value):,} of them)"
    return text


def parse(text: str | bytes, what: str, remedy: str) -> Any:
    """JSON text -> its value; ValueError for anything else, however deep or long."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what}: got no readable JSON ({_reason(error)}); {remedy}") from error


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:80]


def is_text(value: Any) -> bool:
    """A text that can be written as UTF-8; lone surrogates cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_whole(value: Any) -> bool:
    """A whole number, also one that was written 7.0."""
    return is_number(value) and value == int(value)


def is_number(value: Any) -> bool:
    """A finite number that is no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


class Fields:
    """The fields of one JSON object.

    Args:
        data: anything; ValueError unless it is an object.
        what: what it is, for messages; remedy: what to do where it is not as it should be.
    """

    def __init__(self, data: Any, what: str, remedy: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{what}: got {shown(data)}, expected an object; {remedy}")
        self._data, self._what, self._remedy = data, what, remedy

    def has(self, name: str) -> bool:
        """Whether a field is there and says something."""
        return self._data.get(name) not in (None, "", [], {})

    def any(self, name: str, default: Any = MISSING) -> Any:
        """A field as it came, to be read further; null is missing: ValueError without `default`."""
        value = self._data.get(name)
        if value is not None:
            return value
        if default is MISSING:
            raise ValueError(f"{self._what}: got no {name}, expected one; {self._remedy}")
        return default

    def part(self, name: str) -> Fields:
        """An object inside this one."""
        return Fields(self.any(name), f"{self._what}: {name}", self._remedy)

    def text(self, name: str, longest: int, default: Any = MISSING) -> str:
        """A text of at most `longest` characters."""
        value = self.any(name, default)
        self._need(
            value is default or (is_text(value) and len(value) <= longest),
            name,
            value,
            f"a text of at most {longest:,} characters",
        )
        return value

    def texts(self, name: str, most: int, longest: int) -> list[str]:
        """A list of 1 to `most` texts."""
        value = self.any(name)
        fits = isinstance(value, list) and 1 <= len(value) <= most
        self._need(
            fits and all(is_text(x) and len(x) <= longest for x in value),
            name,
            value,
            f"a list of 1 to {most} texts of at most {longest:,} characters",
        )
        return list(value)

    def whole(self, name: str, low: int, high: int, default: Any = MISSING) -> int:
        """A whole number from `low` to `high`."""
        value = self.any(name, default)
        if value is default:
            return value
        fits = is_whole(value) and low <= value <= high
        self._need(fits, name, value, f"a whole number from {low} to {high}")
        return int(value)

    def number(self, name: str, low: float, high: float) -> float:
        """A number from `low` to `high`."""
        value = self.any(name)
        fits = is_number(value) and low <= value <= high
        self._need(fits, name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false; false where it is missing."""
        value = self.any(name, False)
        self._need(isinstance(value, bool), name, value, "true or false")
        return value

    def one_of(self, name: str, choices: Sequence[str], default: Any = MISSING) -> str:
        """One of the given texts."""
        value = self.any(name, default)
        self._need(
            isinstance(value, str) and value in choices, name, value, f"one of {', '.join(choices)}"
        )
        return value

    def wholes(
        self, name: str, lengths: int | range, highs: int | Sequence[int], low: int = 0
    ) -> tuple[int, ...]:
        """A list of whole numbers, from `low` to `highs` (one for all, or one for each)."""
        value = self.any(name)
        lengths = range(lengths, lengths + 1) if isinstance(lengths, int) else lengths
        fits = isinstance(value, list) and len(value) in lengths and all(map(is_whole, value))
        if fits:
            bounds = [highs] * len(value) if isinstance(highs, int) else highs
            fits = all(low <= x <= high for x, high in zip(value, bounds, strict=True))
        count = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
        self._need(fits, name, value, f"{count} whole numbers from {low} to {highs}")
        return tuple(map(int, value))

    def _need(self, fits: bool, name: str, value: Any, expected: str) -> None:
        if not fits:
            raise ValueError(
                f"{self._what}: {name}: got {shown(value)}, expected {expected}; {self._remedy}"
            )


def settled(setting: Setting, value: Any) -> float | int | str:
    """A sampling setting's value; ValueError for anything else, and for numbers beyond all use."""
    long = isinstance(value, str) and len(value) > LONGEST_CHOICE
    if isinstance(value, bool) or not isinstance(value, int | float | str) or long:
        raise ValueError(f"{setting.name}: got {shown(value)}, expected {setting.expected}")
    checked = setting.check(value)
    if isinstance(checked, int) and checked > LARGEST:
        raise ValueError(f"{setting.name}: got {shown(value)}, expected at most {LARGEST}")
    return checked
