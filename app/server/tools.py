"""The endpoints as tools of MCP clients: pictures as pictures, answers by a schema.

Gradio's own tools answer in text. Its server stays, with its addresses and names of tools; what is
listed and called is answered here, within the call: who leaves or cancels ends their growth.
"""

from __future__ import annotations

import inspect
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import gradio as gr
from gradio import route_utils
from gradio_client.utils import python_type_to_json_schema

from app.server.api import Api, Argument, counted, given_to, named, returned_by
from app.server.gate import client_of
from app.server.growing import Stepped
from app.server.shelf import address_of
from app.server.studio import Studio
from app.server.turns import Client

TOOLS = tuple(name for name in given_to() if name not in ("image", "outpaint_image", "video"))
"""Every tool answers with pictures: those of typed outputs would say the same again."""

FILES = ("picture", "pictures", "file")
"""Where an answer holds files; elsewhere they are left out."""

PACKED = ("steps", "tokens", "confidence")
"""What a recipe holds packed: its `growth` says the same in the open."""


def lifespan(studio: Studio) -> Callable[[Any], Any]:
    """What makes the tools, where there is an MCP server, before anybody calls."""

    @asynccontextmanager
    async def begun(app: Any) -> AsyncIterator[None]:
        server = app.get_blocks().mcp_server_obj
        if server is not None:
            _serve(server, studio, app)
        yield

    return begun


