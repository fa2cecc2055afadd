"""What a test does where something that it needs is not here."""

from __future__ import annotations

import os

import pytest


def without(what: str) -> None:
    """Skip a test for want of something; in .ci/run, where it must be there, it fails."""
    (pytest.fail if os.environ.get("NOTHING_SKIPPED") else pytest.skip)(f"needs {what}")
