"""Captions for the official text models: cleaning, the flan-t5-xl encoder, left padding.

Optional: everything heavy is imported when the first such model is loaded.
"""

from __future__ import annotations

import html
import re
import urllib.parse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from .condition import Caption

TOKENS, WIDTH = 120, 2048
REMEDY = "install them with: pip install -r requirements-text.txt"

_FILE_TYPES = "png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4"
_SITES = "com|co|ru|net|org|edu|gov|it"
_LINK = rf"\b(?:https?:(?:/{{1,3}}|[a-z0-9%])\S*|[a-z0-9.\-]+\.(?:{_SITES})\b[\w/-]*(?!@))"

# The published cleaning, rule by rule and in its order: pattern, replacement.
_BEFORE = (
    (r"<person>", "person"),
    (_LINK, ""),
)
_NOISE = (
    (r"@\w+\b", ""),
    (r"[\u31c0-\u31ef\u31f0-\u31ff\u3200-\u32ff\u3300-\u33ff\u3400-\u4dbf\u4dc0-\u4dff]+", ""),
    (r"[\u4e00-\u9fff]+", ""),
    # Every dash of the world, then quotation marks.
    (
        r"[\u002d\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u301c\u3030"
        r"\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d]+",
        "-",
    ),
    (r"[`´«»“”¨]", '"'),
    (r"[‘’]", "'"),
    (r"&quot;?|&amp", ""),
    (r"\d{1,3}(?:\.\d{1,3}){3}", " "),
    (r"\d:\d\d\s+$", ""),
    (r"\\n", " "),
    (r"#\d{1,3}\b|#\d{5,}\b|\b\d{6,}\b", ""),
    (rf"\S+\.(?:{_FILE_TYPES})", ""),
    (r"[\"']{2,}", '"'),
    (r"\.{2,}", " "),
    (r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+", " "),
    (r"\s+\.\s+", " "),
)
_SHOP = (
    # Codes such as jc6640vc, 6640vc231, a1.
    (r"\b[a-z]{1,3}\d{3,15}\b", ""),
    (r"\b[a-z]+\d+[a-z]+\b", ""),
    (r"\b\d+[a-z]+\d+\b", ""),
    (r"(?:worldwide\s+)?(?:free\s+)?shipping", ""),
    (r"(?:free\s)?download(?:\sfree)?", ""),
    (r"\bclick\b\s(?:for|on)\s\w+", ""),
    (rf"\b(?:{_FILE_TYPES})(?:\simages?)?", ""),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-z]+\d+[a-z]+\d+[a-z\d]*\b", " "),
    (r"\b\d+\.?\d*[xх×]\d+\.?\d*\b", ""),
    (r"\b\s+:\s+", ": "),
    (r"(\D[,./])\b", r"\1 "),
    (r"\s+", " "),
)
_ENDS = (
    (r"^[\"'](.+)[\"']$", r"\1"),
    (r"^['_,\-:;]", ""),
    (r"['_,\-:+]$", ""),
    (r"^\.\S+$", ""),
)


def _apply(rules: tuple[tuple[str, str], ...], text: str) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.IGNORECASE | re.DOTALL)
    return text


def tidy_caption(
    text: str, strip_html: Callable[[str], str], fix_encoding: Callable[[str], str]
) -> str:
    """One pass of the caption cleaning that the text models were trained with."""
    text = urllib.parse.unquote_plus(text).strip().lower()
    text = _apply(_NOISE, strip_html(_apply(_BEFORE, text)))
    if len(re.findall(r"[-_]", text)) > 3:
        # Words-strung-together-like-a-file-name.
        text = re.sub(r"[-_]", " ", text)
    text = html.unescape(html.unescape(fix_encoding(text))).strip()
    return _apply(_ENDS, _apply(_SHOP, text).strip()).strip()


def clean_caption(text: str) -> str:
    """The cleaning, run twice as published. Raises ImportError naming what to install."""
    try:
        import ftfy  # pyright: ignore[reportMissingImports]
        from bs4 import BeautifulSoup  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            f"captions need the packages ftfy and beautifulsoup4; {REMEDY}"
        ) from error

    for _ in range(2):
        text = tidy_caption(
            text, lambda s: BeautifulSoup(s, features="html.parser").text, ftfy.fix_text
        )
    return text


def left_padded(features: Tensor, mask: Tensor) -> Caption:
    """Right-padded features [B, C, D] and mask [B, C] with padding moved to the left and zeroed."""
    counts = mask.bool().sum(1, keepdim=True)
    length = mask.shape[1]
    at = torch.arange(length, device=mask.device)
    valid = at >= length - counts
    source = (at - (length - counts)).clamp(min=0)
    moved = features.gather(1, source[..., None].expand_as(features))
    return Caption(moved * valid[..., None], valid)


def require_packages() -> None:
    """Raise ImportError, naming what to install, unless the optional packages are there."""
    try:
        for name in ("bs4", "ftfy", "transformers"):
            import_module(name)
    except ImportError as error:
        raise ImportError(
            f"text models need the packages transformers, sentencepiece, ftfy and "
            f"beautifulsoup4 ({error.name} is missing); {REMEDY}"
        ) from error


class TextEncoder:
    """Prompts to captions; made once per loaded text model.

    Args:
        tokenizer, encoder: of the transformers library.
    """

    def __init__(self, tokenizer, encoder):
        self.tokenizer, self.encoder = tokenizer, encoder

    @classmethod
    def load(cls, folder: Path) -> TextEncoder:
        """Load flan-t5-xl from its folder. Raises ImportError as `require_packages` does."""
        require_packages()
        from transformers import AutoTokenizer, T5EncoderModel  # pyright: ignore[reportMissingImports]

        encoder = T5EncoderModel.from_pretrained(folder, dtype=torch.bfloat16)
        return cls(AutoTokenizer.from_pretrained(folder), encoder.eval().requires_grad_(False))

    @torch.inference_mode()
    def __call__(self, prompts: list[str], device: torch.device | str = "cpu") -> Caption:
        """Captions of B prompts: features [B, TOKENS, WIDTH], left padded, and their mask."""
        tokens = self.tokenizer(
            [clean_caption(p) for p in prompts],
            max_length=TOKENS,
            padding="max_length",
            truncation=True,
            add_special_tokens=True,
            return_tensors="pt",
        ).to(device)
        mask = tokens["attention_mask"]
        encoder = self.encoder.to(device)
        features = encoder(input_ids=tokens["input_ids"], attention_mask=mask).last_hidden_state
        return left_padded(features, mask)
