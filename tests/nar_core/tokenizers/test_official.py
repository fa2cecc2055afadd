"""The published tokenizers: properties, and values recorded when they matched their authors."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from nar_core.tokenizers.larp_video import LarpConfig, LarpTokenizer
from nar_core.tokenizers.quantize import UnitCodebook
from nar_core.tokenizers.vq_image import VQConfig, VQTokenizer, fold_upsampling

VQ = VQConfig((16, 24), 32, (1, 2, 1), (1, 1, 2), 1, 32, 40, 6)
LARP = LarpConfig((2, 2, 3), (16, 16), 4, (2, 8, 8), 48, 1, 3, 80, 2, 5, 40, 12)

# Recorded from this code on a day when it agreed with the published recordings to 2e-5.
VQ_VALUES = [0.73172, 0.84606, 0.60486]
VQ_CODES = [
    [32, 29, 21, 21, 29, 38],
    [32, 32, 32, 32, 32, 32],
    [32, 24, 24, 24, 38, 2],
    [32, 32, 32, 32, 20, 20],
]
LARP_VALUES = [0.93958, 1.49965, 1.17618]


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """The module with weights that depend on nothing but their names' order."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for _, p in sorted(module.named_parameters()):
            scale = p[0].numel() ** -0.5 if p.ndim > 1 else 0.1
            p.copy_(torch.randn(p.shape, generator=generator) * scale + (p.ndim == 1))
    return module


@pytest.fixture(scope="module")
def vq():
    return filled(VQTokenizer(VQ))


@pytest.fixture(scope="module")
def larp():
    return filled(LarpTokenizer(LARP))


def test_picture_shapes(vq):
    assert (vq.grid, vq.size, vq.frames, vq.vocab_size) == ((1, 4, 6), (16, 24), 1, 40)
    codes = vq.encode(torch.rand(2, 1, 3, 16, 24))
    assert codes.shape == (2, 1, 4, 6)
    assert codes.dtype == torch.int64
    assert vq.decode(codes).shape == (2, 1, 3, 16, 24)
    assert VQConfig().downsample == 16
    assert VQConfig(encoder_multipliers=(1, 2, 2, 4), decoder_multipliers=(1, 2, 2, 4)).grid == (
        1, 32, 32
    )  # fmt: skip


def test_clip_shapes(larp):
    assert (larp.grid, larp.size, larp.frames, larp.vocab_size) == ((2, 2, 3), (16, 16), 4, 40)
    video = torch.rand(2, 4, 3, 16, 16)
    codes = larp.encode(video)
    assert codes.shape == (2, 2, 2, 3)
    assert torch.equal(codes, larp.encode(video))
    assert larp.decode(codes).shape == video.shape


def test_recorded_values(vq, larp):
    """Guards what `tests/data` has no room for; the published recordings are in test_parity."""
    pictures = vq.decode(torch.arange(24).view(1, 1, 4, 6))
    got = [float(pictures.mean()), float(pictures.std()), float(pictures[0, 0, 1, 5, 7])]
    assert got == pytest.approx(VQ_VALUES, abs=2e-4)
    ramp = torch.linspace(0, 1, 16 * 24).view(1, 1, 1, 16, 24).expand(1, 1, 3, 16, 24)
    assert vq.encode(ramp)[0, 0].tolist() == VQ_CODES
    clip = larp.decode(torch.arange(12).view(1, 2, 2, 3))
    got = [float(clip.mean()), float(clip.std()), float(clip[0, 2, 1, 5, 7])]
    assert got == pytest.approx(LARP_VALUES, abs=2e-4)


def test_a_folded_decoder_gives_the_same_pictures(vq):
    """Repeating and convolving are one operation then, also where the weight is lop-sided."""
    codes = torch.randint(0, 40, (2, 1, 5, 3), generator=torch.Generator().manual_seed(0))
    plain = vq.decode(codes)
    folded = copy.deepcopy(vq)
    fold_upsampling(folded)
    assert not torch.equal(folded.decode(codes), plain)  # the sums are others
    assert torch.allclose(folded.decode(codes), plain, atol=1e-5)
    assert len(vq.state_dict()) - len(folded.state_dict()) == 2  # two stages, no weight twice


def test_the_codebooks_rows_count_by_direction_only(vq):
    """Decoding and look-up are the same when every row is scaled by a factor of its own."""
    book = vq.quantize
    z = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    codes, vectors = book.encode(z), book.decode(torch.arange(40))
    scaled = UnitCodebook(40, 6)
    factors = torch.rand(40, 1, generator=torch.Generator().manual_seed(1)) * 9 + 0.1
    scaled.embedding.weight.data = book.embedding.weight.detach() * factors
    assert torch.equal(scaled.encode(z), codes)
    assert torch.allclose(scaled.decode(torch.arange(40)), vectors, atol=1e-6)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(40))
    assert torch.equal(book.encode(vectors), torch.arange(40))


def test_decoding_needs_only_the_decoding_half(vq, larp):
    """With NaN in everything else the result is the same."""
    for tokenizer, config, keep in (
        (vq, VQ, ("decoder.", "post_quant_conv.", "quantize.embedding.")),
        (larp, LARP, ("decoder", "final_layer.", "bottleneck.out", "bottleneck.reg")),
    ):
        broken = type(tokenizer)(config)
        state = {
            k: v if k.startswith(keep) else torch.full_like(v, float("nan"))
            for k, v in tokenizer.state_dict().items()
        }
        broken.load_state_dict(state)
        codes = torch.zeros(1, *tokenizer.grid, dtype=torch.int64)
        assert torch.equal(broken.decode(codes), tokenizer.decode(codes))


def test_a_clip_token_is_not_a_place(larp):
    """Changing one latent token changes every patch of the clip."""
    codes = torch.zeros(1, 2, 2, 3, dtype=torch.int64)
    other = codes.clone()
    other[0, 0, 0, 0] = 9
    changed = (larp.decode(codes) - larp.decode(other)).abs()
    patches = changed.unfold(1, 2, 2).unfold(3, 8, 8).unfold(4, 8, 8)
    assert (patches.amax((2, 5, 6, 7)) > 1e-6).all()
    assert larp.holistic


def test_patches_of_codes_have_their_colours(vq, larp):
    table = vq.code_patches()
    assert table.shape == (40, 4, 4, 3)
    alone = vq.decode(torch.arange(40).view(-1, 1, 1, 1))[:, 0].clamp(0, 1).mean((2, 3)) * 255
    # More features than needed for 40 codes, so all of them are met but for the ridge.
    assert (table[:, 0, 0].float() - alone).abs().mean() < 8
    table = larp.code_patches()
    assert table.shape == (40, 8, 8, 3)
    assert len(table[:, 0, 0].unique(dim=0)) > 30


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (VQ, {"size": (16, 25)}, "multiples of 4"),
        (VQ, {"decoder_multipliers": (1, 1)}, "got 2 stages, expected 3"),
        (LARP, {"size": (16, 20)}, "multiples of the patch"),
        (LARP, {"decoder_heads": 7}, "decoder_width: got 80, expected a multiple of 7 heads"),
    ],
)
def test_impossible_settings_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        replace(config, **change)
