"""From logits to tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nar_core.sampling import (
    draw,
    filtered_probabilities,
    guide,
    implausible,
    sample_front,
    uniforms,
)

PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}


def logits_of(*chances: float) -> torch.Tensor:
    return torch.tensor(chances).log()


def test_uniforms_belong_to_seed_sample_and_cell():
    three = uniforms(5, 3, 7)
    assert three.shape == (3, 7)
    assert ((three >= 0) & (three < 1)).all()
    for i in range(3):
        assert torch.equal(three[i], uniforms(5 + i, 1, 7)[0])
    assert not torch.equal(three[0], three[1])


def test_temperature_sharpens():
    even = filtered_probabilities(logits_of(0.8, 0.2), temperature=2.0)
    sharp = filtered_probabilities(logits_of(0.8, 0.2), temperature=0.5)
    torch.testing.assert_close(even, torch.tensor([2 / 3, 1 / 3]))
    torch.testing.assert_close(sharp, torch.tensor([16 / 17, 1 / 17]))
    sharpest = filtered_probabilities(logits_of(0.51, 0.49), temperature=0.01)
    assert float(sharpest[0] / sharpest[1]) == pytest.approx((0.51 / 0.49) ** 100, rel=1e-3)


def test_top_k_keeps_ties():
    kept = filtered_probabilities(logits_of(0.4, 0.2, 0.2, 0.2), top_k=2)
    torch.testing.assert_close(kept, torch.tensor([0.4, 0.2, 0.2, 0.2]))
    kept = filtered_probabilities(logits_of(0.4, 0.3, 0.2, 0.1), top_k=2)
    torch.testing.assert_close(kept, torch.tensor([4 / 7, 3 / 7, 0, 0]))


@pytest.mark.parametrize(("top_k", "left"), [(0, 4), (1, 1), (3, 3), (4, 4), (9, 4)])
def test_top_k_leaves_so_many_of_every_row(top_k, left):
    rows = filtered_probabilities(logits_of(0.4, 0.3, 0.2, 0.1).expand(2, -1), top_k=top_k)
    assert (rows > 0).sum(-1).tolist() == [left, left]


@pytest.mark.parametrize(("top_p", "kept"), [(0.3, 1), (0.5, 2), (0.75, 3), (0.95, 4), (1.0, 4)])
def test_top_p_keeps_the_token_that_crosses(top_p, kept):
    chances = filtered_probabilities(logits_of(0.1, 0.4, 0.3, 0.2), top_p=top_p)
    assert (chances > 0).sum() == kept
    assert chances.argmax() == 1
    torch.testing.assert_close(chances.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("scale", [0.1, 5.0])
def test_top_p_of_a_large_vocabulary(scale):
    """Flat rows need more than the first look; both keep the smallest set that crosses p."""
    logits = torch.randn(3, 2000, generator=torch.Generator().manual_seed(0)) * scale
    kept = filtered_probabilities(logits, top_p=0.8) > 0
    for row, keep in zip(logits.softmax(-1), kept, strict=True):
        assert row[keep].min() > row[~keep].max()
        assert row[keep].sum() > 0.8 >= row[keep].sum() - row[keep].min()
    assert bool((kept.sum(-1) > 256).all()) == (scale < 1)


def test_top_p_looks_as_far_as_the_flattest_row_of_a_batch_needs():
    """A sharp row that is done at the first look must not end it for a flat one."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2000, generator=generator) * torch.tensor([[0.1], [9.0]])
    kept = filtered_probabilities(logits, top_p=0.8) > 0
    alone = torch.cat([filtered_probabilities(row[None], top_p=0.8) > 0 for row in logits])
    assert torch.equal(kept, alone)
    assert kept[0].sum() > 256 > kept[1].sum()


def test_a_probability_that_is_reached_exactly_is_not_crossed_yet():
    """Here by the last token of the first look, 256 of them."""
    kept = filtered_probabilities(torch.zeros(512), top_p=0.5) > 0
    assert kept.sum() == 257


def test_guidance_goes_on_from_the_null_guess_beyond_the_conditional_one():
    conditional, null = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 2.0])
    for scale, wanted in ((0.0, [3, 2]), (1.0, [1, 4]), (1.5, [0, 5]), (3.0, [-3, 8])):
        assert guide(conditional, null, scale).tolist() == wanted


def test_what_is_implausible_is_told_row_by_row():
    """A token is measured by the likeliest one of its own cell."""
    rows = torch.stack([logits_of(0.9, 0.09, 0.01), logits_of(0.2, 0.5, 0.3) - 5])
    assert implausible(rows, 0.3).tolist() == [[False, True, True], [False, False, False]]


