"""Reading weight files: containers, refusals, memory."""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nar_core.models.transformer import NARTransformer
from nar_core.plan import GridShape
from nar_core.tokenizers.mini import MiniConfig, MiniTokenizer
from nar_core.tokenizers.vq_image import VQConfig, VQTokenizer
from nar_core.weights.adapt import larp_config
from nar_core.weights.load import load_generator, load_tokenizer
from nar_core.weights.read import fill, read, read_yaml, share_heap

from ..helpers import official_config, published

GRID = GridShape(1, 4, 4)
SETTINGS = '{"block_size": 16, "n_head": 2}'


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return NARTransformer(official_config(GRID)).eval()


@pytest.fixture
def weights(model):
    return published(model)


def same(a: NARTransformer, b: NARTransformer) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[k], other[k]) for k in mine)


def load(path):
    return load_generator(path, grid=GRID)


WRAPPERS = {
    "bare": lambda w: w,
    "model": lambda w: {"model": w, "optimizer": {"state": {0: torch.zeros(2)}}, "steps": 7},
    "with arguments": lambda w: {
        "args": argparse.Namespace(gpt_model="GPT-B", cloud_save_path=None),
        "model": w,
    },
    "module": lambda w: {"module": w, "ds_config": {"stage": 2}},
    "state_dict": lambda w: {"state_dict": w, "epoch": 3},
    "compiled": lambda w: {"model": {f"_orig_mod.{k}": v for k, v in w.items()}},
    "data parallel": lambda w: {f"module._orig_mod.{k}": v for k, v in w.items()},
    "rotary table of older dumps": lambda w: {"model": {**w, "freqs_cis": torch.zeros(17, 4, 2)}},
    "trainer": lambda w: {"model": {"name": "GPT-B", "args": {"n_layer": 2}, "sd": w}},
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers(wrap, weights, model, tmp_path):
    torch.save(wrap(weights), tmp_path / "w.pt")
    (tmp_path / "config.json").write_text(SETTINGS)
    loaded = load(tmp_path)
    assert same(loaded, model)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_old_torch_format_and_safetensors(weights, model, tmp_path):
    torch.save(weights, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    save_file(weights, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        (tmp_path / name).with_suffix(".json").write_text(SETTINGS)
        assert same(load(tmp_path / name), model)


def test_weights_of_a_trainer_are_not_its_averages(weights, tmp_path):
    other = {k: v + 1 for k, v in weights.items()}
    trainer = {"model": {"ema_sd": {0.9: other}, "sd": weights}}
    torch.save(trainer, tmp_path / "w.pt")
    assert torch.equal(read(tmp_path).tensors["norm.weight"], weights["norm.weight"])


def test_the_grid_comes_from_the_settings_or_is_asked_for(weights, tmp_path):
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="block_size"):
        load_generator(tmp_path / "w.pt")
    (tmp_path / "config.json").write_text(SETTINGS)
    assert load_generator(tmp_path).config.grid == GRID


def test_settings_may_stand_in_the_file_at_any_depth(weights, tmp_path):
    said = json.loads(SETTINGS)
    for number, told in enumerate(
        (
            {"args": argparse.Namespace(**said), "model": weights},
            {"args": {"epochs": 3}, "model": {"args": said, "sd": weights}},
        )
    ):
        (tmp_path / str(number)).mkdir()
        torch.save(told, tmp_path / str(number) / "w.pt")
        assert load_generator(tmp_path / str(number)).config.grid == GRID


def test_a_yaml_file_of_a_list_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("- 1\n- 2\n")
    with pytest.raises(ValueError, match=r"config\.yaml: got list, expected names and values"):
        read_yaml(tmp_path / "config.yaml")


def test_a_llamagen_file_is_refused_by_name(weights, tmp_path):
    plain = {k: v for k, v in weights.items() if "medusa" not in k and "layers.2." not in k}
    torch.save({"model": plain}, tmp_path / "c2i_B_256.pt")
    with pytest.raises(ValueError, match="LlamaGen generator, which has no vertical head"):
        load(tmp_path / "c2i_B_256.pt")


def test_larps_raster_baseline_is_refused_by_name(weights, tmp_path):
    plain = {k: v for k, v in weights.items() if "medusa" not in k}
    torch.save({**plain, "abs_pe": torch.zeros(1, 17, 32)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="LARP's own raster generator"):
        load(tmp_path / "w.pt")


def test_every_mismatch_is_named(weights, tmp_path):
    del weights["layers.0.attention.wo.weight"], weights["norm.weight"]
    weights["layers.1.ffn_norm.weight"] = torch.zeros(5)
    weights["surplus.weight"] = torch.zeros(5)
    torch.save({"model": weights}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="do not fit") as caught:
        load(tmp_path / "w.pt")
    message = str(caught.value)
    for part in (
        "missing (2)",
        "layers.0.attention.wo.weight, norm.weight",
        "unexpected (1): surplus.weight",
        "layers.1.ffn_norm.weight is (5,), expected (32,)",
    ):
        assert part in message


def test_a_whole_number_is_no_weight(weights, tmp_path):
    weights["norm.weight"] = weights["norm.weight"].long()
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"wrong dtype .* norm\.weight is torch\.int64"):
        load(tmp_path / "w.pt")


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('code in a weight file was run')",)


def test_pickled_code_is_refused_and_not_run(weights, tmp_path):
    torch.save({"model": weights, "note": Trap()}, tmp_path / "zip.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"model": Trap()}))
    for name in ("zip.pt", "plain.pt"):
        with pytest.raises(ValueError, match="refused, because it holds pickled code"):
            load(tmp_path / name)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(suffix, share, weights, tmp_path):
    path = tmp_path / f"w{suffix}"
    torch.save(weights, path) if suffix == ".pt" else save_file(weights, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match="damaged or not a weight file"):
        load(path)


def test_a_file_of_another_kind_is_named(weights, tmp_path):
    config = VQConfig((16, 16), 32, (1, 1), (1, 1), 1, 32, 16, 4)
    save_file(VQTokenizer(config).state_dict(), tmp_path / "vq.safetensors")
    with pytest.raises(ValueError, match="got a VQ picture tokenizer, expected an official NAR"):
        load(tmp_path / "vq.safetensors")
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"got an official NAR picture generator, expected an off"):
        load_tokenizer(tmp_path / "w.pt")
    torch.save({"epoch": 3}, tmp_path / "n.pt")
    with pytest.raises(ValueError, match="got a dictionary of epoch"):
        load(tmp_path / "n.pt")
    with pytest.raises(ValueError, match="expected an existing file or folder"):
        load(tmp_path / "absent.pt")


def test_a_dictionary_in_itself_and_an_index_of_itself_are_refused(tmp_path):
    within: dict = {}
    within["model"] = within
    torch.save(within, tmp_path / "loop.pt")
    with pytest.raises(ValueError, match="more than 8 deep"):
        read(tmp_path / "loop.pt")
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": index.name}}))
    with pytest.raises(ValueError, match="files beside it only"):
        read(index)
    index.write_text(json.dumps({"weight_map": {"a": "one.bin"}}))
    torch.save(torch.zeros(1), tmp_path / "one.bin")
    with pytest.raises(ValueError, match=r"one\.bin: got Tensor, expected a dictionary"):
        read(index)


@pytest.mark.parametrize("args", [3, [1, 2], "n_layer"])
def test_settings_of_another_kind_are_refused_with_their_file(args, weights, tmp_path):
    torch.save({"model": weights, "args": args}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w\.pt: got args of \w+, expected names and values"):
        read(tmp_path / "w.pt")


@pytest.mark.parametrize(
    "settings",
    [
        {"n_layer": [1]},
        {"n_layer": "x"},
        {"n_head": -1},
        {"block_size": [4]},
        {"rope_base": {"a": 1}},
    ],
)
def test_a_setting_of_another_kind_is_named(settings, weights, tmp_path):
    torch.save(weights, tmp_path / "w.pt")
    (tmp_path / "config.json").write_text(json.dumps({**json.loads(SETTINGS), **settings}))
    with pytest.raises(ValueError, match=f"{next(iter(settings))}: got .* expected a number from"):
        load_generator(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"bottleneck": "x"},
        {"bottleneck": {"args": 3}},
        {"bottleneck": {"args": {"regularizer": 1}}},
    ],
)
def test_a_setting_that_should_hold_others_is_named(settings):
    with pytest.raises(ValueError, match="expected names and values"):
        larp_config({}, settings, None)


def test_nothing_is_half_loaded(weights):
    """A mismatch found late leaves the tensors as they were."""
    before = dict(weights)
    with pytest.raises(ValueError, match="do not fit"):
        fill(lambda: torch.nn.Linear(2, 2), weights, where="here")
    assert weights == before


def test_nothing_is_drawn_for_weights_that_are_filled_in(monkeypatch):
    """Nor where tables that no file holds have to be made besides."""
    config = MiniConfig(size=(16, 16))
    saved = MiniTokenizer(config)

    def drawn(*_):
        raise AssertionError("drawn")

    for name in ("_no_grad_normal_", "_no_grad_uniform_"):
        monkeypatch.setattr(torch.nn.init, name, drawn)
    with pytest.raises(AssertionError, match="drawn"):
        MiniTokenizer(config)
    loaded = fill(lambda: MiniTokenizer(config), dict(saved.state_dict()), where="here")
    tables = dict(loaded.named_buffers())
    assert tables
    assert all(torch.equal(tables[name], table) for name, table in saved.named_buffers())


def test_a_file_of_names_and_values_is_read_again_when_it_has_changed(tmp_path):
    """And what somebody makes of what they were given is their own."""
    file = tmp_path / "config.yaml"
    for value in (1, 2):
        file.write_text(f"names: [{value}]")
        read_yaml(file)["names"].append("mine")
        assert read_yaml(file) == {"names": [value]}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_loading_keeps_one_copy_in_memory(tmp_path):
    """The process grows by the weights once, also when the file's type has to be converted.

    Nor does it grow by torch's compiler, which draws what modules begin with where they have none.
    """
    script = textwrap.dedent("""
        import re, sys, torch
        from nar_core.weights.read import fill, read
        make = lambda: torch.nn.Sequential(
            *[torch.nn.Linear(2048, 2048, bias=False) for _ in range(6)]
        )
        torch.zeros(1) @ torch.zeros(1)
        # not getrusage: its peak is inherited from the process that started this one
        status = lambda: open("/proc/self/status").read()
        peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status())[1]) / 1024
        before = peak()
        tensors = read(sys.argv[1]).tensors
        module = fill(make, tensors, where="here")
        print(peak() - before)
        from nar_core.weights.load import load_model
        load_model("emoji")
        assert "torch._dynamo" not in sys.modules
    """)
    path = tmp_path / "w.pt"
    half = {f"{i}.weight": torch.ones(2048, 2048).half() for i in range(6)}
    torch.save({"model": half, "optimizer": torch.zeros(50_000_000)}, path)
    run = [sys.executable, "-c", script, str(path)]
    grown = float(subprocess.run(run, check=True, capture_output=True).stdout)
    # 48 MiB mapped in half precision, 96 as float32; the optimizer's 190 are never read.
    assert 75 < grown < 48 + 96 + 60


def test_threads_share_heaps_unless_the_environment_says_how_many(monkeypatch):
    asked = []
    of_c = "nar_core.weights.read._of_c"
    monkeypatch.setattr(of_c, lambda name: lambda *given: asked.append((name, *given)))
    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    share_heap()
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    share_heap()
    assert asked == [("mallopt", -8, 2)]
