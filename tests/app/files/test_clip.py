"""Clips: files that play elsewhere and replay here, first frames, and clips that go on."""

from __future__ import annotations

import base64
import io
import re
import struct
import subprocess
import sys
import threading
import time
import zlib

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from app.server.form import Form
from app.server.studio import Studio
from app.server.telling import replayed
from app.wire import bytes_of_uri
from nar_core.files import clip as clips
from nar_core.files import limits, read_file, read_recipe
from nar_core.files.clip import read_mp4
from nar_core.files.png import read_png, sheet
from nar_core.files.recipe import recipe_from
from nar_core.files.values import text_of
from tests.app.fake_engine import FakeEngine
from tests.app.studios import fake_studio, finish, picture_uri

if sys.platform == "linux":
    import resource


@pytest.fixture
def studio() -> Studio:
    return fake_studio()


def grown(studio: Studio, **start) -> dict:
    return finish(studio, Form("frames", "fox"), {"seed_position": [0, 4, 4], **start})


def bytes_at(address: str) -> bytes:
    return bytes_of_uri(address, 50_000_000)


def tokens_of(done: dict) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(done["tokens"]), "<u2")
    return data.reshape(9, 8, 8).astype(np.int64)


def kept(slices: int) -> str:
    cells = np.zeros((9, 8, 8), np.uint8)
    cells[:slices] = 1
    return text_of(cells)


def test_every_format_holds_every_frame(studio):
    done = grown(studio)
    for kind, name in (("gif", "GIF"), ("webp", "WEBP")):
        data = bytes_at(studio.clip(done["pictures"], kind, 12))
        file = Image.open(io.BytesIO(data))
        assert (file.format, file.size) == (name, (640, 640))
        assert file.n_frames > 1
        if kind == "gif":
            assert read_recipe(data).json() == read_file(bytes_at(done["pictures"][0]))[0].json()
        with pytest.raises(ValueError, match=f"got a {name}, expected a PNG or MP4"):
            replayed(studio.engines, data, "r")
    tall = Image.open(io.BytesIO(bytes_at(studio.clip(done["pictures"], "tall", 12))))
    assert tall.size == (640, 800)
    paper = np.asarray(tall.convert("RGB")).astype(int)[[0, 79, 720, 799]]
    assert np.abs(paper - (242, 242, 240)).max() <= 8
    strip = studio.clip(done["pictures"], "strip", 12)
    assert Image.open(io.BytesIO(bytes_at(strip))).size == (9 * 64, 64)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"kind": "avi"}, "expected one of mp4"),
        ({"kind": ["mp4"]}, "expected one of mp4"),
        ({"fps": 0}, "fps: got 0"),
        ({"fps": float("nan")}, "fps: got nan"),
        ({"files": []}, "list of 1 to 32"),
        ({"files": None}, "list of 1 to 32"),
        ({"files": "x"}, "list of 1 to 32"),
        ({"files": [None]}, "picture: got None"),
    ],
)
def test_what_cannot_be_put_together_is_told(studio, asked, words):
    with pytest.raises(ValueError, match=words):
        studio.clip(**{"files": grown(studio)["pictures"], "kind": "strip", "fps": 12, **asked})


def test_more_clips_than_one_file_may_hold_are_refused(studio, monkeypatch):
    pictures = grown(studio)["pictures"]
    with pytest.raises(ValueError, match="list of 1 to 32"):
        studio.clip(pictures * 33, "strip", 12)
    monkeypatch.setattr(clips, "MAX_CLIP_FRAMES", 20)
    with pytest.raises(ValueError, match="got 27 frames"):
        studio.clip(pictures * 3, "strip", 12)
    small = fake_studio(limits=limits.Limits(pixels=64 * 64 * 20))
    told = "got 110,592 pixels in the first 3 clips, expected at most 81,920 in all; put fewer"
    with pytest.raises(ValueError, match=told):
        small.clip(pictures * 4, "strip", 12)


def test_clips_of_different_sizes_are_told_by_their_sizes(studio):
    recipe, frames = read_png(bytes_at(grown(studio)["pictures"][0]))
    with pytest.raises(ValueError, match="got frames of 48 x 64 and 64 x 64 pixels, expected one"):
        clips.clip_bytes([(recipe, frames), (recipe, frames[:, :, :48])], "strip", 12)


