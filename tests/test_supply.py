"""What comes with the project, and beside it, is what it is said to be."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from nar_core.weights.embedded import _must_be
from nar_core.weights.read import read_yaml

ROOT = Path(__file__).parents[1]
WEIGHTS = sorted((ROOT / "checkpoints").glob("*/*.safetensors"))


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda p: p.parent.name)
def test_embedded_weights_are_those_of_their_hash(path):
    said = read_yaml(path.parent / "config.yaml").get("sha256")
    assert said in (None, hashlib.sha256(path.read_bytes()).hexdigest())


def test_other_weights_are_refused(tmp_path):
    weights = tmp_path / "generator.safetensors"
    (tmp_path / "config.yaml").write_text(f"sha256: {hashlib.sha256(b'mine').hexdigest()}")
    _must_be(weights, b"mine")
    with pytest.raises(
        ValueError, match=r"generator.safetensors: got bytes of sha256 .*, expected"
    ):
        _must_be(weights, b"other")
    (tmp_path / "config.yaml").write_text("a: 1")
    _must_be(weights, b"other")


def test_every_requirement_has_its_licence_in_the_notice():
    notice = (ROOT / "NOTICE.md").read_text("utf-8")
    for file in ("requirements.txt", "requirements-text.txt", "requirements-ray.txt"):
        path = ROOT / file
        for name in (
            re.findall(r"^([\w.-]+)(?:\[\w+\])?==", path.read_text("utf-8"), re.M)
            if path.is_file()
            else ()
        ):
            assert re.search(rf"^\| {name}[ ,]", notice, re.M), name


def test_what_the_notice_says_of_ffmpeg_is_so():
    told = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-version"], capture_output=True, text=True, check=True
    ).stdout
    assert "--enable-gpl" in told
