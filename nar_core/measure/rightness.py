"""Is what comes out what was asked for?"""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from .growing import Grower, places_of, starts_of
from .items import TrainingPictures


def recall(grower: Grower, train: TrainingPictures, count: int) -> dict[str, float]:
    """Training names drawn at random and grown: do they come out as they were seen?

    From the corner, from the centre, and from `any` seed position, eight names from each drawn; of
    a model that starts in the corner from there alone.

    Returns:
        For every kind of seed the share of names whose grown picture is nearest, among all training
        pictures, to one of its own name (`recall_*`), and its distance to that (`recall_rmse_*`,
        root of the mean squared distance at 32 px, 0 to 1).
    """
    names = train.draw(count, np.random.default_rng(grower.rng_seed))
    out: dict[str, float] = {"recall_names": len(names)}
    rng = np.random.default_rng((grower.rng_seed, 1))
    parts = range(0, len(names), 8)
    starts = [starts_of(grower.engine, rng) for _ in parts]
    for where in places_of(grower.engine):
        hits, gaps = [], []
        for i, seeds in tqdm(list(zip(parts, starts, strict=True)), desc=f"recall, {where}"):
            part = names[i : i + 8]
            for name, picture in zip(part, grower.grow(part, seeds[where], i), strict=True):
                distances = train.distances(picture)
                own = np.array([n == name for n in train.names])
                hits.append(bool(own[distances.argmin()]))
                gaps.append(float(distances[own].min()))
        out[f"recall_{where}"] = round(float(np.mean(hits)), 4)
        out[f"recall_rmse_{where}"] = round(float(np.mean(gaps)) ** 0.5, 4)
    return out
