"""presets.yaml: what the page offers of each model."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf


@lru_cache(maxsize=1)
def presets() -> dict[str, Any]:
    """The contents of presets.yaml."""
    contents: Any = OmegaConf.to_container(OmegaConf.load(Path(__file__).parent / "presets.yaml"))
    return contents


def preset(model: str, name: str, default: Any = None) -> Any:
    """One thing that presets.yaml says of a model, else `default`."""
    return presets()["models"].get(model, {}).get(name, default)
