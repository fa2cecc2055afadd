"""The one transformer: official picture and video models and embedded ones are its settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..plan import DIRECTIONS, GridShape, KnownLevel, Order
from .cache import KVCache
from .cells import Cells
from .condition import CONDITIONS, Condition, ConditionConfig
from .heads import Heads
from .packed import gated, plus, plus_
from .position import LearnedPositions, rotate, rotations_of


@dataclass(frozen=True)
class TransformerConfig:
    """Everything that tells one checkpoint from another.

    Args:
        grid: shape of the token grid.
        vocab_size, width, depth, attention_heads, ffn_width: the usual; depth counts all blocks.
        taps: direction to the number of blocks after which its head reads the state. The official
            models run extra blocks for the vertical head, and more for the temporal one.
        condition: see `ConditionConfig`.
        norm: "rms" or "layer" (cheaper on a CPU).
        rotary: component pairs that turn by t, h, w, or all zero for none.
        rotary_condition: "zero" or "identity", see `rotations_of`.
        learned: "none", "full" or "factored", see `LearnedPositions`.
        shared_output: one vocabulary matrix for all directions.
        one_head: one head for all directions, as an ablation (paper, Table 4).
        gate: predictions that meet are weighed by a learned gate, not alike.
        fuse_float32: official picture models fuse logits in float32, the video models in the
            model's dtype.
        known_level: whether the checkpoint learnt to see known cells early ("zero") or only when
            their turn comes ("distance").
        order: see `plan.Order`.
    """

    grid: GridShape
    vocab_size: int
    width: int
    depth: int
    attention_heads: int
    ffn_width: int
    taps: dict[str, int]
    condition: ConditionConfig
    norm: Literal["rms", "layer"] = "rms"
    norm_eps: float = 1e-5
    rotary: tuple[int, int, int] = (0, 0, 0)
    rotary_base: float = 10000.0
    rotary_condition: Literal["zero", "identity"] = "zero"
    learned: Literal["none", "full", "factored"] = "none"
    shared_output: bool = False
    fuse_float32: bool = True
    known_level: KnownLevel = "distance"
    one_head: bool = False
    gate: bool = False
    order: Order = "neighbours"

    def __post_init__(self):
        head_width, rest = divmod(self.width, self.attention_heads)
        if rest or (any(self.rotary) and 2 * sum(self.rotary) != head_width):
            raise ValueError(
                f"transformer: got width {self.width}, {self.attention_heads} attention heads, "
                f"rotary {self.rotary}; expected heads that divide the width, and rotary pairs "
                "that add up to half a head"
            )
        unknown = set(self.taps) - set(DIRECTIONS)
        if unknown or not self.taps or max(self.taps.values()) > self.depth:
            raise ValueError(f"taps: got {self.taps}, expected {DIRECTIONS} at 1 to {self.depth}")
        if self.order == "raster" and set(self.taps) != {"+w"}:
            raise ValueError(f"taps: got {self.taps}, expected only +w in raster order")
        if self.one_head and len(set(self.taps.values())) > 1:
            raise ValueError(f"taps: got {self.taps}, expected one depth, for one head reads them")

    @classmethod
    def from_dict(cls, values: dict) -> TransformerConfig:
        """From plain YAML or JSON values. Unknown names raise TypeError."""
        values = dict(values)
        values["grid"] = GridShape(*values["grid"])
        values["condition"] = ConditionConfig(**values["condition"])
        values["rotary"] = tuple(values.get("rotary", (0, 0, 0)))
        return cls(**values)

    @property
    def directions(self) -> tuple[str, ...]:
        """Directions that have a head, in the order of `DIRECTIONS`."""
        return tuple(d for d in DIRECTIONS if d in self.taps)

    @property
    def cache_values(self) -> int:
        """Numbers in the KV cache of one row that has grown whole."""
        return 2 * self.depth * self.width * (self.condition.length + self.grid.cells)


class RMSNorm(nn.Module):
    """Root mean square norm, computed in float32 and cast back before the gain.

    A GPU casts back after the gain: one operation in place of two, and no less precise.
    """

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.is_cuda:
            return F.rms_norm(x, x.shape[-1:], self.weight, self.eps)
        return F.rms_norm(x, x.shape[-1:], None, self.eps) * self.weight


class Block(nn.Module):
    """Pre-norm attention and SwiGLU."""

    def __init__(self, config: TransformerConfig, make_norm):
        super().__init__()
        width = config.width
        self.attention_heads = config.attention_heads
        self.attention_norm = make_norm()
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.ffn_norm = make_norm()
        self.gate = nn.Linear(width, config.ffn_width, bias=False)
        self.up = nn.Linear(width, config.ffn_width, bias=False)
        self.down = nn.Linear(config.ffn_width, width, bias=False)

    def forward(
        self,
        x: Tensor,
        rotations: Tensor | None,
        mask: Tensor | None,
        cache: KVCache | None,
        layer: int,
    ) -> Tensor:
        parts = self.qkv(self.attention_norm(x)).view(*x.shape[:2], 3, self.attention_heads, -1)
        turned = parts[:, :, :2] if rotations is None else rotate(parts[:, :, :2], rotations)
        q, k, v = (y.transpose(1, 2) for y in (*turned.unbind(2), parts[:, :, 2]))
        if cache is not None:
            k, v = cache.append(layer, k, v)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = plus(x, self.proj, y.transpose(1, 2).flatten(2))
        return plus_(x, self.down, gated(self.gate, self.up, self.ffn_norm(x)))


def proximity_mask(levels: Tensor, valid: Tensor | None = None) -> Tensor:
    """Who sees whom, bool [..., S, S]: every token of its own or a lower level.

    Args:
        levels: int [S] or [B, S]; condition slots have negative levels, equal where they see each
            other, rising where they are causal.
        valid: bool [B, S], False at padding, which only sees itself.
    """
    mask = levels[..., None, :] <= levels[..., :, None]
    if valid is not None:
        eye = torch.eye(levels.shape[-1], dtype=torch.bool, device=levels.device)
        mask = (mask & valid[:, None, :]) | eye
    return mask


class NARTransformer(nn.Module):
    """Next-neighbour transformer over condition slots followed by a token grid."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        condition = config.condition

        def make_norm() -> nn.Module:
            kind = {"rms": RMSNorm, "layer": nn.LayerNorm}[config.norm]
            return kind(config.width, config.norm_eps)

        self.condition = CONDITIONS[condition.kind](condition, config.width)
        self.seed_query = (
            nn.Parameter(nn.init.normal_(torch.empty(config.width), std=0.02))
            if condition.seed_query
            else None
        )
        self.cells = (
            Cells(condition.told, condition.parts, config.width, config.grid)
            if condition.told
            else None
        )
        self.tokens = nn.Embedding(config.vocab_size, config.width)
        self.positions = (
            LearnedPositions(config.learned, config.grid, condition.slots, config.width)
            if config.learned != "none"
            else None
        )
        self.blocks = nn.ModuleList(Block(config, make_norm) for _ in range(config.depth))
        self.heads = Heads(
            config.taps,
            make_norm,
            config.width,
            config.vocab_size,
            config.shared_output,
            config.fuse_float32,
            config.one_head,
            config.gate,
        )
        self._rotations: Tensor | None = None

    def rotations(self, slots: int) -> Tensor | None:
        """Rotations of `slots` condition slots (seed query excluded) and the grid, or None."""
        config = self.config
        if not any(config.rotary):
            return None
        device = self.tokens.weight.device
        if self._rotations is None or self._rotations.device != device:
            whole = rotations_of(
                config.grid,
                config.rotary,
                config.rotary_base,
                config.condition.slots,
                config.rotary_condition,
            )
            self._rotations = whole.to(device)
        return self._rotations[config.condition.slots - slots :]

    def each_block(self) -> Iterator[Block]:
        """The blocks in order."""
        return iter(cast("Iterable[Block]", self.blocks))

    def embed_condition(self, values, seed: Tensor | None) -> Condition:
        """Condition slots [B, C, D] with positions and, last, the seed query.

        Args:
            values: what the condition module takes (class ids, a caption, word ids).
            seed: flat index of the seed position, int64 [B], where there is a seed query.
        """
        out = self.condition(values)
        if self.cells is not None:
            out.cells = self.cells(values[:, self.config.condition.slots :])
        if self.positions is not None:
            out.slots = out.slots + self.positions.condition()
        if self.seed_query is not None:
            query = self.seed_query.expand(len(out.slots), -1)
            if self.positions is not None:
                assert seed is not None
                query = query + self.positions.cells(seed)
            if out.cells is not None:
                assert seed is not None
                query = query + out.cells[torch.arange(len(seed), device=seed.device), seed]
            out.slots = torch.cat([out.slots, query[:, None]], 1)
            if out.valid is not None:
                out.valid = F.pad(out.valid, (0, 1), value=True)
        return out

    def places(self, index: Tensor) -> Tensor | None:
        """What is added to tokens in cells of flat index [...], [..., D], or None for nothing."""
        return None if self.positions is None else self.positions.cells(index)

    def embed_tokens(
        self, tokens: Tensor, index: Tensor, places: Tensor | None, condition: Condition
    ) -> Tensor:
        """Tokens int64 [B, n] to [B, n, D].

        Args:
            index: flat index of their cells, int64 [n] or [B, n].
            places: what `self.places` makes of it.
        """
        x = self.tokens(tokens)
        if places is not None:
            x = x + places
        if condition.broadcast is not None:
            x = x + condition.broadcast[:, None]
        if condition.cells is not None:
            rows = torch.arange(len(x), device=x.device)[:, None]
            x = x + condition.cells[rows, index.expand(len(x), -1)]
        return x

    def condition_levels(self, length: int) -> Tensor:
        """Levels of the condition slots, int64 [length]."""
        if self.config.condition.causal:
            return torch.arange(-length, 0)
        return torch.full((length,), -1)

    def run(
        self, x: Tensor, rotations: Tensor | None, mask: Tensor | None, cache: KVCache | None = None
    ) -> dict[int, Tensor]:
        """All blocks over embeddings [B, S, D]; returns the states that heads tap, by depth."""
        depths = set(self.config.taps.values())
        hidden = {}
        if mask is not None:
            # Added to the scores; made once here, else every layer would convert it again.
            mask = torch.zeros(mask.shape, dtype=x.dtype, device=x.device).masked_fill_(
                ~mask, float("-inf")
            )
            mask = mask.unsqueeze(1) if mask.ndim == 3 else mask
        for layer, block in enumerate(self.each_block()):
            x = block(x, rotations, mask, cache, layer)
            if layer + 1 in depths:
                hidden[layer + 1] = x
        if cache is not None:
            cache.advance(x.shape[1])
        return hidden

    def forward(
        self,
        values,
        tokens: Tensor,
        levels: Tensor,
        fan_in: Tensor,
        seed: Tensor | None = None,
        cells: Tensor | None = None,
    ) -> Tensor:
        """Logits of every given cell under the proximity mask, for training and scoring.

        Args:
            values: condition input of B rows.
            tokens: int64 [B, N], of the whole grid in raster order unless `cells` are named.
            levels: int64 [N], or [B, N] for a plan per row.
            fan_in: int64 [N, 6] or [B, N, 6], as `DecodePlan.fan_in`; counted in `tokens`.
            seed: flat seed position, int64 [B]; its cell is predicted by the condition where
                nobody sends to it. Without it, cells without senders are so predicted.
            cells: flat index of every token, int64 [B, N], where the tokens are only the first
                ones of each row's decoding order.

        Returns:
            [B, N, V]; rows of known cells are meaningless.
        """
        index = torch.arange(tokens.shape[1], device=tokens.device) if cells is None else cells
        condition = self.embed_condition(values, seed)
        length = condition.slots.shape[1]
        x = self.embed_tokens(tokens, index, self.places(index), condition)
        x = torch.cat([condition.slots, x], 1)
        ahead = self.condition_levels(length).to(levels.device).expand(*levels.shape[:-1], -1)
        valid = condition.valid
        if valid is not None:
            valid = F.pad(valid, (0, x.shape[1] - valid.shape[1]), value=True)
        mask = proximity_mask(torch.cat([ahead, levels], -1), valid).to(x.device)
        rotations = self.rotations(self.config.condition.slots)
        if rotations is not None and self.seed_query is not None:
            assert seed is not None
            slots = self.config.condition.slots
            at = torch.arange(slots, device=x.device).expand(len(x), -1)
            rows = slots + index.expand(len(x), -1)
            rotations = rotations[torch.cat([at, slots + seed[:, None], rows], 1)]
        hidden = self.run(x, rotations, mask)
        senders = torch.where(fan_in >= 0, fan_in + length, -1)
        alone = (fan_in < 0).all(-1, keepdim=True)
        senders = torch.where(alone, length - 1, senders)
        return self.heads(hidden, senders)
