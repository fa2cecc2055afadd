"""The list of models."""

from __future__ import annotations

import json

import torch

from nar_core.models.transformer import NARTransformer
from nar_core.weights.list import class_names, list_models, official_models


def test_sizes_agree_with_the_published_parameter_counts():
    for name, official in official_models().items():
        with torch.device("meta"):
            model = NARTransformer(official.config)
        assert sum(p.numel() for p in model.parameters()) == official.info.parameters, name


def test_list_tells_what_a_picker_needs(checkpoints):
    models = {m.name: m for m in list_models()}
    assert set(models) == set(official_models())
    small, clip = models["NAR-B"], models["NAR-LP-ucf101"]
    assert (small.task, small.media, small.grid, small.size) == (
        "class", "image", (1, 16, 16), (256, 256)
    )  # fmt: skip
    assert small.directions == ("+w", "+h")
    assert clip.directions == ("+w", "+h", "+t")
    assert clip.frames == 16
    assert models["NAR-XL-t2i-512"].prompts
    assert models["NAR-XL-t2i-512"].grid == (1, 32, 32)
    for model in models.values():
        assert model.seed_positions == "corner"
        assert model.known_level == "distance"
        assert model.licence
        assert not model.available
        assert not model.embedded
        assert model.bytes == model.download > 4 * model.parameters
        assert model.vocab_size in (8192, 16384)


def test_only_what_is_missing_would_be_fetched(checkpoints):
    def told(name: str):
        return next(m for m in list_models() if m.name == name)

    large = told("NAR-L")
    (checkpoints / "vq_ds16_c2i.pt").touch()
    assert told("NAR-L").download == 4 * large.parameters
    (checkpoints / "NAR-L.pt").touch()
    assert (told("NAR-L").download, told("NAR-L").available) == (0, True)
    # A text model also needs its encoder, all shards of it.
    encoder = checkpoints / "flan-t5-xl"
    encoder.mkdir()
    for name in ("NAR-XL-t2i-256.pt", "vq_ds16_t2i.pt", "flan-t5-xl/config.json"):
        (checkpoints / name).touch()
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (encoder / "model.safetensors.index.json").write_text(json.dumps(index))
    (encoder / "one.safetensors").touch()
    assert not told("NAR-XL-t2i-256").available
    assert told("NAR-XL-t2i-256").download > 10e9
    (encoder / "two.safetensors").touch()
    assert told("NAR-XL-t2i-256").available


def test_memory_follows_device_and_dtype(checkpoints):
    model = next(m for m in list_models() if m.name == "NAR-B")
    cache = 2 * 13 * 768 * (1 + 256)
    assert model.cache_values == cache
    whole = 4 * (model.parameters + 2 * cache) + 4 * 71_883_403
    assert model.memory("cpu", "float32") == whole
    assert model.memory("cpu", "bfloat16") == whole - 2 * (model.parameters + 2 * cache)
    text = next(m for m in list_models() if m.name == "NAR-XL-t2i-512")
    assert text.memory("cpu", "float32") > 2 * text.text_parameters + 4 * text.parameters


def test_class_names_are_names_in_the_published_order():
    names = class_names("imagenet")
    assert len(names) == len(set(names)) == 1000
    # The classes of the published demo, and the ends of the list.
    expected = {
        0: "tench",
        88: "macaw",
        207: "Golden Retriever",
        279: "Arctic fox",
        360: "otter",
        387: "red panda",
        417: "balloon",
        974: "geyser",
        979: "valley",
        999: "toilet paper",
    }
    assert {i: names[i] for i in expected} == expected
    names = class_names("ucf101")
    assert len(names) == len(set(names)) == 101
    # Sorted with capitals first, as the published data code does: not the official list's order.
    assert names[34:36] == ("hammer throw", "hammering")
    assert names[46:48] == ("jump rope", "jumping jack")
    assert names[0] == "apply eye makeup"
    assert names[100] == "yo-yo"
