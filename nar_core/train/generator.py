"""Train a generator: `python -m nar_core train generator CONFIG`.

Every sample has a plan of its own (a corner, any seed cell, known rectangles, holes), so that every
seed position, outpainting and inpainting are what the model has seen.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor

from ..card import model_card
from ..checks import prepare
from ..info import ModelInfo
from ..models.transformer import TransformerConfig
from ..picture import evenly
from ..plan import GridShape, legal_seed_positions
from ..request import Request
from ..settings import SETTINGS, SamplingSettings
from ..tokenizers.base import Tokenizer
from ..weights.embedded import EXPORT, load_tokenizer_folder, name_of, read_info, write_config
from ..weights.fetch import find_folder
from ..weights.read import read_yaml
from ..worlds import WORLDS
from ..writing import whole_folder
from . import official
from .begin import folded_state, fresh, start_from
from .config import (
    FolderSource,
    GeneratorConfig,
    OfficialConfig,
    WorldSource,
    architecture,
    said,
    without_places,
)
from .data import DataFolder
from .exposure import own_cells, wrong_cells
from .graph import compiled
from .identity import FREE, claim, digest, digest_of_folder
from .loop import Run, rank_and_world
from .losses import plan_losses, step_weights
from .plans import PlanBatch, first_cells, growth_of, plans_for, samples_of
from .source import FolderStream, TokenSource
from .stream import TokenStream, WorldStream

log = logging.getLogger(__name__)

EXAMPLES = 6  # prompts to begin with
MOST_NAMES = 5000  # more captions than this are no list to choose from


def train(config: GeneratorConfig | OfficialConfig, folder: Path, device: torch.device) -> None:
    """Train in a run folder, then export. An official size follows the paper's recipe."""
    if isinstance(config, OfficialConfig):
        official.train(config, folder, device)
        return
    trainer = Trainer(config, folder, device)
    try:
        figures = trainer.run.fit(trainer.loss_of, trainer.figures)
        if trainer.run.rank == 0:
            with trainer.run.averaged():
                trainer.export(figures)
    finally:
        trainer.stream.close()


