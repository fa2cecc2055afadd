"""What the player is told of a model."""

from __future__ import annotations

import pytest

from app.server.spec import SEEN_LATE, WHOLE_CLIP, comparisons, spec_of, swept
from tests.app.fake_engine import INFO


def test_models_that_see_kept_cells_late_say_so():
    assert spec_of(INFO["corner"])["upload_note"] == SEEN_LATE
    assert SEEN_LATE not in spec_of(INFO["emoji"])["upload_note"]


def test_models_whose_tokens_are_no_places_say_so():
    assert spec_of(INFO["whole"])["note"] == WHOLE_CLIP
    assert spec_of(INFO["clip"])["note"] == ""


def test_the_values_of_a_setting_can_be_others():
    panes = swept("temperature", ["0", "0.75", "2"], (0, 1, 2))
    assert [p["form"] for p in panes] == [{"temperature": x} for x in (0, 0.75, 2)]
    assert [p["title"] for p in panes] == ["Temperature 0", "Temperature 0.75", "Temperature 2"]
    assert all(p["seed_position"] == [0, 1, 2] for p in panes)
    named = {s["name"]: s for s in comparisons(INFO["emoji"])}
    assert named["guidance"]["setting"] == "guidance_scale"
    assert "setting" not in named["fusion"]
    for values, told in (
        (["1"], "got 1, expected 2 to 8"),
        (["1"] * 9, "got 9"),
        (["1", "x"], "'x'"),
    ):
        with pytest.raises(ValueError, match=told):
            swept("guidance", values, (0, 0, 0))
    with pytest.raises(ValueError, match="'fusion', expected one of guidance, temperature"):
        swept("fusion", ["1", "2"], (0, 0, 0))
