"""What the player is told of a model."""

from __future__ import annotations

import pytest

from app.pages.controls import IN_LAB, facts_of
from app.server.engines import Engines
from app.server.form import OFFERED
from app.server.spec import ROWS, SEEN_LATE, WHOLE_CLIP, comparisons, spec_of, swept
from tests.app.fake_engine import INFO, MODELS, FakeEngine


def test_models_that_see_kept_cells_late_say_so():
    assert spec_of(INFO["corner"])["upload_note"] == SEEN_LATE
    assert SEEN_LATE not in spec_of(INFO["emoji"])["upload_note"]


def test_models_whose_tokens_are_no_places_say_so():
    assert spec_of(INFO["whole"])["note"] == WHOLE_CLIP
    assert spec_of(INFO["clip"])["note"] == ""


def test_every_setting_of_the_page_is_in_the_lab():
    assert set(IN_LAB) == {setting.name for setting in OFFERED}
    assert set(IN_LAB.values()) < {s["name"] for s in comparisons(INFO["emoji"])}


def test_the_values_of_a_setting_can_be_others():
    panes = swept("temperature", ["0", "0.75", "2"], (0, 1, 2))
    assert [p["form"] for p in panes] == [{"temperature": x} for x in (0, 0.75, 2)]
    assert [p["title"] for p in panes] == ["Temperature 0", "Temperature 0.75", "Temperature 2"]
    assert all(p["seed_position"] == [0, 1, 2] for p in panes)
    named = {s["name"]: s for s in comparisons(INFO["emoji"])}
    assert named["guidance"]["setting"] == "guidance_scale"
    assert "setting" not in named["fusion"]
    for name, whole in (("guidance", False), ("top_k", True)):
        bounds = named[name]["bounds"]
        row = ROWS[named[name]["setting"]]
        assert (bounds["low"], bounds["high"], bounds["whole"]) == (row.low, row.high, whole)
        assert bounds["expected"] == row.expected
    for values, told in (
        (["1"], "got 1, expected 2 to 8"),
        (["1"] * 9, "got 9"),
        (["1", "x"], "'x'"),
    ):
        with pytest.raises(ValueError, match=told):
            swept("guidance", values, (0, 0, 0))
    with pytest.raises(ValueError, match="'fusion', expected one of guidance, temperature"):
        swept("fusion", ["1", "2"], (0, 0, 0))


def test_of_a_model_that_is_not_here_only_what_can_be_done_is_said():
    engines = Engines(FakeEngine, lambda: list(MODELS))
    kept = facts_of(engines, "far")
    assert "Not on this server; watch a recorded growth.<details>" in kept
    assert "522 MB · start the studio with --fetch</details>" in kept
    engines.configure("cpu", 1, may_fetch=True)
    allowed = facts_of(engines, "far")
    assert "or grow with it: 522 MB are fetched first." in allowed
    assert "--fetch" not in allowed
    assert "Not on" not in facts_of(engines, "emoji")
