"""The published endpoints; `tools` offers them to MCP clients too.

Pictures travel as `data:image/png;base64,...` text, or, where an endpoint says so, as files under
addresses of their own (see `shelf`). Every picture carries its recipe (see nar_core/files), so what
is returned can be given to `replay`.
"""

from __future__ import annotations

import inspect
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args, get_type_hints

import anyio
import gradio as gr
import numpy as np

from app.server.answers import GrownAnswer, ModelAnswer, RecipeAnswer, StepAnswer
from app.server.errors import Stopped, for_program, outcome
from app.server.form import Form, typed
from app.server.gate import ARRIVED, client_of, forget, free_body
from app.server.growing import Finished, Stepped
from app.server.jobs import Job
from app.server.shelf import address_of, file_data
from app.server.studio import Studio
from app.server.telling import files_of, pngs_of, quick_picture, understood
from app.server.turns import Client
from app.wire import Explanation, Kept, Start, WordsAnswer, bytes_of_uri
from nar_core import SETTINGS, ModelInfo
from nar_core.files import MAX_PARTS, MAX_SAMPLES, clip_bytes, room
from nar_core.foreign import shown

ClipFormat = Literal["mp4", "gif", "webp", "strip"]


PATIENCE = 15.0
"""Seconds in which a client must begin to listen for what it has called."""


@dataclass(frozen=True)
class Argument:
    """One argument of an endpoint: its type, its default (`...` for none), and what it is."""

    type: Any
    default: Any
    help: str


def arguments(default_model: str) -> dict[str, Argument]:
    """All arguments of the endpoints, by name; the settings as settings.py has them."""
    picture = (
        "data address of an image, such as `data:image/png;base64,...`, or the address of a file "
        "made here."
    )
    file = "data address of a PNG or MP4 file as it was downloaded, or its address here."
    own = {
        "prompt": Argument(str, "", "what to grow (text models); empty lets the model choose."),
        "model": Argument(str, default_model, "a name from `models`."),
        "label": Argument(str | None, None, "class name (class models)."),
        "seed_position": Argument(
            list[int] | None,
            None,
            "[t, h, w] where growth starts, counted from 0; null is the model's own, or the middle "
            "of what is given.",
        ),
        "rng_seed": Argument(int, 0, "the same number gives the same picture."),
        "pictures": Argument(int, 1, f"how many, 1 to {MAX_SAMPLES}."),
        "preview": Argument(bool, False, "also send a quick picture (JPEG) of every step."),
        "picture": Argument(str, ..., picture),
        "keep": Argument(
            list[int],
            ...,
            "[top, left, bottom, right] in token cells, bottom and right not included.",
        ),
        "invert": Argument(bool, False, "keep everything but the rectangle."),
        "clip_model": Argument(str, ..., "a clip model's name from `models`."),
        "first_frame": Argument(str | None, None, f"of the clip; {picture}"),
        "file": Argument(str, ..., file),
        "one": Argument(str | None, None, "a name: everything about this one only."),
        "cell": Argument(list[int], ..., "[t, h, w] of a cell, counted from 0."),
        "clips": Argument(
            list[str],
            ...,
            "animated PNG files as they were made, by data addresses or addresses here; each but "
            "the first goes on from the one before.",
        ),
        "format": Argument(
            ClipFormat,
            "mp4",
            "mp4 (H.264, with its recipe), gif, webp, or strip (all frames side by side).",
        ),
        "fps": Argument(float, 12, "frames a second, 1 to 60."),
    }
    kinds: dict[str, type] = {"number": float, "whole": int}
    for setting in SETTINGS:
        if setting.kind == "choice":
            choices = Literal[tuple(setting.choices)]  # type: ignore[valid-type]
            own[setting.name] = Argument(choices, setting.off, f"{setting.told}.")
        else:
            told = f"{setting.told}; null is the model's default."
            own[setting.name] = Argument(kinds[setting.kind] | None, None, told)
    return own


