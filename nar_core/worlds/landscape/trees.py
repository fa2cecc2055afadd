"""Trees, bushes and boulders as small pictures of what they are made of and which way it faces."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from .ground import Kind

VARIANTS = 6


class Shape(IntEnum):
    ROUND = 0
    CONIFER = 1
    PALM = 2
    BUSH = 3
    CACTUS = 4
    BOULDER = 5


@dataclass(frozen=True)
class Sprite:
    """One plant, the top row first."""

    solid: np.ndarray  # bool [h, w]
    kind: np.ndarray  # uint8 [h, w]
    tone: np.ndarray  # float32 [h, w], -1 dark to 1 light
    normal: np.ndarray  # float32 [h, w, 3]: outwards (from the viewer), to the right, up

    def half(self) -> Sprite:
        """The same at half the size; tones and normals are means over what is solid."""
        h, w = (n // 2 * 2 for n in self.solid.shape)

        def blocks(field: np.ndarray) -> np.ndarray:
            return field[:h, :w].reshape(h // 2, 2, w // 2, 2, *field.shape[2:])

        solid = blocks(self.solid)
        count = np.maximum(solid.sum((1, 3)), 1)
        tone = (blocks(self.tone) * solid).sum((1, 3)) / count
        normal = (blocks(self.normal) * solid[..., None]).sum((1, 3)) / count[..., None]
        # Where some of the four are solid, the largest number among them is the leaf, not bark.
        kind = (blocks(self.kind) * solid).max((1, 3))
        return Sprite(solid.sum((1, 3)) >= 2, kind, tone, normal)


class _Canvas:
    """A square of 128 pixels on which blobs are put, later ones in front."""

    def __init__(self) -> None:
        n = 128
        self.y, self.x = np.mgrid[1 : 0 : n * 1j, -0.5 : 0.5 : n * 1j].astype(np.float32)
        self.solid = np.zeros((n, n), bool)
        self.kind = np.zeros((n, n), np.uint8)
        self.tone = np.zeros((n, n), np.float32)
        self.normal = np.zeros((n, n, 3), np.float32)

    def put(self, where, kind: Kind, tone, right, up) -> None:
        """Cover `where`; right and up are the parts of its normal, the rest faces the viewer."""
        right, up = np.broadcast_to(right, where.shape), np.broadcast_to(up, where.shape)
        toward = np.sqrt(np.clip(1 - right**2 - up**2, 0.05, 1))
        self.solid |= where
        self.kind[where] = kind
        self.tone[where] = np.broadcast_to(tone, where.shape)[where]
        self.normal[where] = np.stack([-toward, right, up], -1)[where]

    def blob(self, cx, cy, rx, ry, kind: Kind, tone: float = 0.0) -> None:
        """An ellipsoid, darker below."""
        u, v = (self.x - cx) / rx, (self.y - cy) / ry
        self.put(u * u + v * v < 1, kind, tone + 0.35 * v, u * 0.9, v * 0.9)

    def sprite(self) -> Sprite:
        columns = np.flatnonzero(self.solid.any(0))
        rows = np.flatnonzero(self.solid.any(1))
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return Sprite(self.solid[part], self.kind[part], self.tone[part], self.normal[part])


def _clump(rng, c: _Canvas, cx, cy, rx, ry, leaf: Kind, blobs: int, size: float) -> None:
    """Foliage: small soft blobs over an ellipse, the lower ones first, lit as one body."""
    d = np.sqrt(rng.random(blobs))
    a = rng.uniform(0, 2 * np.pi, blobs)
    u, v = d * np.cos(a), d * np.sin(a)
    for i in np.argsort(v + rng.uniform(-0.5, 0.5, blobs)):
        s = size * rng.uniform(0.75, 1.25) * (1.15 - 0.4 * d[i])
        x, y = cx + rx * u[i], cy + ry * v[i]
        p, q = (c.x - x) / s, (c.y - y) / (s * 0.85)
        tone = 0.42 * v[i] + 0.3 * q + rng.uniform(-0.14, 0.14)
        c.put(p * p + q * q < 1, leaf, tone, 0.5 * u[i] + 0.35 * p, 0.2 + 0.4 * v[i] + 0.3 * q)


def _round(rng: np.random.Generator, c: _Canvas, leaf: Kind) -> None:
    c.put((abs(c.x) < 0.03 + 0.03 * (0.3 - c.y)) & (c.y < 0.5), Kind.TRUNK, 0, c.x * 12, 0)
    wide, low = rng.uniform(0.2, 0.28), rng.uniform(0.52, 0.6)
    _clump(rng, c, 0, low, wide, 0.94 - low - 0.08, leaf, 46, 0.085)
    _clump(rng, c, rng.uniform(-0.06, 0.06), low + 0.14, wide * 0.65, 0.2, leaf, 24, 0.075)


def _conifer(rng: np.random.Generator, c: _Canvas) -> None:
    c.put((abs(c.x) < 0.025) & (c.y < 0.3), Kind.TRUNK, 0, c.x * 12, 0)
    width = rng.uniform(0.17, 0.24)
    tiers = int(rng.integers(5, 8))
    for i in range(tiers):
        low = 0.1 + 0.78 * i / tiers
        high = min(low + 1.9 * 0.9 / tiers, 1)
        t = np.clip((c.y - low) / (high - low), -1, 1)
        lean = rng.uniform(-0.01, 0.01)
        half = width * (1 - low * 0.92) * (1 - np.clip(t, 0, 1)) ** 0.8 + 0.006
        droop = 0.25 * np.abs((c.x - lean) / half)
        u = (c.x - lean) / half
        inside = (np.abs(u) < 1) & (t > -0.16 * (1 - droop) + 0.1 * (1 - np.abs(u))) & (c.y < high)
        c.put(inside, Kind.CONIFER, -0.5 + 1.0 * t + 0.25 * (low - 0.4), u * 0.8, 0.35)


def _palm(rng: np.random.Generator, c: _Canvas) -> None:
    bend = rng.uniform(-0.12, 0.12)
    middle = bend * (c.y**2)
    c.put((abs(c.x - middle) < 0.022) & (c.y < 0.76), Kind.TRUNK, 0.1, (c.x - middle) * 20, 0)
    for i in range(9):
        a = np.pi * (-0.12 + 1.24 * i / 8) + rng.uniform(-0.1, 0.1)
        reach = rng.uniform(0.27, 0.36)
        for s in np.linspace(0.1, 1, 9):
            x = bend * 0.58 + reach * s * np.cos(a)
            y = 0.77 + reach * (s * np.sin(a) * 0.75 - 0.45 * s * s)
            size = 0.042 * (1.25 - s) + 0.012
            c.blob(x, y, size * 1.25, size, Kind.PALM, 0.3 * np.sin(a) - 0.1)


def _bush(rng: np.random.Generator, c: _Canvas) -> None:
    for _ in range(3):
        _clump(
            rng, c, rng.uniform(-0.2, 0.2), 0.14, 0.2, rng.uniform(0.1, 0.18), Kind.BUSH, 16, 0.075
        )


def _cactus(rng: np.random.Generator, c: _Canvas) -> None:
    def arm(x, low, high, half):
        v = np.clip((c.y - low) / (high - low), 0, 1)
        near = np.hypot(c.x - x, np.minimum(c.y - low, 0) + np.maximum(c.y - high, 0)) < half
        c.put(near, Kind.CACTUS, -0.1 + 0.2 * v, (c.x - x) / half * 0.9, 0.1)

    arm(0, 0, 0.93, 0.075)
    for side, low in ((-1, rng.uniform(0.3, 0.45)), (1, rng.uniform(0.35, 0.55))):
        x = side * rng.uniform(0.19, 0.23)
        c.put(
            (c.x * side > 0) & (abs(c.x) < abs(x)) & (abs(c.y - low) < 0.05),
            Kind.CACTUS,
            -0.2,
            0,
            0.3,
        )
        arm(x, low, low + rng.uniform(0.2, 0.3), 0.055)


def _boulder(rng: np.random.Generator, c: _Canvas) -> None:
    """A few flat faces, each of one tone."""
    for x, size in ((rng.uniform(-0.2, 0), 0.3), (rng.uniform(0.1, 0.25), 0.2)):
        shape = (abs(c.x - x) / size) ** 2.6 + (c.y / (size * rng.uniform(0.8, 1.2))) ** 2.2 < 1
        tilt = rng.uniform(-0.5, 0.5)
        left = (c.x - x) + tilt * c.y < rng.uniform(-0.08, 0.05)
        c.put(shape & left, Kind.ROCK, -0.15, -0.6, 0.3)
        c.put(shape & ~left, Kind.ROCK, 0.0, 0.5, 0.3)
        c.put(shape & (c.y > size * 0.6 + tilt * (c.x - x)), Kind.ROCK, 0.2, 0, 0.85)


_PAINT = {
    Shape.CONIFER: _conifer,
    Shape.PALM: _palm,
    Shape.BUSH: _bush,
    Shape.CACTUS: _cactus,
    Shape.BOULDER: _boulder,
}


@cache
def sprites(shape: Shape, variant: int) -> tuple[Sprite, ...]:
    """The `variant`-th plant of a shape in four sizes, each half the one before."""
    rng = np.random.default_rng([shape, variant])
    canvas = _Canvas()
    if shape == Shape.ROUND:
        _round(rng, canvas, (Kind.LEAF_A, Kind.LEAF_B, Kind.LEAF_C)[variant % 3])
    else:
        _PAINT[shape](rng, canvas)
    sizes = [canvas.sprite()]
    for _ in range(3):
        sizes.append(sizes[-1].half())
    return tuple(sizes)
