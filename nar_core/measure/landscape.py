"""What is asked of a model of landscapes, and a small classifier of ours that judges the answers.

No rendering is like another, so nothing can be compared with the one right picture. A convolutional
network is taught on renderings of every terrain at every time of day (`worlds judge landscape`; the
combinations that generators never see are among them, or it could not judge those), and what it
makes of a picture before it decides are the features of a Fréchet distance.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ..engine import Engine
from ..worlds.landscape import LandscapeWorld
from ..worlds.landscape.facts import SEASONS, TERRAINS, TIMES, Landscape, pairs
from .judge import Verdict
from .scores import Moments, frechet

WEIGHTS = Path(__file__).with_name("landscape.safetensors")
SIDE = 64  # pixels that the classifier looks at
FEATURES = 64


class Classifier(nn.Module):
    """Which terrain and which time of day a picture shows, from SIDE x SIDE pixels."""

    def __init__(self):
        super().__init__()
        widths = (3, 24, 32, 48, 64)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, n) for n in widths[1:])
        self.features = nn.Linear(64 * 4, FEATURES)
        self.terrain = nn.Linear(FEATURES, len(TERRAINS))
        self.time = nn.Linear(FEATURES, len(TIMES))

    def embed(self, pixels: Tensor) -> Tensor:
        """Features [B, FEATURES] of pixels float [B, 3, SIDE, SIDE] in [0, 1]."""
        x = pixels - 0.5
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.max_pool2d(F.gelu(norm(convolution(x))), 2)
        # What lies left and right does not matter, what lies above and below does.
        return F.gelu(self.features(x.mean(-1).flatten(1)))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the terrains [B, 6] and of the times [B, 5]."""
        x = self.embed(pixels)
        return self.terrain(x), self.time(x)


def shrunk(pictures: np.ndarray) -> Tensor:
    """Pictures uint8 [B, 128, 128, 3] as the classifier takes them."""
    x = torch.from_numpy(pictures).movedim(-1, 1).float() / 255
    return F.avg_pool2d(x, x.shape[-1] // SIDE)


def load_classifier() -> Classifier:
    """The classifier as it was taught."""
    model = Classifier()
    model.load_state_dict({k: v.float() for k, v in load_file(WEIGHTS).items()})
    return model.eval()


class LandscapeExam:
    """Each terrain at some time of day, half of them in some season, and verdicts on answers."""

    categories: tuple[str, ...] = TERRAINS

    def __init__(self, engine: Engine):
        if engine.info.grid.t != 1:
            raise ValueError(f"--world: got {engine.info.name}, expected a model of pictures")
        self.engine, self.classifier = engine, load_classifier()
        self._asked: list[Landscape] = []
        self._features: list[Tensor] = []

    def ask(self, category: str, held_out: bool, rng: np.random.Generator) -> Landscape | None:
        """A terrain at a time; None where it has no time of which that is so."""
        times = [time for terrain, time in pairs(held_out) if terrain == category]
        if not times:
            return None
        season = SEASONS[rng.integers(len(SEASONS))] if rng.random() < 0.5 else None
        return Landscape(category, season, times[rng.integers(len(times))])

    @torch.inference_mode()
    def judge(self, facts: Landscape, growths: np.ndarray) -> list[Verdict]:
        """Verdicts on growths uint8 [n, 1, H, W, 3]: are terrain and time what was asked for?"""
        features = self.classifier.embed(shrunk(growths[:, 0]))
        self._asked += [facts] * len(growths)
        self._features.append(features)
        return self._read(facts, features)

    def _read(self, facts: Landscape, features: Tensor) -> list[Verdict]:
        """What the classifier reads in features [n, FEATURES], beside the facts."""
        terrains, times = self.classifier.terrain(features), self.classifier.time(features)
        return [
            Verdict(_differs(facts, TERRAINS[a], TIMES[b]), None)
            for a, b in zip(terrains.argmax(-1).tolist(), times.argmax(-1).tolist(), strict=True)
        ]

    @torch.inference_mode()
    def told(self, rng: np.random.Generator) -> dict[str, float]:
        """`frechet` of all that was judged to renderings of the same facts, where it is several.

        `frechet_floor` is that of other renderings: what chance alone makes of so few pictures.
        `right_rendered` is the share of these that the classifier reads right as they are, and
        `right_decoded` as the tokenizer decodes them: how far what it says can be relied on.
        """
        world = LandscapeWorld()
        rendered = [self.classifier.embed(shrunk(world.render(f, rng))) for f in self._asked]
        others, right, decoded = [], 0, 0
        for facts in self._asked:
            picture = world.render(facts, rng)
            features = self.classifier.embed(shrunk(picture))
            seen = self.engine.decode(self.engine.encode(picture[None]))[:, 0]
            others.append(features)
            right += self._read(facts, features)[0].right
            decoded += self._read(facts, self.classifier.embed(shrunk(seen)))[0].right
        out = {}
        if len(self._asked) > 1:
            real = Moments.of(torch.cat(rendered))
            out["frechet"] = round(frechet(Moments.of(torch.cat(self._features)), real), 3)
            out["frechet_floor"] = round(frechet(Moments.of(torch.cat(others)), real), 3)
        return out | {
            "right_rendered": round(right / len(self._asked), 4),
            "right_decoded": round(decoded / len(self._asked), 4),
        }


def _differs(facts: Landscape, terrain: str, time: str) -> str:
    """The fact in which what is seen differs from what was asked for, "" where it does not."""
    if terrain != facts.terrain:
        return "terrain"
    return "" if time == facts.time else "time"
