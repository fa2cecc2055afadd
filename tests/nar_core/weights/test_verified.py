"""What is fetched is what the hub has, whole, and fetched once."""

from __future__ import annotations

import hashlib
import io
import json
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
        self.data, self.etag, self.size, self.asked = DATA, SHA256, len(DATA), []
        self.then: bytes | None = None  # what it sends from the second time on, if not the same
        self.ranges = True
        self.reached, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.at_once = self.most_at_once = 0
        self.by_name: dict[str, bytes] = {}

    def told(self, url, timeout):
        data = self.by_name.get(url.rsplit("/", 1)[-1])
        etag = self.etag if data is None else hashlib.sha256(data).hexdigest()
        size = self.size if data is None else len(data)
        return SimpleNamespace(size=size, etag=etag, location=url)

    def open(self, request, timeout):
        begin = int(request.headers["Range"].split("=")[1].rstrip("-"))
        self.asked.append(begin)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.reached.set()
        self.go.wait(60)
        self.at_once -= 1
        data = self.by_name.get(request.full_url.rsplit("/", 1)[-1], self.data)
        if self.then is not None:
            self.data = self.then
        if data is None:
            raise OSError("the hub answers 500")
        answer = Answer(data[begin if self.ranges else 0 :])
        answer.status = 206 if self.ranges else 200
        return answer


@pytest.fixture
def hub(monkeypatch):
    out = Hub()
    monkeypatch.setattr(fetch.urllib.request, "urlopen", out.open)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", out.told)
    lock = huggingface_hub.utils.WeakFileLock  # who waits for another is told of it sooner
    monkeypatch.setattr(
        huggingface_hub.utils, "WeakFileLock", lambda path, timeout: lock(path, timeout=0.05)
    )
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
    assert not list(folder.iterdir())
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
    hub.go.clear()
    waiting, out = [], []

    def told(text, share):
        waiting.append(text)
        hub.go.set()

    def get(progress=None):
        out.append(fetch.transfer("a/b", "w.pt", folder, "w", progress).read_bytes() == DATA)

    first = threading.Thread(target=get)
    first.start()
    assert hub.reached.wait(60)
    get(told)
    first.join()
    assert out == [True, True]
    assert len(hub.asked) == 1
    assert "another process fetches it" in waiting[0]


def test_what_fails_leaves_no_lock_and_no_empty_file(hub, folder):
    for hub.data, left in ((None, []), (b"", []), (DATA[:10], [10])):
        with pytest.raises(OSError, match=r"500|got .* bytes"):
            fetch.transfer("a/b", "w.pt", folder)
        assert [p.stat().st_size for p in folder.iterdir()] == left

    def closed(text, share):
        raise KeyboardInterrupt

    hub.data = DATA
    with pytest.raises(KeyboardInterrupt):
        fetch.transfer("a/b", "w.pt", folder, "w", closed)
    assert [p.suffix for p in folder.iterdir()] == [".partial"]


def test_what_a_killed_process_left_goes_with_the_next_fetch(hub, folder):
    hub.data = DATA[:10]
    with pytest.raises(OSError, match="got 10 of"):
        fetch.transfer("a/b", "w.pt", folder)
    (folder / "w.pt.lock").touch()
    others = folder / "w.pt.sample.partial.txt"  # somebody's own
    others.touch()
    hub.data = hub.etag = None  # the hub has another version now
    with pytest.raises(OSError, match="500"):
        fetch.transfer("a/b", "w.pt", folder)
    hub.data, hub.etag = DATA, SHA256[::-1][:30]
    fetch.transfer("a/b", "w.pt", folder)
    assert sorted(p.name for p in folder.iterdir()) == ["w.pt", others.name]


def test_who_waits_for_one_that_fails_goes_on_alone(hub, folder):
    hub.data, hub.then, ends = DATA[:10], DATA, []
    hub.go.clear()

    def get():
        try:
            ends.append(fetch.transfer("a/b", "w.pt", folder).read_bytes() == DATA)
        except OSError as error:
            ends.append("got 10 of" in str(error) or error)

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert hub.reached.wait(60)
    time.sleep(0.2)  # the others have come to the lock
    hub.go.set()
    for thread in threads:
        thread.join()
    assert ends == [True] * 4
    assert hub.asked == [0, 10]
    assert hub.most_at_once == 1
    assert sorted(p.name for p in folder.iterdir()) == ["w.pt", "w.pt.sha256"]


def test_shards_keep_their_hashes_and_are_fetched_once_by_two(hub, monkeypatch):
    shards = {f"model-0000{i}-of-00002.safetensors": bytes([i]) * 99 for i in (1, 2)}
    index = json.dumps({"weight_map": {f"w{name}": name for name in shards}}).encode()
    hub.by_name = {"model.safetensors.index.json": index, **shards}
    files = [SimpleNamespace(rfilename=name) for name in hub.by_name]
    monkeypatch.setattr(
        huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=files)
    )
    source, told = fetch.Source("NAR-L", "a/b"), []
    hub.go.clear()

    def waits(text, share):
        told.append(text)
        hub.go.set()

    first = threading.Thread(target=fetch.fetch, args=[source])
    first.start()
    assert hub.reached.wait(60)
    path = fetch.fetch(source, waits)
    first.join()
    assert hub.asked == [0, 0, 0]
    assert set(told) == {"downloading NAR-L: another process fetches it"}
    there = {p.name for p in path.parent.iterdir()}
    assert there == {name + end for name in hub.by_name for end in ("", ".sha256")}
    for name in shards:
        fetch.check_sha256(path.parent / name)


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
