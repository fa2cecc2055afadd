"""Speed and memory against batch or grid: ours, the published way, and raster order."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from ..device import arithmetic, pick_device, pick_dtype
from ..engine import Engine
from ..plan import GridShape, make_plan
from ..request import Request
from ..weights.list import official_models
from ..writing import save_picture
from .published import sample_as_published
from .speed import random_engine, random_model, warm_ups

GUIDANCE = 2.0
PUBLISHED = {
    "LPD-XL": "0.41 s a picture",
    "ARPG-L": "130 pictures a second",
    "NAR-B": "419.7 pictures a second",
}
"""What papers say of their own code, on an A100 or A800."""


@dataclass(frozen=True)
class Case:
    """What is timed: a model of an official size, how many at once, and which ways of sampling.

    Attributes:
        grid: another than its own.
    """

    model: str
    batch: int
    ways: tuple[str, ...] = ("ours",)
    grid: GridShape | None = None


ALL = ("ours", "published", "raster")
SUITES: dict[str, tuple[Case, ...]] = {
    # Figure 6 of the paper
    "cpu": tuple(Case("NAR-B", batch, ALL) for batch in (1, 2, 4, 8)),
    # how cost grows with the grid
    "sizes": (
        *(Case("NAR-B", 1, grid=GridShape(1, n, n)) for n in (16, 24, 32, 48, 64)),
        *(Case("NAR-LP-ucf101", 1, grid=GridShape(t, 16, 16)) for t in (1, 2, 4, 8)),
    ),
    # what is of most use first: the time may not suffice for all
    "gpu": (
        *(Case("NAR-B", batch, ALL[:2] if batch < 256 else ALL[:1]) for batch in (1, 64, 8, 256)),
        Case("NAR-L", 1, ALL[:2]),
        Case("NAR-LP-ucf101", 1, ALL[:2]),
        *(
            Case(model, batch)
            for batch in (1, 64, 8, 256)
            for model in ("NAR-L", "NAR-XL", "NAR-XXL")
            if (model, batch) != ("NAR-L", 1)
        ),
        *(Case("NAR-B", batch, ("raster",)) for batch in (1, 64)),
    ),
}


@dataclass(frozen=True)
class Row:
    """One way of sampling at one batch.

    Attributes:
        seconds: median of the runs; per_second: pictures or clips.
        memory_mb: weights and KV cache, or on a GPU the peak of what was allocated.
        grid: (t, h, w).
        limit: seconds in which the weights can be read once for each forward pass: nothing can be
            faster. share: what part of that speed was reached.
    """

    model: str
    way: str
    batch: int
    passes: int
    seconds: float
    per_second: float
    memory_mb: int
    limit: float
    share: float
    grid: tuple[int, int, int] = (1, 16, 16)

    @property
    def cells(self) -> int:
        """Tokens of a picture or clip."""
        return GridShape(*self.grid).cells


def suite(
    name: str, device: str, dtype: str, repeats: int, minutes: float = 8.0
) -> tuple[list[Row], list[str]]:
    """Time the cases of a suite, and name those that there was no time for.

    Ways are timed in turn, the other way round every time, so that other load hits all alike.
    """
    target = pick_device(device)
    if name == "gpu" and target.type == "cpu":
        raise ValueError("suite: got gpu, expected cpu on this machine, which has no GPU")
    ends, rows, left = time.perf_counter() + 60 * minutes, [], []
    rate = bandwidth(target)
    for case in tqdm(SUITES[name], desc="bench"):
        if time.perf_counter() > ends:
            left.append(f"{case.model}, batch {case.batch}{_of(case.grid)}")
            continue
        rows += _timed(case, target, dtype, repeats, rate)
        gc.collect()
        if target.type == "cuda":
            torch.cuda.empty_cache()
    return rows, left


def _of(grid: GridShape | None) -> str:
    return f", grid {'x'.join(map(str, grid))}" if grid else ""


def bandwidth(device: torch.device) -> float:
    """Bytes a second at which memory is read, the best of some reads of a large tensor."""
    large = torch.ones(2**28 if device.type == "cuda" else 2**25, device=device)
    best = 0.0
    for _ in range(5):
        seconds = _seconds(lambda: large.sum(), device)
        best = max(best, large.nbytes / seconds)
    return best


def _timed(
    case: Case, device: torch.device, dtype: str, repeats: int, rate: float
) -> Iterable[Row]:
    official = official_models()[case.model]
    before = dict.fromkeys(case.ways, _allocated(device))
    engine = random_engine(case.model, str(device), dtype, with_tokenizer=False, grid=case.grid)
    numbers = pick_dtype(dtype, device, official.info.parameters)
    said: dict[str, Any] = {"prompt": "a"} if official.info.task == "text" else {"label": 0}
    prepared = engine.prepare(
        Request(seed_position=(0, 0, 0), guidance_scale=GUIDANCE, num_samples=case.batch, **said)
    )
    raster = replace(
        prepared,
        plan=make_plan(engine.info.grid, (0, 0, 0), None, engine.info.directions, order="raster"),
    )
    values, null = engine.condition(prepared.request)
    passes = {"ours": prepared.plan.total, "published": prepared.plan.total}
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: engine.generate_all(prepared),
        "raster": lambda: engine.generate_all(raster),
    }
    if "published" in case.ways:
        format_ = arithmetic(numbers, device, official.info.parameters)
        before["published"] = _allocated(device)
        plain = random_model(case.model, device, format_)
        ways["published"] = partial(
            sample_as_published, plain, values, null, guidance_scale=GUIDANCE
        )
    times: dict[str, list[float]] = {way: [] for way in case.ways}
    memory = {}
    for way in case.ways:  # warms up
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        for _ in range(1 if way == "published" else warm_ups(device)):
            ways[way]()
        memory[way] = _memory(engine, case.batch, device) - before[way]
    for repeat in range(repeats):
        for way in case.ways if repeat % 2 == 0 else case.ways[::-1]:
            times[way].append(_seconds(ways[way], device))
    for way in case.ways:
        seconds = statistics.median(times[way])
        count = passes.get(way, raster.plan.total)
        limit = count * numbers.itemsize * official.info.parameters / rate
        yield Row(
            case.model,
            way,
            case.batch,
            count,
            round(seconds, 4),
            round(case.batch / seconds, 3),
            round(memory[way] / 2**20),
            round(limit, 4),
            round(limit / seconds, 3),
            engine.info.grid,
        )


def _seconds(what: Callable[[], Any], device: torch.device) -> float:
    """How long it takes, what it leaves on a GPU included."""
    started = time.perf_counter()
    what()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _allocated(device: torch.device) -> int:
    """Bytes of a GPU's memory that are in use; elsewhere nothing is asked."""
    return torch.cuda.memory_allocated() if device.type == "cuda" else 0


