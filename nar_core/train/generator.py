"""Train a generator: `python -m nar_core train generator CONFIG`.

Every sample has a plan of its own (a corner, any seed cell, known rectangles, holes), so that every
seed position, outpainting and inpainting are what the model has seen.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize
from tqdm import tqdm

from ..decode import Growth, SamplingSettings
from ..models.condition import word_ids
from ..models.transformer import NARTransformer, TransformerConfig
from ..plan import GridShape, distances_from, fan_in_of, levels_of, make_plan
from ..sampling import uniforms
from ..weights.embedded import load_tokenizer_folder
from . import official
from .data import DataFolder, as_float, augment, is_held_out, on_white, windows
from .loop import Run

log = logging.getLogger(__name__)


class DigitTable(nn.Module):
    """A vocabulary matrix as a free table plus one shared vector per quantiser digit.

    Codes that differ in one digit look alike; sharing lets rare codes learn from common ones. It
    is folded into a plain matrix on export.
    """

    def __init__(self, levels: list[int], width: int):
        super().__init__()
        self.tables = nn.ParameterList(torch.randn(n, width) * 0.02 for n in levels)
        codes = torch.arange(math.prod(levels))
        for i, n in enumerate(levels):
            self.register_buffer(f"digit{i}", codes // math.prod(levels[:i]) % n, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        for i, table in enumerate(self.tables):
            weight = weight + table[getattr(self, f"digit{i}")]
        return weight


def build(config: TransformerConfig, levels: list[int] | None) -> NARTransformer:
    """A fresh model with weights scaled for its width and depth; `levels` shares digits."""
    model = NARTransformer(config)
    for block in model.blocks:
        for linear in (block.proj, block.down):
            nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * config.depth))
    nn.init.normal_(model.tokens.weight, std=0.02)
    if levels:
        parametrize.register_parametrization(
            model.tokens, "weight", DigitTable(levels, config.width), unsafe=True
        )
        nn.init.zeros_(model.heads.output.weight)
        parametrize.register_parametrization(
            model.heads.output, "weight", DigitTable(levels, config.width), unsafe=True
        )
    return model


def random_plan(
    grid: GridShape,
    rng: np.random.Generator,
    known_share: float = 0.3,
    corner_share: float = 0.15,
    centre_share: float = 0.15,
):
    """Levels int64 [N], known bool [N] and seed position of a random plan.

    Seeds: a corner with chance `corner_share`, half the time the first one; with chance
    `centre_share` the centre; any cell otherwise. With chance `known_share` a box of cells is
    known, or everything but a box; in videos half the time whole slices, mostly the first ones.
    """
    size = np.array(grid)
    kind = rng.random()
    if kind < corner_share:
        seed = np.zeros(3, int) if rng.random() < 0.5 else (size - 1) * rng.integers(0, 2, 3)
    elif kind < corner_share + centre_share:
        seed = size // 2
    else:
        seed = rng.integers(0, size)
    known = np.zeros(grid, bool)
    if rng.random() < known_share:
        extent = np.maximum(1, (size * rng.uniform(0.25, 0.85, 3)).round().astype(int))
        low = rng.integers(0, size - extent + 1)
        slices = grid.t > 1 and rng.random() < 0.5
        if slices:
            extent[1:], low[1:] = size[1:], 0
            if rng.random() < 0.6:
                low[0], extent[0] = 0, rng.integers(1, grid.t) if rng.random() < 0.4 else 1
        box = tuple(slice(a, a + n) for a, n in zip(low, extent, strict=True))
        known[box] = True
        if not slices and rng.random() < 0.5:
            known = ~known
        if known.all() or not known.any():
            known[:] = False
        elif rng.random() < 0.7:
            # Growth mostly starts inside the box: its centre when outpainting, the hole otherwise.
            seed = low + extent // 2
    known = known.reshape(-1)
    levels = levels_of(distances_from(grid, tuple(seed)), known, "zero")
    return levels, known, tuple(int(x) for x in seed)


def plans_for(
    config: DictConfig, grid: GridShape, length: int, batch: int, rng: np.random.Generator
) -> list:
    """A random plan for each sample of a step, of which the first `length` cells are grown.

    What is known comes first: a short growth that would hardly reach beyond it knows nothing.
    """
    shares = {k: config[k] for k in ("corner_share", "centre_share") if k in config}
    plans = [random_plan(grid, rng, config.known_share, **shares) for _ in range(batch)]
    most = grid.cells if length == grid.cells else length // 2
    return [p if p[1].sum() <= most else random_plan(grid, rng, 0.0, **shares) for p in plans]


def goes_on(known: np.ndarray, grid: GridShape) -> bool:
    """Whether whole slices of a clip are known, bool [N]: growth then goes on from pictures."""
    return grid.t > 1 and bool(known.reshape(grid.t, -1).all(1).any())


def collate_plans(grid: GridShape, plans, directions) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Plans to levels [B, N], fan-in [B, N, 6], known [B, N] and flat seeds [B]."""
    levels = np.stack([p[0] for p in plans])
    known = np.stack([p[1] for p in plans])
    fan_in = np.stack([fan_in_of(grid, p[0], p[1], directions) for p in plans])
    seeds = np.array([np.ravel_multi_index(p[2], grid) for p in plans])
    return tuple(torch.from_numpy(x) for x in (levels, fan_in, known, seeds))


