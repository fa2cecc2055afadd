"""What the heads make of predictions that meet, beside the rules written out cell by cell."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nar_core.models.heads import Heads
from nar_core.plan import DIRECTIONS

CELLS, CODES = 24, 7


@pytest.fixture(params=[False, True], ids=["own matrices", "one matrix"])
def heads(request) -> Heads:
    torch.manual_seed(0)
    made = Heads({"+w": 1, "+h": 2, "+t": 1}, nn.Identity, 8, CODES, request.param, True)
    for p in made.parameters():
        nn.init.normal_(p, std=0.7)
    return made.requires_grad_(False)


@pytest.fixture
def hidden() -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {depth: torch.randn(2, CELLS, 8, generator=generator) for depth in (1, 2)}


@pytest.fixture
def senders() -> torch.Tensor:
    """Each cell hears one, two or three of the directions, from anywhere."""
    generator = torch.Generator().manual_seed(2)
    out = torch.full((CELLS, 6), -1)
    for cell in range(CELLS):
        for direction in ("+w", "+h", "+t")[: 1 + cell % 3]:
            at = int(torch.randint(CELLS, (1,), generator=generator))
            out[cell, DIRECTIONS.index(direction)] = at
    return out


def arriving(heads: Heads, hidden, senders, row: int, cell: int) -> list[torch.Tensor]:
    """The logits [V] that arrive in a cell, one for each direction that it hears."""
    out = []
    for direction, head in heads.each():
        at = int(senders[cell, DIRECTIONS.index(direction)])
        if at >= 0:
            state = hidden[heads.taps[direction]][row, at]
            out.append(heads.matrix_of(head)(head.features(state)))
    return out


RULES = {
    "logits": lambda logits: torch.stack(logits).mean(0),
    "probabilities": lambda logits: torch.stack([x.softmax(-1) for x in logits]).mean(0).log(),
    "confident": lambda logits: max(logits, key=lambda x: float(x.softmax(-1).max())),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_what_it_says_in_every_cell(heads, hidden, senders, rule):
    fused = heads(hidden, senders, rule)
    winners = set()
    for row in range(2):
        for cell in range(CELLS):
            logits = arriving(heads, hidden, senders, row, cell)
            expected = RULES[rule](logits)
            torch.testing.assert_close(fused[row, cell], expected, atol=1e-5, rtol=1e-5)
            if len(logits) == 3:
                winners.add(max(range(3), key=lambda i: float(logits[i].softmax(-1).max())))
    # The most confident one is not always the first or the last to arrive.
    assert winners == {0, 1, 2}


@pytest.mark.parametrize("rule", RULES)
def test_where_one_direction_arrives_every_rule_is_its_head(heads, hidden, rule):
    alone = torch.full((5, 6), -1)
    alone[:, DIRECTIONS.index("+h")] = torch.tensor([3, 1, 4, 1, 5])
    fused = heads(hidden, alone, rule)
    for row in range(2):
        for cell in range(5):
            expected = RULES[rule](arriving(heads, hidden, alone, row, cell))
            torch.testing.assert_close(fused[row, cell], expected, atol=1e-5, rtol=1e-5)


def test_heads_have_a_projection_or_a_matrix_of_their_own(heads):
    shared = heads.output is not None
    for _, head in heads.each():
        assert [head.project is None, head.output is None] == [not shared, shared]


def test_a_plan_for_each_sample_is_the_mean_of_logits(heads, hidden, senders):
    rows = torch.stack([senders, senders.roll(1, 0)])
    fused = heads(hidden, rows)
    alone = [heads({k: v[i : i + 1] for k, v in hidden.items()}, rows[i])[0] for i in range(2)]
    torch.testing.assert_close(fused, torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_one_head_says_the_same_in_every_direction(hidden, senders):
    heads = Heads({"+w": 1, "+h": 1}, nn.Identity, 8, CODES, True, True, one=True)
    assert len(heads.heads) == 1
    turned = senders.clone()
    turned[:, [0, 2]] = senders[:, [2, 0]]
    torch.testing.assert_close(heads(hidden, senders), heads(hidden, turned))


@pytest.mark.parametrize("shared", [False, True])
def test_a_gate_begins_as_the_mean_and_then_weighs(hidden, senders, shared):
    torch.manual_seed(0)
    heads = Heads({"+w": 1, "+h": 2, "+t": 1}, nn.Identity, 8, CODES, shared, True, gate=True)
    plain = Heads({"+w": 1, "+h": 2, "+t": 1}, nn.Identity, 8, CODES, shared, True)
    plain.load_state_dict({k: v for k, v in heads.state_dict().items() if ".gate." not in k})
    torch.testing.assert_close(heads(hidden, senders), plain(hidden, senders))
    for _, head in heads.each():
        assert head.gate is not None
        nn.init.normal_(head.gate.weight)
    fused = heads(hidden, senders)
    cell = 2  # hears three
    said, weights = arriving(heads, hidden, senders, 0, cell), []
    for direction, head in heads.each():
        at = int(senders[cell, DIRECTIONS.index(direction)])
        assert head.gate is not None
        state = hidden[heads.taps[direction]][0, at]
        weights.append(torch.sigmoid(head.gate(head.features(state))))
    wanted = sum(w * x for w, x in zip(weights, said, strict=True)) / sum(weights)
    torch.testing.assert_close(fused[0, cell], wanted)
    # training, where every row has a plan of its own, fuses alike
    torch.testing.assert_close(heads(hidden, senders.expand(2, -1, -1)), fused)


@pytest.mark.parametrize("gate", [False, True])
def test_what_meets_is_added_up_in_float32_where_that_is_said(gate, hidden):
    torch.manual_seed(3)
    made = Heads({"+w": 1, "+h": 2}, nn.Identity, 8, CODES, False, True, gate=gate).bfloat16()
    for p in made.requires_grad_(False).parameters():
        nn.init.normal_(p, std=0.7)
    both = torch.full((CELLS, 6), -1)
    both[:, [DIRECTIONS.index("+w"), DIRECTIONS.index("+h")]] = torch.arange(CELLS)[:, None]
    half = {depth: states.bfloat16() for depth, states in hidden.items()}
    told = [(head, half[made.taps[direction]]) for direction, head in made.each()]
    apart = [(made.matrix_of(head)(states), head.weight(states)) for head, states in told]
    met = made(half, both)
    assert met.dtype == torch.float32
    total = sum(weight for _, weight in apart).float()
    expected = sum(logits.float() * weight.float() for logits, weight in apart) / total
    torch.testing.assert_close(met, expected, atol=1e-6, rtol=1e-6)
