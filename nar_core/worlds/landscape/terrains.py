"""The six terrains: how each one raises its ground, covers it and plants it."""

from __future__ import annotations

import numpy as np

from .ground import (
    RADIUS,
    SIZE,
    Ground,
    Kind,
    fit_skyline,
    grid,
    ridges,
    slope_of,
    unit,
    with_lake,
)
from .noise import circle, noise, smoothstep
from .trees import Shape


def scatter(
    rng: np.random.Generator,
    chance: np.ndarray,
    count: int,
    near: float,
    far: float,
    shapes: tuple[Shape, ...],
    heights: tuple[float, float],
) -> np.ndarray:
    """At most `count` trees [n, 4] from `near` to `far`, kept as often as the map `chance` says."""
    r = near + (far - near) * rng.random(count) ** 1.1
    a = rng.uniform(0, 2 * np.pi, count)
    x, y = r * np.cos(a), r * np.sin(a)
    column = (x + SIZE / 2).astype(int)
    row = (y + SIZE / 2).astype(int)
    kept = rng.random(count) < chance[row, column]
    tall = rng.uniform(*heights, count)
    shape = np.array([int(s) for s in shapes])[rng.integers(len(shapes), size=count)]
    return np.stack([x, y, tall, shape], 1)[kept].astype(np.float32)


def meadow(rng: np.random.Generator, height, slope) -> tuple[np.ndarray, np.ndarray]:
    """Kinds and tones of grass with patches of other grass and flowers."""
    patch = noise(rng, SIZE, 5, 60, 1.3)
    kind = np.where(patch > 0.5, Kind.MEADOW, Kind.GRASS).astype(np.uint8)
    kind[(patch < -0.9) & (slope < 0.3)] = Kind.FLOWER
    kind[height < 0.55] = Kind.SAND
    return kind, 0.5 * noise(rng, SIZE, 6, 120, 1.0)


def mountains(rng: np.random.Generator, lake: bool) -> Ground:
    r, theta, _ = grid()
    base = unit(noise(rng, SIZE, 2, 8, 1.4))
    ridge = ridges(rng, 4, 5, 0.5)
    reach = r + 22 * circle(rng, theta, 5) + 8 * noise(rng, SIZE, 3, 9, 1)
    rise = smoothstep(50, 165, reach) * smoothstep(RADIUS + 4, 215, r)
    eye = rng.uniform(4.5, 7)
    height = rise * (10 + 22 * base + 62 * ridge * (0.45 + 0.55 * base))
    height = fit_skyline(height, r, eye, rng.uniform(0.24, 0.34))
    height += 1.8 + 1.1 * noise(rng, SIZE, 5, 30, 1.6) * smoothstep(4, 30, r)
    height = np.maximum(height, 0.8)
    if lake:
        height = with_lake(rng, height, r, theta, 16, 78)
    slope = slope_of(height)
    kind, tone = meadow(rng, height, slope)
    rough = noise(rng, SIZE, 8, 90, 1.0)
    rock = slope + 0.16 * rough + 0.008 * (height - 30)
    kind[(rock > 0.62) & (r > 40)] = Kind.ROCK
    kind[(rock > 0.5) & (rock <= 0.62) & (height > 18)] = Kind.SCREE
    top = max(float(height.max()), 1)
    snow = 0.12 + 0.88 * height / top + 0.05 * rough - 0.14 * np.clip(slope - 0.8, 0, 1)
    snow = np.clip(snow, 0, 1)
    wood = noise(rng, SIZE, 6, 30, 1.0)
    firs = (Shape.CONIFER,)
    fits = (slope < 0.8) & (height > 1.0) & (height < 0.36 * top)
    trees = np.concatenate(
        [
            scatter(
                rng, fits * smoothstep(0.2, 1.2, wood), 2600, 40, 150, (Shape.CONIFER,), (5, 9)
            ),
            scatter(rng, fits * 0.5 * (wood > 0), 60, 22, 60, firs, (6, 10)),
            scatter(rng, fits * 0.5, 40, 12, 50, (Shape.BOULDER, Shape.BUSH), (0.7, 2)),
        ]
    )
    return Ground(height, kind, tone, snow, eye, trees)


