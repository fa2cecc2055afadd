"""Speed and memory, beside the published way of sampling."""

from __future__ import annotations

import platform
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from tqdm import tqdm

from ..device import arithmetic, pick_device, pick_dtype
from ..engine import Engine, Frame
from ..models.condition import Caption, ConditionConfig
from ..models.packed import pack_linears
from ..models.transformer import NARTransformer
from ..plan import GridShape
from ..request import Prepared, Request
from ..tokenizers.base import Tokenizer, device_of
from ..tokenizers.larp_video import LarpConfig, LarpTokenizer
from ..tokenizers.vq_image import VQConfig, VQTokenizer, fold_upsampling
from ..weights.list import official_models
from .growing import dtype_of
from .published import sample_as_published


def speed(
    engine: Engine,
    plain: NARTransformer | None,
    plain_tokenizer: Tokenizer | None = None,
    *,
    batch: int,
    guidance_scale: float,
    repeats: int,
    steps_only: bool = False,
) -> dict[str, Any]:
    """Time generation from the corner, alternating with the baseline; seconds are medians.

    Args:
        plain: the same weights laid out as they were loaded, for the baseline; None leaves it out.
        plain_tokenizer: likewise, for the decoder's.
        steps_only: leave out previews and the final decode.
    """
    info = engine.info
    told: dict[str, Any] = {"label": 0}
    if info.task == "text":
        told = {"prompt": info.prompts[0] if info.prompts else ""}
    request = engine.prepare(
        Request(seed_position=(0, 0, 0), guidance_scale=guidance_scale, num_samples=batch, **told)
    )
    if engine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times: dict[str, list[float]] = defaultdict(list)
    frame = _generate(engine, request, times)
    for _ in range(warm_ups(engine.device) - 1):
        _generate(engine, request, times)
    if not steps_only:
        _pixels(engine, frame, times)
    memory = _peak_memory(engine.device)
    if plain is not None:
        _baseline(engine, plain, request, times)
    if plain_tokenizer is not None:
        _plain_pixels(plain_tokenizer, frame, times)
    times.clear()
    for repeat in tqdm(range(repeats), desc="bench"):
        # Alternating, and the other way round every time, so that other load hits both alike.
        turns: list[Callable[[], Any]] = [lambda: _generate(engine, request, times)]
        if plain is not None:
            turns.append(lambda: _baseline(engine, plain, request, times))
        if not steps_only:
            turns.insert(0, lambda: _pixels(engine, frame, times))
        if plain_tokenizer is not None:
            turns.append(lambda: _plain_pixels(plain_tokenizer, frame, times))
        for turn in turns if repeat % 2 == 0 else turns[::-1]:
            turn()
    found = {name: statistics.median(values) for name, values in times.items()}
    previews = found.pop("previews", None)
    out = {
        "model": info.name,
        "parameters": info.parameters,
        "device": str(engine.device),
        "device_name": device_name(engine.device),
        "dtype": dtype_of(engine),
        "threads": torch.get_num_threads(),
        "batch": batch,
        "guidance": guidance_scale,
        "steps": frame.total,
        "passes": frame.passes,
        **{name: round(value, 5) for name, value in found.items()},
        "images_per_second": round(batch / found["seconds"], 4),
        "steps_per_second": round(frame.total / found["seconds"], 3),
        "peak_memory_mb": round(memory),
    }
    if plain is not None:
        out["ratio_to_baseline"] = round(found["baseline_seconds"] / found["seconds"], 3)
    if plain_tokenizer is not None:
        ratio = found["decode_baseline_seconds"] / found["decode_seconds"]
        out["decode_ratio_to_baseline"] = round(ratio, 3)
    if previews is not None:
        out["preview_overhead"] = round(previews / found["seconds"], 4)
    return out


def warm_ups(device: torch.device) -> int:
    """Runs before the first that counts: on a GPU a plan is recorded when it comes back."""
    return 3 if device.type == "cuda" else 1


def _generate(engine: Engine, request: Prepared, times: dict[str, list[float]]) -> Frame:
    """One generation without previews; returns the last frame."""
    started = time.perf_counter()
    frames = engine.generate(request)
    frame = next(frames)
    times["time_to_first_frame"].append(time.perf_counter() - started)
    for later in frames:
        frame = later
    times["seconds"].append(time.perf_counter() - started)
    return frame