def _memory(engine: Engine, batch: int, device: torch.device) -> float:
    """Bytes: on a GPU the peak, elsewhere what weights and KV cache take, with guidance."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    info, size = engine.info, engine.dtype.itemsize
    cache = arithmetic(engine.dtype, device, info.parameters).itemsize * info.cache_values
    return float(size * info.parameters + 2 * batch * cache)


def table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows, those of our way with their ratio to the published one where that was timed."""
    published = {(r.model, r.batch, r.grid): r.seconds for r in rows if r.way == "published"}
    out = []
    for row in rows:
        other = published.get((row.model, row.batch, row.grid))
        ratio = {"ratio": round(other / row.seconds, 2)} if other and row.way == "ours" else {}
        out.append({**asdict(row), "grid": list(row.grid), **ratio})
    return out


# ---- the picture ---------------------------------------------------------------------------------

INK, GRID, LIMIT = (40, 44, 52), (222, 226, 232), (150, 156, 166)
COLOURS = {"ours": (22, 120, 201), "published": (214, 96, 42), "raster": (104, 159, 56)}
PANEL, EDGE = (380, 300), (64, 44)
QUANTITIES = (("seconds", "seconds"), ("memory_mb", "memory, MB"), ("per_second", "per second"))
SIZES = (("seconds", "seconds"), ("memory_mb", "memory, MB"), ("passes", "steps"))


