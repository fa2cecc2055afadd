"""Light, season and weather: from the pixels of a scene to a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .cells import ids_of
from .facts import Complete
from .ground import Kind
from .noise import bilinear, noise, smoothstep
from .scene import (
    FOCAL,
    ROWS,
    SKY,
    SUN_STEPS,
    SUNS,
    TURN,
    WATER,
    WATER_SKY,
    Scene,
)


def rgb(text: str) -> np.ndarray:
    """A colour "rrggbb" as float32 [3], 0..1."""
    return np.array([int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)


@dataclass(frozen=True)
class Time:
    """Colours and strength of light at a time of day; the sun stands `sun_up` degrees high."""

    sun_up: float
    disc: float  # rows of the picture between horizon and disc; negative: none
    top: str
    middle: str
    horizon: str  # towards the sun
    away: str  # horizon away from the sun
    sun: str
    ambient: str
    sun_power: float
    cloud: str
    cloud_shade: str
    glow: float


TIMES = {
    "morning": Time(
        13, 17, "5f9bd2", "a6cde6", "ffe9c2", "dfe6ea", "ffdfa6", "a9b9cc", 1.0,
        "fff4e2", "c9c4cc", 0.55,
    ),
    "noon": Time(
        56, -1, "2a6dc4", "6aa9e2", "c3e2f4", "c3e2f4", "fff6e4", "a4b6c8", 0.7,
        "ffffff", "b4c2d2", 0.0,
    ),
    "sunset": Time(
        10, 6, "4a558f", "c9808a", "ff9a3c", "e79a7c", "ff9a4c", "a08696", 1.1,
        "ffb680", "8f5f80", 0.75,
    ),
    "dusk": Time(
        12, -1, "1f2754", "4d4583", "cf7590", "7a5c8c", "b87fa0", "6f689c", 0.55,
        "8a5f90", "3e3a6c", 0.25,
    ),
    "night": Time(
        30, 40, "070d26", "0f1b3d", "22386a", "1e3160", "a6bbe6", "43598e", 0.68,
        "2b3a66", "151f40", 0.3,
    ),
}  # fmt: skip

DISC = 4.6  # radius of sun and moon in pixels of the picture
SNOW = "eef3f9"
PALETTES = {
    "spring": {
        Kind.GRASS: "6c9644", Kind.MEADOW: "89a24f", Kind.FLOWER: "d6c25c", Kind.LEAF_A: "6fa53c",
        Kind.LEAF_B: "8fbf4c", Kind.LEAF_C: "e8b0c4", Kind.BUSH: "6c9c3c", Kind.FLOOR: "6f8a3e",
    },
    "summer": {
        Kind.GRASS: "5a8338", Kind.MEADOW: "7f9344", Kind.FLOWER: "738f42", Kind.LEAF_A: "35682c",
        Kind.LEAF_B: "477a30", Kind.LEAF_C: "2d5c33", Kind.BUSH: "41702f", Kind.FLOOR: "4f6a30",
    },
    "autumn": {
        Kind.GRASS: "938544", Kind.MEADOW: "a98a4a", Kind.FLOWER: "a1713a", Kind.LEAF_A: "cf7a22",
        Kind.LEAF_B: "b8481f", Kind.LEAF_C: "d9a52c", Kind.BUSH: "a8562a", Kind.FLOOR: "8f6230",
    },
    "winter": {
        Kind.GRASS: "a39a7c", Kind.MEADOW: "ab9f80", Kind.FLOWER: "a39a7c", Kind.LEAF_A: "7d6e62",
        Kind.LEAF_B: "877868", Kind.LEAF_C: "74675e", Kind.BUSH: "77695a", Kind.FLOOR: "84745e",
    },
}  # fmt: skip
ALWAYS = {
    Kind.ROCK: "857c74", Kind.SCREE: "968a78", Kind.SAND: "dcc391", Kind.STRATA: "c0703f",
    Kind.CONIFER: "2f5a38", Kind.TRUNK: "63493a", Kind.PALM: "4f8a3a", Kind.CACTUS: "55804a",
}  # fmt: skip
DRY = {Kind.SAND: "e6b56c", Kind.BUSH: "8a8a4c", Kind.MEADOW: "8c9448", Kind.FLOOR: "c98a54"}
# How much of the first snow must have come before a season shows it: 0 all white, 1 none.
SNOW_FROM = {"spring": 0.55, "summer": 0.68, "autumn": 0.6, "winter": 0.0}
HAZE = {"clear air": 420.0, "haze": 115.0}


def albedo(terrain: str, season: str) -> np.ndarray:
    """Colour of every Kind, float32 [len(Kind), 3]."""
    colours = ALWAYS | PALETTES[season]
    if terrain in ("desert", "canyon"):
        colours = colours | DRY
        if season in ("spring", "autumn"):
            colours = colours | {Kind.BUSH: PALETTES[season][Kind.BUSH]}
    return np.stack([rgb(colours[k]) for k in Kind])


def aim(rng: np.random.Generator, time: str, columns: int) -> tuple[int, int]:
    """A direction for the sun, and the first of `columns` columns to look at.

    Where the sun or moon is low enough to be in the picture, it is in most pictures.
    """
    sun = int(rng.integers(SUNS))
    middle = sun * TURN / SUNS
    if TIMES[time].disc >= 0 and rng.random() < 0.65:
        middle += rng.uniform(-0.4, 0.4) * columns
    else:
        middle += rng.uniform(0, TURN)
    return sun, int(middle - columns / 2) % TURN


class Sky(NamedTuple):
    """Sky above the horizon: its colours [rows, columns, 3], and what is where in it.

    Attributes:
        haze: [columns, 3], the lowest sky without sun or clouds.
        clouds: how much of it they cover [rows, columns], 0 to 1. disc: where sun or moon is.
    """

    colours: np.ndarray
    haze: np.ndarray
    clouds: np.ndarray
    disc: np.ndarray


def sky(rng: np.random.Generator, full: Complete, sun: int, angles: np.ndarray, rows: int) -> Sky:
    """Sky above the horizon, top row first, at the size of the picture."""
    t = TIMES[full.time]
    focal = FOCAL / 2
    up = ((rows - np.arange(rows, dtype=np.float32) - 0.5) / focal)[:, None]
    turned = (angles - 2 * np.pi * sun / SUNS + np.pi) % (2 * np.pi) - np.pi
    turned = turned[None].astype(np.float32)
    toward = ((1 + np.cos(turned)) / 2)[..., None] ** 1.5
    horizon = rgb(t.away) + (rgb(t.horizon) - rgb(t.away)) * toward
    a = smoothstep(0, 0.2, up)[..., None]
    b = smoothstep(0.12, 0.55, up)[..., None]
    picture = horizon * (1 - a) + rgb(t.middle) * a
    picture = picture * (1 - b) + rgb(t.top) * b
    if full.haze == "haze":
        k = smoothstep(0.5, 0, up)[..., None] * 0.6
        picture = picture * (1 - k) + horizon * k
    shining = rgb(t.sun)
    disc = t.disc + rng.uniform(-3, 3)
    across, above = turned * focal, up * focal - disc
    d = np.hypot(across, above)[..., None]
    if t.glow:
        wide = np.exp(-np.hypot(across * 0.6, above)[..., None] / 26)
        picture = picture + (shining - picture) * wide * t.glow
    edge = picture[-4:].mean(0).astype(np.float32)
    disc_seen = np.zeros(d.shape[:2], bool) if t.disc < 0 else d[..., 0] < DISC
    covered = np.zeros(d.shape[:2], np.float32)
    if full.time == "night":
        picture = disc_of(picture, d, DISC, rgb("f4f1de"))
    elif t.disc >= 0:
        picture = disc_of(picture, d, DISC, rgb("fff1cc"))
    if full.clouds != "clear sky":
        picture, covered = clouds(rng, full, picture, up, angles, np.exp(-d / 30))
    return Sky(np.clip(picture, 0, 1), edge, covered, disc_seen)


def disc_of(picture, d, radius: float, colour) -> np.ndarray:
    k = smoothstep(radius + 1.2, radius - 1.2, d)
    return picture * (1 - k) + colour * k


def stars(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A few points of light [rows, columns, 1], 0..1, fewer near the horizon."""
    sky = np.zeros((rows, columns, 1), np.float32)
    count = rng.poisson(12 * columns / 128)
    y = (rng.random(count) ** 1.2 * rows * 0.85).astype(int)
    sky[y, rng.integers(columns, size=count), 0] = rng.uniform(0.25, 0.75, count)
    return sky