def test_an_mp4_plays_in_browsers_and_replays_here(studio, tmp_path):
    done = grown(studio)
    data = bytes_at(studio.clip(done["pictures"], "mp4", 12))
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    told = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)], capture_output=True, text=True
    ).stderr
    assert "h264" in told
    assert "yuv420p" in told
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded whole
    played = replayed(studio.engines, data, "r")
    assert not played["part"]
    assert played["tokens"] == done["tokens"]
    assert played["spec"]["slice_of_frame"] == list(range(9))
    recipe, frames = read_mp4(data)
    made, exact = read_png(bytes_at(done["pictures"][0]))
    assert recipe.json() == made.json()
    assert np.abs(frames.astype(int) - exact).mean() < 6


def test_a_foreign_or_damaged_mp4_is_refused(studio):
    plain = clips._mp4(np.zeros((3, 64, 64, 3), np.uint8), 8)
    with pytest.raises(ValueError, match="no recipe inside"):
        read_mp4(plain)
    data = bytes_at(studio.clip(grown(studio)["pictures"], "mp4", 12))
    with pytest.raises(ValueError, match="no recipe inside"):
        read_mp4(data[:-20])
    broken = bytearray(data)
    broken[-200:-150] = bytes(50)
    with pytest.raises(ValueError, match="recipe"):
        read_mp4(bytes(broken))


def test_the_recipes_of_a_movie_are_found_behind_boxes_of_every_size(studio):
    recipe, _ = read_png(bytes_at(grown(studio)["pictures"][0]))
    box = clips._box([recipe])
    head = struct.pack(">I4s", 12, b"ftyp") + b"isom"
    long = struct.pack(">I4sQ", 1, b"mdat", 20) + b"long"  # its size in eight bytes
    to_the_end = struct.pack(">I4s", 0, b"uuid") + box[8:]
    for data in (head + box, head + long + box, head + long + to_the_end):
        assert [r.json() for r in clips.recipes_in(data)] == [recipe.json()]
    for size in (1, 7):  # smaller than its own head
        with pytest.raises(ValueError, match="no recipe inside"):
            clips.recipes_in(head + struct.pack(">I4sQ", size, b"mdat", 15) + b"long" + box)


def test_recipes_of_a_movie_are_unpacked_up_to_what_a_clip_needs():
    def movie(length: int) -> bytes:
        body = clips.BOX + zlib.compress(b"7".rjust(length))
        return struct.pack(">I4s", len(body) + 8, b"uuid") + body

    with pytest.raises(ValueError, match="recipe: got 7, expected"):
        clips.recipes_in(movie(4 * limits.MAX_RECIPE))
    with pytest.raises(ValueError, match="got more than 4,000,000 bytes of it, expected fewer"):
        clips.recipes_in(movie(4 * limits.MAX_RECIPE + 1))


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((9, 1024, 768, 3), "got frames of 768 x 1024 pixels, expected at most 656 x 656; use"),
        ((40, 64, 64, 3), "got more than 9 frames, expected 9; use"),
        ((5, 64, 64, 3), "got 5 frames, expected 9; use"),
    ],
)
def test_a_movie_may_not_be_larger_or_longer_than_its_recipe_says(studio, shape, told):
    """The decoder is told so before it begins, and stopped at the first frame too many."""
    recipe, _ = read_png(bytes_at(grown(studio)["pictures"][0]))
    large = clips._mp4(np.zeros(shape, np.uint8), 12) + clips._box([recipe])
    with pytest.raises(ValueError, match=f"clip: {told}"):
        read_mp4(large)


def test_work_is_bounded_by_the_recipes_before_a_movie_is_decoded(studio, monkeypatch):
    recipe, frames = read_png(bytes_at(grown(studio)["pictures"][0]))
    many = {"frames": 256, "slice_of_frame": [0] * 256}
    parts = [recipe_from({**recipe.json(), **many})] * 32
    monkeypatch.setattr(clips, "_decoded", lambda *_: pytest.fail("a frame was decoded"))
    with pytest.raises(ValueError, match="got 8192 frames"):
        read_mp4(clips._mp4(frames, 12) + clips._box(parts))


