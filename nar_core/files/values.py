"""Values as text: the only place that knows base64, and how unknown cells are written."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from ..foreign import shown

UNKNOWN_TOKEN = 65535
UNKNOWN_CONFIDENCE = 255


def text_of(values: np.ndarray | bytes) -> str:
    """Values, or bytes, as base64; the values little-endian."""
    if isinstance(values, np.ndarray):
        values = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(values).decode()


def bytes_of(text: Any, what: str, remedy: str, largest: int) -> bytes:
    """Inverse of `text_of` for at most `largest` bytes; ValueError for anything else."""
    if not isinstance(text, str) or len(text) * 3 > (largest + 2) * 4:
        raise ValueError(
            f"{what}: got {shown(text)}, expected base64 of at most {largest:,} bytes; {remedy}"
        )
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"{what}: not readable ({error}); {remedy}") from error


def token_words(tokens: np.ndarray) -> np.ndarray:
    """Tokens with -1 for unknown -> uint16, 65535 for unknown."""
    return np.where(np.asarray(tokens) < 0, UNKNOWN_TOKEN, tokens).astype(np.uint16)


def tokens_of(words: np.ndarray) -> np.ndarray:
    """Inverse of `token_words`, int64."""
    return np.where(words == UNKNOWN_TOKEN, -1, words.astype(np.int64))


def confidence_bytes(confidence: np.ndarray) -> np.ndarray:
    """Probabilities with nan for unknown -> uint8, 254 for certain and 255 for unknown."""
    scaled = np.round(np.nan_to_num(np.asarray(confidence, np.float32)).clip(0, 1) * 254)
    return np.where(np.isnan(confidence), UNKNOWN_CONFIDENCE, scaled).astype(np.uint8)


def confidence_of(sure: np.ndarray) -> np.ndarray:
    """Inverse of `confidence_bytes`, float32 with nan for unknown."""
    return np.where(sure == UNKNOWN_CONFIDENCE, np.nan, sure / 254).astype(np.float32)
