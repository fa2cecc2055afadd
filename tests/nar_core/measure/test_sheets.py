"""Contact sheets: what a growth should look like stands beside it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nar_core.measure import sheets
from nar_core.weights.list import list_models
from nar_core.worlds import WORLDS


@pytest.mark.parametrize("name", ["emoji", "landscape"])
def test_beside_a_growth_stands_a_rendering_of_what_it_was_told(name, monkeypatch, tmp_path):
    [info] = [info for info in list_models() if info.name == name]
    world, prompts = WORLDS[name](), info.prompts[:2]
    shown = []
    monkeypatch.setattr(sheets, "save_sheet", lambda path, rows, *_: shown.extend(rows) or {})
    blank = np.zeros((1, 1, *info.size, 3), np.uint8)
    grower = SimpleNamespace(engine=SimpleNamespace(info=info), rng_seed=2, grow=lambda *_: blank)
    sheets.contact_sheet(grower, tmp_path / "sheet.png", prompts)  # pyright: ignore
    for number, (prompt, pictures) in enumerate(shown):
        ways = world.arrangements(world.understand(prompt).facts)
        way = ways[(2 + number) % len(ways)]
        assert np.array_equal(pictures[0], world.render(way, np.random.default_rng(0)))
        assert len(pictures) == 4
    assert len(shown) == 2
