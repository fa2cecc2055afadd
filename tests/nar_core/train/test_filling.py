"""What takes long to make is kept as far as it is, and gone on with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core.tokenizers.mini import MiniConfig, MiniTokenizer
from nar_core.train import filling, source
from nar_core.train.config import FolderSource
from nar_core.train.filling import fill, filled
from nar_core.train.source import TokenSource


@pytest.mark.parametrize(("seconds", "kept"), [(-1.0, [0, 2, 4]), (1e9, [0, 0, 0])])
def test_what_a_kill_would_find_is_what_was_written_down(tmp_path, monkeypatch, seconds, kept):
    monkeypatch.setattr(filling, "SECONDS", seconds)
    path, found = tmp_path / "rows.npy", []

    def rows(first: int, last: int) -> np.ndarray:
        found.append(filled(path, "one"))
        return np.arange(first, last)[:, None]

    assert fill(path, "one", 5, 2, rows, "").tolist() == [[0], [1], [2], [3], [4]]
    assert found == kept
    # Of a file that was taken away nothing is there, whatever stands beside it.
    path.unlink()
    found.clear()
    assert fill(path, "one", 5, 2, rows, "").tolist() == [[0], [1], [2], [3], [4]]
    assert found == kept


def test_rows_of_something_else_are_made_anew(tmp_path):
    path = tmp_path / "rows.npy"
    assert fill(path, "one", 3, 2, lambda a, b: np.full(b - a, 1), "").tolist() == [1, 1, 1]
    assert fill(path, "one", 3, 2, lambda a, b: np.full(b - a, 2), "").tolist() == [1, 1, 1]
    assert fill(path, "two", 3, 2, lambda a, b: np.full(b - a, 2), "").tolist() == [2, 2, 2]


def test_tokens_of_a_folder_are_the_same_in_one_go_and_in_two(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CHUNK", 2)
    rng = np.random.default_rng(0)
    (tmp_path / "cat").mkdir()
    for i in range(5):
        pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "cat" / f"{i}.png")
    config = FolderSource(
        folder=str(tmp_path), hold_out=0.0, label="label", variants=3, plain_share=0.5,
        shift=0.1, scale=(0.8, 1.0), flip=0.5, tinted=0.5,
    )  # fmt: skip
    coder = MiniTokenizer(MiniConfig(size=(16, 16), levels=[4, 4])).eval()
    encode, encoded = coder.encode, []
    cpu, ends = torch.device("cpu"), tmp_path / "ends.npy"
    whole = TokenSource(config, coder, cpu, tmp_path / "whole.npy").tokens
    assert whole.shape == (5, 3, 4)

    def watched(video):
        if len(encoded) == 4:  # of the second chunk the first variant is there
            raise KeyboardInterrupt
        encoded.append(len(video))
        return encode(video)

    coder.encode = watched
    with pytest.raises(KeyboardInterrupt):
        _ = TokenSource(config, coder, cpu, ends).tokens
    encoded[:] = [0] * 5
    assert np.array_equal(TokenSource(config, coder, cpu, ends).tokens, whole)
    assert encoded[5:] == [2, 2, 2, 1, 1, 1]
