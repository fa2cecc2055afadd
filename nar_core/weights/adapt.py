"""Published files to our modules: what a file is, its settings, and its names. No arithmetic."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..models.condition import ConditionConfig
from ..models.transformer import TransformerConfig
from ..plan import GridShape
from ..settings import shortened
from ..tokenizers.larp_video import LarpConfig
from ..tokenizers.vq_image import VQConfig

TITLES = {
    "nar-image": "an official NAR picture generator",
    "nar-video": "an official NAR video generator",
    "nar": "a NAR generator of this project",
    "vq": "a VQ picture tokenizer",
    "larp": "a LARP clip tokenizer",
    "mini": "a tokenizer of this project",
    "llamagen": "a LlamaGen generator, which has no vertical head (every medusa_* key is missing)",
    "larp-raster": "LARP's own raster generator, which has no heads for three directions "
    "(output_R, output_D and output_B are missing)",
    "t5": "a T5 text encoder",
    "unknown": "a file of unknown kind",
}

# A key that identifies each kind, the more particular kinds first.
_MARKS = (
    ("nar-image", r"medusa_(norm|output)\.weight"),
    ("nar-video", r"(norm|output)_[RDB]\.weight"),
    ("larp", r"bottleneck\.regularizer\.embedding\.weight"),
    ("vq", r"quantize\.embedding\.weight"),
    ("nar", r"heads\.heads\.\w+\.norm\.weight"),
    ("mini", r"embed_first\.weight"),
    ("larp-raster", r"abs_pe"),
    ("llamagen", r"layers\.0\.attention\.wqkv\.weight"),
    ("t5", r"(shared|encoder\.block\.0\.layer.*)\.weight"),
)

_BLOCK = {
    "attention_norm": "attention_norm",
    "attention.wqkv": "qkv",
    "attention.wo": "proj",
    "ffn_norm": "ffn_norm",
    "feed_forward.w1": "gate",
    "feed_forward.w3": "up",
    "feed_forward.w2": "down",
}

_GENERATOR = {
    "cls_embedding.embedding_table.weight": "condition.table.weight",
    "cls_embedding.uncond_embedding": "condition.null",
    "cls_embedding.cap_proj.fc1.weight": "condition.fc1.weight",
    "cls_embedding.cap_proj.fc2.weight": "condition.fc2.weight",
    "tok_embeddings.weight": "tokens.weight",
    "abs_pe": "positions.table",
    "norm.weight": "heads.heads.right.norm.weight",
    "output.weight": "heads.heads.right.output.weight",
    "medusa_norm.weight": "heads.heads.below.norm.weight",
    "medusa_output.weight": "heads.heads.below.output.weight",
    "norm_R.weight": "heads.heads.right.norm.weight",
    "output_R.weight": "heads.heads.right.output.weight",
    "norm_D.weight": "heads.heads.below.norm.weight",
    "output_D.weight": "heads.heads.below.output.weight",
    # The published name means "back", yet this head predicts the same place in the next slice.
    "norm_B.weight": "heads.heads.after.norm.weight",
    "output_B.weight": "heads.heads.after.output.weight",
}

# Bookkeeping of the published code that inference never reads.
_IGNORED = {
    "nar-image": r"freqs_cis|causal_mask|diagonal_mask",
    "nar-video": r"causal_mask|diagonal_mask",
    "vq": r"quantize\.codebook_used",
    "larp": r"prior_model\..*",
}


def kind_of(keys: Iterable[str]) -> str:
    """What a state dict belongs to: a key of `TITLES`."""
    keys = list(keys)
    for kind, mark in _MARKS:
        if any(re.fullmatch(mark, key) for key in keys):
            return kind
    return "unknown"


def our_name(kind: str, key: str) -> str | None:
    """Our name of a published key, None for bookkeeping; an unknown key keeps its name."""
    if kind in _IGNORED and re.fullmatch(_IGNORED[kind], key):
        return None
    if kind not in ("nar-image", "nar-video"):
        return key
    block = re.fullmatch(r"layers\.(\d+)\.(.+)\.weight", key)
    if block and block[2] in _BLOCK:
        return f"blocks.{block[1]}.{_BLOCK[block[2]]}.weight"
    return _GENERATOR.get(key, key)


def renamed(kind: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict under our names."""
    out = {}
    for key, tensor in tensors.items():
        name = our_name(kind, key)
        if name is not None:
            # The published table carries a batch axis of one.
            out[name] = tensor.squeeze(0) if key == "abs_pe" and tensor.ndim == 3 else tensor
    return out


def their_name(kind: str, name: str) -> str:
    """The published key of our name; the reverse of `our_name`."""
    if kind not in ("nar-image", "nar-video"):
        return name
    block = re.fullmatch(r"blocks\.(\d+)\.(\w+)\.weight", name)
    if block:
        leaves = {ours: theirs for theirs, ours in _BLOCK.items()}
        return f"layers.{block[1]}.{leaves.get(block[2], block[2])}.weight"
    # The heads of clips have names of their own.
    keys = [key for key, ours in _GENERATOR.items() if ours == name]
    fitting = [key for key in keys if bool(re.search("_[RDB]\\.", key)) == (kind == "nar-video")]
    return next(iter(fitting or keys), name)


