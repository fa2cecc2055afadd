"""The training loop that tokenizers and generators share: resume, EMA, mixed precision, DDP."""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm import tqdm

from ..writing import whole_file
from .config import LoopConfig
from .identity import SAVED

log = logging.getLogger(__name__)

SPARED = 10.0  # times as long as saving took, a run trains before it saves again


def rank_and_world() -> tuple[int, int]:
    """This process's rank and the number of processes, as torchrun sets them."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def learning_rate_share(step: int, done: float, warmup: int, anneal: float) -> float:
    """Share of the peak learning rate: warm up, stay, then fall linearly over the last `anneal`.

    Args:
        done: share of the run that lies behind.
    """
    falling = (1 - done) / max(1e-9, anneal)
    return max(0.0, min(1.0, (step + 1) / warmup, falling))


def make_optimizers(model: nn.Module, config: LoopConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the network, AdamW for embeddings, outputs, gains and biases."""
    params = {n: p for n, p in model.named_parameters() if p.requires_grad}
    # A list, not a set: saved optimizer states are told apart by the order of parameters.
    inner = [
        n
        for n, p in params.items()
        if p.ndim == 2 and min(p.shape) >= 32 and not any(key in n for key in config.adamw_names)
    ]
    decay = config.weight_decay
    out: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [p for n, p in params.items() if n not in inner],
            lr=config.adamw_lr,
            betas=config.betas,
            weight_decay=decay,
        )
    ]
    if inner and config.muon_lr:
        out.append(
            torch.optim.Muon(
                [params[n] for n in inner], lr=config.muon_lr, weight_decay=config.muon_weight_decay
            )
        )
    elif inner:
        out[0].add_param_group({"params": [params[n] for n in inner]})
    return out


class Interruption:
    """Whether this process has been asked to end, by Ctrl-C or SIGTERM; a second time ends it."""

    def __init__(self) -> None:
        self.asked = 0  # the signal's number

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """While it is watched for; elsewhere than in the main thread nothing can be."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {n: signal.signal(n, self._ask) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt(number)
        self.asked = number
        log.warning("asked to end: saving after this step (once more ends at once)")


def board(folder: Path, step: int) -> Any:
    """A TensorBoard writer of a run that goes on from a step.

    Raises ImportError, with the remedy, where the package is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "train.tensorboard: got true without its package, expected it; pip install tensorboard"
        ) from error
    return SummaryWriter(str(folder), purge_step=step + 1)


