"""Test processes side by side (`pytest -n auto`) share the cores and do not fight over them."""

from __future__ import annotations

import os

if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))
