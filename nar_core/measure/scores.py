"""FID, inception score, precision and recall, FVD, by the features of a network in a file.

The arithmetic is here; the network, which gives the figures their meaning, is not: Inception as
published for FID, I3D for FVD.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..picture import fit, open_picture, reading_picture
from ..train.data import PICTURES

SPLITS = 10  # of the samples, over which the inception score is a mean
NEIGHBOURS = 3  # whose distance is the reach of a sample, for precision and recall
BATCH = 32
REQUIREMENTS = "pip install -r requirements-eval.txt"

Pixels = Callable[[], Iterator[np.ndarray]]
"""Pictures or clips one by one, uint8 [(F,) H, W, 3], as often as asked."""


class Seen(NamedTuple):
    """What a network sees in a batch: features [n, d], and class probabilities [n, k] if any."""

    features: Tensor
    chances: Tensor | None


Network = Callable[[Tensor], Seen]
"""Of uint8 [n, 3, H, W], or [n, 3, F, H, W] of clips."""


class Moments(NamedTuple):
    """Mean [d] and covariance [d, d] of features, float64."""

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Of features [n, d]. Raises ValueError for fewer than two."""
        if len(features) < 2:
            raise ValueError(
                f"samples or reference: got {len(features)}, expected 2 or more; give more to "
                "compare"
            )
        x = features.double()
        return cls(x.mean(0), torch.cov(x.T))


def frechet(a: Moments, b: Moments) -> float:
    """Fréchet distance of two Gaussians (Heusel et al. 2017)."""
    means = (a.mean - b.mean).square().sum()
    values, vectors = torch.linalg.eigh(a.covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    return float(means + a.covariance.trace() + b.covariance.trace() - 2 * shared)


def inception_score(chances: Tensor) -> float:
    """How sure and how various the classes are (Salimans et al. 2016), of probabilities [n, k]."""
    out = []
    for part in chances.double().chunk(min(SPLITS, len(chances))):
        part = part.clamp(min=1e-16)
        out.append((part * (part.log() - part.mean(0).log())).sum(1).mean().exp())
    return float(torch.stack(out).mean())


def coverage(of: Tensor, among: Tensor) -> float:
    """Share of features `of` [n, d] that lie within reach of one of `among` [m, d].

    Precision is that of samples among real pictures, recall the other way round (Kynkäänniemi et
    al. 2019). Reach is the distance to the third nearest neighbour.
    """
    of, among = of.float(), among.float()
    reach = torch.cat(
        [torch.cdist(part, among).kthvalue(NEIGHBOURS + 1).values for part in among.split(1000)]
    )
    inside = [(torch.cdist(part, among) <= reach).any(1) for part in of.split(1000)]
    return float(torch.cat(inside).double().mean())


# ---- the network -----------------------------------------------------------------------------


def network(path: str | None, clips: bool, device: torch.device) -> Network:
    """The network in a file: TorchScript, or weights of torch-fidelity's Inception.

    Without a file it is torch-fidelity's Inception, which fetches its own weights.

    Raises:
        ValueError: what is missing and where it is to be had.
    """
    if path is None and clips:
        raise ValueError(
            "--features: got none, expected the I3D network as TorchScript; name it "
            "(i3d_torchscript.pt of the StyleGAN-V authors)"
        )
    if path is not None and not Path(path).is_file():
        raise ValueError(f"--features: got {path}, expected a file with the network; name one")
    scripted = _scripted(path, device) if path is not None else None
    if scripted is not None:
        return scripted
    if clips:
        raise ValueError(f"--features: got {path}, expected a TorchScript file; name one")
    return _inception(path, device)


def _scripted(path: str, device: torch.device) -> Network | None:
    """A TorchScript network, None where the file is none.

    Those of FID and FVD take switches: raw features; for clips also the range 0 to 255 and any
    size.
    """
    try:
        net = torch.jit.load(path, map_location=device).eval()
    except RuntimeError:
        return None
    known = {argument.name for argument in net.forward.schema.arguments}
    switches = {n: True for n in ("return_features", "rescale", "resize") if n in known}

    def see(x: Tensor) -> Seen:
        moving = x.ndim == 5
        x = x.to(device)
        features = net(x.float() if moving else x, **switches).flatten(1)
        unbiased = {"no_output_bias": True} if "no_output_bias" in known else {}
        chances = net(x, **unbiased) if "return_features" in known and not moving else None
        return Seen(features, chances)

    return see


def _inception(path: str | None, device: torch.device) -> Network:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (  # pyright: ignore[reportMissingImports]
            FeatureExtractorInceptionV3,
        )
    except ImportError as error:
        raise ValueError(
            f"--features: got {path or 'none'}, expected a TorchScript Inception; name "
            f"that (inception-2015-12-05.pt of the StyleGAN authors), or {REQUIREMENTS}"
        ) from error
    except RuntimeError as error:  # torchvision's own operators do not load
        raise ValueError(
            f"torch-fidelity: got {str(error)[:100]!r}, expected a torchvision of the build of "
            f"torch {torch.__version__}; install it from where this torch came from"
        ) from error
    try:
        if path is not None:
            # The library itself would run what is pickled in a file.
            torch.load(path, map_location="cpu", weights_only=True)
        net = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=path
        ).to(device)
    except Exception as error:  # whatever it is, there is no network
        told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ValueError(
            f"--features: got {path or 'none, and it cannot be fetched'} ({told}), expected "
            "TorchScript, or torch-fidelity's weights-inception-2015-12-05-6726825d.pth; name one"
        ) from error

    def see(x: Tensor) -> Seen:
        features, logits = net(x.to(device))
        return Seen(features, logits.softmax(-1))

    return see


# ---- what is compared ------------------------------------------------------------------------


