"""A thing alone begins a clip as the library has it, for the page and for programs."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from PIL import Image

from app.server.api import Api
from app.server.engines import Engines
from app.server.form import Form
from app.server.spec import spec_of
from app.server.studio import Studio
from app.server.turns import Client
from app.wire import bytes_of_uri
from nar_core import Engine, Request, box_alone, framed
from nar_core.files import read_file, text_of
from tests.app.studios import finish, picture_uri
from tests.nar_core.helpers import write_model_folder

JUMPS = "a lion jumps"


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Engine:
    place = tmp_path_factory.mktemp("moving")
    folder = write_model_folder(place, frames=2, size=(80, 80), world="emoji-motion")
    return Engine.load(folder, device="cpu")


@pytest.fixture(scope="module")
def studio(engine) -> Studio:
    return Studio(Engines(lambda name, *given, **more: engine, lambda: [engine.info]))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    pixels = np.full((200, 300, 3), 240, np.uint8)
    pixels[20:110, 160:260] = (180, 180, 20)
    return pixels


@pytest.fixture(scope="module")
def wanted(engine, pixels) -> np.ndarray:
    """Tokens of the clip that the library grows."""
    request = Request(prompt=JUMPS, known=Image.fromarray(pixels), rng_seed=5)
    return engine.generate_all(request).tokens[0]


def tokens_of(picture: str) -> np.ndarray:
    return read_file(bytes_of_uri(picture, 10**8))[0].tokens


def test_a_program_begins_with_it(studio, engine, pixels, wanted):
    asked = {"picture": picture_uri(pixels), "model": engine.info.name, "rng_seed": 5}
    answer = asyncio.run(Api(studio).animate(Client("1"), prompt=JUMPS, **asked))
    assert np.array_equal(tokens_of(answer["pictures"][0]), wanted)
    _, answer = asyncio.run(Api(studio).video(Client("1"), prompt=JUMPS, **asked))
    assert np.array_equal(answer_tokens(studio, answer), wanted)


def whole(engine: Engine, pixels: np.ndarray) -> np.ndarray:
    """Tokens of a picture as it is."""
    return engine.encode(Image.fromarray(pixels))[0]


def answer_tokens(studio: Studio, answer) -> np.ndarray:
    return tokens_of(studio.shelf.given(answer["pictures"][0], 10**8))


def test_the_page_shows_it_and_begins_with_what_it_shows(studio, engine, pixels, wanted):
    info, asked = engine.info, {"model": engine.info.name, "prompt": JUMPS}
    assert spec_of(info)["framed"]
    shown = studio.ask_framed({**asked, "picture": picture_uri(pixels)})["picture"]
    seen = np.asarray(Image.open(io.BytesIO(bytes_of_uri(shown, 10**6))))
    assert np.array_equal(seen, framed(info, pixels, box_alone(info, JUMPS)))
    middle = studio.ask_framed({**asked, "prompt": "", "picture": picture_uri(pixels)})["picture"]
    assert middle != shown
    scene = np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)
    assert studio.ask_framed({**asked, "picture": picture_uri(scene)})["picture"] == ""
    with pytest.raises(ValueError, match="expected an image"):
        studio.ask_framed({**asked, "picture": "data:image/png;base64,AAAA"})
    keep = np.zeros(info.grid, np.uint8)
    keep[0] = 1
    part = pixels[:, 70:270]  # that somebody chose
    for picture, first in ((shown, wanted[0]), (picture_uri(part), whole(engine, part)[0])):
        canvas = {"picture": picture, "keep": text_of(keep)}
        start = {"seed_position": [0, info.grid.h // 2, info.grid.w // 2], "canvas": canvas}
        form = Form(info.name, JUMPS, rng_seed=5, of_page=True)
        made = tokens_of(finish(studio, form, start)["pictures"][0])
        assert np.array_equal(made[0], first)
        assert np.array_equal(made, wanted) == (picture == shown)
