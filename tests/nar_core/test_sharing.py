"""Models written as folders of their own, with a card, moved about and sent to a hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from nar_core import Engine, Request

from .helpers import write_model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = write_model_folder(tmp_path_factory.mktemp("models"), "bricks", "class")
    record = {"steps": 12, "losses": {"loss_any": 3.25}, "begun_from": {"name": "walls"}}
    OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
    (folder / "LICENSE.md").write_text("Do as you please.")
    return folder


@pytest.fixture(scope="module")
def engine(folder) -> Engine:
    return Engine.load(folder, "cpu", "float32")


def test_a_saved_model_is_the_same_wherever_it_is_moved(engine, tmp_path):
    saved = engine.save_pretrained(tmp_path / "here" / "bricks")
    moved = tmp_path / "there" / "walls"
    moved.parent.mkdir()
    shutil.move(saved, moved)
    other = Engine.load(moved, "cpu", "float32")
    assert (other.info.name, other.digest) == ("walls", engine.digest)
    asked = Request(label="class 2", seed_position=(3, 0))
    same = [e.generate_all(asked).tokens for e in (engine, other)]
    np.testing.assert_array_equal(*same)
    assert (moved / "LICENSE.md").read_text() == "Do as you please."


def test_the_card_tells_what_is_known(engine, tmp_path):
    saved = engine.save_pretrained(tmp_path / "bricks", samples=3)
    _, front, card = (saved / "README.md").read_text("utf-8").split("---\n", 2)
    front = OmegaConf.to_container(OmegaConf.create(front))
    assert (front["license"], front["library_name"]) == ("mit", "nar-studio")
    assert front["pipeline_tag"] == "unconditional-image-generation"
    for told in ("# Tiny", "5 classes", "40 x 32", "steps: 12", "loss_any", "3.25", "walls"):
        assert told in card
    assert "1. class 0\n2. class 2\n3. class 4\n" in card
    assert "label='class 0'" in card
    # Three samples in a row, as the model grows them.
    sheet = np.asarray(Image.open(saved / "samples.png"))
    assert sheet.shape == (32, 3 * 40 + 2 * 4, 3)
    labels = ("class 0", "class 2", "class 4")
    frame = engine.generate_all(Request(label=labels, num_samples=3))
    np.testing.assert_array_equal(sheet[:, 88:], frame.image(2))


def test_what_is_there_is_not_written_over(engine, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="which is taken, expected a new or empty one"):
        engine.save_pretrained(tmp_path)
    engine.folder, folder = None, engine.folder
    try:
        with pytest.raises(ValueError, match="shared by their authors"):
            engine.save_pretrained(tmp_path / "new")
    finally:
        engine.folder = folder


def test_a_hub_gets_the_whole_folder(engine, tmp_path, monkeypatch):
    made, hub = [], tmp_path / "hub"

    def create_repo(self, repo_id, private, exist_ok):
        made.append((repo_id, private, exist_ok))
        return f"https://hub/{repo_id}"

    def upload_folder(self, repo_id, folder_path, commit_message):
        assert made
        shutil.copytree(folder_path, hub / repo_id)

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    assert engine.push_to_hub("me/bricks", private=True) == "https://hub/me/bricks"
    assert made == [("me/bricks", True, True)]
    assert Engine.load(hub / "me" / "bricks", "cpu", "float32").digest == engine.digest
    names = {p.name for p in (hub / "me" / "bricks").iterdir()}
    assert {"README.md", "samples.png", "LICENSE.md", "record.yaml"} <= names