class Run:
    """One training run in a folder: `last.pt` to resume from, `log.csv` to look at.

    Args:
        model: what is trained; its parameters are averaged into `ema`.
        config: what the loop and `make_optimizers` read.
        folder: run folder, made if missing; an existing `last.pt` is resumed.
        device: where the model lives.
    """

    def __init__(self, model: nn.Module, config: LoopConfig, folder: Path, device: torch.device):
        self.model, self.config, self.folder, self.device = model, config, folder, device
        self.rank, self.world = rank_and_world()
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        self.step, self.seconds, self.rows = 0, 0.0, []
        self.optimizers = make_optimizers(model, config)
        self.peaks = [[g["lr"] for g in o.param_groups] for o in self.optimizers]
        self.ema = {k: v.detach().clone() for k, v in model.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SAVED
        if path.is_file():
            try:
                self._resume(torch.load(path, map_location=device, weights_only=True))
            except (RuntimeError, ValueError, KeyError, TypeError, EOFError, OSError,
                    AttributeError, pickle.UnpicklingError) as error:  # fmt: skip
                told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                raise ValueError(
                    f"{path}: got no run that can be gone on with ({told}), expected one of this "
                    "configuration; remove it to begin anew, or choose another --out"
                ) from error
        wanted = config.tensorboard and not self.rank
        self.board = board(folder / "tensorboard", self.step) if wanted else None

    def _resume(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.ema = state["ema"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]
        log.info("resumed %s at step %d", self.folder, self.step)

    @property
    def done(self) -> float:
        """Share of the run that lies behind: of its steps or of its minutes, which is further."""
        config = self.config
        behind = self.step / config.steps if config.steps else 1.0
        return max(behind, self.seconds / (60 * config.minutes)) if config.minutes else behind

    def _tell_time(self, seconds: float) -> None:
        """How long the run has taken, alike in all processes, since its end may hang on it."""
        self.seconds = seconds
        if self.world > 1 and self.config.minutes:
            told = torch.tensor([seconds], device=self.device)
            dist.broadcast(told, 0)
            self.seconds = told.item()

    def save(self) -> None:
        """Write `last.pt` (whole or not at all) and the log."""
        if self.rank:
            return
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "seconds": self.seconds,
            "rows": self.rows,
        }
        with whole_file(self.folder / SAVED) as part:
            torch.save(state, part)
        if self.rows:
            with whole_file(self.folder / "log.csv") as part, part.open("w", newline="") as f:
                names = sorted(
                    {k for row in self.rows for k in row}, key=lambda k: (k != "step", k)
                )
                writer = csv.DictWriter(f, names)
                writer.writeheader()
                writer.writerows(self.rows)

    def _average_gradients(self, params: list[nn.Parameter]) -> None:
        """Mean over all processes, sent in one piece: many small ones take eight times as long."""
        gradients = [p.grad for p in params if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients]) / self.world
        dist.all_reduce(flat, dist.ReduceOp.SUM)
        for g, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            g.copy_(part.view_as(g))

    @contextlib.contextmanager
    def averaged(self):
        """The model with its averaged weights, for evaluation."""
        kept = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.ema)
        try:
            yield self.model
        finally:
            self.model.load_state_dict(kept)

    def fit(
        self,
        loss_of: Callable[[int], Tensor],
        evaluate: Callable[[], dict[str, float]] | None = None,
    ) -> dict[str, float]:
        """Train for `config.steps` or `config.minutes`; asked to end before, save.

        It is asked by Ctrl-C or SIGTERM.

        Args:
            loss_of: the loss of step i on this process's share of the batch.
            evaluate: figures to log, computed on the averaged weights.

        Returns:
            The figures after the last step.

        Raises:
            KeyboardInterrupt: it was asked to end by the signal of this number, and has saved.
        """
        interruption = Interruption()
        with interruption.watched():
            return self._fit(loss_of, evaluate, interruption)

    def _fit(
        self,
        loss_of: Callable[[int], Tensor],
        evaluate: Callable[[], dict[str, float]] | None,
        interruption: Interruption,
    ) -> dict[str, float]:
        config = self.config
        params = [p for p in self.model.parameters() if p.requires_grad]
        bar = tqdm(total=config.steps, initial=self.step, disable=bool(self.rank), mininterval=10)
        started = saved = time.monotonic()
        before, recent, took = self.seconds, [], 0.0
        while self.done < 1:
            share = learning_rate_share(self.step, self.done, config.warmup, config.anneal)
            for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["lr"] = peak * share
                optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
                loss = loss_of(self.step * self.world + self.rank)
            loss.backward()
            if self.world > 1:
                self._average_gradients(params)
            torch.nn.utils.clip_grad_norm_(params, config.clip)
            for optimizer in self.optimizers:
                optimizer.step()
            self.step += 1
            decay = min(config.ema, self.step / (self.step + 10))
            with torch.no_grad():
                for k, v in self.model.state_dict().items():
                    if v.is_floating_point():
                        self.ema[k].lerp_(v, 1 - decay)
            recent.append(loss.detach())  # asking for its value would wait for an accelerator
            bar.update()
            now = time.monotonic()
            self._tell_time(before + now - started)
            if self.step % config.eval_every == 0 or self.done >= 1:
                row = {
                    "step": self.step,
                    "minutes": round(self.seconds / 60, 2),
                    "loss": round(torch.stack(recent).mean().item(), 5),
                }
                recent = []
                if evaluate:
                    with self.averaged():
                        row |= evaluate()
                self.rows.append(row)
                if self.board is not None:
                    for name, value in row.items():
                        self.board.add_scalar(name, value, self.step)
                    self.board.flush()
                bar.set_postfix({k: v for k, v in row.items() if k != "step"})
                log.info("%s", row)
            if interruption.asked:
                self.save()
                log.warning("saved %s at step %d", self.folder, self.step)
                raise KeyboardInterrupt(interruption.asked)
            if now - saved > max(60 * config.save_minutes, SPARED * took):
                self.save()
                saved = time.monotonic()
                took = saved - now
        bar.close()
        self.save()
        row = self.rows[-1] if self.rows else {}
        if evaluate and row.get("step") != self.step:
            with self.averaged():
                return evaluate()
        return {k: v for k, v in row.items() if k not in ("step", "minutes", "loss")}
