"""A deterministic engine for page tests: the whole Engine surface, numpy only, no weights.

A token is a 12-bit colour (four bits each of red, green and blue); decoding paints the cell.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import numpy as np
from PIL import Image

from nar_core import (
    Candidate,
    Explanation,
    Frame,
    ModelInfo,
    Prepared,
    Request,
    Said,
    fit,
    prepare,
)
from nar_core.plan import DIRECTIONS, GridShape

_COMMON = {
    "known_level": "zero",
    "guidance_scale": 3.0,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "prompt_words": 12,
    "vocab_size": 4096,
    "parameters": 12_000_000,
    "trained_on": "nothing",
    "licence": "MIT",
    "note": "",
    "embedded": True,
    "available": True,
    "bytes": 1,
}


def _info(name: str, grid: GridShape, **more) -> ModelInfo:
    video = grid.t > 1
    fields = {
        **_COMMON,
        "name": name,
        "title": name.capitalize(),
        "task": "text",
        "media": "video" if video else "image",
        "grid": grid,
        "size": (grid.h * 8, grid.w * 8),
        "frames": grid.t * 2 if video else 1,
        "fps": 8 if video else 0,
        "directions": DIRECTIONS if video else DIRECTIONS[:4],
        "seed_positions": "any",
        "default_seed_position": (grid.t // 2, grid.h // 2, grid.w // 2),
        "labels": (),
        "prompts": ("red apple", "fox", "owl"),
        "names": ("fox", "green pear", "owl", "red apple"),
    }
    return ModelInfo(**{**fields, **more})


MODELS = (
    _info("emoji", GridShape(1, 16, 16), held_out_loss=2.0),
    _info(
        "fruit",
        GridShape(1, 16, 16),
        task="class",
        labels=("blush apple", "kiwi"),
        prompts=(),
        names=(),
    ),
    _info(
        "corner",
        GridShape(1, 16, 16),
        directions=("+w", "+h"),
        known_level="distance",
        seed_positions="corner",
        default_seed_position=(0, 0, 0),
    ),
    _info("wide", GridShape(1, 32, 32)),
    _info("clip", GridShape(4, 8, 8)),
    _info(
        "whole",
        GridShape(4, 8, 8),
        accepts_known=False,
        directions=("+w", "+h", "+t"),
        known_level="distance",
        seed_positions="corner",
        default_seed_position=(0, 0, 0),
    ),
    _info("far", GridShape(1, 16, 16), available=False, embedded=False, download=522_000_000),
    _info("frames", GridShape(9, 8, 8), frames=9, held_out_loss=2.0),
    _info("composed", GridShape(1, 16, 16), world="emoji", prompts=("a red car",), names=()),
)
INFO = {m.name: m for m in MODELS}


class FakeEngine:
    """Behaves like `Engine`; `open_runs` counts generators that have not been closed."""

    def __init__(self, name: str = "emoji", seconds_per_step: float = 0.0) -> None:
        self.info = next(m for m in MODELS if m.name == name)
        self.seconds_per_step = seconds_per_step
        self.digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        self.device, self.dtype = "cpu", "float32"
        self.open_runs = 0
        self.steps_run = 0
        self.fails_at: int | None = None
        self.together: list[int] = []

    def _target(self, request: Request, sample: int) -> np.ndarray:
        """The tokens this request grows: a disc on a gradient, colours from prompt and rng_seed."""
        g = self.info.grid
        words = request.prompt if self.info.task == "text" else request.label
        key = f"{words[sample]}|{request.label}|{request.rng_seed + sample}|{request.heads}"
        r, gr, b = hashlib.sha256(key.encode()).digest()[:3]
        t, h, w = np.meshgrid(*(np.linspace(-1, 1, max(n, 2))[:n] for n in g), indexing="ij")
        disc = (h**2 + (w + 0.2 * t) ** 2) < 0.55
        shade = 0.75 + 0.25 * (h - w) / 2
        colour = [np.where(disc, c / 255 * shade, 0.97) for c in (r, gr, b)]
        bits = [np.clip(np.round(c * 15), 0, 15).astype(np.int64) for c in colour]
        return bits[0] * 256 + bits[1] * 16 + bits[2]

    def _rest(self) -> None:
        """As long as a step takes, which may be made less meanwhile."""
        began = time.monotonic()
        while (left := began + self.seconds_per_step - time.monotonic()) > 0:
            time.sleep(min(left, 0.02))

    def generate(self, request: Request | Prepared) -> Iterator[Frame]:
        prepared = request if isinstance(request, Prepared) else prepare(self.info, request)
        info, plan, request = self.info, prepared.plan, prepared.request
        grid, n = info.grid, request.num_samples
        tokens = np.full((n, grid.cells), -1, np.int64)
        confidence = np.full((n, grid.cells), np.nan, np.float32)
        if request.known is not None:
            tokens = request.known.reshape(n, -1).copy()
        target = np.stack([self._target(request, i).reshape(-1) for i in range(n)])
        first = 0
        if request.resume is not None:
            first = request.resume.step
            tokens = request.resume.tokens.reshape(n, -1).copy()
            confidence = request.resume.confidence.reshape(n, -1).copy()
        start = time.perf_counter()
        self.open_runs += 1
        try:
            for k, step in enumerate(plan.steps[first:], first + 1):
                self._rest()
                self.steps_run += 1
                if k == self.fails_at:
                    raise RuntimeError("/secret/place: no such kernel")
                tokens[:, step.positions] = target[:, step.positions]
                sure = 0.35 + 0.6 * ((step.positions * 37) % 64) / 64
                confidence[:, step.positions] = sure
                yield Frame(
                    step=k,
                    total=plan.total,
                    positions=np.stack(np.unravel_index(step.positions, grid), 1),
                    tokens=tokens.reshape(n, *grid).copy(),
                    confidence=confidence.reshape(n, *grid).copy(),
                    elapsed=time.perf_counter() - start,
                    request=request,
                    passes=k - first,
                    model=info.name,
                )
        finally:
            self.open_runs -= 1

    def generate_together(self, requests, wanted=lambda number: True):
        """As the engine's; one after the other within each step."""
        self.together.append(len(requests))
        growing = [self.generate(request) for request in requests]
        try:
            while any(wanted(number) for number in range(len(growing))):
                frames = [
                    next(growth, None) if wanted(number) else growth.close()
                    for number, growth in enumerate(growing)
                ]
                if not any(frames):
                    return
                yield frames
        finally:
            for growth in growing:
                growth.close()

    def explain(self, frame: Frame, cell, sample: int = 0, candidates: int = 5) -> Explanation:
        """As the engine's; every head is sure of what the cell became."""
        plan = prepare(self.info, frame.request).plan
        flat = int(np.ravel_multi_index(tuple(cell), plan.grid))
        step = next(i for i, s in enumerate(plan.steps, 1) if flat in s.positions)
        token = int(frame.tokens[(sample, *cell)])
        sure = (Candidate(token, 0.75), Candidate(7, 0.25))[:candidates]
        sender = tuple(int(x) for x in np.array(cell) - (0, 0, 1))
        attention = np.zeros(plan.grid, np.float32)
        attention[sender] = 0.5
        heads = (Said("+w", sender, sure), Said("+h", None, sure))
        return Explanation(
            tuple(cell), step, token, heads, sure, sure, sure, 0.125, 0.5, attention, 0.5
        )

    def disagreement(self, frame: Frame, sample: int = 0) -> np.ndarray:
        """As the engine's: the more, the later a cell came."""
        plan = prepare(self.info, frame.request).plan
        return np.where(plan.known, np.nan, 0.01 * plan.levels).reshape(plan.grid)

    def generate_all(self, request: Request) -> Frame:
        *_, last = self.generate(request)
        return last

    def _paint(self, tokens: np.ndarray) -> np.ndarray:
        known = tokens >= 0
        rgb = np.stack([(tokens >> s) & 15 for s in (8, 4, 0)], -1) * 17
        rgb = np.where(known[..., None], rgb, 242).astype(np.uint8)
        return rgb[:, list(self.info.slice_of_frame)].repeat(8, 2).repeat(8, 3)

    def surprise(self, tokens: np.ndarray) -> np.ndarray:
        """Dear where many colours are: its own pictures have few."""
        return np.array([40 * len(np.unique(row)) / row.size for row in tokens])

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        if (tokens < 0).any():
            raise ValueError("tokens: got an unfinished grid, expected every cell; finish it first")
        return self._paint(tokens)

    def preview(self, tokens: np.ndarray, full: bool = False) -> np.ndarray:
        return self._paint(tokens)

    def read(self, prepared: Prepared) -> np.ndarray:
        """As the engine's."""
        pixels = np.asarray(prepared.request.known)[:, None]
        return self.encode(np.repeat(pixels, self.info.frames, 1))

    def encode(self, video: np.ndarray | Image.Image) -> np.ndarray:
        if isinstance(video, Image.Image):
            video = np.repeat(fit(video, self.info.size)[None, None], self.info.frames, 1)
        b, _, h, w, _ = video.shape
        g = self.info.grid
        slices = np.array(self.info.slice_of_frame)
        video = np.stack([video[:, slices == t].mean(1) for t in range(g.t)], 1)
        cells = video.reshape(b, g.t, g.h, h // g.h, g.w, w // g.w, 3)
        bits = np.round(cells.mean((3, 5)) / 17).astype(np.int64)
        return bits[..., 0] * 256 + bits[..., 1] * 16 + bits[..., 2]
