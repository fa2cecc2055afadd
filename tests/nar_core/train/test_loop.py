"""The loop that all trainings share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from nar_core.train import loop
from nar_core.train.config import LoopConfig
from nar_core.train.loop import Run, learning_rate_share


def test_the_learning_rate_warms_up_stays_and_falls():
    shares = [learning_rate_share(step, step / 100, 10, 0.4) for step in range(101)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[9:60] == [1.0] * 51
    assert shares[80] == pytest.approx(0.5)
    assert shares[100] == 0


def test_gradients_are_the_mean_of_all_processes(monkeypatch):
    params = [torch.nn.Parameter(torch.zeros(n)) for n in (2, 1, 3)]
    params[0].grad, params[2].grad = torch.tensor([2.0, 4.0]), torch.tensor([6.0, 8.0, 10.0])
    other = torch.tensor([0.0, 2.0, 0.0, 2.0, 0.0])
    monkeypatch.setattr(loop.dist, "all_reduce", lambda flat, op: flat.add_(other / 2))
    Run._average_gradients(SimpleNamespace(world=2), params)
    assert params[0].grad.tolist() == [1, 3]
    assert params[1].grad is None
    assert params[2].grad.tolist() == [3, 5, 5]


def test_a_run_ends_when_its_minutes_are_over_and_the_learning_rate_has_fallen_by_then(
    tmp_path, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    model = torch.nn.Linear(2, 2)
    config = LoopConfig(
        steps=1000, minutes=1.0, warmup=1, anneal=0.5, adamw_lr=0.1, ema=0.9, save_minutes=9.0,
        eval_every=1000,
    )  # fmt: skip
    run = Run(model, config, tmp_path, torch.device("cpu"))
    rates = []

    def loss_of(index: int) -> torch.Tensor:
        now[0] += 6.0
        rates.append(run.optimizers[0].param_groups[0]["lr"])
        return model(torch.ones(1, 2)).sum()

    run.fit(loss_of)
    assert run.step == 10
    assert rates == pytest.approx([0.1] * 6 + [0.08, 0.06, 0.04, 0.02])
    assert run.rows[-1]["step"] == 10


def test_saving_takes_a_tenth_of_the_time_at_most(tmp_path, monkeypatch):
    clock, saved = [0.0], []
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    config = LoopConfig(steps=70, warmup=1, anneal=0.1, adamw_lr=0.1, ema=0.9,
                        save_minutes=0, eval_every=100)  # fmt: skip
    model = torch.nn.Linear(2, 1)
    run = Run(model, config, tmp_path, torch.device("cpu"))

    def save() -> None:
        saved.append(run.step)
        clock[0] += 3.0

    def loss_of(index: int) -> torch.Tensor:
        clock[0] += 1.0
        return model.weight.square().sum()

    monkeypatch.setattr(run, "save", save)
    run.fit(loss_of)
    assert saved == [1, 32, 63, 70]
