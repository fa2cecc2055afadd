"""Weights laid out for speed compute what they did."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nar_core.models.packed import Int8Linear, PackedLinear, can_pack, gated, pack_linears, plus


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


class Feed(nn.Module):
    """The half of a block that is joined."""

    def __init__(self):
        super().__init__()
        self.gate, self.up = (nn.Linear(48, 32, bias=False) for _ in range(2))
        self.down = nn.Linear(32, 48, bias=False)

    def forward(self, x):
        return plus(x, self.down, gated(self.gate, self.up, x))


def test_a_gate_and_what_it_gates_are_one_product():
    torch.manual_seed(0)
    feed = Feed().requires_grad_(False)
    x = torch.randn(2, 7, 48)
    expected = x + feed.down(F.silu(feed.gate(x)) * feed.up(x))
    torch.testing.assert_close(feed(x), expected)
    pack_linears(feed)
    assert feed.up is None
    torch.testing.assert_close(feed(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_is_near_and_a_row_does_not_depend_on_the_others(dtype):
    if not torch.cpu._is_vnni_supported():
        pytest.skip("no instructions for int8 on this machine")
    torch.manual_seed(0)
    plain = nn.Linear(256, 96, bias=False).to(dtype).requires_grad_(False)
    rounded = Int8Linear(plain.weight)
    x = torch.randn(2, 7, 256, dtype=dtype)
    x[0, 3] *= 300  # a row of large numbers takes nothing from the precision of the others
    x[1, 2] = 0
    expected = plain(x).float()
    off = (rounded(x).float() - expected).norm(dim=-1) / expected.norm(dim=-1).clamp(min=1e-6)
    assert 1e-4 < off.max() < 0.02
    assert off[1, 2] == 0
    assert torch.equal(rounded(x)[0, 3], rounded(x[:1, 3:4])[0, 0])
    base = torch.randn(2, 7, 96, dtype=dtype)
    torch.testing.assert_close(plus(base, rounded, x), base + rounded(x), atol=1, rtol=0.02)
