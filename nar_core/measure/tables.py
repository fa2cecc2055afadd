"""Samples and scores for the paper's tables 1, 2 and 3.

Samples are written in the form that each table's own tool reads. Where a maintained library and
its feature weights are at hand, its scores are given too; the published figures stand beside.
"""

from __future__ import annotations

import json
import logging
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from ..settings import NUM_SAMPLES
from ..weights.list import official_models
from .growing import Grower

log = logging.getLogger(__name__)

# The task and medium of each table, and how many samples it was made with.
TABLES = {1: ("class", "image", 50_000), 2: ("class", "video", 10_000), 3: ("text", "image", 4)}
PROMPTS_FILE = "evaluation_metadata.jsonl"
HOW = {
    1: "score samples.npz with the ADM evaluator against its ImageNet 256 reference batch: "
    "`python evaluator.py VIRTUAL_imagenet256_labeled.npz samples.npz`",
    2: "score samples.npy (uint8 [N, F, H, W, 3]) with an I3D FVD tool such as cd-fvd against "
    "clips of the training set",
    3: "score the folder with GenEval's own evaluation/evaluate_images.py and summary_scores.py",
}


def make_table(
    grower: Grower,
    table: int,
    folder: Path,
    count: int | None = None,
    batch: int = 8,
    reference: str | None = None,
) -> dict[str, Any]:
    """Write samples, score them where possible; keys `scores`, `published`, `note`.

    Args:
        folder: for the samples; a run found there is continued.
        count: how many, by default as published.
        batch: samples at once.
        reference: table 1: folder of real pictures; 2: .npy of real clips; 3: GenEval's prompts.

    Raises:
        ValueError: a model of another task, or samples of other settings in the folder.
    """
    engine = grower.engine
    task, media, published = TABLES[table]
    if (engine.info.task, engine.info.media) != (task, media):
        raise ValueError(
            f"table {table}: got {engine.info.name}, a {engine.info.task} to "
            f"{engine.info.media} model, expected a {task} to {media} model"
        )
    NUM_SAMPLES.check(batch)
    folder.mkdir(parents=True, exist_ok=True)
    count = count or published
    if table == 3:
        files = write_geneval(grower, folder, count, batch, Path(reference or PROMPTS_FILE))
        scores, note = {}, HOW[3]
    else:
        samples = write_balanced(grower, folder, count, batch)
        files = {"samples": str(as_npz(folder) if table == 1 else folder / "samples.npy")}
        score = score_pictures if table == 1 else score_clips
        scores, note = scored(lambda: score(samples, reference, engine.device), table)
    official = official_models().get(engine.info.name)
    return {
        "table": table,
        **files,
        "guidance": grower.settings.get("guidance_scale") or engine.info.guidance_scale,
        "scores": scores,
        "published": official.published if official else {},
        "note": note,
    }


def continued(folder: Path, settings: dict[str, Any]) -> int:
    """How many samples of the same settings a folder holds already.

    Raises:
        ValueError: it holds samples of other settings.
    """
    path = folder / "progress.json"
    if not path.is_file():
        return 0
    found = json.loads(path.read_text(encoding="utf-8"))
    done = found.pop("done")
    if found != settings:
        raise ValueError(
            f"{folder}: got samples made with {found}, expected {settings}; use another --out"
        )
    return done


def note_progress(folder: Path, settings: dict[str, Any], done: int) -> None:
    """Record that the first `done` samples are on disk."""
    (folder / "progress.json").write_text(json.dumps(settings | {"done": done}), encoding="utf-8")


def settings_of(grower: Grower, count: int) -> dict[str, Any]:
    """What the samples depend on."""
    return {
        "model": grower.engine.info.name,
        "digest": grower.engine.digest,
        "settings": {k: v for k, v in grower.settings.items() if v is not None},
        "rng_seed": grower.rng_seed,
        "samples": count,
    }


def batches(done: int, count: int, batch: int, name: str) -> Iterator[tuple[int, int]]:
    """Start and size of the batches that are left."""
    with tqdm(total=count, initial=done, desc=name) as bar:
        for start in range(done, count, batch):
            size = min(batch, count - start)
            yield start, size
            bar.update(size)


