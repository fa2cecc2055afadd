"""What an operator has: health, counters, doors that are shut, an end that is clean."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.server import ending
from app.server.doors import Doors
from app.server.errors import Busy, Stopped
from app.server.form import Form
from app.server.line import Asked, Line, Ticket
from app.server.metrics import Metrics
from app.server.turns import Client
from tests.app.studios import check, fake_studio


@pytest.fixture(scope="module")
def http(served):
    with httpx.Client(base_url=served.url, timeout=60, trust_env=False) as client:
        yield client


def counted(text: str) -> dict[tuple[str, ...], float]:
    """Name and labels -> value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def listed(made) -> list:
    return [one async for one in made]


def test_growths_are_counted_by_how_they_end():
    studio = fake_studio(of_one=1)
    job = check(studio, Form("emoji", "owl"), {"run": "a"})
    asyncio.run(listed(studio.events(job, Client())))
    studio.start(Form("emoji", "owl"), {"run": "b", "seed_position": None}, Client())
    with pytest.raises(Busy):
        studio.start(Form("emoji", "owl"), {"run": "c", "seed_position": None}, Client())
    numbers = counted(studio.metrics.text().decode())
    assert numbers["nar_waiting",] == 1
    studio.line.stop("b")
    numbers = counted(studio.metrics.text().decode())
    assert numbers["nar_growths_total", "program", "done"] == 1
    assert numbers["nar_growths_total", "page", "refused"] == 1
    assert numbers["nar_growths_total", "page", "stopped"] == 1
    assert numbers["nar_waiting",] == 0
    assert numbers["nar_growth_seconds_count",] == 1
    assert numbers["nar_step_seconds_count",] == job.prepared.plan.total


def test_health_and_metrics_are_served(served, http):
    answer = http.get("/health")
    assert answer.status_code == 200
    assert {"alive": True, "ready": True}.items() <= answer.json().items()
    before = counted(http.get("/metrics").text).get(("nar_calls_total", "models", "done"), 0)
    gradio_client = pytest.importorskip("gradio_client")
    client = gradio_client.Client(served.url, verbose=False)
    client.predict(api_name="/models")
    with pytest.raises(Exception, match="prompt: got"):
        client.predict(prompt="x" * 10_000, model="composed", api_name="/understand")
    numbers = counted(http.get("/metrics").text)
    assert numbers["nar_calls_total", "models", "done"] == before + 1
    assert numbers["nar_calls_total", "understand", "refused"] >= 1