def clouds(rng, full: Complete, picture, up, angles, glow) -> tuple[np.ndarray, np.ndarray]:
    """The sky with clouds before it, and how much of it they cover [rows, columns], 0 to 1."""
    t = TIMES[full.time]
    field = noise(rng, 256, 4, 40, 1.5)
    reach = 22 / (up + 0.13)
    x = reach * np.cos(angles)[None].astype(np.float32) + 512
    y = reach * np.sin(angles)[None].astype(np.float32) + 512
    dense = bilinear(field, x, y)
    # Thicker than what lies a little higher: that is the lower, shaded side of a cloud.
    over = bilinear(field, x * 0.97 + 15.4, y * 0.97 + 15.4)
    low, soft = (0.45, 0.7) if full.clouds == "some clouds" else (-0.85, 1.0)
    amount = smoothstep(low, low + soft, dense) * smoothstep(0.0, 0.12, up)
    shaded = np.clip(0.35 + 0.4 * (over - dense) + 0.22 * (dense - low), 0, 1)
    shaded = (shaded if full.clouds == "some clouds" else 0.25 + 0.75 * shaded)[..., None]
    lit = rgb(t.cloud) + (rgb(t.cloud_shade) - rgb(t.cloud)) * shaded
    lit = lit + (rgb(t.sun) - lit) * glow * 0.5 * t.glow
    return picture + (lit - picture) * amount[..., None] * 0.94, amount


