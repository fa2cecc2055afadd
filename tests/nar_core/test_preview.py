"""Previews of partial grids."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nar_core import Engine
from nar_core.plan import GridShape
from nar_core.preview import UNKNOWN, Preview

from .helpers import write_model_folder


def layout(grid: GridShape, frames: int) -> SimpleNamespace:
    size = (2 * grid.h, 2 * grid.w)
    return SimpleNamespace(grid=grid, size=size, frames=frames, vocab_size=4, holistic=False)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return Engine.load(write_model_folder(tmp_path_factory.mktemp("models")), dtype="float32")


def test_every_cell_shows_the_patch_of_its_code():
    patches = torch.arange(4 * 2 * 2 * 3).view(4, 2, 2, 3).to(torch.uint8)
    tokens = np.array([[[[0, 3, -1], [2, -1, 1]]]])
    preview = Preview(layout(GridShape(1, 2, 3), 1), patches)
    assert not np.shares_memory(preview.patches, patches.numpy())  # nor the file with it
    video = preview(tokens)
    assert (video.shape, video.dtype) == ((1, 1, 4, 6, 3), np.uint8)
    for h in range(2):
        for w in range(3):
            patch = video[0, 0, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2]
            code = tokens[0, 0, h, w]
            expected = np.full((2, 2, 3), UNKNOWN) if code < 0 else patches[code].numpy()
            np.testing.assert_array_equal(patch, expected)


def test_frames_show_the_slice_that_codes_them():
    patches = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 2, 2, 3) * 10
    tokens = np.array([0, 1, 2]).reshape(1, 3, 1, 1)
    video = Preview(layout(GridShape(3, 1, 1), 9), patches)(tokens)
    assert video[0, :, 0, 0, 0].tolist() == [0, 0, 0, 10, 10, 10, 20, 20, 20]


def test_a_table_is_measured_where_none_was_stored(engine):
    tokens = np.arange(20).reshape(1, 1, 4, 5) % 16
    video = engine.preview(tokens)
    # A code alone among its kind looks the same wherever it stands.
    np.testing.assert_array_equal(video[0, 0, :8, :8], video[0, 0, 24:, 8:16])  # code 0 and 16 % 16
    alone = engine.decode(np.full((1, 1, 4, 5), 6))[0, 0, 16:24, 16:24].astype(int)
    shown = video[0, 0, 8:16, 8:16].astype(int)
    assert np.abs(alone - shown).max() <= 1


def test_previewing_changes_nothing(engine):
    tokens = np.full((2, 1, 4, 5), -1)
    tokens[:, 0, 2, 2] = 9
    kept = tokens.copy()
    first = engine.preview(tokens)
    np.testing.assert_array_equal(tokens, kept)
    np.testing.assert_array_equal(first, engine.preview(tokens))
    assert (first[:, 0, :16] == UNKNOWN).all()
