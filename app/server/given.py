"""Pictures that were given: their tokens, and whether a model knows such."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.wire import Reading
from nar_core import Engine, samples
from nar_core.files import text_of, token_words

UNLIKE = 1.5
"""A picture is foreign if its tokens cost so many nats more than those of a model's own kind."""

MEASURED = 12
"""Pictures of its own world that a model is measured on, to compare an upload with."""

SPREAD = 3.0
"""So many standard deviations from their mean are still its own: one in seven of them would be
costlier than the costliest of six others."""


@dataclass(frozen=True)
class Typical:
    """What pictures of a model's own kind cost at most (nats a token), and what its tokenizer
    leaves of them at least (PSNR in dB); None where it is not known."""

    cost: float
    psnr: float | None


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
    own = _typical(engine)
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
        said = f"This picture is unlike what {title} has learnt, so what grows fits it only roughly"
        return f"{said}: {why}.", True
    return f"{title} knows such pictures: its tokens cost {cost:.1f} nats each, as usual.", False


def _psnr(engine: Engine, tokens: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """What tokens [B, 1, H, W] leave of pictures uint8 [B, h, w, 3], dB [B]."""
    wrong = engine.decode(tokens)[:, 0].astype(np.float64) - pictures
    error = np.maximum((wrong**2).mean((1, 2, 3)), 1e-2)
    return 10 * np.log10(255**2 / error)


def _measured(engine: Engine, clip: np.ndarray) -> tuple[float, float]:
    """What the tokens of a picture uint8 [1, h, w, 3] cost, and what they leave of it."""
    tokens = engine.encode(clip[None])
    return float(engine.surprise(tokens)[0]), float(_psnr(engine, tokens, clip)[0])


_TYPICAL: dict[tuple[str, str], Typical | None] = {}
"""By a model's name and its weights' digest: an engine that was dropped must not be held for it,
and who loads the model again need not wait for it."""


def _typical(engine: Engine) -> Typical | None:
    weights = engine.info.name, engine.digest
    if weights not in _TYPICAL:
        _TYPICAL[weights] = _typical_of(engine)
    return _TYPICAL[weights]


def _typical_of(engine: Engine) -> Typical | None:
    info = engine.info
    # of a model of clips it is not measured: a picture, held still, is none of its own
    own = samples(info, MEASURED) if info.media == "image" else []
    if own:
        # one by one: all at once would take hundreds of megabytes
        measured = [_measured(engine, clip[:1]) for _, clip in own]
        costs, left = np.array(measured).T
        return Typical(
            float(costs.mean() + SPREAD * costs.std()), float(left.mean() - SPREAD * left.std())
        )
    return Typical(info.held_out_loss + UNLIKE, None) if info.held_out_loss else None
