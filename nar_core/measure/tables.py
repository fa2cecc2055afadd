"""Samples and scores for the paper's tables 1, 2 and 3.

Samples are written in the form that each table's own tool reads, and scored where what scoring
needs is at hand; the published figures stand beside. Several processes (torchrun) share the work.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist
from PIL import Image
from tqdm import tqdm

from ..settings import NUM_SAMPLES
from ..train.loop import rank_and_world
from ..weights.list import official_models
from ..writing import save_picture, whole_file, write_json
from .growing import Grower, dtype_of
from .scores import Reference, network, score_clips, score_geneval, score_pictures

# The task and medium of each table, and how many samples it was made with.
TABLES = {1: ("class", "image", 50_000), 2: ("class", "video", 10_000), 3: ("text", "image", 4)}
PROMPTS_FILE = "evaluation_metadata.jsonl"
RESULTS_FILE = "results.jsonl"


@dataclass(frozen=True)
class TableRun:
    """How a table is made.

    Attributes:
        folder: for the samples; a run found there is continued.
        count: how many, by default as published; batch: samples at once.
        reference: tables 1 and 2: what to compare with, see `scores.Reference`; 3: GenEval's
            prompts.
        features: the file of the network that scores, see `scores.network`.
        scored: whether scores are wanted, and not only samples.
    """

    folder: Path
    count: int | None = None
    batch: int = 8
    reference: str | None = None
    features: str | None = None
    scored: bool = True


def make_table(grower: Grower, table: int, run: TableRun) -> dict[str, Any]:
    """Make samples and score them; keys `samples`, `scores`, `published`.

    What scoring needs is looked for before any sample is made.

    Raises:
        ValueError: a model of another task, samples of other settings in the folder, or something
            that scoring needs is missing.
    """
    engine = grower.engine
    task, media, published = TABLES[table]
    if (engine.info.task, engine.info.media) != (task, media):
        raise ValueError(
            f"table {table}: got {engine.info.name}, a {engine.info.task} to "
            f"{engine.info.media} model, expected a {task} to {media} model; "
            "choose one"
        )
    NUM_SAMPLES.check(run.batch)
    count = run.count or published
    if table == 3:
        files, score = _geneval(grower, run, count)
    else:
        files, score = _balanced(grower, table, run, count)
    official = official_models().get(engine.info.name)
    out = {
        "table": table,
        **files,
        "guidance": grower.settings.get("guidance_scale") or engine.info.guidance_scale,
        "published": official.published if official else {},
    }
    if run.scored and rank_and_world()[0] == 0:
        _check_whole(run.folder)
        out["scores"] = score()
    return out


def _check_whole(folder: Path) -> None:
    """Raise ValueError where samples are missing, so that no blank ones are scored."""
    done = np.load(folder / "done.npy")
    if not done.all():
        raise ValueError(
            f"{folder}: got {int(done.sum())} of {len(done)} finished, expected all of them to "
            "score; run the command again, which makes the rest"
        )


Score = Callable[[], dict[str, float]]


def _balanced(
    grower: Grower, table: int, run: TableRun, count: int
) -> tuple[dict[str, Any], Score]:
    """Tables 1 and 2: samples of every class in turn, and how to score them."""
    info = grower.engine.info
    shape = (*((info.frames,) if info.media == "video" else ()), *info.size, 3)
    device, rank = grower.engine.device, rank_and_world()[0]
    scored = None
    if run.scored and count < 2:
        raise ValueError(
            f"--samples: got {count}, expected 2 or more to score; say more, or --samples-only"
        )
    if run.scored and rank == 0:  # what is missing is said before anything is grown
        scored = Reference(run.reference, shape), network(run.features, table == 2, device)
    samples = write_balanced(grower, run.folder, count, run.batch)
    path = run.folder / "samples.npy"
    if table == 1 and rank == 0:
        path = as_npz(run.folder)
    score = score_pictures if table == 1 else score_clips
    return {"samples": str(path)}, lambda: score(samples, *scored) if scored else {}


def _geneval(grower: Grower, run: TableRun, count: int) -> tuple[dict[str, Any], Score]:
    """Table 3: the layout of GenEval, whose own tool judges the pictures."""
    source = Path(run.reference or PROMPTS_FILE)
    if not source.is_file():
        raise ValueError(
            f"--reference: got {source}, expected GenEval's prompts/{PROMPTS_FILE}; name it "
            "(from its repository, djghosh13/geneval)"
        )
    files = write_geneval(grower, run.folder, count, run.batch, source)
    results = run.folder / RESULTS_FILE

    def score() -> dict[str, float]:
        if not results.is_file():
            raise ValueError(
                f"table 3: got samples in {run.folder}, expected {RESULTS_FILE} beside them; "
                f"run GenEval's `python evaluation/evaluate_images.py {run.folder} --outfile "
                f"{results} --model-path ...`, which needs mmdetection and its detector, then this "
                "command again; or say --samples-only"
            )
        return score_geneval(results, files["prompts"] * count)

    return files, score


# ---- samples ---------------------------------------------------------------------------------


class Tally:
    """Which samples of a folder are there, shared between processes and kept between runs.

    Raises ValueError where the folder holds samples of other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], count: int):
        self.rank, self.world = rank_and_world()
        told, path = folder / "progress.json", folder / "done.npy"
        if self.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            if told.is_file() and path.is_file():
                found = json.loads(told.read_text(encoding="utf-8"))
                if {"dtype": settings["dtype"], **found} != settings:  # of before: no dtype
                    raise ValueError(
                        f"{folder}: got samples made with {found}, expected {settings}; use "
                        "another --out"
                    )
            else:
                np.save(path, np.zeros(count, bool))
                write_json(told, settings)
        _together(barrier=True)
        self.done = np.lib.format.open_memmap(path, "r+")

    def left(self, batch: int, name: str, step: Callable[[np.ndarray], None]) -> None:
        """Call `step` with numbers of samples that are missing, this process's share of them.

        Returns when all processes are through.
        """
        mine = np.flatnonzero(~self.done)[self.rank :: self.world]
        _together(barrier=True)  # all have taken their share before any of it is marked as done
        bar = tqdm(total=len(self.done), initial=int(self.done.sum()), desc=name)
        with bar:
            for start in range(0, len(mine), batch):
                numbers = mine[start : start + batch]
                step(numbers)
                self.done[numbers] = True
                self.done.flush()
                bar.update(len(numbers) * self.world)
        _together(barrier=True)


