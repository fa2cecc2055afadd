"""Train a generator: `python -m nar_core train generator CONFIG`.

Every sample has a plan of its own (a corner, any seed cell, known rectangles, holes), so that every
seed position, outpainting and inpainting are what the model has seen.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor

from ..settings import SETTINGS, SamplingSettings
from ..weights.embedded import load_tokenizer_folder
from . import official
from .begin import folded_state, fresh, start_from
from .config import FolderSource, GeneratorConfig, OfficialConfig, WorldSource, architecture, said
from .exposure import own_cells, wrong_cells
from .loop import Run, with_graphs
from .losses import plan_losses, step_weights
from .plans import PlanBatch, first_cells, growth_of, plans_for, samples_of
from .source import FolderStream, TokenSource
from .stream import TokenStream, WorldStream

log = logging.getLogger(__name__)

MOST_NAMES = 5000  # more captions than this are no list to choose from


def train(config: GeneratorConfig | OfficialConfig, folder: Path, device: torch.device) -> None:
    """Train in a run folder, then export. An official size follows the paper's recipe."""
    if isinstance(config, OfficialConfig):
        official.train(config, folder, device)
        return
    trainer = Trainer(config, folder, device)
    figures = trainer.run.fit(trainer.loss_of, trainer.figures)
    if trainer.run.rank == 0:
        with trainer.run.averaged():
            trainer.export(figures)
    trainer.stream.close()


class Trainer:
    """A generator, the stream that it learns from, and its run.

    Raises ValueError where the configuration and what it names do not go together.
    """

    def __init__(self, config: GeneratorConfig, folder: Path, device: torch.device):
        torch.manual_seed(config.train.seed)
        self.config, self.device = config, device
        form = architecture(config.model)
        self.grid, self.directions = form.grid, form.directions
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = load_tokenizer_folder(Path(config.tokenizer), form.grid)[0].to(device)
        stream: TokenStream | None = None
        if isinstance(config.source, FolderSource):
            others = config.train.other_share > 0
            source = TokenSource(config.source, tokenizer, device, folder / "tokens.npy", others)
            if others and not len(source.others):
                raise ValueError(
                    f"train.other_share: got {config.train.other_share}, expected 0: the source "
                    "leaves nothing aside"
                )
            log.info(
                "%d training, %d held-out pictures", len(source.training), len(source.validation)
            )
            stream = FolderStream(
                source, form.condition, config.train, config.source.label, config.info.labels or ()
            )
        digits = tokenizer.quantize.levels if config.train.share_digits else None
        self.model = fresh(form, digits)
        if config.init_from:
            start_from(self.model, Path(config.init_from))
        self.model.to(device)
        self.model.rotations(0)
        # One graph per length of growth; a dynamic one would be slower.
        self.forward = with_graphs(self.model, config.train.compile, dynamic=False)
        self.run = run = Run(self.model, config.train, folder, device)
        if stream is None:
            assert isinstance(config.source, WorldSource)
            taken = samples_of(config.train, form.grid, run.step)
            stream = WorldStream(
                config.source,
                Path(config.tokenizer),
                form.grid,
                (config.train.seed, run.rank),
                taken,
                config.train.null_share,
            )
        self.stream: TokenStream = stream
        # Without guidance, which would double the cost.
        drawing = [s.name for s in SETTINGS if not s.name.startswith("guidance")]
        self.as_users_draw = SamplingSettings(**{n: getattr(config.info, n) for n in drawing})

    def loss_of(self, index: int) -> Tensor:
        """The loss of one process's share of a step."""
        config = self.config.train
        rng = np.random.default_rng((config.seed, index))
        length, batch = growth_of(config, self.grid, self.run.step)
        plans = plans_for(config, self.grid, length, batch, rng)
        # Alike in all processes, since each waits for the slowest.
        turn = np.random.default_rng((config.seed, self.run.step)).random()
        own = turn < config.own_share and self.run.step >= config.own_after * config.steps
        if own:
            plans = plans[:1] * batch  # all rows of a growth share one
        values, tokens = self.stream.draw(plans, rng)
        values = values.to(self.device)
        plan = PlanBatch.of(plans, self.directions)
        if own:
            right = config.own_right
            first = int(rng.uniform(0.15, right) * length) if right else 0
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
            cells = cells.to(self.device)
        tokens, shown, levels, fan_in, known, seeds = (
            x.to(self.device) for x in (tokens, shown, levels, fan_in, known, plan.seeds)
        )
        logits = self.forward(values, shown, levels, fan_in, seeds, cells)
        losses = F.cross_entropy(
            logits.float().flatten(0, 1),
            tokens.flatten(),
            reduction="none",
            label_smoothing=self.config.train.label_smoothing,
        )
        weights = step_weights(levels, ~known)
        return (losses * weights.flatten()).sum() / weights.sum()

    def figures(self) -> dict[str, float]:
        """`loss_*` of training pictures and `loss_held_out_*` of others, nats per token."""
        out = self.stream.figures()
        for name, values, tokens in self.stream.to_measure():
            losses = plan_losses(self.model, values.to(self.device), tokens.to(self.device))
            out |= {k.replace("loss_", f"loss_{name}"): round(v, 4) for k, v in losses.items()}
        return out

    def export(self, figures: dict[str, float]) -> None:
        """Write a self-describing model folder into the run."""
        config, run = self.config, self.run
        folder = run.folder / "export"
        folder.mkdir(exist_ok=True)
        state = folded_state(self.model)
        save_file(state, folder / "generator.safetensors")
        info = {**said(config.info), "parameters": sum(v.numel() for v in state.values())}
        tokenizer = f"../{Path(config.tokenizer).name}"
        described = {"info": info, "model": said(config.model), "tokenizer": tokenizer}
        OmegaConf.save(OmegaConf.create(described), folder / "config.yaml")
        record = {
            "pictures": self.stream.seen(run.world),
            "steps": run.step,
            "samples": samples_of(config.train, self.grid, run.step) * run.world,
            "hours": round(run.seconds / 3600, 3),
            "losses": figures,
            "train": said(config.train),
            "source": said(config.source),
        }
        if config.init_from and (before := Path(config.init_from) / "record.yaml").is_file():
            record["begun_from"] = OmegaConf.load(before)
        OmegaConf.save(OmegaConf.create(record), folder / "record.yaml")
        if 0 < len(self.stream.names) <= MOST_NAMES:
            names = "\n".join(self.stream.names) + "\n"
            (folder / "names.txt").write_text(names, encoding="utf-8")
        log.info("exported %s", folder)
