"""The shape of a land: heights, what covers them, and where trees stand, as maps around a viewer.

A map is [SIZE, SIZE] cells; the viewer stands in its middle and sees no farther than RADIUS cells.
Water stands at height 0. Each terrain is arranged in rings around the viewer, so that every
direction shows what the terrain promises: something near, a middle, and a skyline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .noise import circle, noise, smoothstep

SIZE = 512
RADIUS = 250.0


class Kind(IntEnum):
    """What a point is made of; its colour also depends on the season."""

    GRASS = 0
    MEADOW = 1
    ROCK = 2
    SAND = 3
    STRATA = 4
    FLOOR = 5
    LEAF_A = 6
    LEAF_B = 7
    LEAF_C = 8
    CONIFER = 9
    TRUNK = 10
    PALM = 11
    CACTUS = 12
    BUSH = 13
    FLOWER = 14
    SCREE = 15


@dataclass
class Ground:
    """Maps of one land; the viewer's eye is `eye` above the water line."""

    height: np.ndarray  # float32 [SIZE, SIZE], cells above the water line
    kind: np.ndarray  # uint8 [SIZE, SIZE], a Kind
    tone: np.ndarray  # float32 [SIZE, SIZE], -1 dark to 1 light
    snow: np.ndarray  # float32 [SIZE, SIZE], 0 never snow, 1 the first to have it
    eye: float
    trees: np.ndarray  # float32 [n, 4]: x, y from the viewer, height, a Shape (trees.py)


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (columns), distance and direction of every cell, seen from the middle."""
    axis = np.arange(SIZE, dtype=np.float32) - SIZE / 2 + 0.5
    x, y = np.meshgrid(axis, axis)
    return np.hypot(x, y), np.arctan2(y, x), x


def unit(field: np.ndarray) -> np.ndarray:
    """Stretched to 0..1, but for the outermost hundredth at both ends."""
    low, high = np.percentile(field, (1, 99))
    return np.clip((field - low) / (high - low), 0, 1)


def ridges(rng: np.random.Generator, lowest: float, octaves: int, gain: float) -> np.ndarray:
    """Ridged hills on hills [SIZE, SIZE], 0..1: detail grows on slopes, valleys stay smooth."""
    total, weight, amplitude = np.zeros((SIZE, SIZE), np.float32), np.ones(()), 1.0
    for octave in range(octaves):
        low = lowest * 2**octave
        n = noise(rng, SIZE, low * 0.6, low * 1.5, 0.6)
        # The root rounds the crest, which would else be a crease as sharp as a knife.
        crest = np.clip(1 - np.sqrt(n * n + 0.004) * 0.62, 0, 1) ** 2
        total = total + amplitude * crest * weight
        weight = np.clip(crest * weight * 1.7, 0, 1)
        amplitude *= gain
    return unit(total)


def slope_of(height: np.ndarray) -> np.ndarray:
    """How steep a map is at every cell: 1 is 45 degrees."""
    dy, dx = np.gradient(height)
    return np.hypot(dx, dy)


def fit_skyline(height: np.ndarray, r: np.ndarray, eye: float, target: float) -> np.ndarray:
    """Scaled so that the skyline rises to `target` (height over distance) where it is highest."""
    far = r > 45
    steepest = np.percentile(((height - eye) / np.maximum(r, 1))[far], 99.7)
    return height * np.float32(min(max(target / max(float(steepest), 0.01), 0.4), 3.0))


def with_lake(rng: np.random.Generator, height, r, theta, near: float, far: float) -> np.ndarray:
    """A lake around the viewer's bank, from about `near` to about `far` cells away."""
    inner = near * (1 + 0.45 * circle(rng, theta, 7))
    outer = far * (1 + 0.3 * circle(rng, theta, 9)) + 3 * noise(rng, SIZE, 8, 40, 1.2)
    basin = smoothstep(-3, 5, r - inner) * smoothstep(-4, 14, outer - r)
    return height * (1 - basin) - 3 * basin
