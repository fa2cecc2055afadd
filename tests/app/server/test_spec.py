"""What the player is told of a model."""

from __future__ import annotations

from app.server.spec import SEEN_LATE, WHOLE_CLIP, spec_of
from tests.app.fake_engine import INFO


def test_models_that_see_kept_cells_late_say_so():
    assert spec_of(INFO["corner"])["upload_note"] == SEEN_LATE
    assert SEEN_LATE not in spec_of(INFO["emoji"])["upload_note"]


def test_models_whose_tokens_are_no_places_say_so():
    assert spec_of(INFO["whole"])["note"] == WHOLE_CLIP
    assert spec_of(INFO["clip"])["note"] == ""
