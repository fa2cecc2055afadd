"""One row per sampling setting, from which everything that is said of it derives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from nar_core import NUM_SAMPLES, RNG_SEED, SETTINGS, ModelInfo, Request, heads_for
from nar_core.settings import SamplingSettings, axes_of

ROOT = Path(__file__).parents[2]
ROWS = {setting.name: setting for setting in SETTINGS}


@pytest.mark.parametrize("setting", [*SETTINGS, NUM_SAMPLES, RNG_SEED], ids=lambda s: s.name)
def test_a_row_is_complete(setting):
    assert setting.title
    assert setting.help
    assert "\n" not in setting.told
    assert setting.help[-1] != "."
    assert setting.check(setting.off) == setting.off
    if setting.kind == "choice":
        assert [setting.check(choice) for choice in setting.choices] == list(setting.choices)
    if setting.slider:
        least, greatest, step = setting.slider
        assert setting.check(least) == least < setting.check(greatest) == greatest
        assert 0 < step < greatest - least
        assert least <= setting.off <= greatest
    with pytest.raises(ValueError, match=f"^{setting.name}: got 'odd', expected (a|one of) "):
        setting.check("odd")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("guidance_scale", float("nan"), "a number from 1 (no guidance) to 30"),
        ("guidance_scale", 31, "a number from 1 (no guidance) to 30"),
        ("guidance_interval", -2, "a whole number from -1 (guiding to the end) up"),
        ("guidance_interval", 1.5, "a whole number from -1 (guiding to the end) up"),
        ("temperature", -0.1, "a number from 0 (greedy) to 10"),
        ("temperature", True, "a number from 0 (greedy) to 10"),
        ("top_k", 2.5, "a whole number from 0 (off) up"),
        ("top_k", float("inf"), "a whole number from 0 (off) up"),
        ("top_p", 0, "a number above 0, at most 1 (off)"),
        ("top_p", 1.01, "a number above 0, at most 1 (off)"),
        ("min_p", 1.5, "a number from 0 (off) to 1"),
        ("heads", "diagonal", f"one of {', '.join(ROWS['heads'].choices)}"),
        ("heads", "", f"one of {', '.join(ROWS['heads'].choices)}"),
        ("fusion", "mean", "one of logits, probabilities, confident, freshest"),
    ],
)
def test_a_refusal_says_what_was_got_and_what_is_expected(name, value, expected):
    with pytest.raises(ValueError, match=f"^{name}: ") as told:
        ROWS[name].check(value)
    assert str(told.value) == f"{name}: got {value!r}, expected {expected}"
    with pytest.raises(ValueError, match=f"^{name}: "):
        Request(**{name: value}).check()


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("top_k", np.int32(5), 5),
        ("top_k", 5.0, 5),
        ("guidance_scale", np.float32(2.5), 2.5),
        ("guidance_scale", 1, 1.0),
        ("heads", "temporal+vertical", "vertical+temporal"),
    ],
)
def test_values_come_back_in_one_form(name, value, wanted):
    checked = ROWS[name].check(value)
    assert (checked, type(checked)) == (wanted, type(wanted))


def test_text_is_read_as_a_link_holds_it():
    assert ROWS["guidance_scale"].parse("2.5") == 2.5
    assert ROWS["top_k"].parse("7") == 7
    assert ROWS["heads"].parse("vertical") == "vertical"
    for name, text in (("top_k", "7.5"), ("top_p", "much"), ("min_p", "nan"), ("fusion", "1")):
        with pytest.raises(ValueError, match=f"^{name}: got"):
            ROWS[name].parse(text)


def test_what_inherits_the_rows_tells_their_types():
    for kind in (Request, ModelInfo):
        told = get_type_hints(kind.__init__)
        assert {row.name for row in SETTINGS} <= told.keys()


def test_what_is_not_said_is_off_or_left_to_the_model():
    assert {n: getattr(SamplingSettings(top_k=5), n) for n in ROWS} == {
        name: 5 if name == "top_k" else row.off for name, row in ROWS.items()
    }
    assert {getattr(Request(), name) for name in ROWS} == {None}
    info = ModelInfo("x", "X", "text", "image", (1, 2, 2), (8, 8), guidance_scale=3.0)
    assert (info.guidance_scale, info.top_p) == (3.0, 1.0)


def test_head_configurations_are_those_that_differ():
    assert axes_of("mixed") == {"w", "h", "t"}
    assert axes_of("vertical+temporal") == {"h", "t"}
    assert heads_for({"w", "h"}) == ("mixed", "horizontal", "vertical")
    assert heads_for({"w", "h", "t"}) == tuple(ROWS["heads"].choices)


NEW_ROW = """
    top_a: float | Unsaid = _row(
        "Top-a", "number", "leave out what is so much less likely than the best", off=0.0, high=1,
        marks={0: "off"}, slider=(0, 1, 0.1),
    )

    @property
    def axes("""

ITS_USE = """
            if settings.top_a:
                best = logits.amax(-1, keepdim=True)
                logits = logits.masked_fill(logits < best + np.log(settings.top_a), float("-inf"))
            tokens[rows], confidence[rows] = sample_front("""

ASK = """
import json, sys
from nar_core import Engine, Request
from nar_core.cli import build_parser
engine = Engine.load(sys.argv[1])
told = {}
try:
    Request(top_a=2).check()
except ValueError as error:
    told["refusal"] = str(error)
told["default"] = engine.info.top_a
for name, value in (("off", None), ("on", 1.0)):
    request = Request(prompt="red apple", guidance_scale=1.0, top_a=value)
    frame = engine.generate_all(request)
    told[name] = [frame.request.top_a, frame.tokens.tolist()]
greedy = engine.generate_all(Request(prompt="red apple", guidance_scale=1.0, temperature=0.0))
told["greedy"] = greedy.tokens.tolist()
args = build_parser().parse_args(["generate", "--top-a", "0.5"])
told["argument"] = args.top_a
print(json.dumps(told))
"""


def test_adding_a_setting_is_one_row_and_its_use(tmp_path):
    """In a copy of the code: what is checked, asked for, filled in and drawn follows from it."""
    from .helpers import write_model_folder

    shutil.copytree(ROOT / "nar_core", tmp_path / "nar_core")
    for file, before, after in (
        ("settings.py", "\n    @property\n    def axes(", NEW_ROW),
        ("decode.py", "\n            tokens[rows], confidence[rows] = sample_front(", ITS_USE),
    ):
        path = tmp_path / "nar_core" / file
        text = path.read_text("utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, after), "utf-8")
    folder = write_model_folder(tmp_path / "models")
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(folder)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["refusal"] == "top_a: got 2, expected a number from 0 (off) to 1"
    assert (told["default"], told["argument"]) == (0.0, 0.5)
    assert [told["off"][0], told["on"][0]] == [0.0, 1.0]
    assert told["on"][1] == told["greedy"] != told["off"][1]
