"""The paper's recipe on a few pictures, at a tiny size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core import Engine, Request
from nar_core.cli.train import CONFIGS
from nar_core.plan import GridShape
from nar_core.tokenizers.vq_image import VQConfig, VQTokenizer
from nar_core.train import generator, official
from nar_core.train.begin import continued
from nar_core.train.config import load_config
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


def test_epochs_give_the_steps_of_a_compiled_model(setup, compiled):
    config, folder = setup
    config.train.steps, config.train.epochs, config.train.compile = None, 2, True
    generator.train(config, folder, torch.device("cpu"))
    assert config.train.steps == 2 * 6 // 4
    assert len(compiled) == 1


def test_extraction_goes_on_where_it_stopped_and_refuses_other_pictures(setup):
    config, folder = setup
    folder.mkdir()
    files, labels = official.labelled_files(config.data)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    tokenizer = official.load_tokenizer(config.tokenizer, size=(8, 8))
    path, cpu = folder / "codes.npy", torch.device("cpu")
    whole = np.array(official.extract_codes(files, tokenizer, path, False, cpu))
    assert whole.shape == (6, 2, 16)
    codes = np.load(path)
    codes[:4] = 7
    codes[4:] = 0
    np.save(path, codes)
    record = path.with_suffix(".json")
    record.write_text(record.read_text().replace('"done": 6', '"done": 4'))
    resumed = official.extract_codes(files, tokenizer, path, False, cpu)
    assert (resumed[:4] == 7).all()
    assert np.array_equal(resumed[4:], whole[4:])
    with pytest.raises(ValueError, match="codes of other pictures"):
        official.extract_codes(files[1:], tokenizer, path, False, cpu)


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


def test_unfit_data_is_refused(setup, tmp_path):
    config, folder = setup
    config.data = str(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="a sub-folder of pictures per class"):
        generator.train(config, folder, torch.device("cpu"))


def test_the_recipe_is_the_papers():
    for name in ("NAR-B", "NAR-M", "NAR-L", "NAR-XL", "NAR-XXL"):
        config = load_config(CONFIGS / f"{name.lower()}.yaml", ["data=x"], "generator")
        train = config.train
        assert config.official == name
        assert (train.epochs, train.batch, train.adamw_lr) == (300, 256, 1e-4)
        assert (train.weight_decay, list(train.betas), train.null_share) == (0.05, [0.9, 0.95], 0.1)
