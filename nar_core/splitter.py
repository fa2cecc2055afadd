"""Words of a text: one normalisation and one splitter, for training, prompts, lists and pages."""

from __future__ import annotations

import re
import unicodedata

JOINTS = str.maketrans("\u2019\u02bc\u2010", "''-")
"""Apostrophes and hyphens as they are typed by hand, and the plain ones."""


def normal(text: str) -> str:
    """The text in compatibility form (NFKC), without format characters, with plain joints."""
    shown = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", shown).translate(JOINTS)


def split(text: str) -> list[str]:
    """The words of a text as they were typed.

    A word is of letters and digits; hyphens, apostrophes and combining signs inside belong to it.
    """
    words, word = [], ""
    for c in re.sub("--+", " ", normal(text)) + " ":
        if c.isalnum() or (word and (c in "'-" or unicodedata.category(c).startswith("M"))):
            word += c
        elif word:
            words.append(word.rstrip("'-"))
            word = ""
    return words
