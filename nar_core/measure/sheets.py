"""Contact sheets and growth strips: pictures to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from ..picture import tiled
from ..video import write_animated
from ..worlds import WORLDS
from ..writing import save_picture, whole_file
from .growing import Grower, main_of, places_of, starts_of
from .items import TrainingPictures

Rows = Sequence[tuple[str, Sequence[np.ndarray]]]
"""Groups of pictures or clips of one size, uint8 [F, h, w, 3], each group under its prompt."""


def drawn_prompts(grower: Grower, train: TrainingPictures | None, count: int) -> list[str]:
    """`count` classes, training names, or prompts of a world at random.

    Every other prompt of a world is one that training never shows. Raises ValueError for another
    text model without its training folder.
    """
    rng, info = np.random.default_rng(grower.rng_seed), grower.engine.info
    if info.task == "class":
        return [str(x) for x in rng.choice(info.labels, min(count, len(info.labels)), False)]
    if info.world:
        world = WORLDS[info.world]()
        draws = (world.draw, world.draw_held_out)
        return [world.say(draws[i % 2](rng)) for i in range(count)]
    if train is None:
        raise ValueError("evaluate: a sheet of training names needs --data, the training folder")
    return train.draw(count, rng)


def contact_sheet(
    grower: Grower, path: Path, prompts: Sequence[str], train: TrainingPictures | None = None
) -> dict[str, Any]:
    """Per prompt what it should look like, and growth from the corner, the centre and any cell.

    Of a model that starts in the corner growth from there alone.

    It should look like a rendering of what the model is told, arranged alike, or, with `train`,
    like the nearest of what the model was trained on, by mean squared distance at 32 px to the
    picture grown from the centre, or from where the model starts.
    """
    info = grower.engine.info
    world = WORLDS[info.world]() if info.world else None
    rng = np.random.default_rng((grower.rng_seed, 3))
    places, rows, distances = places_of(grower.engine), [], []
    for i, prompt in enumerate(tqdm(prompts, desc="sheet")):
        seeds = starts_of(grower.engine, rng)
        grown = [grower.grow([prompt], seeds[place], i)[0] for place in places]
        near = []
        if world:
            ways = world.arrangements(world.understand(prompt).facts)
            near = [world.render(ways[(grower.rng_seed + i) % len(ways)], rng)]
        elif train is not None:
            gaps = train.distances(grown[places.index(main_of(places))])
            distances.append(float(gaps.min()))
            near = [train.pixels[gaps.argmin()]]
        rows.append((prompt, near + grown))
    heads = ["rendering"] if world else ["nearest training picture"] if train else []
    heads += ["any cell" if place == "any" else place for place in places]
    out = save_sheet(path, rows, heads, info.fps) | {"prompts": list(prompts)}
    if distances:
        out["nearest_rmse"] = [round(d**0.5, 4) for d in distances]
    return out


def world_sheet(
    name: str, path: Path, count: int, rng_seed: int = 0, held_out: bool = False
) -> dict[str, Any]:
    """What a world makes, each picture or clip under its prompt."""
    world, rng = WORLDS[name](), np.random.default_rng(rng_seed)
    rows = []
    for _ in tqdm(range(count), desc=name):
        facts = (world.draw_held_out if held_out else world.draw)(rng)
        rows.append((world.say(facts, rng), [world.render(facts, rng)]))
    return save_sheet(path, rows, [""], columns=8)


def save_sheet(
    path: Path, rows: Rows, heads: Sequence[str], fps: int = 0, columns: int = 2
) -> dict[str, str]:
    """Write a sheet; clips as moments side by side, and all of them moving in a GIF beside it."""
    frames = len(rows[0][1][0])
    out = {"sheet": str(path)}
    if frames == 1:
        sheet = draw_sheet([(p, [x[0] for x in shown]) for p, shown in rows], heads, columns)
        save_picture(sheet, path)
        return out
    moments = np.linspace(0, frames - 1, 5).round().astype(int)
    strips = [(p, [np.concatenate(list(x[moments]), 1) for x in shown]) for p, shown in rows]
    save_picture(draw_sheet(strips, heads, max(1, columns // 4)), path)
    moving = [
        draw_sheet([(p, [x[f] for x in shown]) for p, shown in rows], heads, columns)
        for f in range(frames)
    ]
    out["moving"] = str(path.with_suffix(".gif"))
    with whole_file(Path(out["moving"])) as part:
        write_animated(part, "GIF", moving, 1000 / (fps or 8))
    return out


def growth_strips(grower: Grower, path: Path, prompts: Sequence[str] = ()) -> dict[str, Any]:
    """A row per prompt: seven steps of its growth, from several seeds in turn.

    Of a clip five rows, in which time goes down.
    """
    engine, shown = grower.engine, 7
    info = engine.info
    prompts = list(prompts) or list(info.prompts or info.labels)[:4]
    _, high, wide = info.grid
    seeds = [
        (0, 0, 0),
        (0, high // 2, wide // 2),
        (0, high - 1, wide // 2),
        (0, high // 3, wide - 1),
    ]
    if info.seed_positions == "corner":
        seeds = seeds[:1]
    moments = np.linspace(0, info.frames - 1, min(info.frames, 5)).round().astype(int)
    rows = []
    for row, prompt in enumerate(prompts):
        frames = list(grower.frames([prompt], seeds[row % len(seeds)], row))
        steps = np.linspace(min(1, len(frames) - 1), len(frames) - 1, shown).round().astype(int)
        columns = [engine.preview(frames[i].tokens, full=True)[0] for i in steps]
        rows += [[column[moment] for column in columns] for moment in moments]
    save_picture(tiled(rows, 8), path)
    return {"growth": str(path), "growth_prompts": prompts}


def draw_sheet(rows: Rows, heads: Sequence[str], columns: int) -> Image.Image:
    """Groups of pictures uint8 [h, w, 3] over their prompt, `columns` groups beside each other."""
    gap, letter, line = 8, 6.2, 15
    side, each = rows[0][1][0].shape[0], rows[0][1][0].shape[1] + gap
    wide = len(heads) * each + 2 * gap
    told = [textwrap.wrap(prompt, int((wide - 2 * gap) / letter)) for prompt, _ in rows]
    tall = side + 2 * gap + line * max(map(len, told))
    top = 24 if any(heads) else gap
    font = ImageFont.load_default(12)
    size = (columns * wide, top + -(-len(rows) // columns) * tall)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        for j, head in enumerate(heads):
            draw.text((column * wide + gap + j * each, 6), head, "#54575e", font)
    for i, (lines, (_, pictures)) in enumerate(zip(told, rows, strict=True)):
        x, y = i % columns * wide + gap, top + i // columns * tall
        for j, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture), (x + j * each, y))
        draw.text((x, y + side + 4), "\n".join(lines), "#191a1d", font)
    return sheet
