"""The page's server side with a real embedded model: the same picture twice, and outpainting."""

from __future__ import annotations

import base64
import ctypes
import os
from dataclasses import replace

import numpy as np
import pytest

from app.server.engines import Engines
from app.server.form import Form
from app.server.studio import Studio
from app.server.telling import understood
from app.wire import bytes_of_uri
from nar_core import Engine, list_models, understand
from nar_core.files.png import read_png
from nar_core.files.values import text_of
from tests.app.studios import check, finish, grow, picture_uri
from tests.nar_core.helpers import write_model_folder


@pytest.fixture(scope="module")
def studio() -> Studio:
    return Studio(Engines(Engine.load, list_models))


@pytest.fixture(scope="module")
def grown(studio):
    models = [m for m in studio.engines.models("image") if m.available]
    if not models:
        pytest.skip("no embedded model in checkpoints/")
    info = next((m for m in models if m.task == "class"), models[0])
    form = Form(
        info.name,
        "red apple",
        label="red apple" if "red apple" in info.labels else None,
        rng_seed=3,
        of_page=True,
    )
    *steps, done = grow(studio, check(studio, form, {"run": "a", "seed_position": [0, 5, 9]}))
    return form, [f for message in steps for f in message.get("frames", ())], done


def test_every_step_arrives_and_the_recipe_remakes_it(studio, grown):
    _, frames, done = grown
    assert [f["step"] for f in frames] == list(range(1, done["total"] + 1))
    *_, again = grow(studio, check(studio, Form("x"), {"run": "b", "file": done["pictures"][0]}))
    assert again["verdict"] == {"same": True, "differs": []}


def test_kept_pixels_come_back_exactly(studio, grown):
    form, _, done = grown
    pixels = pixels_of(done)
    keep = np.zeros((1, 16, 16), np.uint8)
    keep[:, 3:12, 4:13] = 1
    canvas = {"picture": done["pictures"][0], "keep": text_of(keep)}
    start = {"run": "c", "seed_position": [0, 7, 8], "canvas": canvas}
    *_, out = grow(studio, check(studio, form, start))
    made = pixels_of(out)
    kept = np.s_[3 * 8 : 12 * 8, 4 * 8 : 13 * 8]
    assert np.array_equal(made[kept], pixels[kept])


