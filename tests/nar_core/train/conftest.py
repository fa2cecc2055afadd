"""A few generated pictures, and a tokenizer trained on them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core.cli import main
from nar_core.train import stream

from .small import COLOURS, tokenizer_settings


def picture(colour: str, corner: int, form: str) -> Image.Image:
    """A coloured square or disc on a transparent ground, 40 x 32."""
    pixels = np.zeros((32, 40, 4), np.uint8)
    y, x = np.mgrid[:32, :40] - 12 - corner
    inside = (np.maximum(abs(y), abs(x)) if form == "square" else np.hypot(y, x)) < 9
    pixels[inside] = (*COLOURS[colour], 255)
    return Image.fromarray(pixels)


@pytest.fixture(autouse=True)
def few_are_measured(monkeypatch) -> None:
    """Of what a world draws to train and to measure by, a landscape takes long."""
    monkeypatch.setattr("nar_core.train.stream.LANDS", 1)
    monkeypatch.setattr("nar_core.train.stream.MEASURED", 4)
    monkeypatch.setattr("nar_core.train.tokenizer.HELD_OUT", 4)


class Here:
    """In place of `multiprocessing`: what a process would draw is drawn here, when it is wanted."""

    @staticmethod
    def Queue(most: int) -> SimpleNamespace:
        return SimpleNamespace()

    @staticmethod
    def Process(target, args, daemon: bool) -> SimpleNamespace:
        *which, queue = args
        drawn = stream.chunks_of(*which)
        queue.get = lambda timeout: next(drawn)
        return SimpleNamespace(**dict.fromkeys(("start", "kill", "join"), lambda: None))


@pytest.fixture
def drawn_here(monkeypatch) -> None:
    """A world is streamed without other processes, each of which imports torch first."""
    monkeypatch.setattr(stream.processes, "get_context", lambda kind: Here)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The same pictures twice: zipped with an index, and as files with captions."""
    root = tmp_path_factory.mktemp("data")
    (root / "files").mkdir()
    (root / "zipped").mkdir()
    index, captions = [], []
    with zipfile.ZipFile(root / "zipped" / "images.zip", "w") as archive:
        for colour in COLOURS:
            for corner in range(0, 8, 2):
                for form in ("square", "disc"):
                    name = f"{colour}-{form}-{corner}.png"
                    picture(colour, corner, form).save(root / "files" / name)
                    archive.write(root / "files" / name, name)
                    index.append({"file": name, "label": colour, "sequence": name})
                    captions.append({"file_name": name, "text": f"{colour} {form}"})
    for path, records in (("zipped/index.jsonl", index), ("files/metadata.jsonl", captions)):
        (root / path).write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def tokenizer(data, tmp_path_factory) -> Path:
    """A tokenizer trained on them."""
    root = tmp_path_factory.mktemp("tokenizer")
    words = ["train", "tokenizer", "mini-tokenizer", *tokenizer_settings(data)]
    assert main([*words, "--out", str(root / "run"), "--device", "cpu"]) == 0
    return root


@pytest.fixture
def compiled(monkeypatch) -> list[torch.nn.Module]:
    """What a training compiles: graphs are traced, but run as they are, which is soon done."""
    models, plain = [], torch.compile

    def traced(model: torch.nn.Module, **options):
        if isinstance(model, torch.nn.Module):  # not the trial before it
            models.append(model)
        return plain(model, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    return models
