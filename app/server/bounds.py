"""How many may wait and grow together, unless the command line says otherwise."""

MOST_WAITING = 64
"""Growths that may wait."""

MOST_OF_ONE = 8
"""Growths of one session that may wait."""

MOST_TOGETHER = 8
"""Pictures that are grown together, where several wait."""
