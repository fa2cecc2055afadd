"""Gradio's calls at a served page: given up with who made them, and told on streams that wait."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.server import calls
from app.server.calls import CLOSES, Calls
from app.server.gate import Listeners

STREAM = "/gradio_api/queue/data"


@pytest.fixture(scope="module")
def http(served):
    with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def call(http):
    """`call(name, data, session)` -> the body of a call."""
    numbers = {c["api_name"]: c["id"] for c in http.get("/config").json()["dependencies"]}

    def body(name: str, data: list, session: str) -> dict:
        return {"fn_index": numbers[name], "data": data, "session_hash": session}

    return body


def messages(told: httpx.Response) -> Iterator[dict]:
    return (json.loads(line[5:]) for line in told.iter_lines() if line.startswith("data:"))


def leave(url: str, body: dict, queue, patched: pytest.MonkeyPatch) -> None:
    """Make a call and leave before the server has taken it, as who waits too long does."""
    address, push, gone = urlsplit(url), queue.push, []
    come = threading.Event()

    async def later(**given):
        come.set()
        while not gone:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        pushed = await push(**given)
        gone.append(pushed)
        return pushed

    text = json.dumps(body)
    head = "POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    head += f"application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    with patched.context() as patch:
        patch.setattr(queue, "push", later)
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall((head + text).encode())
            assert come.wait(60), "the call did not come"
        gone.append("left")
        end = time.monotonic() + 60
        while len(gone) < 2:
            assert time.monotonic() < end, "the call did not come"
            time.sleep(0.01)


def test_a_call_whose_sender_left_before_it_was_taken_is_given_up(served, http, call, monkeypatch):
    """Else it is grown for nobody, as often as somebody asks again, where they listen at last."""
    served.engine("emoji").seconds_per_step = 0.1
    asked = {"session": "asks-again"}
    first = call("generate", ["an owl", "emoji"], asked["session"])
    again = call("generate", ["a fox", "emoji"], asked["session"])
    monkeypatch.setattr(calls, "FOLLOWS", 0.05)
    assert http.post("/gradio_api/queue/join", json=first).is_success
    grown, last = [], ""
    with http.stream("GET", STREAM, params={"session_hash": asked["session"]}) as told:
        for message in messages(told):
            last = message["msg"]
            if last == "process_starts" and not grown:
                leave(served.url, again, served.demo._queue, monkeypatch)
            if last == "process_completed" and message["output"]:
                grown.append(message["output"]["data"][0]["request"]["prompt"])
    assert last == "close_stream"
    assert grown == ["an owl"]


def test_of_a_call_whose_sender_left_and_never_listened_nothing_is_kept(served, call, monkeypatch):
    queue = served.demo._queue
    leave(served.url, call("models", [], "left-at-once"), queue, monkeypatch)
    end = time.monotonic() + 20
    while "left-at-once" in queue.pending_event_ids_session and time.monotonic() < end:
        time.sleep(0.01)
    assert "left-at-once" not in queue.pending_event_ids_session
    assert "left-at-once" not in queue.pending_messages_per_session


def test_what_follows_from_an_answer_is_told_on_the_same_stream(http, call, monkeypatch):
    """Who makes it has not been told yet that the stream is closed, and opens no other."""
    monkeypatch.setattr(calls, "FOLLOWS", 10.0)
    one = call("models", [], "chained")
    made = [http.post("/gradio_api/queue/join", json=one).json()["event_id"]]
    ended, last = [], ""
    with http.stream("GET", STREAM, params={"session_hash": "chained"}) as told:
        for message in messages(told):
            last = message["msg"]
            if last == "process_completed":
                ended.append(message["event_id"])
                if len(made) < 3:
                    made.append(http.post("/gradio_api/queue/join", json=one).json()["event_id"])
                    if len(made) == 3:
                        monkeypatch.setattr(calls, "FOLLOWS", 0.1)
    assert ended == made
    assert last == "close_stream"


def test_who_closes_a_stream_and_opens_another_is_told_there(served, http, call, monkeypatch):
    monkeypatch.setattr(calls, "FOLLOWS", 0.5)
    served.engine("emoji").seconds_per_step = 0.02
    one, ended = call("generate", ["an owl", "emoji"], "closes-itself"), []
    for _ in range(3):
        http.post("/gradio_api/queue/join", json=one)
        end = time.monotonic() + 40
        with http.stream("GET", STREAM, params={"session_hash": one["session_hash"]}) as told:
            for message in messages(told):
                if message["msg"] == "process_completed":
                    ended.append(message["success"])
                    break
                assert time.monotonic() < end, "nothing is told"
    assert ended == [True] * 3


def test_who_was_just_told_that_a_stream_is_closed_learns_that_before_the_next_answer(monkeypatch):
    monkeypatch.setattr(calls, "FOLLOWS", 0.2)
    queue = SimpleNamespace(pending_event_ids_session={})
    scope = {"type": "http", "method": "GET", "path": STREAM, "query_string": b"session_hash=me"}
    scope["app"] = SimpleNamespace(blocks=SimpleNamespace(_queue=queue))
    came: dict[str, float] = {}

    async def app(scope, receive, send):
        if scope["method"] == "POST":
            queue.pending_event_ids_session["me"] = {"e"}
        body = b'{"event_id": "e"}' if scope["method"] == "POST" else CLOSES + b"}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def receive():
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def both() -> None:
        both = Calls(app, Listeners())

        def noting(what: str):
            async def send(message):
                came[what] = time.monotonic()

            return send

        await both(scope, receive, noting("closed"))
        join = {**scope, "method": "POST", "path": "/gradio_api/queue/join"}
        await both(join, receive, noting("answered"))
        end = time.monotonic() + 60
        while both._closed and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert not both._closed

    asyncio.run(both())
    assert came["answered"] - came["closed"] > 0.15


def test_a_call_that_is_given_up_ends_on_a_stream_that_waits_for_what_follows():
    """It counts as nobody listening meanwhile, and goes on with that call all the same."""
    listeners, told = Listeners(), asyncio.Queue()
    listeners.watching = True
    listeners.comes("me")

    async def clean_events(event_id):
        pass

    queue = SimpleNamespace(
        clean_events=clean_events,
        pending_messages_per_session={"me": told},
        pending_event_ids_session={"me": {"e"}},
    )
    app: Any = SimpleNamespace(blocks=SimpleNamespace(_queue=queue))

    async def give_up() -> None:
        with listeners.not_counting("me"):
            await Calls(app, listeners)._give_up(app, "me", "e")

    asyncio.run(give_up())
    assert told.get_nowait().event_id == "e"
    assert queue.pending_messages_per_session["me"] is told
