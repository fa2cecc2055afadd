"""Caption cleaning and padding; the encoder itself is optional and not needed here."""

from __future__ import annotations

import re
import sys
from html import unescape

import pytest
import torch

from nar_core.models.text_encoder import TextEncoder, clean_caption, left_padded, tidy_caption


def tidy(text: str) -> str:
    for _ in range(2):
        text = tidy_caption(text, lambda s: re.sub(r"</?\w+>", "", unescape(s)), lambda s: s)
    return text


CAPTIONS = {
    "A Corgi, Wearing a Hat.": "a corgi, wearing a hat.",
    "a%20red+apple": "a red apple",
    "photo of <person> running": "photo of person running",
    "see https://example.org/a/b.html for a tree": "see for a tree",
    "tree at www.example.com today": "tree at today",
    "<b>bold</b> cat": "bold cat",
    "cat by @someone_1 outdoors": "cat by outdoors",
    "茶 cup 茶碗": "cup",
    "old — new – newer": "old - new - newer",
    "the «quoted» and ‘single’ one": "the \"quoted\" and 'single' one",
    "tom &amp; jerry": "tom jerry",
    "served from 192.168.10.1 here": "served from here",
    "item #12 and #123456 and 1234567 sold": "item and and sold",
    "dsc_0012.jpg sunset": "sunset",
    "wait... what": "wait what",
    "a (big) [red] {car} | van": "a big red car van",
    "a-very-long-hyphenated-name": "a very long hyphenated name",
    "well-known half-moon": "well-known half-moon",
    "camera ab123 and jc6640vc": "camera and",
    "blue dress free shipping": "blue dress",
    "free download wallpaper": "wallpaper",
    "click for details now": "now",
    "poster 50x70 framed": "poster framed",
    "chapter page 12 end": "chapter end",
    "one,two/three": "one, two three",
    "'just this'": "just this",
    "-: a cat _": "a cat",
    "tom &lt;3 jerry": "tom <3 jerry",
}


@pytest.mark.parametrize(("raw", "clean"), CAPTIONS.items())
def test_cleaning(raw, clean):
    assert tidy(raw) == clean


def test_features_move_to_the_right_and_padding_is_zero():
    features = torch.arange(1.0, 13.0).reshape(2, 3, 2)
    mask = torch.tensor([[1, 0, 0], [1, 1, 0]])
    caption = left_padded(features, mask)
    expected = torch.tensor([[[0, 0], [0, 0], [1, 2]], [[0, 0], [7, 8], [9, 10.0]]])
    assert torch.equal(caption.features, expected)
    assert caption.valid.tolist() == [[False, False, True], [False, True, True]]


def test_missing_packages_are_named_with_the_remedy(monkeypatch, tmp_path):
    for name in ("ftfy", "bs4", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install -r requirements-text\.txt"):
        clean_caption("a cat")
    with pytest.raises(ImportError, match=r"pip install -r requirements-text\.txt"):
        TextEncoder.load(tmp_path)
