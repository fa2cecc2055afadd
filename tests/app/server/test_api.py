"""The published endpoints through gradio_client: names, types, results, errors."""

from __future__ import annotations

import asyncio
import base64
import html
import io
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import anyio
import httpx
import numpy as np
import pytest
from gradio import processing_utils
from PIL import Image

from app.server import calls
from app.wire import data_uri
from nar_core import SETTINGS
from nar_core.files.png import png_bytes
from tests.app.test_browser_growth import settled
from tests.app.without import without

GUIDE = (Path(__file__).parents[3] / "app" / "API.md").read_text("utf-8")

gradio_client = pytest.importorskip("gradio_client")

TOOLS = (
    "models",
    "understand",
    "generate",
    "generate_stream",
    "outpaint",
    "animate",
    "clip",
    "replay",
    "explain",
    "disagreement",
)
FILED = {"image": "image", "outpaint_image": "image", "video": "video"}
"""Endpoints that answer with a file of that kind."""

ENDPOINTS = (*TOOLS, *FILED)


@pytest.fixture(scope="module")
def client(served):
    return gradio_client.Client(served.url, verbose=False)


def pixels_of(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))


def test_only_documented_endpoints_are_public(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {f"/{name}" for name in ENDPOINTS}
    parameters = {p["parameter_name"]: p for p in named["/generate"]["parameters"]}
    assert parameters["rng_seed"]["type"]["type"] == "integer"
    assert set(parameters["heads"]["type"]["enum"]) >= {"mixed", "horizontal", "vertical"}


def test_models_lists_what_each_needs(client):
    models = {m["name"]: m for m in client.predict(api_name="/models")}
    assert models["fruit"]["task"] == "class"
    assert "kiwi" in models["fruit"]["labels"]
    assert models["emoji"]["grid"] == [1, 16, 16]


def test_files_come_typed_and_are_taken_back_by_their_address(client, served):
    """Where text would do for a program, other Gradio apps and their workflows want a file."""
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    for name in FILED:
        file, told = named[f"/{name}"]["returns"]
        assert file["python_type"]["type"] == "filepath"
        assert "understood" in told["python_type"]["type"]
    path, told = client.predict(prompt="owl", rng_seed=5, api_name="/image")
    whole = client.predict(prompt="owl", rng_seed=5, api_name="/generate")
    assert Path(path).read_bytes() == base64.b64decode(whole["pictures"][0].split(",")[1])
    assert told["request"] == whole["request"]
    [address] = told["pictures"]
    asked = {"prompt": "owl", "keep": [0, 0, 8, 8]}
    path, _ = client.predict(picture=address, **asked, api_name="/outpaint_image")
    kept = np.s_[:64, :64]
    assert np.array_equal(np.asarray(Image.open(path))[kept], pixels_of(whole["pictures"][0])[kept])
    for begun in (address, None):
        path, told = client.predict(picture=begun, model="frames", prompt="owl", api_name="/video")
        assert Path(path).suffix == ".mp4"
        growth = client.predict(picture=told["pictures"][0], api_name="/replay")["growth"]
        grown = sum(len(step["positions"]) for step in growth)
        assert grown == (8 if begun else 9) * 64
    with pytest.raises(Exception, match="makes pictures, expected one that makes clips"):
        client.predict(model="emoji", api_name="/video")
    Path(urlsplit(address).path.partition("file=")[2]).unlink()
    with pytest.raises(Exception, match="not here any more"):
        client.predict(picture=address, api_name="/replay")


@pytest.mark.parametrize(
    "address",
    [
        "/etc/passwd",
        "/gradio_api/file=/etc/passwd",
        "http://127.0.0.1/gradio_api/file=%2Fetc%2Fpasswd",
        {"path": "/etc/passwd"},
        "\0",
        ["/etc/passwd"],
    ],
)
def test_no_other_file_of_the_server_is_read(client, address):
    with pytest.raises(Exception, match="expected data:image/png"):
        client.predict(picture=address, api_name="/replay")


@pytest.mark.parametrize("where", ["picture", "prompt", "rng_seed", "label"])
def test_nothing_is_fetched_for_a_visitor(client, monkeypatch, where):
    fetched = []

    async def fetch(url, cache_dir):
        fetched.append(url)
        return cache_dir

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetch)
    file = {"path": "http://example.org/large", "meta": {"_type": "gradio.FileData"}}
    asked = {"picture": file, "api_name": "/replay"}
    if where != "picture":
        asked = {"prompt": "owl", where: file, "api_name": "/generate"}
    with pytest.raises(Exception, match=r"got .*expected"):
        client.predict(**asked)
    assert not fetched