class Malloc(ctypes.Structure):
    """What the C library's `mallinfo2` tells, in bytes, of all arenas."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "mapped", "usmblks", "fsmblks", "used", "free",
        "keepcost",
    )]  # fmt: skip


C = ctypes.CDLL(None) if os.name == "posix" else None


@pytest.mark.skipif(not hasattr(C, "mallinfo2"), reason="needs glibc 2.33")
def test_ten_switches_leave_no_memory_behind(tmp_path, monkeypatch):
    """Both models grow once, for what is set up only once; ten switches on, nothing has come.

    What the process holds of the system's memory depends on what it did before, what it has asked
    for and not given back does not.
    """
    here = ["one", "two"]
    for name in here:
        write_model_folder(tmp_path, name, width=384, depth=6, attention_heads=24, ffn_width=768)
    monkeypatch.setenv("NAR_CHECKPOINTS", str(tmp_path))
    studio = Studio(Engines(Engine.load, list_models))
    asked = C.mallinfo2
    asked.restype = Malloc

    def megabytes(name: str) -> float:
        """Asked for and not given back, after a growth."""
        finish(studio, Form(name, studio.engines.info(name).prompts[0], of_page=True), {"run": "m"})
        return (asked().used + asked().mapped) * 1e-6

    for name in here:
        megabytes(name)
    after = [megabytes(here[i % 2]) for i in range(11)]
    assert max(after[8:]) < min(after[:3]) + 2, after  # the weights of one are 36 MB


def step_across(pixels: np.ndarray, kept: np.ndarray) -> float:
    """Mean step across the border of the kept part over that between neighbours near it."""
    pixels = pixels.astype(float)
    across, near = [], []
    for axis in (0, 1):
        step = np.abs(np.diff(pixels, axis=axis)).mean(-1)
        border = np.diff(kept, axis=axis)
        beside = np.any([np.roll(border, s, axis) for s in (-4, -3, -2, 2, 3, 4)], 0)
        across.append(step[border])
        near.append(step[beside & ~border])
    return float(np.concatenate(across).mean() / np.concatenate(near).mean())


def test_grown_pixels_meet_the_kept_ones_without_a_seam(studio, grown):
    """Uploads that the tokenizer cannot give back exactly: darker than it knows, and with grain."""
    form, engine = grown[0], studio.engines.get(grown[0].model)
    keep = np.zeros((1, 16, 16), np.uint8)
    keep[:, 4:12, 4:12] = 1
    kept = np.kron(keep[0], np.ones((8, 8))) > 0
    seams, pasted = [], []
    for rng_seed in range(2):
        own = replace(form, rng_seed=rng_seed)
        *_, made = grow(
            studio, check(studio, own, {"run": f"own{rng_seed}", "seed_position": [0, 8, 8]})
        )
        pixels = pixels_of(made)
        grain = np.random.default_rng(rng_seed).normal(0, 2, pixels.shape)
        pixels = np.clip(pixels * 0.92 + 6 + grain, 0, 255).astype(np.uint8)
        picture = picture_uri(pixels)
        canvas = {"picture": picture, "keep": text_of(keep)}
        start = {"run": f"out{rng_seed}", "seed_position": [0, 8, 8], "canvas": canvas}
        *_, made = grow(studio, check(studio, own, start))
        out = pixels_of(made)
        assert np.array_equal(out[kept], pixels[kept])
        seams.append(step_across(out, kept))
        hard = np.where(kept[..., None], pixels, engine.decode(tokens_of(made))[0, 0])
        pasted.append(step_across(hard, kept))
    assert np.mean(seams) < 1.6
    assert np.mean(pasted) > 1.5 * np.mean(seams)  # what the blending is for


def pixels_of(message: dict) -> np.ndarray:
    """The pixels of a finished picture, uint8 [h, w, 3]."""
    return read_png(bytes_of_uri(message["pictures"][0], 5_000_000))[1][0]


def tokens_of(message: dict) -> np.ndarray:
    """The tokens of a finished picture, int [1, 1, 16, 16]."""
    words = np.frombuffer(base64.b64decode(message["tokens"]), "<u2")
    return words.astype(int).reshape(1, 1, 16, 16)


def test_surprise_tells_a_models_own_pictures_from_foreign_ones(studio, grown):
    form, _, done = grown
    engine = studio.engines.get(form.model)
    own = tokens_of(done)
    foreign = np.random.default_rng(0).integers(0, 4096, own.shape)
    known, unknown = engine.surprise(np.concatenate([own, foreign]))
    assert known < unknown - 3
    assert engine.info.held_out_loss > 0


def test_embedded_models_know_their_own_examples():
    composing = [m for m in list_models() if m.world]
    assert {m.name for m in composing} == {"emoji", "emoji-motion", "landscape"}
    for info in composing:
        for prompt in info.prompts:
            found = understand(info, prompt)
            assert (found.caption, found.remarks) == (prompt, ()), prompt


def test_what_only_another_model_can_draw_is_told():
    engines = Engines(Engine.load, list_models)
    emoji = engines.info("emoji")

    def elsewhere(prompt: str) -> list[tuple[str, str]]:
        told = understood(emoji, prompt, engines.models())["elsewhere"]
        return [(other["model"], other["drawn"]) for other in told]

    [(model, drawn)] = elsewhere("sunset over the ocean")
    assert model == "landscape"
    assert "sunset" in drawn
    assert elsewhere("a red car at sunset") == []  # something of it can be drawn here
    assert elsewhere("zeitgeist") == []
