"""Gradio's calls and who makes them: told on a stream that waits for what follows, or given up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from gradio.server_messages import ProcessCompletedMessage
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from app.server.gate import Listeners

log = logging.getLogger(__name__)

LISTENING = re.compile(r"/queue/data/?$|/call/(?:v2/)?[^/]+/([^/]+)/?$")
"""Where a client listens for what its calls make: by its session, or by one call of its own."""

JOINS = re.compile(r"/queue/join/?$|/call/(?:v2/)?[^/]+/?$")
"""Where a call is made; what is answered is its name."""

CLOSES = b'data: {"msg":"close_stream"'
"""How a message begins that tells a client to listen no more."""

FOLLOWS = 0.25
"""Seconds in which the call comes that follows from the end of another.

A client that has been told the end of all its calls, but not yet that its stream is closed, makes
the next one without opening a new stream, and would never hear of it."""

TURNS = 5
"""Turns of the event loop within which the end of a connection that is there is seen."""


class Calls:
    """ASGI middleware around Gradio's queue.

    Args:
        listeners: who is told for which session somebody listens.
    """

    def __init__(self, app: ASGIApp, listeners: Listeners) -> None:
        self.app, self._listeners = app, listeners
        self._closed: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] == "POST" and JOINS.search(scope["path"]):
            await self._join(scope, receive, send)
        elif session := session_of(scope):
            await self._tell(scope, receive, send, session)
        else:
            await self.app(scope, receive, send)

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A call; given up where nobody is there any more to be told its name."""
        answer: list[Message] = []

        async def keeping(message: Message) -> None:
            answer.append(message)

        await self.app(scope, receive, keeping)
        queue, event = _queue(scope), _event(answer)
        session = _caller(queue, event)
        if session and await _left(receive):
            log.info("a call is given up: who made it left before it was taken")
            return await self._give_up(scope.get("app"), session, event)
        # who was told just now that their stream is closed learns that before this answer
        await asyncio.sleep(self._closed.get(session, 0.0) + FOLLOWS - time.monotonic())
        for message in answer:
            await send(message)

    async def _give_up(self, app: Any, session: str, event: str) -> None:
        """End one call, whether it waits or has begun; its session may have others."""
        queue = app.blocks._queue
        await queue.clean_events(event_id=event)
        for task in asyncio.all_tasks():
            if task.get_name().endswith(f"<gradio-sep>{event}"):
                task.cancel()
        # a stream is closed when the last of its calls has ended
        if self._listeners.connected(session):
            ended = ProcessCompletedMessage(output={}, success=True, event_id=event)
            queue.pending_messages_per_session[session].put_nowait(ended)
            return
        queue.pending_event_ids_session[session].discard(event)
        if not queue.pending_event_ids_session[session]:
            await drop(app, session)

    async def _tell(self, scope: Scope, receive: Receive, send: Send, session: str) -> None:
        """A stream; where a call follows before it is closed, it goes on with that."""
        queue, begun = _queue(scope), False
        closing: list[Message] = []

        async def telling(message: Message) -> None:
            nonlocal begun
            if closing or message.get("body", b"").startswith(CLOSES):
                closing.append(message)
            elif message["type"] != "http.response.start":
                await send(message)
            elif not begun:
                begun = True
                await send(message)

        while True:
            await self.app(dict(scope), receive, telling)
            if not closing or queue is None:
                break
            # who calls next may have left this stream for another, which is then waited for
            with self._listeners.not_counting(session):
                if not await _follows(queue, session, receive):
                    break
            closing.clear()
        if closing:
            self._closed[session] = time.monotonic()
            asyncio.get_running_loop().call_later(FOLLOWS, self._closed.pop, session, None)
        with self._listeners.not_counting(session):
            for message in closing:
                await send(message)


def session_of(scope: Scope) -> str:
    """The session that begins to listen with this request, or ""."""
    found = LISTENING.search(scope["path"]) if scope["method"] == "GET" else None
    if not found:
        return ""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return found[1] or query.get("session_hash", [""])[0]


def ends(message: Message) -> bool:
    """Whether with this message of a stream all is told; who has it may leave at once."""
    return message["type"] == "http.response.body" and (
        not message.get("more_body") or message.get("body", b"").startswith(CLOSES)
    )


async def drop(app: Any, session: str) -> None:
    """Drop what a session was not told, and its calls, as Gradio does for who hangs up while idle.

    It keeps them for two thousand sessions where a connection ends, or stalls, in a message.
    """
    blocks = getattr(app, "blocks", None)
    if blocks is not None:
        blocks._queue.pending_messages_per_session.pop(session, None)
        blocks._queue.pending_event_ids_session.pop(session, None)
        await blocks._queue.clean_events(session_hash=session)


async def _left(receive: Receive) -> bool:
    """Whether who has sent a whole request is not there any more."""
    coming = asyncio.ensure_future(receive())
    for _ in range(TURNS):
        await asyncio.sleep(0)
    if coming.done():
        return coming.result()["type"] == "http.disconnect"
    coming.cancel()
    return False


async def _follows(queue: Any, session: str, receive: Receive) -> bool:
    """Whether a session makes another call soon, and listens where it did.

    Some close their stream as soon as they have what they called for, and open another.
    """
    end = time.monotonic() + FOLLOWS
    while not (called := bool(queue.pending_event_ids_session.get(session))):
        if time.monotonic() > end or await _left(receive):
            break
        await asyncio.sleep(0.02)
    return called and not await _left(receive)


def _queue(scope: Scope) -> Any:
    return getattr(getattr(scope.get("app"), "blocks", None), "_queue", None)


def _caller(queue: Any, event: str) -> str:
    """The session of a call that has not ended, or ""."""
    sessions = {} if queue is None else queue.pending_event_ids_session
    return next((session for session, events in sessions.items() if event in events), "")


def _event(answer: list[Message]) -> str:
    """The name of a call, of the answer to it; "" where it was not taken."""
    with contextlib.suppress(ValueError, AttributeError):
        told = json.loads(b"".join(message.get("body", b"") for message in answer))
        return str(told.get("event_id") or "")
    return ""