def test_every_endpoint_that_grows_takes_every_setting(client):
    """As it is said in the settings' own table, and it comes to the engine."""
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    asked = {"guidance_scale": 2.5, "guidance_interval": 7, "heads": "vertical"}
    asked |= {"fusion": "confident", "temperature": 0.5, "top_k": 9, "top_p": 0.75, "min_p": 0.25}
    assert set(asked) == {setting.name for setting in SETTINGS}
    picture = client.predict(prompt="owl", api_name="/generate")["pictures"][0]
    growing = {name for name, said in named.items() if {"rng_seed"} <= _parameters(said)}
    assert growing == {f"/{n}" for n in ("generate", "generate_stream", "outpaint", "animate")} | {
        f"/{name}" for name in FILED
    }
    for name in sorted(growing):
        more = {"model": "frames"} if {"animate", "video"} & {name[1:]} else {}
        if "picture" in _parameters(named[name]):
            more["picture"] = picture
        if "keep" in _parameters(named[name]):
            more["keep"] = [0, 0, 4, 4]
        answer = client.predict(prompt="owl", **asked, **more, api_name=name)
        request = answer[1]["request"] if isinstance(answer, tuple) else answer["request"]
        assert {setting: request[setting] for setting in asked} == asked, name


def _parameters(said) -> set[str]:
    return {parameter["parameter_name"] for parameter in said["parameters"]}


def test_understand_says_what_becomes_of_each_word(client):
    found = client.predict(
        prompt="a scarlet car and a zeitgeist", model="composed", api_name="/understand"
    )
    assert found["drawn"] == "a red car"
    assert [(w["text"], w["kind"]) for w in found["words"] if w["kind"] != "filler"] == [
        ("scarlet", "taken as"),
        ("car", "known"),
        ("and", "known"),
        ("zeitgeist", "unknown"),
    ]
    assert len(found["remarks"]) == 2
    any_text = client.predict(prompt="some words", model="emoji", api_name="/understand")
    assert (any_text["drawn"], any_text["remarks"]) == ("", [])
    grown = client.predict(prompt="scarlet car", model="composed", api_name="/generate")
    assert grown["understood"]["drawn"] == "a red car"
    with pytest.raises(Exception, match="knows nothing to draw"):
        client.predict(prompt="zeitgeist", model="composed", api_name="/generate")
    with pytest.raises(Exception, match="prompt: got"):
        client.predict(prompt="x" * 10_000, model="composed", api_name="/understand")


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


def test_a_picture_is_animated_and_saved_as_mp4(client):
    picture = client.predict(prompt="owl", api_name="/generate")["pictures"][0]
    result = client.predict(picture=picture, model="frames", prompt="owl", api_name="/animate")
    recipe = client.predict(picture=result["pictures"][0], api_name="/replay")
    given = sum(len(step["positions"]) for step in recipe["growth"])
    assert given == 8 * 8 * 8  # eight of nine slices were grown
    file = client.predict(pictures=result["pictures"], format="mp4", api_name="/clip")
    again = client.predict(picture=file, api_name="/replay")
    assert again["token_digest"] == recipe["token_digest"]
    with pytest.raises(Exception, match="can begin with a picture: clip, frames"):
        client.predict(picture=picture, model="emoji", prompt="owl", api_name="/animate")


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
        picture=data_uri(png_bytes(given), "image/png"),
        keep=[4, 5, 10, 12],
        prompt="a red apple",
        api_name="/outpaint",
    )
    made = pixels_of(result["pictures"][0])
    kept = np.s_[4 * 8 : 10 * 8, 5 * 8 : 12 * 8]
    assert np.array_equal(made[kept], given[kept])
    assert not np.array_equal(made, given)


