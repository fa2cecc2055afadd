"""The engine on tiny random models, written in the form of the embedded ones."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core import Engine, Request, checks, fit
from nar_core.device import pick_device, pick_dtype

from .helpers import write_model_folder

SIDE = (4, 5)


@pytest.fixture(scope="module")
def engine(root):
    return Engine.load(root / "words", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def classes(root):
    return Engine.load(root / "classes", device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = write_model_folder(tmp_path_factory.mktemp("clips"), "clips", frames=4)
    return Engine.load(folder, device="cpu", dtype="float32")


def tokens_of(engine, **fields) -> np.ndarray:
    return engine.generate_all(Request(**fields)).tokens


# What is known of a model


def test_a_folder_describes_itself(engine, classes, clips):
    info = engine.info
    assert (info.name, info.task, info.media) == ("words", "text", "image")
    assert (info.grid, info.size, info.frames) == ((1, *SIDE), (32, 40), 1)
    assert (info.prompt_words, info.prompts, info.guidance_scale) == (3, ("red apple",), 2.0)
    assert not info.embedded
    assert classes.info.labels[4] == "class 4"
    assert (clips.info.media, clips.info.grid, clips.info.frames) == ("video", (4, *SIDE), 4)
    assert "+t" in clips.info.directions
    assert "+t" not in info.directions


def test_the_digest_tells_weights_apart(engine, classes, root):
    assert len(engine.digest) == 16
    assert engine.digest == Engine.load(root / "words").digest != classes.digest


def test_unknown_models_are_refused_by_name():
    with pytest.raises(ValueError, match=r"got 'emojy', expected .*NAR-B"):
        Engine.load("emojy")


def test_dtypes():
    cpu = torch.device("cpu")
    assert pick_dtype("bfloat16", cpu, 1) == torch.bfloat16
    assert pick_dtype("auto", torch.device("cuda"), 1) == torch.bfloat16
    assert pick_dtype("auto", torch.device("mps"), 1) == torch.float32
    with pytest.raises(ValueError, match="got 'int4', expected 'auto', float32"):
        pick_dtype("int4", cpu, 1)
    with pytest.raises(ValueError, match="VNNI"):
        pick_dtype("int8", torch.device("cuda"), 1)


def test_devices_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    for name in ("cuda", "cuda:1", "mps", "tpu"):
        with pytest.raises(ValueError, match=f"got '{name}', expected auto or, here, cpu"):
            pick_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("auto").type == "cuda"
    assert pick_device("cuda:1").index == 1


def test_half_precision_generates_too(root):
    half = Engine.load(root / "words", device="cpu", dtype="bfloat16")
    frame = half.generate_all(Request(prompt="red apple"))
    assert (frame.tokens >= 0).all()
    assert half.decode(frame.tokens).shape == (1, 1, 32, 40, 3)


def test_min_p_reaches_the_decoder(engine):
    asked = {"prompt": "red apple", "num_samples": 2}
    greedy = engine.generate_all(Request(guidance_scale=1.0, temperature=0.0, **asked))
    only = engine.generate_all(Request(guidance_scale=9.0, min_p=1.0, **asked))
    free = engine.generate_all(Request(guidance_scale=9.0, **asked))
    np.testing.assert_array_equal(only.tokens, greedy.tokens)
    assert (free.tokens != greedy.tokens).any()


# Validation


def test_defaults_are_filled_in(engine, classes):
    request = engine.validate(Request(prompt="red apple", num_samples=2.0, rng_seed=3.0))
    assert request.prompt == ("red apple", "red apple")
    assert request.seed_position == (0, 2, 2)
    assert (request.guidance_scale, request.temperature, request.top_k) == (2.0, 1.0, 0)
    assert (request.top_p, request.min_p) == (1.0, 0.0)
    assert [type(x) for x in (request.num_samples, request.rng_seed)] == [int, int]
    request = classes.validate(Request(label=(3, "class 1", None), num_samples=3))
    assert request.label == ("class 3", "class 1", None)


@pytest.mark.parametrize("seed_position", [(1, 4), (0, 1, 4), [1, 4], np.array([1, 4]), (1.0, 4.0)])
def test_seed_positions_come_in_several_forms(engine, seed_position):
    assert engine.validate(Request(seed_position=seed_position)).seed_position == (0, 1, 4)


UNKNOWN = np.full((1, *SIDE), -1)
ROWS_DIFFER = np.stack([UNKNOWN, np.where(np.arange(5) == 2, 1, UNKNOWN)])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"seed_position": (4, 0)}, r"got \(4, 0\), expected \(h, w\) inside the grid \(4, 5\)"),
        ({"seed_position": (0, -1)}, "seed_position: got"),
        ({"seed_position": (0.5, 1)}, "seed_position: got"),
        ({"seed_position": (float("nan"), 1)}, "seed_position: got"),
        ({"seed_position": ("a", "b")}, "seed_position: got"),
        ({"seed_position": 3}, "seed_position: got 3"),
        ({"seed_position": (0, 0, 0, 0)}, "seed_position: got"),
        ({"prompt": "one two three four"}, "got 4 words, expected at most 3 .*shorten 'one two"),
        ({"prompt": ("a", "b", "c"), "num_samples": 2}, r"expected one text, or 2 \(num_samples\)"),
        ({"prompt": (None,)}, r"prompt: got \(None,\)"),
        ({"label": "class 1"}, "label: got 'class 1', expected none: words reads a prompt"),
        ({"heads": "temporal"}, "heads: got 'temporal', expected one of mixed, horizontal, vert"),
        ({"keep": np.ones((1, *SIDE), bool)}, "keep: got cells, expected none"),
        ({"num_samples": -1}, "num_samples: got -1"),
        ({"known": np.zeros((2, 2), int)}, r"got int64 \(2, 2\), expected tokens \(1, 4, 5\)"),
        ({"known": np.zeros((1, *SIDE))}, "got float64, expected whole numbers"),
        ({"known": np.full((1, *SIDE), 16)}, r"from 16 to 16, expected -1 \(unknown\) to 15"),
        ({"known": np.full((1, *SIDE), -2)}, "from -2 to -2"),
        ({"known": ROWS_DIFFER, "num_samples": 2}, "rows differ"),
        ({"known": np.zeros((1, *SIDE), int)}, "expected at least one to grow"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(engine, fields, told):
    with pytest.raises(ValueError, match=told):
        engine.generate(Request(**fields))


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("class", "got 'class', expected one of 5 class names, such as class 0, class 1"),
        (5, "got 5, expected 0 to 4"),
        (-1, "got -1"),
        (True, "got True"),
        (("class 1", "class 2"), r"got 2 labels, expected one, or 1 \(num_samples\)"),
    ],
)
def test_labels_are_refused_by_name(classes, label, told):
    with pytest.raises(ValueError, match=told):
        classes.generate(Request(label=label))


def test_fillers_do_not_count_as_words(engine):
    engine.validate(Request(prompt="an emoji of the red apple tree"))


# Growth


def test_frames_follow_the_plan(engine):
    request = Request(prompt="red apple", seed_position=(1, 3), num_samples=2)
    plan = engine.plan(request)
    before = np.full((2, 1, *SIDE), -1)
    for k, frame in enumerate(engine.generate(request), 1):
        assert (frame.step, frame.total, frame.passes) == (k, plan.total, k)
        flat = np.ravel_multi_index(frame.positions.T, plan.grid)
        np.testing.assert_array_equal(flat, plan.steps[k - 1].positions)
        fresh = (frame.tokens >= 0) & (before < 0)
        assert fresh.reshape(2, -1)[:, flat].all()
        assert fresh.sum() == 2 * len(flat)
        np.testing.assert_array_equal(frame.tokens[before >= 0], before[before >= 0])
        np.testing.assert_array_equal(np.isnan(frame.confidence), frame.tokens < 0)
        before = frame.tokens
    assert k == plan.total == 1 + 2 + 3
    assert (frame.tokens >= 0).all()
    assert ((frame.confidence > 0) & (frame.confidence <= 1)).all()


def test_the_same_request_gives_the_same_tokens(engine):
    one, two = (tokens_of(engine, prompt="red apple", rng_seed=4) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != tokens_of(engine, prompt="red apple", rng_seed=5)).any()


def test_prompt_and_label_steer(engine, classes):
    assert (tokens_of(engine, prompt="red apple") != tokens_of(engine, prompt="whale")).any()
    assert (tokens_of(classes, label=0) != tokens_of(classes, label="class 3")).any()
    np.testing.assert_array_equal(tokens_of(classes, label=3), tokens_of(classes, label="class 3"))
    # Without a prompt there is nothing to be guided towards.
    alone = tokens_of(engine, prompt="", guidance_scale=1.0)
    np.testing.assert_array_equal(alone, tokens_of(engine, prompt="the", guidance_scale=1.0))


def test_a_batch_equals_single_runs(engine):
    prompts = ("red apple", "whale", "")
    batch = tokens_of(engine, prompt=prompts, num_samples=3, rng_seed=10)
    for i, prompt in enumerate(prompts):
        one = tokens_of(engine, prompt=prompt, rng_seed=10 + i)
        np.testing.assert_array_equal(batch[i], one[0])


def test_requests_grown_together_equal_single_runs(engine, classes, clips):
    """Each with its own words, random seed and number of samples."""
    for model, words in ((engine, "prompt"), (classes, "label"), (clips, "prompt")):
        said = ("red apple", "whale", "") if words == "prompt" else (3, "class 4", None)
        requests = [
            Request(**{words: said[i]}, rng_seed=7 * i, num_samples=n, guidance_scale=2.0)
            for i, n in enumerate((1, 3, 2))
        ]
        *_, last = model.generate_together(requests)
        for request, frame in zip(requests, last, strict=True):
            alone = model.generate_all(request)
            np.testing.assert_array_equal(frame.tokens, alone.tokens)
            np.testing.assert_allclose(frame.confidence, alone.confidence, rtol=1e-4)
            assert frame.request.rng_seed == request.rng_seed
            assert frame.request.num_samples == request.num_samples


def test_requests_of_other_guidance_and_filters_are_grown_together(engine):
    """How a row is drawn is its own: only what the model computes must agree."""
    own = [
        {},
        {"guidance_scale": 5.0},
        {"temperature": 0.0},
        {"top_k": 3, "num_samples": 2},
        {"top_p": 0.5, "temperature": 0.7},
        {"min_p": 0.3},
    ]
    plain = {"prompt": "whale", "guidance_scale": 2.0, "rng_seed": 4}
    requests = [Request(**plain | more) for more in own]
    gone: set[int] = set()
    for frames in engine.generate_together(requests, lambda number: number not in gone):
        last = frames
        if frames[5].step == 4:
            gone.add(1)  # the settings of those who stay must stay theirs
    for number, request in enumerate(requests):
        if number not in gone:
            alone = engine.generate_all(request)
            np.testing.assert_array_equal(last[number].tokens, alone.tokens)
            np.testing.assert_allclose(last[number].confidence, alone.confidence, rtol=1e-4)
    assert len({last[i].tokens[0].tobytes() for i in range(6) if i not in gone}) == 5


def test_what_was_once_not_wanted_is_gone_for_good(engine):
    """Its rows are: it would come back with holes."""
    requests = [Request(prompt="whale"), Request(prompt="whale", rng_seed=4)]
    asked: list[int] = []

    def wanted(number: int) -> bool:
        asked.append(number)
        return number == 0 or asked.count(1) != 2

    frames = list(engine.generate_together(requests, wanted))
    assert [frame is not None for _, frame in frames] == [True] + [False] * (len(frames) - 1)
    alone = engine.generate_all(requests[0])
    np.testing.assert_array_equal(frames[-1][0].tokens, alone.tokens)


def test_known_cells_and_branches_are_grown_together(engine):
    known = np.full((2, 1, *SIDE), -1)
    known[:, :, 1, :2] = np.arange(4).reshape(2, 1, 2)
    around = [Request(prompt="whale", known=rows, rng_seed=3) for rows in known]
    *_, last = engine.generate_together(around)
    for request, frame in zip(around, last, strict=True):
        np.testing.assert_array_equal(frame.tokens, engine.generate_all(request).tokens)
    branches = []
    for rng_seed in (1, 2):
        early = list(engine.generate(Request(prompt="red apple", rng_seed=rng_seed)))[2]
        branches.append(Request(resume=early, rng_seed=rng_seed + 5, guidance_scale=1.5))
    *_, last = engine.generate_together(branches)
    for request, frame in zip(branches, last, strict=True):
        np.testing.assert_array_equal(frame.tokens, engine.generate_all(request).tokens)


@pytest.mark.parametrize("interval", [-1, 6])
def test_who_leaves_a_batch_does_not_disturb_the_others(engine, interval):
    requests = [
        Request(prompt="whale", rng_seed=i, num_samples=2, guidance_interval=interval)
        for i in range(3)
    ]
    leaving = {3: 1, 5: 0}  # after which step who leaves
    gone: set[int] = set()
    steps = 0
    for frames in engine.generate_together(requests, lambda number: number not in gone):
        steps += 1
        assert [frame is None for frame in frames] == [i in gone for i in range(3)]
        last = frames
        if steps in leaving:
            gone.add(leaving[steps])
    alone = engine.generate_all(requests[2])
    assert steps == alone.total
    np.testing.assert_array_equal(last[2].tokens, alone.tokens)


def test_a_batch_that_all_have_left_ends(engine):
    asked = []

    def wanted(number: int) -> bool:
        asked.append(number)
        return len(asked) <= 4

    requests = [Request(prompt="whale", rng_seed=i) for i in range(2)]
    assert len(list(engine.generate_together(requests, wanted))) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"seed_position": (0, 0)},
        {"guidance_scale": 1.0},
        {"guidance_interval": 5},
        {"heads": "vertical"},
        {"fusion": "probabilities"},
        {"known": np.where(np.arange(20).reshape(1, *SIDE) == 9, 1, -1)},
    ],
)
def test_what_does_not_agree_is_not_grown_together(engine, other):
    plain = {"prompt": "whale", "seed_position": (2, 2)}
    with pytest.raises(ValueError, match=r"got 2 that do not all agree .* grow them one by one"):
        engine.generate_together([Request(**plain), Request(**plain | other)])


@pytest.mark.parametrize("shape", ["grid", "rows", "pictures"])
def test_known_tokens_are_kept(engine, shape):
    known = np.full((2, 1, *SIDE), -1)
    known[:, 0, 1:3, 2:4] = 7
    given = {"grid": known[0], "rows": known, "pictures": known[:, 0]}[shape]
    frame = engine.generate_all(Request(prompt="red apple", num_samples=2, known=given))
    np.testing.assert_array_equal(frame.tokens[known >= 0], 7)
    assert (frame.tokens >= 0).all()
    assert np.isnan(frame.confidence[known >= 0]).all()
    assert not np.isnan(frame.confidence[known < 0]).any()
    known[0, 0, 1, 2] = 8
    changed = engine.generate_all(Request(prompt="red apple", num_samples=2, known=known))
    assert (changed.tokens[0] != frame.tokens[0]).sum() > 1  # what is known steers the rest
    np.testing.assert_array_equal(changed.tokens[1], frame.tokens[1])


def test_the_request_is_not_changed_by_growing(engine):
    known = np.full((1, *SIDE), -1)
    known[0, 0, 0] = 3
    request = Request(prompt="red apple", known=known)
    engine.generate_all(request)
    assert (known >= 0).sum() == 1
    assert request.guidance_scale is None
    assert request.rng_seed is None


def test_resuming_is_going_on(engine):
    request = Request(prompt="red apple", rng_seed=2, num_samples=2)
    frames = list(engine.generate(request))
    for k in (1, 3, len(frames) - 1):
        again = list(engine.generate(Request(resume=frames[k - 1])))
        assert [f.step for f in again] == list(range(k + 1, len(frames) + 1))
        np.testing.assert_array_equal(again[-1].tokens, frames[-1].tokens)
        np.testing.assert_allclose(again[-1].confidence, frames[-1].confidence, atol=1e-4)


def test_a_branch_keeps_what_was_grown_and_its_order(engine):
    frames = list(engine.generate(Request(prompt="red apple", seed_position=(3, 4))))
    middle = frames[3]
    branch = engine.generate_all(
        Request(prompt="whale", rng_seed=9, guidance_scale=4.0, resume=middle)
    )
    grown = middle.tokens >= 0
    np.testing.assert_array_equal(branch.tokens[grown], middle.tokens[grown])
    assert (branch.tokens != frames[-1].tokens).any()
    assert branch.request.seed_position == (0, 3, 4)
    # A branch can be branched from in turn.
    first = next(engine.generate(Request(prompt="whale", resume=middle)))
    engine.generate_all(Request(prompt="red apple", resume=first))


def test_resuming_keeps_known_cells(engine):
    known = np.full((1, *SIDE), -1)
    known[0, 1:3, 1:3] = 5
    frames = list(engine.generate(Request(prompt="red apple", known=known)))
    last = engine.generate_all(Request(prompt="red apple", resume=frames[1]))
    np.testing.assert_array_equal(last.tokens, frames[-1].tokens)


def test_resuming_is_refused_where_it_cannot_go_on(engine, clips):
    last = engine.generate_all(Request())
    with pytest.raises(ValueError, match="resume: got the last frame"):
        engine.generate(Request(resume=last))
    with pytest.raises(ValueError, match="same model and num_samples"):
        engine.generate(Request(resume=last, num_samples=2))
    with pytest.raises(ValueError, match="same model and num_samples"):
        clips.generate(Request(resume=last))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"step": 0}, "resume: step: got 0, expected a whole number from 1"),
        ({"step": -1}, "resume: step: got -1"),
        ({"step": 3}, "resume: got tokens in which cells are missing, .* up to step 3"),
        ({"total": 99}, "resume: got a frame of 99 steps"),
        ({"confidence": None}, r"resume: got a frame .* whose confidence is \(\)"),
        ({"tokens": np.full((1, 1, *SIDE), -1)}, "resume: got tokens in which cells are missing"),
        ({"tokens": np.zeros((1, 1, *SIDE))}, "resume: got float64, expected whole numbers"),
    ],
)
def test_a_frame_that_is_none_of_its_growth_is_refused(engine, changed, told):
    frame = list(engine.generate(Request(prompt="red apple")))[1]
    with pytest.raises(ValueError, match=told):
        engine.generate(Request(resume=replace(frame, **changed)))


def test_a_growth_of_nothing_is_refused(engine):
    with pytest.raises(ValueError, match="requests: got none"):
        engine.generate_together([])


@pytest.mark.parametrize("name", ["decode", "surprise", "pixels", "preview"])
def test_tokens_are_refused_with_what_is_expected(engine, name):
    take, grid = getattr(engine, name), (1, 1, *SIDE)
    for given, told in (
        (np.zeros((0, *grid[1:]), int), "tokens: got shape"),
        (np.zeros(grid[1:], int), "tokens: got shape"),
        (np.zeros(grid), "tokens: got float64, expected whole numbers"),
        (np.zeros(grid, bool), "tokens: got bool, expected whole numbers"),
        (torch.zeros(grid, dtype=torch.bfloat16), "tokens: got .*, expected an array"),
        (np.full(grid, 10**6), "tokens: got 1000000 to 1000000, expected"),
        (np.full(grid, -2), "tokens: got -2 to -2, expected"),
        (np.full(grid, 2**64 - 1, np.uint64), "tokens: got 18446744073709551615"),
    ):
        with pytest.raises(ValueError, match=told):
            take(given)
    if name in ("decode", "surprise"):
        with pytest.raises(ValueError, match="tokens: got -1 to -1, expected 0 to"):
            take(np.full(grid, -1))
    for kind in (np.uint64, np.int8):
        np.testing.assert_array_equal(take(np.zeros(grid, kind)), take(np.zeros(grid, int)))


def test_what_is_unsaid_goes_on_as_it_was(engine):
    known = np.full((1, *SIDE), -1)
    known[0, 1, 1] = 5
    asked = {"prompt": "red apple", "rng_seed": 5, "num_samples": 2, "known": known}
    asked |= {"guidance_scale": 3.0, "temperature": 0.7, "heads": "vertical", "top_k": 9}
    frames = list(engine.generate(Request(**asked)))
    again = engine.generate_all(Request(resume=frames[1]))
    np.testing.assert_array_equal(again.tokens, frames[-1].tokens)
    for name, value in asked.items():
        if name not in ("known", "prompt"):
            assert getattr(again.request, name) == value
    other = engine.generate_all(Request(resume=frames[1], rng_seed=6))
    assert other.request.prompt == ("red apple",) * 2
    assert (other.tokens != again.tokens).any()


def test_what_does_not_apply_is_refused_not_ignored(engine, classes):
    known = np.full((1, *SIDE), -1)
    known[0, 0, 0] = 3
    frame = next(engine.generate(Request(prompt="red apple", seed_position=(3, 3))))
    for fields, told in (
        ({"seed_position": (0, 0)}, "seed_position: got another than that of the frame"),
        ({"known": known}, "known: got another than that of the frame"),
        ({"known": Image.new("RGB", (9, 9)), "keep": known >= 0}, "known: got another than"),
    ):
        with pytest.raises(ValueError, match=told):
            engine.generate(Request(resume=frame, **fields))
    # What says the same is no contradiction, so that a prepared request can be asked again.
    engine.prepare(engine.prepare(Request(resume=frame, seed_position=(3, 3))).request)
    with pytest.raises(ValueError, match="prompt: got 'red apple', expected none: classes grows"):
        classes.generate(Request(prompt="red apple"))
    with pytest.raises(ValueError, match=r"resume: got a frame of words .* expected classes"):
        classes.generate(Request(resume=frame))
    with pytest.raises(ValueError, match="got one prepared for words, expected classes"):
        classes.generate(engine.prepare(Request()))


def test_a_request_is_planned_once(engine, monkeypatch):
    made = []
    plan = checks.make_plan
    monkeypatch.setattr(checks, "make_plan", lambda *a: made.append(a) or plan(*a))
    prepared = engine.prepare(Request(prompt="red apple", num_samples=2, rng_seed=3))
    frame = engine.generate_all(prepared)
    assert len(made) == 1
    assert frame.total == prepared.plan.total
    assert frame.request is prepared.request
    asked = Request(prompt="red apple", num_samples=2, rng_seed=3)
    np.testing.assert_array_equal(engine.generate_all(asked).tokens, frame.tokens)
    assert len(made) == 2


def test_a_growth_goes_on_from_what_was_written(engine):
    prepared = engine.prepare(Request(prompt="red apple", num_samples=2))
    frames = list(engine.generate(prepared))
    last = frames[-1]
    for k in (1, 4):
        resumed = prepared.resumed(k, last.tokens, last.confidence)
        assert resumed.plan is prepared.plan
        frame = resumed.request.resume
        for name in ("positions", "tokens", "confidence"):
            np.testing.assert_array_equal(getattr(frame, name), getattr(frames[k - 1], name))
        for again in (resumed, Request(resume=frame)):
            np.testing.assert_array_equal(engine.generate_all(again).tokens, last.tokens)
    with pytest.raises(ValueError, match=f"step: got 99, .* from 1 to {prepared.plan.total - 1}"):
        prepared.resumed(99, last.tokens, last.confidence)
    with pytest.raises(ValueError, match="every cell that is known or written up to step 2"):
        prepared.resumed(2, frames[0].tokens, last.confidence)
    strange = np.where(last.tokens == last.tokens.flat[0], engine.info.vocab_size, last.tokens)
    told = f"got tokens from .* to {engine.info.vocab_size}, expected -1"
    with pytest.raises(ValueError, match=f"tokens: {told}"):
        prepared.resumed(2, strange, last.confidence)
    with pytest.raises(ValueError, match=f"resume: {told}"):
        engine.prepare(Request(resume=replace(frames[1], tokens=strange)))


def test_a_picture_is_known_where_it_is_kept(engine, clips):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 100, 3), np.uint8))
    tokens = engine.encode(picture)
    keep = np.zeros((1, *SIDE), bool)
    keep[0, :2, :3] = True
    asked = {"prompt": "red apple", "num_samples": 2, "seed_position": (1, 1)}
    frame = engine.generate_all(Request(known=picture, keep=keep, **asked))
    given = engine.generate_all(Request(known=np.where(keep, tokens, -1)[0], **asked))
    np.testing.assert_array_equal(frame.tokens, given.tokens)
    np.testing.assert_array_equal(frame.tokens[0][keep], tokens[0][keep])
    also = engine.generate_all(Request(known=tokens, keep=keep, **asked))
    np.testing.assert_array_equal(frame.tokens, also.tokens)
    first = next(engine.generate(Request(known=picture, keep=keep, **asked)))
    again = engine.generate_all(Request(resume=first))
    np.testing.assert_array_equal(frame.tokens, again.tokens)
    # Of pixels each sample may have its own, or all the same.
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 40, 3), np.uint8)
    for own in (pixels, pixels[:1], pixels[0]):
        known = np.where(keep, engine.encode(own.reshape(-1, 1, 32, 40, 3)), -1)
        kept = engine.generate_all(Request(known=own, keep=keep, **asked)).tokens
        np.testing.assert_array_equal(kept[:, keep], np.broadcast_to(known, kept.shape)[:, keep])
    # A clip begins with it, unless other cells are named.
    still = clips.generate_all(Request(prompt="whale", known=picture, seed_position=(0, 0, 0)))
    np.testing.assert_array_equal(still.tokens[0, 0], clips.encode(picture)[0, 0])
    for fields, told in (
        ({"known": picture}, r"keep: got none, expected bool \(1, 4, 5\): which cells of the pic"),
        ({"known": picture, "keep": keep[:, :2]}, r"keep: got bool \(1, 2, 5\), expected bool"),
        ({"known": picture, "keep": keep.astype(int)}, "keep: got int64"),
        ({"known": picture, "keep": keep & False}, "keep: got no cell"),
        ({"known": pixels, "keep": keep}, r"known: got 2 pictures, expected 1 or 1 \(num_samples"),
        ({"known": picture, "keep": keep | True}, "expected at least one to grow"),
    ):
        with pytest.raises(ValueError, match=told):
            engine.generate(Request(**fields))


def test_closing_the_generator_cancels(engine):
    frames = engine.generate(Request(prompt="red apple"))
    next(frames)
    frames.close()
    with pytest.raises(StopIteration):
        next(frames)


def test_two_requests_do_not_see_each_other(engine):
    expected = [tokens_of(engine, prompt=p) for p in ("red apple", "whale")]
    both = [engine.generate(Request(prompt=p)) for p in ("red apple", "whale")]
    for turn in zip(*both, strict=True):
        last = turn
    for frame, tokens in zip(last, expected, strict=True):
        np.testing.assert_array_equal(frame.tokens, tokens)


def test_head_configurations_share_random_numbers(engine):
    """Nothing differs before predictions first meet."""
    known = np.full((1, *SIDE), -1)
    known[0, 0, 0] = 3
    fields = {"prompt": "red apple", "seed_position": (0, 0), "known": known}
    plain = tokens_of(engine, **fields)[0, 0]
    other = tokens_of(engine, heads="vertical", **fields)[0, 0]
    for cell in ((0, 1), (1, 0), (0, 2), (2, 0)):
        assert plain[cell] == other[cell]
    assert (plain != other).any()


def test_a_clip_grows_in_time(clips):
    request = Request(prompt="whale", seed_position=(0, 0, 0))
    assert clips.plan(request).total == 4 + 4 + 5 - 2
    frame = clips.generate_all(request)
    assert frame.tokens.shape == (1, 4, *SIDE)
    assert clips.decode(frame.tokens).shape == (1, 4, 32, 40, 3)
    known = np.where(np.arange(4)[:, None, None] == 0, frame.tokens[0], -1)
    again = clips.generate_all(Request(prompt="whale", seed_position=(0, 0, 0), known=known))
    np.testing.assert_array_equal(again.tokens[:, 0], frame.tokens[:, 0])
    with pytest.raises(ValueError, match=r"expected \(t, h, w\) inside the grid \(4, 4, 5\)"):
        clips.generate(Request(seed_position=(1, 1)))


def test_a_tokenizer_of_pictures_codes_a_clip_frame_by_frame(clips):
    info = clips.info
    assert (info.media, info.grid, info.frames) == ("video", (4, *SIDE), 4)
    assert (info.size, info.slice_of_frame) == ((32, 40), (0, 1, 2, 3))
    frame = clips.generate_all(Request(prompt="whale", seed_position=(2, 1, 1)))
    video = clips.decode(frame.tokens)
    assert video.shape == (1, 4, 32, 40, 3)
    assert clips.preview(frame.tokens, full=True).shape == video.shape
    # Frames do not touch each other: those of equal tokens are equal, whatever the others hold.
    still = frame.tokens.copy()
    still[:, 1:] = still[:, :1]
    shown = clips.decode(still).astype(int)
    assert np.abs(shown - video[:, :1]).max() <= 1
    assert np.abs(clips.decode(frame.tokens[:, ::-1]).astype(int) - video[:, ::-1]).max() <= 1
    backwards = clips.encode(video[:, ::-1])
    np.testing.assert_array_equal(backwards[:, ::-1], clips.encode(video))


# Pixels


def test_decode_and_encode_shapes(engine):
    tokens = np.random.default_rng(0).integers(0, 16, (2, 1, *SIDE))
    video = engine.decode(tokens)
    assert (video.shape, video.dtype) == ((2, 1, 32, 40, 3), np.uint8)
    encoded = engine.encode(video)
    assert (encoded.shape, encoded.dtype) == (tokens.shape, np.int64)
    np.testing.assert_array_equal(engine.encode(video[1:]), encoded[1:])


def test_pictures_of_any_form_are_fitted(engine):
    wide = Image.new("RGBA", (400, 64), (255, 0, 0, 0))
    wide.paste((0, 0, 255, 255), (160, 0, 240, 64))
    fitted = fit(wide, (32, 40))
    assert fitted.shape == (32, 40, 3)
    assert (fitted[:, 4:-4] == (0, 0, 255)).all()  # the middle; what is beside it is cut off
    assert (fit(Image.new("LA", (7, 9), (0, 0)), (8, 8)) == 255).all()  # clear is white
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    np.testing.assert_array_equal(fit(pixels, (32, 40)), pixels)
    expected = engine.encode(pixels[None, None])
    np.testing.assert_array_equal(engine.encode(Image.fromarray(pixels)), expected)


def test_pixels_are_refused_with_what_is_expected(engine):
    with pytest.raises(ValueError, match=r"unknown cells \(-1\) can only be previewed"):
        engine.decode(np.full((1, 1, *SIDE), -1))
    with pytest.raises(ValueError, match=r"got shape \(1, 4, 5\)"):
        engine.decode(np.zeros((1, *SIDE), int))
    with pytest.raises(ValueError, match=r"\(1, 1, 8, 8, 3\), expected uint8 \[B, \(1, 32"):
        engine.encode(np.zeros((1, 1, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="got float64"):
        engine.encode(np.zeros((1, 1, 32, 40, 3)))


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_engine_is_loaded_and_not_copied(engine, copied):
    with pytest.raises(TypeError, match=r"engine: got .* to copy or pickle, .* by Engine.load"):
        copied(engine)