def chart(rows: Sequence[Row], title: str) -> Image.Image:
    """Latency, memory and throughput against the batch, both axes logarithmic.

    Of sizes seconds, memory and steps against the number of cells. A grey line is what reading the
    weights once for each pass of ours allows.
    """
    sizes = len({row.cells for row in rows}) > 1
    quantities = SIZES if sizes else QUANTITIES

    def at_of(row: Row) -> int:
        return row.cells if sizes else row.batch

    rows = sorted(rows, key=at_of)  # a suite may begin with what is of most use

    sheet = Image.new("RGB", (PANEL[0] * len(quantities), PANEL[1] + 56), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    draw.text((EDGE[0], 8), title, INK, font)
    limits = {
        "seconds": [(at_of(r), r.limit) for r in rows if r.way == "ours"],
        "per_second": [(at_of(r), r.batch / r.limit) for r in rows if r.way == "ours"],
    }
    for number, (name, said) in enumerate(quantities):
        lines = {
            way: [(at_of(r), float(getattr(r, name))) for r in rows if r.way == way]
            for way in COLOURS
        }
        lines["limit"] = limits.get(name, [])
        _panel(draw, font, number * PANEL[0], said, {k: v for k, v in lines.items() if v})
    x = EDGE[0]
    ways = {r.way for r in rows} | {"limit"}
    for way, colour in {**COLOURS, "limit": LIMIT}.items():
        if way not in ways:
            continue
        draw.line((x, PANEL[1] + 38, x + 22, PANEL[1] + 38), colour, 3)
        draw.text((x + 28, PANEL[1] + 30), way, INK, font)
        x += 130
    return sheet


def _panel(draw, font, left: int, said: str, lines: dict[str, list[tuple[int, float]]]) -> None:
    """One quantity: each line's points (batch, value)."""
    batches = sorted({b for line in lines.values() for b, _ in line})
    values = [v for line in lines.values() for _, v in line]
    low, high = np.log2(min(values)) - 0.3, np.log2(max(values)) + 0.3
    wide = max(1.0, float(np.log2(batches[-1] / batches[0])))

    def place(batch: float, value: float) -> tuple[float, float]:
        x = left + EDGE[0] + np.log2(batch / batches[0]) / wide * (PANEL[0] - EDGE[0] - 24)
        y = PANEL[1] - (np.log2(value) - low) / (high - low) * (PANEL[1] - EDGE[1] - 24)
        return float(x), float(y)

    draw.text((left + EDGE[0], 28), said, INK, font)
    for power in range(int(np.ceil(low)), int(np.floor(high)) + 1):
        (x, y), (end, _) = place(batches[0], 2.0**power), place(batches[-1], 2.0**power)
        draw.line((x, y, end, y), GRID)
        draw.text((x - 6, y), _short(2.0**power), INK, font, anchor="rm")
    for batch in batches:
        x, _ = place(batch, min(values))
        draw.text((x, PANEL[1] + 6), str(batch), INK, font, anchor="ma")
    for way, line in lines.items():
        points = [place(b, v) for b, v in line]
        colour = COLOURS.get(way, LIMIT)
        draw.line(points, colour, 3 if way in COLOURS else 1)
        for x, y in points if way in COLOURS else []:
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), colour)


def _short(value: float) -> str:
    """A number in as few letters as a scale has room for, such as 1/512, 0.25 or 131k."""
    if value < 0.2:
        return f"1/{1 / value:.0f}"
    return f"{value:.4g}" if value < 10_000 else f"{value / 1000:.0f}k"


def save_chart(rows: Sequence[Row], title: str, file: Path) -> None:
    """Draw and write the picture."""
    save_picture(chart(rows, title), file)