def test_where_growth_starts_beside_a_picture_is_left_to_a_model_that_has_one_place(client):
    picture = data_uri(png_bytes(np.zeros((128, 128, 3), np.uint8)), "image/png")
    asked = {"picture": picture, "keep": [4, 4, 12, 12], "prompt": "owl", "api_name": "/outpaint"}
    assert client.predict(**asked)["request"]["seed_position"] == [0, 8, 8]
    assert client.predict(**asked, model="corner")["request"]["seed_position"] == [0, 0, 0]


def test_a_cell_of_a_picture_is_explained(client):
    made = client.predict(prompt="owl", pictures=2, rng_seed=4, api_name="/generate")
    for sample, picture in enumerate(made["pictures"]):
        growth = client.predict(picture=picture, api_name="/replay")["growth"]
        told = client.predict(picture=picture, cell=[0, 3, 9], api_name="/explain")
        [(step, token)] = [
            (s["step"], t)
            for s in growth
            for at, t in zip(s["positions"], s["tokens"], strict=True)
            if at == [0, 3, 9]
        ]
        assert (told["step"], told["token"], sample) == (step, token, sample)
        assert [(h["direction"], h["sender"]) for h in told["heads"]] == [
            ("+w", [0, 3, 8]),
            ("+h", None),
        ]
        assert told["attention"][0][3][8] == 0.5
        for candidate in (told, told["fused"][0], told["heads"][0]["candidates"][1]):
            patch, code = pixels_of(candidate["picture"]), candidate["token"]
            assert patch.shape == (8, 8, 3)
            assert patch[0, 0].tolist() == [(code >> s & 15) * 17 for s in (8, 4, 0)]
    with pytest.raises(Exception, match="cell: got null"):
        client.predict(picture=picture, cell=None, api_name="/explain")


def test_where_the_heads_disagreed_is_told_cell_by_cell(client):
    made = client.predict(prompt="owl", pictures=2, rng_seed=4, api_name="/generate")
    [picture] = made["pictures"][1:]
    values = np.array(client.predict(picture=picture, api_name="/disagreement"))
    assert values.shape == (1, 16, 16)
    growth = client.predict(picture=picture, api_name="/replay")["growth"]
    for step in growth:
        told = [values[tuple(at)] for at in step["positions"]]
        assert told == [step["step"] / 100] * len(told)
    kept = client.predict(picture=picture, keep=[0, 0, 8, 8], prompt="owl", api_name="/outpaint")[
        "pictures"
    ][0]
    values = np.array(client.predict(picture=kept, api_name="/disagreement"))
    assert (values[0, :8, :8] == 0).all()
    assert (values > 0).sum() == 256 - 64
    with pytest.raises(Exception, match="picture"):
        client.predict(picture="nonsense", api_name="/disagreement")


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("/generate", {"model": "nothing"}, "expected one of"),
        ("/generate", {"prompt": "word " * 30}, "words"),
        ("/generate", {"seed_position": [0, 99, 0]}, "seed_position"),
        ("/outpaint", {"picture": "data:image/png;base64,AAAA", "keep": [0, 0, 4, 4]}, "picture"),
        ("/generate", {"pictures": 17}, "pictures: got 17, expected a whole number from 1 to 16"),
        (
            "/outpaint",
            {"picture": "", "keep": [0, 0, 4, 4], "invert": "true"},
            "invert: got 'true', expected true or false",
        ),
        (
            "/outpaint",
            {"picture": "", "keep": [0, 0, 16, 16], "invert": True},
            "keep: got .* with invert, expected",
        ),
        ("/generate_stream", {"preview": 1}, "preview: got 1, expected true or false"),
        ("/replay", {"picture": "nonsense"}, "picture"),
        ("/explain", {"picture": "nonsense", "cell": "0,0,0"}, "cell: got '0,0,0', expected"),
        ("/explain", {"picture": "nonsense", "cell": [0, 0, 0]}, "picture"),
    ],
)
def test_bad_input_is_named(client, name, given, words):
    with pytest.raises(Exception, match=words):
        client.predict(api_name=name, **given)


@pytest.fixture
def alone(monkeypatch) -> None:
    """Calls that each have a stream of their own: it need not wait for what follows."""
    monkeypatch.setattr(calls, "FOLLOWS", 0.0)


