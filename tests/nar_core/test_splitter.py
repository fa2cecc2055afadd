"""What a word is, alike for training, prompts, lists and pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nar_core import Engine, ModelInfo, Request, prepare, understand
from nar_core.models.condition import ConditionConfig, cut, split_words, word_ids
from nar_core.plan import GridShape
from nar_core.splitter import normal, split
from nar_core.train.source import FolderStream
from nar_core.worlds import WORLDS

from .helpers import write_model_folder

INFO = ModelInfo("a", "A", "class", "image", GridShape(1, 4, 4), (32, 32))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a T-shirt, please!", ["a", "T-shirt", "please"]),
        ("don't rock-'n'-roll", ["don't", "rock-'n'-roll"]),
        ("the dogs' 'best' bone -- ever-", ["the", "dogs", "best", "bone", "ever"]),
        ("cafe\u0301 cre\u0300me", ["café", "crème"]),
        ("हिन्दी กิน x\u0323\u0302y", ["हिन्दी", "กิน", "x\u0323\u0302y"]),  # no single letters
        ("ﬁsh ＡＢ１ ②", ["fish", "AB1", "2"]),
        ("re\u200dd ap\u00adple\u200b\u202e", ["red", "apple"]),
        ("man\u2019s well\u2010known non\u2011stop", ["man's", "well-known", "non-stop"]),
        ("red_apple\tblue\u00a0sea", ["red", "apple", "blue", "sea"]),
        ("\u0301 🍎 \x00", []),
    ],
)
def test_words(text, words):
    assert split(text) == words
    assert split(normal(text)) == words
    assert [x.text for x in understand(INFO, text).words] == words


def test_equal_looks_are_equal_to_a_model():
    for other in ("Cafe\u0301 well\u2010known", "ca\u200bfé well-known", "ｃａｆé WELL\u2011KNOWN"):
        assert torch.equal(word_ids([other], 4, 64), word_ids(["café well-known"], 4, 64))
    assert not torch.equal(word_ids(["well known"], 4, 64), word_ids(["well-known"], 4, 64))
    # weights of before
    assert torch.equal(
        word_ids(["hear-no-evil"], 4, 64, parted=True), word_ids(["hear no evil"], 4, 64)
    )


def test_what_is_cut_is_what_is_counted():
    long = "the don't-stop of e\u0301clair a b-c d"
    assert split_words(long) == ["don't-stop", "éclair", "b-c", "d"]
    assert cut(long, 4) == long
    assert split_words(cut(long, 3)) == ["don't-stop", "éclair", "b-c"]
    for slots in range(1, 6):
        for parted in (False, True):
            word_ids([cut(long, slots, parted)], slots, 64, parted)  # fits
    stream = object.__new__(FolderStream)
    stream.form = ConditionConfig("words", slots=3, buckets=64)
    assert stream.condition([{"text": long}]).shape == (1, 3, 17)


def test_every_listed_name_can_be_grown(tmp_path):
    names = [
        "1st place medal",
        "O-ring",
        "don\u2019t",
        "flag: C\u00f4te d\u2019Ivoire",
        "rock \u2018n\u2019 roll",
    ]
    folder = write_model_folder(tmp_path)
    (folder / "names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    engine = Engine.load(folder, device="cpu")
    assert len(engine.info.names) == len(names)
    words = [
        engine.condition(engine.prepare(Request(prompt=p)).request)[0] for p in engine.info.names
    ]
    assert all((w >= 0).any() for w in words)
    assert len({w.numpy().tobytes() for w in words}) == len(names)


@pytest.mark.parametrize("world", ["emoji", "emoji-motion"])
def test_compounds_are_what_their_last_part_is(world):
    info = replace(INFO, world=world)
    told = WORLDS[world]()
    for typed, plain in (
        ("light-red apple", "red apple"),
        ("a top\u2010hat", "a top hat"),
        ("the cat\u2019s apple", "the cat apple"),
        ("an ap\u00adple", "an apple"),
        ("a red-eyed apple", "an apple"),
    ):
        assert understand(info, typed).facts == told.understand(plain).facts, typed
    assert [w.text for w in understand(info, "an x-ray and an apple").unknown] == ["x-ray"]


def test_compounds_of_landscapes():
    info = replace(INFO, world="landscape")
    assert understand(info, "snow\u2011covered mountains").facts.season == "winter"
    assert [w.text for w in understand(info, "X-ray mountains").unknown] == ["X-ray"]


LABELS = ("goldfish", "café", "7")


def test_classes_by_number_and_by_name():
    info = replace(INFO, labels=LABELS)

    def grown(label):
        return prepare(info, Request(label=label)).request.label

    assert grown(0) == grown("0") == grown("Goldfish") == grown(" goldfish ") == ("goldfish",)
    assert grown("cafe\u0301") == ("café",)
    assert grown("7") == ("7",)  # a name comes first
    for wrong in (3, "3", -1, "-1", 0.0, 1.5, True, "²", "--1", "9" * 40):
        with pytest.raises(ValueError, match=r"label: got .*, expected"):
            grown(wrong)


def test_class_0_is_something_that_was_said():
    info = replace(INFO, task="text")
    for label in (0, (0,), "0"):
        with pytest.raises(ValueError, match=r"label: got .*expected none"):
            prepare(info, Request(label=label))


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed_position": (1.5, 2)},
        {"seed_position": (True, 2)},
        {"seed_position": ("1", 2)},
        {"num_samples": 1.5},
        {"num_samples": True},
        {"rng_seed": 0.5},
        {"rng_seed": float("inf")},
        {"rng_seed": float("nan")},
    ],
)
def test_a_float_is_no_whole_number(wrong):
    with pytest.raises(ValueError, match=rf"{next(iter(wrong))}: got .*, expected"):
        prepare(replace(INFO, labels=LABELS), Request(label=0, **wrong))


def test_a_large_whole_number_is_one():
    info = replace(INFO, labels=LABELS)
    try:
        prepare(info, Request(label=0, rng_seed=10**400))
    except ValueError as error:
        assert "rng_seed" in str(error)  # noqa: PT017
