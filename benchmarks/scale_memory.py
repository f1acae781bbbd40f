"""Memory at 1e7 rows of trajectories, and at the chain's maps, whose splits are scattered over the file."""

from pathlib import Path

import polars as pl

from benchmarks.chain import ROOT, SEEN, make_folder, stage
from benchmarks.results import Row
from benchmarks.scale_watch import Watched, watched

SIMULATIONS = 181_819  # of 5 stars at 11 times: 1e7 rows
GOAL = 2.0  # GB


def memory_rows() -> list[Row]:
    """Of the import and the training of trajectories, and of the training and the evaluation of maps."""
    drawn = make_folder("scale-rows", {"nbody": {"n_simulations": SIMULATIONS}})
    stage(drawn, "data/synthetic/nbody", "generate_nbody")
    own = make_folder("scale-own", {"nbody": {"source": str(drawn / "data/synthetic/nbody/trajectories.csv")}})
    rows = [row("1e7 CSV rows: import of a table of one's own", watched(own, "pipeline.import_nbody"))]
    stage(drawn, "data/nbody", "import_nbody")
    rows.append(row("1e7 CSV rows: train gnn", watched(drawn, "benchmarks.scale_step", "gnn", "--steps", "30")))
    maps = scattered_maps()
    size = f"{len(pl.read_csv(maps / SEEN / 'catalogue.csv'))} maps"
    train = watched(maps, "benchmarks.scale_step", "pidoc-mass", "--steps", "30", "--validate")
    rows.append(row(f"{size}: train pidoc-mass", train))
    rows.append(row(f"{size}: evaluate pidoc-mass", watched(maps, "pipeline.evaluate", "pidoc-mass")))
    return rows


def row(name: str, found: Watched) -> Row:
    """Anonymous memory, the rest in the note."""
    note = f"resident with pages of mapped files {found.resident:.2f} GB, {found.seconds:.0f} CPU s"
    return Row(f"memory at {name}", found.anonymous, "GB", None, GOAL, "lower", note)


def scattered_maps() -> Path:
    """The chain's maps, those of training, validation and calibration mixed: no split is one piece of the file."""
    folder = make_folder("scale-maps", {})
    if (folder / SEEN).exists():
        return folder
    for place in ("data/clusters/maps", "models"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).symlink_to(ROOT / place)
    (folder / SEEN).mkdir()
    for file in (ROOT / SEEN).iterdir():
        if file.name != "catalogue.csv":
            (folder / SEEN / file.name).symlink_to(file)
    catalogue = pl.read_csv(ROOT / SEEN / "catalogue.csv")
    test, others = catalogue.filter(pl.col("split") == "test"), catalogue.filter(pl.col("split") != "test")
    mixed = others.with_columns(others["split"].shuffle(seed=1))
    pl.concat([mixed, test]).sort("map").write_csv(folder / SEEN / "catalogue.csv")
    return folder