def called_by_number(served, number: int, data: list, session: str) -> dict:
    """What an endpoint, or an event of the page, says at last."""
    call = {"fn_index": number, "data": data, "session_hash": session, "event_data": {"run": "r"}}
    assert httpx.post(f"{served.url}gradio_api/queue/join", json=call).status_code == 200
    heard = {"session_hash": session}
    with httpx.stream("GET", f"{served.url}gradio_api/queue/data", params=heard) as lines:
        said = [json.loads(line[5:]) for line in lines.iter_lines() if line.startswith("data:")]
    [done] = [one for one in said if one["msg"] == "process_completed"]
    return done["output"]


def events(client, name: str) -> list[int]:
    """Numbers of the page's events of a name."""
    numbered = client.config["dependencies"]
    return [call["id"] for call in numbered if any(event == name for _, event in call["targets"])]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("generate", ["fox", "emoji"], ""),
        ("generate", [], ""),
        ("replay", [], "replay: got 0 arguments, expected picture at least; add the others"),
        ("outpaint", ["x"], "outpaint: got 1 arguments, expected picture, keep at least"),
    ],
)
@pytest.mark.usefixtures("alone")
def test_the_last_arguments_may_be_left_out_by_position_too(client, served, name, data, told):
    """Programs of before a setting came do not know of it."""
    numbers = {call["api_name"]: call["id"] for call in client.config["dependencies"]}
    done = called_by_number(served, numbers[name], data, f"short{len(data)}{name}")
    if told:
        assert done["error"].startswith(told)
    else:
        assert done["data"][0]["pictures"]


@pytest.mark.parametrize(
    ("control", "sent", "told"),
    [
        ("Model", "nothing", "model: got 'nothing', expected one of emoji"),
        ("Model", {"a": 1}, "model: got {'a': 1}, expected one of emoji"),
        ("Prompt", [1], "prompt: got [1], expected a text; type some words"),
        ("Guidance", "much", "guidance_scale: got 'much', expected a number from 1"),
        ("Heads", 7, "heads: got 7, expected one of mixed"),
        ("Top-k", [], "top_k: got [], expected a whole number"),
        ("Variation", 7.5, "rng_seed: got 7.5, expected a whole number"),
        ("Variation", None, "rng_seed: got None, expected a whole number"),
        ("Pictures", "all", "pictures: got 'all', expected a whole number"),
    ],
)
@pytest.mark.usefixtures("alone")
def test_controls_of_the_page_say_what_was_wrong_with_them(client, served, control, sent, told):
    """Whoever sends them, Gradio's components say less."""
    parts = {part["id"]: part["props"] for part in client.config["components"]}
    number, session = events(client, "start")[0], f"{control}{sent}"
    [call] = [call for call in client.config["dependencies"] if call["id"] == number]
    data = [parts[i].get("value") for i in call["inputs"]]
    data[[parts[i].get("label") for i in call["inputs"]].index(control)] = sent
    called_by_number(served, number, data, session)
    growth = called_by_number(served, number + 1, [None], session)  # what follows it
    assert growth["title"] == "Not started"
    assert growth["error"].startswith(html.escape(told, quote=False))


@pytest.mark.usefixtures("alone")
def test_another_model_that_is_none_is_told_in_a_sentence(client, served):
    told = called_by_number(served, events(client, "change")[0], ["<b>nothing</b>"], "another")
    assert told["title"] == "Not done"
    assert told["error"].startswith(
        "model: got '&lt;b&gt;nothing&lt;/b&gt;', expected one of emoji"
    )


def test_the_last_step_has_the_picture(client):
    job = client.submit(prompt="fox", rng_seed=4, api_name="/generate_stream")
    last = job.result()
    assert last["step"] == last["total"]
    whole = client.predict(prompt="fox", rng_seed=4, api_name="/generate")
    assert np.array_equal(pixels_of(last["picture"]), pixels_of(whole["pictures"][0]))
    assert last["request"] == whole["request"]


def test_outpaint_the_other_way_round(client):
    given = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    picture = data_uri(png_bytes(given), "image/png")
    result = client.predict(picture=picture, keep=[4, 4, 8, 8], invert=True, api_name="/outpaint")
    changed = np.argwhere((pixels_of(result["pictures"][0]) != given).any(-1))
    assert len(changed)
    assert changed.min() >= 4 * 8
    assert changed.max() < 8 * 8
    assert result["request"]["seed_position"] == [0, 6, 6]


