"""What is asked for, what a model makes of it, and what comes back after every step."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from .picture import evenly, tiled
from .plan import DecodePlan, coordinates
from .settings import NUM_SAMPLES, RNG_SEED, SETTINGS, Sampling, SamplingSettings, whole


@dataclass(frozen=True, eq=False)
class Request(Sampling[None]):
    """One generation, with every setting of `settings.py`.

    None means unsaid: the resumed frame's own request, else the model's default.

    Attributes:
        prompt: a text, or one per sample; empty is the null condition (text models).
        label: class name or number, or one per sample, in which None is no class (class models).
        seed_position: (t, h, w), or (h, w) for pictures, where growth starts; unsaid, amid what is
            known (`plan.start_amid`) where a model starts anywhere.
        rng_seed: random seed; sample i of a batch equals a single run with `rng_seed + i`.
        num_samples: pictures or clips, sharing one plan.
        known: given tokens, int [T, H, W] or [B, T, H, W], -1 where unknown; or a picture, which is
            cropped to the model's size, or pixels uint8 [h, w, 3] or [B, h, w, 3] of that size.
            They are encoded when growth begins; `keep` says what of them is known. A picture of a
            thing alone that begins a clip is drawn anew, see `subject.framed`; pixels never are.
        keep: the cells of a picture that are known, bool [T, H, W]; of a clip the first slice,
            unless said.
        resume: a frame to go on from; its tokens, its known cells and its order of growth stay.
    """

    prompt: str | tuple[str, ...] | None = None
    label: str | int | tuple[str | int | None, ...] | None = None
    seed_position: tuple[int, ...] | None = None
    rng_seed: int | None = None
    num_samples: int | None = None
    known: np.ndarray | Image.Image | None = None
    keep: np.ndarray | None = None
    resume: Frame | None = None

    def check(self) -> None:
        """Raise ValueError, with what was got and what to do, for values no model accepts."""
        for setting in (NUM_SAMPLES, RNG_SEED, *SETTINGS):
            value = getattr(self, setting.name)
            if value is not None:
                setting.check(value)


def check_codes(name: str, tokens: np.ndarray, vocab_size: int) -> None:
    """Raise ValueError, with its name, unless every token is a code or -1."""
    if not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"{name}: got {tokens.dtype}, expected whole numbers, -1 for unknown")
    if tokens.size and not -1 <= tokens.min() <= tokens.max() < vocab_size:
        raise ValueError(
            f"{name}: got tokens from {tokens.min()} to {tokens.max()}, expected -1 (unknown) to "
            f"{vocab_size - 1}"
        )


def check_resumed(name: str, frame: Frame, plan: DecodePlan) -> None:
    """Raise ValueError, with its name, for a frame that is none of this plan, or lacks a cell."""
    whole(f"{name}: step", frame.step, 1, plan.total)
    shape = np.shape(frame.tokens)
    if frame.total != plan.total or np.shape(frame.confidence) != shape:
        raise ValueError(
            f"{name}: got a frame of {frame.total} steps whose confidence is "
            f"{np.shape(frame.confidence)}, expected {plan.total} steps, and {shape} as its tokens"
        )
    if (frame.tokens[:, plan.written(frame.step)] < 0).any():
        raise ValueError(
            f"{name}: got tokens in which cells are missing, expected all that are known or were "
            f"written up to step {frame.step}"
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A request that a model takes, checked and planned once; `checks.prepare` makes it.

    Attributes:
        model: the model's name.
        request: with nothing unsaid that the model reads.
        plan: the decoding order.
        settings: how fronts are predicted and drawn.
        vocab_size: number of codes.
    """

    model: str
    request: Request
    plan: DecodePlan
    settings: SamplingSettings
    rng_seed: int
    num_samples: int
    vocab_size: int

    @property
    def kin(self) -> tuple[Hashable, ...]:
        """What requests must agree in to be grown as one batch (`Engine.generate_together`)."""
        resume, plan = self.request.resume, self.plan
        begun = 0 if resume is None else resume.step
        return self.model, plan.seed_position, plan.known.tobytes(), self.settings.kin, begun

    def encoded(self, tokens: np.ndarray) -> Prepared:
        """The same with the tokens int64 [1 or B, T, H, W] of its known pictures in their place."""
        known = np.where(np.asarray(self.request.keep), tokens, -1)
        rows = np.broadcast_to(known, (self.num_samples, *known.shape[1:])).copy()
        return replace(self, request=replace(self.request, known=rows, keep=None))

    def resumed(self, step: int, tokens: np.ndarray, confidence: np.ndarray) -> Prepared:
        """The same after a step, by the same plan, from what a growth of this plan wrote.

        Args:
            step: from 1 to the one before the last.
            tokens, confidence: [B, T, H, W], as a frame holds them after this step or a later one.

        Raises:
            ValueError: there is no such step, a cell that was written up to it is missing, or a
                token is no code.
        """
        plan, shape = self.plan, (self.num_samples, *self.plan.grid)
        step = whole("step", step, 1, plan.total - 1)
        written = plan.written(step)
        if tokens.shape != shape or (tokens[:, written] < 0).any():
            raise ValueError(
                f"tokens: got {tokens.shape}, expected {shape} with every cell that is known or "
                f"written up to step {step}"
            )
        check_codes("tokens", tokens, self.vocab_size)
        frame = Frame(
            step=step,
            total=plan.total,
            positions=coordinates(plan.grid)[plan.steps[step - 1].positions],
            tokens=np.where(written, tokens, -1).astype(np.int64),
            confidence=np.where(written, confidence, np.nan).astype(np.float32),
            elapsed=0.0,
            passes=0,
            request=self.request,
            model=self.model,
        )
        return replace(self, request=replace(self.request, resume=frame))


