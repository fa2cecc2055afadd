"""What is fetched is what the hub has, whole, and fetched once."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from types import SimpleNamespace

import huggingface_hub
import pytest

from nar_core.weights import fetch
from nar_core.weights.read import read

DATA = bytes(range(256)) * 8000
SHA256 = hashlib.sha256(DATA).hexdigest()
GIT = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA).hexdigest()


class Answer(io.BytesIO):
    status = 206


class Hub:
    """What stands in for the hub: what it sends, and from where it was asked for."""

    def __init__(self):
        self.data, self.etag, self.size, self.asked, self.wait = DATA, SHA256, len(DATA), [], 0.0
        self.ranges = True

    def open(self, request, timeout):
        begin = int(request.headers["Range"].split("=")[1].rstrip("-"))
        self.asked.append(begin)
        time.sleep(self.wait)
        answer = Answer(self.data[begin if self.ranges else 0 :])
        answer.status = 206 if self.ranges else 200
        return answer


@pytest.fixture
def hub(monkeypatch):
    out = Hub()

    def told(url, timeout):
        return SimpleNamespace(size=out.size, etag=out.etag, location=url)

    monkeypatch.setattr(fetch.urllib.request, "urlopen", out.open)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", told)
    return out


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "weights"


@pytest.mark.parametrize("etag", [SHA256, GIT, "weak"])
def test_a_file_is_taken_over_when_its_hash_is_right(hub, folder, etag):
    hub.etag = etag
    shares = []
    path = fetch.transfer("a/b", "w.pt", folder, "w", lambda text, share: shares.append(share))
    assert path.read_bytes() == DATA
    assert shares[-1] == 1.0
    noted = ["w.pt.sha256"] if etag == SHA256 else []
    assert sorted(p.name for p in folder.iterdir()) == ["w.pt", *noted]


def test_what_lies_there_is_compared_with_the_hash_beside_it(hub, folder):
    path = fetch.transfer("a/b", "w.pt", folder)
    fetch.check_sha256(path)
    path.write_bytes(DATA[:-1] + b"?")
    with pytest.raises(ValueError, match=rf"w.pt: got bytes of sha256 .*, expected {SHA256[:12]}"):
        fetch.check_sha256(path)
    (folder / "w.pt.sha256").unlink()
    fetch.check_sha256(path)  # put there by hand: nothing is known of it


@pytest.mark.parametrize("etag", [SHA256, GIT])
def test_other_bytes_of_the_same_size_are_not_kept(hub, folder, etag):
    hub.data, hub.etag = DATA[::-1], etag
    with pytest.raises(OSError, match="got other bytes than the hub's hash"):
        fetch.transfer("a/b", "w.pt", folder)
    assert not [p for p in folder.iterdir() if p.stat().st_size]
    hub.data = DATA
    assert fetch.transfer("a/b", "w.pt", folder).read_bytes() == DATA


@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_is_gone_on_with(hub, folder, ranges):
    hub.data = DATA[:1000]
    with pytest.raises(OSError, match=f"got 1000 of {len(DATA)} bytes"):
        fetch.transfer("a/b", "w.pt", folder)
    hub.data, hub.ranges = DATA, ranges
    assert fetch.transfer("a/b", "w.pt", folder).read_bytes() == DATA
    assert hub.asked == [0, 1000]


def test_a_partial_that_is_too_long_starts_over(hub, folder):
    hub.data = DATA[:1000]
    with pytest.raises(OSError, match="1000"):
        fetch.transfer("a/b", "w.pt", folder)
    (partial,) = folder.glob("*.partial")
    partial.write_bytes(DATA + b"more")
    hub.data = DATA
    assert fetch.transfer("a/b", "w.pt", folder).read_bytes() == DATA
    assert hub.asked == [0, 0]


def test_a_hub_that_tells_no_size_leaves_no_empty_file(hub, folder):
    hub.size = None
    with pytest.raises(OSError, match="does not tell its size"):
        fetch.transfer("a/b", "w.pt", folder)
    assert not folder.exists()


def test_two_that_want_one_file_fetch_it_once(hub, folder):
    hub.wait = 1.5
    waiting, out = [], []

    def get(progress=None):
        out.append(fetch.transfer("a/b", "w.pt", folder, "w", progress).read_bytes() == DATA)

    first = threading.Thread(target=get)
    first.start()
    time.sleep(0.2)
    get(lambda text, share: waiting.append(text))
    first.join()
    assert out == [True, True]
    assert len(hub.asked) == 1
    assert "another process fetches it" in waiting[0]


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a Git-LFS pointer",
        ),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "a web page, perhaps one to sign in"),
        (b"<html></html>", "a web page"),
        (b"", "damaged or not a weight file"),
        (b"Access to this model is restricted.", "damaged or not a weight file"),
    ],
)
def test_what_is_no_weight_file_is_called_what_it_is(tmp_path, name, data, told):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name}: {told}") as error:
        read(tmp_path / name)
    assert "pickled code" not in str(error.value)