def published(
    studio: Studio, function: Callable[..., Any], given: dict[str, Argument], name: str
) -> Callable[..., Any]:
    """An endpoint of these arguments, as Gradio reads it: by its signature and docstring.

    `function` takes the caller and the arguments by name; it is a coroutine or an
    asynchronous generator. Whatever it raises becomes one sentence.
    """
    names = list(given)

    async def once(request: gr.Request, *values: Any) -> Any:
        with counted(studio, name):
            client = await _listening(studio, request)
            return await function(client, **dict(zip(names, values, strict=True)))

    async def stream(request: gr.Request, *values: Any) -> AsyncIterator[Any]:
        with counted(studio, name):
            client = await _listening(studio, request)
            made = function(client, **dict(zip(names, values, strict=True)))
            async with aclosing(made):
                async for one in made:
                    yield one

    wrapper: Any = stream if inspect.isasyncgenfunction(function) else once
    kind, empty = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
    parameters = [inspect.Parameter("request", kind, annotation=gr.Request)]
    for argument, told in given.items():
        default = empty if told.default is ... else told.default
        parameters.append(inspect.Parameter(argument, kind, default=default, annotation=told.type))
    wrapper.__name__ = name
    returns = returned_by(function)
    wrapper.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": returns}
    described, _, returned = inspect.cleandoc(function.__doc__ or "").partition("\n\nReturns:")
    lines = [f"    {argument}: {told.help}" for argument, told in given.items()]
    args = "\n\nArgs:\n" + "\n".join(lines) if lines else ""
    wrapper.__doc__ = f"{described}{args}\n\nReturns:{returned}"
    return wrapper


def returned_by(function: Callable[..., Any]) -> Any:
    """The type of what an endpoint answers, or answers again and again."""
    returns = get_type_hints(function)["return"]
    return get_args(returns)[0] if inspect.isasyncgenfunction(function) else returns


@contextmanager
def counted(studio: Studio, name: str) -> Iterator[None]:
    """A call of an endpoint: counted by how it ends, and whatever it raises is one sentence."""
    try:
        yield
    except Exception as error:
        studio.metrics.call(name, outcome(error))
        raise for_program(error) from error
    except BaseException:  # cancelled, or nobody listens any more
        studio.metrics.call(name, "stopped")
        raise
    studio.metrics.call(name, "done")


async def _listening(studio: Studio, request: gr.Request) -> Client:
    """Who calls; Stopped where nobody listens for what comes of it."""
    client, scope = client_of(request), getattr(request.request, "scope", {})
    free_body(request.request)
    forget(scope.get("app"), client.session)
    # from when it came: a call that waits in Gradio's queue is not waited for once more
    end = scope.get(ARRIVED, time.monotonic()) + PATIENCE
    if not await studio.listeners.listened(client.session, end):
        raise Stopped
    return client


