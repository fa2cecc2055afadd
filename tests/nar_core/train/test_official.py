"""The paper's recipe on a few pictures, at a tiny size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core import Engine, Request
from nar_core.cli.train import CONFIGS
from nar_core.models.condition import Caption, ConditionConfig
from nar_core.picture import open_picture
from nar_core.plan import GridShape
from nar_core.tokenizers.vq_image import VQConfig, VQTokenizer
from nar_core.train import generator, official
from nar_core.train.begin import continued
from nar_core.train.captions import Captions
from nar_core.train.config import load_config
from nar_core.weights import load
from nar_core.weights.list import official_models
from nar_core.weights.load import load_generator

from ..helpers import official_config, published, random_model

GRID = GridShape(1, 4, 4)


@pytest.fixture
def setup(tmp_path, monkeypatch):
    whole = official_models()["NAR-B"]
    info = replace(whole.info, name="tiny", grid=GRID, size=(8, 8), labels=tuple("abcde"))
    tiny = replace(whole, info=info, config=official_config(GRID))
    monkeypatch.setattr(official, "official_models", lambda: {"tiny": tiny})
    torch.manual_seed(0)
    torch.save(
        VQTokenizer(VQConfig((8, 8), 32, (1, 1), (1, 1), 1, 32, 31, 4)).state_dict(),
        tmp_path / "vq.pt",
    )
    rng = np.random.default_rng(0)
    for name, height in (("a", 20), ("b", 9)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 256, (height, 12, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{i}.png")
    changes = ["official=tiny", f"data={tmp_path / 'data'}", f"tokenizer={tmp_path / 'vq.pt'}"]
    changes += [f"train.{x}" for x in ("steps=3", "batch=4", "eval_every=1")]
    changes += ["train.compile=false", "train.bf16=false"]
    return load_config(CONFIGS / "nar-b.yaml", changes, "generator"), tmp_path / "run"


def test_it_trains_some_steps_and_exports_the_published_form(setup):
    config, folder = setup
    config.train.adamw_lr = 0.05
    generator.train(config, folder, torch.device("cpu"))
    assert np.load(folder / "codes.npy").shape == (6, 10, 16)
    losses = [float(x.split(",")[1]) for x in (folder / "log.csv").read_text().split()[1:]]
    # Silent heads begin at the uniform distribution over 31 codes.
    assert losses[0] == pytest.approx(np.log(31), abs=1e-4)
    assert losses[-1] < losses[0]
    exported = folder / "export" / "tiny"
    model = load_generator(exported, grid=GRID)
    assert float(model.heads.heads["right"].output.weight.abs().max()) > 0

    config.init_from = str(exported)
    config.train.steps = 1
    generator.train(config, folder.with_name("again"), torch.device("cpu"))
    again = (folder.with_name("again") / "log.csv").read_text().split()[1]
    assert float(again.split(",")[1]) != pytest.approx(np.log(31), abs=1e-2)


def published_weights(path) -> str:
    """Random weights of the small size in the published form, as if they were trained."""
    torch.save({"model": published(random_model(official_config(GRID)))}, path)
    path.with_suffix(".json").write_text('{"n_head": 2, "n_layer": 2}')
    return str(path)


def test_a_published_model_learns_own_classes_and_to_grow_from_any_cell(setup, tmp_path):
    config, folder = setup
    (tmp_path / "data" / "b").rename(tmp_path / "data" / "My cats")
    config.init_from = published_weights(tmp_path / "nar-b.pt")
    config.own_classes = config.any_seed = True
    config.train.adamw_lr, config.train.steps = 0.02, 6
    generator.train(config, folder, torch.device("cpu"))
    losses = [float(x.split(",")[1]) for x in (folder / "log.csv").read_text().split()[1:]]
    assert losses[-1] < losses[0]
    moved = (folder / "export").rename(tmp_path / "cats")
    engine = Engine.load(moved, device="cpu")
    assert engine.info.labels == ("My cats", "a")
    assert set(engine.info.directions) == {"+w", "-w", "+h", "-h"}
    assert "Begun from tiny" in engine.info.note
    frame = engine.generate_all(Request(label="my cats", seed_position=(2, 1)))
    assert frame.total == 5  # outward in all directions
    hole = np.where(np.arange(16).reshape(1, 4, 4) % 4 == 1, -1, frame.tokens[0])
    filled = engine.generate_all(Request(label="a", known=hole, seed_position=(2, 1)))
    assert np.array_equal(filled.tokens[0][hole >= 0], hole[hole >= 0])
    tokens = official.load_tokenizer(config.tokenizer, size=(8, 8))
    expected = tokens.decode(torch.from_numpy(frame.tokens))[0, 0].clamp(0, 1) * 255
    expected = expected.round().permute(1, 2, 0).numpy()
    assert np.abs(engine.decode(frame.tokens)[0, 0] - expected).max() <= 2  # kept in half


def test_other_classes_alone_leave_the_corner(setup, tmp_path):
    config, folder = setup
    config.init_from = published_weights(tmp_path / "nar-b.pt")
    config.own_classes = True
    generator.train(config, folder, torch.device("cpu"))
    engine = Engine.load(folder / "export", device="cpu")
    assert (engine.info.labels, engine.info.seed_positions) == (("a", "b"), "corner")
    assert engine.generate_all(Request(label="b")).total == 7
    config.init_from = "NAR-C"
    with pytest.raises(ValueError, match="init_from: got NAR-C, expected a weight file or one of"):
        generator.train(config, folder.with_name("other"), torch.device("cpu"))
    config.own_classes, config.init_from = False, None
    for i in range(9):
        (tmp_path / "data" / f"c{i}").mkdir()
        Image.new("RGB", (9, 9)).save(tmp_path / "data" / f"c{i}" / "0.png")
    with pytest.raises(ValueError, match=r"got 11 class folders, .* own_classes=true"):
        generator.train(config, folder.with_name("many"), torch.device("cpu"))


@pytest.fixture
def told(setup, tmp_path, monkeypatch):
    """The same with captions: a tiny text model, its published weights, and an encoder."""
    config, folder = setup
    tiny = official.official_models()["tiny"]
    condition = ConditionConfig("caption", slots=5, caption_width=6)
    form = replace(tiny.config, condition=condition)
    info = replace(tiny.info, task="text", labels=())
    text = replace(tiny, info=info, config=form)
    monkeypatch.setattr(official, "official_models", lambda: {"tiny": text})
    torch.save({"model": published(random_model(form))}, tmp_path / "t2i.pt")
    (tmp_path / "t2i.json").write_text('{"n_head": 2, "n_layer": 2}')
    said = [
        {"file_name": f"{name}/{i}.png", "text": f"{'a ' * i}{name}"}
        for name in "ab"
        for i in range(3)
    ]
    (tmp_path / "data" / "metadata.jsonl").write_text("\n".join(map(json.dumps, said)))
    asked = []

    def encoder(prompts, device):
        asked.extend(prompts)
        lengths = torch.tensor([[len(p.split())] for p in prompts])
        valid = torch.arange(5) >= 5 - lengths
        kinds = torch.tensor([[[1.0 + ("b" in p)]] for p in prompts])
        return Caption((kinds * lengths[..., None] * valid[..., None]).expand(-1, -1, 6), valid)

    for module in (official, load):
        monkeypatch.setattr(module, "load_text_encoder", lambda progress=None: encoder)
    config.init_from, config.train.adamw_lr = str(tmp_path / "t2i.pt"), 0.02
    return config, folder, asked


def test_a_published_text_model_learns_own_captions_and_to_grow_from_any_cell(told, tmp_path):
    config, folder, asked = told
    config.any_seed, config.train.steps, config.train.null_share = True, 8, 0.3
    generator.train(config, folder, torch.device("cpu"))
    assert len(asked) == len(set(asked)) == 6  # each caption once
    losses = [float(x.split(",")[1]) for x in (folder / "log.csv").read_text().split()[1:]]
    assert losses[-1] < losses[0]
    engine = Engine.load((folder / "export").rename(tmp_path / "own"), device="cpu")
    assert (engine.info.task, engine.info.seed_positions) == ("text", "any")
    assert set(engine.info.prompts) == {"a", "a a", "a a a", "b", "a b", "a a b"}
    one = engine.generate_all(Request(prompt="a b", seed_position=(2, 1), guidance_scale=2))
    other = engine.generate_all(Request(prompt="a a a", seed_position=(2, 1), guidance_scale=2))
    assert one.total == 5
    assert not np.array_equal(one.tokens, other.tokens)
    hole = np.where(np.arange(16).reshape(1, 4, 4) % 4 == 1, -1, one.tokens[0])
    filled = engine.generate_all(Request(prompt="a", known=hole, seed_position=(2, 1)))
    assert np.array_equal(filled.tokens[0][hole >= 0], hole[hole >= 0])
    # going on needs no encoder, and what is not told is the null caption
    asked.clear()
    config.train.steps = 9
    generator.train(config, folder, torch.device("cpu"))
    assert not asked


def test_captions_alone_leave_the_corner_and_unfit_ones_are_refused(told, tmp_path):
    config, folder, _ = told
    generator.train(config, folder, torch.device("cpu"))
    assert Engine.load(folder / "export", device="cpu").info.seed_positions == "corner"
    config.own_classes = True
    with pytest.raises(ValueError, match="own_classes: got true, expected false"):
        generator.train(config, folder, torch.device("cpu"))
    config.own_classes = False
    (tmp_path / "data" / "b" / "2.png").unlink()
    with pytest.raises(ValueError, match=r"b/2\.png \(1 in all\), which is not there"):
        generator.train(config, folder, torch.device("cpu"))


def test_rows_that_are_told_nothing_keep_the_mask_of_their_caption(tmp_path):
    def encoder(texts, device):
        valid = torch.tensor([[False, True], [True, True]])[: len(texts)]
        return Caption(torch.full((len(texts), 2, 3), 7.0), valid)

    captions = Captions(["x", "y z"], tmp_path / "c.npy", lambda: encoder, torch.device("cpu"))
    null = torch.full((2, 3), 5.0)
    found = captions.rows(np.array([1, 0, 0]), np.array([False, False, True]), null)
    assert found.valid.tolist() == [[True, True], [False, True], [False, True]]
    assert found.features[:, :, 0].tolist() == [[7, 7], [0, 7], [5, 5]]


def test_heads_that_are_lacking_begin_as_copies():
    before = random_model(official_config(GRID))
    condition = replace(before.config.condition, classes=3, seed_query=True)
    taps = {"+w": 2, "-w": 2, "+h": 3, "-h": 3}
    model = continued(before, replace(before.config, condition=condition, taps=taps))
    old, new = before.state_dict(), model.state_dict()
    for name, source in (("left", "right"), ("above", "below")):
        for leaf in ("norm.weight", "output.weight"):
            copied = new[f"heads.heads.{name}.{leaf}"]
            assert torch.equal(copied, old[f"heads.heads.{source}.{leaf}"])
    assert torch.equal(new["condition.table.weight"][-1], old["condition.table.weight"][-1])
    assert torch.equal(new["seed_query"], old["condition.table.weight"][-1])
    assert all(torch.equal(new[k], old[k]) for k in old if "condition" not in k)
    with pytest.raises(ValueError, match="do not fit"):
        continued(before, replace(before.config, ffn_width=48))


@torch.no_grad()
def test_a_seed_query_begins_as_a_caption_that_says_nothing():
    """As the mean of its slots: the seed token hears one vector where it heard them all."""
    official_form = official_config(GRID)
    caption = ConditionConfig("caption", slots=5, caption_width=6)
    before = random_model(replace(official_form, condition=caption))
    before.condition.null.normal_(generator=torch.Generator().manual_seed(1))
    taps = {"+w": 2, "-w": 2, "+h": 3, "-h": 3}
    asked = replace(caption, seed_query=True)
    model = continued(before, replace(before.config, condition=asked, taps=taps))
    hidden = torch.nn.functional.gelu(
        before.condition.null @ before.condition.fc1.weight.T, approximate="tanh"
    )
    slots = hidden @ before.condition.fc2.weight.T
    assert torch.allclose(model.state_dict()["seed_query"], slots.mean(0), atol=1e-6)


def test_epochs_give_the_steps_of_a_compiled_model(setup, compiled):
    config, folder = setup
    config.train.steps, config.train.epochs, config.train.compile = None, 2, True
    generator.train(config, folder, torch.device("cpu"))
    assert config.train.steps == 2 * 6 // 4
    assert len(compiled) == 1


def test_epochs_that_are_less_than_a_batch_are_refused(setup):
    config, folder = setup
    config.train.steps, config.train.epochs, config.train.batch = None, 1, 8
    with pytest.raises(ValueError, match=r"train\.epochs: got 1 of 6 pictures, fewer than one"):
        generator.train(config, folder, torch.device("cpu"))
    assert not folder.exists()


def test_extraction_goes_on_where_it_stopped_and_begins_anew_for_others(setup, monkeypatch):
    config, folder = setup
    folder.mkdir()
    files, numbers, names = official.labelled_files(Path(config.data))
    assert (numbers.tolist(), names) == ([0, 0, 0, 1, 1, 1], ("a", "b"))
    tokenizer = official.load_tokenizer(config.tokenizer, size=(8, 8))
    path, cpu, opened = folder / "codes.npy", torch.device("cpu"), []

    def codes(of: str, most: int = 6) -> np.ndarray:
        def watched(file, name):
            if len(opened) == most:
                raise KeyboardInterrupt
            opened.append(file)
            return open_picture(file, name)

        opened.clear()
        monkeypatch.setattr(official, "open_picture", watched)
        return np.array(official.extract_codes(files, tokenizer, path, False, cpu, of))

    whole = codes("one")
    assert whole.shape == (6, 2, 16)
    with pytest.raises(KeyboardInterrupt):
        codes("other", 4)
    assert np.array_equal(codes("other"), whole)
    assert opened == files[4:]
    assert np.array_equal(codes("other"), whole)
    assert not opened
    codes("third")
    assert opened == files


def test_a_picture_is_another_by_its_name_size_or_end(setup):
    config, _ = setup

    def told() -> str:
        return official.Pictures.of(config, official.official_models()["tiny"]).digest

    file = Path(config.data) / "a" / "0.png"
    before, raw = told(), file.read_bytes()
    file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    changed = told()
    file.write_bytes(raw)
    assert told() == before != changed
    file.rename(file.with_name("9.png"))
    assert told() != before


def test_folders_are_classes_by_their_names_unless_there_is_one_for_each(setup):
    info = official.official_models()["tiny"].info
    assert official.numbers_of(("v", "w", "x", "y", "z"), info) == [0, 1, 2, 3, 4]
    assert official.numbers_of(("b", "e"), info) == [1, 4]
    for folders in (("b", "cats"), ("x",)):
        with pytest.raises(ValueError, match=r"'(cats|x)' \(1 are not .* own_classes=true"):
            official.numbers_of(folders, info)
    twice = replace(info, labels=("crane", "crane", "dog"))
    with pytest.raises(ValueError, match="'crane'"):
        official.numbers_of(("crane", "dog"), twice)


def test_crops_are_centre_corners_and_mirrors():
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = 255
    two = official.crops(Image.fromarray(pixels), 16, ten=False)
    assert two.shape == (2, 16, 16, 3)
    assert np.array_equal(two[1], two[0][:, ::-1])
    assert two[0][:, :6].max() < 30 < 225 < two[0][:, 10:].min()
    ten = official.crops(Image.fromarray(pixels), 16, ten=True)
    assert ten.shape == (10, 16, 16, 3)
    assert ten[1][:, :10].max() < 30
    assert ten[2][:, 4:].min() > 225


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (None, "which is no folder"),
        ({}, "by class in folders of their own"),
        ({"one.png": True}, "a sub-folder of pictures per class"),
        ({"a/one.png": True, "Metadata.csv": False}, "Metadata.csv, expected index.jsonl"),
    ],
)
def test_unfit_data_is_refused(setup, tmp_path, files, told):
    config, folder = setup
    data = tmp_path / "other"
    for name, is_picture in (files or {}).items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        if is_picture:
            Image.new("RGB", (20, 20)).save(data / name)
        else:
            (data / name).write_text("file_name,text")
    if files is not None:
        data.mkdir(exist_ok=True)
    config.data = str(data)
    with pytest.raises(ValueError, match=told):
        generator.train(config, folder, torch.device("cpu"))


def test_hidden_folders_are_no_classes(tmp_path):
    for name in ("a/one.png", "b/two.png", ".thumbnails/one.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    files, numbers, names = official.labelled_files(tmp_path)
    assert [file.name for file in files] == ["one.png", "two.png", "two.png"]
    assert (numbers.tolist(), names) == ([0, 1, 3], ("a", "b", "empty", "linked"))


def test_the_recipe_is_the_papers():
    for name in ("NAR-B", "NAR-M", "NAR-L", "NAR-XL", "NAR-XXL"):
        config = load_config(CONFIGS / f"{name.lower()}.yaml", ["data=x"], "generator")
        train = config.train
        assert config.official == name
        assert (train.epochs, train.batch, train.adamw_lr) == (300, 256, 1e-4)
        assert (train.weight_decay, list(train.betas), train.null_share) == (0.05, [0.9, 0.95], 0.1)
