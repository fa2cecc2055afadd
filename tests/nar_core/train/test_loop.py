"""The loop that all trainings share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from nar_core.train import loop
from nar_core.train.loop import Run, learning_rate_share


def test_the_learning_rate_warms_up_stays_and_falls():
    shares = [learning_rate_share(step, 100, 10, 0.4) for step in range(101)]
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
