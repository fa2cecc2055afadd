"""What comes in before Gradio sees it: how much, on which ways, and who still listens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.calls import Calls, drop, ends, session_of
from app.server.doors import Doors
from app.server.turns import Client

if sys.platform == "linux":
    import resource

log = logging.getLogger(__name__)

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

MOST_OF_ADDRESS = 2
"""The same of one address, so that nobody takes the room of all."""

BODY_SECONDS = 60.0
"""Seconds in which a body must have come: what is held of it meanwhile counts, too."""

MOST_OPEN = 500
"""Requests of one address that are open at a time; a page has two or three."""

STALLED = 60.0
"""Seconds after which who takes nothing of what they are sent counts as gone.

Where a connection is slow, a picture as text may well take half of that."""

MOST_VALUES = 20_000
"""Of the JSON of a call. Files are one text each; of tiny values, a body of 27 MB would take twenty
times its size, and hold the event loop for as long as it takes to go through them."""

TOO_MANY = (
    f"request: got more than {MOST_VALUES:,} values, expected fewer; send lists as files, or in "
    "several calls"
)

MOST_FILES = 65_536
"""Files and connections that the process may have open."""

TOO_MUCH = (
    f"request: got more large bodies within {HELD_FOR:g} s than are held, expected fewer; try "
    "again in a few seconds"
)

TOO_SLOW = (
    f"request: got no whole body within {BODY_SECONDS:g} s, expected one; send less, or try again"
)

TOO_OPEN = (
    f"request: got one more than the {MOST_OPEN} that one address may have open at a time; close "
    "some, or end calls that wait"
)

ARRIVED = "nar.arrived"
"""Where a request's scope says when it came."""

CLOSED_TO_OTHERS = Doors()

CLOSED_WAY = "This way is closed; join the queue, and send files as data: addresses in the call."


def take_connections() -> None:
    """Have as many connections as the system allows, not as few as a shell does.

    With a thousand of them, a few hundred pages that are left open keep others out.
    """
    if sys.platform == "linux":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Listeners:
    """Which sessions have a connection open on which they are told what their calls make.

    `came` is called whenever one was opened.
    """

    def __init__(self) -> None:
        self.came: Callable[[], None] = lambda: None
        self._open: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.watching = False

    def present(self, session: str) -> bool:
        """Whether somebody listens; always where nobody watches the connections."""
        return not self.watching or not session or self._open[session] > self._told[session]

    def connected(self, session: str) -> bool:
        """Whether a connection is open, also one on which all is told."""
        return self._open[session] > 0

    @property
    def anybody(self) -> bool:
        """Whether any connection is open."""
        return bool(self._open)

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

    @contextlib.contextmanager
    def not_counting(self, session: str) -> Iterator[None]:
        """Meanwhile one connection, on which all is told, is none: who had it may have left."""
        with self._lock:
            self._told[session] += 1
        try:
            yield
        finally:
            with self._lock:
                self._told[session] -= 1
                if not self._told[session]:
                    del self._told[session]
            self.came()

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


def forget_absent(app: Any, present: Callable[[str], bool]) -> None:
    """`forget` the sessions for which nobody listens: some have never begun to."""
    held = getattr(app, "state_holder", None)
    for session in () if held is None else list(held.session_data):
        if not present(session):
            forget(app, session)


def free_body(request: Any) -> None:
    """Drop the bytes of a call that has been read: Gradio keeps its request while it runs."""
    getattr(request, "__dict__", {}).pop("_body", None)


def client_of(request: Any) -> Client:
    """Who sent a request: the address and, of Gradio's, the session."""
    session = getattr(request, "session_hash", None) or ""
    peer = getattr(request, "client", None) if request else None
    return Client(_address(getattr(peer, "host", None) or ""), session)


def _address(host: str) -> str:
    """Where a caller is: of an IPv6 address the network, within which one may choose freely."""
    with contextlib.suppress(ValueError):
        if ip_address(host).version == 6:
            return str(ip_network(f"{host}/64", strict=False))
    return host


class TooLarge(Exception):
    """More came in than is taken."""


class TooMany(Exception):
    """It has more values than are read."""


class TooMuch(Exception):
    """More came in of late than is held."""


class TooSlow(Exception):
    """It has not come in the time that it has."""