class Reference:
    """Real pictures or clips: a folder, an .npy or .npz of uint8 [N, (F,) H, W, 3], or moments.

    An .npz is read as the ADM evaluator's: `arr_0`, and `mu` and `sigma` where they are in it.

    Args:
        shape: of a sample, [(F,) H, W, 3]; pictures of a folder are fitted to it.

    Raises:
        ValueError: it is none of these.
    """

    def __init__(self, path: str | None, shape: tuple[int, ...]):
        self.moments: Moments | None = None
        self.pixels: Pixels | None = None
        wanted = "real clips, an .npy of uint8 [N, F, H, W, 3]"
        if len(shape) == 3:
            wanted = "real pictures: a folder, an .npy, or the ADM evaluator's .npz"
        if path is None:
            raise ValueError(f"--reference: got none, expected {wanted}; name them")
        place = Path(path)
        if place.is_dir() and len(shape) == 3:
            files = sorted(p for p in place.rglob("*") if p.suffix.lower() in PICTURES)
            if files:
                self.pixels = lambda: (_fitted(file, shape) for file in files)
        elif place.suffix == ".npy" and place.is_file():
            self.pixels = _array(_loaded(place, wanted), path, shape)
        elif place.suffix == ".npz" and place.is_file():
            with _loaded(place, wanted) as found:
                if {"mu", "sigma"} <= set(found.files):
                    parts = (torch.from_numpy(found[n]).double() for n in ("mu", "sigma"))
                    self.moments = Moments(*parts)
                if "arr_0" in found.files:
                    self.pixels = _array(found["arr_0"], path, shape)
        if self.moments is None and self.pixels is None:
            raise ValueError(f"--reference: got {path}, expected {wanted}; name them")


def _loaded(place: Path, wanted: str) -> Any:
    try:
        return np.load(place, mmap_mode="r")
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"--reference: got {place}, which is damaged, expected {wanted}; save it anew"
        ) from error


def _array(found: np.ndarray, path: str, shape: tuple[int, ...]) -> Pixels:
    if found.dtype != np.uint8 or found.ndim != len(shape) + 1 or found.shape[-1] != 3:
        raise ValueError(
            f"--reference: got {found.dtype} {found.shape} in {path}, expected uint8 "
            f"[N, {', '.join(map(str, shape))}]; save it so"
        )
    return lambda: iter(found)


def _fitted(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    with open_picture(file, str(file)) as picture, reading_picture(file, str(file)):
        return fit(picture, (shape[0], shape[1]))


def seen_by(net: Network, pixels: Iterator[np.ndarray], what: str) -> Seen:
    """What a network sees in all of them, on the CPU. Raises ValueError where there is none."""
    features, chances, batch = [], [], []

    @torch.inference_mode()
    def look() -> None:
        x = torch.from_numpy(np.stack(batch)).movedim(-1, 1)
        seen = net(x)
        features.append(seen.features.cpu())
        if seen.chances is not None:
            chances.append(seen.chances.cpu())
        batch.clear()

    for one in tqdm(pixels, desc=what):
        if batch and batch[0].shape != one.shape:
            look()
        batch.append(one)
        if len(batch) == BATCH:
            look()
    if batch:
        look()
    if not features:
        raise ValueError(f"{what}: got none, expected some to look at; give more")
    return Seen(torch.cat(features), torch.cat(chances) if chances else None)


def score_pictures(samples: np.ndarray, reference: Reference, net: Network) -> dict[str, float]:
    """`fid`, with probabilities `inception_score`, with real pictures `precision`, `recall`.

    Args:
        samples: uint8 [N, H, W, 3].
    """
    ours = seen_by(net, iter(samples), "samples")
    real = None if reference.pixels is None else seen_by(net, reference.pixels(), "real pictures")
    moments = reference.moments or Moments.of(_some(real).features)
    out = {"fid": frechet(Moments.of(ours.features), moments)}
    if ours.chances is not None:
        out["inception_score"] = inception_score(ours.chances)
    if real is not None and min(len(real.features), len(ours.features)) > NEIGHBOURS:
        out["precision"] = coverage(ours.features, real.features)
        out["recall"] = coverage(real.features, ours.features)
    return {name: round(value, 4) for name, value in out.items()}


def score_clips(samples: np.ndarray, reference: Reference, net: Network) -> dict[str, float]:
    """`fvd`, of clips uint8 [N, F, H, W, 3]."""
    ours = seen_by(net, iter(samples), "samples")
    moments = reference.moments
    if moments is None and reference.pixels is not None:
        moments = Moments.of(seen_by(net, reference.pixels(), "real clips").features)
    return {"fvd": round(frechet(Moments.of(ours.features), _some(moments)), 4)}


def _some(value: Any) -> Any:
    assert value is not None  # a reference has pictures or moments
    return value


def score_geneval(results: Path, pictures: int) -> dict[str, float]:
    """GenEval's scores from the results.jsonl that its `evaluate_images.py` writes.

    Returns:
        `geneval`, the mean over its tasks, and the share of right pictures of each task.

    Raises:
        ValueError: no such results, or of another number of pictures.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    try:
        for line in results.read_text(encoding="utf-8").splitlines():
            if line.strip():
                told = json.loads(line)
                right[str(told["tag"])].append(bool(told["correct"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{results}: got what cannot be read ({error}), expected results of GenEval; run it "
            "again"
        ) from error
    count = sum(map(len, right.values()))
    if count != pictures:
        raise ValueError(
            f"{results}: got results of {count} pictures, expected {pictures}; run "
            "evaluate_images.py on the whole folder again"
        )
    tasks = {tag: round(sum(found) / len(found), 4) for tag, found in right.items()}
    return {"geneval": round(sum(tasks.values()) / len(tasks), 4), **tasks}
