"""The clip tokenizer of the official video models: LARP (Wang et al., 2024, arXiv 2410.21264).

Its tokens are answers of learnt queries that look at the whole clip. They are arranged in a lattice
for the generator, but a token is not a place in the clip. Module names are those of the published
files, so loading them needs no renaming.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..plan import GridShape
from .quantize import UnitCodebook


@dataclass(frozen=True)
class LarpConfig:
    """Shape of a LARP tokenizer; the defaults are LARP-L-long.

    Args:
        grid: the lattice in which the generator arranges the latent tokens.
        size: height and width of a frame, pixels.
        frames: frames of a clip.
        patch: patch size (t, h, w).
        codebook_size, codebook_width: rows and columns of the codebook.
        *_type: an offset shared by all patches or queries of that kind.
        *_learned_places: the patch table is a sum of three learnt axes instead of one fixed table.
        norm_eps: of the LayerNorms inside the blocks. The published model ran on a library whose
            default was 1e-5 then and is 1e-6 now; 1e-5 is what the weights were made with.
    """

    grid: tuple[int, int, int] = (4, 16, 16)
    size: tuple[int, int] = (128, 128)
    frames: int = 16
    patch: tuple[int, int, int] = (4, 8, 8)
    encoder_width: int = 768
    encoder_depth: int = 12
    encoder_heads: int = 12
    decoder_width: int = 768
    decoder_depth: int = 12
    decoder_heads: int = 12
    codebook_size: int = 8192
    codebook_width: int = 16
    encoder_patch_type: bool = False
    encoder_query_type: bool = False
    decoder_latent_type: bool = False
    decoder_query_type: bool = True
    encoder_learned_places: bool = False
    decoder_learned_places: bool = False
    norm_eps: float = 1e-5

    def __post_init__(self):
        if any(n % p for n, p in zip((self.frames, *self.size), self.patch, strict=True)):
            raise ValueError(
                f"size: got {self.frames} frames of {tuple(self.size)}, "
                f"expected multiples of the patch {tuple(self.patch)}"
            )
        for side in ("encoder", "decoder"):
            width, heads = getattr(self, f"{side}_width"), getattr(self, f"{side}_heads")
            if width % heads:
                raise ValueError(f"{side}_width: got {width}, expected a multiple of {heads} heads")

    @property
    def patches(self) -> tuple[int, int, int]:
        """Number of patches along (t, h, w)."""
        (high, wide), (a, b, c) = self.size, self.patch
        return self.frames // a, high // b, wide // c


class Attention(nn.Module):
    """Full self-attention over [B, N, C]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(self.qkv(x), "b n (s h d) -> s b h n d", s=3, h=self.heads)
        return self.proj(rearrange(F.scaled_dot_product_attention(q, k, v), "b h n d -> b n (h d)"))


