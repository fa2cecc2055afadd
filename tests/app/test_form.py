"""Shared links, as values of the form."""

from __future__ import annotations

from app.form import form_of_link, seed_of_link
from tests.app.fake_engine import INFO


def test_link_fills_only_what_is_possible():
    given = {
        "prompt": "flat emoji of owl",
        "guidance": "4.5",
        "rng": "12",
        "top_p": "7",
        "min_p": "0.4",
        "heads": "sideways",
        "pictures": "3",
        "temperature": "warm",
    }
    filled = form_of_link(INFO["emoji"], given)
    numbers = {"guidance": 4.5, "rng_seed": 12, "min_p": 0.4}
    assert filled == {"prompt": "owl", "style": "Flat"} | numbers
    assert seed_of_link(INFO["emoji"], {"seed": "0,3,4"}) == [0, 3, 4]
    assert seed_of_link(INFO["emoji"], {"seed": "0,3,40"}) == [0, 8, 8]
