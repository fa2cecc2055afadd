"""What the page's events do: a start grows, a dropped file replays, a link fills a form."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from app.pages.controls import PRIVATE, Controls, facts_of, properties
from app.server.errors import Refused, for_page
from app.server.form import FORM_FIELDS, LINKED, Form, fitting, form_of_link, seed_of_link
from app.server.gate import client_of
from app.server.spec import spec_of
from app.server.studio import Studio
from app.server.turns import Client
from app.wire import Lately, LatelyMessage, RejectedMessage, explain_of, name_of, picture_of, run_of
from nar_core import ModelInfo
from nar_core.foreign import shown

TOLD: dict[str, Any] = {**PRIVATE, "trigger_mode": "multiple"}
"""Events that say something themselves: none is dropped because one before is still answered.

Answers name what was asked, where something else may have been asked since.
"""

NAMED_ALWAYS = "outpaint", "lab"
"""Pages whose links name them: what they ask for could be meant for another."""

FILES: dict[str, Any] = {**TOLD, "concurrency_limit": 2, "concurrency_id": "files"}
"""Events that open files."""


def nothing(model: str) -> dict[str, Any]:
    """What a player must be told of a model besides, where that is nothing."""
    return {}


ONCE = """(name) => {
  const { dataset } = document.getElementById('studio-NAME');
  if (dataset.model === name && !dataset.asked) return [null];
  dataset.asked = name;
  return [name];
}"""
"""A picker says its model whenever it is left: where the player has that one, nothing may be lost.

As long as one that was asked for has not come, which `asked` says, the last is asked for.
"""


@dataclass(frozen=True)
class Page:
    """A page whose form asks for growths that its player shows."""

    form: Controls
    player: gr.HTML

    @property
    def components(self) -> list[Component]:
        """Those of the form, in the order of `FORM_FIELDS`."""
        return [self.form[name] for name in FORM_FIELDS if name in self.form]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [name for name in FORM_FIELDS if name in self.form]

    def read(self, values: Sequence[Any]) -> Form:
        """The form that their values make."""
        return Form.of(**dict(zip(self.names, values, strict=True)), of_page=True)


def wire_start(studio: Studio, page: Page, start: Callable[[Form, Any, Client], str]) -> Dependency:
    """A start of the player is checked at once, without compute, and then grown in its turn.

    `start` puts it into the line and returns its run.
    """
    # Several starts may be under way, all but the last stopped: run -> why it was refused. One
    # place for them could be overwritten by a check that took longer.
    checked = gr.State({})

    def checking(
        event: gr.EventData, request: gr.Request, checked: dict[str, Any] | None, *values: Any
    ) -> dict[str, Any]:
        checked, run = checked or {}, ""
        try:
            run = run_of(event._data.get("run") if isinstance(event._data, dict) else None)
            start(page.read(values), event._data, client_of(request))
        except Exception as error:
            return _with(checked, run, for_page(error, "Not started"))
        return _with(checked, run, None)

    async def growing(checked: dict[str, Any] | None) -> AsyncIterator[LatelyMessage]:
        wrong: gr.Error | None = None
        while checked:
            run = next(iter(checked))
            refusal, lately = checked.pop(run), Lately(run)
            try:
                if refusal is not None:
                    raise refusal
                # At once, because Gradio 6.31 forgets to close a generator that has not yielded
                # yet: a tab that was closed during the first step would keep the engine.
                yield lately.and_now({"kind": "begun", "run": run})
                async with aclosing(studio.line.ticket(run).made()) as messages:
                    async for message in messages:
                        yield lately.and_now(message)
            except Exception as error:
                wrong = error if isinstance(error, gr.Error) else _not_grown(error)
                yield lately.and_now({"kind": "failed", "run": run})
        if wrong is not None:
            raise wrong

    started = page.player.start(checking, [checked, *page.components], checked, **TOLD)
    grown = started.success(growing, checked, page.player, **TOLD)
    # where Gradio's own queue is full
    started.failure(_rejected, None, page.player, **PRIVATE)
    return grown


def _rejected() -> RejectedMessage:
    """What a start is told that found no place in Gradio's own queue."""
    return {"kind": "rejected", "at": time.time()}


def _with(checked: dict[str, Any], run: str, refusal: gr.Error | None) -> dict[str, Any]:
    """One more start, in place: the growing event of another may look at the same dict."""
    checked[run] = refusal
    return checked


