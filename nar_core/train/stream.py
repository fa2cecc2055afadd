"""Streams of what a generator learns from: the items of a folder, or a world's without an end."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.multiprocessing as processes
from torch import Tensor

from ..arrangement import told
from ..models.condition import ConditionConfig
from ..plan import GridShape
from ..tokenizers.base import Tokenizer, device_of
from ..weights.embedded import load_tokenizer_folder
from ..worlds import WORLDS
from ..worlds.world import World
from .config import WorldSource
from .plans import GrowthPlan

log = logging.getLogger(__name__)
CHUNK = 32
OPEN = 0.15  # share of the pictures of which a generator is not told how they are arranged
MEASURED = 48  # pictures of each kind that losses are measured on
LANDS = 4  # that the pictures of a chunk are views of, see `LandscapeWorld.views`


class TokenStream(Protocol):
    """What a generator learns from, as tokens and condition input.

    Attributes:
        names: the prompts that are trained on, where there is a list of them.
    """

    names: tuple[str, ...]

    def draw(self, plans: Sequence[GrowthPlan], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A sample for each plan: condition input [B, ...] and tokens int64 [B, cells]."""
        ...

    def to_measure(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Condition input and tokens of some pictures: "" of training, "held_out_" of the rest."""
        ...

    def seen(self, processes: int) -> int:
        """How many different pictures have been trained on, by all processes together."""
        ...

    def figures(self) -> dict[str, float]:
        """What the log says of the stream itself."""
        ...

    def close(self) -> None:
        """No more is drawn."""
        ...


def drawn_chunk(
    world: World,
    key: tuple[int, ...],
    n: int = CHUNK,
    held_out: bool | None = None,
    form: ConditionConfig | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The n pictures of one key: ids int16 [n, ids] as a model of a form is told them, by default
    one of facts alone, and pixels uint8 [n, F, H, W, 3].

    With `held_out` said, every picture is drawn apart, to measure by. Else they are as training
    wants them: a world with `views` looks at a land several times, since making one is slow, and of
    some pictures nothing is told but what a prompt could say. Only those may be `loose`: what is
    told of cells is true of things that lie on the grid.
    """
    rng = np.random.default_rng(key)
    views: Any = getattr(world, "views", None)
    if held_out is None and views:
        seen, pictures = zip(*islice(views(rng, LANDS), n), strict=True)
        is_open = rng.random(n) < OPEN
        facts = [replace(f, view=None) if o else f for f, o in zip(seen, is_open, strict=True)]
    else:
        draw = world.draw_held_out if held_out else world.draw
        said = [draw(rng) for _ in range(n)]
        ways = [world.arrangements(f) for f in said]
        facts = [way[rng.integers(len(way))] for way in ways]
        is_open = rng.random(n) < (OPEN if held_out is None else 0)
        facts = [s if o else f for s, f, o in zip(said, facts, is_open, strict=True)]
        loose: Any = getattr(world, "loose", world.render)
        painted = [loose if o else world.render for o in is_open]
        pictures = [paint(f, rng) for paint, f in zip(painted, facts, strict=True)]
    form = form or ConditionConfig("facts", len(world.slots))
    return np.array([told(world, f, form) for f in facts], np.int16), np.stack(pictures)


@torch.inference_mode()
def encoded(tokenizer: Tokenizer, pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 [n, F, H, W, 3] to tokens int16 [n, cells], where the tokenizer lies."""
    x = torch.from_numpy(pixels).to(device_of(tokenizer)).movedim(-1, -3).float() / 255
    return tokenizer.encode(x).flatten(1).to(torch.int16).cpu().numpy()


def chunk_of(
    world: World,
    tokenizer: Tokenizer,
    key: tuple[int, ...],
    n: int = CHUNK,
    held_out: bool | None = None,
    form: ConditionConfig | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """As `drawn_chunk`, with tokens int16 [n, cells] in place of pixels."""
    ids, pixels = drawn_chunk(world, key, n, held_out, form)
    return ids, encoded(tokenizer, pixels)


def chunks_of(
    name: str,
    folder: str | None,
    grid: tuple,
    key: tuple[int, ...],
    chunks: tuple[int, int],
    form: ConditionConfig | None,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Every so many-th chunk from a first one on, with its number; without a tokenizer's folder, as
    pixels."""
    world = WORLDS[name]()
    tokenizer = None
    if folder is not None:
        tokenizer = load_tokenizer_folder(Path(folder), GridShape(*grid))[0].float().eval()
    number, step = chunks
    while True:
        ids, pictures = drawn_chunk(world, (*key, number), form=form)
        yield number, ids, pictures if tokenizer is None else encoded(tokenizer, pictures)
        number += step


def _produce(*told: Any) -> None:
    """Draw chunks, see `chunks_of`, into a queue, which is what is said last."""
    # Ctrl-C reaches every process of a terminal; the one that trains still needs pictures.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    *which, out = told
    for chunk in chunks_of(*which):
        out.put(chunk)


class WorldStream:
    """Pictures of a world as tokens, drawn ahead by processes of their own, and encoded there, too.

    Sample number n is the same whenever it is asked for, so a run that goes on sees what it would
    have seen. A window of pictures is gone through `repeats` times, with other plans each time.

    Args:
        config: `world` (a name), `window` (pictures, a multiple of 32), `repeats`, `processes`.
        tokenizer: folder of the tokenizer. grid: shape of the token grid.
        key: seed of the run and rank of this process.
        start: how many samples have been taken before.
        null_share: share of the samples that nothing is said of.
        form: what a model is told, see `drawn_chunk`.
        encoder: the tokenizer on an accelerator, which is then what encodes.
    """

    names: tuple[str, ...] = ()

    def __init__(
        self,
        config: WorldSource,
        tokenizer: Path,
        grid: GridShape,
        key: tuple[int, int],
        start: int,
        null_share: float = 0.0,
        form: ConditionConfig | None = None,
        encoder: Tokenizer | None = None,
    ):
        self.world = WORLDS[config.world]()
        self.folder, self.grid, self.null_share, self.form = tokenizer, grid, null_share, form
        self.window, self.repeats = config.window, config.repeats
        if self.window % CHUNK:
            raise ValueError(
                f"source.window: got {self.window}, expected a multiple of {CHUNK}; round it"
            )
        if config.processes < 1:
            raise ValueError(
                f"source.processes: got {config.processes}, expected 1 or more; say more"
            )
        self.next = start
        self.pictures = start // (self.window * self.repeats) * self.window
        self._first = self._begun = self.pictures
        self._since = time.monotonic()
        ids = len(self.world.slots) + (form.told if form else 0) * grid.cells
        self._facts = np.zeros((self.window, ids), np.int16)
        self._tokens = np.zeros((self.window, grid.cells), np.int16)
        self._encoder = encoder
        context, several = processes.get_context("spawn"), config.processes
        self._queues, self._processes = [], []
        for i in range(several):
            queue = context.Queue(-(-2 * self.window // CHUNK // several))
            first = self.pictures // CHUNK
            first += (i - first) % several  # chunk number n comes from process n % several
            folder = None if encoder else str(tokenizer)
            process = context.Process(
                target=_produce,
                args=(config.world, folder, tuple(grid), key, (first, several), form, queue),
                daemon=True,
            )
            process.start()
            self._queues.append(queue)
            self._processes.append(process)

    @property
    def rate(self) -> float:
        """New pictures a second, since this process began."""
        return (self.pictures - self._begun) / (time.monotonic() - self._since)

    def take(self, n: int) -> tuple[Tensor, Tensor]:
        """The next n samples: condition input int64 [n, ids] and tokens int64 [n, cells]."""
        facts, tokens = [], []
        for _ in range(n):
            round_, at = divmod(self.next, self.window)
            first = round_ // self.repeats * self.window
            while self.pictures <= first + at:
                self._receive()
            facts.append(self._facts[at].copy())
            tokens.append(self._tokens[at].copy())
            self.next += 1
        values, codes = (torch.from_numpy(np.stack(x)).long() for x in (facts, tokens))
        return values, codes

    def _receive(self) -> None:
        wanted = self.pictures // CHUNK
        number, facts, tokens = self._queues[wanted % len(self._queues)].get(timeout=600)
        assert number == wanted
        if self._encoder is not None:
            tokens = encoded(self._encoder, tokens)
        at = self.pictures % self.window
        self._facts[at : at + CHUNK], self._tokens[at : at + CHUNK] = facts, tokens
        self.pictures += CHUNK

    def draw(self, plans: Sequence[GrowthPlan], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The next samples, some of which nothing is said of; see `TokenStream`."""
        values, tokens = self.take(len(plans))
        values[torch.from_numpy(rng.random(len(plans)) < self.null_share)] = -1
        return values, tokens

    def to_measure(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """`MEASURED` pictures of each kind, always the same; see `TokenStream`."""
        tokenizer = load_tokenizer_folder(self.folder, self.grid)[0]
        for name in ("", "held_out_"):
            values, tokens = chunk_of(self.world, tokenizer, (0,), MEASURED, bool(name), self.form)
            yield name, torch.from_numpy(values).long(), torch.from_numpy(tokens).long()

    def seen(self, processes: int) -> int:
        """Pictures of all processes, each of which has its own."""
        return self.pictures * processes

    def figures(self) -> dict[str, float]:
        """New pictures a second."""
        return {"fresh_a_second": round(self.rate, 2)}

    def close(self) -> None:
        """End the processes that draw."""
        for process in self._processes:
            process.kill()
            process.join()
