"""The command line, run in this process on a tiny random model."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nar_core
from nar_core import Engine, Request, write_mp4
from nar_core.cli import VERBS, build_parser, evaluate, main, parse
from nar_core.cli.train import CONFIGS

from ..helpers import write_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model_folder(tmp_path_factory.mktemp("models"))


def last_json(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_its_arguments(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    assert "--json" in capsys.readouterr().out
    subparsers = build_parser()._subparsers._group_actions[0].choices
    actions = subparsers[verb]._actions
    assert [a.dest for a in actions if not a.help] == []


def test_list_names_official_models(capsys):
    assert main(["list", "--json"]) == 0
    models = {m["name"]: m for m in last_json(capsys)["models"]}
    assert models["NAR-B"]["grid"] == [1, 16, 16]
    assert main(["list", "--task", "text"]) == 0
    out = capsys.readouterr().out
    assert "NAR-B " not in out
    assert "NAR-XL" in out


def test_generate_grows_wide_pictures_also_around_a_given_one(folder, tmp_path, capsys):
    given, out = tmp_path / "given.png", str(tmp_path / "out")
    Image.new("RGB", (40, 32), (200, 30, 30)).save(given)
    words = ["generate", "--model", str(folder), "--prompt", "sky", "--out", out]
    for more in ([], ["--around", str(given)]):
        assert main([*words, "--columns", "8", *more, "--json"]) == 0
        picture = Image.open(last_json(capsys)["files"][0])
        engine = Engine.load(folder)
        height, width = engine.info.size
        assert picture.size == (8 * width // engine.info.grid.w, height)
    for more, said in (
        (["--around", str(given)], "--around: got no --columns"),
        (["--columns", "8", "--growth"], "--growth: got a wide picture too"),
        (["--columns", "8", "--around", str(folder / "config.yaml")], "got a text, expected an"),
    ):
        assert main([*words, *more]) != 0
        assert said in capsys.readouterr().err


def test_generate_writes_what_the_engine_makes(folder, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--prompt", "red apple", "blue whale", "--num-samples", "2", "--rng-seed", "7"]
    words += ["--seed-position", "1,3", "--guidance", "1.5", "--heads", "horizontal", "--growth"]
    code = main(["generate", "--model", str(folder), *words, "--out", str(out), "--json"])
    assert code == 0
    found = last_json(capsys)
    names = ["tiny-7.png", "tiny-7-growth.gif", "tiny-8.png", "tiny-8-growth.gif"]
    assert [f.rsplit("/")[-1] for f in found["files"]] == names
    assert found["seed_position"] == [0, 1, 3]
    engine = Engine.load(folder)
    request = Request(
        prompt=("red apple", "blue whale"),
        num_samples=2,
        rng_seed=7,
        seed_position=(1, 3),
        guidance_scale=1.5,
        heads="horizontal",
    )
    frame = engine.generate_all(request)
    assert found["steps"] == frame.total
    for name, pixels in zip(names[::2], engine.decode(frame.tokens), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(out / name)), pixels[0])
    # Previews of neighbouring steps may be equal, and equal pictures of a GIF are joined.
    assert 2 <= Image.open(out / names[1]).n_frames <= frame.total + 1


def test_generate_writes_clips_as_mp4(tmp_path, capsys):
    folder = write_model_folder(tmp_path, kind="class", frames=5)
    words = ["--label", "class 3", "--seed-position", "0,0,0", "--out", str(tmp_path / "out")]
    assert main(["generate", "--model", str(folder), *words, "--json"]) == 0
    (path,) = last_json(capsys)["files"]
    assert path.endswith("tiny-0.mp4")
    from imageio_ffmpeg import count_frames_and_secs

    assert count_frames_and_secs(path)[0] == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["generate", "--model", "no-such-model"], "no-such-model"),
        (["generate", "--model", "{folder}", "--seed-position", "9,9"], "seed_position"),
        (["generate", "--model", "{folder}", "--dtype", "int3"], "int3"),
        (["generate", "--model", "{folder}", "--top-p", "2"], "top_p"),
        (["evaluate", "--model", "{folder}"], "--data"),
        (["train", "tokenizer", "no-such-config", "--out", "x"], "mini-tokenizer"),
        (["train", "generator", "fruit", "stray", "--out", "x"], "key=value"),
        (["bench", "--model", "{folder}", "--batch", "0"], "--batch"),
        (["bench", "--model", "{folder}", "--threads", "0"], "--threads: got 0, expected a whole"),
        (["bench", "--threads", "99999999999"], "--threads: got 99999999999, expected a whole"),
        (["generate", "--batch", "99999999999"], "--batch: got 99999999999, expected a whole"),
        (["worlds", "sheet", "emoji", "--count", "99999999999", "--out", "x.png"], "--count: got"),
        (["evaluate", "--world", "99999999999"], "--world: got 99999999999, expected a whole"),
        (["evaluate", "--world", "-1"], "--world: got -1, expected a whole number from 0"),
        (
            ["bench", "--model", "{folder}", "--repeats", "0"],
            "--repeats: got 0, expected a",
        ),
        (["worlds", "sheet", "emoji", "--out", "x.png", "--rng-seed", "-1"], "rng_seed: got -1"),
        (["evaluate", "--model", "{folder}", "--recall", "3"], "--data"),
        (["evaluate", "--model", "{folder}", "--table", "1"], "got 1 without --out"),
    ],
)
def test_mistakes_are_told_in_one_line(words, told, folder, capsys):
    assert main([w.format(folder=folder) for w in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert told in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "--task", "foo"], "--task: got 'foo', expected one of 'text', 'class'; see "),
        (["bench", "--suite"], "--suite: got nothing, expected one argument; see python -m "),
        (["generate", "--batch", "x"], "--batch: got 'x', expected a whole number; see "),
        (["generate", "--nope", "3"], "--nope 3: got what has no meaning here, expected known"),
        (["generate", "--growth=3"], "--growth: got '3', expected no value; leave it out"),
        (["generate", "--image", "a", "--known", "b"], "--known: got it beside --image, expected"),
        (["evaluate", "--se", "x"], "--se: got what may mean several, expected one of --seed-map"),
        (["generate", "--keep", "0,0,2"], "--keep: got '0,0,2', expected four or six numbers"),
        (["train"], "what, config, key=value, --out: got nothing, expected to be said; see "),
        (["nope"], "VERB: got 'nope', expected one of 'list', 'generate'"),
    ],
)
def test_what_is_typed_wrongly_is_told_with_a_remedy(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(told)
    assert "; " in line


def test_a_plain_report_is_readable(folder, tmp_path, capsys):
    assert main(["generate", "--model", str(folder), "--out", str(tmp_path)]) == 0
    assert f"files: ['{tmp_path}/tiny-0.png']" in capsys.readouterr().out


def test_every_configuration_can_be_named():
    assert {"mini-tokenizer", "fruit", "emoji"} <= {p.stem for p in CONFIGS.glob("*.yaml")}


def test_settings_may_stand_behind_options():
    words = ["train", "generator", "fruit", "a.b=1", "--out", "x", "c=2", "--threads", "1", "d=3"]
    args = parse(words)
    assert (args.changes, args.out, args.threads) == (["a.b=1", "c=2", "d=3"], "x", 1)
    with pytest.raises(SystemExit):
        parse([*words, "--no-such-option"])
    with pytest.raises(SystemExit):
        parse(["list", "stray"])


def test_frames_with_odd_sides_are_refused_before_writing(tmp_path):
    with pytest.raises(ValueError, match="5 x 4"):
        write_mp4(tmp_path / "clip.mp4", np.zeros((2, 4, 5, 3), np.uint8), 8)
    assert not list(tmp_path.iterdir())


def _told(node: ast.AST) -> str:
    """The words of a message in code, with nothing of what is put into it."""
    parts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
    return " ".join(part for part in parts if isinstance(part, str))


@pytest.mark.parametrize("room", ["cli", "train"])
def test_every_message_says_what_to_do(room):
    """What an option or a line of a configuration should be instead, after a semicolon."""
    for path in sorted(Path(nar_core.__path__[0], room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ValueError":
                names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                told = _told(node.args[0])
                is_whole = "; " in told or "remedy" in names
                assert "expected" not in told or is_whole, f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "wrong",
    [
        ["--prompts", "xyzzy", "--sheet", "{out}"],
        ["--prompts", "", "--sheet", "{out}"],
        ["--prompts", "red apple", "xyzzy", "--growth", "{out}"],
        ["--temperature", "-1"],
        ["--heads", "none"],
        ["--heads", "mixed", "none"],
        ["--fusion", "logits", "none"],
        ["--rng-seed", "-1"],
    ],
)
def test_what_cannot_be_measured_is_told_before_anything_is(wrong, tmp_path, capsys, monkeypatch):
    def grown(*_) -> None:
        raise AssertionError("too late")

    monkeypatch.setattr(evaluate, "rightness", grown)
    monkeypatch.setattr(evaluate, "compare", grown)
    words = [w.format(out=tmp_path / "out.png") for w in wrong]
    assert main(["evaluate", "--model", "emoji", "--world", "2", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
