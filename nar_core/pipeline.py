"""The engine as diffusers has it: `NARPipeline.from_pretrained("emoji")("an owl").images`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import make_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from .engine import Engine
from .original import Original
from .picture import as_picture, fit
from .request import Frame, Request
from .settings import NAMED, NUM_SAMPLES, RNG_SEED, shortened, whole

TOLD = ("tokens", "confidence")
"""What a callback may ask for, arrays [B, T, H, W]."""


class NARPipeline:
    """A model that is called with a prompt. A callback that sets `_interrupt` ends the growth."""

    def __init__(self, engine: Engine, torch_dtype: Any = "auto") -> None:
        self.engine, self._torch_dtype, self._interrupt = engine, torch_dtype, False

    @classmethod
    def from_pretrained(
        cls, name: str | Path, torch_dtype: Any = "auto", device: Any = "auto"
    ) -> NARPipeline:
        """Load a model by registry name or folder. Raises as `Engine.load` does."""
        return cls(Engine.load(name, device, torch_dtype), torch_dtype)

    def to(self, device: str | torch.device) -> NARPipeline:
        """The pipeline on another device; it is loaded there anew."""
        (kind, _, number), here = str(device).partition(":"), self.engine.device
        if kind != here.type or number not in ("", str(here.index)):
            name = self.engine.folder or self.engine.info.name
            self.engine = Engine.load(name, device, self._torch_dtype)
        return self

    def __call__(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        class_labels: str | int | Sequence[str | int] | None = None,
        image: Image.Image | None = None,
        mask_image: Image.Image | None = None,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | int = 0,
        output_type: Literal["pil", "np", "latent"] = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., dict[str, Any] | None] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = TOLD[:1],
        **asked: Any,
    ) -> Any:
        """Grow pictures or clips.

        Args:
            prompt, class_labels: one, or several that are grown together.
            image: a picture to paint around; of a clip the first frame, see `Request.known`.
            mask_image: white where the picture is to be grown anew; the rest comes back unchanged.
            generator: its seed is that of the first sample; the next ones count up.
            output_type: "np" are floats from 0 to 1, "latent" are tokens int [B, T, H, W].
            return_dict: False for a plain tuple (images, frames).
            callback_on_step_end: `callback(pipe, step, timestep, callback_kwargs)`: the step, from
                0, those left, and what `callback_on_step_end_tensor_inputs` names of `TOLD`.
                Growth goes on from `tokens` that it returns.
            asked: `seed_position` and every sampling setting, see `Request`.

        Returns:
            images, one of each sample (of a clip the first frame), and frames, all of each. Of a
            growth that was interrupted they are previews.

        Raises:
            ValueError: what cannot be grown, as `Engine.prepare` says.
        """
        for name, value in asked.items():
            if name != "seed_position" and name not in NAMED:
                raise ValueError(
                    f"{name}: got {shortened(value)}, expected seed_position or a sampling "
                    f"setting: {', '.join(NAMED)}; leave it out"
                )
        each = whole("num_images_per_prompt", num_images_per_prompt, 1, int(NUM_SAMPLES.high or 1))
        named = callback_on_step_end_tensor_inputs
        if not set(named) <= set(TOLD):
            raise ValueError(f"callback_on_step_end_tensor_inputs: got {named}, expected {TOLD}")
        if output_type not in ("pil", "np", "latent"):
            raise ValueError(f"output_type: got {output_type!r}, expected pil, np or latent")
        for name, words in (("prompt", prompt), ("label", class_labels)):
            if words is not None:
                listed = isinstance(words, list | tuple) or getattr(words, "ndim", 0) > 0
                several: Any = words if listed else [words]
                asked[name] = tuple(w for w in several for _ in range(each))
        if mask_image is not None and image is None:
            raise ValueError("mask_image: got one, expected none without an image to keep parts of")
        if isinstance(generator, bool) or not isinstance(
            generator, int | np.integer | torch.Generator
        ):
            raise ValueError(
                f"generator: got {shortened(generator)}, expected a torch.Generator or a seed"
            )
        if image is not None and mask_image is None and self.engine.info.grid.t == 1:
            raise ValueError(
                "mask_image: got none beside an image, expected one that is white where it is to "
                "be grown anew"
            )
        rows = len(asked.get("prompt") or asked.get("label") or range(each))
        seed = (
            generator.initial_seed() if isinstance(generator, torch.Generator) else int(generator)
        )
        asked["rng_seed"] = seed % int(RNG_SEED.high or 1)
        if image is not None:
            keep = None if mask_image is None else self._kept(mask_image)
            asked |= {"known": image, "keep": keep}

        def told(frame: Frame) -> np.ndarray:
            if callback_on_step_end is None:
                return frame.tokens
            values = {name: getattr(frame, name).copy() for name in named}
            left = frame.total - frame.step
            back = callback_on_step_end(self, frame.step - 1, left, values) or {}
            return np.asarray(back.get("tokens", frame.tokens))

        self._interrupt = False
        tokens = self._grown(Request(**asked, num_samples=rows), told)
        made: tuple[Any, Any] = tokens, tokens
        if output_type != "latent":
            video = self.engine.pixels(tokens)
            if image is not None and mask_image is not None:
                kept = Original(image, asked["keep"])
                video = kept.pasted(video) if (tokens < 0).any() else kept.blended(video)
            made = video[:, 0].astype(np.float32) / 255, video.astype(np.float32) / 255
            if output_type == "pil":
                clips = [[*map(Image.fromarray, clip)] for clip in video]
                made = [clip[0] for clip in clips], clips
        return output_class()(*made) if return_dict else made

    def _grown(self, request: Request, told: Callable[[Frame], np.ndarray]) -> np.ndarray:
        """Tokens [B, T, H, W] at the end; `told` hears of every step and says what it leaves."""
        with closing(self.engine.generate(request)) as growth:
            for frame in growth:
                tokens = told(frame)
                if self._interrupt or frame.step == frame.total:
                    return tokens
                if not np.array_equal(tokens, frame.tokens):
                    request = Request(resume=replace(frame, tokens=tokens))
                    break
        return self._grown(request, told)

    def _kept(self, mask: Image.Image) -> np.ndarray:
        """The cells of a mask in which nothing is white, bool [T, H, W].

        Raises ValueError where that leaves nothing to keep, or nothing to grow.
        """
        grid, (high, wide) = self.engine.info.grid, self.engine.info.size
        white = fit(as_picture(mask).convert("RGB"), (high, wide))[..., 0] > 127
        cells = white.reshape(grid.h, high // grid.h, grid.w, wide // grid.w)
        kept = ~cells.any((1, 3))
        if not kept.any() or (kept.all() and grid.t == 1):
            what = "no white" if kept.any() else "white in every cell"
            raise ValueError(
                f"mask_image: got one with {what}, expected cells to grow and cells without white "
                "to keep; paint both, or leave image and mask_image out"
            )
        return (np.arange(grid.t) == 0)[:, None, None] & kept


@cache
def output_class() -> type:
    """`NARPipelineOutput`, of diffusers' own kind where it is installed, which it need not be."""
    bases: tuple[type, ...] = ()
    if importlib.util.find_spec("diffusers") is not None:
        from diffusers.utils import BaseOutput  # pyright: ignore

        bases = (BaseOutput,)
    return make_dataclass("NARPipelineOutput", [("images", Any), ("frames", Any)], bases=bases)
