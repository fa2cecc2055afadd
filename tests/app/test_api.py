"""The published endpoints through gradio_client: names, types, results, errors."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from app import export

gradio_client = pytest.importorskip("gradio_client")


@pytest.fixture(scope="module")
def client(served):
    return gradio_client.Client(served.url, verbose=False)


def pixels_of(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))


def test_only_documented_endpoints_are_public(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/models", "/generate", "/generate_stream", "/outpaint", "/replay"}
    parameters = {p["parameter_name"]: p for p in named["/generate"]["parameters"]}
    assert parameters["rng_seed"]["type"]["type"] == "integer"
    assert set(parameters["heads"]["type"]["enum"]) >= {"mixed", "horizontal", "vertical"}


def test_models_lists_what_each_needs(client):
    models = {m["name"]: m for m in client.predict(api_name="/models")}
    assert models["fruit"]["task"] == "class"
    assert "kiwi" in models["fruit"]["labels"]
    assert models["emoji"]["grid"] == [1, 16, 16]


def test_generate_returns_pictures_that_replay(client):
    result = client.predict(
        prompt="red apple", seed_position=[0, 2, 3], rng_seed=5, pictures=2, api_name="/generate"
    )
    assert len(result["pictures"]) == 2
    assert result["request"]["seed_position"] == [0, 2, 3]
    recipe = client.predict(picture=result["pictures"][1], api_name="/replay")
    assert recipe["sample"] == 1
    assert len(recipe["growth"]) == result["steps"]
    assert recipe["growth"][0]["positions"] == [[0, 2, 3]]


def test_generate_stream_yields_every_step(client):
    job = client.submit(label="kiwi", model="fruit", preview=True, api_name="/generate_stream")
    job.result()
    steps = job.outputs()
    assert [s["step"] for s in steps] == list(range(1, steps[-1]["total"] + 1))
    cells = [tuple(p) for s in steps for p in s["positions"]]
    assert len(set(cells)) == len(cells) == 256
    assert pixels_of(steps[3]["preview"]).shape == (128, 128, 3)
    assert pixels_of(steps[-1]["picture"]).shape == (128, 128, 3)


def test_outpaint_keeps_pixels_exactly(client):
    rng = np.random.default_rng(0)
    given = rng.integers(0, 256, (128, 128, 3)).astype(np.uint8)
    result = client.predict(
        picture=export.data_uri(export.png_bytes(given), "image/png"),
        keep=[4, 5, 10, 12],
        prompt="a red apple",
        api_name="/outpaint",
    )
    made = pixels_of(result["pictures"][0])
    kept = np.s_[4 * 8 : 10 * 8, 5 * 8 : 12 * 8]
    assert np.array_equal(made[kept], given[kept])
    assert not np.array_equal(made, given)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("/generate", {"model": "nothing"}, "expected one of"),
        ("/generate", {"prompt": "word " * 30}, "words"),
        ("/generate", {"seed_position": [0, 99, 0]}, "seed_position"),
        ("/outpaint", {"picture": "data:image/png;base64,AAAA", "keep": [0, 0, 4, 4]}, "picture"),
        ("/replay", {"picture": "nonsense"}, "picture"),
    ],
)
def test_bad_input_is_named(client, name, given, words):
    with pytest.raises(Exception, match=words):
        client.predict(api_name=name, **given)
