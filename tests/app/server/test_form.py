"""Shared links, as values of the form."""

from __future__ import annotations

import warnings

import pytest

from app.pages.page import build
from app.server.form import Form, fitting, form_of_link, seed_of_link
from tests.app.fake_engine import INFO
from tests.app.studios import fake_studio


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
    assert seed_of_link(INFO["emoji"], {"seed": "0,3,4"})[0] == [0, 3, 4]
    assert seed_of_link(INFO["emoji"], {"seed": "0,3,40"})[0] == [0, 8, 8]


def test_links_may_use_the_forms_own_names():
    given = {"guidance_scale": "4.5", "rng_seed": "12", "num_samples": "4", "heads": "vertical"}
    numbers = {"guidance_scale": 4.5, "rng_seed": 12, "num_samples": 4}
    assert form_of_link(INFO["emoji"], given) == {"heads": "vertical", **numbers}


@pytest.mark.parametrize("odd", ["nan", "inf", "-1", "9" * 5000, "", "٣", "1e400", "\ud800", "0x1"])
def test_odd_values_in_links_are_left_out(odd):
    names = ("guidance", "rng", "top_k", "top_p", "min_p", "pictures", "heads", "fusion", "label")
    assert form_of_link(INFO["emoji"], dict.fromkeys(names, odd)) == {}
    assert seed_of_link(INFO["emoji"], {"seed": f"{odd},1,1"})[0] == [0, 8, 8]


def test_a_link_of_anything_else_than_text_is_left_out():
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    given = {"prompt": file, "guidance": file, "seed": file, "label": file, "rng": file}
    assert form_of_link(INFO["emoji"], given) == {}
    assert seed_of_link(INFO["emoji"], given)[0] == [0, 8, 8]


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


def test_words_and_places_of_a_link_that_are_left_out_are_told_why():
    assert seed_of_link(INFO["emoji"], {}) == ([0, 8, 8], [])
    for odd in ("0,3,40", "corner", "1,2", "9" * 99):
        seed, (why,) = seed_of_link(INFO["emoji"], {"seed": odd})
        assert seed == [0, 8, 8]
        assert why.startswith("seed: got ")
        assert why.endswith(
            "expected t,h,w in the grid (1, 16, 16), counted from 0; it is left out"
        )
    values, (why,) = fitting(INFO["emoji"], {"prompt": "owl " * 999})
    assert len(values["prompt"]) == 200
    assert why == "prompt: got 3,996 characters, expected at most 200; the rest is left out"
    values, (why,) = fitting(INFO["fruit"], {"label": "no such class", "prompt": "not read"})
    assert (values, why.partition(",")[0]) == ({}, "label: got 'no such class'")


def test_what_no_page_can_do_with_a_link_is_said_once():
    fns = build(fake_studio()).fns.values()
    pages = [f.fn for f in fns if getattr(f.fn, "__qualname__", "").startswith("wire_link.")]
    assert len(pages) == 4
    for link, why in (
        ({"tab": "lab", "model": "clip"}, "model: got 'clip', which makes clips, expected for th"),
        ({"tab": "outpaint", "model": "clip"}, "model: got 'clip', which makes clips, expected"),
        ({"tab": "lab", "model": "gone"}, "model: got 'gone', expected one of"),
        ({"tab": "lab", "compare": "all"}, "compare: got 'all', expected one of table5, heads"),
        ({"model": "clip", "seed": "9"}, "seed: got '9', expected t,h,w in the grid"),
        ({"temperature": "hot"}, "temperature: got 'hot', expected a number"),
        ({"tab": "lab", "compare": "heads", "model": "emoji"}, ""),
        ({"tab": "video", "model": "clip", "seed": "0,1,1"}, ""),
        ({"tab": "video", "seed": "9"}, "seed: got '9', expected t,h,w in the grid (4, 8, 8)"),
        ({"utm_source": "x"}, ""),
    ):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for fill in pages:
                fill(link)
        assert len(said) == bool(why), link
        assert not said or str(said[0].message).startswith(why)


def test_a_variation_is_refused_with_the_bounds_that_hold_here():
    for number in (-1, 2**32):
        with pytest.raises(ValueError, match=f"got {number}, expected .* from 0 to 4294967295$"):
            Form("emoji", "owl", rng_seed=number).request(INFO["emoji"], None)


def test_the_page_and_programs_grow_sixteen_at_most():
    assert Form("emoji", "owl", num_samples=16).request(INFO["emoji"], None).num_samples == 16
    for number in (0, 17, 2.5, "many"):
        with pytest.raises(ValueError, match=r"pictures: got .* number from 1 to 16$"):
            Form("emoji", "owl", num_samples=number).request(INFO["emoji"], None)