def _baseline(
    engine: Engine, plain: NARTransformer, request: Prepared, times: dict[str, list[float]]
) -> None:
    """The same request by the published way of sampling, with the weights as they were loaded."""
    started = time.perf_counter()
    values, null = engine.condition(request.request)
    sample_as_published(
        plain,
        values,
        null,
        guidance_scale=request.settings.guidance_scale,
        temperature=request.settings.temperature,
        top_k=request.settings.top_k,
        top_p=request.settings.top_p,
        generator=torch.Generator(engine.device).manual_seed(request.rng_seed),
    ).cpu()
    times["baseline_seconds"].append(time.perf_counter() - started)


def _pixels(engine: Engine, frame: Frame, times: dict[str, list[float]]) -> None:
    """Previews of every step together, and one full decode."""
    engine.preview(frame.tokens)
    started = time.perf_counter()
    for _ in range(frame.total):
        engine.preview(frame.tokens)
    times["previews"].append(time.perf_counter() - started)
    started = time.perf_counter()
    engine.decode(frame.tokens)
    times["decode_seconds"].append(time.perf_counter() - started)


@torch.no_grad()
def _plain_pixels(tokenizer: Tokenizer, frame: Frame, times: dict[str, list[float]]) -> None:
    """The same decode by the decoder as it was loaded."""
    started = time.perf_counter()
    tokenizer.decode(torch.from_numpy(frame.tokens).to(device_of(tokenizer))).cpu()
    times["decode_baseline_seconds"].append(time.perf_counter() - started)


def _peak_memory(device: torch.device) -> float:
    """Peak of this process, or of its share of the accelerator, in MB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def device_name(device: torch.device) -> str:
    """What a device calls itself."""
    return torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "cpu"


def random_model(
    name: str, device: torch.device, dtype: torch.dtype, grid: GridShape | None = None
) -> NARTransformer:
    """A transformer of an official size, for its grid or another; the same weights every time."""
    config = official_models()[name].config
    with torch.device("meta"):
        model = NARTransformer(replace(config, grid=grid) if grid else config)
    model = model.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(0)
    for key, p in model.named_parameters():
        p.fill_(1) if "norm" in key else p.normal_(0, 0.02, generator=generator)
    for buffer in model.buffers():
        buffer.normal_(0, 0.02, generator=generator)
    return model


def random_tokenizer(name: str, device: torch.device) -> LarpTokenizer | VQTokenizer:
    """The tokenizer of an official model with random weights."""
    official = official_models()[name]
    video = official.tokenizer_kind == "larp"
    tokenizer = LarpTokenizer(LarpConfig()) if video else VQTokenizer(VQConfig(official.info.size))
    return tokenizer.to(device).eval().requires_grad_(False)


def random_engine(
    name: str,
    device: str,
    dtype: str,
    with_tokenizer: bool = True,
    grid: GridShape | None = None,
) -> Engine:
    """An engine of an official size with random weights, for speed and memory only.

    Another grid than its own has no tokenizer.
    """
    official = official_models()[name]
    info, target = official.info, pick_device(device)
    numbers = pick_dtype(dtype, target, info.parameters)
    model = random_model(name, target, arithmetic(numbers, target, info.parameters), grid)
    if grid:
        info = replace(info, grid=grid, cache_values=model.config.cache_values)
    pack_linears(model, numbers == torch.int8)
    tokenizer: Any = None
    if with_tokenizer:
        tokenizer = random_tokenizer(name, target)
        fold_upsampling(tokenizer)
    captions = _RandomCaptions(official.config.condition) if info.task == "text" else None
    return Engine(
        replace(info, name=f"{name} (random weights)"),
        model,
        tokenizer,
        text_encoder=captions,
        dtype=numbers,
    )


@dataclass
class _RandomCaptions:
    """Captions that fill every slot."""

    config: ConditionConfig

    def __call__(self, prompts: list[str], device: torch.device) -> Caption:
        shape = len(prompts), self.config.slots, self.config.caption_width
        features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        return Caption(features.to(device), torch.ones(shape[:2], dtype=torch.bool, device=device))
