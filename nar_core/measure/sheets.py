"""Contact sheets and growth strips: pictures to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from .growing import Grower, seeds_of
from .items import TrainingPictures

Rows = Sequence[tuple[str, Sequence[np.ndarray]]]
"""Groups of pictures of one height, uint8 [h, w, 3], each group under its prompt."""


def drawn_prompts(grower: Grower, train: TrainingPictures | None, count: int) -> list[str]:
    """`count` classes or training names at random.

    Raises ValueError for a text model without its training folder.
    """
    rng, info = np.random.default_rng(grower.rng_seed), grower.engine.info
    if info.task == "class":
        return [str(x) for x in rng.choice(info.labels, min(count, len(info.labels)), False)]
    if train is None:
        raise ValueError("evaluate: a sheet of training names needs --data, the training folder")
    return train.draw(count, rng)


def contact_sheet(
    grower: Grower, path: Path, prompts: Sequence[str], train: TrainingPictures | None = None
) -> dict[str, Any]:
    """Per prompt the nearest training picture, and growth from two seeds.

    The nearest picture is that of what the model was trained on, by mean squared distance at 32 px
    to the picture grown from the centre. Clips are drawn as moments side by side, and all of them
    moving in a GIF beside the sheet.
    """
    info = grower.engine.info
    side = info.size[0]
    rows, distances = [], []
    for i, prompt in enumerate(tqdm(prompts, desc="sheet")):
        grown = [grower.grow([prompt], seed, i)[0] for seed in seeds_of(info.grid).values()]
        near = []
        if train is not None:
            gaps = train.distances(grown[1])
            distances.append(float(gaps.min()))
            near = [train.pixels[gaps.argmin()]]
        rows.append((prompt, near + grown))
    heads = (["nearest training picture"] if train is not None else []) + list(seeds_of(info.grid))
    out: dict[str, Any] = {"sheet": str(path), "prompts": list(prompts)}
    if info.frames == 1:
        draw_sheet([(p, [x[0] for x in shown]) for p, shown in rows], heads, side).save(path)
    else:
        moments = np.linspace(0, info.frames - 1, 5).round().astype(int)
        strips = [(p, [np.concatenate(list(x[moments]), 1) for x in shown]) for p, shown in rows]
        draw_sheet(strips, heads, side, columns=1).save(path)
        moving = [
            draw_sheet([(p, [x[f] for x in shown]) for p, shown in rows], heads, side)
            for f in range(info.frames)
        ]
        out["moving"] = str(path.with_suffix(".gif"))
        moving[0].save(
            out["moving"],
            save_all=True,
            append_images=moving[1:],
            duration=1000 / (info.fps or 8),
            loop=0,
        )
    if distances:
        out["nearest_rmse"] = [round(d**0.5, 4) for d in distances]
    return out


def growth_strips(
    grower: Grower, path: Path, prompts: Sequence[str] = (), shown: int = 7
) -> dict[str, Any]:
    """One strip per prompt: `shown` moments of its growth, from several seeds in turn."""
    engine, gap = grower.engine, 8
    info, side = engine.info, engine.info.size[0]
    prompts = list(prompts) or list(info.prompts or info.labels)[:4]
    _, high, wide = info.grid
    seeds = [
        (0, 0, 0),
        (0, high // 2, wide // 2),
        (0, high - 1, wide // 2),
        (0, high // 3, wide - 1),
    ]
    size = (gap + shown * (side + gap), gap + len(prompts) * (side + gap))
    sheet = Image.new("RGB", size, "white")
    for row, prompt in enumerate(prompts):
        frames = list(grower.frames([prompt], seeds[row % len(seeds)], row))
        moments = np.linspace(1, len(frames) - 1, shown).round().astype(int)
        for column, moment in enumerate(moments):
            picture = engine.preview(frames[moment].tokens, full=True)[0, 0]
            at = (gap + column * (side + gap), gap + row * (side + gap))
            sheet.paste(Image.fromarray(picture), at)
    sheet.save(path)
    return {"growth": str(path), "growth_prompts": prompts}


def draw_sheet(rows: Rows, heads: Sequence[str], side: int, columns: int = 2) -> Image.Image:
    """Groups of pictures under their prompt, `columns` groups beside each other."""
    gap, text = 8, 34
    each = rows[0][1][0].shape[1] + gap
    wide = len(heads) * each + 2 * gap
    tall = side + text + gap
    lines = -(-len(rows) // columns)
    font = ImageFont.load_default(12)
    sheet = Image.new("RGB", (columns * wide, 24 + lines * tall), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        for j, head in enumerate(heads):
            draw.text((column * wide + gap + j * each, 6), head, "#54575e", font)
    for i, (prompt, pictures) in enumerate(rows):
        x, y = i % columns * wide + gap, 24 + i // columns * tall
        for j, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (x + j * each, y))
        line = textwrap.shorten(prompt, 60, placeholder=" ...")
        draw.text((x, y + side + 4), line, "#191a1d", font)
    return sheet
