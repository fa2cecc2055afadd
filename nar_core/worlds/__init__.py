"""Worlds: endless pictures and clips by rule, with the words for them. Pure numpy and Pillow."""

from .emoji import EmojiWorld
from .emoji.motion import EmojiMotionWorld
from .landscape import LandscapeWorld
from .world import Understood, Word, World

WORLDS: dict[str, type[World]] = {w.name: w for w in (EmojiWorld, EmojiMotionWorld, LandscapeWorld)}

__all__ = ["WORLDS", "Understood", "Word", "World"]
