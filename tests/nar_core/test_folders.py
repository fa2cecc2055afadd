"""Bad model folders: one of them takes no other with it."""

from __future__ import annotations

import shutil

import pytest
from omegaconf import OmegaConf

from nar_core import Engine, list_models
from nar_core.weights.fetch import CHECKPOINTS

GOOD = CHECKPOINTS / "emoji"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of models that is searched."""
    monkeypatch.setenv("NAR_CHECKPOINTS", str(tmp_path))
    return tmp_path


def config(**changes: str) -> str:
    text = (GOOD / "config.yaml").read_text("utf-8")
    return text.replace("title:", changes.get("title", "title:"))


@pytest.mark.parametrize(
    "text",
    [
        "x: [",
        "a: 1",
        "",
        "- a\n- b",
        "7",
        "info: null\nmodel: null\ntokenizer: x",
        "!!python/object/apply:os.system ['false']",
        "tokenizer: ../../../../etc\ninfo: {}\nmodel: {}",
        config().replace("tokenizer: ", "tokenizer: ../nowhere/"),
    ],
)
def test_a_bad_folder_is_left_out_with_its_path_and_reason(root, caplog, text):
    bad = root / "aaa-bad"
    bad.mkdir()
    (bad / "config.yaml").write_text(text)
    (bad / "generator.safetensors").write_bytes(b"x")
    names = [m.name for m in list_models()]
    assert "emoji" in names
    assert "aaa-bad" not in names
    assert str(bad) in caplog.text
    with pytest.raises(ValueError, match="aaa-bad"):
        Engine.load("aaa-bad")


def test_a_configuration_is_not_read_whatever_its_size(root, caplog):
    shutil.copytree(CHECKPOINTS / "world-tokenizer", root / "world-tokenizer")
    large = shutil.copytree(GOOD, root / "large")
    assert "large" in [m.name for m in list_models()]
    with open(large / "config.yaml", "a") as file:
        file.write(f"# {'x' * 2_000_000}\n")
    assert "large" not in [m.name for m in list_models()]
    assert f"{large / 'config.yaml'}: got 2 MB, expected names and values of at most" in caplog.text


def test_empty_weights_are_told(root, caplog):
    (root / "hollow").mkdir()
    shutil.copytree(CHECKPOINTS / "world-tokenizer", root / "world-tokenizer")
    (root / "hollow" / "config.yaml").write_text(config())
    (root / "hollow" / "generator.safetensors").write_bytes(b"")
    assert "hollow" not in [m.name for m in list_models()]
    assert "got an empty file" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("parameters", "many", "'many', expected a whole number from 0"),
        ("world", "moon", "'moon', expected none or one of emoji"),
        ("world", "[a]", "['a'], expected none or one of emoji"),
        ("fps", "q", "'q', expected a whole number from 0"),
        ("title", "[1]", "[1], expected text"),
        ("task", "zzz", "'zzz', expected one of text, class"),
        ("labels", "abc", "'abc', expected a list"),
        ("labels[1]", "[a, 2]", "2, expected text"),
        ("default_seed_position", "[1, 2]", "[1, 2], expected 3 values"),
        ("default_seed_position", "[0, 99, 0]", "(0, 99, 0), expected a cell of the grid (1,"),
        ("accepts_known", "3", "3, expected true or false"),
        ("guidance_scale", "x", "'x', expected a number from 1"),
    ],
)
def test_what_a_folder_says_of_its_model_is_of_the_right_kind(root, caplog, name, value, told):
    shutil.copytree(CHECKPOINTS / "world-tokenizer", root / "world-tokenizer")
    wrong = shutil.copytree(GOOD, root / "wrong")
    text = OmegaConf.load(wrong / "config.yaml")
    changed = OmegaConf.create(f"info: {{{name.split('[')[0]}: {value}}}")
    OmegaConf.save(OmegaConf.merge(text, changed), wrong / "config.yaml")
    names = [m.name for m in list_models()]
    assert "wrong" not in names
    assert "emoji" in names
    assert f"{name}: got {told}" in caplog.text


def test_the_list_is_read_again_only_when_it_changes(root, monkeypatch):
    from nar_core.weights import list as listing

    shutil.copytree(CHECKPOINTS / "world-tokenizer", root / "world-tokenizer")
    model = root / "mine"
    model.mkdir()
    (model / "generator.safetensors").write_bytes(b"x")
    (model / "config.yaml").write_text(config())
    read = []

    def counted(folder, embedded=False):
        read.append(folder.name)
        return plain(folder, embedded)

    plain = listing.read_info
    monkeypatch.setattr(listing, "read_info", counted)
    titles = [next(m.title for m in list_models() if m.name == "mine") for _ in range(3)]
    assert read.count("mine") == 1
    (model / "config.yaml").write_text(config(title="title: New"))
    assert next(m.title for m in list_models() if m.name == "mine") == "New " + titles[0]
    assert read.count("mine") == 2
    for loss in (0.25, 0.125):
        (model / "record.yaml").write_text(f"losses: {{loss_any: {loss}}}")
        assert next(m.held_out_loss for m in list_models() if m.name == "mine") == loss
    shutil.rmtree(model)
    assert "mine" not in [m.name for m in list_models()]


def test_links_in_a_circle_are_no_models_and_take_none_with_them(root, caplog):
    (root / "circle").symlink_to(root / "circle")
    (root / "loop").mkdir()
    (root / "loop" / "up").symlink_to(root)
    (root / "itself").mkdir()
    (root / "itself" / "config.yaml").symlink_to("config.yaml")
    (root / "itself" / "generator.safetensors").write_bytes(b"x")
    assert {"emoji", "circle", "loop", "itself"} & {m.name for m in list_models()} == {"emoji"}


def test_a_folder_may_go_while_it_is_looked_at(root, monkeypatch):
    from nar_core.weights import list as listing

    class Gone(type(root)):
        def is_file(self):
            return True  # as it was a moment ago

        def glob(self, pattern):
            return [Gone(self / "mine" / "config.yaml")]

    monkeypatch.setattr(listing.fetch, "checkpoint_folders", lambda: [Gone(root)])
    assert listing._stamp() == ()