def test_a_cancelled_job_frees_the_engine(client, served):
    engine = served.engine("wide")
    engine.seconds_per_step = 0.2
    job = client.submit(model="wide", seed_position=[0, 0, 0], api_name="/generate_stream")
    settled(lambda: job.outputs())
    job.cancel()
    settled(lambda: engine.open_runs == 0)
    assert engine.steps_run < 63


@pytest.mark.parametrize(
    ("endpoint", "model", "given"),
    [
        ("generate", "wide", {"seed_position": [0, 0, 0]}),
        ("outpaint", "wide", {"keep": [0, 0, 2, 2]}),
        ("animate", "frames", {"seed_position": [0, 0, 0]}),
    ],
)
def test_a_call_that_answers_once_stops_within_a_step(client, served, endpoint, model, given):
    engine = served.engine(model)
    engine.seconds_per_step = 0.2
    if endpoint != "generate":
        given = {
            "picture": data_uri(png_bytes(np.zeros((8, 8, 3), np.uint8)), "image/png"),
            **given,
        }
    before = engine.steps_run
    job = client.submit(**given, model=model, prompt="owl", api_name=f"/{endpoint}")
    settled(lambda: engine.steps_run > before)
    job.cancel()
    steps = engine.steps_run
    settled(lambda: engine.open_runs == 0)
    assert engine.steps_run <= steps + 2


def test_cheap_calls_are_answered_while_many_growths_wait(client, served, monkeypatch):
    """More than Gradio takes up at once by itself."""
    engine, go = served.engine("wide"), threading.Event()
    plain = engine.generate

    def held(request):  # none ends before all have come
        go.wait(60)
        return plain(request)

    monkeypatch.setattr(engine, "generate", held)
    line, many = served.studio.line, 50
    config = httpx.get(f"{served.url}config").json()
    generate = next(d for d in config["dependencies"] if d["api_name"] == "generate")["id"]
    data = ["owl", "wide", None, [0, 0, 0], 0, 2, "mixed", "logits"]
    data += [None, None, None, None, 1, None]

    async def wait_and_leave() -> None:
        limits = httpx.Limits(max_connections=2 * many)
        async with httpx.AsyncClient(base_url=served.url, limits=limits, timeout=60) as http:

            async def growth(number: int) -> None:
                session = f"many{number}"
                body = {"fn_index": generate, "data": data, "session_hash": session}
                assert (await http.post("/gradio_api/queue/join", json=body)).status_code == 200
                query = {"session_hash": session}
                async with http.stream("GET", "/gradio_api/queue/data", params=query) as messages:
                    async for _ in messages.aiter_lines():
                        pass

            growths = [asyncio.create_task(growth(number)) for number in range(many)]
            try:
                # more than the 40 that Gradio takes up at once unless told otherwise
                await asyncio.to_thread(settled, lambda: line.waiting > 40)
            except AssertionError:
                print(line.waiting, line.running, [t.exception() for t in growths if t.done()])
                raise
            assert await asyncio.to_thread(client.predict, api_name="/models")
            told = await asyncio.to_thread(
                client.predict, prompt="a red car", model="composed", api_name="/understand"
            )
            assert told["drawn"] == "a red car"
            for task in growths:
                task.cancel()
            await asyncio.gather(*growths, return_exceptions=True)

    try:
        asyncio.run(wait_and_leave())
    finally:
        go.set()
    monkeypatch.setattr("app.server.line.FORGET_AFTER", 0.0)  # who has left comes no more
    settled(lambda: line.waiting + line.running == 0)


def example(language: str, url: str) -> str:
    """The guide's example, at the address that is served here."""
    code = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert code
    assert "http://127.0.0.1:7860" in code[1]
    return code[1].replace("http://127.0.0.1:7860", url.rstrip("/"))


def test_the_guides_python_example_runs(served, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(example("python", served.url), "API.md", "exec"), {})
    assert Image.open("apple.png").size == (128, 128)
    told = capsys.readouterr().out
    assert "17 of 17 tokens: 1" in told
    assert "17 steps" in told


