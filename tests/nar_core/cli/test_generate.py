"""`generate`: several prompts, outpainting, going on from a file, free names, recipes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nar_core import Engine, Request, fit
from nar_core.cli import generate, main
from nar_core.files import png_bytes, read_file, read_recipe, read_wide
from nar_core.weights.embedded import copy_model

from ..helpers import write_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("clips"), kind="class", frames=5)


@pytest.fixture
def grow(folder, tmp_path, capsys):
    """Runs `generate` and returns what it reports."""

    def run(*words: str, model=folder, code: int = 0):
        out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
        named = [] if model is None else ["--model", str(model)]
        assert main(["generate", *named, *words, *out, "--json"]) == code
        said = capsys.readouterr()
        return said.err if code else json.loads(said.out.splitlines()[-1])

    return run


def recipe_of(path: str):
    return read_recipe(Path(path).read_bytes())


def test_several_prompts_are_grown_in_turn_whatever_the_batch(grow, folder, tmp_path):
    lines = tmp_path / "prompts.txt"
    lines.write_text("red apple\n\n blue whale \ngreen frog\n", encoding="utf-8")
    found = grow(
        "--prompt-file", str(lines), "--num-samples", "6", "--rng-seed", "4", "--batch", "4"
    )
    recipes = [recipe_of(f) for f in found["files"]]
    prompts = ["red apple", "blue whale", "green frog"]
    assert [r.request["prompt"] for r in recipes] == prompts * 2
    assert [r.request["rng_seed"] for r in recipes] == [4, 5, 6, 7, 8, 9]
    assert found["steps"] * 2 <= found["passes"]
    one = Engine.load(folder).generate_all(Request(prompt="blue whale", rng_seed=8))
    assert np.array_equal(recipes[4].tokens, one.tokens[0])
    assert "multiple of the 3" in grow("--prompt-file", str(lines), "--num-samples", "4", code=2)
    lines.write_text("\n")
    assert "nothing stands" in grow("--prompt-file", str(lines), code=2)


def test_names_are_free_and_files_carry_their_recipe(grow):
    first = grow("--prompt", "red apple", "--growth")
    again = grow("--prompt", "blue whale", "--growth")
    names = [f.rsplit("/")[-1] for f in first["files"] + again["files"]]
    assert names == ["tiny-0.png", "tiny-0-growth.gif", "tiny-0-2.png", "tiny-0-2-growth.gif"]
    for files, prompt in ((first["files"], "red apple"), (again["files"], "blue whale")):
        assert {recipe_of(f).request["prompt"] for f in files} == {prompt}


def test_a_file_is_grown_again_token_for_token(grow, tmp_path):
    words = ["--prompt", "red apple", "--num-samples", "3", "--rng-seed", "7", "--top-k", "9"]
    files = grow(*words)["files"]
    again = grow("--resume", files[2])
    assert (again["same"], again["differs"]) == (True, [])
    assert recipe_of(again["files"][0]).json() == recipe_of(files[2]).json()
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(recipe_of(files[2]).json()))
    assert grow("--resume", str(recipe))["same"]
    assert "same" not in grow("--resume", files[2], "--prompt", "blue whale")


def test_who_writes_meanwhile_is_not_overwritten(grow, tmp_path, monkeypatch):
    """Another process takes the name while the file is made."""
    plain, taken = generate.png_bytes, tmp_path / "out" / "tiny-0.png"

    def slow(*args):
        taken.write_bytes(b"of another process")
        return plain(*args)

    monkeypatch.setattr(generate, "png_bytes", slow)
    (file,) = grow("--prompt", "red apple")["files"]
    assert file.endswith("tiny-0-2.png")
    assert taken.read_bytes() == b"of another process"


def test_what_no_file_may_tell_is_refused_before_it_is_grown(grow, monkeypatch):
    monkeypatch.setattr(Engine, "generate", lambda *_: pytest.fail("grown before"))
    assert "prompt: got 1,203 characters" in grow("--prompt", "the " * 300 + "owl", code=2)
    assert "top_k: got" in grow("--prompt", "owl", "--top-k", str(2**63), code=2)
    last = ["--prompt", "owl", "--rng-seed", str(2**63 - 18), "--num-samples"]
    assert f"--rng-seed: got {2**63 - 18}, expected 0 to" in grow(*last, "3", code=2)


def test_the_last_variations_are_told_and_read(grow):
    last = ["--prompt", "owl", "--rng-seed", str(2**63 - 18), "--num-samples"]
    seeds = [recipe_of(file).request["rng_seed"] for file in grow(*last, "2")["files"]]
    assert seeds == [2**63 - 18, 2**63 - 17]


def test_growth_goes_on_from_a_step_with_other_words(grow, folder, tmp_path):
    other = str(tmp_path / "other")
    copy_model(folder, tmp_path / "other")
    (file,) = grow("--prompt", "red apple", "--rng-seed", "3")["files"]
    before = recipe_of(file)
    words = ["--prompt", "blue whale", "green frog", "--temperature", "2"]
    found = grow("--resume", file, "--after", "3", *words)
    for path, prompt, seed in zip(found["files"], words[1:3], (3, 4), strict=True):
        branch = recipe_of(path)
        kept = before.steps <= 3
        assert np.array_equal(branch.tokens[kept], before.tokens[kept])
        assert (branch.tokens != before.tokens).any()
        assert branch.resumed_from == 3
        assert (branch.request["prompt"], branch.request["rng_seed"]) == (prompt, seed)
        assert branch.request["temperature"] == 2
    assert grow("--resume", found["files"][1])["same"]  # a branch is made again from its own file
    for more, said in (
        (["--after", "99"], "--after: got 99, expected a whole number from 0 to"),
        (["--after", "2", "--seed-position", "1,1"], "--seed-position: got"),
        (["--after", "2", "--model", other], "--model: got other beside --resume of a file of t"),
        (["--columns", "9"], "--columns: got 9 beside --resume of what is no wide picture"),
    ):
        assert said in grow("--resume", file, *more, code=2)
    # what a file settles itself is no fault of an option that was not said
    branch, around = found["files"][0], grow("--known", file, "--keep", "0,0,1,1")["files"][0]
    for settled in (branch, around):
        told = grow("--resume", settled, "--model", other, code=2)
        assert "--model: got other beside --resume of a file of tiny, expected that one" in told
    assert grow("--resume", branch, "--model", other, "--after", "0")["model"] == "other"


def test_three_prompts_outpaint_a_picture(grow, folder, tmp_path):
    given = tmp_path / "given.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 80, 3), np.uint8)).save(given)
    words = ["--prompt", "red apple", "blue whale", "green frog", "--keep", "1,1,2,3", "0,0,1,1"]
    found = grow(*words, "--image", str(given))
    assert len(found["files"]) == 3
    assert found["seed_position"] == [0, 1, 2]  # amid what is known
    tokens = Engine.load(folder).encode(Image.open(given))[0]
    kept = np.zeros(tokens.shape, bool)
    kept[0, 1:3, 1:4] = kept[0, 0, 0] = True
    shown = np.kron(kept[0], np.ones((8, 8))) > 0
    for file in found["files"]:
        recipe = recipe_of(file)
        assert np.array_equal(recipe.steps == 0, kept)
        assert np.array_equal(recipe.tokens[kept], tokens[kept])
        again = grow("--resume", file)
        assert again["same"]
        pixels = [read_file(Path(f).read_bytes())[1][0] for f in (file, *again["files"])]
        for made in pixels:  # as they were given, not as they are decoded
            assert np.array_equal(made[shown], fit(Image.open(given), (32, 40))[shown])
            assert (made[~shown] != fit(Image.open(given), (32, 40))[~shown]).any()
    np.savez(tmp_path / "several.npz", a=tokens)
    told = grow("--known", str(tmp_path / "several.npz"), code=2)
    assert "several.npz: got a ZIP archive, expected a PNG" in told
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY")
    told = grow("--known", str(tmp_path / "torn.npy"), code=2)
    assert "torn.npy, expected an .npy of whole numbers" in told
    # the tokens of a file made here, whose pixels come back too, and of an array
    np.save(tmp_path / "known.npy", np.where(kept, tokens, -1))
    (tmp_path / "known.npy").rename(tmp_path / "known")  # it is known by what it holds
    for known, keep in ((found["files"][0], words[4:]), (str(tmp_path / "known"), [])):
        around = grow(*words[:4], "--known", known, *keep)
        recipe, made = read_file(Path(around["files"][2]).read_bytes())
        assert np.array_equal(recipe.tokens[kept], tokens[kept])
        assert np.array_equal(made[0][shown], pixels[0][shown]) == (known == found["files"][0])


def test_a_label_in_any_case_and_a_clip_whose_growth_shows_time(grow, clips):
    found = grow("--label", "CLASS 3", "class 1", "--growth", model=clips)
    assert [f.rsplit("/")[-1] for f in found["files"]] == [
        "tiny-0.mp4", "tiny-0-growth.png", "tiny-1.mp4", "tiny-1-growth.png"
    ]  # fmt: skip
    recipe, pixels = read_file(Path(found["files"][0]).read_bytes())
    assert recipe.request["label"] == "class 3"
    assert pixels.shape == (5, 32, 40, 3)
    strip = Image.open(found["files"][1])
    assert strip.height == 5 * (32 + 4) - 4  # a row for each moment
    assert recipe_of(found["files"][3]).request["label"] == "class 1"


def test_a_clip_begins_with_a_picture(grow, clips, tmp_path):
    Image.new("RGB", (40, 32), (200, 30, 30)).save(tmp_path / "a.png")
    found = grow("--image", str(tmp_path / "a.png"), "--label", "1", model=clips)
    recipe = recipe_of(found["files"][0])
    assert (recipe.steps[0] == 0).all()
    assert (recipe.steps[1:] > 0).all()
    found = grow(
        "--image", str(tmp_path / "a.png"), "--keep", "1,0,0,2,2,2", "--label", "1", model=clips
    )
    assert (recipe_of(found["files"][0]).steps == 0).sum() == 8


def test_wide_pictures_tell_how_they_were_made(grow):
    (file,) = grow("--prompt", "red apple", "--columns", "8", "--rng-seed", str(2**60))["files"]
    told = json.loads(Image.open(file).info["nar_studio_wide"])
    assert (told["prompt"], told["rng_seed"], told["columns"]) == ("red apple", 2**60, 8)
    wide = read_wide(Path(file).read_bytes())
    assert wide is not None
    assert wide.request["rng_seed"] == 2**60  # too large for a browser, not for a file
    assert file.endswith(f"tiny-{2**60}-wide.png")


def test_a_wide_picture_is_made_again_from_its_file(grow, folder, tmp_path):
    """Also the second of a batch, and around a picture that is no longer there."""
    Image.new("RGB", (40, 32), (200, 30, 30)).save(tmp_path / "a.png")
    asked = ["--prompt", "red apple", "blue whale", "--columns", "11", "--seed-position", "1,3"]
    asked += ["--temperature", "0.7", "--rng-seed", "5"]
    for around in ([], ["--around", str(tmp_path / "a.png")]):
        file = grow(*asked, *around)["files"][1]
        told, pixels = Image.open(file).info["nar_studio_wide"], np.asarray(Image.open(file))
        (again,) = grow("--resume", file, model=folder)["files"]
        assert np.array_equal(np.asarray(Image.open(again)), pixels)
        assert Image.open(again).info["nar_studio_wide"] == told
        assert json.loads(told)["seed_position"] == [0, 1, 3]
        for changed in (["--prompt", "fox"], ["--rng-seed", "9"], ["--columns", "12"]):
            (other,) = grow("--resume", file, *changed)["files"]
            assert not np.array_equal(np.asarray(Image.open(other)), pixels)
        wide = read_wide(Path(other).read_bytes())
        assert (wide.columns, wide.around) == (12, "a.png" if around else "")
        if around:
            assert (wide.middle(40) == (200, 30, 30)).all()
    assert "--after: got 2 beside --resume of a wide" in grow(
        "--resume", file, "--after", "2", code=2
    )
    assert "--growth: got a wide picture" in grow("--resume", file, "--growth", code=2)


def test_what_a_wide_file_tells_is_read_with_care(tmp_path):
    pixels = np.zeros((8, 16, 3), np.uint8)
    good = {"model": "a", "digest": "b", "columns": 2, "rng_seed": 1}
    assert read_wide(wide_of(pixels, good)).request == {"rng_seed": 1}
    assert read_wide(png_bytes(pixels)) is None
    for wrong in ({"columns": 99}, {"columns": 0}, {"rng_seed": "x"}, {"prompt": 3}, {"top_k": []}):
        with pytest.raises(ValueError, match=r"recipe: .*got .*; use the file as downloaded"):
            read_wide(wide_of(pixels, good | wrong))


def wide_of(pixels: np.ndarray, told: dict) -> bytes:
    return png_bytes(pixels, chunks={"nar_studio_wide": json.dumps(told)})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--image", "{picture}"], "--image: got no --keep"),
        (["--image", "{picture}", "--keep", "3,3,9,9"], "--keep: got 0,3,3,1,9,9"),
        (["--image", "nowhere.png", "--keep", "0,0,1,1"], "no such file"),
        (["--keep", "0,0,1,1"], "neither --image nor --known"),
        (["--known", "{picture}"], "--known {picture}: got no recipe inside"),
        (["--known", "nowhere.npy"], "--known: got nowhere.npy"),
        (["--resume", "{picture}"], "--resume {picture}: got no recipe inside"),
        (["--resume", "{clip}"], "--resume {clip}: got no recipe inside"),
        (["--resume", "{empty}"], "--resume {empty}: got an empty file"),
        (["--resume", "{text}"], "got a text, expected a PNG, GIF or MP4 made here, or a recipe"),
        (["--known", "{text}"], "got a text, expected a PNG, GIF or MP4 made here, a recipe"),
        (["--known", "{text}"], "or an .npy of whole numbers; name one of these"),
        (["--prompt", "red apple", "--num-samples", "0"], "--num-samples: got 0, expected a whole"),
        (["--prompt", "red apple", "--num-samples", "-2"], "--num-samples: got -2"),
        (["--prompt", "red apple", "--columns", "0"], "--columns: got 0, expected something"),
        (["--prompt", "red apple", "--columns", "99999999"], "from 5 to 4096"),
        (["--prompt", "red apple", "--out", ""], "--out: got '', expected something"),
        (["--prompt", "red apple", "--model", ""], "--model: got '', expected something"),
        (["--resume", "nowhere.png"], "--resume: got nowhere.png, expected a file"),
        (["--after", "3"], "got no --resume"),
        (["--prompt", "a", "--prompt-file", "{picture}"], "expected one"),
        (["--prompt-file", "{picture}"], "expected a text file in UTF-8"),
        (["--batch", "0"], "--batch: got 0"),
        (["--label", "class 3"], "label: got"),
    ],
)
def test_mistakes_are_told_in_one_line(grow, tmp_path, words, said):
    Image.new("RGB", (40, 32), (200, 30, 30)).save(tmp_path / "a.png")
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("a red apple")
    (tmp_path / "clip").write_bytes(b"\0\0\0\x08ftyp")
    places = {name: tmp_path / name for name in ("empty", "text", "clip")}
    places["picture"] = tmp_path / "a.png"
    told = grow(*(w.format(**places) for w in words), code=2)
    assert said.format(**places) in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed-position", "a,b"], "--seed-position: got 'a,b', expected whole numbers between"),
        (["--keep", "0,0,2"], "--keep: got '0,0,2', expected four or six numbers from 0 up"),
    ],
)
def test_numbers_between_commas_are_told_as_such(capsys, words, said):
    with pytest.raises(SystemExit):
        main(["generate", *words])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "--out", "{file}"],
        ["generate", "--out", "{file}/below"],
        ["evaluate", "--table", "1", "--out", "{file}"],
        ["evaluate", "--world", "8", "--sheet", "{folder}"],
        ["evaluate", "--world", "8", "--growth", "{file}/a.png"],
        ["worlds", "sheet", "emoji", "--out", "{folder}"],
        ["train", "generator", "small", "source.folder=x", "--out", "{file}"],
    ],
)
def test_where_to_write_is_checked_first(tmp_path, capsys, monkeypatch, words):
    monkeypatch.setattr(Engine, "load", lambda *_, **__: pytest.fail("loaded a model before"))
    file = tmp_path / "a"
    file.write_text("here")
    assert main([w.format(file=file, folder=tmp_path) for w in words]) == 2
    assert f"got {tmp_path}" in capsys.readouterr().err
    assert file.read_text() == "here"


@pytest.mark.parametrize("name", ["sheet", "growth"])
def test_a_file_of_no_name_is_no_option_left_out(capsys, monkeypatch, name):
    monkeypatch.setattr(Engine, "load", lambda *_, **__: pytest.fail("loaded a model before"))
    assert main(["evaluate", "--world", "8", f"--{name}", ""]) == 2
    assert f"--{name}: got ., which is a folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_first(grow, tmp_path, monkeypatch):
    def refused(dir=None):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    told = grow("--out", str(tmp_path / "new" / "folder"), code=2)
    assert "Permission denied" in told
    assert not (tmp_path / "new").exists()
