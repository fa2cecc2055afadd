"""The events of a growth as messages for the player (see `wire`), and dropped files likewise."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict

import numpy as np

from app.server.engines import Engines
from app.server.growing import Event, Finished, Likeness, Loading, Stepped
from app.wire import (
    DoneMessage,
    DrawnElsewhere,
    LikenessMessage,
    Message,
    ProgressMessage,
    ReplayMessage,
    StepFrame,
    StepsMessage,
    WordsAnswer,
    data_uri,
)
from nar_core import ModelInfo, box_alone, understand
from nar_core.files import (
    LIMITS,
    Limits,
    Recipe,
    confidence_bytes,
    holds_more,
    is_mp4,
    jpeg_bytes,
    label_of,
    png_bytes,
    read_file,
    room,
    sheet,
    text_of,
    token_words,
    verdict,
)

SECONDS_PER_MESSAGE = 0.05
"""No more than 20 messages a second: there is no back-pressure towards a slow browser."""


class Teller:
    """Tells the player of one growth; several steps in one message where they come fast.

    Args:
        run: its name; expected: the recipe that it must reproduce.
    """

    def __init__(self, run: str, expected: Recipe | None = None) -> None:
        self.run, self.expected = run, expected
        self._steps: list[Stepped] = []
        self._sent = 0.0

    def told(self, event: Event) -> Iterator[Message]:
        """What the player is told of an event."""
        if isinstance(event, Stepped):
            self._steps.append(event)
        now = time.monotonic()
        if self._steps and (now - self._sent >= SECONDS_PER_MESSAGE or isinstance(event, Finished)):
            yield _steps(self.run, self._steps)
            self._steps, self._sent = [], time.monotonic()
        if isinstance(event, Loading):
            told: ProgressMessage = {
                "kind": "progress",
                "run": self.run,
                "text": event.text,
                "share": event.share,
            }
            yield told
        if isinstance(event, Likeness):
            like: LikenessMessage = {"kind": "likeness", "run": self.run, "text": event.text}
            yield like
        if isinstance(event, Finished):
            yield _done(self.run, event, self.expected)


def messages(
    events: Generator[Event, None, None], run: str, expected: Recipe | None = None
) -> Generator[Message, None, None]:
    """All that the player is told of a growth; closing this ends it."""
    teller = Teller(run, expected)
    with closing(events):
        for event in events:
            yield from teller.told(event)


def understood(info: ModelInfo, prompt: str, others: Sequence[ModelInfo] = ()) -> WordsAnswer:
    """What a model makes of a prompt, and `others` of the same medium where it makes nothing."""
    found, box = understand(info, prompt), box_alone(info, prompt)
    lost = bool(found.words) and not found.caption
    return {
        "drawn": found.caption,
        "words": [asdict(word) for word in found.words],
        "remarks": list(found.remarks),
        "wanting": list(found.wanting),
        "stands": list(box) if box else None,
        "elsewhere": _elsewhere(info, prompt, others) if lost else [],
    }


def _elsewhere(info: ModelInfo, prompt: str, others: Sequence[ModelInfo]) -> list[DrawnElsewhere]:
    """What other models of the same medium that are here would draw."""
    able = [m for m in others if m.available and m.media == info.media and m.name != info.name]
    told = [(other, understand(other, prompt).caption) for other in able]
    return [
        {"model": other.name, "title": other.title, "drawn": drawn}
        for other, drawn in told
        if drawn
    ]


def _steps(run: str, batch: Sequence[Stepped]) -> StepsMessage:
    return {
        "kind": "steps",
        "run": run,
        "total": batch[0].total,
        "order": text_of(batch[0].order.astype(np.uint16)),
        "frames": [_frame(event) for event in batch],
    }


def _frame(event: Stepped) -> StepFrame:
    out: StepFrame = {
        "step": event.step,
        "tokens": text_of(token_words(event.tokens)),
        "confidence": text_of(confidence_bytes(event.confidence)),
        "sheet": None if event.preview is None else quick_picture(event.preview),
        "elapsed": round(event.elapsed, 4),
    }
    if event.guess is not None:
        out["guess"] = quick_picture(event.guess)
    return out


def quick_picture(video: np.ndarray) -> str:
    """uint8 [B, F, h, w, 3] as the address of a JPEG: frames side by side, samples below."""
    rows = np.concatenate([sheet(clip) for clip in video])
    return data_uri(jpeg_bytes(rows), "image/jpeg")


def pngs_of(event: Finished) -> list[bytes]:
    """The finished pictures, or clips, as PNG files with their recipe."""
    pairs = zip(event.video, event.recipes, strict=True)
    return [png_bytes(clip, recipe) for clip, recipe in pairs]


def files_of(event: Finished) -> list[str]:
    """As `pngs_of`, by their addresses."""
    return [data_uri(file, "image/png") for file in pngs_of(event)]


def sheets_of(video: np.ndarray) -> list[str] | None:
    """Clips uint8 [B, F, h, w, 3] as addresses of their frames side by side; None for pictures."""
    if video.shape[1] == 1:
        return None
    return [data_uri(jpeg_bytes(sheet(clip), 92), "image/jpeg") for clip in video]


def _done(run: str, event: Finished, expected: Recipe | None) -> DoneMessage:
    return {
        "kind": "done",
        "run": run,
        "total": event.total,
        "order": text_of(event.order.astype(np.uint16)),
        "tokens": text_of(token_words(event.tokens)),
        "confidence": text_of(confidence_bytes(event.confidence)),
        "pictures": files_of(event),
        "sheets": sheets_of(event.video),
        "elapsed": round(event.elapsed, 4),
        "passes": event.passes,
        "request": event.recipe.request,
        "digest": event.recipe.digest,
        "verdict": None if expected is None else verdict(expected, event.recipes),
    }


def replayed(engines: Engines, data: bytes, run: str, limits: Limits = LIMITS) -> ReplayMessage:
    """A file that was made here -> everything the player needs, without any model.

    From here on a movie, or a whole of several parts, is as if what is replayed of it had been
    saved as the PNG that the page works with.
    """
    with room():
        recipe, frames = read_file(data, limits)
        part = holds_more(data, limits)
        picture = png_bytes(frames, recipe) if part or is_mp4(data) else data
        sheets = sheets_of(frames[None])
    known = {m.name: m for m in engines.models()}
    here = recipe.model in known and tuple(known[recipe.model].grid) == recipe.grid
    return {
        "kind": "replay",
        "run": run,
        "total": recipe.total,
        "spec": {
            "model": recipe.model,
            "grid": list(recipe.grid),
            "size": list(frames.shape[1:3]),
            "frames": recipe.frames,
            "fps": recipe.fps,
            "slice_of_frame": list(recipe.slice_of_frame),
            "directions": list(recipe.directions),
            "known_level": recipe.known_level,
            "order": recipe.order,
            "mirrors": recipe.mirrored,
            "accepts_known": not recipe.holistic,
            "seed_position": recipe.request["seed_position"],
        },
        "order": text_of(recipe.steps),
        "tokens": text_of(recipe.tokens),
        "confidence": text_of(recipe.confidence),
        "pictures": [data_uri(picture, "image/png")],
        "sheets": sheets,
        "request": recipe.request,
        "digest": recipe.digest,
        "again": here and not recipe.mirrored,
        "title": title_of(recipe),
        "sample": recipe.sample,
        "part": part,
    }


def title_of(recipe: Recipe) -> str:
    """A short name for a replayed file."""
    return (label_of(recipe) or "Replay")[:40]
