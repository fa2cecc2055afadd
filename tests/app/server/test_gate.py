"""What comes in before Gradio sees it, at a served page and by itself."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import pytest

from app.server import api
from app.server import gate as gates
from app.server.errors import Stopped
from app.server.gate import ARRIVED, Gate, Listeners
from tests.app.studios import fake_studio


@pytest.fixture(scope="module")
def http(served):
    with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def config(http):
    return http.get("/config").json()


def test_calls_cannot_go_round_the_line(http, config):
    for call in config["dependencies"]:
        if not call["targets"] or call["targets"][0][1] != "unload":
            for way in ("run", "api"):
                body = {"data": [], "fn_index": call["id"], "session_hash": "direct"}
                answer = http.post(f"/gradio_api/{way}/{call['api_name']}", json=body)
                assert answer.status_code == 404, (way, call["api_name"])


@pytest.mark.parametrize("path", ["queue/join", "component_server", "call/replay"])
def test_a_large_body_is_refused_by_its_length(served, path):
    """Nothing of it is sent, and the answer is there."""
    address = urlsplit(served.url)
    head = (
        f"POST /gradio_api/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(head.encode())
        answer = b""
        while b"}" not in answer:
            answer += connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"expected less" in answer


def served_by(gate: Gate, scope: dict, parts: list[bytes]) -> tuple[int, bytes]:
    """Status and body of a request whose body comes in parts."""
    sent, coming = [], iter(parts)

    async def receive():
        return {"type": "http.request", "body": next(coming, b""), "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [], **scope}
    asyncio.run(gate(scope, receive, send))
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent)


async def reads_all(scope, receive, send):
    for _ in range(1000):
        await receive()
    raise AssertionError("everything was read")


def test_a_body_that_hides_its_length_is_cut_off():
    gate = Gate(reads_all, 1000, Listeners())
    status, body = served_by(gate, {}, [b"x" * 100] * 500)
    assert status == 413
    assert "0 MB" in json.loads(body)["error"]


@pytest.mark.parametrize("length", [b"1001", b"-1", b"9" * 50, b"a", "٣".encode()])
def test_an_odd_length_is_refused(length):
    gate = Gate(reads_all, 1000, Listeners())
    assert served_by(gate, {"headers": [(b"content-length", length)]}, [])[0] == 413


def test_what_a_route_stumbles_over_becomes_a_sentence():
    async def stumbles(scope, receive, send):
        raise KeyError("component")

    status, body = served_by(Gate(stumbles, 1000, Listeners()), {}, [])
    assert status == 400
    assert "not understood (KeyError)" in json.loads(body)["error"]


def test_who_listens_for_what_is_not_there_is_told_so_and_not_cut_off(http):
    told = http.get("/gradio_api/call/generate/nothing")
    assert told.text.startswith("event: error\ndata: ")


def test_unused_ways_are_closed(http):
    for path in ("upload", "stream/x", "process_recording"):
        answer = http.post(f"/gradio_api/{path}", files={"files": ("a.png", b"x")})
        assert answer.status_code == 404, path
        assert "data: addresses" in answer.json()["error"]
    for path in (
        "gradio_api/dev/reload", "gradio_api/upload_progress?upload_id=a", "gradio_api/deep_link",
        "gradio_api/run-history/buckets", "gradio_api/runs", "monitoring", "monitoring/summary",
        "gradio_api/proxy=http://127.0.0.1:1/x",
    ):  # fmt: skip
        answer = http.get(f"/{path}", timeout=20)
        assert (answer.status_code, "This way is closed" in answer.text) == (404, True), path


@pytest.mark.parametrize(
    ("path", "query"),
    [("/gradio_api/queue/data", b"session_hash=me"), ("/gradio_api/call/generate/me", b"")],
)
def test_who_listens_is_known_as_long_as_they_do(path, query):
    listeners, seen = Listeners(), []

    async def streams(scope, receive, send):
        seen.append(listeners.present("me"))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    gate = Gate(streams, 1000, listeners)
    assert not listeners.present("me")
    served_by(gate, {"method": "GET", "path": path, "query_string": query}, [])
    assert seen == [True]
    assert not listeners.present("me")


def test_odd_calls_are_answered_without_a_fault_of_the_server(http, config):
    player = next(
        c["id"] for c in config["components"] if c["props"].get("elem_id") == "player-image"
    )
    for body in (
        {"component_id": "x", "fn_name": "place", "data": "r", "session_hash": "s"},
        {"component_id": player, "fn_name": "_id", "data": "r", "session_hash": "s"},
        {"component_id": player, "fn_name": "place", "data": {"a": 1}, "session_hash": "s"},
        {"component_id": player, "fn_name": "growth", "data": ["x"], "session_hash": "s"},
        {"component_id": player, "fn_name": "clip", "data": {"files": 3}, "session_hash": "s"},
        {"component_id": player, "fn_name": "names", "data": [[]], "session_hash": "s"},
        [],
        7,
    ):
        answer = http.post("/gradio_api/component_server", json=body)
        assert answer.status_code < 500, body
        assert "Traceback" not in answer.text


def test_what_gradio_keeps_of_a_session_is_dropped(served, http, config):
    """Inputs and outputs of a hundred sessions would be kept for links that are not offered."""
    call = next(c["id"] for c in config["dependencies"] if c["api_name"] == "replay")
    large = "data:image/png;base64," + "A" * 1_000_000
    body = {"fn_index": call, "data": [large], "session_hash": "once"}
    assert http.post("/gradio_api/queue/join", json=body).status_code == 200
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "once"}) as told:
        text = "".join(told.iter_lines())
    assert "expected an image" in text
    held = served.demo.app.state_holder.session_data["once"].config_values
    assert large[:100] not in str(held)


def test_a_call_for_which_nobody_listens_is_given_up(http, config, monkeypatch):
    monkeypatch.setattr("app.server.api.PATIENCE", 0.1)
    call = next(c["id"] for c in config["dependencies"] if c["api_name"] == "models")
    body = {"fn_index": call, "data": [], "session_hash": "silent"}
    assert http.post("/gradio_api/queue/join", json=body).status_code == 200
    time.sleep(1)
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "silent"}) as told:
        text = "".join(told.iter_lines())
    assert "Stopped before it was finished" in text


def test_a_call_that_has_waited_unheard_is_not_waited_for_again():
    """So what nobody reads leaves Gradio's queue, with all that it carries, as soon as it may."""
    studio = fake_studio()
    studio.listeners.watching = True
    old = SimpleNamespace(scope={ARRIVED: time.monotonic() - api.PATIENCE})
    request = SimpleNamespace(session_hash="unheard", client=None, request=old)
    began = time.monotonic()
    with pytest.raises(Stopped):
        asyncio.run(api._listening(studio, request))
    assert time.monotonic() - began < api.PATIENCE / 2
    studio.listeners.comes("unheard")
    assert asyncio.run(api._listening(studio, request)).session == "unheard"


def test_large_bodies_that_come_all_at_once_are_refused_and_small_ones_never(monkeypatch):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    gate = Gate(app, 1_000_000, Listeners())

    def asked(length: int) -> int:
        return served_by(gate, {"headers": [(b"content-length", b"%d" % length)]}, [])[0]

    assert [asked(900_000) for _ in range(5)] == [200, 200, 200, 503, 503]
    assert [asked(2_000) for _ in range(9)] == [200] * 9
    hiding = Gate(reads_all, 1_000_000, Listeners())
    for status in (413, 413, 413, 503, 503):  # the first three are read until they are too large
        assert served_by(hiding, {}, [b"x" * 60_000] * 20)[0] == status
    assert served_by(gate, {}, [b"x" * 60_000])[0] == 200
    monkeypatch.setattr(gates, "HELD_FOR", -1.0)
    assert asked(900_000) == 200
