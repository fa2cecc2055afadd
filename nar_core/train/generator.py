"""Train a generator: `python -m nar_core train generator CONFIG`.

Every sample has a plan of its own (a corner, any seed cell, known rectangles, holes), so that every
seed position, outpainting and inpainting are what the model has seen.
"""

from __future__ import annotations

import logging
import math
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

from ..decode import Growth
from ..models.condition import word_ids
from ..models.transformer import NARTransformer, TransformerConfig
from ..plan import distances_from, levels_of, make_plan
from ..sampling import uniforms
from ..settings import SamplingSettings
from ..weights.embedded import load_tokenizer_folder
from . import official
from .loop import Run
from .plans import (
    collate_plans,
    first_cells,
    goes_on,
    growth_of,
    plans_for,
    samples_of,
    step_weights,
)
from .source import TokenSource, keyword_prompt, prompt_of, told_by
from .stream import WorldStream, chunk_of

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
    right: int = 0,
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
        right: about how many of the first cells stay as they are. Where a prompt has many pictures,
            a growth from the start would be another of them, from which there is nothing to find
            back to.
    """
    _, known, seed = plan
    config = model.config
    order = make_plan(config.grid, seed, known, config.directions, config.known_level)
    ends = np.cumsum([len(step.positions) for step in order.steps])
    first = int(np.searchsorted(ends, right)) + 1 if right else 0
    numbers = uniforms(int(rng.integers(2**31)), *tokens.shape)
    null = model.condition.null_like(values)
    grown = tokens.clone()
    with torch.autocast(tokens.device.type, enabled=False), parametrize.cached():
        growth = Growth(model, order, values, null, grown, numbers, settings, first)
        while growth.next_step < order.total and growth.generated < length:
            growth.step()
    rates = rng.uniform(0, 2, (len(tokens), 1))
    rates[(values < 0).view(len(tokens), -1).all(1).cpu().numpy()] = 0
    own = torch.from_numpy(rng.random(tokens.shape) < rates).to(tokens.device)
    return torch.where(own, grown, tokens)


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
    source = None
    if not config.source.get("world"):
        source = TokenSource(
            config.source, tokenizer, device, folder / "tokens.npy", with_others=other_share > 0
        )
        if other_share and not len(source.others):
            raise ValueError(
                f"train.other_share: got {other_share}, expected 0: the source leaves nothing aside"
            )
        log.info("%d training, %d held-out pictures", len(source.training), len(source.validation))
    model = build(architecture, tokenizer.quantize.levels if config.train.share_digits else None)
    if config.get("init_from"):
        start_from(model, Path(config.init_from))
    model.to(device)
    model.table(0)
    # One graph per length of growth; a dynamic one would be slower.
    forward = torch.compile(model, dynamic=False) if config.train.compile else model
    run = Run(model, config.train, folder, device)
    if source is None:
        taken = samples_of(config.train, grid, run.step)
        key = (config.train.seed, run.rank)
        stream = WorldStream(config.source, Path(config.tokenizer), grid, key, taken)
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
        length, batch = growth_of(config.train, grid, run.step)
        plans = plans_for(config.train, grid, length, batch, rng)
        # Alike in all processes, since each waits for the slowest.
        turn = np.random.default_rng((config.train.seed, run.step)).random()
        own = turn < config.train.get("own_share", 0.0)
        own = own and run.step >= config.train.get("own_after", 0.0) * config.train.steps
        if own:
            plans = plans[:1] * batch  # all rows of a growth share one
        if source is None:
            values, tokens = stream.take(batch)
            values[torch.from_numpy(rng.random(batch) < config.train.null_share)] = -1
            values = values.to(device)
        else:
            goes = np.array([goes_on(p[1], grid) for p in plans])
            other = goes & (rng.random(batch) < other_share)
            records, tokens = source.sample(other, rng)
            values = condition(told_by(records, other, rng), rng)
        levels, fan_in, known, seed = collate_plans(grid, plans, directions)
        if own:
            right = config.train.get("own_right", 0.0)
            first = int(rng.uniform(0.15, right) * length) if right else 0
            last = min(length, first + length // 3) if right else length
            shown = with_own_cells(
                model, plans[0], values, tokens.to(device), last, as_users_draw, rng, first
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
        if source is None:
            out["fresh_a_second"] = round(stream.rate, 2)
            for name in ("", "held_out_"):
                values, tokens = chunk_of(stream.world, tokenizer, (0,), 48, bool(name))
                figures = plan_losses(
                    model,
                    torch.from_numpy(values).to(device),
                    torch.from_numpy(tokens).long().to(device),
                )
                out |= {k.replace("loss_", f"loss_{name}"): round(v, 4) for k, v in figures.items()}
            return out
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
            names = source.names if source else []
            pictures = len(source.training) if source else stream.pictures * run.world
            export(model, config, run, pictures, names, evaluate())
    if source is None:
        stream.close()


def start_from(model: NARTransformer, folder: Path) -> None:
    """Begin with the weights of an exported generator of the same shape, but for the grid's.

    Along an axis that has become longer or shorter, learned positions are stretched to fit; where a
    picture model becomes one of clips, the heads that it lacks begin as the one to the right. A
    condition of another kind begins anew.
    Raises ValueError where the weights are of another shape.
    """
    state = load_file(folder / "generator.safetensors")
    wanted_condition = {
        k: v.shape for k, v in model.state_dict().items() if k.startswith("condition.")
    }
    if any(k not in state or state[k].shape != shape for k, shape in wanted_condition.items()):
        state = {k: v for k, v in state.items() if not k.startswith("condition.")}
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
    anew = "condition.table.weight" not in state
    wrong = [k for k in missing if ".tables." not in k and not (anew and k.startswith("condition"))]
    wrong += unexpected
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


def export(
    model: NARTransformer,
    config: DictConfig,
    run: Run,
    pictures: int,
    names: list[str],
    figures: dict,
) -> None:
    """Write a self-describing model folder into the run.

    Args:
        pictures: how many it has seen. names: their prompts, where they are a list to choose from.
        figures: what `evaluate` measured.
    """
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
        "pictures": pictures,
        "steps": run.step,
        "samples": samples_of(config.train, model.config.grid, run.step) * run.world,
        "hours": round(run.seconds / 3600, 3),
        "losses": figures,
        "train": config.train,
        "source": config.source,
    }
    if config.get("init_from") and (before := Path(config.init_from) / "record.yaml").is_file():
        record["begun_from"] = OmegaConf.load(before)
    OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
    if names and model.config.condition.kind == "words" and len(names) <= MOST_NAMES:
        (folder / "names.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    if (run.folder / "curve.png").is_file():
        shutil.copy(run.folder / "curve.png", folder / "curve.png")
    log.info("exported %s", folder)
