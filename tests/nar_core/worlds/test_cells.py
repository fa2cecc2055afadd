"""What is told of each cell: where ids are equal pixels are, and they move as the clip does."""

from itertools import pairwise

import numpy as np
import pytest

from nar_core.worlds import WORLDS
from nar_core.worlds.emoji.scene import Scene, Thing


def pieces(clip: np.ndarray) -> np.ndarray:
    """The pixels of each cell, uint8 [cells, 8 * 8 * 3], of a clip uint8 [F, H, W, 3]."""
    frames, high, wide, _ = clip.shape
    cut = clip.reshape(frames, high // 8, 8, wide // 8, 8, 3).swapaxes(2, 3)
    return cut.reshape(-1, 8 * 8 * 3)


@pytest.mark.parametrize("name", ["emoji", "emoji-motion"])
def test_what_a_cell_shows_follows_from_what_is_told_of_it(name):
    world, rng = WORLDS[name](), np.random.default_rng(0)
    shown: dict[bytes, np.ndarray] = {}
    nouns = ("cat", "car", "apple")
    looks = [("", ""), ("blue", ""), ("", "hat")]
    verbs = ("", "jumps", "spins", "grows", "slides left") if world.frames > 1 else ("",)
    again = 0
    for noun in nouns:
        for colour, worn in looks[: 3 if noun == "cat" else 2]:
            for verb in verbs:
                facts = Scene((Thing(noun, colour, worn, verb),))
                for way in world.arrangements(facts):
                    cells = world.cells(way)
                    assert cells.shape[1] == world.told
                    assert cells.max() < world.parts
                    for ids, pixels in zip(cells, pieces(world.render(way, rng)), strict=True):
                        known = shown.setdefault(ids.tobytes(), pixels)
                        again += known is not pixels
                        assert np.array_equal(known, pixels), (way, ids)
    assert (shown[np.full(world.told, -1).tobytes()] == 255).all()  # nothing stands there: white
    assert len(shown) > 300
    assert again > len(shown)


def test_what_moves_takes_its_ids_along():
    world = WORLDS["emoji-motion"]()
    facts = world.understand("a red car slides right").facts
    cells = world.cells(world.arrangements(facts)[0]).reshape(17, 10, 10, -1)
    for before, after in pairwise(cells[:4]):
        assert np.array_equal(before[:, :-1], after[:, 1:])
    assert not np.array_equal(cells[0], cells[1])


def test_what_is_in_front_is_told():
    world = WORLDS["emoji-motion"]()
    facts = world.understand("a red car slides right and a cat").facts
    counts = [
        (world.cells(way).reshape(17, 100, -1) >= 0).any(-1).sum(1)
        for way in world.arrangements(facts)
    ]
    assert any(c.min() < c.max() for c in counts)  # where they cross, one hides the other


@pytest.mark.parametrize("name", WORLDS)
def test_where_nothing_is_settled_nothing_is_told(name):
    world, rng = WORLDS[name](), np.random.default_rng(1)
    cells = world.cells(world.draw(rng))
    high, wide = world.size
    assert cells.shape == (world.frames * high * wide // 64, world.told)
    assert (cells == -1).all()
