"""Test processes side by side (`pytest -n auto`) share the cores and do not fight over them."""

from __future__ import annotations

import os
import re

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

import nar_core.environment  # noqa: F401 - before torch is imported

LONG = re.compile(r"app/test_(browser|space)|test_install|/train/|test_real_model|test_api|_world")
"""Files that take longest: a file is tested by one process, and none shall be left with such."""


def pytest_collection_modifyitems(items: list) -> None:
    """Long files first; `--no-loadscope-reorder` keeps it so."""
    items.sort(key=lambda item: not LONG.search(item.nodeid))