def test_the_guides_javascript_example_runs(served):
    """In tests/web, where `npm ci` installs the client."""
    folder, node = Path(__file__).parents[2] / "web", shutil.which("node")
    if node is None or not (folder / "node_modules" / "@gradio" / "client").is_dir():
        without("node and `npm ci --prefix tests/web`")
    page = "const image = {}; globalThis.document = { querySelector: () => image };\n"
    check = "\nconsole.log(image.src.slice(0, 22)); process.exit(0);\n"
    ran = subprocess.run(
        [node, "--input-type=module"],
        input=page + example("js", served.url) + check,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
    )
    assert ran.returncode == 0, ran.stderr
    address, *steps, picture = ran.stdout.strip().splitlines()
    assert httpx.get(address).content.startswith(b"\x89PNG")
    assert picture == "data:image/png;base64,"
    assert steps[0].startswith("1 ")
    assert "17 " in ran.stdout


def test_the_guides_shell_example_runs(served, tmp_path):
    if shutil.which("curl") is None:
        without("curl")
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example("sh", served.url)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert Image.open(tmp_path / "owl.png").size == (128, 128)


def test_a_failed_growth_tells_its_callers_why(client, served):
    """However it is called: the sentence that the page would show."""
    engine = served.engine("emoji")
    engine.fails_at = 3
    why = "The growth failed on the server (RuntimeError); try again, or with other settings."
    try:
        for name in ("/generate", "/generate_stream", "/image"):
            with pytest.raises(Exception, match=re.escape(why)):
                client.predict(prompt="owl", api_name=name)
            call = httpx.post(f"{served.url}gradio_api/call/v2{name}", json={"prompt": "owl"})
            event = call.json()["event_id"]
            told = httpx.get(f"{served.url}gradio_api/call{name}/{event}").text
            assert "event: error" in told
            assert why in told
    finally:
        engine.fails_at = None


@pytest.fixture(scope="module")
def tools():
    """`call(name, arguments)` of an MCP client, and the studio that it calls."""
    pytest.importorskip("mcp", reason='needs "gradio[mcp]"')
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    from app.pages.page import build, launch_options
    from tests.app.studios import fake_studio, free_port

    studio = fake_studio()
    demo = build(studio, "emoji")
    _, url, _ = demo.launch(
        server_name="127.0.0.1",
        server_port=free_port(),
        prevent_thread_lock=True,
        quiet=True,
        mcp_server=True,
        **launch_options(studio),
    )

    def using(use, headers=None):
        async def within():
            async with (
                streamablehttp_client(f"{url}gradio_api/mcp/", headers) as (reads, writes, _),
                ClientSession(reads, writes) as session,
            ):
                await session.initialize()
                return await use(session)

        return asyncio.run(within())

    yield SimpleNamespace(using=using, studio=studio, app=demo.app, url=url)
    demo.close()


def called(tools, name, **given):
    """The pictures of a tool's answer, its structured part and the words beside it."""
    answer = tools.using(lambda session: session.call_tool(name, given))
    assert not answer.isError, answer.content
    *shown, words = answer.content
    assert json.loads(words.text) == answer.structuredContent
    assert "base64" not in words.text
    return shown, answer.structuredContent


def test_the_endpoints_are_mcp_tools_with_schemas(tools):
    listed = tools.using(lambda session: session.list_tools()).tools
    assert [tool.name for tool in listed] == list(TOOLS)
    schemas = {tool.name: tool for tool in listed}
    properties = schemas["generate"].inputSchema["properties"]
    assert properties["rng_seed"]["type"] == "integer"
    assert set(properties) >= {setting.name for setting in SETTINGS}
    assert schemas["outpaint"].inputSchema["required"] == ["picture", "keep"]
    assert schemas["generate"].outputSchema["properties"]["pictures"]["type"] == "array"