class FeedForward(nn.Module):
    """Two layers with a GELU between, four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm attention and feed-forward on [B, N, C]."""

    def __init__(self, width: int, heads: int, eps: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Blocks(nn.Module):
    """A stack of blocks."""

    def __init__(self, width: int, depth: int, heads: int, eps: float):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, eps) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class PatchEmbed(nn.Module):
    """Clips [B, 3, F, h, w] to patch vectors [B, N, C], patches in (t, h, w) order."""

    def __init__(self, width: int, patch: tuple[int, int, int]):
        super().__init__()
        self.proj = nn.Conv3d(3, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Bottleneck(nn.Module):
    """Down to the codebook's few channels and up again."""

    def __init__(self, config: LarpConfig):
        super().__init__()
        self.in_linear = nn.Linear(config.encoder_width, config.codebook_width)
        self.out_linear = nn.Linear(config.codebook_width, config.decoder_width)
        self.regularizer = UnitCodebook(config.codebook_size, config.codebook_width)


class FinalLayer(nn.Module):
    """Patch vectors [B, N, C] to the pixels of each patch [B, N, t * h * w * 3]."""

    def __init__(self, width: int, pixels: int):
        super().__init__()
        self.norm_final = nn.LayerNorm(width, eps=1e-6)
        self.linear = nn.Linear(width, pixels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm_final(x))


class LarpTokenizer(nn.Module):
    """Clips to a lattice of holistic tokens and back."""

    holistic = True

    def __init__(self, config: LarpConfig):
        super().__init__()
        self.config = config
        self.grid, self.size = GridShape(*config.grid), (config.size[0], config.size[1])
        self.frames, self.vocab_size = config.frames, config.codebook_size
        self.x_embedder = PatchEmbed(config.encoder_width, config.patch)
        self.encoder = self._blocks("encoder")
        self.decoder = self._blocks("decoder")
        self.bottleneck = Bottleneck(config)
        pixels = 3 * config.patch[0] * config.patch[1] * config.patch[2]
        self.final_layer = FinalLayer(config.decoder_width, pixels)
        self._tables()
        self.eval()

    def _blocks(self, side: str) -> Blocks:
        config = self.config
        width, depth, heads = (getattr(config, f"{side}_{n}") for n in ("width", "depth", "heads"))
        return Blocks(width, depth, heads, config.norm_eps)

    def _tables(self) -> None:
        """Everything that tells tokens apart; all of it comes from the file, fixed or learnt."""
        config, (t, h, w), n = self.config, self.config.patches, self.grid.cells
        wide, narrow = config.encoder_width, config.decoder_width
        shapes = {
            "encoder_latent_query_embed": (n, wide),
            "decoder_latent_pe": (1, n, narrow),
        }
        for learned, width, table, axes in (
            (
                config.encoder_learned_places,
                wide,
                "encoder_patch_pe",
                # The second name lacks an r in the published files.
                ("encoder_h_embed", "encode_w_embed", "encoder_t_embed"),
            ),
            (
                config.decoder_learned_places,
                narrow,
                "decoder_patch_query_embed",
                ("decoder_h_embed", "decoder_w_embed", "decoder_t_embed"),
            ),
        ):
            if learned:
                sides = ((1, 1, h, 1, width), (1, 1, 1, w, width), (1, t, 1, 1, width))
                shapes |= dict(zip(axes, sides, strict=True))
            else:
                shapes[table] = (1, t * h * w, width)
        for wanted, name, width in (
            (config.encoder_patch_type, "encoder_patch_token_type_embed", wide),
            (config.encoder_query_type, "encoder_latent_query_token_type_embed", wide),
            (config.decoder_latent_type, "decoder_latent_token_type_embed", narrow),
            (config.decoder_query_type, "decoder_patch_query_token_type_embed", narrow),
        ):
            if wanted:
                shapes[name] = (1, 1, width)
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def _with_type(self, table: Tensor, name: str) -> Tensor:
        return table + self._table(name) if hasattr(self, name) else table

    def _table(self, name: str) -> Tensor:
        """One of what `_tables` has registered."""
        return self.get_parameter(name)

    def _sum(self, h: str, w: str, t: str) -> Tensor:
        """Tables of three axes, each [1, t, h, w, D] with ones elsewhere, as [1, N, D]."""
        return (self._table(h) + self._table(w) + self._table(t)).flatten(1, 3)

    def _patch_places(self) -> Tensor:
        if self.config.encoder_learned_places:
            table = self._sum("encoder_h_embed", "encode_w_embed", "encoder_t_embed")
        else:
            table = self._table("encoder_patch_pe")
        return self._with_type(table, "encoder_patch_token_type_embed")

    def _patch_queries(self) -> Tensor:
        if self.config.decoder_learned_places:
            table = self._sum("decoder_h_embed", "decoder_w_embed", "decoder_t_embed")
        else:
            table = self._table("decoder_patch_query_embed")
        return self._with_type(table, "decoder_patch_query_token_type_embed")

    def features(self, video: Tensor) -> Tensor:
        """Clips [B, F, 3, h, w] in [0, 1] to vectors before the look-up, [B, N, d]."""
        patches = self.x_embedder(video.transpose(1, 2)) + self._patch_places()
        queries = self._table("encoder_latent_query_embed").unsqueeze(0)
        queries = self._with_type(queries, "encoder_latent_query_token_type_embed")
        x = torch.cat([patches, queries.expand(len(video), -1, -1)], 1)
        return self.bottleneck.in_linear(self.encoder(x)[:, patches.shape[1] :])

    def render(self, values: Tensor) -> Tensor:
        """Codebook vectors [B, N, d] to clips [B, F, 3, h, w], about [0, 1], not clamped."""
        places = self._with_type(
            self._table("decoder_latent_pe"), "decoder_latent_token_type_embed"
        )
        latents = self.bottleneck.out_linear(values) + places
        queries = self._patch_queries().expand(len(values), -1, -1)
        x = self.decoder(torch.cat([latents, queries], 1))[:, latents.shape[1] :]
        (t, h, w), (a, b, c) = self.config.patches, self.config.patch
        return rearrange(
            self.final_layer(x),
            "n (t h w) (a b c rgb) -> n (t a) rgb (h b) (w c)",
            t=t, h=h, w=w, a=a, b=b, c=c,
        )  # fmt: skip

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Clips [B, F, 3, h, w] in [0, 1] to codes, int64 [B, T, H, W].

        Deterministic: the published code draws codes at random unless told otherwise.
        """
        codes = self.bottleneck.regularizer.encode(self.features(video))
        return codes.unflatten(1, self.grid)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, T, H, W] to clips [B, F, 3, h, w], about [0, 1], not clamped."""
        return self.render(self.bottleneck.regularizer.decode(codes.flatten(1)))

    def code_patches(self) -> Tensor:
        """A colour for every code, uint8 [V, p, p, 3]: like codes look alike, but it is no picture.

        Colours are the codebook's first principal components.
        """
        rows = F.normalize(self.bottleneck.regularizer.embedding.weight.detach().float(), dim=-1)
        rows = rows - rows.mean(0)
        _, vectors = torch.linalg.eigh(rows.T @ rows)
        places = rows @ vectors[:, -3:]
        colours = 0.5 + 0.4 * places / places.abs().amax(0).clamp(min=1e-6)
        side = self.size[0] // self.grid.h
        patches = (colours * 255).round().to(torch.uint8)
        return patches[:, None, None].expand(-1, side, side, -1).cpu()
