"""Smooth periodic noise, and small curves that shape it. Pure numpy, float32."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def _amplitudes(lowest: float, highest: float, slope: float) -> np.ndarray:
    """Of the waves with -n..n cycles down the map (0 first) and 0..n across, [2 n + 1, n + 1]."""
    n = int(highest)
    f = np.hypot(np.fft.fftfreq(2 * n + 1, 1 / (2 * n + 1))[:, None], np.arange(n + 1)[None])
    within = (f >= lowest) & (f <= highest)
    return np.where(within, np.maximum(f, 1e-9) ** -slope, 0).astype(np.float32)


def noise(
    rng: np.random.Generator, size: int, lowest: float, highest: float, slope: float = 2.0
) -> np.ndarray:
    """Periodic noise [size, size] of mean 0 and deviation 1.

    Its amplitude falls as frequency ** -slope between `lowest` and `highest` cycles per map.
    """
    amplitude = _amplitudes(lowest, highest, slope)
    n = amplitude.shape[1] - 1
    white = rng.standard_normal((*amplitude.shape, 2), np.float32).view(np.complex64)[..., 0]
    # Only the waves that are there: most of a map's spectrum is nothing.
    waves = np.zeros((size, n + 1), np.complex64)
    waves[: n + 1], waves[size - n :] = np.split(white * amplitude, [n + 1])
    field = np.fft.irfft(np.fft.ifft(waves, axis=0), n=size, axis=1)
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)


def smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high` (or the other way if low > high), smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bilinear(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`field` [H, W], periodic, at columns `x` and rows `y` of any one shape."""
    height, width = field.shape
    left, top = np.floor(x), np.floor(y)
    fx, fy = (x - left).astype(np.float32), (y - top).astype(np.float32)
    x0, y0 = left.astype(np.int32) % width, top.astype(np.int32) % height
    x1, y1 = (x0 + 1) % width, (y0 + 1) % height
    flat = field.ravel()
    y0 *= width
    y1 *= width
    upper = flat.take(y0 + x0)
    upper += (flat.take(y0 + x1) - upper) * fx
    lower = flat.take(y1 + x0)
    lower += (flat.take(y1 + x1) - lower) * fx
    upper += (lower - upper) * fy
    return upper


def circle(rng: np.random.Generator, theta: np.ndarray, harmonics: int = 6) -> np.ndarray:
    """Smooth random numbers, about -1 to 1, over angles `theta` (radians)."""
    table = np.zeros(1024, np.float32)
    angles = np.linspace(0, 2 * np.pi, 1024, endpoint=False)
    for k in range(1, harmonics + 1):
        table += rng.normal() / k * np.sin(k * angles + rng.uniform(0, 2 * np.pi))
    table /= max(float(np.abs(table).max()), 1e-6)
    return table[(theta * (1024 / (2 * np.pi))).astype(np.int32) % 1024]
