"""Whether the studio lives and takes growths, for whoever watches over it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.server.metrics import TEXT
from app.server.studio import Studio


def routes(studio: Studio) -> list[Route]:
    """`/health` and `/metrics`; see app/OPERATING.md."""

    async def health(request: Request) -> JSONResponse:
        told = studio.health()
        return JSONResponse(told, 200 if told["alive"] and told["ready"] else 503)

    async def metrics(request: Request) -> Response:
        return Response(studio.metrics.text(), media_type=TEXT)

    return [Route("/health", health), Route("/metrics", metrics)]
