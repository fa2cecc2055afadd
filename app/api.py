"""The published endpoints, also MCP tools. Pictures travel as `data:image/png;base64,...` text.

Every picture carries its recipe (see export.py), so what is returned can be given to `replay`.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from typing import Any, Literal

import gradio as gr
import numpy as np

from app import export
from app.form import Form
from app.handlers import Job, Studio

Heads = Literal[
    "mixed",
    "horizontal",
    "vertical",
    "temporal",
    "horizontal+vertical",
    "horizontal+temporal",
    "vertical+temporal",
]
ClipFormat = Literal["mp4", "gif", "webp", "strip"]
Fusion = Literal["logits", "probabilities", "confident", "freshest"]


def endpoints(studio: Studio, default_model: str) -> dict[str, Callable[..., Any]]:
    """Name -> function, typed and documented for clients."""

    def prepare(
        form: Form, seed_position: list[int] | None, canvas: dict[str, Any] | None = None
    ) -> Job:
        start = {"run": f"api-{secrets.token_hex(6)}", "seed": seed_position, "canvas": canvas}
        try:
            return studio.check(form, start)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def finish(job: Job) -> dict[str, Any]:
        *_, done = studio.grow(job)
        return {
            "pictures": done["pictures"],
            "model": job.model,
            "digest": done["digest"],
            "request": done["request"],
            "steps": done["total"],
            "passes": done["passes"],
            "seconds": done["elapsed"],
        }

    def models() -> list[dict[str, Any]]:
        """List the models, those on this machine first, with what each needs and offers.

        Returns:
            One object per model: name, title, task ("text" wants a prompt, "class" a label), media,
            grid [T, H, W], size [height, width], labels, example prompts, names (every prompt a
            small model was trained on) and defaults; available, or download, the bytes that are
            fetched when it is first used; memory, an estimate.
        """
        return [
            {
                "name": m.name,
                "title": m.title,
                "task": m.task,
                "media": m.media,
                "grid": list(m.grid),
                "size": list(m.size),
                "frames": m.frames,
                "seed_positions": m.seed_positions,
                "default_seed_position": list(m.default_seed_position),
                "labels": list(m.labels),
                "prompts": list(m.prompts),
                "names": list(m.names),
                "guidance_scale": m.guidance_scale,
                "available": m.available,
                "download": m.download,
                "memory": m.memory(),
                "licence": m.licence,
                "trained_on": m.trained_on,
            }
            for m in studio.engines.models()
        ]

    def generate(
        prompt: str = "",
        model: str = default_model,
        label: str | None = None,
        seed_position: list[int] | None = None,
        rng_seed: int = 0,
        guidance_scale: float | None = None,
        heads: Heads = "mixed",
        fusion: Fusion = "logits",
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        pictures: int = 1,
    ) -> dict[str, Any]:
        """Grow pictures from a prompt or a class, starting at any cell of the token grid.

        Args:
            prompt: what to grow (text models); empty lets the model choose.
            model: a name from `models`.
            label: class name (class models).
            seed_position: [t, h, w] where growth starts, counted from 0; null is the model's own.
            rng_seed: the same number gives the same picture.
            guidance_scale: 1 is no guidance; null is the model's default.
            heads: which directions are heard where predictions meet.
            fusion: how predictions that meet are combined.
            temperature: 0 is greedy; null is the model's default.
            top_k: 0 is off; null is the model's default.
            top_p: 1 is off; null is the model's default.
            min_p: tokens less than so many times as likely as the likeliest one, before guidance,
                are left out; 0 is off; null is the model's default.
            pictures: how many, 1 to 16.

        Returns:
            pictures (data addresses of PNG files with their recipe), model, digest, request,
            steps, passes and seconds.
        """
        form = Form(
            model, prompt, None, label, guidance_scale, heads, fusion, temperature, top_k, top_p,
            min_p, rng_seed, pictures,
        )  # fmt: skip
        return finish(prepare(form, seed_position))

    def generate_stream(
        prompt: str = "",
        model: str = default_model,
        label: str | None = None,
        seed_position: list[int] | None = None,
        rng_seed: int = 0,
        guidance_scale: float | None = None,
        heads: Heads = "mixed",
        preview: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Grow one picture and report every decoding step as it happens.

        Args:
            prompt: what to grow (text models); empty lets the model choose.
            model: a name from `models`.
            label: class name (class models).
            seed_position: [t, h, w] where growth starts, counted from 0; null is the model's own.
            rng_seed: the same number gives the same picture.
            guidance_scale: 1 is no guidance; null is the model's default.
            heads: which directions are heard where predictions meet.
            preview: also send a quick picture (JPEG) of every step.

        Returns:
            One object per step: step, total, positions [n][t, h, w], tokens [n], confidence [n],
            elapsed and, if asked for, preview. The last one also has picture and
            request.
        """
        form = Form(model, prompt, None, label, guidance_scale, heads, rng_seed=rng_seed)
        job = prepare(form, seed_position)
        grid = studio.engines.info(model).grid
        report: dict[str, Any] = {}
        for message in studio.grow(job):
            if message["kind"] == "steps":
                for report in _reports(message, grid, preview):
                    # the last one waits for the picture that goes with it
                    if report["step"] < report["total"]:
                        yield report
            elif message["kind"] == "done":
                more = {"picture": message["pictures"][0], "request": message["request"]}
                yield {**report, **more}

    def outpaint(
        picture: str,
        keep: list[int],
        prompt: str = "",
        model: str = default_model,
        label: str | None = None,
        seed_position: list[int] | None = None,
        rng_seed: int = 0,
        guidance_scale: float | None = None,
        invert: bool = False,
    ) -> dict[str, Any]:
        """Keep a rectangle of a picture and grow the rest, or regrow the rectangle instead.

        The picture is cropped to the model's shape and scaled to its size first. Kept pixels come
        back unchanged; cells that are only partly kept are grown.

        Args:
            picture: data address of an image, such as `data:image/png;base64,...`.
            keep: [top, left, bottom, right] in token cells, bottom and right not included.
            prompt: what to grow (text models).
            model: a name from `models`.
            label: class name (class models).
            seed_position: [t, h, w] where growth starts; null is the rectangle's centre.
            rng_seed: the same number gives the same picture.
            guidance_scale: 1 is no guidance; null is the model's default.
            invert: keep everything but the rectangle.

        Returns:
            As `generate`.
        """
        form = Form(model, prompt, None, label, guidance_scale, rng_seed=rng_seed)
        try:
            grid = studio.engines.info(model).grid
            canvas = {"picture": picture, "keep": _rectangle(grid, keep, invert)}
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error
        top, left, bottom, right = keep
        centre = [0, (top + bottom) // 2, (left + right) // 2]
        return finish(prepare(form, seed_position or centre, canvas))

    def animate(
        picture: str,
        model: str,
        prompt: str = "",
        label: str | None = None,
        seed_position: list[int] | None = None,
        rng_seed: int = 0,
        guidance_scale: float | None = None,
    ) -> dict[str, Any]:
        """Begin a clip with a picture: it is the first frame, and the rest grows from it.

        The picture is cropped to the model's shape and scaled to its size first.

        Args:
            picture: data address of an image, such as `data:image/png;base64,...`.
            model: a clip model's name from `models`.
            prompt: what moves (text models).
            label: class name (class models).
            seed_position: [t, h, w] where growth starts; null is the middle of the first frame.
            rng_seed: the same number gives the same clip.
            guidance_scale: 1 is no guidance; null is the model's default.

        Returns:
            As `generate`; the one picture is an animated PNG, see `clip` for other formats.
        """
        form = Form(model, prompt, None, label, guidance_scale, rng_seed=rng_seed)
        try:
            info = studio.engines.info(model)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error
        if info.media != "video" or not info.accepts_known:
            able = [
                m.name for m in studio.engines.models() if m.media == "video" and m.accepts_known
            ]
            raise gr.Error(
                f"model: got {model!r}, expected one that can begin with a picture: "
                f"{', '.join(able) or 'none is here'}",
                print_exception=False,
            )
        first = np.zeros(info.grid, np.uint8)
        first[0] = 1
        canvas = {"picture": picture, "keep": export.base64_of(first)}
        middle = [0, info.grid.h // 2, info.grid.w // 2]
        return finish(prepare(form, seed_position or middle, canvas))

    def clip(pictures: list[str], format: ClipFormat = "mp4", fps: float = 12) -> str:
        """Put clips made here into one file. Needs no model.

        Args:
            pictures: data addresses of animated PNG files as they were made; each but the first
                goes on from the one before.
            format: mp4 (H.264, with its recipe), gif, webp, or strip (all frames side by side).
            fps: frames a second, 1 to 60.

        Returns:
            The data address of the file.
        """
        answer = studio.clip({"files": pictures, "format": format, "fps": fps})
        if "error" in answer:
            raise gr.Error(answer["error"], print_exception=False)
        return answer["file"]

    def replay(picture: str) -> dict[str, Any]:
        """Read the recipe inside a picture made here: how it grew, step by step. Needs no model.

        Args:
            picture: data address of a PNG or MP4 file as it was downloaded.

        Returns:
            The recipe, with `growth`: one object per step with positions, tokens and confidence.
        """
        try:
            recipe, _ = studio.read(picture)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return {**recipe, "growth": export.growth_of(recipe)}

    return {
        "models": models,
        "generate": generate,
        "generate_stream": generate_stream,
        "outpaint": outpaint,
        "animate": animate,
        "clip": clip,
        "replay": replay,
    }


def _reports(
    message: dict[str, Any], grid: tuple[int, int, int], preview: bool
) -> Iterator[dict[str, Any]]:
    """A message about some steps of one picture -> one object per step."""
    order = np.frombuffer(base64.b64decode(message["order"]), "<u2")
    for frame in message["frames"]:
        cells = np.flatnonzero(order == frame["step"])
        tokens = np.frombuffer(base64.b64decode(frame["tokens"]), "<u2")
        sure = np.frombuffer(base64.b64decode(frame["confidence"]), np.uint8)
        yield {
            "step": frame["step"],
            "total": message["total"],
            "positions": np.stack(np.unravel_index(cells, grid), 1).tolist(),
            "tokens": tokens.tolist(),
            "confidence": np.round(sure / 254, 3).tolist(),
            "elapsed": frame["elapsed"],
            **({"preview": frame["sheet"]} if preview else {}),
        }


def _rectangle(grid: tuple[int, int, int], keep: list[int], invert: bool) -> str:
    """[top, left, bottom, right] in cells -> the kept cells as the page sends them."""
    if len(keep) != 4:
        raise ValueError(f"keep: got {keep}, expected [top, left, bottom, right] in cells")
    top, left, bottom, right = (int(n) for n in keep)
    if not (0 <= top < bottom <= grid[1] and 0 <= left < right <= grid[2]):
        raise ValueError(
            f"keep: got {keep}, expected 0 <= top < bottom <= {grid[1]} and "
            f"0 <= left < right <= {grid[2]}"
        )
    cells = np.zeros(grid, np.uint8)
    cells[:, top:bottom, left:right] = 1
    return export.base64_of(1 - cells if invert else cells)
