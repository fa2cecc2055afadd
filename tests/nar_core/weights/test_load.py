"""An official model from files in a checkpoint folder to pixels, at a tiny size."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nar_core import Engine, Request
from nar_core.models.condition import Caption, ConditionConfig
from nar_core.models.transformer import NARTransformer
from nar_core.plan import GridShape
from nar_core.tokenizers.larp_video import LarpConfig, LarpTokenizer
from nar_core.tokenizers.vq_image import VQConfig, VQTokenizer
from nar_core.weights import list as listing
from nar_core.weights import load
from nar_core.weights.adapt import larp_config
from nar_core.weights.fetch import Source
from nar_core.weights.load import digest_of, load_model

from ..helpers import official_config, published

VQ = VQConfig((8, 8), 32, (1, 1), (1, 1), 1, 32, 31, 4)
LARP = LarpConfig((3, 2, 2), (16, 16), 4, (2, 8, 8), 16, 1, 2, 32, 2, 4, 31, 4)


def install(monkeypatch, like: str, tokenizer: str, **info) -> listing.Official:
    """Make "tiny" an official model in the manner of `like`."""
    whole = listing.official_models()[like]
    grid = GridShape(*info.pop("grid"))
    tiny = replace(
        whole,
        info=replace(whole.info, name="tiny", grid=grid, labels=tuple("abcde"), **info),
        config=official_config(grid),
        weights=Source("tiny", "someone/tiny"),
        tokenizer=Source(tokenizer, "someone/else"),
    )
    models = {"tiny": tiny}
    monkeypatch.setattr(load, "official_models", lambda: models)
    return tiny


@pytest.fixture
def picture_model(monkeypatch, checkpoints):
    tiny = install(monkeypatch, "NAR-B", "vq16-class", grid=(1, 4, 4), size=(8, 8))
    torch.manual_seed(0)
    (checkpoints / "tiny").mkdir()
    weights = published(NARTransformer(tiny.config))
    torch.save({"model": weights}, checkpoints / "tiny" / "last_version.pt")
    (checkpoints / "tiny" / "config.json").write_text('{"n_head": 2}')
    torch.save(
        {"model": {**VQTokenizer(VQ).state_dict(), "quantize.codebook_used": torch.zeros(9)}},
        checkpoints / "vq16-class.pt",
    )
    return tiny


def test_a_picture_model_from_files_to_pixels(picture_model):
    engine = Engine.load("tiny", device="cpu")
    frame = engine.generate_all(Request(label="c", num_samples=2, guidance_scale=2.0))
    assert frame.total == 7
    assert engine.decode(frame.tokens).shape == (2, 1, 8, 8, 3)
    assert engine.preview(np.where(frame.tokens > 15, -1, frame.tokens)).shape == (2, 1, 8, 8, 3)
    assert engine.encode(engine.decode(frame.tokens)).shape == (2, 1, 4, 4)
    assert engine.info.available
    assert "decoder.conv_blocks.0.upsample.conv.weight" not in engine.tokenizer.state_dict()
    with pytest.raises(ValueError, match="upper-left corner only"):
        engine.generate(Request(label="c", seed_position=(2, 2)))


def test_a_folder_named_like_the_model_is_enough(picture_model, checkpoints, tmp_path):
    moved = (checkpoints / "tiny").rename(tmp_path / "tiny")
    assert load_model(moved).info.name == "tiny"


def shard(folder, tensors) -> None:
    """Two shards and the index that names them, in place of what lies there."""
    for path in folder.glob("*.pt"):
        path.unlink()
    names = sorted(tensors)
    files = {name: f"model-{i % 2 + 1}-of-2.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        save_file({n: tensors[n].contiguous() for n in names if files[n] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_weights_in_shards_are_those_of_one_file(picture_model, checkpoints):
    folder = checkpoints / "tiny"
    whole = torch.load(folder / "last_version.pt", weights_only=True)["model"]
    one = load_model("tiny")
    shard(folder, whole)
    several = load_model("tiny")
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, several.model.state_dict()[name]), name
    assert load_model(folder).digest == several.digest != one.digest
    (folder / "model-2-of-2.safetensors").unlink()
    with pytest.raises(ValueError, match=r"got 1 of the 2 files .* model-2-of-2.safetensors"):
        load_model("tiny")


@pytest.mark.parametrize(("file", "wrapper"), [("pytorch_model.bin", "model"), ("a.pt", "ema")])
def test_other_files_that_trainers_write(picture_model, checkpoints, file, wrapper):
    written = checkpoints / "tiny" / "last_version.pt"
    weights = torch.load(written, weights_only=True)["model"]
    before = load_model("tiny").model.state_dict()
    written.unlink()
    torch.save({wrapper: weights}, checkpoints / "tiny" / file)
    after = load_model("tiny").model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_tokenizer_beside_the_weights_is_found(picture_model, checkpoints, tmp_path):
    moved = (checkpoints / "tiny").rename(tmp_path / "tiny")
    (checkpoints / "vq16-class.pt").rename(tmp_path / "vq16-class.pt")
    assert load_model(moved).info.name == "tiny"


@pytest.mark.parametrize("said", ["tiny", "tiny/last_version.pt", "tiny.pth"])
def test_weights_and_tokenizer_may_lie_in_one_folder(picture_model, checkpoints, tmp_path, said):
    moved = (checkpoints / "tiny").rename(tmp_path / "tiny")
    tokenizer = checkpoints / "vq16-class.pt"
    if said == "tiny.pth":
        (moved / "last_version.pt").rename(tmp_path / said)
        (moved / "config.json").rename(tmp_path / "config.json")
        moved = tmp_path
    tokenizer.rename(moved / tokenizer.name)
    loaded = load_model(tmp_path / said)
    assert loaded.info.name == "tiny"
    assert loaded.model.config.attention_heads == 2  # so that the settings beside were read


@pytest.mark.parametrize("said", [".", "last_version.pt", "../tiny/"])
def test_who_stands_in_the_folder_says_it_shorter(picture_model, checkpoints, monkeypatch, said):
    monkeypatch.chdir(checkpoints / "tiny")
    assert load_model(said).info.name == "tiny"


def test_one_folder_of_both_is_found_by_name(picture_model, checkpoints):
    (checkpoints / "vq16-class.pt").rename(checkpoints / "tiny" / "vq16-class.pt")
    assert load_model("tiny").info.name == "tiny"


def test_a_file_that_does_not_say_its_model_is_refused(picture_model, checkpoints, tmp_path):
    moved = (checkpoints / "tiny" / "last_version.pt").rename(tmp_path / "last_version.pt")
    with pytest.raises(
        ValueError, match=r"last_version\.pt', expected .* named, like its model: tiny"
    ):
        load_model(moved)


def test_weights_for_other_classes_count_them(picture_model, checkpoints):
    condition = replace(picture_model.config.condition, classes=3)
    model = NARTransformer(replace(picture_model.config, condition=condition))
    torch.save(published(model), checkpoints / "tiny" / "last_version.pt")
    engine = Engine.load("tiny", device="cpu")
    assert engine.info.labels == ("class 0", "class 1", "class 2")
    assert engine.generate_all(Request(label="class 2")).tokens.min() >= 0


def test_messages_speak_of_the_names_in_the_file(picture_model, checkpoints):
    written = checkpoints / "tiny" / "last_version.pt"
    weights = torch.load(written, weights_only=True)["model"]
    del weights["layers.0.attention.wo.weight"], weights["medusa_norm.weight"]
    weights["layers.1.feed_forward.w1.weight"] = torch.zeros(3, 3)
    torch.save(weights, written)
    with pytest.raises(ValueError, match="do not fit") as caught:
        load_model("tiny")
    told = str(caught.value)
    assert "missing (2): layers.0.attention.wo.weight, medusa_norm.weight" in told
    assert "layers.1.feed_forward.w1.weight is (3, 3), expected" in told


def test_weights_of_another_size_are_refused(picture_model, monkeypatch):
    wide = replace(picture_model, config=replace(picture_model.config, vocab_size=64))
    monkeypatch.setattr(load, "official_models", lambda: {"tiny": wide})
    with pytest.raises(ValueError, match="not the weights of tiny: vocab_size is 31, expected 64"):
        load_model("tiny")


def test_a_tokenizer_that_does_not_fit_is_refused(picture_model, checkpoints):
    other = VQTokenizer(replace(VQ, codebook_size=30))
    torch.save(other.state_dict(), checkpoints / "vq16-class.pt")
    with pytest.raises(ValueError, match=r"30 codes, expected \(1, 4, 4\) and 31"):
        load_model("tiny")


def test_a_clip_model_from_hub_folders_to_pixels(monkeypatch, checkpoints):
    tiny = install(
        monkeypatch, "NAR-L-ucf101", "larp-l-long", grid=(3, 2, 2), size=(16, 16), frames=4
    )
    torch.manual_seed(0)
    model = NARTransformer(tiny.config)
    image = published(model, video=True)
    save(checkpoints / "tiny", image, {"n_head": 2, "latent_shape": [3, 2, 2], "n_layer": 2})
    tokenizer = LarpTokenizer(LARP).state_dict()
    tokenizer["prior_model.head.weight"] = torch.zeros(3, 3)
    settings = {"encoder_num_heads": "2", "decoder_num_heads": "4", "input_size": 16}
    save(checkpoints / "larp-l-long", tokenizer, {**settings, "frame_num": 4})

    engine = Engine.load("tiny", device="cpu")
    frame = engine.generate_all(Request(label="c"))
    assert frame.total == 5
    assert engine.decode(frame.tokens).shape == (1, 4, 16, 16, 3)
    assert engine.preview(np.where(frame.tokens > 15, -1, frame.tokens)).shape[:2] == (1, 4)
    with pytest.raises(ValueError, match="describes the whole clip, not a place in it"):
        engine.generate(Request(label="c", known=np.where(frame.tokens[0] > 15, -1, 0)))
    with pytest.raises(ValueError, match=r"expected \(0, 0, 0\): tiny has learnt"):
        engine.generate(Request(label="c", seed_position=(0, 0, 1)))


@pytest.mark.parametrize(
    ("grid", "found"), [((2, 2, 2), (2, 2, 2)), ((8, 1, 1), (2, 2, 2)), ((3, 2, 2), (1, 1, 12))]
)
def test_as_many_tokens_as_patches_are_on_the_grid_of_patches(grid, found):
    tensors = LarpTokenizer(replace(LARP, grid=GridShape(*grid))).state_dict()
    assert larp_config(tensors, {"input_size": 16, "frame_num": 4}, None).grid == found


def test_a_text_model_asks_the_encoder_once_per_request(monkeypatch, checkpoints):
    tiny = install(monkeypatch, "NAR-XL-t2i-256", "vq16-text", grid=(1, 4, 4), size=(8, 8))
    condition = ConditionConfig("caption", slots=5, caption_width=6)
    tiny = replace(tiny, config=replace(tiny.config, condition=condition))
    monkeypatch.setattr(load, "official_models", lambda: {"tiny": tiny})
    torch.manual_seed(0)
    save(checkpoints / "tiny", published(NARTransformer(tiny.config)), {"n_head": 2})
    torch.save(VQTokenizer(VQ).state_dict(), checkpoints / "vq16-text.pt")
    asked = []

    def encoder(prompts, device):
        asked.append(prompts)
        lengths = torch.tensor([[len(p.split())] for p in prompts])
        valid = torch.arange(5) >= 5 - lengths
        return Caption(
            torch.ones(len(prompts), 5, 6) * lengths[..., None] * valid[..., None], valid
        )

    monkeypatch.setattr(load, "load_text_encoder", lambda progress: encoder)
    engine = Engine.load("tiny", device="cpu")
    request = Request(prompt=("a cat", "one two three"), num_samples=2, rng_seed=1)
    together = engine.generate_all(request)
    assert asked == [["a cat", "one two three"]]
    # Rows whose captions differ in length share a batch without changing each other.
    alone = engine.generate_all(replace(request, prompt="one two three", num_samples=1, rng_seed=2))
    assert np.array_equal(together.tokens[1], alone.tokens[0])
    other = engine.generate_all(replace(request, prompt="a cat", num_samples=1, rng_seed=2))
    assert not np.array_equal(other.tokens[0], alone.tokens[0])


def save(folder, tensors, settings):
    folder.mkdir()
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(settings))


def test_the_digest_notices_a_changed_end(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(bytes(1_000_000))
    before = digest_of(path)
    path.write_bytes(bytes(999_999) + b"1")
    assert digest_of(path) != before


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"got 'nar', expected .* NAR-B, .*NAR-LP-ucf101"):
        load_model("nar")


def test_of_a_run_folder_its_export_is_named(tmp_path):
    export = tmp_path / "mine" / "export"
    export.mkdir(parents=True)
    for name in ("config.yaml", "generator.safetensors"):
        (export / name).touch()
    with pytest.raises(ValueError, match=rf"run folder, expected a model folder; say {export}$"):
        load_model(tmp_path / "mine")