def test_other_sites_and_unknown_hosts_are_kept_out(http):
    body = {"fn_index": 0, "data": [], "session_hash": "x"}
    for path in ("queue/join", "component_server"):
        for origin in ("https://evil.example", "null", "http://localhost:1"):
            for kind in ("application/json", "text/plain"):
                answer = http.post(
                    f"/gradio_api/{path}",
                    json=body,
                    headers={"Origin": origin, "Content-Type": kind},
                )
                assert answer.status_code == 403, (path, origin, kind)
                assert "--allow-origin" in answer.json()["error"]
    crossing = {"Sec-Fetch-Site": "cross-site"}
    assert http.post("/gradio_api/queue/join", json=body, headers=crossing).status_code == 403
    for host in ("evil.example", "127.0.0.1.nip.io"):
        assert http.get("/gradio_api/info", headers={"Host": host}).status_code == 403
    for origin in ("https://evil.example", "null"):
        answer = http.get("/gradio_api/info", headers={"Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert http.get("/gradio_api/info", headers={"Origin": str(http.base_url)}).status_code == 200


def test_every_answer_has_the_headers_that_browsers_obey(http):
    for path in ("/", "/gradio_api/info", "/gradio_api/run/models", "/health"):
        headers = http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_what_the_operator_allows_is_let_in(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    doors = Doors.of(["Studio.example"], ["https://friend.example"], share=False)
    assert not doors.refusal("GET", "studio.example:8080", None, "")
    assert doors.refusal("GET", "a.studio.example", None, "")
    assert not doors.refusal("POST", "studio.example", "https://studio.example", "same-origin")
    assert not doors.refusal("POST", "studio.example", "https://friend.example", "cross-site")
    assert doors.refusal("POST", "studio.example", "http://studio.example.evil", "cross-site")
    # who may call may show the page within its own, which is what ?embed=1 is for
    told = dict(doors.headers())
    assert told[b"content-security-policy"].endswith(
        b"frame-ancestors 'self' https://friend.example"
    )
    assert b"x-frame-options" not in told
    for host in ("[::1]:7860", "localhost", "192.168.1.2:7860", "127.0.0.1"):
        assert not doors.refusal("GET", host, None, "")
    assert not Doors.of([], [], share=True).refusal("GET", "0123.gradio.live", None, "")
    monkeypatch.setenv("SPACE_ID", "me/studio")
    monkeypatch.setenv("SPACE_HOST", "me-studio.hf.space")
    space = Doors.of([], [], share=False)
    assert not space.refusal("POST", "inner", "https://me-studio.hf.space", "same-origin")
    assert space.refusal("POST", "inner", "https://you-other.hf.space", "cross-site")
    assert b"https://huggingface.co" in dict(space.headers())[b"content-security-policy"]


def growing(line: Line, steps: int) -> tuple[threading.Thread, list]:
    """A growth under way, and one that waits; what comes of them."""
    begun, ends = threading.Event(), []

    def work(tickets: list[Ticket]):
        begun.set()
        for step in range(steps):
            time.sleep(0.01)
            yield 0, step

    async def both() -> None:
        hearing = [listed(line.join(run, Asked(work)).made()) for run in "ab"]
        ends.extend(await asyncio.gather(*hearing, return_exceptions=True))

    thread = threading.Thread(target=lambda: asyncio.run(both()))
    thread.start()
    assert begun.wait(20)
    return thread, ends


@pytest.mark.parametrize(
    ("number", "steps", "patience", "whole"),
    [
        (signal.SIGTERM, 20, 60, True),
        (signal.SIGTERM, 10_000, 0.2, False),
        (signal.SIGINT, 10_000, 60, False),
    ],
)
def test_an_end_lets_growths_finish_or_tells_them(number, steps, patience, whole):
    studio = fake_studio()
    thread, ends = growing(studio.line, steps)
    end = ending.Ending(studio, patience)
    end._signals.put(number)
    end.wait()
    thread.join(20)
    first, waiting = ends
    assert first == list(range(steps)) if whole else isinstance(first, Stopped)
    assert isinstance(waiting, Busy)
    assert "being stopped; try again" in str(waiting)
    assert studio.health()["ready"] is False
    with pytest.raises(Busy, match="being stopped"):
        studio.line.join("later", Asked(lambda tickets: iter(())))


def ended(studio, number: int) -> None:
    end = ending.Ending(studio, 60)
    end._signals.put(number)
    end.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_end_waits_for_nobody_but_for_who_is_being_told(monkeypatch, number):
    monkeypatch.setattr(ending, "LEAVING", 60)
    began = time.monotonic()
    ended(fake_studio(), number)  # nobody is there
    studio, gone = fake_studio(), []
    studio.listeners.comes("reads slowly")

    def reads() -> None:
        time.sleep(0.3)
        gone.append(True)
        studio.listeners.goes("reads slowly")

    threading.Thread(target=reads).start()
    ended(studio, number)
    assert gone
    monkeypatch.setattr(ending, "LEAVING", 0.1)
    studio.listeners.comes("never reads")
    ended(studio, number)
    assert time.monotonic() - began < 30


def test_a_studio_has_its_own_counters():
    one, other = Metrics(), Metrics()
    one.growth("page", "done")
    assert "nar_growths_total{" not in other.text().decode()
