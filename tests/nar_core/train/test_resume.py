"""What a run says of a save that it cannot go on with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nar_core.train import loop
from nar_core.train.config import LoopConfig


def run(folder, width: int = 4) -> loop.Run:
    config = LoopConfig(steps=1, warmup=1, anneal=0.5, adamw_lr=1e-3, ema=0.9)
    config.save_minutes, config.eval_every = 1.0, 1
    return loop.Run(nn.Linear(width, 2), config, folder, torch.device("cpu"))


def test_a_damaged_save_is_told_with_its_path(tmp_path):
    run(tmp_path).save()
    assert run(tmp_path).step == 0
    whole = (tmp_path / "last.pt").read_bytes()
    for data in (b"", b"hello", whole[: len(whole) // 2], whole[:-60]):
        (tmp_path / "last.pt").write_bytes(data)
        with pytest.raises(ValueError, match=r"last.pt: got no run .*; remove it to begin anew"):
            run(tmp_path)
    torch.save({"a": 1}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match=r"last.pt: got no run"):
        run(tmp_path)


def test_a_save_of_another_shape_is_told(tmp_path):
    run(tmp_path).save()
    with pytest.raises(ValueError, match=r"last.pt: got no run .*expected one of this config"):
        run(tmp_path, width=5)