def _not_grown(error: Exception) -> gr.Error:
    """The toast of a growth; it stays where it may say what to download and where to put it."""
    stays: dict[str, Any] = {"duration": None} if isinstance(error, Refused) else {}
    return for_page(error, "Not grown", **stays)


def wire_page(
    studio: Studio, page: Page, name: str, model: gr.Dropdown, facts: gr.HTML, reads: bool = True
) -> None:
    """All that a page for growing does.

    Args:
        name: of the page, for its address.
        model, facts: where a model is chosen, and where what is to be known of it is told.
        reads: whether a picture can be chosen, which is then read.
    """
    wire_growth(studio, page, facts)
    if reads:
        wire_reading(studio, page)
    wire_handover(studio, page)
    wire_address(page, name)
    wire_picked(studio, page, name, model.input)


def wire_growth(studio: Studio, page: Page, facts: gr.HTML) -> None:
    """Grow and replay."""
    growth = wire_start(studio, page, studio.start)
    # a model that was fetched for it is on this machine now
    growth.success(
        lambda name: facts_of(studio.engines, name), page.form["model"], facts, **PRIVATE
    )

    def replay(event: gr.EventData) -> Any:
        try:
            return studio.replay(event._data)
        except Exception as error:
            raise for_page(error, "Not replayed") from error

    page.player.replay(replay, None, page.player, **FILES)

    async def explain(event: gr.EventData, request: gr.Request) -> Any:
        run = ""
        try:
            run = run_of(event._data.get("run") if isinstance(event._data, dict) else None)
            asked = explain_of(event._data, studio.limits.upload)
            client = client_of(request)
            if asked.cell is None:
                values = await studio.disagreement(asked.file, client)
                told: dict[str, Any] = {"kind": "disagreement", "values": values}
            else:
                explained = await studio.explained(asked.file, asked.cell, client)
                told = {"kind": "explained", **explained}
        except Exception as error:
            yield {"kind": "unexplained", "run": run}
            raise for_page(error, "Not explained") from error
        yield {"run": run, **told}

    page.player.explain(explain, None, page.player, **TOLD)


def wire_reading(studio: Studio, page: Page) -> None:
    """A chosen picture is read: its tokens, and in words whether the model knows such."""

    async def read(event: gr.EventData, request: gr.Request, model: str) -> Any:
        run = ""
        try:
            run = run_of(event._data.get("run") if isinstance(event._data, dict) else None)
            picture, name = picture_of(event._data, studio.limits.upload), name_of(event._data)
            told = await studio.reading(model, picture, client_of(request), name)
        except Exception as error:
            yield {"kind": "unread", "run": run}
            raise for_page(error, "Not read") from error
        yield {"kind": "read", "run": run, **told}

    page.player.read(read, page.form["model"], page.player, **TOLD)


def wire_model(
    studio: Studio,
    page: Page,
    event: Callable[..., Any],
    more: Callable[[str], dict[str, Any]] = nothing,
    js: str | None = None,
) -> None:
    """Another model: the form offers what it can be asked, the player plans with it.

    Args:
        event: of the picker; more: what the player must be told besides; js: what the browser makes
            of the name before it is sent, null where nothing is to change.
    """
    changing = [name for name in page.names if name not in ("model", "rng_seed", "num_samples")]

    def change(name: str | None) -> list[Any]:
        if name is None:
            return [gr.skip()] * len(outputs)
        info = studio.engines.info(name)
        controls = properties(info)
        message = {"kind": "model", "spec": spec_of(info), **more(name)}
        return [*(gr.update(**controls[field]) for field in changing), message]

    outputs = [*(page.form[field] for field in changing), page.player]
    # of several that are picked before the first is told, the last is told
    event(change, page.form["model"], outputs, js=js, trigger_mode="always_last", **PRIVATE)


def wire_picked(studio: Studio, page: Page, name: str, event: Callable[..., Any]) -> None:
    """As `wire_model` for a page that keeps what stands there where it has that model already."""
    wire_model(studio, page, event, js=ONCE.replace("NAME", name))


