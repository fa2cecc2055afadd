"""The words of a model: what it knows can be typed, and ideas are understood."""

from dataclasses import replace

import pytest

from nar_core import (
    ModelInfo,
    Request,
    box_alone,
    ideas,
    prepare,
    understand,
    vocabulary,
)
from nar_core.plan import GridShape
from nar_core.worlds import WORLDS

INFO = ModelInfo("a", "A", "text", "image", GridShape(1, 4, 4), (32, 32))


@pytest.mark.parametrize("name", WORLDS)
def test_every_word_of_the_vocabulary_is_known(name):
    info = replace(INFO, world=name)
    thing = next(iter(vocabulary(info).values()))[0]
    for kind, words in vocabulary(info).items():
        assert words, kind
        for word in words:
            found = understand(info, f"{word} {thing} and {thing} {word}")
            assert not found.unknown, (kind, word)
            assert any(w.kind == "known" for w in found.words), (kind, word)
    assert ("verbs" in vocabulary(info)) == (name == "emoji-motion")


@pytest.mark.parametrize("name", WORLDS)
def test_ideas_are_understood_and_differ_by_rng_seed(name):
    info = replace(INFO, world=name)
    first = ideas(info, 12)
    assert first == ideas(info, 12)
    assert first != ideas(info, 12, rng_seed=1)
    for prompt in first:
        found = understand(info, prompt)
        assert (found.caption, found.remarks) == (prompt, ())


def test_without_a_world_ideas_come_from_what_was_trained_on():
    info = replace(INFO, world="", names=("red apple", "fox"), prompts=())
    assert set(ideas(info, 5)) == {"red apple", "fox"}
    assert vocabulary(info) == {"prompts": ("red apple", "fox")}
    assert ideas(replace(info, names=()), 5) == ()
    assert understand(info, "any words at all").words[0].kind == "known"


@pytest.mark.parametrize("name", WORLDS)
def test_signs_and_fillers_are_not_taken_for_nothing_said(name):
    """Somebody who types an apple as an emoji would get whatever the model likes."""
    info = replace(INFO, world=name, prompts=("a hint",))
    for prompt in (
        "\U0001f34e",
        "\U0001f469\u200d\U0001f467",
        "--",
        "\u0301",
        "?!",
        "the",
        "a the of",
    ):
        with pytest.raises(ValueError, match=r"knows nothing to draw, expected .*'a hint'"):
            prepare(info, Request(prompt=prompt))
    for prompt in ("", " ", "\u200b"):
        assert prepare(info, Request(prompt=prompt)).request.prompt == (prompt,)


def test_a_thing_alone_stands_where_its_prompt_has_room_for_it():
    clips = replace(INFO, world="emoji-motion")
    assert box_alone(clips, "a lion jumps") == (1, 3, 7)  # three cells are above it
    assert box_alone(clips, "a lion spins") == (1, 1, 7)
    assert box_alone(clips, "a small lion jumps") == (2, 5, 5)  # all of it can be seen
    for prompt in ("two lions jump", "a lion and a cat", "zeitgeist"):
        assert box_alone(clips, prompt) is None
    assert (box_alone(clips), box_alone(replace(INFO, world="emoji"))) == ((1, 2, 7), (2, 2, 12))
    for other in ("landscape", ""):
        info = replace(INFO, world=other)
        assert (box_alone(info), box_alone(info, "green hills")) == (None, None)
