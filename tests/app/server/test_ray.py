"""Real replicas under Ray Serve; `tests/app/replicas.py` says what is tried."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="ray is an extra: pip install -r requirements-ray.txt")


def test_what_a_killed_replica_had_begun_is_finished_by_the_other():
    words = [sys.executable, "-m", "tests.app.replicas", "--replicas", "2", "--growths", "2"]
    told = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=900).stdout
    assert json.loads(told.splitlines()[-1])["finished_through_a_loss"] == [True, True]
