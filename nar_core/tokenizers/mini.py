"""The tokenizer of the embedded models: small, fast on a CPU, for pictures and videos.

A clip is coded frame by frame: every slice of the grid is one frame, frames that are equal get
equal tokens and do not flicker, and any frame can be known.

The encoder sees little around a cell on purpose: equal patches then get equal codes wherever they
stand, so plain background costs the generator nothing, and cells far from an edit keep their codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..plan import GridShape
from .quantize import FSQ

PATCH = 8
FINE = 4  # the finer scale, at which the first and the last blocks work


@dataclass(frozen=True)
class MiniConfig:
    """Shape of a mini tokenizer.

    Args:
        size: height and width of a frame, pixels, multiples of 8.
        frames: frames of a clip, 1 for pictures.
        levels: quantiser levels; their product is the vocabulary.
        encoder_width, decoder_width: channels at the token grid; half of it at the finer scale.
        encoder_depth, decoder_depth: residual blocks at the token grid.
        fine_depth: residual blocks of the decoder at the finer scale.
    """

    size: tuple[int, int] = (128, 128)
    frames: int = 1
    levels: list[int] = field(default_factory=lambda: [8, 8, 8, 8])
    encoder_width: int = 256
    decoder_width: int = 320
    encoder_depth: int = 2
    decoder_depth: int = 4
    fine_depth: int = 2

    def __post_init__(self):
        if any(side % PATCH for side in self.size):
            raise ValueError(f"size: got {tuple(self.size)}, expected multiples of {PATCH}")

    @property
    def grid(self) -> GridShape:
        return GridShape(self.frames, self.size[0] // PATCH, self.size[1] // PATCH)

    def on(self, grid: GridShape) -> MiniConfig:
        """The same tokenizer for another grid: the weights fit pictures and clips of any shape."""
        return replace(self, size=(grid.h * PATCH, grid.w * PATCH), frames=grid.t)


class Conv(nn.Module):
    """A convolution whose weight is kept as a matrix, so that Muon can orthogonalise updates."""

    def __init__(self, width_in: int, width_out: int, kernel: int = 1, zero: bool = False):
        super().__init__()
        fan = width_in * kernel**2
        self.shape = (width_out, width_in, kernel, kernel)
        scale = 0.0 if zero else 1 / math.sqrt(fan)
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(width_out, fan), std=scale))
        self.bias = nn.Parameter(torch.zeros(width_out))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.view(self.shape), self.bias, padding=self.shape[-1] // 2)


class Residual(nn.Module):
    """Norm, 3x3 (or 1x1) mixing, GELU, 1x1, on [B, C, h, w].

    The norm is over channels only, which keeps the block local.
    """

    def __init__(self, width: int, hidden: int, kernel: int = 3):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = Conv(width, hidden, kernel)
        self.out = Conv(hidden, width, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.out(F.gelu(self.mix(y)))


class MiniTokenizer(nn.Module):
    """Frames to a token grid and back, 8x smaller per side, each frame alone."""

    holistic = False

    def __init__(self, config: MiniConfig):
        super().__init__()
        self.config = config
        self.grid, self.size, self.frames = (
            config.grid,
            (config.size[0], config.size[1]),
            config.frames,
        )
        self.quantize = FSQ(list(config.levels))
        self.vocab_size = self.quantize.vocab_size
        patch = 3 * FINE**2
        wide, fine = config.encoder_width, config.encoder_width // 2
        self.embed_first = Conv(patch, fine)
        self.encoder_fine = Residual(fine, fine)
        self.down = Conv(fine * (PATCH // FINE) ** 2, wide)
        self.encoder = nn.ModuleList(
            Residual(wide, 2 * wide, kernel=3 if i == 0 else 1) for i in range(config.encoder_depth)
        )
        self.to_code = Conv(wide, self.quantize.dim)
        wide, fine = config.decoder_width, config.decoder_width // 2
        self.from_code = Conv(self.quantize.dim, wide)
        self.decoder = nn.ModuleList(Residual(wide, wide) for _ in range(config.decoder_depth))
        self.up = Conv(wide, fine * (PATCH // FINE) ** 2)
        self.decoder_fine = nn.ModuleList(Residual(fine, fine) for _ in range(config.fine_depth))
        self.out_first = Conv(fine, patch)

    def encoding_modules(self) -> list[nn.Module]:
        """What decides on codes; frozen when only the decoder is trained on."""
        return [self.embed_first, self.encoder_fine, self.down, self.encoder, self.to_code]

    def features(self, video: Tensor) -> Tensor:
        """Frames [B, T, 3, H, W] in [0, 1] to unquantised codes [B, T, h, w, d]."""
        x = F.pixel_unshuffle(video.flatten(0, 1) * 2 - 1, FINE)
        x = self.embed_first(x).contiguous(memory_format=torch.channels_last)
        x = self.down(F.pixel_unshuffle(self.encoder_fine(x), PATCH // FINE))
        for block in self.encoder:
            x = block(x)
        return rearrange(self.to_code(x), "(b t) d h w -> b t h w d", b=len(video))

    def render(self, values: Tensor) -> Tensor:
        """Quantised values [B, T, h, w, d] to frames [B, T, 3, H, W], about [0, 1], not clamped."""
        x = rearrange(values, "b t h w d -> (b t) d h w")
        x = self.from_code(x.contiguous(memory_format=torch.channels_last))
        for block in self.decoder:
            x = block(x)
        x = F.pixel_shuffle(self.up(x), PATCH // FINE)
        for block in self.decoder_fine:
            x = block(x)
        frames = F.pixel_shuffle(self.out_first(x).float(), FINE).unflatten(0, values.shape[:2])
        return (frames + 1) / 2

    def forward(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """For training: the reconstruction, with straight-through gradients, and the real-valued
        digits [B, T, h, w, d] before they were rounded."""
        features = self.features(video)
        return self.render(self.quantize(features)), self.quantize.digits(features)

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Frames [B, T, 3, H, W] in [0, 1] to codes, int64 [B, T, h, w].

        Equal frames are encoded once: a clip in which something comes back has half as many.
        """
        if video.device.type != "cpu" or video.shape[1] == 1:  # elsewhere comparing would wait
            return self.quantize.encode(self.features(video))
        frames, first = video.flatten(0, 1), dict[bytes, int]()
        same = [first.setdefault(f.float().numpy().tobytes(), len(first)) for f in frames]
        at = [same.index(i) for i in range(len(first))]
        codes = self.quantize.encode(self.features(frames[at, None]))[:, 0]
        return codes[same].unflatten(0, video.shape[:2])

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, T, h, w] to frames [B, T, 3, H, W], about [0, 1], not clamped."""
        return self.render(self.quantize.decode(codes).to(self.from_code.weight.dtype))