def published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A picture generator's state dict under the published names; the reverse of `renamed`."""
    return {their_name("nar-image", name): tensor for name, tensor in state.items()}


def _shape(tensors: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    if key not in tensors:
        raise ValueError(f"weights: {key} is missing, which gives the model its size")
    return tuple(tensors[key].shape)


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """One more than the largest index that `pattern` captures among the keys."""
    found = (re.match(pattern, key) for key in tensors)
    return 1 + max((int(m[1]) for m in found if m), default=-1)


def _number(settings: Mapping[str, Any], name: str, default: float = 0) -> float:
    """A setting that counts or measures, `default` where nothing is said."""
    told = settings.get(name) or default
    try:
        value = float(told)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(
            f"{name}: got {shortened(told)}, expected a number from 0; correct it where the "
            "weights' settings say it"
        )
    return value


def _named(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The settings that stand under a name, none where nothing is said."""
    value = settings.get(name) or {}
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{name}: got {shortened(value)}, expected names and values; correct it where the "
            "weights' settings say it"
        )
    return value


def generator_config(
    kind: str, tensors: Mapping[str, Tensor], settings: Mapping[str, Any], grid: GridShape | None
) -> TransformerConfig:
    """Settings of an official generator.

    Args:
        kind: "nar-image" or "nar-video".
        tensors: under their published names.
        settings: constructor arguments found with the file; sizes come from the tensors.
        grid: the token grid, where the caller knows it better than the file.

    Raises:
        ValueError: the grid is not known, or settings and tensors disagree.
    """
    video = kind == "nar-video"
    if settings.get("frame_prediction"):
        raise ValueError("weights: a frame prediction model; only class-conditional ones are known")
    vocab_size, width = _shape(tensors, "tok_embeddings.weight")
    depth = _count(tensors, r"layers\.(\d+)\.")
    before_right = int(_number(settings, "n_layer", max(0, depth - (2 if video else 1))))
    if depth - video <= before_right or before_right < 1:
        raise ValueError(
            f"weights: got {depth} blocks, expected more than the n_layer of {before_right}"
        )
    return official_config(
        video,
        _grid(video, tensors, settings, grid),
        _condition(tensors),
        vocab_size,
        width,
        before_right,
        depth,
        # Every published size has heads 64 wide.
        int(_number(settings, "n_head", max(1, width // 64))),
        _shape(tensors, "layers.0.feed_forward.w1.weight")[0],
        norm_eps=_number(settings, "norm_eps", 1e-5),
        rotary_base=_number(settings, "rope_base", 10000),
    )


def official_config(
    video: bool,
    grid: GridShape,
    condition: ConditionConfig,
    vocab_size: int,
    width: int,
    before_right: int,
    depth: int,
    attention_heads: int,
    ffn_width: int,
    **more,
) -> TransformerConfig:
    """What all official generators have in common.

    Args:
        before_right: blocks before the horizontal head; one or more extra blocks come before the
            vertical head, and in videos one more before the temporal head.
        depth: blocks in all.
    """
    quarter = width // attention_heads // 4
    taps = {"+w": before_right, "+h": depth}
    if video:
        taps = {"+w": before_right, "+h": depth - 1, "+t": depth}
    return TransformerConfig(
        grid=grid,
        vocab_size=vocab_size,
        width=width,
        depth=depth,
        attention_heads=attention_heads,
        ffn_width=ffn_width,
        taps=taps,
        condition=condition,
        rotary=(0, 0, 0) if video else (0, quarter, quarter),
        # Condition rows of the published table are zeros, and the weights were trained so.
        rotary_condition="zero",
        learned="full" if video else "none",
        # Pictures fuse in float32, videos in the model's dtype, as published.
        fuse_float32=not video,
        known_level="distance",
        **more,
    )


def _condition(tensors: Mapping[str, Tensor]) -> ConditionConfig:
    if "cls_embedding.uncond_embedding" in tensors:
        slots, caption_width = _shape(tensors, "cls_embedding.uncond_embedding")
        return ConditionConfig("caption", slots=slots, caption_width=caption_width)
    rows, _ = _shape(tensors, "cls_embedding.embedding_table.weight")
    return ConditionConfig("class", classes=rows - 1)


def _grid(video, tensors, settings, grid) -> GridShape:
    if grid is None and video and "latent_shape" in settings:
        grid = settings["latent_shape"]
    if grid is None and not video:
        cells, one = _number(settings, "block_size"), _number(settings, "downsample_size")
        if not cells and one:
            cells = int(_number(settings, "image_size") // one) ** 2
        side = math.isqrt(int(cells))
        grid = (1, side, side) if side and side**2 == cells else None
    if grid is None:
        raise ValueError(
            "grid: not recorded with the weights; put a config.json with "
            f"{'latent_shape' if video else 'block_size'} beside them"
        )
    try:
        grid = GridShape(*map(int, grid))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"latent_shape: got {shortened(grid)}, expected three whole numbers; correct it where "
            "the weights' settings say it"
        ) from error
    if video:
        positions = _shape(tensors, "abs_pe")[-2]
        if positions != grid.cells + 1:
            raise ValueError(
                f"grid: got {tuple(grid)}, {grid.cells} cells, but the file has "
                f"{positions - 1} cell positions"
            )
    return grid


def vq_config(tensors: Mapping[str, Tensor], size: tuple[int, int] | None) -> VQConfig:
    """Settings of a VQ tokenizer, all from its tensors but the picture size (default 256)."""
    width = _shape(tensors, "encoder.conv_in.weight")[0]
    stages = _count(tensors, r"encoder\.conv_blocks\.(\d+)\.")

    def multipliers(side: str) -> list[int]:
        keys = (f"{side}.conv_blocks.{i}.res.0.conv1.weight" for i in range(stages))
        return [_shape(tensors, key)[0] // width for key in keys]

    rows, columns = _shape(tensors, "quantize.embedding.weight")
    return VQConfig(
        size=size or (256, 256),
        width=width,
        encoder_multipliers=tuple(multipliers("encoder")),
        decoder_multipliers=tuple(reversed(multipliers("decoder"))),
        blocks=_count(tensors, r"encoder\.conv_blocks\.0\.res\.(\d+)\."),
        latent_width=_shape(tensors, "quant_conv.weight")[1],
        codebook_size=rows,
        codebook_width=columns,
    )


def larp_config(
    tensors: Mapping[str, Tensor], settings: Mapping[str, Any], grid: GridShape | None
) -> LarpConfig:
    """Settings of a LARP tokenizer.

    Args:
        tensors: under their published names.
        settings: constructor arguments found with the file; sizes come from the tensors.
        grid: the generator's lattice; by default that of the patches where the counts agree, else
            one row.

    Raises:
        ValueError: a variant that is not supported, or settings that contradict each other.
    """
    bottleneck = _named(_named(settings, "bottleneck"), "args")
    regularizer = _named(_named(bottleneck, "regularizer"), "args")
    refused = {
        "bottleneck norm": bottleneck.get("norm", "none") not in ("none", None),
        "codebook without normalisation": not regularizer.get("l2_normalized", True),
        "patches of one frame": len(_shape(tensors, "x_embedder.proj.weight")) != 5,
        "decoder patches unlike the encoder's": any(
            settings.get(f"decoder_{name}", settings.get(name)) != settings.get(name)
            for name in ("patch_size", "temporal_patch_size")
        ),
    }
    if any(refused.values()):
        names = ", ".join(name for name, found in refused.items() if found)
        raise ValueError(f"LARP tokenizer: got an unsupported variant ({names})")
    encoder_width, _, *patch = _shape(tensors, "x_embedder.proj.weight")
    decoder_width = _shape(tensors, "final_layer.norm_final.weight")[0]
    rows, columns = _shape(tensors, "bottleneck.regularizer.embedding.weight")
    tokens = _shape(tensors, "encoder_latent_query_embed")[0]
    side = int(_number(settings, "input_size", 128))
    frames = int(_number(settings, "frame_num", 16))
    a, b, c = patch
    patches = GridShape(frames // a, side // b, side // c)
    if grid is None:
        grid = patches if patches.cells == tokens else GridShape(1, 1, tokens)
    if math.prod(grid) != tokens:
        raise ValueError(f"grid: got {tuple(grid)}, expected {tokens} cells, one per latent token")
    return LarpConfig(
        grid=grid,
        size=(side, side),
        frames=frames,
        patch=(a, b, c),
        encoder_width=encoder_width,
        encoder_depth=_count(tensors, r"encoder\.blocks\.(\d+)\."),
        encoder_heads=int(_number(settings, "encoder_num_heads", max(1, encoder_width // 64))),
        decoder_width=decoder_width,
        decoder_depth=_count(tensors, r"decoder\.blocks\.(\d+)\."),
        decoder_heads=int(_number(settings, "decoder_num_heads", max(1, decoder_width // 64))),
        codebook_size=rows,
        codebook_width=columns,
        encoder_patch_type="encoder_patch_token_type_embed" in tensors,
        encoder_query_type="encoder_latent_query_token_type_embed" in tensors,
        decoder_latent_type="decoder_latent_token_type_embed" in tensors,
        decoder_query_type="decoder_patch_query_token_type_embed" in tensors,
        encoder_learned_places="encoder_h_embed" in tensors,
        decoder_learned_places="decoder_h_embed" in tensors,
    )
