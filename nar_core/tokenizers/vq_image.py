"""The picture tokenizer of the official image models: VQ-16, and VQ-8 with one stage less.

Module names are those of the published files, so loading them needs no renaming.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..plan import GridShape
from .quantize import UnitCodebook


@dataclass(frozen=True)
class VQConfig:
    """Shape of a VQ tokenizer; the defaults are VQ-16.

    Args:
        size: height and width of a picture, pixels, multiples of `downsample`.
        width: channels at full resolution, a multiple of 32.
        encoder_multipliers, decoder_multipliers: channels of each stage in units of `width`,
            finest stage first; every stage after the first halves the sides.
        blocks: residual blocks of an encoder stage; a decoder stage has one more.
        latent_width: channels between the convolutions and the code projections.
        codebook_size, codebook_width: rows and columns of the codebook.
    """

    size: tuple[int, int] = (256, 256)
    width: int = 128
    encoder_multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    decoder_multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks: int = 2
    latent_width: int = 256
    codebook_size: int = 16384
    codebook_width: int = 8

    def __post_init__(self):
        if len(self.encoder_multipliers) != len(self.decoder_multipliers):
            raise ValueError(
                f"decoder_multipliers: got {len(self.decoder_multipliers)} stages, "
                f"expected {len(self.encoder_multipliers)} as in the encoder"
            )
        if any(side % self.downsample for side in self.size):
            raise ValueError(
                f"size: got {tuple(self.size)}, expected multiples of {self.downsample}"
            )

    @property
    def downsample(self) -> int:
        """Pixels per cell and side."""
        return 2 ** (len(self.encoder_multipliers) - 1)

    @property
    def grid(self) -> GridShape:
        return GridShape(1, self.size[0] // self.downsample, self.size[1] // self.downsample)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width, eps=1e-6)


class Residual(nn.Module):
    """Norm, swish, 3x3, twice; a 1x1 shortcut where the width changes. [B, C, h, w]."""

    def __init__(self, width_in: int, width_out: int):
        super().__init__()
        self.norm1 = _norm(width_in)
        self.conv1 = nn.Conv2d(width_in, width_out, 3, padding=1)
        self.norm2 = _norm(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, padding=1)
        if width_in != width_out:
            self.nin_shortcut = nn.Conv2d(width_in, width_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        # written over where nothing else reads it: at full size each would be 32 MB more
        y = self.conv1(F.silu(self.norm1(x), inplace=True))
        y = self.conv2(F.silu(self.norm2(y), inplace=True))
        return y.add_(self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class Attention(nn.Module):
    """One head over all positions of [B, C, h, w]."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = _norm(width)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (f(y).flatten(2).transpose(1, 2).unsqueeze(1) for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(y.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:]))


