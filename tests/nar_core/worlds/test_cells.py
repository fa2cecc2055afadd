"""What is told of each cell: where ids are equal pixels are, and they move as the clip does."""

from itertools import islice, pairwise

import numpy as np
import pytest

from nar_core.worlds import WORLDS
from nar_core.worlds.emoji.scene import Scene, Thing
from nar_core.worlds.landscape.cells import ids_of, mirrored
from nar_core.worlds.landscape.ground import Kind
from nar_core.worlds.landscape.scene import PIXEL


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


def land_of(prompt: str, number: int):
    world = WORLDS["landscape"]()
    facts = world.understand(prompt).facts
    return world, facts, world.arrangements(facts)[number]


def test_a_view_is_the_picture_of_what_is_told_of_it():
    """The same look each time; sky, at noon, is bluer than what is told to be land."""
    world, _, way = land_of("hills without a lake at noon, clear sky", 3)
    [picture] = world.render(way, np.random.default_rng(0))
    [again] = world.render(land_of("hills without a lake at noon, clear sky", 3)[2], None)
    assert np.array_equal(picture, again)
    cells = world.cells(way)
    assert cells.shape == (256, world.told)
    assert cells.max() < world.parts
    sky = (cells[:, :4] == cells[0, :4]).all(-1)  # as the upper left cell, which is sky
    land = cells[:, 4] >= 0
    assert sky.sum() > 60
    assert land.sum() > 60
    blue = picture.reshape(16, 8, 16, 8, 3).mean((1, 3)).reshape(256, 3) @ (-0.5, -0.5, 1.0)
    assert blue[sky & ~land].min() > blue[land & ~sky].max()


def test_where_the_moon_is_told_it_stands():
    world = WORLDS["landscape"]()
    found = 0
    for number in range(0, 80, 8):  # at night the first look of a land may show it
        _, _, way = land_of("a desert at night, clear sky, clear air", number)
        heaven = world.cells(way)[:, -1]
        [picture] = world.render(way, None)
        bright = picture.reshape(16, 8, 16, 8, 3).max((1, 3, 4)).reshape(256)
        moon = heaven == heaven[heaven >= 0].max()
        if moon.sum() > 6:  # none: all of the sky is told alike
            continue
        found += 1
        assert bright[moon].max() > 200
        assert bright[moon].min() >= np.median(bright[heaven >= 0])
    assert found > 3


def test_looks_around_one_land_go_on_in_each_other():
    """What may have led to what is known: the land of the seed, from any cell of a turn."""
    world, facts, way = land_of("mountains at sunset", 12)
    leads = [world.cells(one) for one in world.leads(facts, 12)]
    assert len(leads) == 112
    assert np.array_equal(leads[0], world.cells(way))
    for by in (1, 5, 14):
        there, here = leads[by].reshape(16, 16, -1), leads[0].reshape(16, 16, -1)
        assert (there[:, :-by] == here[:, by:]).mean() > 0.98  # waves begin at the first column
    [pixels] = world.render(world.leads(facts, 12)[5], None)
    assert np.abs(pixels[:, :-40].astype(int) - way.view.picture[:, 40:]).mean() < 4
    other = world.cells(world.arrangements(facts)[20])  # of another land
    assert max((lead == other).mean() for lead in leads) < 0.9
    assert len(world.leads(facts, 12 + len(world.arrangements(facts)))) == len(leads)


def test_ids_of_a_mirror_image_are_mirrored_ids():
    rng = np.random.default_rng(2)
    pixels = np.zeros((64, 48), PIXEL)
    for name, end in (("kind", len(Kind)), ("layer", 4), ("near", 300)):
        pixels[name] = rng.integers(0, end, (16, 12)).repeat(4, 0).repeat(4, 1)
    fields = [rng.random((64, 48)), rng.random((64, 48)), rng.random((32, 24))]
    fields.append(rng.random((32, 24)) < 0.01)
    ids = ids_of(pixels, *fields)
    assert ids.shape == (4, 3, 7)
    flipped = ids_of(pixels[:, ::-1], *(field[:, ::-1] for field in fields))
    assert np.array_equal(flipped, mirrored(ids))
    assert not np.array_equal(flipped, ids[:, ::-1])


def test_what_a_prompt_leaves_blank_is_settled_with_the_land():
    world, facts, _ = land_of("a canyon", 0)
    ways = world.arrangements(facts)
    assert all(-1 not in world.encode(way) for way in ways)
    assert {way.terrain for way in ways} == {"canyon"}
    assert len({way.season for way in ways}) == 4
    assert not any(world.is_held_out(way) for way in ways)
    assert world.leads(facts, 9)[3] == ways[9]  # the same land, told by the same facts
    assert -1 in world.encode(facts)


def test_a_view_that_is_shown_mirrored_is_told_mirrored(monkeypatch):
    world, _, way = land_of("islands at dusk", 0)
    picture, ids = world.render(way, None)[0], world.cells(way).reshape(16, 16, -1)
    monkeypatch.setattr("nar_core.worlds.landscape._land", lambda *args: None)
    monkeypatch.setattr("nar_core.worlds.landscape.shine", lambda *args: (picture, ids))
    seen = set()
    for facts, [shown] in islice(world.views(np.random.default_rng(0)), 12):
        is_mirrored = not np.array_equal(shown, picture)
        seen.add(is_mirrored)
        expected = mirrored(ids) if is_mirrored else ids
        assert np.array_equal(world.cells(facts).reshape(16, 16, -1), expected)
    assert seen == {True, False}