class Api:
    """What programs may ask of a studio.

    Args:
        stepped: told of every decoding step of a growth that answers once.
    """

    def __init__(
        self, studio: Studio, stepped: Callable[[Stepped], Awaitable[None]] | None = None
    ) -> None:
        self.studio, self.stepped = studio, stepped

    async def models(self, client: Client) -> list[ModelAnswer]:
        """List the models, those on this machine first, with what each needs and offers.

        Returns:
            One object per model: name, title, task ("text" wants a prompt, "class" a label), media,
            grid [T, H, W], size [height, width], labels, example prompts, names (every prompt a
            small model was trained on) and settings, its defaults; available, or download, the
            bytes that are fetched when it is first used; memory, an estimate.
        """
        return await anyio.to_thread.run_sync(
            lambda: [_described(info) for info in self.studio.engines.models()]
        )

    async def models_in_short(
        self, client: Client, *, model: str | None = None
    ) -> list[ModelAnswer]:
        """List the models, those on this machine first: what each wants and offers, in short.

        Returns:
            One object per model: name, title, task ("text" wants a prompt, "class" a label), media,
            grid [T, H, W], size [height, width], settings, its defaults; available, or download,
            the bytes that are fetched when it is first used; the first few labels, prompts and
            names, all of them where one model is asked for.
        """
        if model:
            return [_described(self.studio.engines.info(model))]
        return [_in_short(one) for one in await self.models(client)]

    async def understand(self, client: Client, *, prompt: Any, model: Any) -> WordsAnswer:
        """Say what a model makes of a prompt, before anything is grown.

        Returns:
            words, each with text, kind ("known", "taken as", "filler", "left out" or "unknown") and
            meaning (what it is taken as, or the nearest known word); drawn, what would be drawn in
            plain words, empty where the model reads any text; remarks, a sentence for each kind of
            word that was not simply known; wanting, words to choose from where nothing moves;
            stands, column, row and cells along a side of the box of a thing alone, or null; and
            elsewhere, where nothing can be drawn: the model, title and drawn of others that can.
        """
        engines = self.studio.engines
        return understood(engines.info(model), typed(prompt), engines.models())

    async def generate(self, client: Client, **asked: Any) -> GrownAnswer:
        """Grow pictures from a prompt or a class, starting at any cell of the token grid.

        Returns:
            pictures (data addresses of PNG files with their recipe), model, digest, request,
            understood (see `understand`), steps, passes and seconds.
        """
        return await self._told(await self._generate(client, **asked))

    async def _generate(
        self, client: Client, *, pictures: Any = 1, seed_position: Any = None, **asked: Any
    ) -> Finished:
        form = Form.of(**asked, num_samples=pictures)
        return await self._finished(client, form, Start(_run(), _position(seed_position)))

    async def generate_stream(
        self, client: Client, *, preview: Any = False, seed_position: Any = None, **asked: Any
    ) -> AsyncIterator[StepAnswer]:
        """Grow one picture and report every decoding step as it happens.

        Returns:
            One object per step: step, total, positions [n][t, h, w], tokens [n], confidence [n],
            elapsed and, if asked for, preview. The last one also has picture, request and
            understood.
        """
        form, previews = Form.of(**asked), _flag("preview", preview)
        job = await self._job(form, Start(_run(), _position(seed_position)))
        job = replace(job, previews=previews)
        grid = self.studio.engines.info(form.model).grid
        report: StepAnswer = {}
        async with aclosing(self.studio.events(job, client)) as events:
            async for event in events:
                if isinstance(event, Stepped):
                    report = _report(event, grid)
                    # the last one waits for the picture that goes with it
                    if event.step < event.total:
                        yield report
                elif isinstance(event, Finished):
                    [picture] = await anyio.to_thread.run_sync(files_of, event)
                    request = event.recipe.request
                    yield {
                        **report,
                        "picture": picture,
                        "request": request,
                        "understood": understood(
                            self.studio.engines.info(event.model), request["prompt"]
                        ),
                    }

    async def outpaint(self, client: Client, **asked: Any) -> GrownAnswer:
        """Keep a rectangle of a picture and grow the rest, or regrow the rectangle instead.

        The picture is cropped to the model's shape and scaled to its size first. Kept pixels come
        back unchanged; cells that are only partly kept are grown.

        Returns:
            As `generate`.
        """
        return await self._told(await self._outpaint(client, **asked))

    async def _outpaint(
        self,
        client: Client,
        *,
        picture: Any,
        keep: Any,
        model: Any,
        invert: Any = False,
        seed_position: Any = None,
        pictures: Any = 1,
        **asked: Any,
    ) -> Finished:
        info = self.studio.engines.info(model)
        top, left, bottom, right = _rectangle(info, keep)
        cells = np.zeros(info.grid, bool)
        cells[:, top:bottom, left:right] = True
        inverted = _flag("invert", invert)
        if inverted and cells.all():
            raise ValueError(
                f"keep: got {shown(keep)} with invert, expected a rectangle that leaves something "
                "to keep; make it smaller, or use generate"
            )
        kept = self._kept(~cells if inverted else cells, picture)
        form = Form.of(model=model, **asked, num_samples=pictures)
        return await self._finished(
            client, form, Start(_run(), _position(seed_position), kept=kept)
        )

    async def animate(self, client: Client, **asked: Any) -> GrownAnswer:
        """Begin a clip with a picture: it is the first frame, and the rest grows from it.

        A picture of a thing alone on plain ground is drawn with the thing as large as the model's
        own and where the prompt has room for it; any other is cropped to the model's shape and
        scaled to its size.

        Returns:
            As `generate`; the pictures are animated PNG, see `clip` for other formats.
        """
        return await self._told(await self._animate(client, **asked))

    async def _animate(
        self,
        client: Client,
        *,
        picture: Any,
        model: Any,
        seed_position: Any = None,
        pictures: Any = 1,
        **asked: Any,
    ) -> Finished:
        info = self.studio.engines.info(model)
        if not _begins_with_picture(info):
            able = [m.name for m in self.studio.engines.models() if _begins_with_picture(m)]
            raise ValueError(
                f"model: got {shown(model)}, expected one that can begin with a picture: "
                f"{', '.join(able) or 'none is here'}"
            )
        first = np.zeros(info.grid, bool)
        first[0] = True
        form = Form.of(model=model, **asked, num_samples=pictures)
        kept = self._kept(first, picture)
        assert kept.picture is not None
        desk = self.studio.desk
        own = await anyio.to_thread.run_sync(desk.framed, info, kept.picture, typed(form.prompt))
        kept = replace(kept, picture=own or kept.picture)
        return await self._finished(
            client, form, Start(_run(), _position(seed_position), kept=kept)
        )

    async def image(self, client: Client, **asked: Any) -> tuple[gr.FileData, GrownAnswer]:
        """Grow a picture from a prompt or a class, as a file.

        Returns:
            The PNG file with its recipe, and what `generate` returns, in which `pictures` holds
            the address of the file.
        """
        return await self._filed(await self._generate(client, **asked), "png")

    async def outpaint_image(self, client: Client, **asked: Any) -> tuple[gr.FileData, GrownAnswer]:
        """Keep a rectangle of a picture and grow the rest, or the other way round, as a file.

        Returns:
            As `image`.
        """
        return await self._filed(await self._outpaint(client, **asked), "png")

    async def video(
        self, client: Client, *, model: Any, picture: Any = None, **asked: Any
    ) -> tuple[gr.FileData, GrownAnswer]:
        """Grow a clip from a prompt or a class, and from a picture if there is one, as a file.

        Returns:
            The MP4 file with its recipe, and what `generate` returns, in which `pictures` holds
            the address of the file.
        """
        info = self.studio.engines.info(model)
        if info.media != "video":
            able = [m.name for m in self.studio.engines.models("video")]
            raise ValueError(
                f"model: got {shown(model)}, which makes pictures, expected one that makes clips: "
                f"{', '.join(able) or 'none is here'}"
            )
        given = {"model": model, **asked}
        if picture:
            event = await self._animate(client, picture=picture, **given)
        else:
            event = await self._generate(client, **given)
        return await self._filed(event, "mp4")

    async def _told(self, event: Finished) -> GrownAnswer:
        """A growth with its pictures as text."""
        info = self.studio.engines.info(event.model)
        return await anyio.to_thread.run_sync(lambda: _result(event, info, files_of(event)))

    async def _filed(
        self, event: Finished, kind: Literal["png", "mp4"]
    ) -> tuple[gr.FileData, GrownAnswer]:
        """A growth with its one picture or clip as a file that is kept here."""
        info = self.studio.engines.info(event.model)

        def write() -> tuple[gr.FileData, GrownAnswer]:
            if kind == "png":
                [data] = pngs_of(event)
            else:
                with room():
                    data = clip_bytes([(event.recipe, event.video[0])], kind, float(info.fps))
            path = self.studio.shelf.put(data, f"nar.{kind}")
            return file_data(path), _result(event, info, [address_of(path)])

        return await anyio.to_thread.run_sync(write)

    async def clip(self, client: Client, *, pictures: Any, format: Any, fps: Any) -> str:
        """Put clips made here into one file. Needs no model.

        Returns:
            The data address of the file.
        """
        if isinstance(pictures, list):
            pictures = [self._given(picture) for picture in pictures[: MAX_PARTS + 1]]
        return await anyio.to_thread.run_sync(self.studio.clip, pictures, format, fps)

    async def replay(self, client: Client, *, picture: Any) -> RecipeAnswer:
        """Read the recipe inside a picture made here: how it grew, step by step. Needs no model.

        Returns:
            The recipe, with `growth`: one object per step with positions, tokens and confidence.
        """
        recipe, _ = await anyio.to_thread.run_sync(self.studio.read, self._given(picture))
        return cast(RecipeAnswer, {**recipe.json(), "growth": recipe.growth()})

    async def explain(self, client: Client, *, picture: Any, cell: Any) -> Explanation:
        """Say why a cell of a picture or clip made here became what it is, step by step.

        The model that made it must be here, with the same weights.

        Returns:
            step and token of the cell; heads, what the head of each sender said: its direction,
            the sender's [t, h, w] (null for the condition) and its likeliest candidates; the
            likeliest ones fused, guided and drawn_from (after every filter), each with token,
            probability and a picture; the number that drew, disagreement of the heads (nats),
            attention [T][H][W] of the senders and attention_to_condition.
        """
        at = _position(cell, "cell", "")
        if at is None:
            raise ValueError("cell: got null, expected [t, h, w], counted from 0")
        return await self.studio.explained(await self._file(picture), at, client)

    async def disagreement(self, client: Client, *, picture: Any) -> list[list[list[float]]]:
        """Say in which cells of a picture or clip made here the heads disagreed, and how much.

        The model that made it must be here, with the same weights.

        Returns:
            For every cell, [T][H][W], the Jensen-Shannon divergence of what the heads of its
            senders said, in nats; 0 where one spoke alone, and where the cell was given.
        """
        return await self.studio.disagreement(await self._file(picture), client)

    async def _file(self, picture: Any) -> bytes:
        largest = self.studio.limits.upload
        return await anyio.to_thread.run_sync(bytes_of_uri, self._given(picture), largest)

    def _kept(self, cells: np.ndarray, picture: Any) -> Kept:
        data = bytes_of_uri(self._given(picture), self.studio.limits.upload)
        return Kept(cells, data, None, None)

    def _given(self, picture: Any) -> Any:
        return self.studio.shelf.given(picture, self.studio.limits.upload)

    async def _job(self, form: Form, start: Start) -> Job:
        """Checked in a thread of its own: a picture may have to be decoded."""
        job = await anyio.to_thread.run_sync(self.studio.desk.job, form, start)
        return replace(job, previews=False)

    async def _finished(self, client: Client, form: Form, start: Start) -> Finished:
        """Everything a growth makes, once it is there."""
        job, last = await self._job(form, start), None
        async with aclosing(self.studio.events(job, client)) as events:
            async for last in events:  # to its end: who leaves before has stopped it
                if isinstance(last, Stepped) and self.stepped:
                    await self.stepped(last)
        assert isinstance(last, Finished)
        return last


