"""The landscape world: same rng same picture, words both ways, light as the facts say."""

import itertools

import numpy as np
import pytest

from nar_core.worlds.landscape import Landscape, LandscapeWorld
from nar_core.worlds.landscape.facts import SLOTS, TERRAINS, TIMES, VALUES, complete, pairs
from nar_core.worlds.landscape.ground import SIZE, Ground
from nar_core.worlds.landscape.scene import FOCAL, LAND, WATER, WATER_SKY, look

world = LandscapeWorld()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_same_rng_gives_the_same_picture():
    facts = Landscape(terrain="hills", time="noon")
    once, again, other = (world.render(facts, rng(seed)) for seed in (3, 3, 4))
    assert once.shape == (1, 128, 128, 3)
    assert once.dtype == np.uint8
    assert (once == again).all()
    assert (once != other).mean() > 0.5


def test_a_wide_view_goes_round():
    """A full turn is 896 pixels, so what is to the right of it is its beginning again."""
    wide = world.panorama(Landscape("canyon", "summer", "noon", "clear sky"), rng(1), 896 + 64)
    assert wide.shape == (128, 960, 3)
    assert (wide[:, :64] == wide[:, 896:]).all()


def test_a_stream_of_views_is_the_same_again_and_shows_nothing_held_out():
    def some() -> list:
        return list(itertools.islice(world.views(rng(7), lands=1), 6))

    once, again = some(), some()
    for (facts, picture), (same_facts, same_picture) in zip(once, again, strict=True):
        assert facts == same_facts
        assert (picture == same_picture).all()
        assert picture.shape == (1, 128, 128, 3)
        assert not world.is_held_out(facts)
    assert len({picture.tobytes() for _, picture in once}) == 6


def test_a_stream_draws_as_draw_does(monkeypatch):
    """With nothing rendered: terrain and time are as frequent as `draw` has them."""
    monkeypatch.setattr("nar_core.worlds.landscape._land", lambda *args: None)
    blank = np.zeros((128, 128, 3), np.uint8), np.full((16, 16, world.told), -1)
    monkeypatch.setattr("nar_core.worlds.landscape.shine", lambda *args: blank)
    streamed = [f for f, _ in itertools.islice(world.views(rng(2)), 4000)]
    generator = rng(3)
    drawn = [world.draw(generator) for _ in range(4000)]
    for terrain, time in itertools.product((*TERRAINS, None), (*TIMES, None)):
        a, b = (
            sum(f.terrain == terrain and f.time == time for f in facts)
            for facts in (streamed, drawn)
        )
        assert abs(a - b) < 0.25 * max(a, b) + 40, (terrain, time)


def test_what_is_held_out_is_never_drawn_and_everything_else_is():
    held_out, shown = pairs(True), pairs(False)
    assert 0.08 < len(held_out) / len(TERRAINS) / len(TIMES) < 0.16
    for terrain, time in itertools.product(TERRAINS, TIMES):
        assert any(p[0] == terrain for p in shown)
        assert any(p[1] == time for p in shown)
    generator = rng(1)
    drawn = [world.draw(generator) for _ in range(3000)]
    assert not any(world.is_held_out(f) for f in drawn)
    assert {(f.terrain, f.time) for f in drawn if f.terrain and f.time} == set(shown)
    unseen = [world.draw_held_out(generator) for _ in range(200)]
    assert all(world.is_held_out(f) for f in unseen)
    assert {(f.terrain, f.time) for f in unseen} == set(held_out)
    for blank in [f for f in drawn if not (f.terrain and f.time)]:
        assert not world.is_held_out(complete(blank, generator))


def test_every_wording_is_understood_as_its_facts():
    generator = rng(5)
    everything = [world.draw(generator) for _ in range(1500)]
    everything += [world.draw_held_out(generator) for _ in range(200)]
    for facts in [*everything, Landscape(), *(Landscape(terrain=t) for t in TERRAINS)]:
        for how in (None, generator):
            prompt = world.say(facts, how)
            understood = world.understand(prompt)
            assert understood.facts == facts, prompt
            assert {w.kind for w in understood.words} <= {"known", "filler"}, prompt
            assert len(understood.words) <= 16, prompt


def test_the_plain_wordings():
    facts = Landscape("forest", "autumn", "morning", "many clouds", None, "lake")
    assert world.say(facts) == "an autumn forest by a lake in the morning, cloudy"
    assert world.say(Landscape("mountains", "winter", "sunset")) == "winter mountains at sunset"


