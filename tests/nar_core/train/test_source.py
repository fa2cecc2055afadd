"""Data folders, the records chosen from them, and the prompts that tell them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nar_core.picture import evenly
from nar_core.train.data import DataFolder
from nar_core.train.source import keyword_prompt, prompt_of, select_records, told_by


def test_both_forms_of_data_folder_hold_the_same_pictures(data):
    zipped, files = (DataFolder.open(data / form) for form in ("zipped", "files"))
    np.testing.assert_array_equal(zipped.pixels((16, 16), False), files.pixels((16, 16), False))
    assert zipped.pixels((16, 16), False).shape == (24, 1, 16, 16, 4)
    assert files.records[0]["text"] == "red square"
    with pytest.raises(ValueError, match=r"expected index.jsonl or metadata.jsonl"):
        DataFolder.open(data)


def test_prompts_of_records():
    rng = np.random.default_rng(0)
    emoji = {"name": "red apple", "keywords": ["fruit"]}
    assert (prompt_of(emoji), keyword_prompt(emoji, rng)) == ("red apple", "fruit")
    few = {keyword_prompt({"name": "x", "keywords": ["a", "b", "c"]}, rng) for _ in range(40)}
    assert {len(prompt.split()) for prompt in few} == {1, 2}
    caption = {"text": "a red square"}
    assert prompt_of(caption) == keyword_prompt(caption, rng) == "a red square"


def test_records_are_chosen_by_any_of_several_rules():
    records = [{"style": s, "kind": k} for s in ("flat", "round") for k in ("food", "face", "flag")]
    data = DataFolder(Path(), records)

    def chosen(**rules) -> list[str]:
        kept = select_records(data, **rules).records
        return [f"{r['style']} {r['kind']}" for r in kept]

    assert len(chosen()) == len(chosen(only=None)) == 6
    one = {"style": ["flat"], "kind": ["food", "face"]}
    assert chosen(only=one) == ["flat food", "flat face"]
    both = chosen(only=[one, {"style": ["round"]}], drop={"kind": ["face"]})
    assert both == ["flat food", "round food", "round flag"]


@pytest.mark.parametrize(("count", "most"), [(199, 100), (95, 48), (2999, 1500), (7, 24), (0, 9)])
def test_a_few_of_many_are_spread_over_all_of_them(count, most):
    chosen = evenly(count, most)
    assert len(set(chosen)) == len(chosen) == min(count, most)
    assert (chosen[0], chosen[-1]) == (0, count - 1) if count else chosen == []
    assert set(np.diff(chosen).tolist()) <= {1, 2, 3}


def test_what_a_name_does_not_tell_is_told_by_any_name_or_none():
    records = [{"name": str(i)} for i in range(300)]
    other = np.arange(300) % 2 == 0
    told = told_by(records, other, np.random.default_rng(0))
    assert [t for t, o in zip(told, other, strict=True) if not o] == records[1::2]
    shares = [
        np.mean(
            [
                t is (None if kind is None else records[i - kind])
                for i, t in enumerate(told)
                if other[i]
            ]
        )
        for kind in (0, None, 1)
    ]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0.2