PLAIN = ("prompt", "model", "label", "seed_position", "rng_seed")
"""What every growth is asked for, besides the settings."""

CALLED = {
    "clip_model": "model",
    "clips": "pictures",
    "file": "picture",
    "first_frame": "picture",
    "one": "model",
}
"""Arguments that are another one by the same name elsewhere."""


def _all(*names: str) -> list[str]:
    """These arguments, and every setting that is not among them."""
    return [*names, *(s.name for s in SETTINGS if s.name not in names)]


def given_to() -> dict[str, list[str]]:
    """Endpoint -> the names of its arguments in `arguments`.

    Their order is kept, and new ones come last: some programs give them by position.
    """
    first = ("guidance_scale", "heads", "fusion", "temperature", "top_k", "top_p", "min_p")
    unprompted = [name for name in PLAIN if name != "model"]
    return {
        "models": [],
        "understand": ["prompt", "model"],
        "generate": _all(*PLAIN, *first, "pictures"),
        "generate_stream": _all(*PLAIN, "guidance_scale", "heads", "preview"),
        "outpaint": [*_all("picture", "keep", *PLAIN, "guidance_scale", "invert"), "pictures"],
        "animate": [*_all("picture", "clip_model", *unprompted, "guidance_scale"), "pictures"],
        "clip": ["clips", "format", "fps"],
        "replay": ["file"],
        "explain": ["file", "cell"],
        "disagreement": ["file"],
        "image": _all(*PLAIN),
        "outpaint_image": _all("picture", "keep", *PLAIN, "invert"),
        "video": _all("clip_model", *unprompted, "first_frame"),
    }