@pytest.mark.parametrize(
    ("prompt", "facts"),
    [
        ("snowy mountains at sunset", Landscape("mountains", "winter", "sunset")),
        ("a desert at night", Landscape("desert", time="night")),
        (
            "autumn forest by a lake in the morning, cloudy",
            Landscape("forest", "autumn", "morning", "many clouds", None, "lake"),
        ),
        ("Mountain", Landscape("mountains")),
        ("a hill under a blue sky", Landscape("hills", None, "noon", "clear sky")),
        ("foggy woods at dawn", Landscape("forest", None, "morning", haze="haze")),
        ("at night: DUNES!", Landscape("desert", time="night")),
        ("sand dunes in the evening", Landscape("desert", time="sunset")),
        ("a misty lake at sunrise", Landscape(None, None, "morning", haze="haze", water="lake")),
        ("the sea at dusk", Landscape("islands", time="dusk")),
        ("tropical beach", Landscape("islands")),
        ("mountains by the sea", Landscape("mountains", water="lake")),
        ("mountain lake in winter", Landscape("mountains", "winter", water="lake")),
        ("a green meadow with flowers", Landscape("hills", "spring")),
        (
            "grassy hills in summer without any clouds",
            Landscape("hills", "summer", None, "clear sky"),
        ),
        ("grand canyon, no fog", Landscape("canyon", haze="clear air")),
        ("gorge with a river", Landscape("canyon", water="lake")),
        ("forest, no lake", Landscape("forest", water="no lake")),
        ("starry night over the alps", Landscape("mountains", None, "night", "clear sky")),
        ("an oasis", Landscape("desert", water="lake")),
        ("desert island", Landscape("islands")),
        ("sunny day in the jungle", Landscape("forest", None, "noon", "clear sky")),
        ("overcast", Landscape(clouds="many clouds")),
        ("please paint me a beautiful landscape", Landscape()),
        ("snow covered pine trees by moonlight", Landscape("forest", "winter", "night")),
        ("mountain forest", Landscape("forest")),
        ("a forest in the mountains", Landscape("forest")),
        ("wooded hills", Landscape("hills")),
        ("a mountainous island", Landscape("islands")),
        (
            "sandy beach, the sun is setting",
            Landscape("islands", time="sunset", clouds="clear sky"),
        ),
        ("golden hour on rolling hills", Landscape("hills", None, "sunset")),
        ("blue sky and white clouds", Landscape(time="noon", clouds="some clouds")),
        ("a tropical beach with palm trees", Landscape("islands")),
        ("northern lights over a glacier", Landscape("mountains", "winter", "night")),
        ("Tuscany in the evening", Landscape("hills", time="sunset")),
        ("a waterfall in the redwoods", Landscape("forest", water="lake")),
    ],
)
def test_how_strangers_ask(prompt: str, facts: Landscape):
    understood = world.understand(prompt)
    assert understood.facts == facts
    assert not understood.unknown


def test_words_that_are_not_known_are_said_with_the_nearest():
    understood = world.understand("a robot in the dessert at nite")
    assert understood.facts is None
    unknown = {w.text: w.meaning for w in understood.unknown}
    assert unknown["dessert"] == "desert"
    assert set(unknown) == {"robot", "dessert", "nite"}
    assert world.understand("").facts is None


@pytest.mark.parametrize(
    ("prompt", "plain", "taken"),
    [
        ("mountians at sunset", "mountains at sunset", [("mountians", "mountains")]),
        ("ilands in the sea", "islands", [("ilands in the sea", "islands in the sea")]),
        ("a Forrest at night", "a forest at night", [("Forrest", "forest")]),
        ("lanscape", "a landscape", [("lanscape", "landscape")]),
        ("a castle in lighting", "a landscape", []),
        ("my health in summer", "a summer landscape", []),
    ],
)
def test_a_slip_of_the_pen_is_mended_and_said(prompt, plain, taken):
    understood = world.understand(prompt)
    assert world.say(understood.facts or Landscape()) == plain
    assert [(w.text, w.meaning) for w in understood.of("taken as")] == taken


@pytest.mark.parametrize(
    ("prompt", "plain", "said"),
    [
        ("mountains [without snow]", "summer mountains", "taken as"),
        ("autumn mountains [without snow]", "autumn mountains", "known"),
        ("forest, [not at night]", "a forest at noon", "taken as"),
        ("[no mountains]", "hills", "taken as"),
        ("[not a forest] but a desert", "a desert", "known"),
        ("a forest [without trees]", "a forest", "left out"),
        ("hills, [no sun]", "hills, cloudy", "taken as"),
        ("hills, no clouds [or fog]", "hills, clear sky, clear air", "known"),
        ("[neither clouds] nor fog", "a landscape, clear sky, clear air", "known"),
        ("a landscape with [no people]", "a landscape", "unknown"),
    ],
)
def test_what_is_denied_is_not_drawn(prompt, plain, said):
    understood = world.understand(prompt)
    assert world.say(understood.facts) == plain
    denied = prompt[prompt.index("[") + 1 : prompt.index("]")]
    assert [w.kind for w in understood.words if w.text == denied] == [said]


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("trees on a hill", "hills"),
        ("a tree", "a forest"),
        ("Iceland", "mountains"),
        ("a beach in Iceland", "islands"),
        ("Antarctica", "a winter landscape"),
        ("Niagara Falls", "a landscape by a lake"),
        ("snow-capped peaks", "winter mountains"),
        ("a red sky over mountains", "mountains at sunset"),
        ("a blizzard in the forest", "a winter forest, cloudy"),
    ],
)
def test_what_says_little_says_it_where_nothing_else_does(prompt, plain):
    understood = world.understand(prompt)
    assert world.say(understood.facts) == plain
    assert not understood.unknown


