"""Recipes: what is believed of a file, whether it was made again, and what differs if not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from app.server.form import Form
from app.server.telling import replayed
from app.wire import bytes_of_uri, data_uri
from nar_core import Request, prepare
from nar_core.files import (
    MAX_PARTS,
    label_of,
    read_file,
    read_recipe,
    recipe_of,
    request_of,
    steps_of,
)
from nar_core.files.png import png_bytes
from nar_core.files.recipe import (
    MAX_SAMPLES,
    Recipe,
    pack,
    recipe_from,
    recipes_from,
    unpack,
    verdict,
)
from nar_core.foreign import parse
from nar_core.plan import GridShape
from tests.app import studios
from tests.app.fake_engine import INFO, FakeEngine
from tests.app.studios import check, fake_studio, finish

FILE_DATA = {"path": "/etc/passwd", "url": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
"""What Gradio takes for a file to hand out, wherever it stands in what is returned."""


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    done = finish(fake_studio(), Form("emoji", "red apple"), {"seed_position": [0, 4, 9]})
    return read_file(bytes_of_uri(done["pictures"][0], 5_000_000))[0]


def places(value, at=()):
    """Every place in a JSON value."""
    yield at
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from places(inner, (*at, key))
    for key, inner in enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*at, key))


def put(value, at, new):
    """A copy of a JSON value with another one at a place."""
    if not at:
        return new
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = new
    return copy


def test_json_goes_both_ways(recipe):
    again = recipe_from(json.loads(json.dumps(recipe.json())))
    assert again.json() == recipe.json()
    assert again.request["prompt"] == "red apple"
    assert again.resumed_from == 0  # nobody's branch


def test_the_last_picture_of_the_most_and_the_last_variation_are_read_and_no_further_ones(recipe):
    """The pictures of a growth have rng seeds that follow each other, up to the largest number."""
    told = recipe.json()
    last = 2**63 - 1 - MAX_SAMPLES
    read = recipe_from({**told, "sample": 15, "request": {**told["request"], "rng_seed": last}})
    assert (read.sample, read.request["rng_seed"]) == (MAX_SAMPLES - 1, last)
    for change in ({"sample": 16}, {"request": {**told["request"], "rng_seed": last + 1}}):
        with pytest.raises(ValueError, match="expected"):
            recipe_from({**told, **change})


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"label": ("kiwi", None)}, ("kiwi", None)),
        ({"prompt": "owl", "num_samples": MAX_SAMPLES + 1}, ("owl",) * (MAX_SAMPLES + 1)),
    ],
)
def test_classes_and_none_and_more_samples_than_a_file_tells_of_are_told_each_alone(asked, told):
    name = "label" if "label" in asked else "prompt"
    request = Request(**{"num_samples": len(told), "rng_seed": 5, **asked})
    engine = FakeEngine("fruit" if name == "label" else "emoji")
    *_, frame = engine.generate(request)
    steps = steps_of(prepare(engine.info, request).plan)
    for sample, word in enumerate(told):
        written = recipe_of(engine, frame, steps, sample)
        read = recipe_from(json.loads(json.dumps(written.json())))
        assert read.json() == written.json()
        assert read.request[name] == word
        assert (read.request["rng_seed"], read.request["num_samples"]) == (5 + sample, 1)
        assert read.sample == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"prompt": "the " * 300 + "owl"}, r"prompt: got 1,203 characters, expected at most 1,000"),
        ({"top_k": 2**63}, f"top_k: got {2**63}, expected at most {2**63 - 1}"),
        ({"top_k": 2**60}, ""),
    ],
)
def test_what_no_file_may_tell_is_refused_where_it_is_made(asked, said):
    engine = FakeEngine("emoji")
    request = Request(**{"prompt": "owl", **asked})
    *_, frame = engine.generate(request)
    steps = steps_of(prepare(engine.info, request).plan)
    if said:
        with pytest.raises(ValueError, match=said):
            recipe_of(engine, frame, steps, 0)
    else:
        data = json.loads(json.dumps(recipe_of(engine, frame, steps, 0).json()))
        assert recipe_from(data).request["top_k"] == asked["top_k"]


def test_a_recipe_tells_the_height_of_a_frame_before_its_width():
    low = replace(INFO["emoji"], name="low", grid=GridShape(1, 8, 16), size=(64, 128))
    low = replace(low, default_seed_position=(0, 4, 8))
    engine = FakeEngine("emoji")
    engine.info = low
    *_, frame = engine.generate(Request(prompt="owl"))
    steps = steps_of(prepare(low, Request(prompt="owl")).plan)
    assert recipe_of(engine, frame, steps, 0).size == (64, 128)


def test_changing_its_json_does_not_change_a_recipe(recipe):
    data, before = recipe.json(), json.dumps(recipe.json())
    data["request"]["seed_position"].append(7)
    for part in data.values():
        if hasattr(part, "clear"):
            part.clear()
    assert json.dumps(recipe.json()) == before


def test_a_growth_line_by_line_is_replayed_and_made_again_as_one(monkeypatch):
    lines = replace(
        INFO["corner"], name="lines", directions=("+w",), known_level="zero", order="raster"
    )

    def load(name, **options):
        engine = FakeEngine("corner")
        engine.info = lines
        return engine

    monkeypatch.setattr(studios, "MODELS", (lines, replace(INFO["corner"], name="near")))
    studio = fake_studio(load)
    done = finish(studio, Form("lines", "red apple"), {})
    file = bytes_of_uri(done["pictures"][0], 5_000_000)
    recipe = read_file(file)[0]
    assert recipe.json()["order"] == "raster"
    assert recipe_from(json.loads(json.dumps(recipe.json()))).json() == recipe.json()
    assert recipe.steps.reshape(-1).tolist() == list(range(1, 257))
    assert replayed(studio.engines, file, "r")["spec"]["order"] == "raster"
    again = finish(studio, Form("lines"), {"file": done["pictures"][0]})
    assert again["verdict"] == {"same": True, "differs": []}
    near = png_bytes(read_file(file)[1][0], replace(recipe, model="near"))
    with pytest.raises(ValueError, match="order of raster, near grows in that of neighbours"):
        check(studio, Form("near"), {"file": data_uri(near, "image/png")})


@pytest.mark.parametrize("foreign", [FILE_DATA, [FILE_DATA], {"a": [FILE_DATA]}])
def test_nothing_foreign_survives_wherever_it_stands(recipe, foreign):
    data = recipe.json()
    spots = [at for at in places(data) if at] + [("extra",), ("request", "known"), ("request", "x")]
    for at in spots:
        try:
            read = recipe_from(put(data, at, foreign))
        except ValueError:
            continue
        assert "passwd" not in json.dumps({**read.json(), "growth": read.growth()}), at


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 9}, "schema: got 9"),
        ({"grid": [1, 16]}, "grid"),
        ({"grid": [1, 256, 257]}, "grid"),
        ({"grid": [2, 256, 256]}, "at most 65,536 cells"),
        ({"frames": 0}, "frames: got 0"),
        ({"frames": 10**30}, "frames"),
        (
            {"frames": 9, "size": [4096, 4096], "slice_of_frame": [0] * 9},
            "9 times 4096 x 4096 pixels",
        ),
        ({"grid": [1, 15, 16]}, "steps: got more than 480 bytes, expected 480"),
        ({"tokens": "!!"}, "not readable"),
        ({"tokens": ["a"]}, "expected base64"),
        ({"token_digest": "0"}, "digest"),
        ({"steps": pack(np.zeros((1, 16, 16), np.uint16))}, "nothing to replay"),
        ({"steps": pack(np.full((1, 16, 16), 257, np.uint16))}, "got 257 steps"),
        (
            {"steps": pack(np.zeros(10_000_000, np.uint16))},
            r"\d characters\), expected .* 1,088 bytes",
        ),
        ({"model": "\ud800"}, "model"),
        ({"model": 7}, "model"),
        ({"model": "a" * 300}, r"a' \(300 characters\), expected a text of at most"),
        ({"fps": float("inf")}, "fps"),
        ({"sample": 0.5}, "sample"),
        ({"directions": ["<b>"]}, "directions"),
        ({"order": "<b>"}, "order"),
        ({"slice_of_frame": [5]}, "slice_of_frame"),
        ({"slice_of_frame": [0] * 300}, r"\(300 of them\), expected 1 whole numbers"),
        ({"resumed_from": 99}, "resumed_from"),
        ({"request": {"seed_position": [0, 16, 0], "rng_seed": 0}}, "seed_position"),
        ({"request": {"seed_position": [0, 1, 0], "rng_seed": 2**63}}, "rng_seed"),
        ({"request": {"seed_position": [0, 1, 0], "rng_seed": 0, "heads": "<img>"}}, "heads"),
        ({"request": {"seed_position": [0, 1, 0], "rng_seed": 0, "top_k": 1e308}}, "top_k"),
        ({"request": None}, "request"),
    ],
)
def test_a_damaged_recipe_is_refused_with_the_remedy(recipe, change, words):
    last = int(recipe.steps.max())
    assert recipe_from({**recipe.json(), "resumed_from": last - 1}).resumed_from == last - 1
    with pytest.raises(ValueError, match="resumed_from"):  # nothing would be left to grow
        recipe_from({**recipe.json(), "resumed_from": last})
    with pytest.raises(ValueError, match=words) as refused:
        recipe_from({**recipe.json(), **change})
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("data", [None, 7, "a", [], [1], {}, {"parts": []}, {"parts": [None]}])
def test_what_is_no_recipe_is_refused(data):
    with pytest.raises(ValueError, match="recipe"):
        recipe_from(data)
    with pytest.raises(ValueError, match="recipe"):
        recipes_from(data)


@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"a":' * 5000, "9" * 5000, "{", "\ufeff{}"])
def test_text_that_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match="recipe: got no readable JSON"):
        parse(text, "recipe", "use another")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_recipe_by_itself_is_read_as_editors_save_it(recipe, encoding):
    text = "\r\n" + json.dumps(recipe.json(), indent=1).replace("\n", "\r\n")
    assert read_recipe(text.encode(encoding)).json() == recipe.json()


def test_a_file_of_the_first_release_is_read(recipe):
    """Its recipe names neither the size of a frame nor the slice of each."""
    old = {k: v for k, v in recipe.json().items() if k not in ("size", "slice_of_frame")}
    read = recipe_from(old, (128, 128))
    assert (read.size, read.slice_of_frame) == ((128, 128), (0,))
    grid, frames = [4, 16, 4], 10  # as many tokens, in slices that share the frames
    told = {**recipe.json()["request"], "seed_position": [0, 4, 3]}
    steps, sure = np.ones(grid, np.uint16), np.zeros(grid, np.uint8)
    clip = {"grid": grid, "frames": frames, "steps": pack(steps), "confidence": pack(sure)}
    old |= {**clip, "request": told, "resumed_from": 0}
    assert recipe_from(old, (32, 128)).slice_of_frame == (0, 0, 0, 1, 1, 2, 2, 2, 3, 3)
    for last, is_read in ((3, True), (4, False)):
        new = {**old, "slice_of_frame": [0] * 9 + [last]}
        if is_read:
            assert recipe_from(new, (32, 128)).slice_of_frame[-1] == last
        else:
            with pytest.raises(ValueError, match="slice_of_frame"):
                recipe_from(new, (32, 128))


def test_a_setting_that_is_not_said_was_off(recipe):
    data = recipe.json()
    for name in ("min_p", "guidance_scale", "heads", "num_samples"):
        del data["request"][name]
    read = recipe_from(data)
    assert read.request["num_samples"] == 1
    said = (read.request[n] for n in ("min_p", "guidance_scale", "heads"))
    assert tuple(said) == (0.0, 1.0, "mixed")


def test_what_made_it_and_whose_it_is_come_back(recipe):
    """Words of several samples are a list; those of a recipe are those of its sample."""
    made_with = {"device": "cpu", "torch": "2.0"}
    data = {**recipe.json(), "made_with": {**made_with, "host": "unknown here"}, "sample": 1}
    data["request"] = {**data["request"], "prompt": ["owl", "fox", "cat"]}
    read = recipe_from(data)
    assert (read.made_with, read.request["prompt"]) == (made_with, ["owl", "fox", "cat"])
    assert label_of(read) == "fox"
    assert label_of(recipe) == "red apple"
    few = {**data["request"], "prompt": ["owl"]}  # fewer than samples
    assert label_of(recipe_from({**data, "request": few})) == "owl"
    nameless = {k: v for k, v in data["request"].items() if k not in ("prompt", "label")}
    read = recipe_from({**data, "request": nameless})
    assert (read.request["prompt"], read.request["label"], label_of(read)) == ("", None, "")


@pytest.mark.parametrize("grid", [(1, 1, 1), (1, 2, 2), (1, 256, 256)])
def test_the_smallest_and_the_longest_growth_of_a_grid_are_read(recipe, grid):
    cells = grid[1] * grid[2]
    most = 511 if cells > 4 else cells
    for total in {1, most}:
        steps = np.minimum(np.arange(cells), total - 1).reshape(grid).astype(np.uint16) + 1
        tokens = np.zeros(grid, np.int64)
        data = {
            **recipe.json(),
            **{"grid": list(grid), "slice_of_frame": [0], "resumed_from": 0},
            **{"steps": pack(steps.astype(np.uint16)), "tokens": pack(tokens.astype(np.uint16))},
            "confidence": pack(np.zeros(grid, np.uint8)),
            "token_digest": replace(recipe, tokens=tokens).token_digest,
            "request": {**recipe.json()["request"], "seed_position": [0, 0, 0]},
        }
        assert recipe_from(data).total == total
    with pytest.raises(ValueError, match=f"expected 1 to {most}"):
        recipe_from({**data, "steps": pack(np.full(grid, most + 1, np.uint16))})


@pytest.mark.parametrize(
    ("count", "is_read"), [(1, True), (MAX_PARTS, True), (MAX_PARTS + 1, False)]
)
def test_a_clip_is_put_together_from_so_many_at_most(recipe, count, is_read):
    data = {"parts": [recipe.json()] * count}
    if is_read:
        assert len(recipes_from(data)) == count
    else:
        with pytest.raises(ValueError, match=f"expected 1 to {MAX_PARTS}"):
            recipes_from(data)


def test_a_frame_was_given_if_every_cell_of_its_slice_was(recipe):
    steps = np.zeros((3, 2, 2), np.uint16)
    steps[1, 0, 1], steps[2] = 1, 2
    clip = replace(recipe, grid=(3, 2, 2), steps=steps, slice_of_frame=(0, 0, 1, 2))
    assert clip.given_frames.tolist() == [True, True, False, False]


def test_a_compressed_bomb_is_not_unpacked():
    with pytest.raises(ValueError, match="expected 256"):
        unpack(pack(np.zeros(100_000, np.uint8)), "uint8", (256,))


def test_growth_follows_the_plan(recipe):
    growth = recipe.growth()
    assert growth[0]["positions"] == [[0, 4, 9]]
    distance = [abs(h - 4) + abs(w - 9) for _, h, w in growth[5]["positions"]]
    assert set(distance) == {5}
    assert sum(len(step["tokens"]) for step in growth) == 256
    sure = [x for step in growth for x in step["confidence"]]
    assert 0 < min(sure) < max(sure) <= 1
    assert growth[0]["confidence"] == [round(int(recipe.confidence[0, 4, 9]) / 254, 4)]


@pytest.mark.parametrize(("name", "is_whole"), [("clip", False), ("whole", True)])
def test_of_tokens_that_describe_a_whole_clip_it_is_said(name, is_whole):
    engine = FakeEngine(name)
    *_, frame = engine.generate(Request(prompt="owl"))
    steps = steps_of(prepare(engine.info, frame.request).plan)
    assert recipe_of(engine, frame, steps, 0).holistic == is_whole


def test_the_mirror_image_of_a_growth_is_neither_made_again_nor_gone_on_with():
    """It can only be replayed: its tokens say what stood at the other side."""
    studio = fake_studio()
    done = finish(studio, Form("corner", "owl"), {})
    recipe, frames = read_file(bytes_of_uri(done["pictures"][0], 5_000_000))
    assert studio.desk.again("r", png_bytes(frames, recipe)).prepared.plan.seed_position == (
        0,
        0,
        0,
    )
    turned = {**recipe.request, "seed_position": [0, 0, 15]}
    mirrored = replace(recipe, mirrored=True, request=turned)
    for step in (0, 3):
        file = png_bytes(frames[:, :, ::-1], replace(mirrored, resumed_from=step))
        read, _ = read_file(file)
        assert (read.mirrored, read.resumed_from) == (True, step)
        with pytest.raises(ValueError, match="mirror image of a growth, which is no longer made"):
            studio.desk.again("r", file)
    branch = {"step": 3, "pictures": 1, "tokens": done["tokens"], "confidence": done["confidence"]}
    check(studio, Form("corner", "owl"), {"resume": branch})
    with pytest.raises(ValueError, match="seed_position"):
        check(studio, Form("corner", "owl"), {"seed_position": [0, 0, 15], "resume": branch})


def test_a_growth_on_another_grid_is_not_made_again(recipe):
    told = r"a grid of \[1, 16, 16\], small has \[1, 8, 16\]; replay it instead"
    with pytest.raises(ValueError, match=told):
        request_of(recipe, replace(INFO["emoji"], name="small", grid=GridShape(1, 8, 16)))
    assert request_of(recipe, INFO["emoji"]).prompt == "red apple"


def test_verdict_names_what_differs(recipe):
    made = {"device": "cpu", "dtype": "float32", "machine": "x"}
    before = replace(recipe, digest="w1", made_with=made)
    other = recipe.tokens ^ 1
    after = replace(before, tokens=other, digest="w2", made_with={**made, "device": "cuda"})
    assert verdict(before, [before]) == {"same": True, "differs": []}
    assert verdict(before, [after]) == {"same": False, "differs": ["weights", "device"]}
    newer = replace(before, tokens=other, made_with={**made, "torch": "3.0"})
    older = replace(before, made_with={**made, "torch": "2.0"})
    assert verdict(older, [newer])["differs"] == ["torch"]
    # of pictures that grew together the one that it is, and of fewer the last
    third = replace(before, sample=2)
    assert verdict(third, [newer, newer, third, newer])["same"]
    assert verdict(third, [newer, third])["same"]
    # a file from before that was noted
    assert verdict(before, [newer])["differs"] == ["library versions"]
    assert verdict(replace(before, changed=None), [newer])["differs"] == [
        "library versions, or a recipe that was changed since"
    ]


def test_a_recipe_that_was_changed_by_hand_is_told(recipe):
    assert recipe.changed is False
    told = recipe.json()
    # programs write numbers in their own way, and may add to what they were given
    same = {**told, "fps": int(told["fps"]), "more": 1}
    same["request"] = {n: int(v) if v == 1.0 else v for n, v in told["request"].items()}
    assert recipe_from(json.loads(json.dumps(same, sort_keys=True))).changed is False
    for change in ({"prompt": "owl"}, {"temperature": 0.5}, {"rng_seed": 9}, {"num_samples": 2}):
        changed = recipe_from({**told, "request": {**told["request"], **change}})
        assert changed.changed
        assert recipe_from(changed.json()).changed is None  # written anew it tells no digest
        made = replace(recipe, tokens=recipe.tokens ^ 1)
        assert verdict(changed, [made])["differs"] == ["the recipe, which was changed since"]
    assert recipe_from({**told, "resumed_from": 2}).changed
    assert recipe_from({n: v for n, v in told.items() if n != "recipe_digest"}).changed is None
