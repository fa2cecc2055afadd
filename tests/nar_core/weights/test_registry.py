"""The list of models."""

from __future__ import annotations

import torch

from nar_core.models.transformer import NARTransformer
from nar_core.weights.registry import class_names, list_models, official_models


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
        assert model.bytes > 4 * model.parameters


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