def test_ffmpeg_is_stopped_when_it_takes_too_long(studio, monkeypatch):
    data = bytes_at(studio.clip(grown(studio)["pictures"], "mp4", 12))
    monkeypatch.setattr(clips, "FFMPEG_SECONDS", 0.0)
    with pytest.raises(ValueError, match="clip: got a film that takes longer than 0 s to decode"):
        read_mp4(data)


def test_files_that_wait_do_not_take_every_thread(monkeypatch):
    monkeypatch.setattr(limits, "_WAITING", threading.BoundedSemaphore(3))
    opened, go = [], threading.Event()

    def opening():
        with limits.room():
            opened.append(True)
            assert go.wait(30)

    threads = [threading.Thread(target=opening) for _ in range(5)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while limits._WAITING._value:  # two are open, three wait
        assert time.monotonic() < end
        time.sleep(0.01)
    with pytest.raises(ValueError, match=r"others wait to be opened .*; try again"), limits.room():
        pass
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(opened) == 5
    with limits.room():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only what is reserved at once")
@pytest.mark.parametrize(("tracks", "frames"), [(1, 2**26), (16, 2**22)])
def test_a_film_of_billions_of_frames_takes_little_memory(studio, tmp_path, tracks, frames):
    """Two kilobytes that say so made ffmpeg's list of them 3.7 GB; or so do many short lists."""
    one, film = tmp_path / "one.mp4", tmp_path / "film.mp4"
    one.write_bytes(bytes_at(studio.clip(grown(studio)["pictures"], "mp4", 12)))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(one)]
    subprocess.run([*command, *["-map", "0"] * tracks, "-c", "copy", str(film)], check=True)
    data = bytearray(film.read_bytes() + one.read_bytes()[one.read_bytes().rindex(b"uuid") - 4 :])
    for name, first, numbers in ((b"stsz", 8, (1, frames)), (b"stsc", 12, (1, frames, 1))):
        places = [found.start() for found in re.finditer(name, data)]
        assert len(places) == tracks
        for at in places:
            struct.pack_into(f">{len(numbers)}I", data, at + first, *numbers)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(
        ValueError, match="clip: got a film that is damaged or takes too much memory"
    ):
        read_mp4(bytes(data))
    most = max(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # a fork is as large
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < most + 500_000


def test_a_first_frame_is_kept_as_tokens(studio):
    picture = np.full((64, 64, 3), (200, 40, 90), np.uint8)
    done = grown(studio, canvas={"picture": picture_uri(picture), "keep": kept(1)})
    engine = FakeEngine("frames")
    first = engine.encode(np.repeat(picture[None, None], 9, 1))[0][0]
    assert np.array_equal(tokens_of(done)[0], first)
    steps = np.frombuffer(base64.b64decode(done["order"]), "<u2").reshape(9, 8, 8)
    assert (steps[0] == 0).all()
    assert (steps[1:] > 0).all()


def test_a_clip_goes_on_with_the_very_tokens_of_the_one_before(studio, monkeypatch):
    one = grown(studio)
    # whatever the tokenizer would make of their pixels
    monkeypatch.setattr(FakeEngine, "encode", lambda *_: pytest.fail("pixels were encoded"))
    two = grown(studio, canvas={"keep": kept(5), "before": text_of(tokens_of(one).astype("<u2"))})
    assert np.array_equal(tokens_of(two)[:5], tokens_of(one)[-5:])
    both = one["pictures"] + two["pictures"]
    strip = np.asarray(Image.open(io.BytesIO(bytes_at(studio.clip(both, "strip", 8)))))
    assert strip.shape == (64, (9 + 4) * 64, 3)
    parts = [read_png(bytes_at(d["pictures"][0]))[1] for d in (one, two)]
    assert np.array_equal(strip, sheet(np.concatenate([parts[0], parts[1][5:]])))
    whole = bytes_at(studio.clip(both, "mp4", 8))
    played = replayed(studio.engines, whole, "r")
    assert (played["tokens"], played["part"]) == (two["tokens"], True)
