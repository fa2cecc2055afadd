"""What a viewer sees of a land, before any light: for every pixel what is there and how it faces.

One turn of the camera is TURN columns on a cylinder. Everything is kept at twice the size of the
picture in both directions and averaged after the light, so that edges are smooth. Directions are
local to a column: outwards from the viewer, to the right, up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from .ground import RADIUS, SIZE, Ground, Kind
from .noise import bilinear, noise
from .trees import VARIANTS, Shape, sprites

ROWS = 256
TURN = 1792
FOCAL = TURN / (2 * np.pi)  # pixels per radian, and per unit of slope
SUNS = 6  # directions from which the sun may shine, evenly around
SUN_STEPS = 170.0  # steps of `shade` per unit of slope

PIXEL = np.dtype(
    [
        ("kind", np.uint8),
        ("tone", np.int8),  # -127 dark to 127 light
        ("snow", np.uint8),  # 0 never, 255 first
        ("layer", np.uint8),  # SKY, LAND, or WATER (then the rest is what it reflects)
        ("normal", np.int8, 3),  # outwards, right, up; times 127
        ("shade", np.uint8, SUNS),  # how high the sun must stand, per direction
        ("near", np.float16),  # distance of what is hit
        ("far", np.float16),  # the same, but in water of what is mirrored
    ]
)
SKY, LAND, WATER, WATER_SKY = range(4)


@dataclass
class Scene:
    """The pixels of a strip of view, [ROWS, columns] of PIXEL; its horizon is row `horizon`."""

    pixels: np.ndarray
    first: int  # column of the turn at which the strip begins
    horizon: int


def sun_slopes(height: np.ndarray) -> np.ndarray:
    """How high the sun must stand to reach each point, uint8 [SIZE / 2, SIZE / 2, SUNS]."""
    h = height[::2, ::2]
    out = np.empty((*h.shape, SUNS), np.uint8)
    for k in range(SUNS):
        a = 2 * np.pi * k / SUNS
        slope = np.zeros_like(h)
        for s in (2, 4, 6, 9, 13, 19, 27, 38):
            dx, dy = round(np.cos(a) * s), round(np.sin(a) * s)
            ahead = np.roll(h, (-dy, -dx), (0, 1))
            slope = np.maximum(slope, (ahead - h) / np.float32(2 * np.hypot(dx, dy)))
        out[..., k] = np.clip(slope * SUN_STEPS, 0, 255)
    return out


def distances(eye: float) -> np.ndarray:
    """Distances of the rings of samples: a row of pixels apart near by, then ever wider."""
    z = [max(eye - 3, 1.5) * FOCAL / 140]
    while z[-1] < RADIUS:
        z.append(z[-1] + min(z[-1] ** 2 * 0.7 / (eye * FOCAL), z[-1] * 0.013))
    return np.array([*z, 320, 450, 800, 2000, 9000], np.float32)


def first_hit(elevation: np.ndarray, horizon: int) -> np.ndarray:
    """Index of the first ring that covers each pixel, int [ROWS, columns]; rings + 0 where none.

    `elevation` [rings, columns] is in pixels above the horizon.
    """
    rings, columns = elevation.shape
    top = np.ceil(horizon - np.maximum.accumulate(elevation, 0) - 0.5)
    top = np.clip(top, 0, ROWS).astype(np.int32)
    top *= columns
    top += np.arange(columns, dtype=np.int32)
    counts = np.bincount(top.ravel(), minlength=(ROWS + 1) * columns)
    return rings - np.cumsum(counts.reshape(ROWS + 1, columns), 0)[:ROWS]


@dataclass
class Rings:
    """A land sampled at growing distances `z` [rings] in every direction `angles` [columns]."""

    cells: np.ndarray  # PIXEL [rings, columns]
    height: np.ndarray  # float32 [rings, columns], water at 0
    wet: np.ndarray  # bool [rings, columns]
    z: np.ndarray
    angles: np.ndarray
    eye: float  # height of the viewer's eye

    def slope_to(self, height: np.ndarray) -> np.ndarray:
        """Pixels above the horizon of points `height` above the eye, one per ring and column."""
        return height / self.z[:, None] * np.float32(FOCAL)


def look(rng: np.random.Generator, ground: Ground, first: int, columns: int) -> Scene:
    """The view of `columns` columns of the turn, from column `first` on."""
    horizon = 2 * int(rng.integers(55, 65))
    fine = noise(rng, 256, 6, 90, 0.9)
    angles = ((first + np.arange(columns)) / FOCAL).astype(np.float32)
    shade = sun_slopes(ground.height)
    rings = survey(ground, shade, fine, angles)
    hit = first_hit(rings.slope_to(rings.height - rings.eye), horizon)
    pixels = see(rings.cells, hit)
    band(pixels, rings.eye, horizon)
    if rings.wet.any():
        mirror(rng, rings, hit, pixels, horizon)
    plant(rng, ground, shade, rings, pixels, horizon)
    return Scene(pixels, first, horizon)


def survey(ground: Ground, shade: np.ndarray, fine: np.ndarray, angles: np.ndarray) -> Rings:
    """The land around its middle; `shade` is of `sun_slopes`, `fine` a noise for what is near."""
    middle = ground.height[SIZE // 2 - 6 : SIZE // 2 + 6, SIZE // 2 - 6 : SIZE // 2 + 6].max()
    eye = max(ground.eye, float(middle) + 2.6)
    z = distances(eye)
    known = int(np.searchsorted(z, RADIUS))  # rings on the map; beyond, all is as at its edge
    x = np.outer(z[:known], np.cos(angles)) + np.float32(SIZE / 2 - 0.5)
    y = np.outer(z[:known], np.sin(angles)) + np.float32(SIZE / 2 - 0.5)
    detail = bilinear(fine, x * 3, y * 3)
    height = np.empty((len(z), len(angles)), np.float32)
    height[:known] = bilinear(ground.height, x, y)
    height[known:] = ground.height[SIZE // 2, 3]
    wet = height <= 0
    bump = np.clip(1 - z[:known, None] / 60, 0, 1) * 0.03
    height[:known] += detail * bump * ~wet[:known]
    np.maximum(height, 0, out=height)

    cells = np.empty(height.shape, PIXEL)
    # Nearest cells, at wavy places: near by a cell is many pixels wide and its edges would show.
    wave = np.clip(2 - z[:known, None] / 30, 0.4, 2) * 0.35
    u = np.clip(x + detail * wave + 0.5, 0, SIZE - 1).astype(np.int32)
    v = np.clip(y - detail * wave + 0.5, 0, SIZE - 1).astype(np.int32)
    at = v * SIZE + u
    cells["kind"][:known] = ground.kind.ravel().take(at)
    tone = ground.tone.ravel().take(at) + 0.3 * detail
    cells["tone"][:known] = np.clip(tone * 60, -127, 127)
    cells["snow"][:known] = np.clip(ground.snow * 255, 0, 255).astype(np.uint8).ravel().take(at)
    at = (v // 2) * (SIZE // 2) + u // 2
    cells["shade"][:known] = shade.reshape(-1, SUNS).take(at, 0)
    cells[known:] = cells[known - 1]
    cells["layer"] = LAND
    outwards = np.negative(np.gradient(height, z, axis=0))
    right = np.gradient(-height, axis=1) * (np.float32(FOCAL) / z[:, None])
    up = 127 / np.sqrt(outwards**2 + right**2 + 1)
    cells["normal"] = np.stack([outwards * up, right * up, up], -1)
    cells["near"] = cells["far"] = z[:, None]
    return Rings(cells, height, wet, z, angles, eye)


def band(pixels: np.ndarray, eye: float, horizon: int) -> None:
    """Give rock in layers its bands, by the height of every pixel: cliffs have few cells."""
    above = horizon - np.arange(ROWS, dtype=np.float32)[:, None] - 0.5
    height = eye + above * pixels["near"].astype(np.float32) / np.float32(FOCAL)
    bands = np.sin(height * 0.62) + 0.7 * np.sin(height * 1.43 + 1) + 0.012 * pixels["tone"]
    strata = pixels["kind"] == Kind.STRATA
    pixels["tone"][strata] = np.clip(bands * 62, -127, 127)[strata]


def see(cells: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """The cell [rings, columns] behind every pixel; SKY where `hit` is past the last ring."""
    rings, columns = cells.shape
    flat = np.minimum(hit, rings - 1) * columns + np.arange(columns)
    pixels = cells.ravel().take(flat)
    pixels["layer"][hit == rings] = SKY
    pixels["far"][hit == rings] = 6e4
    pixels["near"][hit == rings] = 6e4
    return pixels


def mirror(
    rng: np.random.Generator, rings: Rings, hit: np.ndarray, pixels: np.ndarray, horizon: int
) -> None:
    """Put into water pixels what they reflect: the view from as far below the water line."""
    count, columns = rings.wet.shape
    water = (hit < count) & np.take_along_axis(rings.wet, np.minimum(hit, count - 1), 0)
    rising = rings.slope_to(rings.height + rings.eye)
    # Of the row as far above the horizon as the water is below, a little off for the waves.
    rows = np.arange(ROWS)[:, None]
    below = np.clip(rows - horizon, 0, None).astype(np.float32)
    away = (2700 / (below + 6)).repeat(columns, 1)
    across = np.arange(columns) * np.float32(0.22) + 0 * away
    wave = bilinear(noise(rng, 256, 10, 60, 0.8), across, away) * np.minimum(below * 0.035, 2.2)
    source = np.clip(2 * horizon - 1 - rows + wave, 0, horizon - 1).astype(np.int32)
    # Land nearer than the water lies before the mirror, not in it. Islands are both, so pixels
    # for which the first land is too near look again at what stands behind all water.
    shore = np.argmax(rings.wet, 0)
    behind = count - 1 - np.argmax(rings.wet[::-1], 0)
    ring = np.arange(count)[:, None]
    found = np.full(hit.shape, count)
    for begin in (behind, shore):
        land = np.where(rings.wet | (ring <= begin), -1e6, rising)
        mirrored = first_hit(land, horizon)[source, np.arange(columns)]
        found = np.where((mirrored > hit) & (mirrored < count), mirrored, found)
    seen = see(rings.cells, found)
    seen["layer"] = np.where(found == count, WATER_SKY, WATER)
    seen["near"] = pixels["near"]
    pixels[water] = seen[water]


def plant(
    rng: np.random.Generator,
    ground: Ground,
    slopes: np.ndarray,
    rings: Rings,
    pixels: np.ndarray,
    horizon: int,
) -> None:
    """Put the trees into the view, and upside down into water; `slopes` are of `sun_slopes`."""
    total = pixels.shape[1]
    x, y, tall, shape = ground.trees.T
    distance = np.hypot(x, y)
    column = ((np.arctan2(y, x) - rings.angles[0]) * FOCAL) % TURN
    column = np.where(column > (TURN + total) / 2, column - TURN, column).astype(int)
    u, v = (x + SIZE / 2).astype(int), (y + SIZE / 2).astype(int)
    base = ground.height[v, u]
    shade = slopes[v // 2, u // 2]
    snow = (ground.snow[v, u] * 230).astype(int)
    rows = np.maximum(np.round(tall / distance * FOCAL), 2).astype(int)
    eye, wet = rings.eye, bool(rings.wet.any())
    top = np.round(horizon + (eye - base) / distance * FOCAL).astype(int) - rows + 1
    mirrored = np.round(horizon + (eye + base) / distance * FOCAL).astype(int)
    variant = rng.integers(VARIANTS, size=len(distance))
    seen = (base > 0.3) & (rows < 190) & (top < ROWS)
    seen &= (column > -rows) & (column < total + rows)
    near = pixels["near"]
    # The nearest first: most others are behind them and need not be put there at all.
    order = np.argsort(distance, kind="stable")
    for i in order[seen[order]]:
        if hidden(near, distance[i], column[i], top[i], rows[i]):
            continue
        plant = stamp(Shape(int(shape[i])), int(variant[i]), int(rows[i]))
        plant["near"] = plant["far"] = distance[i]
        plant["shade"] = shade[i]
        plant["snow"] = snow[i] * (plant["snow"] > 0)
        left = column[i] - plant.shape[1] // 2
        # A view all around goes on at its other end.
        lefts = (left,) if 0 <= left <= total - plant.shape[1] else (left, left + TURN, left - TURN)
        for left in lefts:
            place(pixels, plant, top[i], left)
        if wet and mirrored[i] < ROWS:
            for left in lefts:
                reflect(pixels, plant[::-1], mirrored[i], left)


def hidden(near: np.ndarray, distance, column: int, top: int, rows: int) -> bool:
    """Whether six points of a plant are all behind something, so that hardly any of it shows."""
    columns = near.shape[1]
    for y in (max(top, 0), min(max(top + rows // 2, 0), ROWS - 1)):
        for x in (column - rows // 5, column, column + rows // 5):
            if near[y, min(max(x, 0), columns - 1)] > distance:
                return False
    return True


@cache
def stamps(shape: Shape, variant: int) -> tuple[np.ndarray, ...]:
    """The sizes of a plant as pixels [rows, columns] of PIXEL; SKY where there is nothing."""
    out = []
    for s in sprites(shape, variant):
        p = np.zeros(s.solid.shape, PIXEL)
        p["kind"] = s.kind
        p["tone"] = np.clip(s.tone * 90, -127, 127)
        p["normal"] = s.normal * 127
        p["snow"] = s.normal[..., 2] > -0.2
        p["layer"] = np.where(s.solid, LAND, SKY)
        out.append(p)
    return tuple(out)


def stamp(shape: Shape, variant: int, rows: int) -> np.ndarray:
    """A plant `rows` pixels high, from the smallest size that is not smaller."""
    sizes = stamps(shape, variant)
    full = next((s for s in reversed(sizes) if s.shape[0] >= rows), sizes[0])
    columns = max(1, round(rows * full.shape[1] / full.shape[0]))
    y = ((np.arange(rows) + 0.5) * (full.shape[0] / rows)).astype(int)
    x = ((np.arange(columns) + 0.5) * (full.shape[1] / columns)).astype(int)
    return full[y[:, None], x]


def overlap(pixels: np.ndarray, stamped: np.ndarray, top: int, left: int):
    """The parts of `pixels` and of what is put there that lie on each other."""
    y, x = max(top, 0), max(left, 0)
    there = pixels[y : max(top + stamped.shape[0], 0), x : max(left + stamped.shape[1], 0)]
    return there, stamped[y - top :, x - left :][: there.shape[0], : there.shape[1]]


def place(pixels: np.ndarray, stamped: np.ndarray, top: int, left: int) -> None:
    """Put a plant where it is nearer than what is there."""
    there, part = overlap(pixels, stamped, top, left)
    solid = (part["layer"] == LAND) & (there["near"] > part["near"])
    there[solid] = part[solid]


def reflect(pixels: np.ndarray, stamped: np.ndarray, top: int, left: int) -> None:
    """Put a plant into water before it, where it is nearer than what is mirrored there."""
    there, part = overlap(pixels, stamped, top, left)
    solid = (part["layer"] == LAND) & (there["layer"] >= WATER)
    solid &= (there["near"] < part["near"]) & (there["far"] > part["far"])
    if solid.any():
        image = part[solid]
        image["layer"] = WATER
        image["near"] = there["near"][solid]
        there[solid] = image
