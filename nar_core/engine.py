"""The engine: one loaded model, and `generate`, which yields a frame per decoding step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .decode import Growth, SamplingSettings
from .models.condition import split_words, word_ids
from .models.packed import pack_linears, release_mapping
from .models.transformer import NARTransformer
from .plan import DecodePlan, coordinates, make_plan
from .preview import Preview
from .request import Request
from .sampling import uniforms
from .weights.files import trim_heap
from .weights.info import ModelInfo
from .weights.load import load_model

Progress = Callable[[str, float | None], None]


@dataclass(frozen=True, eq=False)
class Frame:
    """What is known after one decoding step. No pixels: previews are made when asked for.

    Attributes:
        step, total: 1 to total.
        positions: the (t, h, w) decoded in this step, int64 [n, 3].
        tokens: int64 [B, T, H, W], -1 where still unknown.
        confidence: float32 [B, T, H, W], the probability of each drawn token after guidance and
            before temperature and filters; nan where unknown or given.
        elapsed: seconds since the request began.
        passes: forward passes so far.
        request: the validated request that made it, from which it can be resumed.
    """

    step: int
    total: int
    positions: np.ndarray
    tokens: np.ndarray
    confidence: np.ndarray
    elapsed: float
    passes: int
    request: Request


def pick_device(device: str) -> torch.device:
    """ "auto" takes CUDA, then MPS, then the CPU. Raises ValueError for what is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    there = [name for name, found in there.items() if found] + ["cpu"]
    if device == "auto":
        return torch.device(there[0])
    if device.partition(":")[0] not in there:
        raise ValueError(f"device: got {device!r}, expected auto or, here, {' or '.join(there)}")
    return torch.device(device)


def pick_dtype(dtype: str, device: torch.device, parameters: int) -> torch.dtype:
    """ "auto" takes bfloat16 on CUDA, and on CPUs that have it for models bound by memory.

    Small models would gain a tenth by it on such a CPU, but then give other tokens than elsewhere.
    """
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype != "auto":
        if dtype not in named:
            raise ValueError(f"dtype: got {dtype!r}, expected 'auto', {', '.join(named)}")
        return named[dtype]
    if device.type == "cuda":
        return torch.bfloat16
    fast = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast and parameters > 50_000_000 else torch.float32