class Downsample(nn.Module):
    """Halve the sides; the border is padded on the right and at the bottom only."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double the sides: repeat every pixel, then convolve."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.folded: Tensor | None = None

    def fold(self) -> None:
        """Make one of both, for inference: four ninths of the work.

        Of the nine weights those that meet the same pixel twice are added up, which leaves a
        transposed convolution of 4 x 4. The weight that is loaded and saved is given up.
        """
        weight = F.pad(self.conv.weight.detach(), (1, 1, 1, 1))
        weight = weight[..., 1:] + weight[..., :-1]
        weight = weight[..., 1:, :] + weight[..., :-1, :]
        weight = weight.flip(2, 3).transpose(0, 1)
        self.folded = weight.contiguous(memory_format=torch.channels_last)
        self.conv.register_parameter("weight", None)

    def forward(self, x: Tensor) -> Tensor:
        if self.folded is not None:
            return F.conv_transpose2d(x, self.folded, self.conv.bias, stride=2, padding=1)
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def fold_upsampling(module: nn.Module) -> None:
    """Fold every `Upsample` inside of a module that lies on a CPU, where that was measured."""
    for part in module.modules():
        if isinstance(part, Upsample) and part.conv.weight.device.type == "cpu":
            part.fold()


class Stage(nn.Module):
    """Residual blocks at one resolution, each followed by attention where asked, then a resize."""

    def __init__(self, width_in: int, width: int, blocks: int, attention: bool):
        super().__init__()
        self.res = nn.ModuleList(Residual(width if i else width_in, width) for i in range(blocks))
        self.attn = nn.ModuleList(Attention(width) for _ in range(blocks if attention else 0))

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.res):
            x = block(x)
            if self.attn:
                x = self.attn[i](x)
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                x = getattr(self, name)(x)
        return x


def _middle(width: int) -> nn.ModuleList:
    return nn.ModuleList([Residual(width, width), Attention(width), Residual(width, width)])


class Encoder(nn.Module):
    """Pictures [B, 3, h, w] in [-1, 1] to latents [B, latent_width, H, W]."""

    def __init__(self, config: VQConfig):
        super().__init__()
        widths = [config.width * m for m in config.encoder_multipliers]
        self.conv_in = nn.Conv2d(3, config.width, 3, padding=1)
        self.conv_blocks = nn.ModuleList()
        for i, (before, width) in enumerate(zip([config.width, *widths], widths)):  # noqa: B905
            last = i == len(widths) - 1
            self.conv_blocks.append(Stage(before, width, config.blocks, attention=last))
            if not last:
                self.conv_blocks[-1].downsample = Downsample(width)
        self.mid = _middle(widths[-1])
        self.norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], config.latent_width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in (*self.conv_blocks, *self.mid):
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Decoder(nn.Module):
    """Latents [B, latent_width, H, W] to pictures [B, 3, h, w], about [-1, 1]."""

    def __init__(self, config: VQConfig):
        super().__init__()
        # In execution order: index 0 is the coarsest stage.
        widths = [config.width * m for m in reversed(config.decoder_multipliers)]
        self.conv_in = nn.Conv2d(config.latent_width, widths[0], 3, padding=1)
        self.mid = _middle(widths[0])
        self.conv_blocks = nn.ModuleList()
        for i, (before, width) in enumerate(zip([widths[0], *widths], widths)):  # noqa: B905
            self.conv_blocks.append(Stage(before, width, config.blocks + 1, attention=i == 0))
            if i < len(widths) - 1:
                self.conv_blocks[-1].upsample = Upsample(width)
        self.norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for block in (*self.mid, *self.conv_blocks):
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class VQTokenizer(nn.Module):
    """Pictures to a token grid and back."""

    holistic = False

    def __init__(self, config: VQConfig):
        super().__init__()
        self.config = config
        self.grid, self.size, self.frames = config.grid, (config.size[0], config.size[1]), 1
        self.vocab_size = config.codebook_size
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = UnitCodebook(config.codebook_size, config.codebook_width)
        self.quant_conv = nn.Conv2d(config.latent_width, config.codebook_width, 1)
        self.post_quant_conv = nn.Conv2d(config.codebook_width, config.latent_width, 1)
        self.eval()

    def features(self, pictures: Tensor) -> Tensor:
        """Pictures [B, 3, h, w] in [-1, 1] to vectors before the look-up, [B, d, H, W]."""
        return self.quant_conv(self.encoder(pictures))

    def render(self, values: Tensor) -> Tensor:
        """Codebook vectors [B, d, H, W] to pictures [B, 3, h, w], about [-1, 1], not clamped."""
        return self.decoder(self.post_quant_conv(values))

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Pictures [B, 1, 3, h, w] in [0, 1] to codes, int64 [B, 1, H, W]."""
        z = self.features(video[:, 0] * 2 - 1)
        return self.quantize.encode(z.permute(0, 2, 3, 1)).unsqueeze(1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, 1, H, W] to pictures [B, 1, 3, h, w], about [0, 1], not clamped."""
        values = self.quantize.decode(codes[:, 0]).permute(0, 3, 1, 2)
        return ((self.render(values) + 1) / 2).unsqueeze(1)

    @torch.no_grad()
    def code_patches(self) -> Tensor:
        """The rough colour of every code, uint8 [V, p, p, 3], for previews.

        Decoding each of 16384 codes would take minutes on a CPU, so evenly spaced ones are decoded
        alone and the colours of the rest are fitted: quadratic in the code's vector.
        """
        sample = 512
        vectors = F.normalize(self.quantize.embedding.weight.float(), dim=-1)
        pairs = vectors[:, :, None] * vectors[:, None]
        upper = torch.triu_indices(*pairs.shape[1:], device=pairs.device)
        features = torch.cat([vectors, pairs[:, upper[0], upper[1]]], 1)
        chosen = torch.arange(0, self.vocab_size, max(1, self.vocab_size // sample))
        chosen = chosen.to(vectors.device)
        alone = torch.cat([self.decode(c.view(-1, 1, 1, 1)) for c in chosen.split(64)])
        colours = alone[:, 0].float().clamp(0, 1).mean((2, 3))
        # Ridge, for codebooks with fewer rows than features; the squares include the constant.
        x = features[chosen].double()
        gram = x.T @ x + 1e-3 * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        fit = torch.linalg.solve(gram, x.T @ colours.double()).float()
        patches = ((features @ fit).clamp(0, 1) * 255).round().to(torch.uint8)
        side = self.config.downsample
        return patches[:, None, None].expand(-1, side, side, -1).cpu()
