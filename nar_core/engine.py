"""The engine: one loaded model, and `generate`, which yields a frame per decoding step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .checks import is_mirrored, plan_of, understand, validate
from .decode import Growth
from .device import pick_device, pick_dtype
from .info import ModelInfo
from .models.condition import word_ids
from .models.packed import pack_linears, release_mapping
from .models.transformer import NARTransformer
from .plan import DecodePlan, coordinates
from .preview import Preview
from .request import Request
from .sampling import uniforms
from .settings import SETTINGS, SamplingSettings
from .weights.fetch import Progress
from .weights.load import load_model
from .weights.read import trim_heap
from .worlds import WORLDS, Understood


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
        mirrored: it shows the mirror image of a growth from the upper left: everything above lies
            as it is seen, but `Engine.decode` and `preview` must be told, because the codes
            describe the unmirrored picture.
    """

    step: int
    total: int
    positions: np.ndarray
    tokens: np.ndarray
    confidence: np.ndarray
    elapsed: float
    passes: int
    request: Request
    mirrored: bool = False


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
        """See `checks.validate`."""
        return validate(self.info, request)

    def plan(self, request: Request) -> DecodePlan:
        """The decoding plan of a request, also before it is started. Raises as `validate` does."""
        return plan_of(self.info, self.validate(request))

    def understand(self, prompt: str) -> Understood:
        """Each word of a prompt as known, taken as another, left out or unknown, and the facts."""
        return understand(self.info, prompt)

    def facts(self, prompts: Sequence[str]) -> Tensor:
        """What prompts say in the model's world, int64 [B, slots]; -1 where they say nothing."""
        world = WORLDS[self.info.world]()
        found = [world.understand(prompt).facts for prompt in prompts]
        rows = [[-1] * len(world.slots) if f is None else world.encode(f) for f in found]
        return torch.tensor(rows, device=self.device)

    def _condition(self, request: Request):
        """Condition input and its null form, on the device."""
        kind = self.model.config.condition.kind
        if kind == "words":
            slots = self.model.config.condition
            values = word_ids(list(request.prompt), slots.slots, slots.buckets).to(self.device)
        elif kind == "facts":
            values = self.facts(request.prompt)
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
        return self._grow(request, plan_of(self.info, request))

    def generate_all(self, request: Request) -> Frame:
        """Drain `generate`; the last frame."""
        for frame in self.generate(request):
            last = frame
        return last

    def _grow(self, request: Request, plan: DecodePlan) -> Iterator[Frame]:
        started = time.perf_counter()
        shape, where = (request.num_samples, plan.grid.cells), (request.num_samples, *plan.grid)
        mirrored, grown = is_mirrored(self.info, request), plan
        if mirrored:
            grown = plan_of(self.info, replace(request, seed_position=(0, 0, 0)))

        def seen(values: np.ndarray) -> np.ndarray:
            """Values of every cell between the model's order and the one that is seen, a copy."""
            values = values.reshape(where)
            return (values[..., ::-1] if mirrored else values).copy()

        tokens = np.full(shape, -1, np.int64)
        confidence = np.full(shape, np.nan, np.float32)
        first = 0
        if request.known is not None:
            tokens = request.known.reshape(shape).copy()
        if request.resume is not None:
            first = request.resume.step
            tokens = seen(request.resume.tokens).reshape(shape)
            confidence = seen(request.resume.confidence).reshape(shape)
        growth = Growth(
            self.model,
            grown,
            *self._condition(request),
            torch.from_numpy(tokens).to(self.device, copy=True),
            uniforms(request.rng_seed, *shape),
            SamplingSettings(**{x.name: getattr(request, x.name) for x in SETTINGS}),
            first,
        )
        at = coordinates(plan.grid)
        for index in range(first, plan.total):
            drawn, chance = growth.step()
            cells = grown.steps[index].positions
            tokens[:, cells] = drawn.cpu().numpy()
            confidence[:, cells] = chance.cpu().numpy()
            yield Frame(
                step=index + 1,
                total=plan.total,
                positions=at[plan.steps[index].positions],
                tokens=seen(tokens),
                confidence=seen(confidence),
                elapsed=time.perf_counter() - started,
                passes=growth.passes,
                request=request,
                mirrored=mirrored,
            )

    # Pixels

    @torch.inference_mode()
    def decode(self, tokens: np.ndarray, mirrored: bool = False) -> np.ndarray:
        """Complete tokens int [B, T, H, W] to uint8 [B, F, height, width, 3], full quality.

        `mirrored` as the frame says from which they are.
        """
        tokens = np.asarray(tokens)
        if mirrored:
            return _mirror_image(self.decode(tokens[..., ::-1]))
        expected = tuple(self.info.grid)
        if tokens.ndim != 4 or tokens.shape[1:] != expected:
            raise ValueError(f"tokens: got shape {tokens.shape}, expected [B, {expected}]")
        if tokens.min() < 0 or tokens.max() >= self.tokenizer.vocab_size:
            raise ValueError(
                f"tokens: got {tokens.min()} to {tokens.max()}, expected 0 to "
                f"{self.tokenizer.vocab_size - 1}; unknown cells (-1) can only be previewed"
            )
        tokens = np.ascontiguousarray(tokens)  # torch takes no views that run backwards
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
        x = torch.from_numpy(np.ascontiguousarray(video)).to(self.device).permute(0, 1, 4, 2, 3)
        return self.tokenizer.encode(x.float() / 255).cpu().numpy()

    @torch.inference_mode()
    def surprise(self, tokens: np.ndarray) -> np.ndarray:
        """How unlike the training data complete grids are: nats per token, float [B].

        From the model's own seed position and without a condition, in one pass; what pictures of
        its own kind cost stands in `info.held_out_loss`.
        """
        plan = plan_of(self.info, validate(self.info, Request()))
        rows = torch.from_numpy(np.asarray(tokens)).to(self.device).flatten(1)
        values, _ = self._condition(validate(self.info, Request(num_samples=len(rows))))
        seed = int(np.ravel_multi_index(plan.seed_position, plan.grid))
        logits = self.model(
            values,
            rows,
            torch.from_numpy(plan.levels).to(self.device),
            torch.from_numpy(plan.fan_in).to(self.device),
            torch.full((len(rows),), seed, device=self.device),
        )
        loss = torch.nn.functional.cross_entropy(
            logits.float().transpose(1, 2), rows, reduction="none"
        )
        return loss.mean(1).cpu().numpy()

    def preview(self, tokens: np.ndarray, full: bool = False, mirrored: bool = False) -> np.ndarray:
        """A picture of a partial grid, uint8 [B, F, height, width, 3]; cheap unless `full`."""
        if mirrored:
            return _mirror_image(self.preview(tokens[..., ::-1], full))
        return self._preview.full(tokens) if full else self._preview(tokens)


def _mirror_image(video: np.ndarray) -> np.ndarray:
    """Pixels [B, F, height, width, 3] with left and right exchanged."""
    return np.ascontiguousarray(video[..., ::-1, :])
