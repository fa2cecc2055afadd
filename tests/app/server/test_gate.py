"""What comes in before Gradio sees it, at a served page and by itself."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from gradio.server_messages import LogMessage

from app.pages.page import _named
from app.server import api, calls
from app.server import gate as gates
from app.server.calls import CLOSES
from app.server.doors import Doors
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
    assert "more than 0.001 MB" in json.loads(body)["error"]


@pytest.mark.parametrize("part", [b"[],", b"[" * 3, b"{},", b"0,"])
def test_a_body_of_countless_values_is_cut_off(part):
    gate = Gate(reads_all, 10**9, Listeners())
    status, body = served_by(gate, {}, [part * 1000] * 500)
    assert status == 413
    assert "more than 20,000 values" in json.loads(body)["error"]


def test_a_body_of_large_files_is_let_in():
    came = []

    async def reads(scope, receive, send):
        for _ in range(300):
            came.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    files = [b'"data:image/png;base64,' + b"iVBORw0K" * 10_000 + b'",'] * 300
    assert served_by(Gate(reads, 10**9, Listeners()), {}, files)[0] == 200
    assert came == files


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


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("generate", {"prompt": "owl", "nosuch": 3}, "(it has no argument 'nosuch')"),
        ("explain", {}, "(it needs the argument 'picture')"),
    ],
)
def test_an_argument_that_is_not_there_is_named(http, name, given, told):
    """Gradio says so in words of its own."""
    answer = http.post(f"/gradio_api/call/v2/{name}", json=given)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


@pytest.mark.parametrize(
    "path", ["call/generate/nothing", "call/v2/understand/nothing", "queue/data?session_hash=none"]
)
def test_who_listens_for_what_is_not_there_is_told_so_and_not_cut_off(http, path, caplog):
    """The log is not theirs to fill."""
    told = http.get(f"/gradio_api/{path}")
    assert "404: Not Found" in told.text
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_what_a_route_stumbles_over_is_one_bounded_line_of_the_log(caplog):
    async def stumbles(scope, receive, send):
        raise KeyError("x" * 9000)

    served_by(Gate(stumbles, 1000, Listeners()), {"path": "/a\nERROR:root:" + "y" * 9000}, [])
    [line] = [record.getMessage() for record in caplog.records]
    assert "\n" not in line
    assert "KeyError" in line
    assert len(line) < 600


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


def test_calls_are_not_summed_up_for_a_page_that_is_closed(served, http, config):
    """It would be done again after each of them, and takes the longer the more there have been."""
    call = next(c["id"] for c in config["dependencies"] if c["api_name"] == "models")
    body = {"fn_index": call, "data": [], "session_hash": "summed"}
    assert http.post("/gradio_api/queue/join", json=body).is_success
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "summed"}) as told:
        assert "process_completed" in "".join(told.iter_lines())
    assert served.demo._queue.events_recorded > 0
    assert served.demo._queue.cached_event_analytics_summary == {"functions": {}}


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


def test_of_who_never_listens_nothing_is_kept(served, http, config, monkeypatch):
    monkeypatch.setattr("app.server.api.PATIENCE", 0.1)
    held = served.demo.app.state_holder.session_data
    call = next(c["id"] for c in config["dependencies"] if c["api_name"] == "replay")
    large = "data:image/png;base64," + "A" * 1_000_000
    body = {"fn_index": call, "data": [large], "session_hash": "never"}
    joined = http.post("/gradio_api/queue/join", json=body).json()["event_id"]
    assert soon(lambda: joined not in served.demo._queue.event_ids_to_events)
    assert not held["never"].config_values
    # what else was called, of the page's own, goes when the next large call comes
    held["never"].config_values[0] = {"props": {"value": large}}
    assert http.post("/gradio_api/queue/join", json={**body, "session_hash": "b"}).is_success
    assert not held["never"].config_values


def test_a_call_for_which_nobody_listens_is_given_up(served, http, config, monkeypatch):
    monkeypatch.setattr("app.server.api.PATIENCE", 0.1)
    call = next(c["id"] for c in config["dependencies"] if c["api_name"] == "models")
    body = {"fn_index": call, "data": [], "session_hash": "silent"}
    joined = http.post("/gradio_api/queue/join", json=body).json()["event_id"]
    assert soon(lambda: joined not in served.demo._queue.event_ids_to_events)
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": "silent"}) as told:
        text = "".join(told.iter_lines())
    assert "Stopped before it was finished" in text


def test_who_takes_nothing_of_what_they_are_sent_counts_as_gone(served, http, config, monkeypatch):
    """What they were not told is dropped, and so are the bytes of their call."""
    monkeypatch.setattr(gates, "STALLED", 0.5)
    queue, session = served.demo._queue, "stalls"
    call = next(c["id"] for c in config["dependencies"] if c["api_name"] == "models")
    body = {"fn_index": call, "data": [], "session_hash": session}
    joined = http.post("/gradio_api/queue/join", json=body).json()["event_id"]
    request = queue.event_ids_to_events[joined].request
    assert soon(lambda: "_body" not in vars(request))
    for _ in range(4):
        large = LogMessage(log="x" * 8_000_000, level="info", title="")
        queue.pending_messages_per_session[session].put_nowait(large)
    address = urlsplit(served.url)
    head = f"GET /gradio_api/queue/data?session_hash={session} HTTP/1.1\r\nHost: localhost"
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode())
        assert b" 200 " in connection.recv(100)
        assert soon(lambda: not served.studio.listeners.present(session))
        assert soon(lambda: session not in queue.pending_messages_per_session)
    assert session not in queue.pending_event_ids_session


@pytest.mark.parametrize(
    ("last", "whole"), [(b"", True), (CLOSES + b"}", True), (b"data: {}", False)]
)
def test_what_was_not_told_is_dropped_where_a_connection_ends_early(last, whole):
    """Who was told that all is told leaves at once, and may have made the next call already."""

    async def streams(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = bool(last)  # after what is last the client leaves, before the stream has its end
        await send({"type": "http.response.body", "body": last, "more_body": more})

    async def clean_events(session_hash):
        cleaned.append(session_hash)

    cleaned, untold = [], {"me": "a picture", "you": "another"}
    queue = SimpleNamespace(
        pending_messages_per_session=untold,
        pending_event_ids_session={"you": {"a"}},
        clean_events=clean_events,
    )
    scope = {
        "method": "GET",
        "path": "/gradio_api/queue/data",
        "query_string": b"session_hash=me",
        "app": SimpleNamespace(blocks=SimpleNamespace(_queue=queue)),
    }
    served_by(Gate(streams, 1000, Listeners()), scope, [])
    assert cleaned == ([] if whole else ["me"])
    assert list(untold) == (["me", "you"] if whole else ["you"])


def soon(true: Callable[[], bool]) -> bool:
    """Whether it becomes true within the minute."""
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


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

    def asked(length: int, address: str = "here") -> int:
        head = {"headers": [(b"content-length", b"%d" % length)], "client": (address, 1)}
        return served_by(gate, head, [])[0]

    assert [asked(900_000) for _ in range(4)] == [200, 200, 503, 503]
    # who has sent much leaves room for others, but not for all of them
    assert [asked(900_000, address) for address in ("there", "elsewhere")] == [200, 503]
    assert [asked(2_000) for _ in range(9)] == [200] * 9
    space = Gate(app, 1_000_000, Listeners(), Doors(any_host=True))  # where all have one address
    head = {"headers": [(b"content-length", b"900000")], "client": ("here", 1)}
    assert [served_by(space, head, [])[0] for _ in range(4)] == [200, 200, 200, 503]
    hiding = Gate(reads_all, 1_000_000, Listeners())
    for status in (413, 413, 503, 503):  # the first two are read until they are too large
        assert served_by(hiding, {}, [b"x" * 60_000] * 20)[0] == status
    assert served_by(gate, {}, [b"x" * 60_000])[0] == 200
    monkeypatch.setattr(gates, "HELD_FOR", -1.0)
    assert asked(900_000) == 200


def test_a_body_that_does_not_come_is_given_up_and_counts_as_long_as_it_is_waited_for(monkeypatch):
    """Else whoever sends the most of many bodies, and never the rest, fills the memory."""
    monkeypatch.setattr(gates, "HELD_FOR", -1.0)
    monkeypatch.setattr(gates, "BODY_SECONDS", 0.1)
    gate, statuses = Gate(reads_all, 1_000_000, Listeners()), []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def call() -> None:
        scope = {"type": "http", "method": "POST", "path": "/x", "client": ("here", 1)}
        await gate({**scope, "headers": [(b"content-length", b"900000")]}, receive, send)

    async def several() -> None:
        await asyncio.gather(*(call() for _ in range(3)))
        await call()  # there is room again

    asyncio.run(several())
    assert statuses == [503, 408, 408, 408]


def test_one_address_has_a_bounded_number_of_requests_open(monkeypatch):
    monkeypatch.setattr(gates, "MOST_OPEN", 3)
    statuses: list[int] = []

    async def several() -> None:
        go = asyncio.Event()

        async def waits(scope, receive, send):
            await go.wait()
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})

        gate = Gate(waits, 1000, Listeners())

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        def call(address: str) -> asyncio.Task:
            scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
            return asyncio.create_task(gate({**scope, "client": (address, 1)}, receive, send))

        tasks = [call("here") for _ in range(4)] + [call("2001:db8::1"), call("2001:db8::2")]
        tasks += [call("2001:db8::3"), call("2001:db8::4")]
        await asyncio.sleep(0.1)
        assert statuses == [503, 503]
        go.set()
        await asyncio.gather(*tasks)
        assert statuses == [503, 503] + [200] * 6
        await call("here")
        assert statuses[-1] == 200
        assert not gate._open

    asyncio.run(several())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it stays as it is")
@pytest.mark.parametrize(
    ("soft", "hard", "asked"),
    [
        (1024, 4096, [(4096, 4096)]),
        (1024, 10**6, [(65_536, 10**6)]),
        (1024, -1, [(65_536, -1)]),
        (4096, 4096, []),
        (-1, -1, []),
    ],
)
def test_as_many_connections_are_taken_as_the_system_allows(monkeypatch, soft, hard, asked):
    limits = []
    monkeypatch.setattr(gates.resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(gates.resource, "setrlimit", lambda which, both: limits.append(both))
    gates.take_connections()
    assert limits == asked


@pytest.mark.parametrize("value", [None, {"a": [1]}, "x" * 300], ids=["nothing", "object", "text"])
def test_whatever_an_event_is_sent_what_it_answers_is_a_sentence(http, config, value, monkeypatch):
    """Also those of the page, for which its own scripts send what is right."""
    monkeypatch.setattr(calls, "FOLLOWS", 0.0)  # nothing does
    session, asked, told = f"odd{type(value).__name__}", {}, {}
    for call in (c for c in config["dependencies"] if c["backend_fn"]):
        body = {"data": [value] * len(call["inputs"]), "fn_index": call["id"]}
        joined = http.post("/gradio_api/queue/join", json={**body, "session_hash": session})
        asked[joined.json()["event_id"]] = call["id"]
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as answer:
        lines = (line[5:] for line in answer.iter_lines() if line.startswith("data:"))
        for end in (json.loads(line) for line in lines if '"process_completed"' in line):
            told[asked[end["event_id"]]] = end["output"].get("error")
    assert set(told) == set(asked.values())
    assert len(told) > 20
    python = re.compile(r"' object|argument|NoneType|unhashable|index out|Traceback|^'|^\d+$")
    assert {n: error for n, error in told.items() if error and python.search(error)} == {}


def test_an_address_that_was_not_told_opens_no_page():
    assert _named(None) == _named({}) == _named({"tab": "image"}) == gr.skip()
    with pytest.warns(UserWarning, match=r"tab: got 'elsewhere', expected one of image, video, .*"):
        assert _named({"tab": "elsewhere"}) == gr.skip()
    assert _named({"tab": "lab"})["selected"] == "lab"