def _together(barrier: bool = False) -> None:
    """Wait for the other processes of a torchrun."""
    if rank_and_world()[1] == 1:
        return
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    if barrier:
        dist.barrier()


def settings_of(grower: Grower, count: int) -> dict[str, Any]:
    """What the samples depend on."""
    return {
        "model": grower.engine.info.name,
        "digest": grower.engine.digest,
        "dtype": dtype_of(grower.engine),
        "settings": {k: v for k, v in grower.settings.items() if v is not None},
        "rng_seed": grower.rng_seed,
        "samples": count,
    }


def write_balanced(grower: Grower, folder: Path, count: int, batch: int) -> np.ndarray:
    """Samples of every class in turn, uint8 [N(, F), H, W, 3], in `samples.npy`.

    Sample i is of class i modulo the number of classes and of random seed `rng_seed + i`, whatever
    the batch size and the number of processes.
    """
    info, path = grower.engine.info, folder / "samples.npy"
    frames = (info.frames,) if info.media == "video" else ()
    tally = Tally(folder, settings_of(grower, count), count)
    if tally.rank == 0 and not (path.is_file() and tally.done.any()):
        shape = (count, *frames, *info.size, 3)
        tally.done[:] = False  # what was there is lost
        tally.done.flush()
        np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()
    _together(barrier=True)
    out = np.lib.format.open_memmap(path, "r+")

    def step(numbers: np.ndarray) -> None:
        video = grower.grow_each([int(i) % len(info.labels) for i in numbers], numbers.tolist())
        out[numbers] = video if frames else video[:, 0]
        out.flush()

    tally.left(batch, info.name, step)
    return out


def as_npz(folder: Path) -> Path:
    """`samples.npy` as the one array `arr_0` of `samples.npz`, the ADM evaluator's form."""
    with (
        whole_file(folder / "samples.npz") as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=True) as file,
    ):
        file.write(folder / "samples.npy", "arr_0.npy")
    return folder / "samples.npz"


def write_geneval(
    grower: Grower, folder: Path, count: int, batch: int, source: Path
) -> dict[str, Any]:
    """`count` pictures of every GenEval prompt in GenEval's layout.

    Each prompt has a folder `00000`, `00001`, ... with its line in `metadata.jsonl` and pictures
    `samples/0000.png`, ...
    """
    try:
        lines = [x for x in source.read_text(encoding="utf-8").splitlines() if x.strip()]
        prompts = [str(json.loads(line)["prompt"]) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"--reference: got {source}, in which not every line is a record with a prompt, "
            f"expected GenEval's {PROMPTS_FILE}; name that"
        ) from error
    tally = Tally(folder, settings_of(grower, count), len(lines))

    def step(numbers: np.ndarray) -> None:
        (index,) = numbers.tolist()
        place = folder / f"{index:05d}"
        shutil.rmtree(place, ignore_errors=True)
        (place / "samples").mkdir(parents=True)
        (place / "metadata.jsonl").write_text(lines[index], encoding="utf-8")
        for start in range(0, count, batch):
            size = min(batch, count - start)
            for i, pixels in enumerate(grower.grow([prompts[index]] * size, number=start)[:, 0]):
                save_picture(Image.fromarray(pixels), place / "samples" / f"{start + i:04d}.png")

    tally.left(1, grower.engine.info.name, step)
    return {"samples": str(folder), "prompts": len(lines)}