class Trainer:
    """A generator, the stream that it learns from, and its run.

    Raises ValueError where the configuration and what it names do not go together.
    """

    def __init__(self, config: GeneratorConfig, folder: Path, device: torch.device):
        torch.manual_seed(config.train.seed)
        self.config, self.device = config, device
        self.grid = GridShape(*config.model.grid)
        self.tokenizer = find_folder(config.tokenizer, "tokenizer")
        if not (self.tokenizer / "tokenizer.safetensors").is_file():
            raise ValueError(
                f"tokenizer: got {self.tokenizer}, expected a tokenizer's folder, with "
                "tokenizer.safetensors in it; name such as the export of `train tokenizer`"
            )
        begun = find_folder(config.init_from, "init_from") if config.init_from else None
        self.begun = begun
        tokenizer = load_tokenizer_folder(self.tokenizer, self.grid)[0].to(device)
        source, of = None, {}
        if isinstance(config.source, FolderSource):
            data = DataFolder.open(config.source.folder)
            of = {"pictures": digest(data.checksums()), "captions": digest(data.records)}
            source = self._source(config.source, tokenizer, folder, data, of["pictures"])
        else:
            self._settle_facts(config.source)
        config.model.vocab_size = tokenizer.vocab_size
        form = architecture(config.model)
        self._check_info(form)
        if (
            config.train.starts == "any"
            and not legal_seed_positions(self.grid, form.directions, order=form.order).all()
        ):
            raise ValueError(
                "train.starts: got 'any', expected 'corner', since with these taps and order "
                "growth starts in the first cell; say that"
            )
        self.directions = form.directions
        stream: TokenStream | None = None
        if source is not None:
            stream = FolderStream(source, form.condition, config.train, config.info.labels or ())
        digits = tokenizer.quantize.levels if config.train.share_digits else None
        self.model = fresh(form, digits)
        if begun is not None:
            start_from(self.model, begun)
        folder.mkdir(parents=True, exist_ok=True)
        claim(folder, {**of, "tokenizer": self._weights(), **self._settings()})
        self.model.to(device)
        self.model.rotations(0)
        self.run = run = Run(self.model, config.train, folder, device)
        if source is not None:
            _ = source.tokens  # nothing is left to check
        # One graph per length of growth; a dynamic one would be slower.
        graphs = config.train.compile
        self.forward = compiled(self.model, device, dynamic=False) if graphs else self.model
        if stream is None:
            assert isinstance(config.source, WorldSource)
            taken = samples_of(config.train, form.grid, run.step)
            stream = WorldStream(
                config.source,
                self.tokenizer,
                form.grid,
                (config.train.seed, run.rank),
                taken,
                config.train.null_share,
                form.condition,
                None if device.type == "cpu" else tokenizer.float().eval(),
            )
        self.stream: TokenStream = stream
        # Without guidance, which would double the cost.
        drawing = [s.name for s in SETTINGS if not s.name.startswith("guidance")]
        self.as_users_draw = SamplingSettings(**{n: getattr(config.info, n) for n in drawing})

    def _check_info(self, form: TransformerConfig) -> None:
        """Raise ValueError for what the export would say of itself and no request could be."""
        config, grid = self.config, form.grid
        start = config.info.default_seed_position
        if start is not None and not all(0 <= p < n for p, n in zip(start, grid, strict=True)):
            config.info.default_seed_position = (0, grid.h // 2, grid.w // 2)
            log.warning(
                "info.default_seed_position: %s is outside the grid %s; it becomes %s",
                *(tuple(x) for x in (start, grid, config.info.default_seed_position)),
            )
        told = {k: v for k, v in said(config.info).items() if k not in ("labels", "prompts")}
        told |= {"title": "", "labels": tuple(config.info.labels or ())}
        corner = not legal_seed_positions(form.grid, form.directions, order=form.order).all()
        info = ModelInfo(
            name="the model",
            media="image",
            size=(form.grid.h, form.grid.w),
            grid=form.grid,
            directions=form.directions,
            order=form.order,
            seed_positions="corner" if corner else "any",
            **told,
        )
        try:
            prepare(info, Request())
        except ValueError as error:
            told = str(error).removeprefix("seed_position: ")
            told = told if told == str(error) else f"default_seed_position: {told}"
            raise ValueError(f"info.{told}") from error

    def _source(
        self,
        told: FolderSource,
        tokenizer: Tokenizer,
        folder: Path,
        data: DataFolder,
        pictures: str,
    ) -> TokenSource:
        """The items of the source's folder, opened as `data`, whose `pictures` have that hash.

        What the configuration leaves to it is set.
        """
        config = self.config
        others = config.train.other_share > 0
        if config.model.condition.kind == "class":
            told.label = told.label or "label"
        rank, weights = rank_and_world()[0], self._weights()
        source = TokenSource(
            told,
            tokenizer,
            self.device,
            folder / ("tokens.npy" if rank == 0 else f"tokens-{rank}.npy"),
            others,
            digest([pictures, weights, tuple(self.grid)]),
            data,
        )
        if others and not len(source.others):
            raise ValueError(
                f"train.other_share: got {config.train.other_share}, expected 0, since the "
                "source leaves nothing aside; say that"
            )
        if config.model.condition.kind == "class":
            self._settle_labels(source)
        log.info("%d training, %d held-out pictures", len(source.training), len(source.validation))
        return source

    def _weights(self) -> str:
        return digest_of_folder(self.tokenizer, "tokenizer.safetensors", "config.yaml")

    def _settings(self) -> dict[str, str]:
        """Hashes of what the configuration says, but for what may change and where things lie."""
        config = self.config
        source = {k: v for k, v in said(config.source).items() if k != "folder"}
        train = {k: v for k, v in said(config.train).items() if k not in FREE}
        return {
            "source": digest(source),
            "model": digest(said(config.model)),
            "train": digest(train),
        }

    def _settle_labels(self, source: TokenSource) -> None:
        """The classes of the data, where the configuration names none, and how many there are."""
        info, condition = self.config.info, self.config.model.condition
        if not info.labels:
            info.labels = source.classes()
            condition.classes = len(info.labels)
        if twice := sorted({x for x in info.labels if info.labels.count(x) > 1}):
            raise ValueError(
                f"info.labels: got {', '.join(twice[:5])} more than once, expected each class "
                "once; leave the others out"
            )
        condition.classes = condition.classes or len(info.labels)
        if condition.classes != len(info.labels):
            raise ValueError(
                f"model.condition.classes: got {condition.classes}, expected {len(info.labels)}, "
                "one for each of info.labels; say that, or 0"
            )

    def _settle_facts(self, source: WorldSource) -> None:
        """The condition holds what the world can say, whatever the configuration says of it."""
        if source.world not in WORLDS:
            raise ValueError(
                f"source.world: got {source.world!r}, expected one of {', '.join(WORLDS)}; "
                "choose one"
            )
        condition, world = self.config.model.condition, WORLDS[source.world]()
        condition.slots, condition.classes = len(world.slots), len(world.terms)
        if condition.told:
            condition.told, condition.parts = world.told, world.parts

    def loss_of(self, index: int) -> Tensor:
        """The loss of one process's share of a step."""
        config = self.config.train
        rng = np.random.default_rng((config.seed, index))
        growth = growth_of(config, self.grid, self.run.step)
        length = growth.cells
        plans = plans_for(config, self.grid, growth, rng, self.model.config.order)
        # Alike in all processes, since each waits for the slowest.
        turn = np.random.default_rng((config.seed, self.run.step)).random()
        own = turn < config.own_share and self.run.done >= config.own_after
        own &= not growth.one_slice  # it is no plan that is grown by
        if own:
            plans = plans[:1] * growth.batch  # all rows of a growth share one
        values, tokens = self.stream.draw(plans, rng)
        values = self._sent(values)
        plan = PlanBatch.of(plans, self.directions)
        if own:
            right = config.own_right
            first = int(rng.uniform(min(0.15, right), right) * length) if right else 0
            last = min(length, first + length // 3) if right else length
            there, drawn = tokens.to(self.device), self.as_users_draw
            shown = own_cells(self.model, plans[0], values, there, last, drawn, rng, first).cpu()
        else:
            shown = wrong_cells(tokens, plan.known, config.wrong_share, rng)
        return self._loss(values, tokens, shown, plan, length)

    def _loss(
        self, values: Tensor, tokens: Tensor, shown: Tensor, plan: PlanBatch, length: int
    ) -> Tensor:
        """Cross-entropy of the first `length` cells of every plan, every step counting alike."""
        levels, fan_in, known, cells = plan.levels, plan.fan_in, plan.known, None
        if length < self.grid.cells:
            tokens, levels, fan_in, cells = first_cells(length, tokens, levels, fan_in)
            known, shown = known.gather(1, cells), shown.gather(1, cells)
            cells = self._sent(cells)
        weights = step_weights(levels, ~known)
        tokens, shown, levels, fan_in, weights, seeds = (
            self._sent(x) for x in (tokens, shown, levels, fan_in, weights, plan.seeds)
        )
        logits = self.forward(values, shown, levels, fan_in, seeds, cells)
        losses = F.cross_entropy(
            logits.float().flatten(0, 1),
            tokens.flatten(),
            reduction="none",
            label_smoothing=self.config.train.label_smoothing,
        )
        return (losses * weights.flatten()).sum() / weights.sum()

    def _sent(self, x: Tensor) -> Tensor:
        """On its way to where the model lies; an accelerator is not waited for."""
        cuda = self.device.type == "cuda"
        return x.pin_memory().to(self.device, non_blocking=True) if cuda else x.to(self.device)

    def figures(self) -> dict[str, float]:
        """`loss_*` of training pictures and `loss_held_out_*` of others, nats per token."""
        out = self.stream.figures()
        for name, values, tokens in self.stream.to_measure():
            losses = plan_losses(self.model, values.to(self.device), tokens.to(self.device))
            out |= {k.replace("loss_", f"loss_{name}"): round(v, 4) for k, v in losses.items()}
        return out

    def export(self, figures: dict[str, float]) -> None:
        """Write a self-describing model folder into the run."""
        run, state = self.run, folded_state(self.model)
        with whole_folder(run.folder / EXPORT) as folder:
            self._write(folder, state, figures)
        log.info("exported %s", run.folder / EXPORT)

    def _write(self, folder: Path, state: dict[str, Tensor], figures: dict[str, float]) -> None:
        """The files of the export."""
        config, run = self.config, self.run
        save_file(state, folder / "generator.safetensors")
        info = {**self._told(), "parameters": sum(v.numel() for v in state.values())}
        described = {"info": info, "model": said(config.model)}
        write_config(folder, described, self.tokenizer)
        record = {
            "pictures": self.stream.seen(run.world),
            "steps": run.step,
            "samples": samples_of(config.train, self.grid, run.step) * run.world,
            "hours": round(run.seconds / 3600, 3),
            "losses": figures,
            "train": said(config.train),
            "source": without_places(said(config.source)),
        }
        if self.begun is not None:
            record["begun_from"] = {"name": name_of(self.begun)}
            if (before := self.begun / "record.yaml").is_file():
                record["begun_from"] |= read_yaml(before)
        OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
        if 0 < len(self.stream.names) <= MOST_NAMES:
            names = "\n".join(self.stream.names) + "\n"
            (folder / "names.txt").write_text(names, encoding="utf-8")
        info = replace(read_info(folder), name=name_of(run.folder / EXPORT))
        (folder / "README.md").write_text(model_card(info, record), encoding="utf-8")

    def _told(self) -> dict[str, Any]:
        """What the configuration says of the model; what it leaves unsaid is of this run."""
        config, run = self.config, self.run
        info = {name: value for name, value in said(config.info).items() if value != ""}
        info.setdefault("title", run.folder.resolve().name)
        if isinstance(config.source, FolderSource):
            folder = Path(config.source.folder).resolve().name
            told = f"{self.stream.seen(run.world)} items of the folder {folder}"
            info.setdefault("trained_on", told)
            names = self.stream.names
            if names and not info.get("prompts"):
                info["prompts"] = [names[i] for i in evenly(len(names), EXAMPLES)]
        return info
