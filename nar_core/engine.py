"""The engine: one loaded model, and `generate`, which yields a frame per decoding step."""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .arrangement import settled
from .card import model_card
from .checks import cell_of, prepare
from .decode import Growth
from .device import arithmetic, pick_device, pick_dtype
from .explain import Explanation, disagreement, explain
from .info import ModelInfo
from .kept import KeptGrowths
from .models.condition import Caption, word_ids
from .models.packed import pack_linears, release_mapping
from .models.transformer import NARTransformer
from .picture import evenly, fit, tiled
from .plan import DecodePlan, coordinates
from .preview import Preview
from .request import Frame, Prepared, Request, check_resumed
from .sampling import uniforms
from .settings import array_of, shortened, whole
from .tokenizers.base import Tokenizer
from .tokenizers.vq_image import fold_upsampling
from .weights.embedded import copy_model
from .weights.fetch import Progress
from .weights.load import load_model
from .weights.read import read_yaml, trim_heap
from .words import understand
from .worlds import WORLDS, Understood
from .writing import need_folder, whole_folder


class Engine:
    """A generator with its tokenizer on a device. Holds no state of any request that is grown.

    Attributes:
        info: see `ModelInfo`.
        digest: short hash of the weights, for recipes.
        folder: the model folder that it was loaded from, None of official weights.
    """

    def __init__(
        self,
        info: ModelInfo,
        model: NARTransformer,
        tokenizer: Tokenizer,
        digest: str = "",
        patches: Tensor | None = None,
        text_encoder: Callable[[list[str], torch.device], Caption] | None = None,
        folder: Path | None = None,
        dtype: torch.dtype | None = None,
    ):
        self.info, self.model, self.tokenizer, self.digest = info, model, tokenizer, digest
        self.text_encoder, self.folder = text_encoder, folder
        self.device = next(model.parameters()).device
        self.dtype = dtype or next(model.parameters()).dtype
        self._preview = Preview(tokenizer, patches)
        self._growths = KeptGrowths(model, self.device)
        # Fronts that are under way while one is told: a CPU would only tell the first one later.
        self._ahead = int(self.device.type == "cuda")

    @classmethod
    def load(
        cls,
        name: str | Path,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        progress: Progress | None = None,
    ) -> Engine:
        """Load a model by registry name, folder, or weight file of an official model.

        Args:
            device, dtype: torch's own or their names; "auto" takes what suits machine and model.
                "int8" rounds weights and states inside of products: faster on CPUs that have
                instructions for it, by other tokens than those of "auto".
            progress: told what is fetched, and how much of it is here.

        Raises:
            ValueError: an unknown name, or files that are not what they should be.
            FileNotFoundError: weights that are neither here nor to be had; says where to put them.
        """
        target = pick_device(device)
        loaded = load_model(name, progress)
        parameters = sum(p.numel() for p in loaded.model.parameters())
        numbers = pick_dtype(dtype, target, parameters)
        model = loaded.model.to(target, arithmetic(numbers, target, parameters)).eval()
        pack_linears(model, numbers == torch.int8)
        release_mapping(model)
        tokenizer = loaded.tokenizer.to(target).eval()
        fold_upsampling(tokenizer)
        trim_heap()
        return cls(
            loaded.info,
            model,
            tokenizer,
            loaded.digest,
            loaded.patches,
            loaded.text_encoder,
            loaded.folder,
            numbers,
        )

    def __reduce__(self) -> NoReturn:
        """Its weights are laid out for where they are, see `pack_linears`: it has no copies."""
        raise TypeError(
            f"engine: got {self.info.name} to copy or pickle, expected it where it was loaded; "
            "load it there by Engine.load"
        )

    # What is asked for

    def prepare(self, request: Request) -> Prepared:
        """The request, checked and planned. Raises ValueError with the remedy."""
        return prepare(self.info, request)

    def validate(self, request: Request) -> Request:
        """The request with everything filled in. Raises as `prepare` does."""
        return self.prepare(request).request

    def plan(self, request: Request) -> DecodePlan:
        """The decoding plan of a request, also before it is started. Raises as `prepare` does."""
        return self.prepare(request).plan

    def understand(self, prompt: str) -> Understood:
        """Each word of a prompt as known, taken as another, left out or unknown, and the facts."""
        return understand(self.info, prompt)

    def condition(
        self, request: Request, rng_seeds: Sequence[int] = (), there: Tensor | None = None
    ) -> tuple[Any, Any]:
        """Condition input of a prepared request and its null form, on the device.

        Args:
            rng_seeds: one of each row, by default 0, 1, ...
            there: tokens [B, N] that are there already, see `arrangement.settled`.
        """
        config = self.model.config.condition
        prompts = [str(x) for x in request.prompt or ()]
        if config.kind == "words":
            values = word_ids(prompts, config.slots, config.buckets, config.parted).to(self.device)
        elif config.kind == "facts":
            world = WORLDS[self.info.world]()
            rng_seeds = rng_seeds or range(len(prompts))
            rows = settled(world, prompts, rng_seeds, self.model, there)
            values = torch.tensor(rows, device=self.device)
        elif config.kind == "caption":
            assert self.text_encoder is not None
            values = self.text_encoder(prompts, self.device)
        else:
            assert isinstance(request.label, tuple)
            index: dict[Any, int] = {name: i for i, name in enumerate(self.info.labels)}
            ids = [-1 if x is None else index[x] for x in request.label]
            values = torch.tensor(ids, device=self.device)
        return values, self.model.condition.null_like(values)

    # Generation

    def generate(self, request: Request | Prepared) -> Generator[Frame, None, None]:
        """Check at once, then yield one `Frame` per decoding step; closing it cancels."""
        return _frames(self.generate_together([request]))

    def generate_all(self, request: Request | Prepared) -> Frame:
        """Drain `generate`; the last frame."""
        *_, last = self.generate(request)
        return last

    def generate_together(
        self,
        requests: Sequence[Request | Prepared],
        wanted: Callable[[int], bool] = lambda number: True,
    ) -> Generator[list[Frame | None], None, None]:
        """Grow several requests as one batch; each result is that of its single run.

        Args:
            requests: those of one kin, see `Prepared.kin`.
            wanted: asked before every step whether a request, by its number, is still to be grown.

        Returns:
            A list per decoding step with the frame of each request, None for one that is not
            wanted any more. It ends early where none is.

        Raises:
            ValueError: a request cannot be grown, or not together with the others.
        """
        several = [r if isinstance(r, Prepared) else self.prepare(r) for r in requests]
        if not several:
            raise ValueError("requests: got none, expected one or more")
        for prepared in several:
            if prepared.model != self.info.name:
                raise ValueError(
                    f"request: got one prepared for {prepared.model}, expected {self.info.name}"
                )
        if len({prepared.kin for prepared in several}) != 1:
            raise ValueError(
                f"requests: got {len(several)} that do not all agree in seed position, known "
                "cells, heads, fusion, guidance or none, and step to go on from; grow them one "
                "by one"
            )
        return self._grow(several, wanted)

    def _grow(
        self, several: Sequence[Prepared], wanted: Callable[[int], bool]
    ) -> Generator[list[Frame | None], None, None]:
        started = time.perf_counter()
        requests, plan = [self._encoded(prepared) for prepared in several], several[0].plan
        rows = [prepared.num_samples for prepared in several]
        owner = np.repeat(np.arange(len(rows)), rows)
        shape = len(owner), plan.grid.cells
        tokens = np.full(shape, -1, np.int64)
        confidence = np.full(shape, np.nan, np.float32)
        first = 0
        for number, request in enumerate(requests):
            own = owner == number
            tokens[own] = _begun(request, rows[number], plan.grid.cells)
            if request.resume is not None:
                first = request.resume.step
                confidence[own] = request.resume.confidence.reshape(-1, plan.grid.cells)
        rng_seeds = [p.rng_seed + i for p in several for i in range(p.num_samples)]
        there = torch.from_numpy(tokens).to(self.device, copy=True)
        at = coordinates(plan.grid)
        with self._growths.growth(
            plan,
            *self.condition(_joined(requests), rng_seeds, there),
            there,
            torch.cat([uniforms(p.rng_seed, p.num_samples, plan.grid.cells) for p in several]),
            [p.settings for p in several for _ in range(p.num_samples)],
            first,
        ) as growth:
            for front in self._fronts(growth, owner, wanted):
                step = plan.steps[front.number - 1]
                cells = front.rows[:, None], step.positions
                tokens[cells], confidence[cells] = front.arrived()
                elapsed = time.perf_counter() - started
                yield [
                    Frame(
                        step=front.number,
                        total=plan.total,
                        positions=at[step.positions],
                        tokens=tokens[owner == i].reshape(-1, *plan.grid),
                        confidence=confidence[owner == i].reshape(-1, *plan.grid),
                        elapsed=elapsed,
                        passes=front.passes,
                        request=request,
                        model=self.info.name,
                        painter=self.pixels,
                    )
                    if front.still[i]
                    else None
                    for i, request in enumerate(requests)
                ]

    def _fronts(
        self, growth: Growth, owner: np.ndarray, wanted: Callable[[int], bool]
    ) -> Iterator[_Front]:
        """Every front, on its way; `_ahead` later ones are begun before it is told.

        Args:
            owner: number of the request that each row is of, int64 [B].
        """
        rows = np.arange(len(owner))
        still, underway = np.ones(owner[-1] + 1, bool), deque[_Front]()
        for number in range(growth.next_step + 1, growth.plan.total + 1):
            still &= [wanted(i) for i in range(len(still))]  # its rows are gone for good
            if not still.any():
                return
            if not still[owner[rows]].all():
                kept = np.flatnonzero(still[owner[rows]])
                growth.keep_rows(torch.from_numpy(kept).to(self.device))
                rows = rows[kept]
            drawn = growth.step()
            underway.append(_Front(number, rows, still, growth.passes, *drawn))
            if len(underway) > self._ahead:
                yield underway.popleft()
        yield from underway

    def read(self, prepared: Prepared) -> np.ndarray:
        """Whole tokens of the pictures that are known, int64 [1 or B, T, H, W], as `known` has."""
        pixels = np.asarray(prepared.request.known)
        shape = len(pixels), self.info.frames, *pixels.shape[1:]
        return self.encode(np.broadcast_to(pixels[:, None], shape).copy())

    def _encoded(self, prepared: Prepared) -> Request:
        """The request with tokens in place of known pictures."""
        if prepared.request.keep is None:
            return prepared.request
        return prepared.encoded(self.read(prepared)).request

    # To understand

    def explain(
        self, frame: Frame, cell: Sequence[int], sample: int = 0, candidates: int = 5
    ) -> Explanation:
        """Why a cell of a frame became what it is: what each head said, and what was made of it.

        Args:
            frame: one of this engine, after the cell was decoded.
            cell: (t, h, w), or (h, w) of a picture.
            sample: of the frame; candidates: how many tokens are told of each distribution.

        Raises:
            ValueError: the frame is of another model, or the cell was not decoded in it.
        """
        at = cell_of(self.info, cell, "cell")
        candidates = whole("candidates", candidates, 0)
        plan, sample = self._plan_of(frame, sample)
        flat = int(np.ravel_multi_index(at, plan.grid))
        steps = [i for i, step in enumerate(plan.steps[: frame.step]) if flat in step.positions]
        if not steps:
            raise ValueError(
                f"cell: got {tuple(cell)}, expected one that was decoded up to step {frame.step}"
            )
        return explain(self._growth_before(frame, plan, sample, steps[0]), at, candidates)

    def disagreement(self, frame: Frame, sample: int = 0) -> np.ndarray:
        """How much the heads disagreed in every cell of a frame of this engine.

        Returns:
            Jensen-Shannon divergence in nats, float32 [T, H, W]: 0 where one head spoke alone, nan
            where nothing was decoded.

        Raises:
            ValueError: the frame is of another model.
        """
        plan, sample = self._plan_of(frame, sample)
        return disagreement(self._growth_before(frame, plan, sample, frame.step - 1))

    def _plan_of(self, frame: Frame, sample: int) -> tuple[DecodePlan, int]:
        """The plan of a frame, and the sample; ValueError where either is none of this model."""
        if not isinstance(frame, Frame):
            raise ValueError(
                f"frame: got {shortened(frame)}, expected one that `generate` gave; ask for that"
            )
        is_other = frame.model not in ("", self.info.name)
        plan = None if is_other else self.plan(frame.request)
        if plan is None or frame.total != plan.total:
            raise ValueError(
                f"frame: got one of {frame.model or 'some model'}, expected {self.info.name}"
            )
        check_resumed("frame", frame, plan)
        return plan, whole("sample", sample, 0, len(frame.tokens) - 1)

    def _growth_before(self, frame: Frame, plan: DecodePlan, sample: int, step: int) -> Growth:
        """The growth of one sample of a frame as it was before a step, counted from 0."""
        request, own = frame.request, slice(sample, sample + 1)
        prepared = self.prepare(request)
        rows = torch.from_numpy(frame.tokens[own].reshape(1, -1).copy()).to(self.device)
        begun = _begun(request, len(frame.tokens), plan.grid.cells)[own]
        one = replace(
            request,
            prompt=(request.prompt or ())[own] if request.prompt else request.prompt,
            label=request.label[own] if isinstance(request.label, tuple) else request.label,
        )
        rng_seed = prepared.rng_seed + sample
        there = torch.from_numpy(begun).to(self.device)
        return Growth(
            self.model,
            plan,
            *self.condition(one, [rng_seed], there),
            rows,
            uniforms(rng_seed, 1, plan.grid.cells),
            prepared.settings,
            step,
        )

    # Pixels

    @torch.inference_mode()
    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Complete tokens int [B, T, H, W] to uint8 [B, F, height, width, 3], full quality."""
        video = self.tokenizer.decode(torch.from_numpy(self._codes(tokens, 0)).to(self.device))
        video = (video.float().clamp(0, 1) * 255).round().to(torch.uint8)
        return video.permute(0, 1, 3, 4, 2).cpu().numpy()

    def _codes(self, tokens: Any, least: int) -> np.ndarray:
        """Tokens as int64 [B, T, H, W]; ValueError unless each is a code, or not below `least`."""
        tokens, expected = array_of(tokens, "tokens"), tuple(self.info.grid)
        if tokens.ndim != 4 or tokens.shape[1:] != expected or not len(tokens):
            raise ValueError(f"tokens: got shape {tokens.shape}, expected [B, {expected}]")
        if not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(f"tokens: got {tokens.dtype}, expected whole numbers")
        if tokens.min() < least or tokens.max() >= self.tokenizer.vocab_size:
            told = "" if least < 0 else "; unknown cells (-1) can only be previewed"
            raise ValueError(
                f"tokens: got {tokens.min()} to {tokens.max()}, expected {least} to "
                f"{self.tokenizer.vocab_size - 1}{told}"
            )
        # torch takes no views that run backwards
        return np.ascontiguousarray(tokens, np.int64)

    @torch.inference_mode()
    def encode(self, video: np.ndarray | Image.Image) -> np.ndarray:
        """Pixels uint8 [B, F, height, width, 3] to tokens int64 [B, T, H, W].

        A picture is fitted to the model's size first (see `picture.fit`); where the model makes
        clips, it stands still. Raises ValueError for pixels of another form.
        """
        expected = (self.info.frames, *self.info.size, 3)
        if isinstance(video, Image.Image):
            video = np.broadcast_to(fit(video, self.info.size), (1, *expected)).copy()
        video = array_of(video, "video")
        if video.dtype != np.uint8 or video.shape[1:] != expected or not len(video):
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
        rows = torch.from_numpy(self._codes(tokens, 0)).to(self.device).flatten(1)
        prepared = self.prepare(Request(num_samples=len(rows)))
        plan = prepared.plan
        values, _ = self.condition(prepared.request)
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

    def pixels(self, tokens: np.ndarray) -> np.ndarray:
        """Of a complete grid what `decode` makes, of a partial one what `preview` does."""
        tokens = self._codes(tokens, -1)
        return self.decode(tokens) if (tokens >= 0).all() else self.preview(tokens)

    def preview(self, tokens: np.ndarray, full: bool = False) -> np.ndarray:
        """A picture of a partial grid, uint8 [B, F, height, width, 3]; cheap unless `full`."""
        tokens = self._codes(tokens, -1)
        return self._preview.full(tokens) if full else self._preview(tokens)

    # To keep and to share

    def save_pretrained(self, folder: str | Path, samples: int = 4) -> Path:
        """Write a model folder that holds all it needs, with a model card and samples; its path.

        Raises:
            ValueError: official weights, which are their authors' to share, or a folder that is
                taken.
        """
        folder = Path(folder)
        if self.folder is None:
            raise ValueError(
                f"save_pretrained: got {self.info.name}, expected a model of a model folder; its "
                "weights are shared by their authors"
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError(f"folder: got {folder}, which is taken, expected a new or empty one")
        need_folder(folder, "folder")
        said, file = self._samples(samples), ""
        with whole_folder(folder) as part:
            copy_model(self.folder, part)
            if said:
                file = "samples.png"
                words: dict[str, Any] = {"label" if self.info.task == "class" else "prompt": said}
                frame = self.generate_all(Request(**words, num_samples=len(said)))
                tiled([self.decode(frame.tokens)[:, -1]]).save(part / file)
            path = part / "record.yaml"
            record = read_yaml(path) if path.is_file() else {}
            card = model_card(self.info, record, file, said)
            (part / "README.md").write_text(card, encoding="utf-8")
        return folder

    def _samples(self, count: int) -> tuple[str, ...]:
        """Different classes or prompts to show, as many as there are up to `count`."""
        known = self.info.labels or self.info.prompts or self.info.names
        return tuple(known[i] for i in evenly(len(known), count)) if count > 0 else ()

    def push_to_hub(
        self, repo_id: str, private: bool = False, token: str | None = None, samples: int = 4
    ) -> str:
        """Upload what `save_pretrained` writes to the Hugging Face Hub; the address there."""
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, samples)
            url = api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message=f"{self.info.title}"
            )
        return str(url)


class _Front:
    """A front that was drawn on the device, on its way here.

    Attributes:
        number: of the step, counted from 1. rows: which rows of the batch it is of, int64 [B'].
        still: which requests are wanted, as far as is known now, bool [requests].
        passes: forward passes until then.
    """

    def __init__(
        self,
        number: int,
        rows: np.ndarray,
        still: np.ndarray,
        passes: int,
        tokens: Tensor,
        confidence: Tensor,
    ):
        self.number, self.rows, self.still, self.passes = number, rows, still, passes
        self._copies = [x.to("cpu", non_blocking=True) for x in (tokens, confidence)]
        self._event = torch.cuda.Event() if tokens.is_cuda else None
        if self._event is not None:
            self._event.record()

    def arrived(self) -> tuple[np.ndarray, np.ndarray]:
        """Tokens int64 and confidence float32, [B', n]; waits for them."""
        if self._event is not None:
            self._event.synchronize()
        tokens, confidence = (x.numpy() for x in self._copies)
        return tokens, confidence


def _begun(request: Request, rows: int, cells: int) -> np.ndarray:
    """What is there before the first step, int64 [rows, cells], -1 where nothing is."""
    given = request.known if request.resume is None else request.resume.tokens
    out = np.full((rows, cells), -1, np.int64)
    if isinstance(given, np.ndarray):
        out[:] = given.reshape(-1, cells)
    return out


def _joined(requests: Sequence[Request]) -> Request:
    """What one batch of several requests is conditioned on."""
    prompts = [x for request in requests for x in request.prompt or ()]
    labels = [x for r in requests if isinstance(r.label, tuple) for x in r.label]
    return replace(requests[0], prompt=tuple(prompts), label=tuple(labels))


def _frames(growth: Generator[list[Frame | None], None, None]) -> Generator[Frame, None, None]:
    """The frames of a batch of one request."""
    with closing(growth):
        for [frame] in growth:
            assert frame is not None
            yield frame
