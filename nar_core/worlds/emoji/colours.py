"""Giving an object another colour: its body changes, eyes, outlines and other parts stay."""

from __future__ import annotations

import colorsys

import numpy as np

# Hue (degrees), saturation and lightness of each body; lightness 0.5 leaves the object's own.
COLOURS = {
    "red": (0, 0.86, 0.86),
    "orange": (27, 0.92, 0.98),
    "yellow": (50, 0.82, 1.0),
    "green": (128, 0.66, 0.70),
    "blue": (214, 0.80, 0.90),
    "purple": (272, 0.64, 0.78),
    "pink": (328, 0.48, 1.0),
    "white": (0, 0.0, 0.98),
    "black": (0, 0.0, 0.28),
}


def _smooth(low: float, high: float, x: np.ndarray) -> np.ndarray:
    return np.clip((x - low) / (high - low), 0, 1)


def body(rgba: np.ndarray, whole: bool = False) -> np.ndarray:
    """How much each pixel belongs to an object's body, float [H, W] in [0, 1].

    The body is what has the commonest hue, or all that is grey or white where an object is mostly
    that or `whole`; what is very dark (eyes, outlines) does not belong to it.

    Args:
        rgba: float [H, W, 4] in [0, 1].
    """
    rgb, solid = rgba[..., :3], rgba[..., 3] > 0.5
    high, low = rgb.max(-1), rgb.min(-1)
    chroma = high - low
    red, green, blue = np.moveaxis(rgb, -1, 0)
    hue = np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)) % 360
    not_dark = _smooth(0.16, 0.34, high)
    coloured = _smooth(0.10, 0.25, chroma)
    if whole or (chroma[solid] > 0.2).mean() < 0.3:
        return not_dark * (1 - 0.9 * _smooth(0.3, 0.5, chroma))
    weight = (chroma * coloured * solid).ravel()
    counts = np.bincount((hue.ravel() / 5).astype(int) % 72, weight, 72)
    wide = sum(np.roll(counts, k) for k in range(-5, 6))
    main = (np.argmax(wide) + 0.5) * 5
    away = np.abs((hue - main + 180) % 360 - 180)
    return not_dark * coloured * (1 - _smooth(45, 70, away))


def recolour(rgba: np.ndarray, colour: str, whole: bool = False) -> np.ndarray:
    """An object with its body in another colour, shading kept; uint8 [H, W, 4] in and out."""
    hue, saturation, value = COLOURS[colour]
    x = rgba.astype(np.float32) / 255
    part = body(x, whole)
    light = x[..., :3] @ np.array([0.30, 0.59, 0.11], np.float32)
    inside = part > 0.5
    usual = np.quantile(light[inside], 0.6) if inside.any() else 0.5
    shade = light / max(float(usual), 0.12)
    target = np.array(colorsys.hsv_to_rgb(hue / 360, saturation, value), np.float32)
    down = np.clip(shade, 0, 1)[..., None] ** (0.75 if colour == "white" else 1.0)
    up = np.clip((shade - 1) * 0.7, 0, 0.8)[..., None]
    new = target * down + (1 - target) * up * (0.45 if colour == "black" else 1.0)
    mix = part[..., None]
    x[..., :3] = x[..., :3] * (1 - mix) + new * mix
    return (x * 255).round().clip(0, 255).astype(np.uint8)