def hills(rng: np.random.Generator, lake: bool) -> Ground:
    r, theta, _ = grid()
    roll = unit(noise(rng, SIZE, 3, 12, 1.9))
    rise = smoothstep(15, 130, r + 12 * circle(rng, theta, 4)) * smoothstep(RADIUS + 4, 205, r)
    eye = rng.uniform(5, 8)
    height = fit_skyline(rise * (4 + 30 * roll), r, eye, rng.uniform(0.09, 0.15))
    height += 2 + 1.2 * noise(rng, SIZE, 4, 16, 1.6) * smoothstep(4, 40, r)
    height = np.maximum(height, 0.8)
    if lake:
        height = with_lake(rng, height, r, theta, 15, 62)
    slope = slope_of(height)
    kind, tone = meadow(rng, height, slope)
    fields = noise(rng, SIZE, 4, 12, 0.8)
    kind[(fields > 0.6) & (height > 1) & (r > 40)] = Kind.MEADOW
    snow = np.clip(0.3 + 0.1 * tone - 0.2 * slope, 0.02, 1)
    groves = noise(rng, SIZE, 8, 30, 0.8)
    oaks = (Shape.ROUND,)
    fits = (height > 1) & (slope < 0.9)
    trees = np.concatenate(
        [
            scatter(rng, fits * smoothstep(0.9, 1.6, groves), 1500, 45, 190, oaks, (3.5, 6)),
            scatter(rng, fits * 1.0, 60, 30, 130, oaks, (4, 7)),
            scatter(rng, fits * 0.6, 50, 12, 60, (Shape.BUSH,), (0.8, 1.8)),
        ]
    )
    return Ground(height, kind, tone, snow, eye, trees)


def forest(rng: np.random.Generator, lake: bool) -> Ground:
    r, theta, _ = grid()
    roll = unit(noise(rng, SIZE, 3, 12, 1.9))
    rise = smoothstep(20, 150, r + 14 * circle(rng, theta, 4)) * smoothstep(RADIUS + 4, 190, r)
    eye = rng.uniform(4, 6)
    height = fit_skyline(rise * (6 + 24 * roll), r, eye, rng.uniform(0.08, 0.14))
    height += 1.8 + 0.7 * noise(rng, SIZE, 5, 24, 1.6) * smoothstep(4, 30, r)
    height = np.maximum(height, 0.8)
    if lake:
        height = with_lake(rng, height, r, theta, 11, 42)
    slope = slope_of(height)
    kind, tone = meadow(rng, height, slope)
    snow = np.clip(0.3 + 0.1 * tone, 0.02, 1)
    clearing = (52 if lake else 30) * (1 + 0.25 * circle(rng, theta, 8))
    fits = (height > 0.9) * smoothstep(0, 10, r - clearing)
    kind[(fits > 0.5) & (height > 0.9)] = Kind.FLOOR
    mix = [
        (Shape.ROUND,),
        (Shape.ROUND, Shape.CONIFER),
        (Shape.CONIFER, Shape.CONIFER, Shape.ROUND),
    ]
    shapes = mix[rng.integers(3)]
    trees = np.concatenate(
        [
            scatter(rng, fits, 1900, 26, 95, shapes, (8, 13)),
            scatter(rng, fits, 1500, 80, 225, shapes, (8, 12)),
            scatter(rng, (height > 0.9) * 0.35, 36, 15, 40, shapes, (8, 12)),
            scatter(rng, (height > 0.9) * 0.8, 110, 10, 50, (Shape.BUSH,), (0.8, 2)),
        ]
    )
    return Ground(height, kind, tone, snow, eye, trees)


