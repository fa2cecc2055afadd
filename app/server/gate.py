"""What comes in before Gradio sees it: how much, on which ways, and who still listens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.doors import Doors
from app.server.turns import Client

log = logging.getLogger(__name__)

LISTENING = re.compile(r"/queue/data/?$|/call/(?:v2/)?[^/]+/([^/]+)/?$")
"""Where a client listens for what its calls make: by its session, or by one call of its own."""

CLOSED = re.compile(
    r"/gradio_api/(?:(?:run|api|stream|dev|run-history)/.*|upload(?:_progress)?|process_recording"
    r"|(?:undo-)?vibe-\w+|deep_link|runs|proxy=.*)/?$|^/monitoring(?:/.*)?$"
)
"""Ways of Gradio's that nothing here uses: past its queue, files, recordings, its code editor,
its developer's (a stream without an end), its monitor, what it keeps of sessions on disk."""

STREAM = b"text/event-stream"

SMALL = 100_000
"""Bytes of a body that is not worth counting."""

HELD_FOR = 16.0
"""Seconds for which a body is counted: as long as nobody need listen for what it asks, and more."""

MOST_HELD = 3
"""Times the largest body, all large ones of so many seconds together."""

TOO_MUCH = (
    f"request: got {MOST_HELD} times the largest body within {HELD_FOR:g} s, expected less; try "
    "again in a few seconds"
)

ARRIVED = "nar.arrived"
"""Where a request's scope says when it came."""

CLOSED_TO_OTHERS = Doors()

CLOSED_WAY = "This way is closed; join the queue, and send files as data: addresses in the call."


class Listeners:
    """Which sessions have a connection open on which they are told what their calls make.

    `came` is called whenever one was opened.
    """

    def __init__(self) -> None:
        self.came: Callable[[], None] = lambda: None
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.watching = False

    def present(self, session: str) -> bool:
        """Whether somebody listens; always where nobody watches the connections."""
        return not self.watching or not session or self._open[session] > 0

    def comes(self, session: str) -> None:
        """A connection was opened."""
        with self._lock:
            self._open[session] += 1
        self.came()

    def goes(self, session: str) -> None:
        """A connection was closed."""
        with self._lock:
            self._open[session] -= 1
            if self._open[session] <= 0:
                del self._open[session]

    async def listened(self, session: str, end: float) -> bool:
        """Whether somebody listens by then: a client calls first, then listens."""
        while not self.present(session):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True


def forget(app: Any, session: str) -> None:
    """Drop what Gradio keeps of a session's inputs and outputs, which only its deep links need.

    They are whole pictures and files, and a hundred sessions are kept.
    """
    held = getattr(app, "state_holder", None)
    if held is not None and session in held.session_data:
        held.session_data[session].config_values.clear()


def client_of(request: Any) -> Client:
    """Who sent a request: the address and, of Gradio's, the session.

    Of an IPv6 address only the network, within which one may choose freely.
    """
    session = getattr(request, "session_hash", None) or ""
    peer = getattr(request, "client", None) if request else None
    address = getattr(peer, "host", None) or ""
    with contextlib.suppress(ValueError):
        parsed = ip_address(address)
        if parsed.version == 6:
            address = str(ip_network(f"{address}/64", strict=False))
    return Client(address, session)


class TooLarge(Exception):
    """More came in than is taken."""


class TooMuch(Exception):
    """More came in of late than is held."""


class Gate:
    """ASGI middleware around the whole page.

    Args:
        largest: bytes that the body of a request may have.
        listeners: who is told what is listened to.
        doors: which hosts and origins are let in.
    """

    def __init__(
        self, app: ASGIApp, largest: int, listeners: Listeners, doors: Doors = CLOSED_TO_OTHERS
    ) -> None:
        self.app, self.largest, self.listeners, self.doors = app, largest, listeners, doors
        self._held: deque[tuple[float, int]] = deque()
        listeners.watching = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = streaming = False
        given = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = given.get(b"host", ""), given.get(b"origin")

        async def sending(message: Message) -> None:
            nonlocal begun, streaming
            if message["type"] == "http.response.start":
                begun = True
                headers = message.get("headers", ())
                streaming = (b"content-type", STREAM) in [(k.lower(), v[:17]) for k, v in headers]
                message = {**message, "headers": [*headers, *self.doors.headers()]}
            await send(message)

        refused = self.doors.refusal(
            scope["method"], host, origin, given.get(b"sec-fetch-site", "")
        )
        refusal = (403, refused) if refused else self._refusal(scope)
        if refusal:
            return await _answer(sending, *refusal)
        scope[ARRIVED] = time.monotonic()
        session = _session(scope)
        if session:
            self.listeners.comes(session)
        try:
            told = int(given.get(b"content-length") or 0)
            await self.app(scope, self._counted(receive, told), sending)
        except TooLarge:
            await _answer(sending, 413, self._too_large())
        except TooMuch:
            await _answer(sending, 503, TOO_MUCH)
        except Exception as error:
            # Gradio's own routes stumble over what they did not expect
            log.warning("%s %s: %r", scope["method"], scope["path"], error)
            if streaming:  # what was wrong has been told in it, so it ends as others do
                return await sending({"type": "http.response.body"})
            if begun:
                raise
            reason = f"request: not understood ({type(error).__name__}); see the API page"
            await _answer(sending, 400, f"{reason} for its form")
        finally:
            if session:
                self.listeners.goes(session)
                forget(scope.get("app"), session)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason of what is not let in at all."""
        if CLOSED.search(scope["path"]):
            return 404, CLOSED_WAY
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > self.largest:
            return 413, self._too_large()
        if scope["method"] == "POST" and not self._room(int(length)):
            return 503, TOO_MUCH
        return None

    def _room(self, length: int) -> bool:
        """Whether what is held of the calls of late may grow by so many bytes; small ones always.

        Gradio keeps the whole body of a call until somebody has listened for it, or has not.
        """
        if length < SMALL:
            return True
        now = time.monotonic()
        while self._held and now - self._held[0][0] > HELD_FOR:
            self._held.popleft()
        if sum(size for _, size in self._held) + length > MOST_HELD * self.largest:
            return False
        self._held.append((now, length))
        return True

    def _too_large(self) -> str:
        return (
            f"request: got more than {self.largest * 1e-6:.0f} MB, expected less; "
            "send fewer or smaller files"
        )

    def _counted(self, receive: Receive, told: int) -> Receive:
        """`receive` for a body that does not say its length (`told`), or says too little."""
        came, counted = 0, told >= SMALL

        async def receiving() -> Message:
            nonlocal came, counted
            message = await receive()
            came += len(message.get("body", b""))
            if came > self.largest:
                raise TooLarge
            if came >= SMALL and not counted:
                counted = True
                if not self._room(self.largest):  # nobody knows how large it becomes
                    raise TooMuch
            return message

        return receiving


def _session(scope: Scope) -> str:
    """The session that begins to listen with this request, or ""."""
    found = LISTENING.search(scope["path"]) if scope["method"] == "GET" else None
    if not found:
        return ""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return found[1] or query.get("session_hash", [""])[0]


async def _answer(send: Send, status: int, reason: str) -> None:
    body: Any = json.dumps({"error": reason, "detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
