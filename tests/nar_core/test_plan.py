"""Properties of decoding plans."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nar_core.plan import (
    DIRECTIONS,
    OFFSETS,
    GridShape,
    coordinates,
    legal_seed_positions,
    make_plan,
    neighbours,
    select_senders,
    start_amid,
)

OFFICIAL = ("+w", "+h", "+t")
LEVELS = st.sampled_from(["zero", "distance"])


@st.composite
def grids(draw) -> GridShape:
    return GridShape(*(draw(st.integers(1, n)) for n in (4, 7, 7)))


@st.composite
def known_sets(draw, grid: GridShape) -> np.ndarray:
    """Nothing, a rectangle, everything but a hole, a frame around, whole slices, or any cells."""
    kind = draw(st.sampled_from(["nothing", "rectangle", "hole", "frame", "slices", "any"]))
    known = np.zeros(grid, bool)
    if kind in ("rectangle", "hole"):
        sides = []
        for n in grid:
            low = draw(st.integers(0, n - 1))
            sides.append(slice(low, draw(st.integers(low + 1, n))))
        known[tuple(sides)] = True
        known ^= kind == "hole"
    elif kind == "frame":
        known[:] = True
        known[:, 1:-1, 1:-1] = False
    elif kind == "slices":
        known[: draw(st.integers(0, grid.t))] = True
    elif kind == "any":
        cells = draw(st.lists(st.booleans(), min_size=grid.cells, max_size=grid.cells))
        known[:] = np.array(cells).reshape(grid)
    if known.all():
        known[draw(st.integers(0, grid.t - 1))] = False
    return known


@st.composite
def plans(draw):
    grid = draw(grids())
    seed = tuple(draw(st.integers(0, n - 1)) for n in grid)
    return make_plan(grid, seed, draw(known_sets(grid)), known_level=draw(LEVELS))


def test_what_plans_share_cannot_be_written_over():
    for shared in (coordinates(GridShape(1, 3, 3)), neighbours(GridShape(1, 3, 3))):
        with pytest.raises(ValueError, match="read-only"):
            shared[0] = 7


@settings(deadline=None)
@given(plans())
def test_every_unknown_cell_is_decoded_exactly_once(plan):
    decoded = np.concatenate([s.positions for s in plan.steps])
    assert sorted(decoded) == list(np.flatnonzero(~plan.known))
    assert plan.total == len(plan.steps) > 0
    assert all(len(s.positions) for s in plan.steps)


@settings(deadline=None)
@given(plans())
def test_no_two_cells_of_a_front_touch(plan):
    for step in plan.steps:
        at = coordinates(plan.grid)[step.positions]
        gaps = np.abs(at[:, None] - at[None]).sum(-1)
        assert not (gaps == 1).any()


@settings(deadline=None)
@given(plans())
def test_fronts_come_in_order_of_distance(plan):
    assert (plan.distances == np.abs(coordinates(plan.grid) - plan.seed_position).sum(-1)).all()
    fronts = [set(plan.distances[s.positions]) for s in plan.steps]
    assert all(len(front) == 1 for front in fronts)
    order = [front.pop() for front in fronts]
    assert order == sorted(set(order))


@settings(deadline=None)
@given(plans())
def test_every_cell_but_a_lone_seed_has_a_sender_of_lower_level(plan):
    seed = int(np.ravel_multi_index(plan.seed_position, plan.grid))
    for step in plan.steps:
        np.testing.assert_array_equal(step.fan_in, plan.fan_in[step.positions])
        for cell, senders in zip(step.positions, step.fan_in, strict=True):
            heard = senders[senders >= 0]
            assert len(heard) or cell == seed
            assert (plan.levels[heard] < plan.levels[cell]).all()
    assert (plan.fan_in[plan.known] == -1).all()


@settings(deadline=None)
@given(plans())
def test_senders_lie_where_their_direction_says(plan):
    at = coordinates(plan.grid)
    for column, step in enumerate(OFFSETS):
        cells = np.flatnonzero(plan.fan_in[:, column] >= 0)
        np.testing.assert_array_equal(at[plan.fan_in[cells, column]] + step, at[cells])


@settings(deadline=None)
@given(grids(), st.data())
def test_known_cells_come_first_or_in_their_turn(grid, data):
    seed = tuple(data.draw(st.integers(0, n - 1)) for n in grid)
    known = data.draw(known_sets(grid))
    early = make_plan(grid, seed, known, known_level="zero")
    assert (early.levels[early.known] == 0).all()
    fronts = [early.levels[step.positions] for step in early.steps]
    assert all((front == k).all() for k, front in enumerate(fronts, 1))
    in_turn = make_plan(grid, seed, known, known_level="distance")
    np.testing.assert_array_equal(in_turn.levels, in_turn.distances + 1)


@settings(deadline=None)
@given(grids(), LEVELS)
def test_steps_from_a_corner(grid, known_level):
    plan = make_plan(grid, (0, 0, 0), None, OFFICIAL, known_level)
    assert plan.total == sum(grid) - 2


@settings(deadline=None)
@given(grids(), st.data())
def test_steps_without_a_known_set_reach_the_farthest_cell(grid, data):
    seed = tuple(data.draw(st.integers(0, n - 1)) for n in grid)
    farthest = sum(max(p, n - 1 - p) for p, n in zip(seed, grid, strict=True))
    assert make_plan(grid, seed).total == farthest + 1


def test_slices_share_the_frames():
    assert GridShape(1, 2, 2).slice_of_frame(1) == (0,)
    assert GridShape(4, 2, 2).slice_of_frame(4) == (0, 1, 2, 3)
    assert GridShape(2, 2, 2).slice_of_frame(6) == (0, 0, 0, 1, 1, 1)


def test_the_step_counts_of_the_paper():
    for side in (16, 24, 32):
        assert make_plan(GridShape(1, side, side), (0, 0, 0)).total == 2 * side - 1
    assert make_plan(GridShape(1, 16, 16), (0, 8, 8)).total == 17
    assert make_plan(GridShape(4, 16, 16), (0, 0, 0)).total == 34


@given(st.integers(1, 9))
def test_the_corner_plan_equals_the_papers_diagonals(side):
    plan = make_plan(GridShape(1, side, side), (0, 0, 0), None, ("+w", "+h"), "distance")
    for diagonal, step in enumerate(plan.steps):
        expected = [(row, diagonal - row) for row in range(side) if 0 <= diagonal - row < side]
        assert [divmod(int(p), side) for p in step.positions] == expected
        for (row, column), senders in zip(expected, step.fan_in, strict=True):
            left = row * side + column - 1 if column else -1
            above = (row - 1) * side + column if row else -1
            assert senders.tolist() == [left, -1, above, -1, -1, -1]


def test_a_known_rectangle_is_outpainted_from_all_sides():
    known = np.zeros((1, 6, 6), bool)
    known[0, 2:4, 2:4] = True
    plan = make_plan(GridShape(1, 6, 6), (0, 2, 2), known)
    first = plan.steps[0]
    assert [divmod(int(p), 6) for p in first.positions] == [(1, 2), (2, 1)]
    # (1, 3) lies beside the rectangle and beside (1, 2): both send.
    cell = plan.fan_in[1 * 6 + 3]
    assert cell[DIRECTIONS.index("-h")] == 2 * 6 + 3
    assert cell[DIRECTIONS.index("+w")] == 1 * 6 + 2


def test_a_hole_is_filled_although_the_seed_lies_outside_it():
    known = np.ones((1, 5, 5), bool)
    known[0, 1:4, 1:4] = False
    plan = make_plan(GridShape(1, 5, 5), (0, 0, 0), known)
    assert plan.total == 5
    assert (plan.fan_in[~plan.known] >= 0).any(-1).all()


def test_a_frame_of_video_is_continued_in_time():
    grid = GridShape(3, 4, 4)
    known = np.zeros(grid, bool)
    known[0] = True
    plan = make_plan(grid, (0, 0, 0), known, OFFICIAL, "distance")
    # The first cell after the known slice hears it alone; it does not come with its neighbours.
    assert [tuple(p) for p in coordinates(grid)[plan.steps[0].positions]] == [(1, 0, 0)]
    assert plan.total == sum(grid) - 3


@settings(deadline=None)
@given(grids(), LEVELS, st.data())
def test_with_every_direction_any_seed_is_legal(grid, known_level, data):
    known = data.draw(known_sets(grid))
    assert legal_seed_positions(grid, DIRECTIONS, known, known_level).all()


@settings(deadline=None, max_examples=50)
@given(st.data(), LEVELS)
def test_legal_seeds_are_exactly_those_that_can_be_planned(data, known_level):
    grid = GridShape(1, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    known = data.draw(known_sets(grid))
    chosen = data.draw(st.sets(st.sampled_from(DIRECTIONS[:4]), min_size=1))
    directions = tuple(d for d in DIRECTIONS if d in chosen)
    legal = legal_seed_positions(grid, directions, known, known_level)
    for seed in map(tuple, coordinates(grid)):
        if legal[seed]:
            make_plan(grid, seed, known, directions, known_level)
        else:
            with pytest.raises(ValueError, match="seed position"):
                make_plan(grid, seed, known, directions, known_level)


def test_a_missing_direction_is_refused_and_legal_seeds_are_named():
    grid = GridShape(1, 3, 4)
    with pytest.raises(ValueError, match=r"\(0, 1, 1\).*\+w \+h; legal: \(0, 0, 0\)$"):
        make_plan(grid, (0, 1, 1), None, ("+w", "+h"))
    with pytest.raises(ValueError, match="legal: none for this known set"):
        make_plan(grid, (0, 1, 1), None, ("+w",))
    known = np.zeros(grid, bool)
    known[:, :, 0] = True
    with pytest.raises(ValueError, match=r"legal: \(0, 0, 0\), \(0, 0, 1\), .* and 2 more"):
        make_plan(grid, (0, 0, 3), known, ("+w",))


@pytest.mark.parametrize("seed", [(0, 0), (0, 3, 0), (0, -1, 0), (1, 0, 0)])
def test_a_seed_outside_the_grid_is_refused(seed):
    with pytest.raises(ValueError, match=r"got .*inside the grid \(1, 3, 4\)"):
        make_plan(GridShape(1, 3, 4), seed)


def test_nothing_left_to_grow_is_refused():
    with pytest.raises(ValueError, match="got every cell, expected at least one to grow"):
        make_plan(GridShape(1, 2, 2), (0, 0, 0), np.ones(4, bool))
    with pytest.raises(ValueError, match=r"got shape \(3,\), expected \(1, 2, 2\)"):
        make_plan(GridShape(1, 2, 2), (0, 0, 0), np.ones(3, bool))


@settings(deadline=None)
@given(plans(), st.sets(st.sampled_from("wht"), min_size=1), st.booleans())
def test_selecting_senders(plan, axes, freshest):
    chosen = select_senders(plan.fan_in, plan.levels, frozenset(axes), freshest)
    kept = chosen >= 0
    np.testing.assert_array_equal(chosen[kept], plan.fan_in[kept])
    # Nobody is left alone who was not.
    np.testing.assert_array_equal(kept.any(-1), (plan.fan_in >= 0).any(-1))
    wanted = np.array([d[1] in axes for d in DIRECTIONS])
    heard = (plan.fan_in >= 0) & wanted
    meets = heard.any(-1)
    assert not kept[meets][:, ~wanted].any()
    if freshest:
        ages = np.where(kept, plan.levels[chosen], -1)
        asked = np.where(meets[:, None], heard, plan.fan_in >= 0)
        newest = np.where(asked, plan.levels[plan.fan_in], -1).max(-1, keepdims=True)
        np.testing.assert_array_equal(ages, np.where(kept, newest, -1))
    else:
        np.testing.assert_array_equal(kept[meets], heard[meets])


def test_neighbours_stay_inside_the_grid():
    around = neighbours(GridShape(1, 2, 2))
    assert around.tolist() == [
        [-1, 1, -1, 2, -1, -1],
        [0, -1, -1, 3, -1, -1],
        [-1, 3, 0, -1, -1, -1],
        [2, -1, 1, -1, -1, -1],
    ]


def test_in_raster_order_every_cell_is_a_step_told_by_the_one_before():
    grid = GridShape(1, 3, 4)
    plan = make_plan(grid, (0, 0, 0), None, ("+w",), order="raster")
    assert plan.total == 12
    assert [int(step.positions[0]) for step in plan.steps] == list(range(12))
    # that before the first one of a line is no neighbour
    assert plan.fan_in[:, DIRECTIONS.index("+w")].tolist() == [-1, *range(11)]
    assert (np.delete(plan.fan_in, DIRECTIONS.index("+w"), 1) == -1).all()
    with pytest.raises(ValueError, match=r"legal: \(0, 0, 0\)"):
        make_plan(grid, (0, 1, 0), None, ("+w",), order="raster")
    known = np.arange(12) < 5
    assert make_plan(grid, (0, 1, 1), known, ("+w",), order="raster").total == 7
    # with a second head there are two who predict, and they came before all the same
    plan = make_plan(grid, (0, 0, 0), None, ("+w", "+h"), order="raster")
    assert plan.fan_in[5].tolist() == [4, -1, 1, -1, -1, -1]
    assert (plan.fan_in < np.arange(12)[:, None]).all()
    # and from further down than the second line, nobody has told the first cell when its turn comes
    legal = legal_seed_positions(grid, DIRECTIONS, order="raster")
    assert legal.reshape(-1).tolist() == [True] * 5 + [False] * 7


@pytest.mark.parametrize(
    ("height", "listed"),
    [
        (4, r"\(0, 0, 0\), \(0, 1, 0\), \(0, 2, 0\), \(0, 3, 0\)$"),
        (6, r"\(0, 3, 0\) and 2 more$"),
    ],
)
def test_some_legal_seed_positions_are_named(height, listed):
    with pytest.raises(ValueError, match=listed):
        make_plan(GridShape(1, height, 3), (0, 1, 1), None, ("+w", "+h", "-h"))


@pytest.mark.parametrize(
    ("shape", "known", "start"),
    [
        ((1, 16, 16), np.s_[:, 4:12, 4:12], (0, 8, 8)),
        ((1, 16, 16), np.s_[:, 0:4, 5:8], (0, 2, 6)),
        ((1, 4, 5), np.s_[:, :, 0], (0, 2, 0)),
        ((5, 4, 4), np.s_[0], (0, 2, 2)),
        ((5, 4, 4), np.s_[:2], (1, 2, 2)),
        ((1, 4, 4), np.s_[:, ::3, ::3], (0, 3, 3)),
        ((1, 4, 4), np.s_[:], (0, 2, 2)),
    ],
)
def test_growth_starts_amid_what_is_known(shape, known, start):
    cells = np.zeros(shape, bool)
    cells[known] = True
    assert start_amid(cells) == start


def test_growth_starts_in_a_hole():
    cells = np.ones((2, 16, 16), bool)
    cells[:, 0:4, 4:9] = False
    assert start_amid(cells) == (1, 2, 6)