@dataclass(eq=False)
class Held:
    """A large body of which something is held; `since` when no more of it comes."""

    address: str
    size: int
    since: float = math.inf


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
        self.app = Calls(app, listeners)
        self.largest, self.listeners, self.doors = largest, listeners, doors
        self._held: list[Held] = []
        self._open: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        listeners.watching = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        address = _address((scope.get("client") or ("",))[0])
        if self._open[address] >= MOST_OPEN and not self.doors.any_host:
            return await _answer(send, 503, TOO_OPEN)
        self._open[address] += 1
        try:
            await self._let_in(scope, receive, send, address)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    async def _let_in(self, scope: Scope, receive: Receive, send: Send, address: str) -> None:
        """A request of somebody who has not too many of them open."""
        begun = streaming = whole = False
        session: str | None = None
        given = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = given.get(b"host", ""), given.get(b"origin")

        async def sending(message: Message) -> None:
            nonlocal begun, streaming, whole
            if message["type"] == "http.response.start":
                begun = True
                headers = message.get("headers", ())
                streaming = (b"content-type", STREAM) in [(k.lower(), v[:17]) for k, v in headers]
                message = {**message, "headers": [*headers, *self.doors.headers()]}
            with self._taken(leaves if session else None):
                await send(message)
            whole = whole or ends(message)

        async def leaves() -> None:
            """Nobody listens on this connection any more; once."""
            nonlocal session
            if session:
                gone, session = session, None
                self.listeners.goes(gone)
                forget(scope.get("app"), gone)
                if not whole and not self.listeners.present(gone):
                    await drop(scope.get("app"), gone)

        refused = self.doors.refusal(
            scope["method"], host, origin, given.get(b"sec-fetch-site", "")
        )
        refusal = (403, refused) if refused else self._refusal(scope)
        if refusal:
            return await _answer(sending, *refusal)
        body = Body(self, receive, address)
        scope[ARRIVED] = time.monotonic()
        session = session_of(scope)
        if session:
            self.listeners.comes(session)
        try:
            if scope["method"] == "POST":
                body.hold(int(given.get(b"content-length") or 0))
            await self.app(scope, body.receive, sending)
        except TooSlow:
            await _answer(sending, 408, TOO_SLOW)
        except TooLarge:
            await _answer(sending, 413, self.too_large)
        except TooMany:
            await _answer(sending, 413, TOO_MANY)
        except TooMuch:
            await _answer(sending, 503, TOO_MUCH)
        except Exception as error:
            # Gradio's own routes stumble over what they did not expect; whoever listens for what is
            # not there has been told so
            is_told = streaming and isinstance(error.__cause__, HTTPException)
            level = logging.INFO if is_told else logging.WARNING
            log.log(level, "%s %.200r: %.300r", scope["method"], scope["path"], error)
            if streaming:  # what was wrong has been told in it, so it ends as others do
                return await sending({"type": "http.response.body"})
            if begun:
                raise
            await _answer(sending, 400, _not_understood(error))
        finally:
            body.ends()
            await leaves()

    @contextlib.contextmanager
    def _taken(self, leaves: Callable[[], Coroutine[Any, Any, None]] | None) -> Iterator[None]:
        """While a message is sent: `leaves` is run where nobody takes it for too long."""
        if leaves is None:
            yield
            return

        def stalled() -> None:
            log.warning("a client has taken nothing for %g s, and counts as gone", STALLED)
            task = loop.create_task(leaves())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        loop = asyncio.get_running_loop()
        waiting = loop.call_later(STALLED, stalled)
        try:
            yield
        finally:
            waiting.cancel()

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason of what is not let in at all."""
        if CLOSED.search(scope["path"]):
            return 404, CLOSED_WAY
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > self.largest:
            return 413, self.too_large
        if int(length) >= SMALL:
            forget_absent(scope.get("app"), self.listeners.present)
        return None

    def held(self, address: str, length: int) -> Held:
        """Count a body; TooMuch where what is held of the calls of late may not grow by as much.

        Gradio keeps the whole body of a call until somebody has listened for it, or has not.
        """
        now = time.monotonic()
        self._held = [held for held in self._held if now - held.since <= HELD_FOR]
        own = sum(held.size for held in self._held if held.address == address)
        most = MOST_HELD if self.doors.any_host else MOST_OF_ADDRESS
        if (
            own + length > most * self.largest
            or sum(held.size for held in self._held) + length > MOST_HELD * self.largest
        ):
            raise TooMuch
        self._held.append(Held(address, length))
        return self._held[-1]

    @property
    def too_large(self) -> str:
        """What is said of a body that is larger than any may be."""
        return (
            f"request: got more than {self.largest * 1e-6:g} MB, expected less; "
            "send fewer or smaller files"
        )


class Body:
    """The body of one request, counted while it comes; small ones need no room."""

    def __init__(self, gate: Gate, receive: Receive, address: str) -> None:
        self.gate, self._receive, self.address = gate, receive, address
        self._came = self._values = 0
        self._whole = False
        self._end = time.monotonic() + BODY_SECONDS
        self._held: Held | None = None

    def hold(self, length: int) -> None:
        """Have room for so many bytes; TooMuch where there is none."""
        if length >= SMALL and self._held is None:
            self._held = self.gate.held(self.address, length)

    def ends(self) -> None:
        """No more of it comes."""
        self._whole = True
        if self._held is not None and self._held.since == math.inf:
            self._held.since = time.monotonic()

    async def receive(self) -> Message:
        """The next part. Raises TooSlow, TooLarge, TooMany, TooMuch."""
        if self._whole:
            return await self._receive()  # whether somebody is still there
        try:
            message = await asyncio.wait_for(self._receive(), self._end - time.monotonic())
        except asyncio.TimeoutError:
            raise TooSlow from None
        part = message.get("body", b"")
        self._came += len(part)
        if self._came > self.gate.largest:
            raise TooLarge
        self._values += sum(map(part.count, (b",", b"[", b"{")))  # none of them is in base64
        if self._values > MOST_VALUES:
            raise TooMany
        if self._came >= SMALL:
            self.hold(self.gate.largest)  # it did not say how large it becomes
        if not message.get("more_body"):
            self.ends()
        return message


def _not_understood(error: Exception) -> str:
    """What was wrong with a request that Gradio stumbled over: the argument, where it says one."""
    told = type(error).__name__
    if isinstance(error, TypeError):
        said = str(error)
        if found := re.match(r"Parameter `(.{1,60}?)` is not a valid", said):
            told = f"it has no argument {found[1]!r}"
        elif found := re.match(r"No value provided for required argument: (\w{1,60})", said):
            told = f"it needs the argument {found[1]!r}"
    return f"request: not understood ({told}); see the API page for its form"


async def _answer(send: Send, status: int, reason: str) -> None:
    body: Any = json.dumps({"error": reason, "detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