@pytest.mark.parametrize(("min_p", "left"), [(0.01, 4), (0.24, 3), (0.26, 2), (0.9, 1), (1, 1)])
def test_min_p_is_a_share_of_the_likeliest_token(min_p, left):
    out = implausible(logits_of(0.1, 0.4, 0.3, 0.02), min_p)
    assert (~out).sum() == left
    assert not out[1]


def test_draw_inverts_the_cumulative_distribution():
    chances = torch.tensor([0.0, 0.5, 0.0, 0.25, 0.25, 0.0])
    numbers = torch.tensor([0.0, 0.49, 0.5, 0.74, 0.76, 0.99999994])
    drawn = draw(chances.expand(6, -1), numbers)
    assert drawn.tolist() == [1, 1, 3, 3, 4, 4]


def test_a_number_is_a_share_of_all_there_is():
    """Of what filters leave the sum is near one, and of anything else it is what it is."""
    numbers = torch.tensor([0.2, 0.5, 0.9])
    assert draw(torch.tensor([1.0, 3.0]).expand(3, 2), numbers).tolist() == [0, 1, 1]


def test_even_a_number_of_one_draws_a_token_that_there_is():
    """As a number of half precision may come out; behind the last token there is none."""
    chances = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.1, 0.7], [1e-3, 1e-3, 0.0]])
    assert draw(chances, torch.ones(3)).tolist() == [1, 2, 1]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 300), st.integers(0, 5), st.floats(0.1, 1.0))
def test_only_tokens_that_are_left_can_be_drawn(rng_seed, codes, top_k, top_p):
    generator = torch.Generator().manual_seed(rng_seed)
    logits = torch.randn(2, 4, codes, generator=generator) * 4
    chances = filtered_probabilities(logits, 1.0, top_k, top_p)
    numbers = torch.rand(2, 4, generator=generator)
    numbers[0, 0], numbers[1, 3] = 0.0, 1 - 2**-24
    tokens = draw(chances, numbers)
    assert (chances.gather(-1, tokens[..., None]) > 0).all()


def test_draws_follow_the_distribution():
    chances = torch.tensor([0.1, 0.2, 0.3, 0.4])
    numbers = torch.linspace(0, 1, 1001)[:-1]
    counts = torch.bincount(draw(chances.expand(1000, -1), numbers), minlength=4)
    np.testing.assert_allclose(counts / 1000, chances, atol=2e-3)


def test_a_front_is_drawn_cell_by_cell():
    logits = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0)) * 3
    numbers = uniforms(0, 2, 3)
    tokens, confidence = sample_front(logits, numbers, **PLAIN)
    for i in range(2):
        for j in range(3):
            one, alone = sample_front(
                logits[i : i + 1, j : j + 1], numbers[i, j].view(1, 1), **PLAIN
            )
            assert tokens[i, j] == one
            torch.testing.assert_close(confidence[i, j], alone[0, 0])


def test_confidence_is_told_before_temperature_and_filters():
    logits = logits_of(0.5, 0.3, 0.2)[None, None]
    for temperature, top_k, top_p in ((0.0, 0, 1.0), (0.3, 1, 1.0), (1.0, 0, 0.4)):
        tokens, confidence = sample_front(
            logits, torch.zeros(1, 1), temperature=temperature, top_k=top_k, top_p=top_p
        )
        assert tokens.item() == 0
        assert confidence.item() == pytest.approx(0.5)


def test_temperature_zero_is_greedy_and_ignores_numbers():
    logits = torch.randn(3, 4, 17, generator=torch.Generator().manual_seed(1))
    for numbers in (torch.zeros(3, 4), torch.full((3, 4), 0.999)):
        tokens, _ = sample_front(logits, numbers, temperature=0.0, top_k=0, top_p=1.0)
        assert torch.equal(tokens, logits.argmax(-1))


def test_the_plain_path_draws_what_the_filtered_path_draws():
    logits = torch.randn(4, 5, 33, generator=torch.Generator().manual_seed(2)) * 3
    numbers = uniforms(3, 4, 5)
    plain, _ = sample_front(logits, numbers, **PLAIN)
    assert torch.equal(plain, draw(filtered_probabilities(logits), numbers))


@pytest.mark.parametrize(
    "asked",
    [{**PLAIN, "temperature": 0.3}, {**PLAIN, "top_k": 2}, {**PLAIN, "top_p": 0.4}],
    ids=["temperature", "top_k", "top_p"],
)
def test_a_front_is_drawn_from_what_the_filters_leave(asked):
    logits = torch.randn(4, 5, 33, generator=torch.Generator().manual_seed(2)) * 3
    numbers = uniforms(3, 4, 5)
    tokens, _ = sample_front(logits, numbers, **asked)
    assert torch.equal(tokens, draw(filtered_probabilities(logits, **asked), numbers))
    assert not torch.equal(tokens, sample_front(logits, numbers, **PLAIN)[0])
