"""A stream of a world: endless, the same whenever it is asked for, and enough to train from."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from nar_core.cli import main
from nar_core.engine import Engine
from nar_core.models.condition import ConditionConfig
from nar_core.plan import GridShape
from nar_core.request import Request
from nar_core.train.begin import fresh, start_from
from nar_core.train.config import CONFIGS, WorldSource, architecture, load_config
from nar_core.train.stream import CHUNK, WorldStream, chunk_of, drawn_chunk
from nar_core.weights.embedded import load_tokenizer_folder
from nar_core.weights.fetch import find_folder
from nar_core.worlds import WORLDS, landscape

TOKENIZER = Path(__file__).parents[3] / "checkpoints" / "world-tokenizer"
GRID = GridShape(1, 16, 16)


def stream(start: int = 0, repeats: int = 2, key=(0, 0), processes=1, **named) -> WorldStream:
    config = WorldSource(world="emoji", window=CHUNK, repeats=repeats, processes=processes)
    return WorldStream(config, TOKENIZER, GRID, key, start, **named)


@pytest.fixture
def made():
    streams: list[WorldStream] = []

    def make(*args, **named) -> WorldStream:
        streams.append(stream(*args, **named))
        return streams[-1]

    yield make
    for s in streams:
        s.close()


def test_sample_number_n_is_the_same_whenever_it_is_asked_for(made, drawn_here):
    whole = made()
    facts, tokens = whole.take(2 * CHUNK + 8)
    assert torch.equal(facts[:CHUNK], facts[CHUNK : 2 * CHUNK])  # the window, gone through twice
    assert not torch.equal(facts[:8], facts[2 * CHUNK :])
    assert whole.pictures == 2 * CHUNK
    later = made(start=CHUNK + 5)
    again = later.take(CHUNK + 3)
    assert torch.equal(again[0], facts[CHUNK + 5 :])
    assert torch.equal(again[1], tokens[CHUNK + 5 :])
    world = WORLDS["emoji"]()
    ids = {term: i for i, term in enumerate(world.terms)}
    nouns = {v for k, v in ids.items() if k.startswith("noun ")}
    assert {int(n) for n in facts[:, world.slots.index("noun")]} <= nouns


def test_who_draws_and_who_encodes_does_not_change_a_sample(made):
    """Two processes that draw, one that encodes too, and this one."""
    encoder = load_tokenizer_folder(TOKENIZER, GRID)[0].float().eval()
    facts, tokens = made(processes=2, encoder=encoder, repeats=1).take(2 * CHUNK)
    here = chunk_of(WORLDS["emoji"](), encoder, (0, 0, 0))
    assert np.array_equal(facts[:CHUNK], here[0])
    assert np.array_equal(tokens[:CHUNK], here[1])
    later = made(start=CHUNK, repeats=1).take(CHUNK)
    assert torch.equal(later[0], facts[CHUNK:])
    same = later[1] == tokens[CHUNK:]
    assert same.float().mean() > 0.999  # a code may lie on the border of another


def test_nobody_draws_nothing():
    with pytest.raises(ValueError, match=r"source.processes: got 0, expected 1 or more"):
        stream(processes=0)


def test_processes_of_a_run_see_different_pictures():
    world = WORLDS["emoji"]()
    tokenizer, _ = load_tokenizer_folder(TOKENIZER, GRID)
    a, b = (chunk_of(world, tokenizer, (0, rank, 0), 8) for rank in (0, 1))
    assert not np.array_equal(a[0], b[0])
    held_out = chunk_of(world, tokenizer, (0,), 8, held_out=True)
    assert held_out[1].shape == (8, 256)
    assert not np.array_equal(held_out[0], chunk_of(world, tokenizer, (0,), 8, held_out=False)[0])


def test_a_world_that_has_views_is_streamed_by_them(monkeypatch):
    """A chunk of landscapes is made of few lands, the same ones for the same key."""
    made = []
    look = landscape.look
    monkeypatch.setattr(landscape, "look", lambda *a: made.append(1) or look(*a))
    tokenizer, _ = load_tokenizer_folder(TOKENIZER, GRID)
    once, again = (chunk_of(WORLDS["landscape"](), tokenizer, (0, 0, 1), 10) for _ in range(2))
    assert len(made) == 2
    assert np.array_equal(once[0], again[0])
    assert np.array_equal(once[1], again[1])
    assert len(np.unique(once[1], axis=0)) == 10


def test_of_most_landscapes_cells_are_told_as_they_are_seen():
    world = WORLDS["landscape"]()
    form = ConditionConfig("facts", len(world.slots), told=world.told)
    ids, pixels = drawn_chunk(world, (0, 0, 2), 30, form=form)
    cells = ids[:, len(world.slots) :].reshape(30, 256, world.told)
    told = (cells >= 0).any((1, 2))
    assert 15 < told.sum() < 30
    seen = islice(world.views(np.random.default_rng((0, 0, 2)), 1), 30)
    for number, (facts, picture) in enumerate(seen):
        assert np.array_equal(pixels[number], picture)
        if told[number]:
            assert np.array_equal(cells[number], world.cells(facts))


def test_a_window_that_no_chunk_fills_is_refused():
    config = WorldSource(world="emoji", window=40, repeats=1)
    with pytest.raises(ValueError, match=r"source\.window: got 40, expected a multiple of 32"):
        WorldStream(config, TOKENIZER, GRID, (0, 0), 0)


def test_a_generator_trains_from_a_world_alone_and_understands_prompts(tmp_path, drawn_here):
    settings = [
        "init_from=null",
        "model.width=32",
        "model.depth=1",
        "model.attention_heads=2",
        "model.ffn_width=32",
        "model.rotary=[0,4,4]",
        "train.steps=2",
        "train.eval_every=2",
        "train.compile=false",
        "train.bf16=false",
        "source.window=32",
        "source.repeats=1",
    ]
    taps = "model.taps={+w: 1, -w: 1, +h: 1, -h: 1}"
    growths = "train.growths=[{cells: 256, batch: 2, share: 1}]"
    run = tmp_path / "run"
    words = ["train", "generator", "emoji", "--out", str(run), "--device", "cpu"]
    assert main([*words, *settings, taps, growths]) == 0
    (tmp_path / "world-tokenizer").symlink_to(TOKENIZER)
    (run / "export").rename(tmp_path / "mine")
    engine = Engine.load(tmp_path / "mine", device="cpu", dtype="float32")
    record = OmegaConf.load(tmp_path / "mine" / "record.yaml")
    assert (record.pictures, record.samples) == (32, 4)
    assert record.losses.loss_held_out_any > 0
    asked = engine.prepare(Request(prompt=("a red car", "", "two blue cats"), num_samples=3))
    facts, _ = engine.condition(asked.request)
    assert (facts[1] == -1).all()
    assert len({tuple(row.tolist()) for row in facts}) == 3
    frame = engine.generate_all(Request(prompt="a red car"))
    assert frame.tokens.min() >= 0
    with pytest.raises(ValueError, match=r"zeitgeist.*knows nothing to draw"):
        engine.validate(Request(prompt="zeitgeist"))
    kinds = {w.text: w.kind for w in engine.understand("a scarlet car zeitgeist").words}
    assert kinds == {"a": "filler", "scarlet": "taken as", "car": "known", "zeitgeist": "unknown"}


@pytest.mark.parametrize("name", ["raster", "gate"])
def test_models_to_be_compared_train_and_grow_from_the_corner(tmp_path, name, drawn_here):
    settings = [
        *("model.width=32", "model.depth=1", "model.attention_heads=2", "model.ffn_width=32"),
        *(
            "model.rotary=[0,4,4]",
            "model.taps={+w: 1}" if name == "raster" else "model.taps={+w: 1, +h: 1}",
        ),
        *("train.steps=2", "train.eval_every=2", "train.compile=false", "train.bf16=false"),
        *("train.batch=2", "source.window=32", "source.repeats=1"),
    ]
    run = tmp_path / "run"
    words = ["train", "generator", f"ablation-{name}", "--out", str(run), "--device", "cpu"]
    assert main([*words, *settings]) == 0
    engine = Engine.load(run / "export", device="cpu", dtype="float32")
    assert engine.info.seed_positions == "corner"
    losses = OmegaConf.load(run / "export" / "record.yaml").losses
    assert "loss_corner" in losses
    assert "loss_any" not in losses
    frame = engine.generate_all(Request(prompt="green hills", guidance_scale=1.0))
    assert frame.total == (256 if name == "raster" else 31)
    with pytest.raises(ValueError, match="seed"):
        engine.validate(Request(prompt="green hills", seed_position=(0, 8, 8)))


def test_a_stream_tells_of_cells_where_the_model_wants_it():
    world = WORLDS["emoji"]()
    tokenizer, _ = load_tokenizer_folder(TOKENIZER, GRID)
    slots = len(world.slots)
    form = ConditionConfig("facts", slots, told=world.told, parts=world.parts)
    plain, told = (chunk_of(world, tokenizer, (3,), form=f) for f in (None, form))
    assert np.array_equal(plain[0], told[0][:, :slots])
    assert np.array_equal(plain[1], told[1])
    cells = told[0][:, slots:].reshape(CHUNK, -1, world.told)
    where = plain[0][:, world.slots.index("x")] >= 0
    assert np.array_equal((cells >= 0).any((1, 2)), where)  # nothing of cells where it is open
    assert 0 < where.sum() < CHUNK


@pytest.mark.parametrize("name", ["emoji", "emoji-motion", "landscape"])
def test_a_world_is_trained_from_the_weights_that_are_here(name):
    """Also where what these are told of cells is not told to the model that begins with them."""
    config = load_config(CONFIGS / f"{name}.yaml", [], "generator")
    world, form = WORLDS[config.source.world](), config.model.condition
    form.slots, form.classes = len(world.slots), len(world.terms)
    form.told, form.parts = (world.told, world.parts) if form.told else (0, 0)
    encoder, _ = load_tokenizer_folder(TOKENIZER, GridShape(*config.model.grid))
    config.model.vocab_size = encoder.vocab_size
    model = fresh(architecture(config.model), None)
    before = model.blocks[0].qkv.weight.clone()
    start_from(model, find_folder(config.init_from, "init_from"))
    assert not torch.equal(model.blocks[0].qkv.weight, before)


def test_cells_are_told_only_of_clips_that_lie_on_the_grid():
    """Off the grid a cell would look otherwise than what is told of it says, sixty-three ways."""
    world = WORLDS["emoji-motion"]()
    form = ConditionConfig("facts", len(world.slots), told=world.told, parts=world.parts)
    ids, clips = drawn_chunk(world, (3, 0, 0), 32, form=form)
    facts, cells = np.split(ids, [len(world.slots)], axis=1)
    cells = cells.reshape(32, -1, world.told)
    told = (cells >= 0).any((1, 2))
    assert 16 < told.sum() < 32
    # On white a thing alone: what is white there is told to be nothing.
    alone = (facts[:, world.slots.index("place")] < 0) & (facts[:, world.slots.index("count")] < 0)
    tiles = clips.reshape(32, 17, 10, 8, 10, 8, 3).swapaxes(3, 4).reshape(32, -1, 192)
    marked = (tiles < 250).any(-1)
    rows = np.flatnonzero(told & alone)
    assert len(rows) > 8
    assert not (marked & (cells < 0).all(-1))[rows].any()