def test_what_has_no_room_is_left_out():
    words = {w.text: w.kind for w in world.understand("islands in a forest by a lake").words}
    assert words == {
        "islands": "known",
        "in": "filler",
        "a": "filler",
        "forest": "left out",
        "by": "filler",
        "lake": "left out",
    }
    taken = [w for w in world.understand("hazy isles").words if w.kind == "taken as"]
    assert [(w.text, w.meaning) for w in taken] == [("isles", "islands")]
    # what is one phrase is said as one
    assert world.understand("the Grand Canyon").remarks == ("'Grand Canyon' is taken as 'canyon'",)


def test_ids_stay_within_the_terms():
    generator = rng(6)
    assert len(set(world.terms)) == len(world.terms)
    for _ in range(200):
        facts = world.draw(generator)
        ids = world.encode(facts)
        assert len(ids) == len(world.slots) == len(SLOTS)
        for slot, i in zip(SLOTS, ids, strict=True):
            value = getattr(facts, slot)
            assert (world.terms[i] if i >= 0 else None) == value
            assert value is None or value in VALUES[slot]


def test_facts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="terrain: expected one of mountains"):
        Landscape("ocean")
    with pytest.raises(ValueError, match="islands stand in the sea"):
        Landscape("islands", water="lake")


def brightness(**facts: str) -> float:
    """Mean of one land's picture, 0..255; only the facts differ, the rng does not."""
    base = {"terrain": "hills", "season": "summer", "time": "noon", "clouds": "clear sky"}
    base |= {"haze": "clear air", "water": "no lake"} | facts
    return float(world.render(Landscape(**base), rng(11)).mean())


def test_night_is_darker_than_dusk_and_dusk_than_day():
    night, dusk, noon = (brightness(time=t) for t in ("night", "dusk", "noon"))
    assert night < 0.9 * dusk
    assert dusk < 0.75 * noon


def test_winter_is_white():
    assert brightness(season="winter") > brightness(season="summer") + 25


def test_water_mirrors_what_stands_behind_it():
    """A round wall in water: as wide above the water line as below it, seen from near the water."""
    x, y = np.meshgrid(*[np.arange(SIZE) - SIZE / 2 + 0.5] * 2)
    wall = abs(np.hypot(x, y) - 105) < 5
    flat = np.zeros((SIZE, SIZE), np.float32)
    ground = Ground(
        height=np.where(wall, 20, -3).astype(np.float32),
        kind=flat.astype(np.uint8),
        tone=flat,
        snow=flat,
        eye=2.0,
        trees=np.zeros((0, 4), np.float32),
    )
    scene = look(rng(), ground, 0, 64)
    layer = scene.pixels["layer"]
    eye = 2.0
    above = (layer == LAND).sum(0)
    mirrored = (layer == WATER).sum(0)
    below = (layer == WATER_SKY).sum(0)
    assert np.allclose(above, 20 / 100 * FOCAL, atol=4)
    assert np.allclose(mirrored, 20 / 100 * FOCAL, atol=8)
    foot = scene.horizon + eye / 100 * FOCAL
    assert np.allclose(below, 256 - foot - 20 / 100 * FOCAL, atol=8)


def test_the_moon_is_seen_in_water_too():
    def moons(**facts: str) -> list[tuple[bool, bool]]:
        """Whether a light disc is above and below the middle row, for each of five pictures."""
        night = Landscape(time="night", season="summer", clouds="clear sky", **facts)
        found = []
        for seed in range(5):
            grey = world.render(night, rng(seed))[0].mean(-1)
            found.append(tuple(bool((half > 125).sum() > 15) for half in (grey[:60], grey[68:])))
        return found

    in_water = moons(terrain="islands", haze="clear air")
    seen = [below for above, below in in_water if above]
    assert len(seen) >= 2
    assert sum(seen) > len(seen) / 2
    assert not any(below for _, below in moons(terrain="hills", haze="clear air", water="no lake"))


@pytest.mark.parametrize("terrain", VALUES["terrain"])
def test_a_place_alone_is_seen_by_day_at_first(terrain: str):
    """Every other time follows in later lands, and what a prompt says is kept."""
    ways = world.arrangements(Landscape(terrain))
    first = ways[0]
    assert first.time in ("noon", "morning")
    assert (first.season, first.clouds, first.haze) == ("summer", "some clouds", "clear air")
    seen = {way.time for way in ways}
    assert seen == {t for t in VALUES["time"] if not world.is_held_out(Landscape(terrain, time=t))}
    told = world.arrangements(Landscape(terrain, "winter", "night", haze="haze"))[0]
    assert (told.season, told.time, told.haze) == ("winter", "night", "haze")
