"""The emoji world in motion: loops, verbs that do what they say, the same words."""

import numpy as np
import pytest

from nar_core.worlds.emoji.motion import FRAMES, STEPS, EmojiMotionWorld, layouts, paint
from nar_core.worlds.emoji.scene import Scene, Thing

world = EmojiMotionWorld()


def clip(verb: str, **scene) -> np.ndarray:
    facts = Scene((Thing("apple", verb=verb),), **scene)
    return world.paint(facts, layouts(facts)[0]).astype(int)


def middle(frame: np.ndarray) -> np.ndarray:
    """The centre (row, column) of what is not white."""
    return np.argwhere(frame.min(-1) < 200).mean(0)


def area(frame: np.ndarray) -> int:
    return int((frame.min(-1) < 200).sum())


def test_the_same_rng_gives_the_same_clip():
    rngs = [np.random.default_rng(3) for _ in range(2)]
    a, b = ([world.render(world.draw(r), r) for _ in range(3)] for r in rngs)
    assert all((x == y).all() for x, y in zip(a, b, strict=True))
    assert a[0].shape == (FRAMES, 80, 80, 3)


def test_loose_clips_lie_off_the_grid_half_of_the_time():
    facts, rng = Scene((Thing("apple", verb="jumps"),)), np.random.default_rng(0)
    ways = [world.paint(facts, layout) for layout in layouts(facts)]

    def on_the_grid(clip: np.ndarray) -> bool:
        return any(np.array_equal(clip, way) for way in ways)

    assert all(on_the_grid(world.render(facts, rng)) for _ in range(8))
    assert 4 < sum(on_the_grid(world.loose(facts, rng)) for _ in range(16)) < 12


def test_every_wording_is_understood():
    rng = np.random.default_rng(1)
    for held_out in (False, True):
        for _ in range(100):
            scene = (world.draw_held_out if held_out else world.draw)(rng)
            assert world.is_held_out(scene) == held_out
            for how in (None, rng):
                assert world.understand(world.say(scene, how)).facts == scene


@pytest.mark.parametrize(
    ("prompt", "verb"),
    [
        ("a jumping apple", "jumps"),
        ("apple that spins", "spins"),
        ("an apple sliding to the left", "slides left"),
        ("the apple is getting bigger", "grows"),
        ("apple", ""),
    ],
)
def test_strangers_verbs(prompt, verb):
    assert world.understand(prompt).facts.things[0] == Thing("apple", verb=verb)


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("two cats jumping", "two cats jump"),
        ("two cats jumps", "two cats jump"),
        ("three bees go round", "three bees circle"),
        ("grapes sliding left", "some grapes slide left"),
        ("a pair of dogs moves right", "two dogs slide right"),
        ("a cat goes left", "a cat slides left"),
        ("two birds fly", "two birds slide right"),
        ("a car that drives to the left", "a car slides left"),
        ("a ghost floating in space", "a ghost slides right on the moon"),
        ("a bee flying around", "a bee circles"),
        ("dancing robots", "two robots shake"),
        ("three fish swimming in the sea", "three fish slide right in the sea"),
        ("a fish swimming", "a fish slides right in the sea"),
        ("a fish swimming on a hill", "a fish slides right on a hill"),
        ("a duck swimming to the left", "a duck slides left"),
        ("a heart beating", "a heart grows"),
        ("a bird diving", "a bird falls"),
        ("a horse galloping", "a horse slides right"),
    ],
)
def test_several_things_jump_and_one_jumps(prompt, plain):
    understood = world.understand(prompt)
    assert world.say(understood.facts) == plain
    assert world.understand(plain).facts == understood.facts


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("a falling apple and a shaking robot", "an apple falls and a robot shakes"),
        ("a spinning star above a jumping cat", "a star spins above a cat jumps"),
        ("a jumping cat, spinning stars", "a cat jumps and a star spins"),
        ("a cat and a jumping frog", "a cat and a frog jumps"),
        ("a cat next to a dog that is jumping", "a cat and a dog jumps"),
        ("a frog and it jumps", "a frog jumps"),
        ("a dog jumps and spins", "a dog jumps"),
    ],
)
def test_a_verb_belongs_to_its_own_thing(prompt, plain):
    facts = world.understand(prompt).facts
    assert world.say(facts) == plain
    assert world.understand(plain).facts == facts


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("a turtle walking slowly to the left", "a turtle slides left"),
        ("a car going from right to left", "a car slides left"),
        ("a cat on the left jumping and a dog", "a cat jumps to the left of a dog"),
    ],
)
def test_a_side_is_the_way_that_it_goes(prompt, plain):
    found = world.understand(prompt)
    assert world.say(found.facts) == plain
    assert not any(word.meaning == "slides right" for word in found.words)


def test_verbs_do_what_they_say():
    still = clip("")
    assert (still == still[0]).all()
    ys = [middle(f)[0] for f in clip("jumps")]
    assert max(ys) - min(ys) == pytest.approx(24, abs=1)
    assert ys[0] == max(ys)
    for verb, axis, sign in (("falls", 0, 1), ("slides left", 1, -1), ("slides right", 1, 1)):
        moves = np.diff([middle(f)[axis] for f in clip(verb)[:2]])
        assert moves[0] * sign > 5, verb
    grows = [area(f) for f in clip("grows")]
    assert grows == sorted(grows)
    assert grows[-1] > 3 * grows[0]
    assert [area(f) for f in clip("shrinks")] == grows[::-1]
    spins = clip("spins")
    assert (spins[0] == spins[8]).all()
    assert np.abs(spins[0] - spins[4]).mean() > 2
    assert len({tuple(middle(f).round()) for f in clip("circles")}) >= 8
    assert set(STEPS) == {"", *(v.split("verb ")[1] for v in world.terms if v.startswith("verb "))}


def test_what_moves_keeps_its_pixels_on_the_grid():
    frames = clip("slides right")
    assert (frames[1][:, 8:] == frames[0][:, :-8]).all()


def test_clips_loop_and_two_things_move_at_once():
    facts = Scene((Thing("cat", verb="falls"), Thing("car", verb="jumps")), relation="left of")
    frames = paint(layouts(facts)[0], "").astype(int)
    left, right = frames[:, :, :40], frames[:, :, 40:]
    assert np.abs(np.diff(left, axis=0)).mean((1, 2, 3)).max() > 1
    assert np.abs(np.diff(right, axis=0)).mean((1, 2, 3)).max() > 1
    falls = clip("falls")
    steps = [middle(f)[0] for f in (falls[-1], falls[0])]
    assert steps[1] - steps[0] == pytest.approx(8, abs=1)  # the first frame follows the last


def test_where_nothing_moves_it_is_said_and_verbs_are_offered():
    found = world.understand("a blue apple")
    assert found.remarks == ("nothing moves; say what it does, such as 'jumps'",)
    for verb in found.wanting:
        moving = world.understand(f"a blue apple {verb}")
        assert (moving.wanting, moving.remarks) == ((), ())
    assert world.understand("zeitgeist").wanting == ()


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("a balloon floating up", "a balloon jumps"),
        ("a red ball bouncing up and down", "a red ball jumps"),
        ("an owl flies downwards", "an owl falls"),
        ("a butterfly flying in a circle", "a butterfly circles"),
        ("a dog walks in circles and a cat runs left", "a dog circles and a cat slides left"),
        ("a car driving down the road", "a car slides right"),
    ],
)
def test_which_way_something_goes_is_read_with_its_verb(prompt, plain):
    assert world.say(world.understand(prompt).facts) == plain