def _serve(gradios: Any, studio: Studio, app: Any) -> None:
    """Answer what Gradio's MCP server is asked."""
    from mcp import types
    from pydantic import AnyUrl

    names = {gradios.tool_prefix + tool: tool for tool in TOOLS}
    gradios.tool_to_endpoint = {name: f"/{tool}" for name, tool in names.items()}
    generate = gradios.get_block_fn_from_endpoint_name("/generate").fn
    default_model = inspect.signature(generate).parameters["model"].default
    server = gradios.mcp_server

    @server.list_tools()
    async def listed() -> list[types.Tool]:
        wanted = gradios.get_selected_tools_from_request()
        return [
            types.Tool(
                name=name,
                description=_described(tool),
                inputSchema=_asked(_given(tool, default_model)),
                outputSchema=_answered(tool),
            )
            for name, tool in names.items()
            if wanted is None or name in wanted
        ]

    @server.call_tool()
    async def called(name: str, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        context = server.request_context
        if not _let_in(app, context.request):
            raise RuntimeError(
                "login: got a call of nobody, expected one with the cookie of who has logged in; "
                "log in at /login and send its cookie"
            )
        tool, known = names[name], _given(names[name], default_model)
        token = context.meta.progressToken if context.meta else None

        async def progress(step: int, total: int) -> None:
            if token is not None:
                await context.session.send_progress_notification(
                    token, step, total, f"step {step} of {total}", str(context.request_id)
                )

        client = Client(client_of(context.request).address, f"mcp-{secrets.token_hex(6)}")
        studio.listeners.comes(client.session)
        try:
            with counted(studio, tool):
                for argument in given:
                    if argument not in known:
                        raise ValueError(
                            f"{argument}: not an argument of {name}, expected {', '.join(known)}"
                        )
                plain = {n: a.default for n, a in known.items() if a.default is not ...}
                given = {**plain, **given}
                answer = await _answer(studio, tool, client, given, progress)
                clip = "rng_seed" in known and studio.engines.info(given["model"]).frames > 1
                root = route_utils.get_root_url(
                    context.request, gradios.get_route_path(context.request), gradios.root_path
                )
                shown, told = await anyio.to_thread.run_sync(
                    _told, studio, _object(tool, answer), root, clip
                )
        except gr.Error as error:
            raise RuntimeError(error.message) from error
        finally:
            studio.listeners.goes(client.session)
        content: list[Any] = []
        for kind, data in shown:
            if kind.startswith("image/"):
                content.append(types.ImageContent(type="image", data=data, mimeType=kind))
            else:
                link, uri = "resource_link", AnyUrl(data)
                content.append(types.ResourceLink(type=link, name=tool, uri=uri, mimeType=kind))
        text = json.dumps(told, ensure_ascii=False)
        return [*content, types.TextContent(type="text", text=text)], told


def _let_in(app: Any, request: Any) -> bool:
    """Whether a call may be answered: Gradio asks for its login on the ways that are not taken."""
    if app.auth is None and app.auth_dependency is None:
        return True
    cookies = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return any(request.cookies.get(cookie) in app.tokens for cookie in cookies)


async def _answer(
    studio: Studio, tool: str, client: Client, given: dict[str, Any], progress: Any
) -> Any:
    """What an endpoint answers, at last where it answers again and again."""

    async def stepped(event: Stepped) -> None:
        await progress(event.step, event.total)

    made = _method(Api(studio, stepped), tool)(client, **given)
    if not inspect.isasyncgen(made):
        return await made
    last: Any = None
    async with aclosing(made):
        async for last in made:
            await progress(last["step"], last["total"])
    return last


def _method(api: Any, tool: str) -> Any:
    """A list of models is read by people and by what has little room."""
    return getattr(api, "models_in_short" if tool == "models" else tool)


def _given(tool: str, default_model: str) -> dict[str, Argument]:
    return named(["one"] if tool == "models" else given_to()[tool], default_model)


def _described(tool: str) -> str:
    words = inspect.cleandoc(_method(Api, tool).__doc__ or "").partition("\n\nReturns:")[0]
    return " ".join(words.split())


def _asked(given: dict[str, Argument]) -> dict[str, Any]:
    """The schema of arguments."""
    properties = {}
    for name, told in given.items():
        properties[name] = {**python_type_to_json_schema(told.type), "description": told.help}
        if told.default is not ...:
            properties[name]["default"] = told.default
    required = [name for name, told in given.items() if told.default is ...]
    return {"type": "object", "properties": properties, "required": required}


def _answered(tool: str) -> dict[str, Any]:
    """The schema of an answer, as `_told` leaves it."""
    schema = python_type_to_json_schema(returned_by(_method(Api, tool)))
    if schema["type"] != "object":
        name = "file" if schema["type"] == "string" else tool
        return {"type": "object", "properties": {name: schema}, "required": [name]}
    return {**schema, "properties": {n: _bare(s) for n, s in schema["properties"].items()}}


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a part of an answer, in which there are no pictures."""
    out = dict(schema)
    if "items" in out:
        out["items"] = _bare(out["items"])
    if "properties" in out:
        out["properties"] = {n: _bare(s) for n, s in out["properties"].items() if n not in FILES}
        out["required"] = [n for n in out.get("required", ()) if n not in FILES]
    return out


def _object(tool: str, answer: Any) -> dict[str, Any]:
    """An answer as an object, which MCP wants."""
    if tool == "replay":
        return {name: value for name, value in answer.items() if name not in PACKED}
    return answer if isinstance(answer, dict) else {_answered(tool)["required"][0]: answer}


def _told(
    studio: Studio, answer: dict[str, Any], root: str, clip: bool
) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """What is shown, as kind and base64 or address, and the answer with addresses of its files.

    Of clips all frames are shown side by side: few clients play them.
    """
    shown: list[tuple[str, str]] = []

    def kept(uri: str) -> str:
        address = root + address_of(studio.keep(uri))
        kind = uri[5 : uri.index(";")]
        if not kind.startswith("image/"):
            shown.append((kind, address))
            return address
        if clip:
            uri = studio.clip([uri], "strip", 12)
        shown.append((kind, uri.partition(",")[2]))
        return address

    out: dict[str, Any] = {}
    for name, value in answer.items():
        if name == "pictures":
            out[name] = [kept(uri) for uri in value]
        elif name in FILES:
            out[name] = kept(value)
        elif not (isinstance(value, str) and value.startswith("data:")):
            out[name] = _without_files(value)
    return shown, out


def _without_files(value: Any) -> Any:
    """A part of an answer without its pictures."""
    if isinstance(value, list):
        return [_without_files(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_files(one) for name, one in value.items() if name not in FILES}
    return value
