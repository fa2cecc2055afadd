"""`python -m nar_core bench`: speed and memory, beside the published way of sampling."""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from .device import pick_device, pick_dtype
from .engine import Engine
from .models.condition import Caption, Condition, ConditionConfig
from .models.packed import pack_linears
from .models.transformer import NARTransformer, RMSNorm, proximity_mask
from .plan import DIRECTIONS, make_plan
from .request import Request
from .sampling import filtered_probabilities, guide
from .settings import MAX_SAMPLES
from .tokenizers.larp_video import LarpConfig, LarpTokenizer
from .tokenizers.vq_image import VQConfig, VQTokenizer
from .weights.load import load_model
from .weights.registry import official_models


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--model", default="emoji", help="registry name or model folder")
    what.add_argument(
        "--random-init",
        choices=official_models(),
        metavar="NAME",
        help=f"random weights of an official size: {', '.join(official_models())}",
    )
    parser.add_argument("--batch", type=int, default=1, help="pictures or clips at once")
    parser.add_argument("--guidance", type=float, default=2.0, help="guidance scale, 1 for none")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs; medians are reported")
    parser.add_argument(
        "--steps-only", action="store_true", help="leave out previews and the final decode"
    )
    parser.add_argument(
        "--no-baseline", action="store_true", help="leave out the published way of sampling"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", default="auto", help="auto, float32, bfloat16 or float16")
    parser.add_argument("--threads", type=int, help="CPU threads")


def run(args: argparse.Namespace) -> dict:
    """Time generation from the corner, alternating with the baseline; seconds are medians."""
    for name, low, high in (("batch", 1, MAX_SAMPLES), ("repeats", 1, 1000)):
        if not low <= getattr(args, name) <= high:
            raise ValueError(f"--{name}: got {getattr(args, name)}, expected {low} to {high}")
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.random_init:
        engine = random_engine(args.random_init, args.device, args.dtype, not args.steps_only)
    else:
        engine = Engine.load(args.model, args.device, args.dtype)
    info = engine.info
    told = (
        {"prompt": info.prompts[0] if info.prompts else ""} if info.task == "text" else {"label": 0}
    )
    request = engine.validate(
        Request(
            seed_position=(0, 0, 0),
            guidance_scale=args.guidance,
            num_samples=args.batch,
            **told,
        )
    )
    if engine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times: dict[str, list[float]] = defaultdict(list)
    frame = _generate(engine, request, times)  # warms up
    if not args.steps_only:
        _pixels(engine, frame, times)
    memory = _peak_memory(engine.device)
    plain = None
    if not args.no_baseline:
        # A second copy, because the engine lays its weights out in a way of its own.
        plain = _plain_model(args, engine)
        _baseline(engine, plain, request, times)
    times.clear()
    for repeat in tqdm(range(args.repeats), desc="bench"):
        # Alternating, and the other way round every time, so that other load hits both alike.
        turns = [lambda: _generate(engine, request, times)]
        if plain is not None:
            turns.append(lambda: _baseline(engine, plain, request, times))
        for turn in turns if repeat % 2 == 0 else turns[::-1]:
            turn()
        if not args.steps_only:
            _pixels(engine, frame, times)
    found = {name: statistics.median(values) for name, values in times.items()}
    previews = found.pop("previews", None)
    out = {
        "model": info.name,
        "parameters": info.parameters,
        "device": str(engine.device),
        "device_name": _device_name(engine.device),
        "dtype": str(engine.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "batch": args.batch,
        "guidance": args.guidance,
        "steps": frame.total,
        "passes": frame.passes,
        **{name: round(value, 5) for name, value in found.items()},
        "images_per_second": round(args.batch / found["seconds"], 4),
        "steps_per_second": round(frame.total / found["seconds"], 3),
        "peak_memory_mb": round(memory),
    }
    if plain is not None:
        out["ratio_to_baseline"] = round(found["baseline_seconds"] / found["seconds"], 3)
    if previews is not None:
        out["preview_overhead"] = round(previews / found["seconds"], 4)
    return out


def _generate(engine: Engine, request: Request, times: dict[str, list[float]]):
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
    engine: Engine, plain: NARTransformer, request: Request, times: dict[str, list[float]]
) -> None:
    """The same request by the published way of sampling, with the weights as they were loaded."""
    started = time.perf_counter()
    values, null = engine._condition(request)
    sample_as_published(
        plain,
        values,
        null,
        request.guidance_scale,
        request.temperature,
        request.top_k,
        request.top_p,
        torch.Generator(engine.device).manual_seed(request.rng_seed),
    ).cpu()
    times["baseline_seconds"].append(time.perf_counter() - started)


def _pixels(engine: Engine, frame, times: dict[str, list[float]]) -> None:
    """Previews of every step together, and one full decode."""
    engine.preview(frame.tokens)
    started = time.perf_counter()
    for _ in range(frame.total):
        engine.preview(frame.tokens)
    times["previews"].append(time.perf_counter() - started)
    started = time.perf_counter()
    engine.decode(frame.tokens)
    times["decode_seconds"].append(time.perf_counter() - started)


def _peak_memory(device: torch.device) -> float:
    """Peak of this process, or of its share of the accelerator, in MB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "cpu"


def _plain_model(args: argparse.Namespace, engine: Engine) -> NARTransformer:
    if args.random_init:
        return random_model(args.random_init, engine.device, engine.dtype)
    return load_model(args.model).model.to(engine.device, engine.dtype)


def random_model(name: str, device: torch.device, dtype: torch.dtype) -> NARTransformer:
    """A transformer of an official size; the same weights every time."""
    with torch.device("meta"):
        model = NARTransformer(official_models()[name].config)
    model = model.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(0)
    for key, p in model.named_parameters():
        p.fill_(1) if "norm" in key else p.normal_(0, 0.02, generator=generator)
    for buffer in model.buffers():
        buffer.normal_(0, 0.02, generator=generator)
    return model


def random_engine(name: str, device: str, dtype: str, with_tokenizer: bool = True) -> Engine:
    """An engine of an official size with random weights, for speed and memory only."""
    official = official_models()[name]
    info, target = official.info, pick_device(device)
    model = random_model(name, target, pick_dtype(dtype, target, info.parameters))
    pack_linears(model)
    tokenizer = None
    if with_tokenizer:
        video = official.tokenizer_kind == "larp"
        tokenizer = LarpTokenizer(LarpConfig()) if video else VQTokenizer(VQConfig(info.size))
        tokenizer = tokenizer.to(target).eval().requires_grad_(False)
    captions = _RandomCaptions(official.config.condition) if info.task == "text" else None
    return Engine(
        replace(info, name=f"{name} (random weights)"), model, tokenizer, text_encoder=captions
    )


@dataclass
class _RandomCaptions:
    """Captions that fill every slot."""

    config: ConditionConfig

    def __call__(self, prompts: list[str], device: torch.device) -> Caption:
        shape = len(prompts), self.config.slots, self.config.caption_width
        features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        return Caption(features.to(device), torch.ones(shape[:2], dtype=torch.bool, device=device))


# The published way of sampling


def _published_norm(norm: nn.Module, x: Tensor) -> Tensor:
    if not isinstance(norm, RMSNorm):
        return norm(x)
    y = x.float()
    y = y * torch.rsqrt((y * y).mean(-1, keepdim=True) + norm.eps)
    return y.type_as(x) * norm.weight


def _published_rotation(x: Tensor, table: Tensor) -> Tensor:
    """Turn pairs of `x` [B, n, H, D] in float32 by `table` [n, 2, D/2]."""
    pairs = x.float().unflatten(-1, (-1, 2))
    cos, sin = table[:, None].unbind(-2)
    turned = [
        pairs[..., 0] * cos - pairs[..., 1] * sin,
        pairs[..., 1] * cos + pairs[..., 0] * sin,
    ]
    return torch.stack(turned, -1).flatten(-2).type_as(x)


@torch.inference_mode()
def sample_as_published(
    model: NARTransformer,
    values,
    null,
    guidance_scale: float,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Grow a whole grid from the corner the way the published sampler works, int64 [B, N].

    The cache lies in raster order, so every step attends over its whole length under an explicit
    mask, by plain matrix products. All tokens just fed go through every head. Each token is
    filtered and drawn on its own. Everything else (weights, batched guidance, order) is as in
    `Growth`, whose greedy tokens these must equal.

    Args:
        values, null: condition input of B rows and its null form.
    """
    config = model.config
    grid, device = config.grid, model.tokens.weight.device
    plan = make_plan(grid, (0, 0, 0), None, config.directions, config.known_level)
    guided = guidance_scale > 1
    rows = [values, null] if guided else [values]
    conditions = []
    for value in rows:
        count = len(value.valid) if isinstance(value, Caption) else len(value)
        conditions.append(
            model.embed_condition(value, torch.zeros(count, dtype=int, device=device))
        )
    batch = len(conditions[0].slots)

    def joined(name: str) -> Tensor | None:
        parts = [getattr(c, name) for c in conditions]
        return None if parts[0] is None else torch.cat(parts)

    condition = Condition(joined("slots"), joined("valid"), joined("broadcast"))
    length = condition.slots.shape[1]
    whole = length + grid.cells
    whole += -whole % 8
    levels = torch.full((whole,), 10**9)
    levels[:length] = model.condition_levels(length)
    levels[length : length + grid.cells] = torch.from_numpy(plan.levels)
    valid = condition.valid
    if valid is not None:
        valid = F.pad(valid, (0, whole - length), value=True)
    mask = proximity_mask(levels.to(device), valid).expand(len(condition.slots), whole, whole)
    table = model.table(config.condition.slots)
    if table is not None and model.seed_query is not None:
        slots = config.condition.slots
        table = torch.cat([table[:slots], table[slots, None], table[slots:]])
    head_width = config.width // config.attention_heads
    cache = torch.zeros(
        config.depth, 2, len(condition.slots), config.attention_heads, whole, head_width,
        device=device, dtype=condition.slots.dtype,
    )  # fmt: skip

    def feed(x: Tensor, places: Tensor) -> dict[str, Tensor]:
        """Logits of every direction for the tokens just fed, [rows, n, V]."""
        visible = mask[:, None, places]
        out = {}
        for layer, block in enumerate(model.blocks):
            parts = block.qkv(_published_norm(block.attention_norm, x)).chunk(3, -1)
            q, k, v = (part.unflatten(-1, (-1, head_width)) for part in parts)
            if table is not None:
                q, k = (_published_rotation(part, table[places]) for part in (q, k))
            cache[layer, 0][:, :, places] = k.transpose(1, 2)
            cache[layer, 1][:, :, places] = v.transpose(1, 2)
            with sdpa_kernel(SDPBackend.MATH):
                y = F.scaled_dot_product_attention(
                    q.transpose(1, 2), cache[layer, 0], cache[layer, 1], visible
                )
            x = x + block.proj(y.transpose(1, 2).flatten(2))
            y = _published_norm(block.ffn_norm, x)
            x = x + block.down(F.silu(block.gate(y)) * block.up(y))
            for direction, head in zip(model.heads.taps, model.heads.heads.values(), strict=True):
                if model.heads.taps[direction] == layer + 1:
                    z = _published_norm(head.norm, x)
                    z = z if head.project is None else head.project(z)
                    z = (model.heads.output or head.output)(z)
                    out[direction] = z.float() if config.fuse_float32 else z
        return out

    tokens = torch.empty(batch, grid.cells, dtype=torch.int64, device=device)
    messages = feed(condition.slots, torch.arange(length, device=device))
    fed = None
    for step in plan.steps:
        if fed is None:
            logits = sum(m[:, -1:] for m in messages.values()) / len(messages)
        else:
            cells = torch.tensor([int(p) for p in fed], device=device)
            drawn = tokens[:, cells]
            x = model.embed_tokens(torch.cat([drawn] * len(rows)), cells, condition)
            messages = feed(x, length + cells)
            column = {int(p): i for i, p in enumerate(fed)}
            some = next(iter(messages.values()))
            logits = some.new_zeros(len(some), len(step.positions), some.shape[-1])
            arrived = np.zeros(len(step.positions))
            for d, direction in enumerate(DIRECTIONS):
                senders = [(j, column[int(s)]) for j, s in enumerate(step.fan_in[:, d]) if s >= 0]
                if senders:
                    to, at = map(list, zip(*senders, strict=True))
                    logits[:, to] += messages[direction][:, at]
                    arrived[to] += 1
            logits = logits / torch.from_numpy(arrived).to(logits)[:, None]
        if guided:
            logits = guide(*logits.chunk(2), guidance_scale)
        for j, cell in enumerate(step.positions):
            if temperature == 0:
                tokens[:, cell] = logits[:, j].softmax(-1).topk(1).indices[:, 0]
            else:
                chances = filtered_probabilities(logits[:, j], temperature, top_k, top_p)
                tokens[:, cell] = torch.multinomial(chances, 1, generator=generator)[:, 0]
        fed = step.positions
    return tokens
