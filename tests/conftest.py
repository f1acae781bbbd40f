"""Fixtures shared by all tests: no tracker, a clean folder, the place of real data."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def real_data() -> Path:
    """Folder of real pictures and published data, named by STAR_CLUSTER_DATA; skips without it."""
    folder = os.environ.get("STAR_CLUSTER_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set STAR_CLUSTER_DATA to the folder of real data")
    return Path(folder)
