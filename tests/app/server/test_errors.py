"""One sentence for whatever went wrong."""

from __future__ import annotations

import asyncio
import errno
import re

import numpy as np
import pytest
import torch

from app.server.errors import (
    Busy,
    Failed,
    Refused,
    Stopped,
    ended,
    for_page,
    for_program,
    named,
    sentence,
)
from app.server.turns import Client
from app.wire import data_uri, name_of
from nar_core.files import png_bytes
from tests.app.studios import fake_studio


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory /secret"), "ask for fewer pictures"),
        (MemoryError(), "ask for fewer pictures"),
        (OSError(errno.ENOMEM, "none", "/secret/ffmpeg"), "ask for fewer pictures"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to /secret"),
            "ask for fewer pictures",
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), "ask for fewer pictures"),
        (RuntimeError("MPS backend out of memory (allocated 9 GB)"), "ask for fewer pictures"),
        (OSError(errno.ENOSPC, "no space", "/secret/file"), "no room on the server's disk"),
        (OSError(errno.EROFS, "read-only", "/secret/file"), "may not write"),
        (PermissionError(13, "denied", "/secret/file"), "may not write"),
        (RuntimeError("/secret/weights.pt"), "failed on the server (RuntimeError)"),
        (ValueError("/secret/weights.pt"), "failed on the server (ValueError)"),
        (KeyError("secret"), "failed on the server (KeyError)"),
    ],
)
def test_what_broke_within_a_growth_is_told_without_where(error, words):
    told = ended(error)
    assert isinstance(told, Failed)
    assert words in sentence(told)
    assert "secret" not in sentence(told)
    assert sentence(told) == for_program(told).message


def test_a_check_speaks_for_itself():
    for error in (ValueError("top_k: got -1"), Refused("put it there"), Busy("later")):
        assert sentence(error) == str(error)
    assert sentence(ended(Refused("put it into checkpoints/"))) == "put it into checkpoints/"


def test_no_markup_and_nothing_unseen_gets_to_the_page():
    error = ValueError("model: got '<img src=x onerror=alert(1)>\x1b[2J\ud800\u202e', expected one")
    told = for_page(error, "Not started").message
    assert "<" not in told
    assert "&lt;img" in told
    told.encode()
    assert "\x1b" not in sentence(error)
    assert "<img" in sentence(error)  # a program reads it as text
    assert len(sentence(ValueError("x" * 10**6))) <= 600


def test_who_has_stopped_it_sees_no_toast_but_a_program_an_error():
    assert for_page(Stopped(), "Not grown").visible is False
    assert "Stopped before it was finished" in for_program(Stopped()).message


def asked(data: bytes, name: object) -> dict[str, object]:
    return {"run": "r", "file": data_uri(data, "image/png"), "name": name}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"%PDF-1.4", "cat.png: got a page to print, expected an image"),
        (b"", "cat.png: got an empty file"),
        (png_bytes(np.zeros((8, 8, 3), np.uint8)), "cat.png: got no recipe inside"),
        (b"\0\0\0\x10ftypmp42" + bytes(20), "cat.png: got no recipe inside"),
        (
            png_bytes(np.zeros((8, 8, 3), np.uint8), chunks={"nar_studio": "{}"}),
            "cat.png: recipe: got no schema",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_its_name(data, told):
    studio = fake_studio()
    with pytest.raises(ValueError, match=re.escape(told)):
        studio.replay(asked(data, "cat.png"))
    if "recipe" not in told:
        reading = studio.reading("emoji", data, Client("a", "b"), "cat.png")
        with pytest.raises(ValueError, match=re.escape(told)):
            asyncio.run(reading)


@pytest.mark.parametrize("name", [None, "", " ", 7, ["cat.png"], "\ud800"])
def test_a_file_with_an_odd_name_is_a_picture(name):
    with pytest.raises(ValueError, match=r"^picture: got a page to print"):
        fake_studio().replay(asked(b"%PDF-1.4", name))
    assert len(name_of({"name": "n" * 500})) == 80


def test_of_other_things_than_the_file_its_name_is_said_before():
    with pytest.raises(ValueError, match=r"^cat.png: model: got 7, expected one"), named("cat.png"):
        raise ValueError("model: got 7, expected one")
