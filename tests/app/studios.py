"""A studio with the fake engine, and its growths without a page."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from app.server.engines import Engines
from app.server.form import Form
from app.server.jobs import Job
from app.server.studio import Studio
from app.server.telling import messages
from app.wire import data_uri, start_of
from nar_core.files.png import png_bytes
from nar_core.files.recipe import CHUNK
from tests.app.fake_engine import MODELS, FakeEngine


def free_port() -> int:
    """A port of this machine that is free: test processes side by side would try the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fake_studio(load: Callable[..., FakeEngine] | None = None, **more: Any) -> Studio:
    """A studio whose engines are fakes, or what `load` makes."""
    engines = Engines(load or (lambda name, **options: FakeEngine(name)), lambda: list(MODELS))
    return Studio(engines, **more)


def check(studio: Studio, form: Form, start: dict[str, Any]) -> Job:
    """The job of what a player sends."""
    return studio.desk.job(form, start_of({"run": "r", **start}, studio.limits.upload))


def grow(studio: Studio, job: Job) -> Generator[dict[str, Any], None, None]:
    """The messages of a job, one after the other."""
    return messages(studio.grower.grow(job), job.run, job.expected)


def finish(studio: Studio, form: Form, start: dict[str, Any]) -> dict[str, Any]:
    """The last message of a growth."""
    *_, done = grow(studio, check(studio, form, start))
    assert done["kind"] == "done"
    return done


def png_with(pixels: np.ndarray, recipe: Any) -> bytes:
    """A PNG that carries any JSON, or text, as its recipe."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(CHUNK, recipe if isinstance(recipe, str) else json.dumps(recipe), zip=True)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def picture_uri(pixels: np.ndarray) -> str:
    """The address of a PNG without a recipe."""
    return data_uri(png_bytes(pixels), "image/png")
