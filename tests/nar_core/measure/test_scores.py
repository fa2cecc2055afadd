"""Scores by a network in a file, with small stand-ins for the published ones."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from nar_core.measure.scores import (
    Moments,
    Reference,
    coverage,
    frechet,
    inception_score,
    network,
    score_clips,
    score_geneval,
    score_pictures,
)

from .standins import save_standin

CPU = torch.device("cpu")


def test_frechet_distance_of_gaussians():
    a = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    own = Moments.of(a)
    assert frechet(own, own) == pytest.approx(0, abs=1e-9)
    assert frechet(own, Moments.of(a + 2)) == pytest.approx(12)
    assert frechet(own, Moments.of(3 * a)) == pytest.approx(12, rel=0.1)  # (3 - 1)^2 for each


def test_one_sample_has_no_moments():
    with pytest.raises(ValueError, match="got 1, expected 2 or more; give more"):
        Moments.of(torch.ones(1, 4))


def test_the_inception_score_counts_classes_that_are_sure():
    sure = torch.eye(4).repeat(100, 1)  # as many of each class in every split
    assert inception_score(sure) == pytest.approx(4)
    assert inception_score(torch.full((40, 4), 0.25)) == pytest.approx(1)


def test_coverage_is_the_share_within_reach_of_three_neighbours():
    line = torch.arange(10.0)[:, None]
    # the reach is 2 amid the line and 3 at its ends
    assert coverage(torch.tensor([[4.5], [11.9], [12.1], [-3.5]]), line) == 0.5
    assert coverage(line, line) == 1


def pictures(count: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


def test_pictures_are_scored_against_a_folder_an_array_and_moments(tmp_path):
    net = network(save_standin(tmp_path / "net.pt", "inception"), False, CPU)
    real = pictures(40, 1)
    (tmp_path / "real").mkdir()
    for i, one in enumerate(real):
        Image.fromarray(one).save(tmp_path / "real" / f"{i:03d}.png")
    np.save(tmp_path / "real.npy", real)
    seen = net(torch.from_numpy(real).movedim(-1, 1)).features.double()
    told = {"mu": seen.mean(0).numpy(), "sigma": np.cov(seen.numpy().T)}
    np.savez(tmp_path / "moments.npz", **told)
    np.savez(tmp_path / "adm.npz", arr_0=real, **told)
    found = {
        name: score_pictures(pictures(), Reference(str(tmp_path / name), (8, 8, 3)), net)
        for name in ("real", "real.npy", "moments.npz", "adm.npz")
    }
    assert set(found["real"]) == {"fid", "inception_score", "precision", "recall"}
    assert found["real"] == found["real.npy"] == found["adm.npz"]
    assert set(found["moments.npz"]) == {"fid", "inception_score"}
    assert found["moments.npz"]["fid"] == pytest.approx(found["real"]["fid"], rel=1e-3)
    same = score_pictures(real, Reference(str(tmp_path / "real.npy"), (8, 8, 3)), net)
    assert same["fid"] < 1e-3 < found["real"]["fid"]
    assert same["precision"] == same["recall"] == 1


def test_clips_are_scored_by_a_network_that_takes_them_whole(tmp_path):
    net = network(save_standin(tmp_path / "i3d.pt", "i3d"), True, CPU)
    rng = np.random.default_rng(0)
    still = np.repeat(rng.integers(0, 256, (20, 1, 8, 8, 3), np.uint8), 4, 1)
    moving = rng.integers(0, 256, still.shape, np.uint8)
    np.save(tmp_path / "real.npy", still)
    reference = Reference(str(tmp_path / "real.npy"), (4, 8, 8, 3))
    assert score_clips(still, reference, net)["fvd"] == pytest.approx(0, abs=1e-3)
    assert score_clips(moving, reference, net)["fvd"] > 1


def test_weights_alone_go_into_torch_fidelitys_network(tmp_path, monkeypatch):
    given = {}

    class Inception(torch.nn.Module):
        def __init__(self, name, features, feature_extractor_weights_path):
            super().__init__()
            given.update(features=features, path=feature_extractor_weights_path)

        def forward(self, x):
            return x.float().mean((2, 3)), x.float().flatten(1)[:, :4]

    library = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    library.FeatureExtractorInceptionV3 = Inception
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, library.__name__, library)
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "w.pth")
    net = network(str(tmp_path / "w.pth"), False, CPU)
    assert given == {"features": ["2048", "logits_unbiased"], "path": str(tmp_path / "w.pth")}
    seen = net(torch.from_numpy(pictures()).movedim(-1, 1))
    assert seen.features.shape == (24, 3)
    assert torch.allclose(seen.chances.sum(1), torch.ones(24))
    (tmp_path / "w.pth").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="expected TorchScript, or torch-fidelity's"):
        network(str(tmp_path / "w.pth"), False, CPU)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda p: network(None, True, CPU), "expected the I3D network as TorchScript"),
        (lambda p: network(str(p / "no.pt"), False, CPU), "expected a file with the network"),
        (lambda p: Reference(None, (8, 8, 3)), "--reference: got none, expected real pictures"),
        (lambda p: Reference(None, (4, 8, 8, 3)), "--reference: got none, expected real clips"),
        (lambda p: Reference(str(p), (8, 8, 3)), "expected real pictures: a folder"),
        (lambda p: Reference(str(p / "a.npy"), (4, 8, 8, 3)), "expected uint8"),
        (lambda p: Reference(str(p / "b.npy"), (8, 8, 3)), "b.npy, which is damaged"),
        (lambda p: Reference(str(p / "b.npz"), (8, 8, 3)), "b.npz, which is damaged"),
    ],
)
def test_what_is_missing_is_said(tmp_path, make, told):
    np.save(tmp_path / "a.npy", pictures())
    for name in ("b.npy", "b.npz"):
        (tmp_path / name).write_bytes(b"torn")
    with pytest.raises(ValueError, match=told):
        make(tmp_path)


def test_a_folder_of_pictures_is_no_reference_for_clips(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert Reference(str(tmp_path), (8, 8, 3)).pixels is not None
    with pytest.raises(ValueError, match=r"expected real clips, an \.npy"):
        Reference(str(tmp_path), (4, 8, 8, 3))


def test_without_the_library_a_network_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ValueError, match=r"got none, .* pip install -r requirements-eval.txt"):
        network(None, False, CPU)


def test_a_torchvision_of_another_build_is_named(tmp_path, monkeypatch):
    """As beside a torch for CPUs, whose torchvision has to come from the same place."""
    (tmp_path / "torch_fidelity").mkdir()
    (tmp_path / "torch_fidelity" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in [m for m in sys.modules if m.startswith("torch_fidelity")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ValueError, match=r"nms does not exist.*the build of torch 2"):
        network(None, False, CPU)


def test_genevals_results_are_summed_up_as_by_its_own_tool(tmp_path):
    lines = [("colors", True), ("colors", False), ("counting", True), ("counting", True)]
    text = "\n".join(json.dumps({"tag": tag, "correct": right}) for tag, right in lines)
    (tmp_path / "results.jsonl").write_text(text)
    found = score_geneval(tmp_path / "results.jsonl", 4)
    assert found == {"geneval": 0.75, "colors": 0.5, "counting": 1}
    with pytest.raises(ValueError, match="got results of 4 pictures, expected 8"):
        score_geneval(tmp_path / "results.jsonl", 8)
