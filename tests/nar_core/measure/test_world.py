"""Rightness: renderings are judged as what they show, and a run counts what it judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core.cli import main, report
from nar_core.cli.evaluate import read_prompts
from nar_core.measure.emoji import EmojiExam
from nar_core.measure.growing import Grower
from nar_core.measure.judge import damage, interval
from nar_core.measure.landscape import LandscapeExam
from nar_core.measure.world import drift, exam_of, reconstruction, rightness, variation
from nar_core.plan import GridShape
from nar_core.weights.embedded import load_tokenizer_folder
from nar_core.weights.fetch import CHECKPOINTS
from nar_core.worlds import WORLDS
from nar_core.worlds.emoji import Thing


def remembered(code: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The same function, which takes its time only once for the same argument."""
    found: dict[bytes, np.ndarray] = {}

    def remembering(given: np.ndarray) -> np.ndarray:
        key = given.tobytes()
        if key not in found:
            found[key] = code(given)
        return found[key].copy()

    return remembering


def engine_of(name: str, tokenizer=None) -> SimpleNamespace:
    """A world's engine without a generator; without a tokenizer its tokens are the pixels."""
    world = WORLDS[name]()
    grid = GridShape(world.frames, *(n // 8 for n in world.size))
    info = SimpleNamespace(name=name, world=name, grid=grid, task="text", seed_positions="any")
    if tokenizer is None:
        return SimpleNamespace(info=info, encode=lambda x: x, decode=lambda x: x)

    @remembered
    def encode(pixels: np.ndarray) -> np.ndarray:
        return tokenizer.encode(torch.from_numpy(pixels).movedim(-1, -3).float() / 255).numpy()

    @remembered
    def decode(tokens: np.ndarray) -> np.ndarray:
        pixels = tokenizer.decode(torch.from_numpy(tokens)).movedim(-3, -1).clamp(0, 1)
        return (pixels * 255).round().to(torch.uint8).numpy()

    return SimpleNamespace(info=info, encode=encode, decode=decode)


@pytest.fixture(scope="module", autouse=True)
def few_others() -> Iterator[None]:
    """A thing is held against fewer other objects, which is sooner done."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nar_core.measure.emoji.OTHERS", 5)
        yield


@pytest.fixture(scope="module", params=["emoji", "emoji-motion"])
def exam(request) -> EmojiExam:
    engine = engine_of(request.param)
    tokenizer, _ = load_tokenizer_folder(CHECKPOINTS / "world-tokenizer", engine.info.grid)
    with torch.inference_mode():
        yield exam_of(engine_of(request.param, tokenizer.float().eval()))


def answer(exam: EmojiExam, prompt: str, which: int = -1) -> np.ndarray:
    """One layout of a prompt as the tokenizer decodes it; of a clip, at the moments that are
    compared."""
    facts = exam.world.understand(prompt).facts
    pixels = exam.world.paint(facts, exam.world.layouts(facts)[which])
    pixels[::4] = exam.engine.decode(exam.engine.encode(pixels[None, ::4]))[0]
    return pixels


@pytest.mark.parametrize(
    ("prompt", "others"),
    [
        (
            "a red car on a hill",
            {
                "a blue car on a hill": "colour",
                "a red taxi on a hill": "object",
                "a red car in the snow": "background",
                "a red car": "background",
                "three red cars on a hill": "count",
                "a tiny red car on a hill": "size",
            },
        ),
        (
            "a green cat to the left of a purple dog",
            {
                "a green cat above a purple dog": "relation",
                "a purple dog to the left of a green cat": "relation",
                "a purple cat to the left of a green dog": "binding",
                "a green cat wearing glasses to the left of a purple dog": "worn",
            },
        ),
    ],
)
def test_a_rendering_is_right_and_one_of_another_prompt_is_wrong_in_its_fact(exam, prompt, others):
    facts = exam.world.understand(prompt).facts
    asked = [(prompt, 0), (prompt, -1), *((other, -1) for other in others)]
    verdicts = exam.judge(facts, np.stack([answer(exam, *a) for a in asked]))
    assert [v.differs for v in verdicts] == ["", "", *others.values()]
    assert [v.damage for v in verdicts[:2]] == [0, 0]
    assert min(v.damage for v in verdicts[2:]) > 0.01


def test_the_verb_counts_in_clips(exam):
    if exam.world.frames == 1:
        assert "moving" not in exam.categories
        return
    clips = [answer(exam, f"a dog {verb}") for verb in ("spins", "jumps", "shakes", "")]
    verdicts = exam.judge(exam.world.understand("a dog spins").facts, np.stack(clips))
    assert [v.differs for v in verdicts] == ["", "verb", "verb", "verb"]


def test_and_may_stand_either_way_but_nothing_may_be_missing_or_something_else():
    exam = exam_of(engine_of("emoji"))
    ways = [answer(exam, p) for p in ("a cat left of a dog", "a dog left of a cat")]
    facts = exam.world.understand("a cat and a dog").facts
    layout = exam.world.layouts(facts)[0]
    alone = exam.world.paint(facts, layout[:1])
    verdicts = exam.judge(facts, np.stack([*ways, alone]))
    assert [v.differs for v in verdicts] == ["", "", "missing"]
    three = exam.world.understand("three cats").facts
    *two, third = exam.world.layouts(three)[0]
    odd = exam.world.paint(three, (*two, replace(third, thing=Thing("moon"))))
    assert exam.judge(three, odd[None])[0].differs == "object"


def test_damage_is_the_share_of_cells_that_the_tokenizer_does_not_explain():
    rendering = np.full((1, 64, 64, 3), 200, np.uint8)
    decoded, growth = rendering.copy(), rendering.copy()
    decoded[0, :8, :8] -= 60
    growth[0, :16, :16] -= 60  # four cells, all of which the tokenizer explains
    assert damage(growth, rendering, decoded) == 0
    growth[0, 32:40, 32:64] -= 60
    assert damage(growth, rendering, decoded) == 4 / 64
    assert damage(rendering - 8, rendering, rendering) == 0
    assert damage(rendering - 16, rendering, rendering) == 1


@pytest.mark.parametrize(
    ("hits", "of", "expected"),
    [(8, 10, (0.490, 0.943)), (0, 10, (0, 0.278)), (10, 10, (0.722, 1))],
)
def test_intervals_are_wilson_s(hits, of, expected):
    assert interval(hits, of) == pytest.approx(expected, abs=0.001)


class Answers:
    """A grower that draws what was asked for, but from some seed positions something else."""

    rng_seed = 3

    def __init__(self, wrong: tuple[tuple[int, int, int], ...] = (), spread: bool = True):
        self.engine, self.wrong, self.spread = engine_of("emoji"), wrong, spread
        self.world, self.seeds, self.prompts = WORLDS["emoji"](), [], []

    def grow(self, prompts, seed_position, number=0):
        self.seeds.append(seed_position)
        self.prompts += prompts
        out = []
        for i, prompt in enumerate(prompts):
            facts = self.world.understand(prompt).facts
            if seed_position in self.wrong:
                facts = self.world.understand("four green shoes at night").facts
            rng = np.random.default_rng(number + i if self.spread else 0)
            out.append(self.world.render(facts, rng))
        return np.stack(out)


def test_a_run_counts_what_is_right_from_each_place_and_in_each_category():
    grower = Answers(wrong=((0, 0, 0),))
    found = rightness(grower, 13)
    assert (found["right_centre"], found["right_any"], found["right_corner"]) == (1, 1, 0)
    assert (found["right_seen"], found["right_held_out"]) == (1, 1)
    assert found["damage_centre"] == found["damage_any"] == 0 < found["damage_corner"]
    assert sum(found["differs"].values()) == found["prompts"] == 13
    assert not found["differs_held_out"]
    assert set(found["categories"]) == set(exam_of(grower.engine).categories)
    assert found["categories"]["single object"].keys() == {"seen"}
    counting = found["categories"]["counting"]["held_out"]
    assert counting["centre"] == [1, 0.207, 1]
    assert counting["corner"] == [0, 0, 0.793]
    assert counting["damage"] > 0
    assert "    held_out:\n      prompts: 1\n" in report(found)
    assert sum(rightness(Answers(wrong=((0, 8, 8),)), 13)["differs_held_out"].values()) == 6
    assert set(grower.seeds[::3]) == {(0, 0, 0)}
    assert set(grower.seeds[1::3]) == {(0, 8, 8)}
    assert len(set(grower.seeds[2::3])) == 2


def test_a_model_that_starts_in_the_corner_is_asked_from_there_alone():
    grower = Answers()
    grower.engine.info.seed_positions = "corner"
    found = rightness(grower, 4)
    assert set(grower.seeds) == {(0, 0, 0)}
    assert (found["right_corner"], found["right_seen"], found["right_held_out"]) == (1, 1, 1)
    assert not {"right_centre", "right_any"} & found.keys()
    grower.seeds.clear()
    variation(grower, prompts=1, samples=2)
    assert set(grower.seeds) == {(0, 0, 0)}


def test_questions_are_of_combinations_that_training_shows_or_never_does():
    exam, rng = exam_of(engine_of("emoji-motion")), np.random.default_rng(0)
    for category in exam.categories:
        for held_out in (False, True):
            facts = [exam.ask(category, held_out, rng) for _ in range(5)]
            if held_out and category == "single object":
                assert facts == [None] * 5
            else:
                assert [exam.world.is_held_out(f) for f in facts] == [held_out] * 5


@pytest.fixture(scope="module")
def landscapes() -> LandscapeExam:
    return exam_of(engine_of("landscape"))


def test_landscapes_that_no_generator_was_shown_are_told_apart(landscapes):
    world, rng, right = WORLDS["landscape"](), np.random.default_rng(4), 0
    asked = [landscapes.ask(c, True, rng) for c in landscapes.categories]
    assert [world.is_held_out(facts) for facts in asked if facts] == [True] * (
        6 - asked.count(None)
    )
    for facts in filter(None, asked):
        right += landscapes.judge(facts, world.render(facts, rng)[None])[0].right
    assert right >= 6 - asked.count(None) - 1


def test_a_landscape_is_wrong_in_terrain_or_in_time(landscapes):
    world, rng = WORLDS["landscape"](), np.random.default_rng(1)
    day = landscapes.ask("desert", False, rng)
    growth = world.render(replace(day, time="noon"), rng)[None]
    for facts, differs in (
        (replace(day, time="noon"), ""),
        (replace(day, time="night"), "time"),
        (replace(day, terrain="forest", time="noon"), "terrain"),
    ):
        assert [v.differs for v in landscapes.judge(facts, growth)] == [differs]


def test_it_is_told_how_far_the_judge_of_landscapes_can_be_relied_on():
    engine = engine_of("landscape")
    exam, rng = exam_of(engine), np.random.default_rng(2)
    noon = [replace(exam.ask(c, False, rng), time="noon") for c in exam.categories[::2]]
    for facts in noon:
        exam.judge(facts, WORLDS["landscape"]().render(facts, rng)[None])
        assert ("frechet" in exam.told(np.random.default_rng(3))) == (facts is not noon[0])
    as_it_is = exam.told(np.random.default_rng(3))
    assert as_it_is["right_rendered"] == as_it_is["right_decoded"] > 0.5
    engine.decode = lambda tokens: tokens // 8  # darker than any noon
    dark = exam.told(np.random.default_rng(3))
    assert (dark["right_rendered"], dark["right_decoded"]) == (as_it_is["right_rendered"], 0)


def test_reconstruction_is_told_in_decibels():
    engine = engine_of("emoji")
    assert reconstruction(Grower(engine), 2) == 100
    engine.decode = lambda x: np.where(x < 128, x + 26, x - 26)
    assert reconstruction(Grower(engine), 2) == pytest.approx(19.83, abs=0.01)


def test_a_model_of_no_world_is_refused():
    engine = SimpleNamespace(info=SimpleNamespace(name="fruit", world=""))
    with pytest.raises(ValueError, match="got fruit, which was trained on a folder"):
        exam_of(engine)


def test_prompts_of_a_sheet_may_stand_in_a_file(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("a red car\n\n two cats \n")
    assert read_prompts([str(file)]) == ["a red car", "two cats"]
    assert read_prompts(["a red car"]) == ["a red car"]


def test_variation_is_none_where_all_samples_are_one_picture():
    assert variation(Answers(spread=False), prompts=2) == 0
    assert variation(Answers(), prompts=2) > 5


def test_drift_is_what_becomes_of_known_cells_and_around_them(exam):
    own: list[np.ndarray] = []
    encode = exam.engine.encode
    engine = SimpleNamespace(**vars(exam.engine))
    engine.encode = lambda pixels: own.append(encode(pixels)) or own[-1]
    grown = {"own": lambda known: own[-1], "other": lambda known: np.roll(own[-1], 5, (-1, -2))}
    found = {}
    for name, fill in grown.items():
        engine.generate_all = lambda r, fill=fill: SimpleNamespace(
            tokens=np.where(r.known >= 0, r.known, fill(r.known))
        )
        found[name] = drift(Grower(engine), prompts=1)
    assert found["own"]["drift_kept"] == found["own"]["drift_right"] == 1
    assert found["other"]["drift_right"] == 0
    assert 0.5 < found["other"]["drift_kept"] <= 1
    assert ("second_frame_grown" in found["own"]) == (exam.world.frames > 1)


def test_a_world_is_drawn_with_its_words(tmp_path):
    for world, wide in (("emoji", 8 * 152), ("emoji-motion", 2 * 424)):
        path = tmp_path / f"{world}.png"
        assert main(["worlds", "sheet", world, "--out", str(path), "--count", "3"]) == 0
        sheet = np.asarray(Image.open(path))
        assert sheet.shape[1] == wide
        assert sheet.std() > 10
    assert Image.open(tmp_path / "emoji-motion.gif").n_frames > 5  # equal frames are joined
