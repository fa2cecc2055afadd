"""The recipe that a file carries: how it was made, and whether it was made again."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from app import export
from app.presets import undress
from nar_core import Engine, Frame, Request


@lru_cache(maxsize=1)
def examples() -> list[dict[str, str]]:
    """Growths that come with the studio and replay without a model: title and file of each."""
    out = []
    for path in sorted((Path(__file__).parents[1] / "assets" / "examples").glob("*.png")):
        recipe, _ = export.read_recipe(path)
        file = export.data_uri(path.read_bytes(), "image/png")
        out.append({"title": title_of(recipe), "file": file})
    return out


def title_of(recipe: export.Recipe) -> str:
    """A short name for a replayed file."""
    request = recipe["request"]
    words = request.get("prompt") or request.get("label") or "Replay"
    if not isinstance(words, str):
        words = words[min(int(recipe["sample"]), len(words) - 1)]
    return undress(recipe["model"], words)[0][:40]


def request_fields(request: Request) -> dict[str, Any]:
    """A validated request as JSON, without the token grids it may hold."""

    def one(value: Any) -> Any:
        if not isinstance(value, tuple):
            return value
        return value[0] if len(set(value)) == 1 else list(value)

    return {
        "prompt": one(request.prompt),
        "label": one(request.label),
        "seed_position": [int(n) for n in request.seed_position],
        "rng_seed": request.rng_seed,
        "guidance_scale": request.guidance_scale,
        "guidance_interval": request.guidance_interval,
        "heads": request.heads,
        "fusion": request.fusion,
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "min_p": request.min_p,
        "num_samples": request.num_samples,
    }


def recipe_of(engine: Engine, frame: Frame, steps: np.ndarray, sample: int) -> export.Recipe:
    """The recipe of one sample of a finished frame; `steps` [N] says which step wrote each cell."""
    info, tokens = engine.info, frame.tokens[sample]
    recipe: export.Recipe = {
        "schema": export.SCHEMA,
        "model": info.name,
        "digest": engine.digest,
        "grid": [int(n) for n in info.grid],
        "directions": list(info.directions),
        "known_level": info.known_level,
        "size": [int(n) for n in info.size],
        "frames": info.frames,
        "fps": info.fps,
        "slice_of_frame": list(info.slice_of_frame),
        "request": request_fields(frame.request),
        "sample": sample,
        "steps": export.pack(steps.astype(np.uint16)),
        "tokens": export.pack(export.token_words(tokens).reshape(-1)),
        "confidence": export.pack(export.confidence_bytes(frame.confidence[sample]).reshape(-1)),
        "token_digest": export.token_digest(tokens),
        "made_with": made_with(engine),
    }
    if not info.accepts_known:
        recipe["holistic"] = True
    if frame.request.resume is not None:
        recipe["resumed_from"] = int(frame.request.resume.step)
    return recipe


def made_with(engine: Engine) -> dict[str, str]:
    """What may make a remake differ although the recipe is the same."""
    return {
        "device": str(getattr(engine, "device", "cpu")).split(":")[0],
        "dtype": str(getattr(engine, "dtype", "float32")).removeprefix("torch."),
        "machine": platform.machine(),
        "torch": version("torch"),
    }


def verdict(expected: export.Recipe, made: list[export.Recipe]) -> dict[str, Any]:
    """Is this the same picture, token for token? If not, what differs between then and now."""
    now = made[min(int(expected["sample"]), len(made) - 1)]
    if now["token_digest"] == expected["token_digest"]:
        return {"same": True, "differs": []}
    differs = [] if now["digest"] == expected["digest"] else ["weights"]
    before = expected.get("made_with", {})
    differs += [k for k, v in now["made_with"].items() if before.get(k, v) != v]
    return {"same": False, "differs": differs or ["library versions"]}
