"""Frames as pictures, in notebooks too; what an engine takes; the notebook and the reference."""

from __future__ import annotations

import ast
import json
import pickle
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nar_core
from nar_core import Engine, Request, growth_strip

from .helpers import write_model_folder

NOTEBOOK = Path(__file__).parents[2] / "assets" / "growing.ipynb"


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    folder = write_model_folder(tmp_path_factory.mktemp("models"))
    return Engine.load(folder, torch.device("cpu"), torch.float32)


def test_devices_and_dtypes_may_be_those_of_torch(engine):
    assert (engine.device, engine.dtype) == (torch.device("cpu"), torch.float32)
    with pytest.raises(ValueError, match=r"dtype: got torch.int16, expected 'auto', float32"):
        Engine.load("emoji", "cpu", torch.int16)
    with pytest.raises(ValueError, match="device: got 'xpu'"):
        Engine.load("emoji", torch.device("xpu"))


def test_a_frame_is_a_picture(engine):
    frames = list(engine.generate(Request(prompt="red apple", num_samples=2)))
    finished = engine.decode(frames[-1].tokens)
    for sample in range(2):
        made = np.asarray(frames[-1].image(sample))
        np.testing.assert_array_equal(made, finished[sample, 0])
    early = np.asarray(frames[2].image())
    np.testing.assert_array_equal(early, engine.preview(frames[2].tokens)[0, 0])
    assert (early == 242).any()  # the grey of what is unknown
    shown = Image.open(BytesIO(frames[-1]._repr_png_()))
    assert shown.size == (2 * 40 + 4, 32)
    np.testing.assert_array_equal(np.asarray(shown)[:, 44:], finished[1, 0])


def test_a_growth_is_a_strip_from_first_to_last(engine):
    frames = list(engine.generate(Request(prompt="red apple")))
    strip = growth_strip(frames, shown=3)
    assert strip.size == (3 * 40 + 2 * 4, 32)
    np.testing.assert_array_equal(np.asarray(strip)[:, :40], frames[0].image())
    np.testing.assert_array_equal(np.asarray(strip)[:, 88:], frames[-1].image())
    assert growth_strip(frames[:1]).size == (40, 32)
    with pytest.raises(ValueError, match="frames: got none"):
        growth_strip([])


def test_a_sample_that_is_not_there_is_told(engine):
    frames = list(engine.generate(Request(prompt="red apple", num_samples=2)))
    last = frames[-1]
    assert np.array_equal(last.image(-1), last.image(np.int64(1)))
    for ask in (last.image, lambda s: growth_strip(frames, sample=s), lambda s: last.image(0, s)):
        for wrong in (2, -3, 0.5, None, True):
            with pytest.raises(ValueError, match=r"(sample|moment): got .*, expected a whole"):
                ask(wrong)
    for ask in (lambda s: engine.explain(last, (1, 1), s), lambda s: engine.disagreement(last, s)):
        ask(np.int64(1))
        for wrong in (2, -1, 0.5, None, True):
            with pytest.raises(ValueError, match=r"sample: got .*, expected a whole number"):
                ask(wrong)
    for wrong in (-1, 1.5, None):
        with pytest.raises(ValueError, match=r"candidates: got .*, expected a whole number"):
            engine.explain(last, (1, 1), 0, wrong)


def test_of_clips_time_goes_down(tmp_path):
    engine = Engine.load(write_model_folder(tmp_path, frames=4), "cpu", "float32")
    frames = list(engine.generate(Request(prompt="red apple")))
    strip = growth_strip(frames, shown=2)
    assert strip.size == (2 * 40 + 4, 4 * 32 + 3 * 4)
    np.testing.assert_array_equal(np.asarray(strip)[108:, 44:], frames[-1].image(moment=3))
    shown = Image.open(BytesIO(frames[-1]._repr_png_()))
    assert shown.size == (4 * 40 + 3 * 4, 32)


def test_a_frame_goes_to_another_process_without_its_engine(engine):
    frame = engine.generate_all(Request(prompt="red apple"))
    sent = pickle.loads(pickle.dumps(frame))
    np.testing.assert_array_equal(sent.tokens, frame.tokens)
    assert sent._repr_png_() is None
    with pytest.raises(ValueError, match=r"use engine.pixels\(frame.tokens\)"):
        sent.image()
    np.testing.assert_array_equal(engine.pixels(sent.tokens), frame.pixels())


def test_more_samples_than_the_page_offers(engine):
    frame = engine.generate_all(Request(prompt="red apple", num_samples=17))
    alone = engine.generate_all(Request(prompt="red apple", rng_seed=16))
    np.testing.assert_array_equal(frame.tokens[16], alone.tokens[0])


def test_the_notebook_runs(tmp_path, monkeypatch):
    """Every cell as a notebook would, the last expression of each being shown."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    space, shown = {"__name__": "__main__"}, []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        *body, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(body, []), str(NOTEBOOK), "exec"), space)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), space))
        else:
            exec(compile(ast.Module([last], []), str(NOTEBOOK), "exec"), space)
    pictures = [value._repr_png_() for value in shown if hasattr(value, "_repr_png_")]
    assert len(pictures) >= 2
    for data in pictures:
        assert np.asarray(Image.open(BytesIO(data)).convert("L")).std() > 5


def test_the_reference_tells_every_public_name(tmp_path):
    pdoc = pytest.importorskip("pdoc")
    module = pdoc.doc.Module(nar_core)
    for name in nar_core.__all__:
        member = module.get(name)
        assert member is not None, name
        assert member.docstring or not member.kind.startswith(("class", "function")), name
    page = pdoc.render.html_module(module, {"nar_core": module})
    assert all(f'id="{name}"' in page for name in nar_core.__all__ if name != "__version__")