def wire_handover(
    studio: Studio, page: Page, more: Callable[[str], dict[str, Any]] = nothing
) -> Dependency:
    """A result that is sent to this page fills its form, as a shared link does.

    A picture comes with the model that made it, where this page has that one; `more` is what the
    player must be told of it besides.
    """
    handed = [name for name in page.names if name != "num_samples"]

    def fill(event: gr.EventData, name: str) -> list[Any]:
        query = event._data.get("query") if isinstance(event._data, dict) else None
        given = {k: str(v) for k, v in query.items()} if isinstance(query, dict) else {}
        info, media = studio.engines.info(name), studio.engines.info(name).media
        others = {m.name: m for m in studio.engines.models(media) if m.name != name}
        values: dict[str, dict[str, Any]] = {}
        message: Any = gr.skip()
        if other := others.get(given.get("model", "")):
            info = other
            values = {"model": {"value": info.name}, **properties(info)}
            message = {"kind": "model", "spec": spec_of(info), **more(info.name)}
        for field, value in form_of_link(info, given).items():
            values[field] = {**values.get(field, {}), "value": value}
        updates = [gr.update(**values[f]) if f in values else gr.skip() for f in handed]
        return [*updates, message]

    outputs = [*(page.form[name] for name in handed), page.player]
    return page.player.fill(fill, page.form["model"], outputs, **TOLD)


def wire_address(page: Page, name: str) -> None:
    """The browser is told what a form says, so that the page's address holds it.

    It also sees by a class which part of a form is typed in, for as long as Gradio tells nothing.
    """
    for field, component in page.form.items():
        if field != "model":  # which several pages share
            component.elem_classes = [*component.elem_classes, f"says-{name}-{field}"]
    detail = f"{{ page: '{name}', names: {json.dumps(page.names)}, values }}"
    event = f"new CustomEvent('nar:form', {{ detail: {detail} }})"
    told = f"(...values) => {{ document.dispatchEvent({event}); }}"
    fields: list[Any] = page.components
    gr.on([field.change for field in fields], None, fields, None, js=told, **PRIVATE)


def warn_of_link(why: str) -> None:
    """Say what of a link is left out, and why."""
    gr.Warning(str(for_page(ValueError(why), "Link").message), title="Link")


def wire_link(
    studio: Studio, opened: Dependency, query: gr.State, page: Page, pages: gr.Tabs,
    first: ModelInfo, name: str, more: Callable[[str], dict[str, Any]] = nothing,
) -> Dependency:  # fmt: skip
    """A shared link -> the form and the player of its page; what is unreadable stays as it was.

    Args:
        name: of the page. A link that names none is for the page of its model's medium.
        more: what the player must be told of the model besides.
    """
    skip = [gr.skip()] * (len(page.names) + 2)

    def fill(given: dict[str, str]) -> list[Any]:
        if not given or not {"compare", *LINKED} & set(given):
            return skip
        tab = given.get("tab")
        named = tab if tab in NAMED_ALWAYS else None
        if "model" not in given:
            named = named or ("video" if tab == "video" else "image")
        try:
            info = studio.engines.info(given.get("model", first.name))
        except ValueError as error:
            if name == (named or "image"):
                warn_of_link(str(error))
            return skip
        if name != (named or info.media):
            return skip
        if name in NAMED_ALWAYS and info.media != "image":
            able = ", ".join(m.name for m in studio.engines.models("image"))
            warn_of_link(
                f"model: got {shown(info.name)}, which makes clips, expected for this page one of "
                f"{able}; the link is left out"
            )
            return skip
        values: dict[str, dict[str, Any]] = {"model": {"value": info.name}, **properties(info)}
        said, left_out = fitting(info, given)
        seed, no_seed = ([], []) if name in NAMED_ALWAYS else seed_of_link(info, given)
        told = more(info.name)
        sets = [known["name"] for known in told.get("sets", ())]
        if sets and given.get("compare") and given["compare"] not in sets:
            what = f"got {shown(given['compare'])}, expected one of {', '.join(sets)}"
            left_out.append(f"compare: {what}; it is left out")
        for why in (*left_out, *no_seed):
            warn_of_link(why)
        for field, value in said.items():
            values[field] = {**values.get(field, {}), "value": value}
        place = {"seed_position": seed} if seed else {}
        message = {"kind": "model", "spec": spec_of(info), **place, **told}
        updates = [gr.update(**values.get(field, {})) for field in page.names]
        return [*updates, message, gr.update(selected=name)]

    return opened.then(fill, query, [*page.components, page.player, pages], **PRIVATE)