def islands(rng: np.random.Generator, lake: bool) -> Ground:
    """Islands all around in the sea; `lake` says nothing here."""
    r, theta, x = grid()
    axis = np.arange(SIZE, dtype=np.float32) - SIZE / 2 + 0.5
    y = axis[:, None]
    height = np.full((SIZE, SIZE), -9, np.float32)
    bend = noise(rng, SIZE, 6, 30, 1.6), noise(rng, SIZE, 6, 30, 1.6)
    count = int(rng.integers(13, 18))
    for i in range(count):
        a = 2 * np.pi * (i + rng.uniform(-0.3, 0.3)) / count
        distance = rng.uniform(50, 200)
        cx, cy = distance * np.cos(a), distance * np.sin(a)
        along = distance * rng.uniform(0.16, 0.4)
        across = along * rng.uniform(0.4, 0.8)
        coast = 0.16 * along
        t = (x - cx) * np.float32(-np.sin(a)) + (y - cy) * np.float32(np.cos(a)) + coast * bend[0]
        d = (x - cx) * np.float32(np.cos(a)) + (y - cy) * np.float32(np.sin(a)) + coast * bend[1]
        bump = np.exp(-((t / along) ** 2) - (d / across) ** 2)
        height = np.maximum(height, bump * (11 + distance * rng.uniform(0.03, 0.17)) - 9)
    rough = noise(rng, SIZE, 5, 60, 1.5)
    height += rough * 1.8 * smoothstep(-9, 2, height) * (0.4 + r / 160)
    height += (ridges(rng, 7, 4, 0.5) - 0.4) * 0.9 * np.clip(height, 0, 40)
    eye = rng.uniform(5, 9)
    shore = rng.random() < 0.6
    if shore:
        beach = 12 * (1 + 0.8 * circle(rng, theta, 7))
        height = np.maximum(height, 1.5 * smoothstep(4, -4, r - beach) - 0.75)
    height *= smoothstep(RADIUS + 4, 225, r) * (height > 0) + (height <= 0)
    slope = slope_of(height)
    kind, tone = meadow(rng, height - 0.5 - 0.006 * r, slope)
    kind[(slope > 1.2 + 0.2 * rough) & (height > 1)] = Kind.ROCK
    snow = np.clip(0.16 - 0.1 * slope, 0, 1)
    snow[height < 0.5] = 0
    groves = noise(rng, SIZE, 8, 40, 0.8)
    shapes = (Shape.PALM, Shape.PALM, Shape.BUSH) if rng.random() < 0.6 else (Shape.ROUND,)
    fits = (height > 1.6) & (slope < 1.2)
    trees = np.concatenate(
        [
            scatter(rng, fits * smoothstep(-0.3, 1, groves), 3000, 40, 215, shapes, (3.5, 6)),
            scatter(rng, (height > 0.3) * 0.3, 40, 9, 30, (Shape.BUSH, Shape.BOULDER), (0.7, 1.6)),
        ]
    )
    return Ground(height, kind, tone, snow, eye, trees)


def dunes(rng: np.random.Generator, length: float, bend: float) -> np.ndarray:
    """Dunes [SIZE, SIZE], 0..1: a long rise on the windward side, a sharp crest, a steep lee."""
    _, _, x = grid()
    y = (np.arange(SIZE, dtype=np.float32) - SIZE / 2)[:, None]
    wind = rng.uniform(0, 2 * np.pi)
    phase = (x * np.float32(np.cos(wind)) + y * np.float32(np.sin(wind))) / length
    t = (phase + bend * noise(rng, SIZE, 2, 10, 1.5)) % 1
    rise = np.minimum(t / 0.7, (1 - t) / 0.3)
    rise = rise * rise * (2 - rise)
    return rise * (0.35 + 0.65 * unit(noise(rng, SIZE, 3, 12, 1.2)))