def test_an_mcp_client_is_shown_the_picture(tools):
    shown, told = called(tools, "generate", prompt="owl", rng_seed=5, pictures=2)
    assert [(one.type, one.mimeType) for one in shown] == [("image", "image/png")] * 2
    for one, address in zip(shown, told["pictures"], strict=True):
        file = httpx.get(address).content
        assert file == base64.b64decode(one.data)
        assert Image.open(io.BytesIO(file)).size == (128, 128)
    assert told["steps"] == 17
    # what was made is named, not sent back
    [again], _ = called(tools, "outpaint", picture=told["pictures"][1], keep=[0, 0, 8, 8])
    both = [np.asarray(Image.open(io.BytesIO(base64.b64decode(x.data)))) for x in (shown[1], again)]
    assert np.array_equal(both[0][:64, :64], both[1][:64, :64])
    _, recipe = called(tools, "replay", picture=told["pictures"][1])
    assert len(recipe["growth"]) == 17
    assert "tokens" not in recipe
    _, why = called(tools, "explain", picture=told["pictures"][1], cell=[0, 3, 9])
    assert set(why["fused"][0]) == {"token", "probability"}
    _, where = called(tools, "disagreement", picture=told["pictures"][1])
    assert np.shape(where["disagreement"]) == (1, 16, 16)


def test_an_mcp_client_is_shown_a_clip_side_by_side_and_given_its_file(tools):
    [strip], told = called(tools, "generate", model="frames", prompt="owl")
    assert Image.open(io.BytesIO(base64.b64decode(strip.data))).size == (9 * 64, 64)
    [link], file = called(tools, "clip", pictures=told["pictures"], format="mp4")
    assert (link.type, link.mimeType) == ("resource_link", "video/mp4")
    assert str(link.uri) == file["file"]
    assert httpx.get(file["file"]).content[4:8] == b"ftyp"


def test_mcp_models_are_short_unless_one_is_asked_for(tools):
    _, told = called(tools, "models")
    [fruit] = [model for model in told["models"] if model["name"] == "emoji"]
    assert (len(fruit["names"]), fruit["names_in_all"]) == (3, 4)
    _, whole = called(tools, "models", model="emoji")
    assert [len(model["names"]) for model in whole["models"]] == [4]


def test_an_mcp_client_is_told_of_steps_and_of_what_is_wrong(tools):
    heard = []

    async def hearing(step, total, words):
        heard.append((step, total))

    async def use(session):
        good = await session.call_tool("generate", {"prompt": "owl"}, progress_callback=hearing)
        stream = await session.call_tool("generate_stream", {"prompt": "owl"})
        bad = await session.call_tool("generate", {"model": "nothing"})
        odd = await session.call_tool("generate", {"promt": "owl"})
        return good, stream, bad, odd

    good, stream, bad, odd = tools.using(use)
    assert heard == [(step, 17) for step in range(1, 18)]
    assert good.structuredContent["steps"] == stream.structuredContent["step"] == 17
    assert stream.content[0].type == "image"
    assert bad.isError
    assert bad.content[0].text.startswith("model: got 'nothing', expected one of")
    assert odd.isError
    assert odd.content[0].text.startswith("promt: not an argument of generate")


def test_a_growth_ends_when_its_mcp_client_leaves(tools):
    engine = tools.studio.engines.get("wide")
    engine.seconds_per_step = 0.2

    async def use(session):
        async with anyio.create_task_group() as calls:
            calls.start_soon(session.call_tool, "generate", {"model": "wide", "prompt": "owl"})
            await anyio.to_thread.run_sync(settled, lambda: engine.steps_run)
            calls.cancel_scope.cancel()

    tools.using(use)
    settled(lambda: engine.open_runs == 0)
    assert engine.steps_run < 31


def test_where_a_login_is_asked_for_tools_ask_for_it_too(tools, monkeypatch):
    monkeypatch.setattr(tools.app, "auth", {"ada": "secret"})

    def understood(headers=None):
        call = ("understand", {"prompt": "owl", "model": "emoji"})
        return tools.using(lambda session: session.call_tool(*call), headers)

    refused = understood()
    assert refused.isError
    assert refused.content[0].text.startswith("login: got a call of nobody")
    assert understood({"cookie": f"access-token-{tools.app.cookie_id}=guessed"}).isError
    login = httpx.post(f"{tools.url}login", data={"username": "ada", "password": "secret"})
    assert login.status_code == 200
    cookie = "; ".join(f"{name}={value}" for name, value in login.cookies.items())
    assert not understood({"cookie": cookie}).isError
