"""Weights laid out for speed compute what they did."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nar_core.models.packed import PackedLinear, can_pack, pack_linears


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_layers_give_the_same_numbers(dtype):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(48, 40, bias=False), nn.Sequential(nn.Linear(40, 8)))
    plain = plain.to(dtype).requires_grad_(False)
    if not can_pack(plain[0].weight):
        pytest.skip(f"no kernels for packed {dtype} weights on this machine")
    x = torch.randn(2, 7, 48, dtype=dtype)
    expected = plain(x)
    pack_linears(plain)
    assert isinstance(plain[0], PackedLinear)
    assert isinstance(plain[1][0], nn.Linear)  # a layer with a bias stays
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(plain(x), expected, atol=tolerance, rtol=tolerance)