def shine(
    rng: np.random.Generator, scene: Scene, full: Complete, sun: int, first: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """A picture uint8 [128, columns / 2, 3] of `columns` columns of the scene from `first` on, and
    what is told of its cells, int64 [16, columns / 16, 7] (`cells.ids_of`).

    `sun` says from which of the SUNS directions it shines.
    """
    begin, there = (first - scene.first) % TURN, scene.pixels.shape[1]
    p = scene.pixels[:, begin : begin + columns]
    if begin + columns > there:  # only a full turn is looked at beyond its end
        p = scene.pixels.take((begin + np.arange(columns)) % there, 1)
    angles = (first + np.arange(columns)) / FOCAL
    rows, below = scene.horizon // 2, (ROWS - scene.horizon) // 2
    # Water low in the picture mirrors sky that is higher than the picture.
    above = sky(rng, full, sun, angles[::2] + 0.5 / FOCAL, max(rows, below))
    whole, haze = above.colours, above.haze
    heaven, mirrored = whole[-rows:], whole[::-1][:below]
    if full.time == "night":
        # Only where it is dark: neither in clouds nor on the moon; and no water mirrors them.
        dark = smoothstep(0.45, 0.2, heaven.max(-1, keepdims=True))
        heaven = heaven + stars(rng, *heaven.shape[:2]) * dark

    white, lit = snow_on(full, p), lit_by(full, sun, p, angles)
    colour = surface(full, p, white)
    colour *= light(full, p, lit)
    fog = 1 - np.exp(-((p["far"].astype(np.float32) / HAZE[full.haze]) ** 1.25))
    fog = np.where(p["layer"] == SKY, 1, fog)[..., None] * np.float32(0.96)
    colour += (haze.repeat(2, 0) - colour) * fog

    upper, lower = np.split(colour, [scene.horizon])
    layer_above, layer = np.split(p["layer"], [scene.horizon])
    seen = layer_above == SKY
    upper[seen] = heaven.repeat(2, 0).repeat(2, 1)[seen]
    seen = layer == WATER_SKY
    lower[seen] = mirrored.repeat(2, 0).repeat(2, 1)[seen]
    # Seen flat, water mirrors all; seen steeply, near by, its own colour shows.
    t = TIMES[full.time]
    deep = rgb("1e4a5e") * (rgb(t.ambient) + 0.5 * rgb(t.sun) * t.sun_power) * 0.8
    steep = np.linspace(0, 2 * below / 150, 2 * below, dtype=np.float32)[:, None, None]
    own = 0.14 + 0.5 * np.minimum(steep, 1)
    water = layer >= WATER
    lower[water] = (lower + (deep - lower) * own)[water]

    out = colour.reshape(ROWS // 2, 2, columns // 2, 2, 3).mean((1, 3))
    # Lights are bent instead of cut off, so that snow and sand keep their shapes.
    out = np.where(out > 0.8, 1 - 0.2 * np.exp((0.8 - out) / 0.2), out)
    picture = (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)
    covered, disc = (
        np.pad(field[-rows:], ((0, ROWS // 2 - rows), (0, 0)))
        for field in (above.clouds, above.disc)
    )
    return picture, ids_of(p, white, lit, covered, disc)


def snow_on(full: Complete, p: np.ndarray) -> np.ndarray:
    """How white the pixels `p` are with snow, 0 to 1."""
    first = SNOW_FROM[full.season]
    return np.clip((p["snow"].astype(np.float32) / 255 - first) / 0.09, 0, 1)


def surface(full: Complete, p: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Colours of what the pixels `p` are made of, under snow if there is any: [..., 3]."""
    colour = albedo(full.terrain, full.season)[p["kind"]]
    colour *= (1 + p["tone"].astype(np.float32) * np.float32(0.3 / 127))[..., None]
    colour += (rgb(SNOW) - colour) * (0.91 * white)[..., None]
    return colour


def lit_by(full: Complete, sun: int, p: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """How much of the light of sun or moon falls on the pixels `p` [rows, columns], 0 to 1."""
    t = TIMES[full.time]
    height = np.radians(t.sun_up)
    turned = (2 * np.pi * sun / SUNS - angles).astype(np.float32)
    normal = p["normal"].astype(np.float32) / 127
    flat, up = np.float32(np.cos(height)), np.float32(np.sin(height))
    facing = normal[..., 0] * (flat * np.cos(turned)) + normal[..., 1] * (flat * np.sin(turned))
    facing += normal[..., 2] * up
    needed = p["shade"][..., sun].astype(np.float32) / SUN_STEPS
    slope = np.float32(np.tan(height))
    return np.clip(facing, 0, 1) * np.clip((slope - needed) / (0.05 + 0.1 * slope) + 0.6, 0, 1)


def light(full: Complete, p: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """Light that falls on the pixels `p` [rows, columns]: sun or moon, and sky, [..., 3]."""
    t = TIMES[full.time]
    power, ambient = t.sun_power, 0.78
    if full.clouds == "many clouds":
        power, ambient = power * 0.55, ambient * 1.2
    if full.haze == "haze":
        power *= 0.75
    around = 0.62 + 0.38 * p["normal"][..., 2].astype(np.float32) / 127
    return around[..., None] * (rgb(t.ambient) * ambient) + lit[..., None] * (rgb(t.sun) * power)
