"""Which models there are: embedded ones found in folders, official ones listed in registry.yaml."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

from ..info import ModelInfo
from ..models.condition import ConditionConfig
from ..models.text_encoder import TOKENS, WIDTH
from ..models.transformer import TransformerConfig
from ..plan import GridShape
from . import fetch
from .adapt import official_config
from .embedded import TOKENIZER, is_model_folder, name_of, read_info
from .read import read_yaml

log = logging.getLogger(__name__)
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Official:
    """An official model.

    Attributes:
        info: as listed; whether it is available is not known here.
        config: of its transformer, also for random weights of the real size.
        weights, tokenizer: where the files come from.
        tokenizer_kind: "vq" or "larp".
        published: figures of the paper.
        text_bytes: size of the text encoder's files, 0 where none is needed.
    """

    info: ModelInfo
    config: TransformerConfig
    weights: fetch.Source
    tokenizer: fetch.Source
    tokenizer_kind: str
    published: dict[str, Any]
    text_bytes: int = 0

    def missing(self) -> int:
        """Bytes of the files that are not on this machine."""
        info = self.info
        files = {self.weights: 4 * info.parameters, self.tokenizer: 4 * info.tokenizer_parameters}
        out = sum(size for source, size in files.items() if not fetch.is_here(source))
        return out + (self.text_bytes if self.text_bytes and not fetch.find_encoder() else 0)


def class_names(data: str) -> tuple[str, ...]:
    """Names by class number: "imagenet" (ImageNet-1k) or "ucf101" (the order of its file names)."""
    return tuple((HERE / f"{data}.txt").read_text(encoding="utf-8").splitlines())


@lru_cache(maxsize=1)
def official_models() -> dict[str, Official]:
    """Official models by name, in the order of registry.yaml."""
    registry = read_yaml(HERE / "registry.yaml")
    return {name: _official(name, entry, registry) for name, entry in registry["models"].items()}


def _official(name: str, entry: dict, registry: dict) -> Official:
    family = registry["families"][entry["family"]]
    tokens = registry["tokenizers"][family["tokenizer"]]
    video, grid = family["media"] == "video", GridShape(*family["grid"])
    none = {"parameters": 0, "bytes": 0}
    encoder = registry["text_encoder"] if family["task"] == "text" else none
    labels = class_names(family["labels"]) if "labels" in family else ()
    if family["task"] == "text":
        condition = ConditionConfig("caption", slots=TOKENS, caption_width=WIDTH)
    else:
        condition = ConditionConfig("class", classes=len(labels))
    width = entry["width"]
    config = official_config(
        video,
        grid,
        condition,
        tokens["vocab_size"],
        width,
        before_right=entry["blocks"],
        depth=entry["blocks"] + (2 if video else 1),
        attention_heads=entry["attention_heads"],
        ffn_width=-(-(8 * width // 3) // 256) * 256,
    )
    info = ModelInfo(
        name=name,
        title=entry["title"],
        task=family["task"],
        media=family["media"],
        grid=grid,
        size=tuple(family["size"]),
        frames=family.get("frames", 1),
        fps=family.get("fps", 0),
        directions=config.directions,
        known_level=config.known_level,
        seed_positions="corner",
        accepts_known=tokens["kind"] != "larp",
        labels=labels,
        prompts=tuple(family.get("prompts", ())),
        guidance_scale=family["guidance_scale"],
        vocab_size=tokens["vocab_size"],
        parameters=entry["parameters"],
        tokenizer_parameters=tokens["parameters"],
        text_parameters=encoder["parameters"],
        cache_values=config.cache_values,
        # Published in float32.
        bytes=4 * (entry["parameters"] + tokens["parameters"]) + encoder["bytes"],
        trained_on=family["trained_on"],
        licence=f"{entry['licence']} (tokenizer: {tokens['licence']})",
        note=family.get("note", ""),
    )
    return Official(
        info,
        config,
        fetch.Source(name, entry["hub"], entry.get("file")),
        fetch.Source(family["tokenizer"], tokens["hub"], tokens.get("file")),
        tokens["kind"],
        entry["published"],
        encoder["bytes"],
    )


def model_folders() -> dict[str, Path]:
    """Self-describing model folders by name, the first of a name wins."""
    found: dict[str, Path] = {}
    for root in fetch.checkpoint_folders():
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if is_model_folder(folder):
                    found.setdefault(name_of(folder), folder)
    return found


def _stamp() -> tuple[tuple[str, int, int], ...]:
    """What tells that a model folder has changed: its files, how old and how large they are."""
    files = (
        path
        for root in fetch.checkpoint_folders()
        for form in ("*/*", f"*/{TOKENIZER}/*")
        for path in sorted(root.glob(form))
    )
    found = []
    for path in files:
        with suppress(OSError):  # a folder may go while it is looked at, or lead round in a circle
            told = path.stat()
            if S_ISREG(told.st_mode):
                found.append((str(path), told.st_mtime_ns, told.st_size))
    return tuple(found)


@lru_cache(maxsize=4)
def _described(_: tuple) -> tuple[ModelInfo, ...]:
    """What model folders say of themselves, read once for a stamp; a bad one is left out."""
    out = []
    for folder in model_folders().values():
        try:
            out.append(read_info(folder, folder.parent == fetch.CHECKPOINTS))
        except ValueError as error:
            log.warning("model folder left out: %s", error)
    return tuple(out)


def list_models() -> list[ModelInfo]:
    """Embedded models, then official ones, each with what of it is not on this machine yet."""
    embedded = list(_described(_stamp()))
    official = [(o.info, o.missing()) for o in official_models().values()]
    return embedded + [replace(i, available=not n, download=n) for i, n in official]
