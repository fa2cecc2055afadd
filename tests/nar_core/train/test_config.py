"""Configurations are typed: what is unknown, misspelt or of another type is refused at once."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from nar_core.cli.train import CONFIGS, config_names
from nar_core.models.transformer import NARTransformer
from nar_core.train.config import (
    FolderSource,
    GeneratorConfig,
    OfficialConfig,
    TokenizerConfig,
    WorldSource,
    architecture,
    config_of,
    load_config,
    said,
)

FOLDER = {"captions": ["source.folder=x"], "small": ["source.folder=x"], "nar-": ["data=x"]}


def whole(name: str, *changes: str):
    needed = next((v for k, v in FOLDER.items() if name.startswith(k)), [])
    what = "tokenizer" if "tokenizer" in name else "generator"
    return load_config(CONFIGS / f"{name}.yaml", [*needed, *changes], what)


@pytest.mark.parametrize("name", config_names())
def test_every_configuration_that_comes_along_is_complete(name):
    config = whole(name)
    kind = OfficialConfig if name.startswith("nar-") else GeneratorConfig
    assert type(config) is (TokenizerConfig if "tokenizer" in name else kind)
    if isinstance(config, GeneratorConfig):
        assert architecture(config.model).vocab_size == 0  # the tokenizer says
        assert isinstance(config.source, FolderSource | WorldSource)
        written = OmegaConf.to_yaml(OmegaConf.create(said(config.info)))
        assert "null" not in written


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("fruit", "train.stepz=3", "fruit.yaml, train.stepz: Key 'stepz' .* Did you mean: 'steps'"),
        ("fruit", "infos.title=x", "fruit.yaml, infos: .* Did you mean: 'info'"),
        ("fruit", "info.titel=x", "info.titel: .* Did you mean: 'title'"),
        ("fruit", "info.top_q=0.5", "info.top_q: .* Did you mean one of: 'top_p', 'top_k'"),
        ("fruit", "model.dept=3", "model.dept: .* Did you mean: 'depth'"),
        ("fruit", "model.condition.clases=3", "condition.clases: .* Did you mean: 'classes'"),
        ("fruit", "source.foldr=x", "source.foldr: .* Did you mean: 'folder'"),
        ("emoji", "source.windw=3", "source.windw: .* Did you mean: 'window'"),
        ("nar-b", "train.epoch=3", "nar-b.yaml, train.epoch: .* Did you mean: 'epochs'"),
        ("mini-tokenizer", "model.sizes=3", "model.sizes: .* Did you mean: 'size'"),
        ("fruit", "train.steps=many", "train.steps: Value 'many' of type 'str' could not be"),
        ("fruit", "train.steps=2.5", "train.steps: Value '2.5' of type 'float' could not be"),
        ("fruit", "model.grid=[1,2]", "length 2 does not match type hint length 3"),
        ("fruit", "model.known_level=never", r"expected one of \['zero', 'distance'\]"),
        ("fruit", "info.task=words", r"expected one of \['text', 'class'\]"),
        ("fruit", "source=null", "source: got null, expected a folder or a world"),
        ("fruit", "train.batch=null", "train: got neither batch nor growths"),
        ("fruit", "train.steps=0", "fruit.yaml, train.steps: got 0, expected from 1 up"),
        ("fruit", "train.minutes=.nan", "train.minutes: got nan, expected from 0 up"),
        ("fruit", "train.adamw_lr=.inf", "train.adamw_lr: got inf, expected from 0 up"),
        ("fruit", "train.betas=[0.9,1.5]", "train.betas: .*, expected from 0 to 1"),
        ("fruit", "train.corner_share=0.9", "got corner_share 0.9 and centre_share 0.15"),
        ("fruit", "model.known_level=distance", "got 'distance' with train.known_share 0.3"),
        ("fruit", "train.starts=middle", r"expected one of \['any', 'corner'\]"),
        ("fruit", "model.grid=[0,4,4]", r"model.grid: got \(0, 4, 4\), expected from 1 up"),
        ("fruit", "model.norm=none", r"expected one of \['rms', 'layer'\]"),
        ("fruit", "model.taps={-h: 0}", "model.taps: .*, expected from 1 up"),
        ("fruit", "source.scale=[2,1]", r"source.scale: got \(2.0, 1.0\), expected two in order"),
        ("fruit", "source.only.label=cat", "source.only: got {'label': 'cat'}, expected the val"),
        ("fruit", "source.drop={label:[a]}", "fruit.yaml: got no YAML .*, expected key: value"),
        ("fruit", "info.task=text", "condition.kind: got 'class' with info.task 'text' and a so"),
        ("emoji", "model.condition.kind=words", "got 'words' .*world 'emoji', expected 'facts'"),
        ("emoji", "train.growths=[{cells: 9, batch: 0, share: 1}]", r"growths\[0\].batch: got 0"),
        ("emoji", "train.growths=[{cells: 9, batch: 1, share: 0}]", "got no share above 0"),
        ("nar-b", "train.null_share=2", "train.null_share: got 2.0, expected from 0 to 1"),
        ("mini-tokenizer", "sources=[]", "sources: got no weight above 0"),
        ("mini-tokenizer", "train.window=12", "train.window: got 12, expected a multiple of 8"),
        ("mini-tokenizer", "model.levels=[999,999]", "are 998001 codes, expected at most 32768"),
    ],
)
def test_a_mistake_is_refused_with_what_was_meant(name, change, told):
    with pytest.raises(ValueError, match=told):
        whole(name, change)


def test_codes_are_extracted_alone_by_no_steps():
    assert whole("nar-b", "train.steps=0").train.steps == 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a: [1", "mine.yaml: got no YAML"),
        (b"a: \xff\xfe", "mine.yaml: got no YAML"),
        (b"- a", "mine.yaml: got a list"),
        (b"", "mine.yaml, "),
    ],
)
def test_a_file_that_is_no_configuration_is_told(tmp_path, data, told):
    (tmp_path / "mine.yaml").write_bytes(data)
    with pytest.raises(ValueError, match=told):
        load_config(tmp_path / "mine.yaml", [], "generator")


def test_what_must_be_said_is_named():
    told = r"captions.yaml, source.folder: got nothing, expected a value; say"
    with pytest.raises(ValueError, match=told):
        load_config(CONFIGS / "captions.yaml", [], "generator")


def test_a_source_is_a_folder_or_a_world():
    assert isinstance(whole("emoji").source, WorldSource)
    folder = {"folder": "x", "hold_out": 0.1, "variants": 1, "plain_share": 1.0, "shift": 0.0}
    folder |= {"scale": [1.0, 1.0], "flip": 0.0, "tinted": 0.0, "world": None}
    values = OmegaConf.load(CONFIGS / "captions.yaml")
    values.source = folder
    assert config_of(values, "generator").source.folder == "x"


def test_the_five_that_are_compared_differ_in_one_thing_each():
    names = "raster", "one-head", "heads", "any-start", "gate"
    configs = [whole(f"ablation-{name}") for name in names]
    for config in configs:
        config.model.vocab_size, config.model.condition.slots = 64, 4
    sizes = [
        sum(p.numel() for p in NARTransformer(architecture(config.model)).parameters())
        - 2 * 64 * config.model.width
        + 2 * 4096 * config.model.width
        for config in configs
    ]
    assert max(sizes) < 1.03 * min(sizes)
    heads = said(configs[2].model)
    allowed = [{"order", "taps"}, {"one_head"}, set(), {"taps"}, {"gate"}]
    for config, differs in zip(configs, allowed, strict=True):
        own = said(config.model)
        assert {k for k in own if own[k] != heads[k]} == differs
        assert said(config.source) == said(configs[0].source)
        train, first = said(config.train), said(configs[0].train)
        unlike = {k for k in train if train[k] != first[k]}
        assert unlike == ({"starts"} if config is configs[3] else set())


def test_a_configuration_that_is_like_one_that_is_not_there_says_so(tmp_path):
    (tmp_path / "mine.yaml").write_text("like: other\n")
    with pytest.raises(ValueError, match=r"mine.yaml, like: got other, expected a file other.yaml"):
        load_config(tmp_path / "mine.yaml", [], "generator")
