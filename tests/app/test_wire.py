"""What comes from the browser: read into known types, or refused."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from app.wire import LATELY, Lately, bytes_of_uri, data_uri, start_of, values_of
from nar_core.files.values import confidence_bytes, confidence_of, text_of, token_words, tokens_of

APP = Path(__file__).parents[2] / "app"


def test_only_the_wire_knows_base64():
    for path in APP.rglob("*.py"):
        modules = [
            name.name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import)
            for name in node.names
        ]
        assert "base64" not in modules or path == APP / "wire.py", path


def test_values_go_both_ways():
    tokens = np.array([[0, 4095, -1]])
    assert np.array_equal(tokens_of(values_of(text_of(token_words(tokens)), "uint16", "t")), [
        0, 4095, -1
    ])  # fmt: skip
    sure = np.array([0.0, 1.0, np.nan], np.float32)
    assert confidence_bytes(sure).tolist() == [0, 254, 255]
    assert np.array_equal(confidence_of(confidence_bytes(sure)), sure, equal_nan=True)
    assert bytes_of_uri(data_uri(b"abc", "image/png"), 3) == b"abc"


def test_messages_of_a_run_come_with_the_last_before_them():
    lately = Lately("r")
    told = [lately.and_now({"kind": "steps", "number": n}) for n in range(20)]
    assert {one["run"] for one in told} == {"r"}
    for last, one in enumerate(told):
        numbers = range(max(0, last + 1 - LATELY), last + 1)
        assert one["messages"] == {str(n): {"kind": "steps", "number": n} for n in numbers}
    # the end of a pane of the lab is never dropped, however many messages come after it
    lately.and_now({"kind": "done", "pane": 0})
    last = [lately.and_now({"kind": "steps", "pane": 1}) for _ in range(20)][-1]
    assert [m["kind"] for m in last["messages"].values()] == ["done"] + LATELY * ["steps"]


WORDS, SURE = text_of(np.zeros(8, np.uint16)), text_of(np.zeros(8, np.uint8))
BRANCH = {"step": 1, "pictures": 2, "tokens": WORDS, "confidence": SURE}


def test_a_start_is_read():
    start = start_of({"run": "r", "seed_position": [0, 1.0, 2], "resume": BRANCH}, 100)
    assert start.seed_position == (0, 1, 2)
    assert start.branch is not None
    assert start.branch.tokens.shape == (2, 4)
    assert start.kept is None
    assert start.file is None
    assert (start.prompt, start.rng_seed, start.query) == (None, None, None)
    said = start_of({"run": "r", "prompt": "owl", "rng_seed": 0, "query": {"heads": "mixed"}}, 100)
    assert (said.prompt, said.rng_seed, said.query) == ("owl", 0, {"heads": "mixed"})


ODD_VALUES = (None, "x", [], {}, -1, 10**30, float("inf"), "A" * 10**6)
FILE_DATA = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("odd", [None, [], "x", 7, {}])
def test_what_is_no_start_is_refused(odd):
    with pytest.raises(ValueError, match="got"):
        start_of(odd, 100)


@pytest.mark.parametrize(
    "odd",
    [
        *({"run": run} for run in ("", 5, "x" * 100, "\ud800", None, {})),
        *(
            {"seed_position": seed}
            for seed in ("0,1,2", [float("nan")] * 3, [2**70, 0, 0], [[0]], [True])
        ),
        *({"canvas": canvas} for canvas in ("x", {"a": 1}, [1], {"keep": SURE})),
        {"canvas": {"keep": 5, "before": WORDS}},
        {"canvas": {"keep": SURE, "before": 5}},
        *({"file": file} for file in (5, "http://127.0.0.1/", FILE_DATA)),
        {"file": "data:image/png;base64," + "A" * 1000},
        {"compare": {"a": 1}},
        *({"resume": BRANCH | {key: odd}} for key in BRANCH for odd in ODD_VALUES),
    ],
)
def test_an_odd_start_is_refused_in_one_sentence(odd):
    with pytest.raises(ValueError, match=r"got|not readable") as refused:
        start_of({"run": "r", **odd}, 100)
    assert len(str(refused.value)) < 400
