"""Data folders as people have them: every fault is one sentence that names its file."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nar_core.measure.items import spread
from nar_core.picture import ORIENTATION
from nar_core.train.config import FolderSource
from nar_core.train.data import DataFolder
from nar_core.train.source import TokenSource, prompt_of


def png(picture: Image.Image | None = None) -> bytes:
    out = io.BytesIO()
    (picture or Image.new("RGB", (8, 8), "red")).save(out, "PNG")
    return out.getvalue()


def folder(root: Path, files: dict[str, bytes], packed: bool = False, **record) -> Path:
    """A data folder of some files."""
    if packed:
        with zipfile.ZipFile(root / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        for name, data in files.items():
            (root / name).write_bytes(data)
    lines = [json.dumps({"file": name, **record}) for name in files]
    (root / "index.jsonl").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (png()[:50], "got a damaged one"),
        (b"<!doctype html>", "got a web page"),
        (b"", "got an empty file"),
        (b"version https://git-lfs.github.com/spec/v1", "got a Git-LFS pointer"),
    ],
)
def test_a_file_that_is_no_picture_is_named(tmp_path, packed, data, told):
    root = folder(tmp_path, {"a.png": png(), "b.png": data}, packed)
    with pytest.raises(ValueError, match=f"b.png: {told}.*; use a whole PNG or JPEG"):
        DataFolder.open(root).pixels((8, 8), False)


def test_pictures_stand_upright_and_keep_their_values(tmp_path):
    lying = Image.new("RGB", (8, 8), "red")
    lying.paste("blue", (0, 0, 4, 8))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    lying.save(tmp_path / "a.jpg", exif=exif, quality=100)
    deep = Image.fromarray(np.full((8, 8), 32768, np.uint16))
    root = folder(tmp_path, {"a.jpg": (tmp_path / "a.jpg").read_bytes(), "b.png": png(deep)})
    upright, grey = DataFolder.open(root).pixels((8, 8), False)[:, 0]
    assert upright[1, 4, 2] > 200
    assert upright[6, 4, 0] > 200
    assert grey[4, 4].tolist() == [128, 128, 128, 255]


@pytest.mark.parametrize(
    ("size", "left", "top", "wide", "high"),
    [
        ((8, 8), 10, 0, 20, 20),
        ((8, 16), 0, 0, 40, 20),
        ((8, 32), 0, 5, 40, 10),
        ((9, 3), 17, 0, 6, 20),
    ],
)
def test_of_a_picture_of_another_shape_the_middle_is_seen(tmp_path, size, left, top, wide, high):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 40, 4), np.uint8)
    pixels[..., 3] = 255
    root = folder(tmp_path, {"a.png": png(Image.fromarray(pixels))})
    seen = DataFolder.open(root).pixels(size, False)
    assert seen.shape == (1, 1, *size, 4)
    box = (left, top, left + wide, top + high)
    middle = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC, box)
    assert np.array_equal(seen[0, 0], np.asarray(middle))


def test_of_the_tiles_of_a_clip_the_middle_is_seen_too(tmp_path):
    tile = np.repeat(np.arange(12, dtype=np.uint8), 12).reshape(12, 12)  # rows count down
    sheet = Image.fromarray(np.concatenate([tile, tile + 100], 1))
    root = folder(tmp_path, {"a.png": png(sheet)}, frames=2)
    first, second = DataFolder.open(root).pixels((4, 12), False)[0, ..., 0]
    assert first[:, 0].tolist() == [4, 5, 6, 7]
    assert np.array_equal(second, first + 100)


def test_what_is_missing_or_outside_is_named(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (tmp_path / "outside.png").write_bytes(png())
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "inside.png").write_bytes(png())
    (root / "linked.png").symlink_to("inside.png")
    (root / "folder.png").mkdir()
    for name, told in (
        ("gone.png", r"gone.png: not to be read \(No such file"),
        ("folder.png", r"folder.png: not to be read \(Is a directory"),
        ("../outside.png", "outside the data folder"),
        (str(tmp_path / "outside.png"), "outside the data folder"),
        ("link.png", "outside the data folder"),
    ):
        (root / "index.jsonl").write_text(json.dumps({"file": name}))
        with pytest.raises(ValueError, match=told):
            DataFolder.open(root).pixels((8, 8), False)
    (root / "index.jsonl").write_text(json.dumps({"file": "linked.png"}))
    assert DataFolder.open(root).pixels((8, 8), False).shape == (1, 1, 8, 8, 4)


def test_a_class_without_an_index_may_be_a_link(tmp_path):
    for name in ("elsewhere/one.png", "data/dog/two.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(png())
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "elsewhere")
    data = DataFolder.open(tmp_path / "data")
    assert [record["label"] for record in data.records] == ["cat", "dog"]
    cats = data.select(lambda record: record["label"] == "cat")
    for part in (data, cats, spread(data, 1)):
        assert part.pixels((8, 8), False).shape == (len(part.records), 1, 8, 8, 4)


def test_damaged_archives_are_told(tmp_path):
    root = folder(tmp_path, {"a.png": png(Image.effect_noise((64, 64), 90))}, packed=True)
    whole = bytearray((root / "images.zip").read_bytes())
    (root / "images.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"images.zip: got a damaged archive .*; pack it again"):
        DataFolder.open(root).pixels((8, 8), False)
    whole[200] ^= 0xFF
    (root / "images.zip").write_bytes(whole)
    with pytest.raises(ValueError, match=r"a.png: not to be read"):
        DataFolder.open(root).pixels((8, 8), False)


def test_what_a_small_archive_unpacks_to_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("nar_core.train.data.MOST_BYTES", 1_000_000)
    root = folder(tmp_path, {"z.png": bytes(2_000_000)}, packed=True)
    with pytest.raises(ValueError, match=r"z.png: got 2 MB, expected a picture of at most 1"):
        DataFolder.open(root).pixels((8, 8), False)


@pytest.mark.parametrize("frames", [65, 1000])
def test_more_frames_than_a_sheet_can_hold_are_refused(tmp_path, frames):
    root = folder(tmp_path, {"a.png": png()}, frames=frames)
    with pytest.raises(ValueError, match=rf"a.png: got 8 x 8 pixels, expected {frames} square"):
        DataFolder.open(root).pixels((8, 8), False)


def index(root: Path, data: bytes, name: str = "index.jsonl") -> DataFolder:
    (root / name).write_bytes(data)
    return DataFolder.open(root)


ONE = json.dumps({"file": "a.png", "text": "red"})


@pytest.mark.parametrize("between", ["\n", "\r\n", "\r", "\n\n  \n"])
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_index_is_read_however_it_was_saved(tmp_path, between, code):
    odd = '{"file": "b.png", "text": "a\u2028b\u0085c\x1c"}'.replace("\x1c", "\\u001c")
    data = index(tmp_path, between.join([ONE, odd, ""]).encode(code))
    assert [r["text"] for r in data.records] == ["red", "a\u2028b\u0085c\x1c"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "got no record"),
        (b"\n \n", "got no record"),
        (f"[{ONE}]".encode(), "got a list, expected one record a line"),
        (f"{ONE}\n{{oops".encode(), "line 2: got no JSON"),
        (f"{ONE}\n7".encode(), "line 2: got 7, expected names and values"),
        (b'{"text": "red"}', "line 1: got no 'file'"),
        (b'{"file": null}', "line 1: file: got None, expected a text"),
        (b'{"file": 7}', "line 1: file: got 7, expected a text"),
        (b'{"file": "a.png", "text": null}', "line 1: text: got None, expected a text"),
        (b'{"file": "a.png", "text": 3}', "line 1: text: got 3, expected a text"),
        (b'{"file": "a.png", "name": ""}', "line 1: name: got ''"),
        (b'{"file": "a.png", "keywords": [1]}', "line 1: keywords: got [1], expected a list"),
        (b'{"file": "a.png", "keywords": 7}', "line 1: keywords: got 7, expected a list"),
        (b'{"file": "a.png", "keywords": "red"}', "line 1: keywords: got 'red', expected a list"),
        (b'{"file": "a.png", "keywords": [" "]}', "line 1: keywords: got [' '], expected a list"),
        (b'{"file": "a.png", "frames": 1000000000}', "line 1: frames: got 1000000000"),
        (b'{"file": "a.png", "frames": 2.5}', "line 1: frames: got 2.5"),
        (b'{"file": "a.png", "frames": true}', "line 1: frames: got True"),
        (b"\xff\xfe\x00", "expected UTF-8"),
        (b"\x80\x81", "expected UTF-8"),
        (b"[" * 100_000, "got a list"),
        (b'{"a":' * 100_000, "line 1: got no JSON"),
    ],
)
def test_faults_of_an_index_are_told_with_their_line(tmp_path, data, told):
    with pytest.raises(ValueError, match=re.escape(told)) as error:
        index(tmp_path, data)
    assert "index.jsonl" in str(error.value)


def test_a_record_without_words_is_named():
    with pytest.raises(ValueError, match=r"a.png: got neither text nor name"):
        prompt_of({"file": "a.png"})
    with pytest.raises(ValueError, match=r"a.png: got None as its kind, expected"):
        TokenSource._name_of({"file": "a.png"}, FolderSource(label="kind"))
    for blank in ("", " \t"):
        with pytest.raises(ValueError, match=r"a.png: got .* as its kind, expected the name"):
            TokenSource._name_of({"file": "a.png", "kind": blank}, FolderSource(label="kind"))
    said = TokenSource._name_of({"file": "a.png", "kind": " red cat "}, FolderSource(label="kind"))
    assert said == "red cat"


@pytest.mark.parametrize("where", ["", "cat/"])
@pytest.mark.parametrize("name", ["metadata.csv", "metadata.parquet", "index.json"])
def test_an_index_of_another_form_is_refused_and_not_passed_over(tmp_path, name, where):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(png())
    assert len(DataFolder.open(tmp_path).records) == 1
    (tmp_path / where / name).write_text("file_name,text\na.png,red\n")
    with pytest.raises(ValueError, match=rf"got .*{name}, expected index.jsonl or metadata.jsonl"):
        DataFolder.open(tmp_path)


def test_what_is_left_out_of_a_folder_is_told(tmp_path, caplog):
    """All forms of pictures that are opened elsewhere are seen here."""
    for kind in ("png", "JPEG", "jfif", "gif", "tif", "tiff", "webp", "avif", "bmp"):
        form = {"jfif": "JPEG", "tif": "TIFF"}.get(kind, kind.upper())
        Image.new("RGB", (8, 8), "red").save(tmp_path / f"a.{kind}", form)
    data = DataFolder.open(tmp_path)
    assert not caplog.text
    assert data.pixels((8, 8), False).shape == (9, 1, 8, 8, 4)
    (tmp_path / "a.txt").write_text("a red square")
    (tmp_path / "b.heic").touch()
    (tmp_path / ".hidden").touch()
    assert len(DataFolder.open(tmp_path).records) == 9
    assert "2 files are no pictures that are read and are left out, such as a.txt" in caplog.text


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match="got ~/pictures, which is no folder, expected one of"):
        DataFolder.open("~/pictures")
