"""What is shown of maps in two looks, against tables written out by hand."""

import numpy as np
import polars as pl
import pytest
import torch

from pipeline.evaluation.common.looks import (
    Estimates,
    calibration_chart,
    counted,
    first_rows,
    items,
    predicted_chart,
    stretched,
)
from pipeline.evaluation.common.result import THUMBNAILS, thumbnails

FOUND = Estimates(*np.array([[10.0, 100.0], [20.0, 90.0], [5.0, 80.0], [30.0, 120.0]]))


def test_looks_are_groups_of_a_chart_where_there_are_two() -> None:
    shifted = FOUND._replace(predicted=FOUND.predicted + 1)
    both = predicted_chart("distance", "Distance.", {"clean": FOUND, "noisy": shifted}).table
    assert both.rows() == [
        (10, 20, 5, 30, "clean"),
        (100, 90, 80, 120, "clean"),
        (10, 21, 5, 30, "noisy"),
        (100, 91, 80, 120, "noisy"),
    ]
    alone = predicted_chart("distance", "Distance.", {"clean": FOUND}).table
    assert alone.columns == ["truth", "predicted", "low", "high"] and len(alone) == 2


def test_maps_and_clusters_are_counted() -> None:
    clusters = [7, 7, 9, 7, 9]
    assert counted(np.array(clusters)) == counted(torch.tensor(clusters)) == "5 maps of 2 clusters"


def test_logarithms_are_of_all_four() -> None:
    assert FOUND.log10().truth.tolist() == [1, 2]
    assert FOUND.log10().high.tolist() == pytest.approx([np.log10(30), np.log10(120)])


def test_contents_are_stated_in_per_cent() -> None:
    chart = calibration_chart("regions", "Regions.", np.array([0.5, 0.9]), {"clean": [0.4, 1.0], "noisy": [0.2, 0.3]})
    assert chart.table.rows() == [(50, 40, "clean"), (90, 100, "clean"), (50, 20, "noisy"), (90, 30, "noisy")]


def test_items_go_map_by_map() -> None:
    looks = {"clean": {"error_kpc": np.array([1.0, 2.0])}, "noisy": {"error_kpc": np.array([3.0, 4.0])}}
    rows = [(0, "clean", 1.0), (0, "noisy", 3.0), (1, "clean", 2.0), (1, "noisy", 4.0)]
    assert items(looks).equals(
        pl.DataFrame(rows, ["item", "look", "error_kpc"], orient="row").cast({"item": pl.UInt32})
    )
    assert list(FOUND.columns("distance", "kpc")) == [
        "distance_truth_kpc",
        "distance_predicted_kpc",
        "distance_low_kpc",
        "distance_high_kpc",
    ]


def test_pictures_belong_to_the_first_rows() -> None:
    clean, noisy = np.arange(300.0), 1000 + np.arange(300.0)
    assert first_rows([clean, noisy])[:4].tolist() == [0, 1000, 1, 1001]
    assert len(first_rows([clean, noisy])) == len(first_rows([clean])) == THUMBNAILS


def test_maps_are_stretched_and_stand_as_in_figures() -> None:
    """The first row of a map is the lowest; a map a dex brighter than another is not darker where both are black."""
    maps = np.linspace(-8, -3, 160 * 160).reshape(1, 160, 160)
    grey = stretched(maps)
    assert grey[0, -1, 0] == 0 and grey[0, 0, -1] == 1
    assert (grey == 0).mean() == pytest.approx(0.01, abs=1e-3) and (grey == 1).mean() == pytest.approx(5e-3, abs=1e-3)
    middle = np.percentile(maps, [1, 99.5]).mean()
    assert grey[0].ravel()[np.abs(maps[0, ::-1] - middle).argmin()] == pytest.approx(0.5, abs=1e-3)
    assert (stretched(maps + 1, like=maps) >= grey).all() and stretched(maps - 9, like=maps).max() == 0
    assert np.isfinite(stretched(np.zeros((1, 8, 8)))).all()
    assert thumbnails(grey)[0].shape == (64, 64)