@dataclass(frozen=True, eq=False)
class Frame:
    """What is known after one decoding step. No pixels: pictures are made when asked for.

    In a notebook it shows itself, all samples beside each other.

    Attributes:
        step, total: 1 to total.
        positions: the (t, h, w) decoded in this step, int64 [n, 3].
        tokens: int64 [B, T, H, W], -1 where still unknown.
        confidence: float32 [B, T, H, W], the probability of each drawn token after guidance and
            before temperature and filters; nan where unknown or given.
        elapsed: seconds since the request began.
        passes: forward passes so far.
        request: the prepared request that made it, from which it can be resumed.
        model: name of the model that grew it; "" if that is not known.
        painter: tokens to pixels, by the engine that grew it; a copy in another process has none.
    """

    step: int
    total: int
    positions: np.ndarray
    tokens: np.ndarray
    confidence: np.ndarray
    elapsed: float
    passes: int
    request: Request
    model: str = ""
    painter: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "painter": None}

    def pixels(self) -> np.ndarray:
        """Uint8 [B, F, height, width, 3]: in full quality where all is known, else a preview.

        Raises ValueError for a frame that no engine of this process has grown.
        """
        if self.painter is None:
            raise ValueError(
                "frame: got one without its engine, expected one that `Engine.generate` gave here; "
                "use engine.pixels(frame.tokens)"
            )
        return self.painter(self.tokens)

    def image(self, sample: int = 0, moment: int = 0) -> Image.Image:
        """The picture of a sample, of a clip that of one `moment` (frame of it), see `pixels`.

        Below 0 both count from the last one. Raises ValueError also where there is no such picture.
        """
        pixels = self.pixels()
        clip = pixels[_one("sample", sample, pixels)]
        return Image.fromarray(clip[_one("moment", moment, clip)])

    def _repr_png_(self) -> bytes | None:
        """For notebooks: samples in a row; of clips a row each, with some of their moments."""
        if self.painter is None:
            return None
        pixels = self.pixels()
        rows = [clip[evenly(len(clip), 5)] for clip in pixels]
        out = BytesIO()
        tiled(rows if pixels.shape[1] > 1 else [pixels[:, 0]]).save(out, "PNG")
        return out.getvalue()


def _one(name: str, number: int, several: Sequence[Any] | np.ndarray) -> int:
    """The number of one of several, below 0 from the last one. Raises ValueError, naming it."""
    return whole(name, number, -len(several), len(several) - 1)


def growth_strip(frames: Sequence[Frame], shown: int = 8, sample: int = 0) -> Image.Image:
    """A growth in one picture, from the left to the right, evenly spaced from first to last frame.

    Of a clip time goes down, with some of its moments.

    Raises:
        ValueError: there is no frame, or no such sample.
    """
    frames = list(frames)
    if not frames:
        raise ValueError("frames: got none, expected those that `Engine.generate` gave")
    sample = _one("sample", sample, frames[0].tokens)
    columns = [frames[i].pixels()[sample] for i in evenly(len(frames), shown)]
    moments = evenly(len(columns[0]), 5)
    return tiled([[column[moment] for column in columns] for moment in moments])