class Engine:
    """A generator with its tokenizer on a device. Holds no state of any request.

    Attributes:
        info: see `ModelInfo`.
        digest: short hash of the weights, for recipes.
    """

    def __init__(
        self,
        info: ModelInfo,
        model: NARTransformer,
        tokenizer,
        digest: str = "",
        patches: Tensor | None = None,
        text_encoder=None,
    ):
        self.info, self.model, self.tokenizer, self.digest = info, model, tokenizer, digest
        self.text_encoder = text_encoder
        self.device = next(model.parameters()).device
        self.dtype = next(model.parameters()).dtype
        self._preview = Preview(tokenizer, patches)

    @classmethod
    def load(
        cls,
        name: str | Path,
        device: str = "auto",
        dtype: str = "auto",
        progress: Progress | None = None,
    ) -> Engine:
        """Load a model by registry name or folder.

        Raises:
            ValueError: an unknown name, or files that are not what they should be.
            FileNotFoundError: weights that are neither here nor to be had; says where to put them.
        """
        target = pick_device(device)
        loaded = load_model(name, progress)
        parameters = sum(p.numel() for p in loaded.model.parameters())
        model = loaded.model.to(target, pick_dtype(dtype, target, parameters)).eval()
        pack_linears(model)
        release_mapping(model)
        tokenizer = loaded.tokenizer.to(target).eval()
        trim_heap()
        return cls(
            loaded.info, model, tokenizer, loaded.digest, loaded.patches, loaded.text_encoder
        )

    # What is asked for

    def validate(self, request: Request) -> Request:
        """Fill in the model's defaults and check everything, before compute is spent.

        Raises:
            ValueError: what was got, what is expected, and the remedy.
        """
        request.check()
        whole = ("num_samples", "rng_seed", "guidance_interval")
        request = replace(request, **{name: int(getattr(request, name)) for name in whole})
        info, grid, n = self.info, self.info.grid, request.num_samples
        frame = request.resume
        if frame is not None:
            self._check_resume(request, frame)
            request = replace(
                request, known=frame.request.known, seed_position=frame.request.seed_position
            )
        seed = request.seed_position
        if seed is None:
            seed = info.default_seed_position
        seed = tuple(seed) if isinstance(seed, Sequence | np.ndarray) else (seed,)
        seed = (0, *seed) if len(seed) == 2 and grid.t == 1 else seed
        if len(seed) != 3 or any(
            not isinstance(p, Real) or p not in range(g) for p, g in zip(seed, grid, strict=True)
        ):
            form = "(h, w)" if grid.t == 1 else "(t, h, w)"
            raise ValueError(
                f"seed_position: got {request.seed_position}, expected {form} inside the grid "
                f"{tuple(grid)[-2 if grid.t == 1 else 0 :]}, counted from 0"
            )
        seed = tuple(int(p) for p in seed)
        if info.seed_positions == "corner" and any(seed):
            raise ValueError(
                f"seed_position: got {seed}, expected (0, 0, 0): {info.name} has learnt to grow "
                "from the upper-left corner only; choose that, or a model for any seed position"
            )
        known = request.known
        if known is not None:
            if not info.accepts_known:
                raise ValueError(
                    f"known: got given cells, expected none: a token of {info.name} describes the "
                    "whole clip, not a place in it; choose another model to go on from pixels"
                )
            known = self._check_known(known, n)
        if info.task == "text":
            one = not isinstance(request.prompt, tuple | list)
            prompts = (request.prompt,) * n if one else tuple(request.prompt)
            if len(prompts) != n or not all(isinstance(p, str) for p in prompts):
                raise ValueError(
                    f"prompt: got {request.prompt!r}, expected one text, or {n} (num_samples)"
                )
            for prompt in prompts:
                words = len(split_words(prompt))
                if info.prompt_words and words > info.prompt_words:
                    raise ValueError(
                        f"prompt: got {words} words, expected at most {info.prompt_words} "
                        f"(fillers such as 'the' do not count); shorten {prompt[:60]!r}"
                    )
            request = replace(request, prompt=prompts)
        else:
            one = not isinstance(request.label, tuple | list)
            labels = (request.label,) * n if one else tuple(request.label)
            if len(labels) != n:
                raise ValueError(
                    f"label: got {len(labels)} labels, expected one, or {n} (num_samples)"
                )
            request = replace(request, label=tuple(self._class_name(x) for x in labels))

        def default(name: str):
            value = getattr(request, name)
            return getattr(info, name) if value is None else value

        return replace(
            request,
            seed_position=seed,
            known=known,
            guidance_scale=float(default("guidance_scale")),
            temperature=float(default("temperature")),
            top_k=int(default("top_k")),
            top_p=float(default("top_p")),
        )

    def _class_name(self, label: str | int | None) -> str | None:
        labels = self.info.labels
        if label is None:
            return None
        if isinstance(label, int | np.integer) and not isinstance(label, bool):
            if 0 <= label < len(labels):
                return labels[label]
            raise ValueError(f"label: got {label}, expected 0 to {len(labels) - 1}, or a name")
        if label in labels:
            return label
        near = [x for x in labels if str(label).lower() in x.lower()][:5] or labels[:5]
        raise ValueError(
            f"label: got {label!r}, expected one of {len(labels)} class names, "
            f"such as {', '.join(near)}"
        )

    def _check_known(self, known, n: int) -> np.ndarray:
        grid = self.info.grid
        known = np.asarray(known)
        if known.ndim == 3 and grid.t == 1 and known.shape[0] != 1:
            known = known[:, None]
        if known.shape not in {tuple(grid), (n, *grid), (1, *grid)}:
            raise ValueError(
                f"known: got shape {known.shape}, expected {tuple(grid)} or {(n, *grid)}"
            )
        if not np.issubdtype(known.dtype, np.integer):
            raise ValueError(f"known: got {known.dtype}, expected whole numbers, -1 for unknown")
        if known.min() < -1 or known.max() >= self.model.config.vocab_size:
            raise ValueError(
                f"known: got tokens from {known.min()} to {known.max()}, expected -1 (unknown) to "
                f"{self.model.config.vocab_size - 1}"
            )
        known = np.broadcast_to(known.reshape(-1, *grid), (n, *grid)).astype(np.int64)
        if ((known >= 0) != (known[:1] >= 0)).any():
            raise ValueError("known: rows differ in which cells are known, expected one known set")
        return known

    def _check_resume(self, request: Request, frame: Frame) -> None:
        shape = (request.num_samples, *self.info.grid)
        if frame.tokens.shape != shape:
            raise ValueError(
                f"resume: got a frame of shape {frame.tokens.shape}, expected {shape}; "
                "go on with the same model and num_samples"
            )
        if frame.step >= frame.total:
            raise ValueError("resume: got the last frame, expected one before it to go on from")

    def plan(self, request: Request) -> DecodePlan:
        """The decoding plan of a request, also before it is started. Raises as `validate` does."""
        return self._plan(self.validate(request))

    def _plan(self, request: Request) -> DecodePlan:
        known = None if request.known is None else request.known[0] >= 0
        return make_plan(
            self.info.grid,
            request.seed_position,
            known,
            self.model.config.directions,
            self.model.config.known_level,
        )

    def _condition(self, request: Request):
        """Condition input and its null form, on the device."""
        kind = self.model.config.condition.kind
        if kind == "words":
            slots = self.model.config.condition
            values = word_ids(list(request.prompt), slots.slots, slots.buckets).to(self.device)
        elif kind == "caption":
            values = self.text_encoder(list(request.prompt), self.device)
        else:
            index = {name: i for i, name in enumerate(self.info.labels)}
            ids = [-1 if x is None else index[x] for x in request.label]
            values = torch.tensor(ids, device=self.device)
        return values, self.model.condition.null_like(values)

    # Generation

    def generate(self, request: Request) -> Iterator[Frame]:
        """Validate at once, then yield one `Frame` per decoding step; closing it cancels."""
        request = self.validate(request)
        return self._grow(request, self._plan(request))

    def generate_all(self, request: Request) -> Frame:
        """Drain `generate`; the last frame."""
        for frame in self.generate(request):
            last = frame
        return last

    def _grow(self, request: Request, plan: DecodePlan) -> Iterator[Frame]:
        started = time.perf_counter()
        shape = (request.num_samples, plan.grid.cells)
        tokens = np.full(shape, -1, np.int64)
        confidence = np.full(shape, np.nan, np.float32)
        first = 0
        if request.known is not None:
            tokens = request.known.reshape(shape).copy()
        if request.resume is not None:
            first = request.resume.step
            tokens = request.resume.tokens.reshape(shape).copy()
            confidence = request.resume.confidence.reshape(shape).copy()
        growth = Growth(
            self.model,
            plan,
            *self._condition(request),
            torch.from_numpy(tokens).to(self.device, copy=True),
            uniforms(request.rng_seed, *shape),
            SamplingSettings(
                request.guidance_scale,
                request.guidance_interval,
                request.axes,
                request.fusion,
                request.temperature,
                request.top_k,
                request.top_p,
            ),
            first,
        )
        at = coordinates(plan.grid)
        where = (request.num_samples, *plan.grid)
        for index in range(first, plan.total):
            drawn, chance = growth.step()
            cells = plan.steps[index].positions
            tokens[:, cells] = drawn.cpu().numpy()
            confidence[:, cells] = chance.cpu().numpy()
            yield Frame(
                step=index + 1,
                total=plan.total,
                positions=at[cells],
                tokens=tokens.reshape(where).copy(),
                confidence=confidence.reshape(where).copy(),
                elapsed=time.perf_counter() - started,
                passes=growth.passes,
                request=request,
            )

    # Pixels

    @torch.inference_mode()
    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Complete tokens int [B, T, H, W] to uint8 [B, F, height, width, 3], full quality."""
        tokens = np.asarray(tokens)
        expected = tuple(self.info.grid)
        if tokens.ndim != 4 or tokens.shape[1:] != expected:
            raise ValueError(f"tokens: got shape {tokens.shape}, expected [B, {expected}]")
        if tokens.min() < 0 or tokens.max() >= self.tokenizer.vocab_size:
            raise ValueError(
                f"tokens: got {tokens.min()} to {tokens.max()}, expected 0 to "
                f"{self.tokenizer.vocab_size - 1}; unknown cells (-1) can only be previewed"
            )
        video = self.tokenizer.decode(torch.from_numpy(tokens).to(self.device))
        video = (video.float().clamp(0, 1) * 255).round().to(torch.uint8)
        return video.permute(0, 1, 3, 4, 2).cpu().numpy()

    @torch.inference_mode()
    def encode(self, video: np.ndarray) -> np.ndarray:
        """Pixels uint8 [B, F, height, width, 3] to tokens int64 [B, T, H, W]."""
        video = np.asarray(video)
        expected = (self.info.frames, *self.info.size, 3)
        if video.ndim != 5 or video.shape[1:] != expected or video.dtype != np.uint8:
            raise ValueError(
                f"video: got {video.dtype} {video.shape}, expected uint8 [B, {expected}]"
            )
        x = torch.from_numpy(video).to(self.device).permute(0, 1, 4, 2, 3)
        return self.tokenizer.encode(x.float() / 255).cpu().numpy()

    def preview(self, tokens: np.ndarray, full: bool = False) -> np.ndarray:
        """A picture of a partial grid, uint8 [B, F, height, width, 3]; cheap unless `full`."""
        return self._preview.full(tokens) if full else self._preview(tokens)
