"""Clips: files that play elsewhere and replay here, first frames, and clips that go on."""

from __future__ import annotations

import base64
import io
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from app import clips, export
from app.engines import Engines
from app.form import Form
from app.handlers import Studio
from tests.app.fake_engine import MODELS, FakeEngine


@pytest.fixture
def studio() -> Studio:
    return Studio(Engines(lambda name, **_: FakeEngine(name), lambda: list(MODELS)))


def grown(studio: Studio, **start) -> dict:
    job = studio.check(Form("frames", "fox"), {"run": f"{len(start)}", "seed": [0, 4, 4], **start})
    *_, done = studio.grow(job)
    return done


def words(values: np.ndarray) -> str:
    return export.base64_of(values.astype("<u2"))


def tokens_of(done: dict) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(done["tokens"]), "<u2")
    return data.reshape(9, 8, 8).astype(np.int64)


def kept(slices: int) -> str:
    cells = np.zeros((9, 8, 8), np.uint8)
    cells[:slices] = 1
    return export.base64_of(cells)


def test_every_format_holds_every_frame(studio):
    done = grown(studio)
    for kind, name in (("gif", "GIF"), ("webp", "WEBP")):
        answer = studio.clip({"files": done["pictures"], "format": kind, "fps": 12})
        file = Image.open(io.BytesIO(export.from_data_uri(answer["file"])))
        assert (file.format, file.size) == (name, (384, 384))
        assert file.n_frames > 1
    answer = studio.clip({"files": done["pictures"], "format": "strip", "fps": 12})
    assert Image.open(io.BytesIO(export.from_data_uri(answer["file"]))).size == (9 * 64, 64)
    assert "expected one of mp4" in studio.clip(
        {"files": done["pictures"], "format": "avi", "fps": 12}
    )["error"]  # fmt: skip


def test_an_mp4_plays_in_browsers_and_replays_here(studio, tmp_path):
    done = grown(studio)
    answer = studio.clip({"files": done["pictures"], "format": "mp4", "fps": 12})
    data = export.from_data_uri(answer["file"])
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    told = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True
    ).stderr
    assert "h264" in told
    assert "yuv420p" in told
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded whole
    played = studio.replay(answer["file"])
    assert played["tokens"] == done["tokens"]
    assert played["spec"]["slice_of_frame"] == list(range(9))
    recipe, frames = clips.read_clip(data)
    exact = export.read_frames(export.from_data_uri(done["pictures"][0]), 9, 8)
    made, _ = export.read_recipe(export.from_data_uri(done["pictures"][0]))
    assert recipe["token_digest"] == made["token_digest"]
    assert np.abs(frames.astype(int) - exact).mean() < 6


def test_a_foreign_or_damaged_mp4_is_refused(studio):
    plain = clips._mp4(np.zeros((3, 64, 64, 3), np.uint8), 8)
    with pytest.raises(ValueError, match="no recipe inside"):
        studio.replay(export.data_uri(plain, "video/mp4"))
    done = grown(studio)
    whole = studio.clip({"files": done["pictures"], "format": "mp4", "fps": 12})["file"]
    data = export.from_data_uri(whole)
    with pytest.raises(ValueError, match="no recipe inside"):
        studio.replay(export.data_uri(data[:-20], "video/mp4"))
    broken = bytearray(data)
    broken[-200:-150] = bytes(50)
    with pytest.raises(ValueError, match="recipe"):
        studio.replay(export.data_uri(bytes(broken), "video/mp4"))


def test_a_first_frame_is_kept_as_tokens(studio):
    picture = np.full((64, 64, 3), (200, 40, 90), np.uint8)
    address = export.data_uri(export.png_bytes(picture), "image/png")
    done = grown(studio, canvas={"picture": address, "keep": kept(1)})
    engine = FakeEngine("frames")
    first = engine.encode(np.repeat(picture[None, None], 9, 1))[0][0]
    assert np.array_equal(tokens_of(done)[0], first)
    steps = np.frombuffer(base64.b64decode(done["order"]), "<u2").reshape(9, 8, 8)
    assert (steps[0] == 0).all()
    assert (steps[1:] > 0).all()


def test_a_clip_goes_on_where_it_ended(studio):
    one = grown(studio)
    two = grown(studio, canvas={"keep": kept(5), "before": words(tokens_of(one))})
    engine = FakeEngine("frames")
    last = engine.decode(tokens_of(one)[None])[0][-5:]
    again = engine.encode(np.concatenate([last, np.repeat(last[-1:], 4, 0)])[None])[0]
    assert np.array_equal(tokens_of(two)[:5], again[:5])
    answer = studio.clip({"files": one["pictures"] + two["pictures"], "format": "strip", "fps": 8})
    strip = np.asarray(Image.open(io.BytesIO(export.from_data_uri(answer["file"]))))
    assert strip.shape == (64, (9 + 4) * 64, 3)
    parts = [export.read_frames(export.from_data_uri(d["pictures"][0]), 9, 8) for d in (one, two)]
    assert np.array_equal(strip, export.sheet(np.concatenate([parts[0], parts[1][5:]])))
    whole = studio.clip({"files": one["pictures"] + two["pictures"], "format": "mp4", "fps": 8})
    assert studio.replay(whole["file"])["tokens"] == two["tokens"]