def write_balanced(grower: Grower, folder: Path, count: int, batch: int) -> np.ndarray:
    """Samples of every class in turn, uint8 [N(, F), H, W, 3], in `samples.npy`.

    Sample i is of class i modulo the number of classes and of random seed `rng_seed + i`, whatever
    the batch size.
    """
    info, path = grower.engine.info, folder / "samples.npy"
    settings = settings_of(grower, count)
    done = continued(folder, settings)
    frames = (info.frames,) if info.media == "video" else ()
    shape = (count, *frames, *info.size, 3)
    out = (
        np.lib.format.open_memmap(path, "r+")
        if done
        else np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    )
    for start, size in batches(done, count, batch, info.name):
        classes = [(start + i) % len(info.labels) for i in range(size)]
        video = grower.grow(classes, number=start)
        out[start : start + size] = video if frames else video[:, 0]
        out.flush()
        note_progress(folder, settings, start + size)
    return out


def as_npz(folder: Path) -> Path:
    """`samples.npy` as the one array `arr_0` of `samples.npz`, the ADM evaluator's form."""
    with zipfile.ZipFile(folder / "samples.npz", "w", zipfile.ZIP_STORED, allowZip64=True) as file:
        file.write(folder / "samples.npy", "arr_0.npy")
    return folder / "samples.npz"


def write_geneval(
    grower: Grower, folder: Path, count: int, batch: int, source: Path
) -> dict[str, Any]:
    """`count` pictures of every GenEval prompt in GenEval's layout.

    Each prompt has a folder `00000`, `00001`, ... with its line in `metadata.jsonl` and pictures
    `samples/0000.png`, ...
    """
    if not source.is_file():
        raise ValueError(
            f"reference: got {source}, expected GenEval's prompts/{PROMPTS_FILE} "
            "(from its repository, djghosh13/geneval)"
        )
    lines = [x for x in source.read_text(encoding="utf-8").splitlines() if x.strip()]
    settings = settings_of(grower, count)
    done = continued(folder, settings)
    for index, _ in batches(done, len(lines), 1, grower.engine.info.name):
        place = folder / f"{index:05d}"
        shutil.rmtree(place, ignore_errors=True)
        (place / "samples").mkdir(parents=True)
        (place / "metadata.jsonl").write_text(lines[index], encoding="utf-8")
        prompt = json.loads(lines[index])["prompt"]
        for start in range(0, count, batch):
            size = min(batch, count - start)
            for i, pixels in enumerate(grower.grow([prompt] * size, number=start)[:, 0]):
                Image.fromarray(pixels).save(place / "samples" / f"{start + i:04d}.png")
        note_progress(folder, settings, index + 1)
    return {"samples": str(folder), "prompts": len(lines)}


def scored(score: Callable[[], dict[str, float]], table: int) -> tuple[dict[str, float], str]:
    """Scores and a note, or no scores and why, with how to get them."""
    try:
        return score(), f"as published: {HOW[table]}"
    except ImportError as error:
        return {}, f"not scored here, {error.name} is not installed; {HOW[table]}"
    except Exception as error:
        # Mostly feature weights that cannot be downloaded; the samples are made all the same.
        log.warning("scoring failed", exc_info=error)
        return {}, f"not scored here ({type(error).__name__}: {error}); {HOW[table]}"


class Pictures(torch.utils.data.Dataset):
    """Pictures uint8 [N, H, W, 3] one by one, uint8 [3, H, W]."""

    def __init__(self, pixels: np.ndarray):
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.pixels[index].copy()).permute(2, 0, 1)


def score_pictures(samples: np.ndarray, reference: str | None, device) -> dict[str, float]:
    """Inception score, and against a folder of real pictures FID, precision and recall."""
    from torch_fidelity import calculate_metrics  # pyright: ignore[reportMissingImports]

    found = calculate_metrics(
        input1=Pictures(samples),
        input2=reference,
        cuda=torch.device(device).type == "cuda",
        isc=True,
        fid=reference is not None,
        prc=reference is not None,
        samples_find_deep=True,
        save_cpu_ram=True,
        verbose=False,
    )
    names = {
        "inception_score": "inception_score_mean",
        "fid": "frechet_inception_distance",
        "precision": "precision",
        "recall": "recall",
    }
    return {name: float(found[key]) for name, key in names.items() if key in found}


def score_clips(samples: np.ndarray, reference: str | None, device) -> dict[str, float]:
    """FVD by I3D features against real clips."""
    from cdfvd import fvd  # pyright: ignore[reportMissingImports]

    if reference is None:
        raise ValueError("reference: expected an .npy of real clips")
    real = np.load(reference, mmap_mode="r")
    judge = fvd.cdfvd("i3d", n_real="full", n_fake="full", device=str(device))
    return {"fvd": float(judge.compute_fvd(real, samples))}