def first_cells(n: int, tokens: Tensor, levels: Tensor, fan_in: Tensor) -> tuple[Tensor, ...]:
    """The first `n` cells of each row's decoding order, as `NARTransformer.forward` takes them.

    Args:
        tokens, levels: int64 [B, N] in raster order; fan_in: int64 [B, N, 6].

    Returns:
        tokens [B, n], levels [B, n], fan-in [B, n, 6] and the cells' flat indices [B, n].
    """
    cells = levels.argsort(dim=1, stable=True)[:, :n]
    place = torch.full_like(levels, -1).scatter_(1, cells, torch.arange(n).expand_as(cells))
    fan_in = fan_in.gather(1, cells[..., None].expand(-1, -1, fan_in.shape[-1]))
    found = place.gather(1, fan_in.clamp(min=0).flatten(1)).view_as(fan_in)
    fan_in = torch.where(fan_in >= 0, found, -1)
    return tokens.gather(1, cells), levels.gather(1, cells), fan_in, cells


@torch.no_grad()
def plan_losses(
    model: NARTransformer, values, tokens: Tensor, rng_seed: int = 0, batch: int = 16
) -> dict[str, float]:
    """Nats per token from the corner, the centre and any seed, nothing known.

    Args:
        values: condition input of N rows; tokens: int64 [N, cells].
    """
    grid, directions = model.config.grid, model.config.directions
    none = np.zeros(grid.cells, bool)
    rng = np.random.default_rng(rng_seed)
    centre = tuple(n // 2 for n in grid)
    seeds = {
        "loss_corner": [(0, 0, 0)] * len(tokens),
        "loss_centre": [centre] * len(tokens),
        "loss_any": [tuple(rng.integers(0, grid)) for _ in range(len(tokens))],
    }
    out = {}
    for name, places in seeds.items():
        total = 0.0
        for i in range(0, len(tokens), batch):
            plans = [
                (levels_of(distances_from(grid, p), none, model.config.known_level), none, p)
                for p in places[i : i + batch]
            ]
            levels, fan_in, _, seed = (
                x.to(tokens.device) for x in collate_plans(grid, plans, directions)
            )
            logits = model(values[i : i + batch], tokens[i : i + batch], levels, fan_in, seed)
            total += F.cross_entropy(
                logits.float().flatten(0, 1), tokens[i : i + batch].flatten(), reduction="sum"
            ).item()
        out[name] = total / tokens.numel()
    return out


MOST_NAMES = 5000  # more captions than this are no list to choose from

STYLES = {"fluent3d": "3d", "noto": "flat"}


def prompt_of(record: dict) -> str:
    """The prompt that names a record: its `text`, or its name, with the style where it has one."""
    return record["text"] if "text" in record else styled(record, record["name"])


def styled(record: dict, words: str) -> str:
    """Words with the style of a record, if it has one."""
    style = STYLES.get(record.get("style"))
    return f"{style} emoji of {words}" if style else words


def keyword_prompt(record: dict, rng: np.random.Generator) -> str:
    """Style and one or two keywords in place of the name, so that synonyms are learnt too."""
    words = record.get("keywords")
    if not words:
        return prompt_of(record)
    chosen = rng.choice(words, min(len(words), int(rng.integers(1, 3))), replace=False)
    return styled(record, " ".join(chosen))


def told_by(records: list[dict], other: np.ndarray, rng: np.random.Generator) -> list[dict | None]:
    """The records whose prompts the samples are told by, None where there is no prompt.

    Where `other` [n], a third each: its own, none, and that of the sample before, so that growth
    from a known picture follows the picture and not only a name that it has learnt.
    """
    return [
        (record, None, records[i - 1])[rng.integers(3)] if other[i] else record
        for i, record in enumerate(records)
    ]


def select_records(data: DataFolder, config: DictConfig) -> DataFolder:
    """The records that `config.only` keeps and `config.drop` does not remove.

    `only` is {field: values}, all of which must hold, or a list of such, any of which may; `drop`
    is {field: values}, any of which removes a record.
    """
    only = OmegaConf.to_container(config.get("only") or OmegaConf.create({}))
    drop = OmegaConf.to_container(config.get("drop") or OmegaConf.create({}))
    choices = only if isinstance(only, list) else [only]
    return data.select(
        lambda r: (
            any(all(r.get(k) in v for k, v in choice.items()) for choice in choices)
            and not any(r.get(k) in v for k, v in drop.items())
        )
    )


def growth_of(config: DictConfig, grid: GridShape, rng: np.random.Generator) -> tuple[int, int]:
    """How many cells each sample of a step grows, and how many samples it has.

    `config.growths` lists {cells, batch, share}; without it every growth is whole. Short growths
    show many more prompts at the same cost, and the prompt is what the first cells are told by.
    """
    growths = config.get("growths")
    if not growths:
        return grid.cells, config.batch
    share = np.array([g.share for g in growths])
    chosen = growths[rng.choice(len(growths), p=share / share.sum())]
    return min(chosen.cells, grid.cells), chosen.batch


def samples_of(config: DictConfig, grid: GridShape, steps: int) -> int:
    """How many growths the first `steps` steps have shown, over all processes."""
    rngs = (np.random.default_rng((config.seed, i)) for i in range(steps))
    return sum(growth_of(config, grid, rng)[1] for rng in rngs)


def step_weights(levels: Tensor, unknown: Tensor) -> Tensor:
    """Loss weights [B, N] under which every step of a plan counts alike, whatever its front.

    Among equal cells the few early ones would hardly count, yet only they must be told from the
    prompt; later ones are told by their neighbours, and the prompt would go unlearnt.
    """
    sizes = torch.zeros(len(levels), int(levels.max()) + 1, device=levels.device)
    sizes.scatter_add_(1, levels, unknown.float())
    return unknown / sizes.gather(1, levels).clamp(min=1)


def with_wrong_cells(
    tokens: Tensor, known: Tensor, share: float, rng: np.random.Generator
) -> Tensor:
    """Tokens [B, N] in which some cells that are not known are those of the row before.

    A model that only ever sees right neighbours trusts them more than the prompt, and one wrong
    draw leads a growth over to another picture. Half of the rows stay as they are, the others get
    up to `share` of wrong cells.
    """
    if not share:
        return tokens
    rates = rng.uniform(-share, share, (len(tokens), 1))
    wrong = torch.from_numpy(rng.random(tokens.shape) < rates) & ~known
    return torch.where(wrong, tokens.roll(1, 0), tokens)


@torch.no_grad()
def with_own_cells(
    model: NARTransformer,
    plan,
    values,
    tokens: Tensor,
    length: int,
    settings: SamplingSettings,
    rng: np.random.Generator,
) -> Tensor:
    """Tokens [B, N] in which cells that are not known are those the model itself grows.

    Growing, a model sees its own draws and not the data, and errors add up unless it has learnt to
    find back to the prompt from them (Ross et al. 2011, DAgger). Half of the rows are grown whole,
    in the others some cells stay; a row without a condition has nothing to find back to and stays.

    Args:
        plan: levels, known and seed position from `random_plan`, for all rows.
        values: condition input of B rows.
        length: how many cells are grown, the first ones of the plan.
        settings: how they are drawn.
    """
    _, known, seed = plan
    config = model.config
    order = make_plan(config.grid, seed, known, config.directions, config.known_level)
    numbers = uniforms(int(rng.integers(2**31)), *tokens.shape)
    null = model.condition.null_like(values)
    grown = tokens.clone()
    with torch.autocast(tokens.device.type, enabled=False), parametrize.cached():
        growth = Growth(model, order, values, null, grown, numbers, settings)
        while growth.next_step < order.total and growth.generated < length:
            growth.step()
    rates = rng.uniform(0, 2, (len(tokens), 1))
    rates[(values < 0).view(len(tokens), -1).all(1).cpu().numpy()] = 0
    own = torch.from_numpy(rng.random(tokens.shape) < rates).to(tokens.device)
    return torch.where(own, grown, tokens)


class TokenSource:
    """The items of a folder as tokens, each in several augmented variants, the first plain.

    Attributes:
        training, validation: rows of what `config` selects, without and with what is held out.
        others: rows of what it leaves aside and does not hold out; empty unless `with_others`.
    """

    def __init__(
        self, config: DictConfig, tokenizer, device: torch.device, cache: Path, with_others=False
    ):
        data = DataFolder.open(config.folder)
        files = {r["file"] for r in select_records(data, config).records}
        data = data.select(lambda r: with_others or r["file"] in files)
        chosen = np.array([r["file"] in files for r in data.records])
        held_out = np.array([is_held_out(r, config) for r in data.records])
        self.records = data.records
        self.validation = np.flatnonzero(held_out & chosen)
        self.training = np.flatnonzero(~held_out & chosen)
        self.others = np.flatnonzero(~held_out & ~chosen)
        self.plain_share = config.plain_share
        if cache.is_file():
            self.tokens = np.load(cache)
            if len(self.tokens) != len(self.records):
                raise ValueError(
                    f"{cache}: got tokens of {len(self.tokens)} items, expected "
                    f"{len(self.records)}: remove it, or choose another run folder"
                )
            return
        clips = data.pixels(tokenizer.size[0])
        generator = torch.Generator().manual_seed(0)
        rng = np.random.default_rng(0)
        starts = np.zeros(len(clips), int)
        variants = []
        for v in tqdm(range(config.variants), desc="encoding variants"):
            parts = []
            for i in range(0, len(clips), 32):
                part = slice(i, i + 32)
                rgba = as_float(
                    windows(clips[part], tokenizer.frames, config.get("stride", 1), starts[part])
                )
                rgb = on_white(rgba) if v == 0 else augment(
                    rgba, generator, config.shift, tuple(config.scale), config.flip, config.tinted
                )  # fmt: skip
                parts.append(tokenizer.encode(rgb.to(device)).flatten(1).cpu())
            variants.append(torch.cat(parts))
            starts = rng.integers(0, clips.shape[1], len(clips))
        self.tokens = torch.stack(variants, 1).to(torch.int16).numpy()
        # In one move: another process of the same run may be waiting to read it.
        written = cache.with_name(f"{cache.stem}-{os.getpid()}.npy")
        np.save(written, self.tokens)
        os.replace(written, cache)

    def sample(self, other: np.ndarray, rng: np.random.Generator) -> tuple[list[dict], Tensor]:
        """Random records and their tokens, int64 [n, cells]; of the others where `other` [n]."""
        n = len(other)
        rows = rng.choice(self.training, n)
        rows[other] = rng.choice(self.others, other.sum())
        variant = rng.integers(0, self.tokens.shape[1], n)
        variant = np.where(~other & (rng.random(n) < self.plain_share), 0, variant)
        tokens = self.tokens[rows, variant].astype(np.int64)
        return [self.records[i] for i in rows], torch.from_numpy(tokens)


def train(config: DictConfig, folder: Path, device: torch.device) -> None:
    """Train by `config` (info, model, tokenizer, source, train) in a run folder, then export.

    A config that names an `official` size follows the paper's recipe instead.
    """
    if "official" in config:
        official.train(config, folder, device)
        return
    torch.manual_seed(config.train.seed)
    architecture = TransformerConfig.from_dict(OmegaConf.to_container(config.model))
    grid, directions = architecture.grid, architecture.directions
    tokenizer, _ = load_tokenizer_folder(Path(config.tokenizer), grid)
    tokenizer.to(device)
    folder.mkdir(parents=True, exist_ok=True)
    other_share = config.train.get("other_share", 0.0)
    source = TokenSource(
        config.source, tokenizer, device, folder / "tokens.npy", with_others=other_share > 0
    )
    if other_share and not len(source.others):
        raise ValueError(
            f"train.other_share: got {other_share}, expected 0: the source leaves nothing aside"
        )
    log.info("%d training and %d held-out pictures", len(source.training), len(source.validation))
    model = build(architecture, tokenizer.quantize.levels if config.train.share_digits else None)
    if config.get("init_from"):
        start_from(model, Path(config.init_from))
    model.to(device)
    model.table(0)
    # One graph per length of growth; a dynamic one would be slower.
    forward = torch.compile(model, dynamic=False) if config.train.compile else model
    run = Run(model, config.train, folder, device)
    labels = list(config.info.get("labels", []))
    words = architecture.condition
    as_users_draw = SamplingSettings(
        **{k: config.info[k] for k in ("temperature", "top_p", "min_p") if k in config.info}
    )

    def condition(records: list[dict | None], rng: np.random.Generator | None) -> Tensor:
        """Condition input, null for None; with `rng`, sometimes keywords or the null condition."""

        def chance(share: float) -> bool:
            return rng is not None and rng.random() < share

        if words.kind == "class":
            names = [
                None if r is None or chance(config.train.null_share) else r[config.source.label]
                for r in records
            ]
            # What is no class of the model's is only ever shown after known slices.
            ids = [labels.index(name) if name in labels else -1 for name in names]
            return torch.tensor(ids, device=device)
        prompts = [
            ""
            if r is None or chance(config.train.null_share)
            else keyword_prompt(r, rng)
            if chance(config.train.keyword_share)
            else prompt_of(r)
            for r in records
        ]
        # Names longer than the slots are cut in training; users are told instead.
        prompts = [" ".join(p.split()[: words.slots]) for p in prompts]
        return word_ids(prompts, words.slots, words.buckets).to(device)

    def loss_of(index: int) -> Tensor:
        rng = np.random.default_rng((config.train.seed, index))
        length, batch = growth_of(config.train, grid, rng)
        plans = plans_for(config.train, grid, length, batch, rng)
        # Alike in all processes, since each waits for the slowest.
        turn = np.random.default_rng((config.train.seed, run.step)).random()
        own = turn < config.train.get("own_share", 0.0)
        if own:
            plans = plans[:1] * batch  # all rows of a growth share one
        other = np.array([goes_on(p[1], grid) for p in plans]) & (rng.random(batch) < other_share)
        records, tokens = source.sample(other, rng)
        values = condition(told_by(records, other, rng), rng)
        levels, fan_in, known, seed = collate_plans(grid, plans, directions)
        if own:
            shown = with_own_cells(
                model, plans[0], values, tokens.to(device), length, as_users_draw, rng
            ).cpu()
        else:
            shown = with_wrong_cells(tokens, known, config.train.get("wrong_share", 0.0), rng)
        cells = None
        if length < grid.cells:
            tokens, levels, fan_in, cells = first_cells(length, tokens, levels, fan_in)
            known, shown, cells = known.gather(1, cells), shown.gather(1, cells), cells.to(device)
        tokens, shown, levels, fan_in, known, seed = (
            x.to(device) for x in (tokens, shown, levels, fan_in, known, seed)
        )
        logits = forward(values, shown, levels, fan_in, seed, cells)
        losses = F.cross_entropy(
            logits.float().flatten(0, 1),
            tokens.flatten(),
            reduction="none",
            label_smoothing=config.train.label_smoothing,
        )
        weights = step_weights(levels, ~known)
        return (losses * weights.flatten()).sum() / weights.sum()

    def evaluate() -> dict[str, float]:
        out = {}
        for name, rows in (("", source.training), ("held_out_", source.validation)):
            rows = rows[:: max(1, len(rows) // 48)][:48]
            if len(rows):
                tokens = torch.from_numpy(source.tokens[rows, 0].astype(np.int64)).to(device)
                values = condition([source.records[i] for i in rows], None)
                figures = plan_losses(model, values, tokens)
                out |= {k.replace("loss_", f"loss_{name}"): round(v, 4) for k, v in figures.items()}
        return out

    run.fit(loss_of, evaluate)
    if run.rank == 0:
        with run.averaged():
            export(model, config, run, source, evaluate())


def start_from(model: NARTransformer, folder: Path) -> None:
    """Begin with the weights of an exported generator of the same shape, but for the grid's.

    Along an axis that has become longer or shorter, learned positions are stretched to fit; where a
    picture model becomes one of clips, the heads that it lacks begin as the one to the right.
    Raises ValueError where the weights are of another shape.
    """
    state = load_file(folder / "generator.safetensors")
    for name, wanted in model.state_dict().items():
        other = re.sub(r"^heads\.heads\.(after|before)\.", "heads.heads.right.", name)
        if name not in state and other in state:
            state[name] = state[other]
        found = state.get(name)
        if name.startswith("positions.axes.") and found is not None and len(found) != len(wanted):
            line = found.float().T[None]
            line = F.interpolate(line, len(wanted), mode="linear", align_corners=True)
            state[name] = line[0].T
    for name in ("tokens", "heads.output"):
        module = model.get_submodule(name)
        if parametrize.is_parametrized(module):
            for table in module.parametrizations.weight[0].tables:
                nn.init.zeros_(table)
            state[f"{name}.parametrizations.weight.original"] = state.pop(f"{name}.weight")
    try:
        missing, unexpected = model.load_state_dict(
            {k: v.float() for k, v in state.items()}, strict=False
        )
    except RuntimeError as error:  # a tensor of another shape
        raise ValueError(f"init_from: the weights in {folder} do not fit: {error}") from None
    wrong = [k for k in missing if ".tables." not in k] + unexpected
    if wrong:
        raise ValueError(f"init_from: the weights in {folder} do not fit: {wrong[:5]}")


def folded_state(model: NARTransformer) -> dict[str, Tensor]:
    """State dict with the digit tables folded into plain matrices, float16."""
    state = {k: v for k, v in model.state_dict().items() if ".parametrizations." not in f".{k}"}
    for name in ("tokens", "heads.output"):
        module = model.get_submodule(name)
        if parametrize.is_parametrized(module):
            state[f"{name}.weight"] = module.weight.detach()
    return {k: v.half().contiguous().cpu() for k, v in state.items()}


def export(model: NARTransformer, config: DictConfig, run: Run, source, figures: dict) -> None:
    """Write a self-describing model folder into the run."""
    folder = run.folder / "export"
    folder.mkdir(exist_ok=True)
    state = folded_state(model)
    save_file(state, folder / "generator.safetensors")
    info = OmegaConf.merge(config.info, {"parameters": sum(v.numel() for v in state.values())})
    OmegaConf.save(
        {"info": info, "model": config.model, "tokenizer": f"../{Path(config.tokenizer).name}"},
        folder / "config.yaml",
    )
    record = {
        "pictures": len(source.training),
        "steps": run.step,
        "samples": samples_of(config.train, model.config.grid, run.step * run.world),
        "hours": round(run.seconds / 3600, 3),
        "losses": figures,
        "train": config.train,
        "source": config.source,
    }
    if config.get("init_from") and (before := Path(config.init_from) / "record.yaml").is_file():
        record["begun_from"] = OmegaConf.load(before)
    OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
    if model.config.condition.kind == "words":
        names = sorted({prompt_of(source.records[i]) for i in source.training})
        if len(names) <= MOST_NAMES:
            (folder / "names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    if (run.folder / "curve.png").is_file():
        shutil.copy(run.folder / "curve.png", folder / "curve.png")
    log.info("exported %s", folder)
