"""Finding and fetching weight files, with a fake hub in place of the real one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from nar_core.weights import fetch
from nar_core.weights.fetch import Source
from nar_core.weights.read import files_of

SOURCE = Source("NAR-L", "someone/NAR-imagenet-256-L")


@pytest.fixture
def fake_hub(tmp_path, monkeypatch):
    """A hub whose repositories are folders; what is fetched lands in a cache folder."""
    fake = SimpleNamespace(files={}, fetched=[], cache=tmp_path / "fake-cache", online=True)

    def model_info(self, repo, timeout=None):
        if not fake.online:
            raise ConnectionError("no route")
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=n) for n in fake.files[repo]])

    def transfer(repo, name, folder, text="", progress=None):
        if not fake.online:
            raise ConnectionError("no route")
        fake.fetched.append(name)
        if progress is not None:
            progress(text, 1.0)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(fake.files[repo][name])
        return folder / name

    def snapshot_download(repo, local_files_only):
        assert local_files_only
        if not (fake.cache / repo).is_dir():
            raise LocalEntryNotFoundError("not cached")
        return str(fake.cache / repo)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(fetch, "transfer", transfer)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return fake


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_only_weight_file_is_downloaded_once(fake_hub):
    fake_hub.files[SOURCE.hub] = {"README.md": b"", "config.json": b"{}", "any.pt": b"weights"}
    told = []
    path = fetch.fetch(SOURCE, lambda message, share: told.append((message, share)))
    assert path.read_bytes() == b"weights"
    assert fake_hub.fetched == ["config.json", "any.pt"]
    assert told == [("downloading NAR-L", 1.0)]
    assert path.parent == fetch.CHECKPOINTS / "NAR-L"
    assert fetch.fetch(SOURCE) == path
    assert len(fake_hub.fetched) == 2


def test_several_or_no_weight_files_are_named(fake_hub):
    fake_hub.files[SOURCE.hub] = {"a.pt": b"", "b.safetensors": b"", "README.md": b""}
    told = r"2 weight files \(a\.pt, b\.safetensors\).* alone into .*/NAR-L"
    with pytest.raises(ValueError, match=told):
        fetch.fetch(SOURCE)
    fake_hub.files[SOURCE.hub] = {"README.md": b""}
    with pytest.raises(ValueError, match=r"none among README\.md"):
        fetch.fetch(SOURCE)


SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"


def sharded(names=SHARDS, **more: bytes) -> dict[str, bytes]:
    """A repository with a file in shards, their index, and the same weights as .bin."""
    index = json.dumps({"weight_map": {f"w{i}": name for i, name in enumerate(names)}}).encode()
    old = {f"pytorch_model-0000{i}-of-00002.bin": b"" for i in (1, 2)}
    old["pytorch_model.bin.index.json"] = b"{}"
    return {"config.json": b"{}", INDEX: index, **dict.fromkeys(names, b"part"), **old, **more}


def test_shards_are_fetched_with_their_index_and_come_into_place_together(fake_hub, monkeypatch):
    fake_hub.files[SOURCE.hub] = sharded()
    folder, told, plain = fetch.CHECKPOINTS / "NAR-L", [], fetch.transfer

    def breaks_off(repo, name, *args):
        if name == SHARDS[1]:
            raise ConnectionError("gone")
        return plain(repo, name, *args)

    monkeypatch.setattr(fetch, "transfer", breaks_off)
    with pytest.raises(FileNotFoundError, match="gone"):
        fetch.fetch(SOURCE)
    assert not fetch.is_here(SOURCE)  # half of it is nothing
    monkeypatch.setattr(fetch, "transfer", plain)
    path = fetch.fetch(SOURCE, lambda message, share: told.append(message))
    assert path == folder / INDEX
    assert sorted(p.name for p in folder.iterdir()) == sorted(["config.json", INDEX, *SHARDS])
    assert told == ["downloading NAR-L, 1 of 2", "downloading NAR-L, 2 of 2"]
    assert [p.name for p in files_of(path)] == SHARDS
    assert fetch.fetch(SOURCE) == path
    assert len(fake_hub.fetched) == 7  # of both tries, and none more


def test_an_index_names_no_files_elsewhere(fake_hub):
    fake_hub.files[SOURCE.hub] = sharded(["../a.safetensors"])
    with pytest.raises(ValueError, match="expected files beside it only"):
        fetch.fetch(SOURCE)


def test_an_encoder_whose_index_is_damaged_is_not_here(fake_hub):
    folder = fetch.fetched_folder() / fetch.ENCODER_NAME
    for name, data in sharded().items():
        put(folder / name, data.decode())
    assert fetch.find_encoder() == folder
    put(folder / INDEX, "version https://git-lfs")
    assert fetch.find_encoder() is None


def test_shards_in_the_hubs_cache_count_when_all_are_there(fake_hub):
    folder = fake_hub.cache / SOURCE.hub
    for name, data in sharded().items():
        put(folder / name, data.decode())
    assert fetch.locate(SOURCE) == folder / INDEX
    (folder / SHARDS[0]).unlink()
    assert fetch.locate(SOURCE) is None


def test_a_named_file_is_taken_among_several_and_may_be_renamed_later(fake_hub):
    source = Source("vq16-class", "someone/LlamaGen", "vq_ds16_c2i.pt")
    fake_hub.files[source.hub] = {"vq_ds16_c2i.pt": b"vq", "c2i_B_256.pt": b"other"}
    assert fetch.fetch(source).read_bytes() == b"vq"
    source = Source("vq16-other", "someone/else", "vq_ds16_c2i.pt")
    fake_hub.files[source.hub] = {"vq.safetensors": b"new"}
    assert fetch.fetch(source).read_bytes() == b"new"


def test_order_environment_then_checkpoints_then_cache(
    fake_hub, checkpoints, tmp_path, monkeypatch
):
    put(fake_hub.cache / SOURCE.hub / "last_version.pt")
    assert fetch.fetch(SOURCE) == fake_hub.cache / SOURCE.hub / "last_version.pt"
    ours = put(checkpoints / "NAR-L" / "last_version.pt")
    assert fetch.fetch(SOURCE) == ours
    mine = put(tmp_path / "mine" / "NAR-imagenet-256-L" / "w.safetensors")
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("NAR_CHECKPOINTS", f"{other}:{mine.parents[1]}".replace(":", os.pathsep))
    assert fetch.fetch(SOURCE) == mine
    assert fake_hub.fetched == []


def test_what_is_fetched_lands_in_the_cache_that_is_named(
    fake_hub, checkpoints, tmp_path, monkeypatch
):
    fake_hub.files[SOURCE.hub] = {"any.pt": b"weights"}
    monkeypatch.setenv("NAR_CHECKPOINTS", str(tmp_path / "mine"))
    assert fetch.fetched_folder() == tmp_path / "mine"
    monkeypatch.setenv("NAR_CACHE", str(tmp_path / "kept"))
    path = fetch.fetch(SOURCE)
    assert path == tmp_path / "kept" / "NAR-L" / "any.pt"
    assert fetch.locate(SOURCE) == path
    assert fetch.checkpoint_folders() == [tmp_path / "mine", tmp_path / "kept", checkpoints]


def test_of_installed_packages_the_users_cache_is_written_to(tmp_path, monkeypatch, checkpoints):
    monkeypatch.setattr(fetch, "INSIDE", checkpoints)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fetch.fetched_folder() == tmp_path / "xdg" / "nar-studio"


def test_local_forms(checkpoints, fake_hub):
    assert not fetch.is_here(SOURCE)
    single = put(checkpoints / "NAR-L.pth")
    assert fetch.locate(SOURCE) == single
    tokenizer = Source("vq16-class", "someone/LlamaGen", "vq_ds16_c2i.pt")
    assert fetch.locate(tokenizer) is None
    assert fetch.locate(tokenizer) != put(checkpoints / "last_version.pt")
    assert fetch.locate(tokenizer) is None
    assert fetch.locate(tokenizer) != put(checkpoints / "vq_ds16_c2i.pt", "y").parent
    assert fetch.locate(tokenizer) == checkpoints / "vq_ds16_c2i.pt"


def test_an_unclear_folder_is_refused_by_name_but_listed(checkpoints, fake_hub):
    put(checkpoints / "NAR-L" / "a.pt")
    put(checkpoints / "NAR-L" / "b.pt")
    with pytest.raises(ValueError, match=r"a\.pt, b\.pt"):
        fetch.fetch(SOURCE)
    assert not fetch.is_here(SOURCE)


def test_offline_says_what_to_download_and_where_to_put_it(fake_hub):
    fake_hub.online = False
    with pytest.raises(FileNotFoundError) as caught:
        fetch.fetch(Source("NAR-B", "someone/NAR-imagenet-256-B", "last_version.pt"))
    message = str(caught.value)
    for part in (
        "no route",
        "download last_version.pt",
        "someone/NAR-imagenet-256-B",
        "checkpoints/NAR-B",
        "NAR_CHECKPOINTS",
    ):
        assert part in message
