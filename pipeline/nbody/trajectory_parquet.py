"""Trajectories as Parquet, which carries the physics that they obey as its metadata ``units``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.trajectories import Units

if TYPE_CHECKING:
    import polars as pl

GROUP_ROWS = 100_000


def write_parquet(table: "pl.LazyFrame", physics: Units, path: Path) -> None:
    """Write a table at the contract, and ``units.json`` as text in its metadata."""
    table.sink_parquet(path, row_group_size=GROUP_ROWS, metadata={"units": json.dumps(asdict(physics))})
