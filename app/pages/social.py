"""What other sites show of a link to the page: title, sentence and picture, at its own address."""

from __future__ import annotations

import html
import re

from starlette.datastructures import URL
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TITLE = "NAR Studio"
ABOUT = "Pictures grow outward, all neighbours at once. Click where it should start."
CARD = "race/card.jpg"
"""Of 1200 x 630 pixels, below the recorded growths; see `tests/app/race.py`."""

FOREIGN = re.compile(r'<meta\s+(?:property="og:|name="twitter:|name="description")[^>]*>\s*')
"""What the page's template says instead, of itself."""


def tagged(page: str, address: str, card: str) -> str:
    """The page's HTML with its own tags in place of the template's."""
    said = {
        "og:type": "website",
        "og:title": TITLE,
        "og:description": ABOUT,
        "og:url": address,
        "og:image": card,
    }
    tags = [f'<meta property="{k}" content="{html.escape(v)}">' for k, v in said.items()]
    tags.append('<meta name="twitter:card" content="summary_large_image">')
    tags.append(f'<meta name="description" content="{html.escape(ABOUT)}">')
    head, found, rest = page.partition("<head>")
    return f"{head}{found}{''.join(tags)}{FOREIGN.sub('', rest)}" if found else page


class Tagged:
    """Gives the page, whose path is empty, its tags; everything else passes."""

    def __init__(self, app: ASGIApp, recorded: str) -> None:
        self.app, self.recorded = app, recorded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {}
        body = bytearray()

        async def held(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            url = URL(scope=scope).replace(query="", path=f"{scope.get('root_path', '')}/")
            if proto := dict(scope["headers"]).get(b"x-forwarded-proto"):
                url = url.replace(scheme=proto.decode("latin-1").split(",")[0])
            page = tagged(body.decode(), str(url), f"{url}{self.recorded}/{CARD}").encode()
            kept = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
            await send({**start, "headers": [*kept, (b"content-length", str(len(page)).encode())]})
            await send({"type": "http.response.body", "body": page})

        is_read = scope.get("method") == "GET"
        await self.app(scope, receive, held if is_read else send)