def desert(rng: np.random.Generator, lake: bool) -> Ground:
    r, theta, _ = grid()
    eye = rng.uniform(6, 9)
    rise = smoothstep(18, 110, r + 10 * circle(rng, theta, 5)) * smoothstep(RADIUS + 4, 210, r)
    height = rise * (26 * dunes(rng, rng.uniform(60, 85), 0.5) + 8 * dunes(rng, 30, 0.4))
    height = fit_skyline(height, r, eye, rng.uniform(0.08, 0.17))
    height += 2 + 1.6 * dunes(rng, 26, 0.4) * smoothstep(3, 25, r)
    if lake:
        height = with_lake(rng, height, r, theta, 15, 44)
    kind = np.full((SIZE, SIZE), Kind.SAND, np.uint8)
    tone = 0.25 * noise(rng, SIZE, 4, 80, 1.2)
    scrub = noise(rng, SIZE, 8, 60, 1)
    # Snow in patches only: a desert all white is no desert any more.
    snow = np.clip(0.03 * (scrub - 0.3), 0, 0.02)
    bank = (height > 0.6) & (height < 2.4)
    plants = [scatter(rng, (height > 0.8) * 0.5, 46, 13, 110, (Shape.CACTUS, Shape.BUSH), (1, 3.4))]
    if lake:
        kind[bank & (r < 60) & (scrub > -0.2)] = Kind.MEADOW
        plants.append(scatter(rng, bank * 0.8, 130, 16, 64, (Shape.PALM,), (3.5, 6.5)))
        plants.append(scatter(rng, bank * 0.8, 130, 14, 64, (Shape.BUSH,), (0.8, 2)))
    return Ground(height, kind, tone, snow, eye, np.concatenate(plants))


def canyon(rng: np.random.Generator, lake: bool) -> Ground:
    r, theta, _ = grid()
    eye = rng.uniform(5, 8)
    v = noise(rng, SIZE, 3, 14, 1.2) * 0.8 + 0.16 * noise(rng, SIZE, 12, 90, 1.2)
    v += 1.9 * smoothstep(40, 170, r + 18 * circle(rng, theta, 6)) - 1.15
    height = np.zeros((SIZE, SIZE), np.float32)
    steps = ((0.0, 10), (0.28, 17), (0.75, 9), (1.0, 16), (1.6, 14))
    for level, rise in steps:
        height += rise * (0.82 * smoothstep(level, level + 0.07, v))
        height += rise * 0.18 * smoothstep(level - 0.35, level, v)
    height *= smoothstep(24, 50, r) * smoothstep(RADIUS + 4, 225, r)
    height = fit_skyline(height, r, eye, rng.uniform(0.2, 0.32))
    height += 1.6 + 0.5 * noise(rng, SIZE, 5, 30, 1.5)
    height = np.maximum(height, 0.7)
    if lake:
        height = with_lake(rng, height, r, theta, 13, 60)
    slope = slope_of(height)
    kind = np.where(slope > 0.5, Kind.STRATA, Kind.FLOOR).astype(np.uint8)
    kind[(height > 8)] = Kind.STRATA
    scrub = noise(rng, SIZE, 6, 60, 1)
    kind[(scrub > 1.1) & (slope < 0.25) & (height < 6)] = Kind.MEADOW
    tone = 0.35 * noise(rng, SIZE, 6, 100, 1.1)
    snow = np.clip(0.03 * (scrub + 0.4 - 2 * slope), 0, 0.02)
    fits = (slope < 0.4) & (height > 0.9) & (height < 7)
    trees = np.concatenate(
        [
            scatter(rng, fits * 0.6, 90, 12, 110, (Shape.BUSH,), (0.8, 2)),
            scatter(rng, fits * 0.4, 24, 14, 70, (Shape.BOULDER,), (0.8, 2.4)),
        ]
    )
    return Ground(height, kind, tone, snow, eye, trees)


RAISE = {
    "mountains": mountains,
    "hills": hills,
    "islands": islands,
    "desert": desert,
    "canyon": canyon,
    "forest": forest,
}
