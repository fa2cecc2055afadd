"""Worlds: endless pictures and clips by rule, with the words for them. Pure numpy and Pillow."""

from .emoji import EmojiWorld
from .landscape import LandscapeWorld
from .world import Understood, Word, World

WORLDS: dict[str, type[World]] = {w.name: w for w in (EmojiWorld, LandscapeWorld)}

__all__ = ["WORLDS", "Understood", "Word", "World"]
