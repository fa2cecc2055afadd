"""Shared links, as values of the form."""

from __future__ import annotations

import pytest

from app.server.form import Form, fitting, form_of_link, seed_of_link
from tests.app.fake_engine import INFO


def test_link_fills_only_what_is_possible():
    given = {
        "prompt": "owl",
        "guidance": "4.5",
        "rng": "12",
        "top_p": "7",
        "min_p": "0.4",
        "heads": "sideways",
        "pictures": "2",
        "temperature": "warm",
    }
    filled = form_of_link(INFO["emoji"], given)
    numbers = {"guidance_scale": 4.5, "rng_seed": 12, "min_p": 0.4}
    assert filled == {"prompt": "owl", "num_samples": 2} | numbers
    assert seed_of_link(INFO["emoji"], {"seed": "0,3,4"}) == [0, 3, 4]
    assert seed_of_link(INFO["emoji"], {"seed": "0,3,40"}) == [0, 8, 8]


def test_links_may_use_the_forms_own_names():
    given = {"guidance_scale": "4.5", "rng_seed": "12", "num_samples": "4", "heads": "vertical"}
    numbers = {"guidance_scale": 4.5, "rng_seed": 12, "num_samples": 4}
    assert form_of_link(INFO["emoji"], given) == {"heads": "vertical", **numbers}


@pytest.mark.parametrize("odd", ["nan", "inf", "-1", "9" * 5000, "", "٣", "1e400", "\ud800", "0x1"])
def test_odd_values_in_links_are_left_out(odd):
    names = ("guidance", "rng", "top_k", "top_p", "min_p", "pictures", "heads", "fusion", "label")
    assert form_of_link(INFO["emoji"], dict.fromkeys(names, odd)) == {}
    assert seed_of_link(INFO["emoji"], {"seed": f"{odd},1,1"}) == [0, 8, 8]


def test_a_link_of_anything_else_than_text_is_left_out():
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    given = {"prompt": file, "guidance": file, "seed": file, "label": file, "rng": file}
    assert form_of_link(INFO["emoji"], given) == {}
    assert seed_of_link(INFO["emoji"], given) == [0, 8, 8]


def test_a_link_says_all_that_can_be_grown_and_why_the_rest_is_left_out():
    """Also what no control of the page offers: a program may have asked for it."""
    given = {"temperature": "2.5", "top_k": "4000", "guidance_scale": "12", "pictures": "3"}
    numbers = {"temperature": 2.5, "top_k": 4000, "guidance_scale": 12.0, "num_samples": 3}
    assert fitting(INFO["emoji"], given) == (numbers, [])
    given = {"rng_seed": "4294967296", "heads": "temporal", "temperature": "1e400", "top_p": ""}
    values, why = fitting(INFO["emoji"], given)
    assert values == {}
    assert [told.partition(": ")[0] for told in why] == ["heads", "temperature", "rng_seed"]
    assert "from 0 to 4294967295; it is left out" in why[-1]


def test_a_variation_is_refused_with_the_bounds_that_hold_here():
    for number in (-1, 2**32):
        with pytest.raises(ValueError, match=f"got {number}, expected .* from 0 to 4294967295$"):
            Form("emoji", "owl", rng_seed=number).request(INFO["emoji"], None)


def test_the_page_and_programs_grow_sixteen_at_most():
    assert Form("emoji", "owl", num_samples=16).request(INFO["emoji"], None).num_samples == 16
    for number in (0, 17, 2.5, "many"):
        with pytest.raises(ValueError, match=r"pictures: got .* number from 1 to 16$"):
            Form("emoji", "owl", num_samples=number).request(INFO["emoji"], None)
