"""Where a token is: angles over time, rows and columns, word for word."""

from __future__ import annotations

import cmath

import pytest
import torch

from nar_core.models.position import LearnedPositions, rotate, rotations_of
from nar_core.plan import GridShape

GRID = GridShape(2, 3, 4)


@pytest.mark.parametrize(("condition", "front"), [("identity", 1), ("zero", 0)])
def test_each_axis_turns_its_own_pairs_the_slower_the_later_they_come(condition, front):
    turns = rotations_of(GRID, (1, 2, 3), 100.0, 5, condition)[:, 0, 0]
    assert turns.shape == (5 + 24, 6)
    assert (turns[:5] == front).all()
    for t, h, w in ((0, 0, 0), (1, 2, 3), (1, 0, 2), (0, 1, 0)):
        angles = [t, h, h * 100 ** (-1 / 2), w, w * 100 ** (-1 / 3), w * 100 ** (-2 / 3)]
        wanted = torch.tensor([cmath.exp(1j * angle) for angle in angles])
        torch.testing.assert_close(turns[5 + (t * 3 + h) * 4 + w], wanted)


def test_neighbouring_components_are_a_pair_that_turns():
    """The even one is its real part; compiled, the same is written out."""
    x = torch.tensor([1.0, 0.0, 0.0, 2.0]).view(1, 1, 1, 1, 4)
    quarter = torch.polar(torch.ones(2), torch.tensor([torch.pi / 2, torch.pi])).view(1, 1, 1, 2)
    torch.testing.assert_close(rotate(x, quarter).flatten(), torch.tensor([0.0, 1.0, 0.0, -2.0]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.compiler, "is_compiling", lambda: True)
        compiled = rotate(x, quarter).flatten()
    torch.testing.assert_close(compiled, torch.tensor([0.0, 1.0, 0.0, -2.0]))


def test_learned_places_are_a_table_or_a_sum_over_axes():
    index = torch.tensor([[0, 23], [6, 13]])
    one = LearnedPositions("factored", GRID, 2, 8)
    for i, (t, h, w) in zip(
        index.flatten(), ((0, 0, 0), (1, 2, 3), (0, 1, 2), (1, 0, 1)), strict=True
    ):
        torch.testing.assert_close(one.cells(i), one.axes[0][t] + one.axes[1][h] + one.axes[2][w])
    assert one.cells(index).shape == (2, 2, 8)
    assert one.condition() == 0
    full = LearnedPositions("full", GRID, 2, 8)
    torch.testing.assert_close(full.cells(index), full.table[2:][index])
    torch.testing.assert_close(full.condition(), full.table[:2])