def named(names: list[str], default_model: str) -> dict[str, Argument]:
    """Arguments by the names that callers use."""
    known = arguments(default_model)
    return {CALLED.get(name, name): known[name] for name in names}


def endpoints(studio: Studio, default_model: str) -> dict[str, Callable[..., Any]]:
    """Name -> function, typed and documented for clients."""
    api = Api(studio)
    return {
        name: published(studio, getattr(api, name), named(names, default_model), name)
        for name, names in given_to().items()
    }


def _run() -> str:
    return f"api-{secrets.token_hex(6)}"


def _position(
    given: Any, name: str = "seed_position", otherwise: str = ", or null"
) -> tuple[int, ...] | None:
    """A position as it came; what it must be is checked with the rest of the request."""
    if given is None:
        return None
    if not isinstance(given, list) or not 1 <= len(given) <= 4:
        raise ValueError(
            f"{name}: got {shown(given)}, expected [t, h, w], counted from 0{otherwise}"
        )
    if not all(isinstance(n, int | float) for n in given):
        raise ValueError(f"{name}: got {shown(given)}, expected three whole numbers")
    return tuple(given)


def _flag(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError(f"{name}: got {shown(given)}, expected true or false")
    return given


def _begins_with_picture(info: ModelInfo) -> bool:
    return info.media == "video" and info.accepts_known


def _rectangle(info: ModelInfo, keep: Any) -> tuple[int, int, int, int]:
    """[top, left, bottom, right] in cells; ValueError unless it lies in a model's grid."""
    fits = isinstance(keep, list) and len(keep) == 4
    fits = fits and all(isinstance(n, int) and not isinstance(n, bool) for n in keep)
    if fits:
        top, left, bottom, right = keep
        if 0 <= top < bottom <= info.grid.h and 0 <= left < right <= info.grid.w:
            return top, left, bottom, right
    raise ValueError(
        f"keep: got {shown(keep)}, expected [top, left, bottom, right] in cells with "
        f"0 <= top < bottom <= {info.grid.h} and 0 <= left < right <= {info.grid.w}"
    )


def _report(event: Stepped, grid: tuple[int, int, int]) -> StepAnswer:
    """One step of one picture."""
    out: StepAnswer = {
        "step": event.step,
        "total": event.total,
        "positions": np.stack(np.unravel_index(event.cells, grid), 1).tolist(),
        "tokens": event.tokens[0].tolist(),
        "confidence": np.round(event.confidence[0].astype(float), 3).tolist(),
        "elapsed": round(event.elapsed, 4),
    }
    return out if event.preview is None else {**out, "preview": quick_picture(event.preview)}


def _result(event: Finished, info: ModelInfo, pictures: list[str]) -> GrownAnswer:
    """A finished growth, with the addresses of its files."""
    return {
        "pictures": pictures,
        "model": event.model,
        "digest": event.recipe.digest,
        "request": event.recipe.request,
        "understood": understood(info, event.recipe.request["prompt"]),
        "steps": event.total,
        "passes": event.passes,
        "seconds": round(event.elapsed, 4),
    }


SHORT = 3
"""Labels, prompts and names of a model that are told in short."""


def _in_short(told: ModelAnswer) -> ModelAnswer:
    labels, prompts, names = (told[name][:SHORT] for name in ("labels", "prompts", "names"))
    return {**told, "labels": labels, "prompts": prompts, "names": names}


def _described(info: ModelInfo) -> ModelAnswer:
    """What a program must know of a model."""
    return {
        "name": info.name,
        "title": info.title,
        "task": info.task,
        "media": info.media,
        "grid": list(info.grid),
        "size": list(info.size),
        "frames": info.frames,
        "seed_positions": info.seed_positions,
        "default_seed_position": list(info.default_seed_position),
        "labels": list(info.labels),
        "labels_in_all": len(info.labels),
        "prompts": list(info.prompts),
        "names": list(info.names),
        "names_in_all": len(info.names),
        "guidance_scale": info.guidance_scale,
        "settings": {setting.name: getattr(info, setting.name) for setting in SETTINGS},
        "available": info.available,
        "download": info.download,
        "memory": info.memory(),
        "licence": info.licence,
        "trained_on": info.trained_on,
    }
