"""Parts of the page that draw themselves: Gradio components, and how their scripts are served.

The scripts are ordinary ES modules in `web/`. They are served under an address that carries a hash
of their content, so that a browser keeps them until they change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from app.pages.social import Tagged

WEB = Path(__file__).parents[1] / "web"
PARTS = (
    "tokens",
    "page",
    "form",
    "recent",
    "source",
    "lab",
    "about",
    "article",
    "player",
    "recorded",
    "embed",
)
STYLES = tuple(f"css/{name}.css" for name in PARTS)

LATE = (
    "article-store.js",
    "article.js",
    "tools/orders.js",
    "tools/whole.js",
    "views/ablations.js",
    "views/article.js",
    "views/evidence.js",
    "views/heard.js",
    "views/speed.js",
)
"""Scripts that the page fetches only when somebody comes to what they draw."""

# Below Gradio's own prefix: what lies elsewhere its server-side rendering takes for a page.
PREFIX = "gradio_api/web"

RECORDED = f"{PREFIX}/recorded"
"""Below it: folders of recorded growths."""


@cache
def source(*names: str) -> str:
    """The named files of `web/`, joined."""
    return "\n".join((WEB / name).read_text("utf-8") for name in names)


@cache
def modules() -> tuple[str, ...]:
    """Paths of the scripts in `web/`."""
    return tuple(sorted(p.relative_to(WEB).as_posix() for p in WEB.rglob("*.js")))


@cache
def address() -> str:
    """Where the scripts are served, relative to the page; another one when they have changed."""
    digest = hashlib.sha256("\0".join(f"{m}\0{source(m)}" for m in modules()).encode())
    return f"{PREFIX}/{digest.hexdigest()[:12]}"


class Scripts(StaticFiles):
    """The modules in `web/`, to be kept by browsers for good: their address holds their hash."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path not in modules():
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        # not guessed: some systems have another type registered, and browsers refuse it
        response.headers["content-type"] = "text/javascript; charset=utf-8"
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


class SmallPage:
    """Compresses the page itself: Gradio compresses by extension, and the page has none.

    It also has its own tags for other sites.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.compressing = app, GZipMiddleware(Tagged(app, RECORDED))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["path"].removeprefix(
            scope.get("root_path", "")
        ) in ("", "/")
        await (self.compressing if is_page else self.app)(scope, receive, send)


def routes(recorded: Sequence[Path]) -> list[Mount]:
    """What the page's server must answer besides Gradio's own addresses.

    Args:
        recorded: folders of growths that are shown without a model.
    """
    return [
        Mount(f"/{address()}", Scripts(directory=WEB)),
        *(
            Mount(f"/{RECORDED}/{folder.name}", StaticFiles(directory=folder, check_dir=False))
            for folder in recorded
        ),
    ]


def head() -> str:
    """What the page's head must hold: all styles, and the modules' names, so that they are fetched
    at once and not one import after the other.

    The styles are inside it, because without them the page would be seen before it is dressed; and
    here, because `css` of `launch` would rewrite the selectors and lose :root and media queries.
    """
    early = "".join(
        f'<link rel="modulepreload" href="{address()}/{m}">' for m in modules() if m not in LATE
    )
    return f"{early}<style>{source(*STYLES)}</style>"


def mounted(
    html_template: str, function: str, config: Any, events: tuple[str, ...] = (), **more: Any
) -> gr.HTML:
    """Constant markup that a function of `web/main.js` brings to life.

    Args:
        html_template: file in `web/html`.
        function: called once with the element, Gradio's tools and `config` (sent as JSON).
        events: what it may trigger. Gradio knows only events whose names stand in the script.
    """
    script = (
        f"/* {' '.join(map(repr, events))} */ "
        f"import(new URL({json.dumps(f'{address()}/main.js')}, document.baseURI)).then((web) => "
        f"web.{function}(element, {{ trigger, server, watch, props }}, {json.dumps(config)}));"
    )
    return gr.HTML(
        html_template=source(f"html/{html_template}"),
        js_on_load=script,
        apply_default_css=False,
        **more,
    )


def player(
    mode: str,
    spec: Mapping[str, Any],
    server_functions: list[Callable],
    recorded: Mapping[str, Any] | None = None,
    **more: Any,
) -> gr.HTML:
    """One canvas.

    Args:
        mode: "image", "video" or "outpaint".
        spec: the model shown first, see `spec.spec_of`.
        recorded: growths that are shown without a model, see `examples.recorded`.

    Events out: `start`, `replay`, `fill`, `explain`, `read`. In: messages as its value, see `wire`.
    """
    return mounted(
        "player.html",
        "mountPlayer",
        {"mode": mode, "spec": spec, "recorded": recorded, "folder": RECORDED},
        events=("start", "replay", "fill", "explain", "read"),
        server_functions=server_functions,
        elem_classes=["player-host"],
        **more,
    )


def lab(
    spec: Mapping[str, Any], sets: list[dict[str, Any]], server_functions: list[Callable]
) -> gr.HTML:
    """Growths side by side; `sets` is what can be compared, see `spec.comparisons`."""
    return mounted(
        "lab.html",
        "mountLab",
        {"spec": spec, "sets": sets},
        events=("start", "fill"),
        server_functions=server_functions,
    )


def article(raster: str) -> gr.HTML:
    """The paper in acts, with recorded growths; `raster` is that of the race, see `examples`."""
    return mounted("article.html", "mountArticle", {"folder": RECORDED, "raster": raster})


def evidence() -> gr.HTML:
    """What was measured and what the paper says, as maps and tables."""
    return mounted("evidence.html", "mountEvidence", {"folder": RECORDED})


def recent() -> gr.HTML:
    """The strip of this session's results, and where a file is dropped to be replayed."""
    return mounted("recent.html", "mountRecent", {})
