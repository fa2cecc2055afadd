"""Pictures that were given: their tokens, whether a model knows such, and their pixels again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from app.server.jobs import Original
from app.wire import Reading
from nar_core import Engine, ModelInfo, Prepared, samples
from nar_core.files import text_of, token_words

UNLIKE = 1.5
"""A picture is foreign if its tokens cost so many nats more than those of a model's own kind."""

MEASURED = 6
"""Pictures of its own world that a model is measured on, to compare an upload with."""


@dataclass(frozen=True)
class Typical:
    """What pictures of a model's own kind cost (nats a token), and what its tokenizer leaves of
    them (PSNR in dB), at worst; None where it is not known."""

    cost: float
    psnr: float | None


def encoded(engine: Engine, prepared: Prepared) -> tuple[Prepared, np.ndarray]:
    """What was prepared with a picture, with its tokens; and all of them, int64 [T, H, W]."""
    request = prepared.request
    assert request.known is not None
    assert request.keep is not None
    tokens = engine.encode(request.known)[0]
    known = np.where(request.keep, tokens, -1)
    rows = np.broadcast_to(known, (prepared.num_samples, *known.shape)).copy()
    return replace(prepared, request=replace(request, known=rows, keep=None)), tokens


def reading(engine: Engine, pixels: np.ndarray) -> Reading:
    """The tokens of a picture uint8 [h, w, 3], and in plain words how foreign it is."""
    tokens = engine.encode(Image.fromarray(pixels))[0]
    text, foreign = likeness(engine, tokens, pixels)
    words = text_of(token_words(tokens.reshape(-1)))
    return {"tokens": words, "text": text, "foreign": foreign}


def likeness(engine: Engine, tokens: np.ndarray, pixels: np.ndarray) -> tuple[str, bool]:
    """How well a model knows such pictures as one uint8 [h, w, 3] with tokens [T, H, W].

    Measured by what its tokens cost the model and what the tokenizer leaves of it; in words, none
    where there is nothing to compare with, and whether it is foreign.
    """
    own = _typical(engine.info, engine)
    if own is None:
        return "", False
    cost, title = float(engine.surprise(tokens[None])[0]), engine.info.title
    wrong = []
    if cost > own.cost:
        wrong.append(f"its tokens cost {cost:.1f} nats each (up to {own.cost:.1f} is usual)")
    if own.psnr is not None:
        left = float(_psnr(engine, tokens[None], pixels[None])[0])
        if left < own.psnr:
            usual = f"{own.psnr:.0f} or more is usual"
            wrong.append(f"its tokenizer leaves {left:.0f} dB of it ({usual})")
    if wrong:
        why = " and ".join(wrong)
        return f"This picture is unlike what {title} has learnt, expect a mosaic: {why}.", True
    return f"{title} knows such pictures: its tokens cost {cost:.1f} nats each, as usual.", False


def _psnr(engine: Engine, tokens: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """What tokens [B, 1, H, W] leave of pictures uint8 [B, h, w, 3], dB [B]."""
    wrong = engine.decode(tokens)[:, 0].astype(np.float64) - pictures
    error = np.maximum((wrong**2).mean((1, 2, 3)), 1e-2)
    return 10 * np.log10(255**2 / error)


@lru_cache(maxsize=8)
def _typical(info: ModelInfo, engine: Engine) -> Typical | None:
    # of a model of clips it is not measured: a picture, held still, is none of its own
    own = samples(info, MEASURED) if info.media == "image" else []
    if own:
        pictures = np.stack([clip[0] for _, clip in own])
        tokens = engine.encode(pictures[:, None])
        costs, left = engine.surprise(tokens), _psnr(engine, tokens, pictures)
        return Typical(float(costs.max()), float(left.min()))
    return Typical(info.held_out_loss + UNLIKE, None) if info.held_out_loss else None


def pasted(video: np.ndarray, original: Original | None) -> np.ndarray:
    """Pictures uint8 [B, 1, h, w, 3] with the kept pixels put back, without further ado.

    A clip shows what its tokens decode to: pixels put back into some frames would flicker.
    """
    if original is None or video.shape[1] > 1:
        return video
    out, mask = video.copy(), original.mask()
    out[:, :, mask] = original.pixels[mask]
    return out


def blended(video: np.ndarray, original: Original | None) -> np.ndarray:
    """As `pasted`, and no seam is seen."""
    if original is None or video.shape[1] > 1:
        return video
    mask, reach = original.mask(), original.pixels.shape[0] // original.cells.shape[1]
    rows = [keep_pixels(sample[0], original.pixels, mask, reach) for sample in video]
    return np.stack(rows)[:, None]


def keep_pixels(
    grown: np.ndarray, original: np.ndarray, kept: np.ndarray, reach: int
) -> np.ndarray:
    """Put the kept pixels back exactly and carry their difference a little way into the grown ones.

    The tokenizer shifts colours slightly, so a hard paste would show a seam. The shift is measured
    on the kept side of the border and faded out over `reach` pixels on the grown side.

    Args:
        grown: decoded picture, uint8 [h, w, 3]; original: what was given, same shape.
        kept: bool [h, w], pixels that must come back unchanged.
    """
    offset = np.where(kept[..., None], original.astype(np.float32) - grown, 0)
    known = kept.astype(np.float32)
    fade = np.zeros_like(known)
    for ring in range(reach):
        total, weight = np.zeros_like(offset), np.zeros_like(known)
        for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
            edge = [slice(None)] * 2
            edge[axis] = slice(0, 1) if shift > 0 else slice(-1, None)
            here = np.roll(known, shift, axis)
            here[tuple(edge)] = 0  # np.roll wraps round, the picture does not
            total += np.roll(offset, shift, axis) * here[..., None]
            weight += here
        fresh = (known == 0) & (weight > 0)
        offset[fresh] = total[fresh] / weight[fresh][:, None]
        known[fresh] = 1
        fade[fresh] = 1 - (ring + 1) / (reach + 1)
    out = grown + offset * np.where(kept, 1, fade)[..., None]
    out = np.round(out).clip(0, 255).astype(np.uint8)
    out[kept] = original[kept]
    return out
