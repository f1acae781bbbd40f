"""Sections clusters and maps: where each cluster's maps lie, and what cannot be."""

from pathlib import Path
from typing import Any

import pytest
from conftest import edit_params

from datamodules.settings import CLUSTER_SPLITS
from pipeline.errors import InputError
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params


def test_maps_follow_one_another_by_split(default_folder: Path) -> None:
    sizes = {"n_train": 5, "n_val": 3, "n_calibration": 4, "n_test": 2, "projections": 3}
    edit_params(default_folder, {f"clusters.{name}": n for name, n in sizes.items()})
    clusters = load_params("params.yaml").clusters
    places = [clusters.place(number) for number in range(clusters.n)]
    assert [split for split, _, _ in places] == [split for split in CLUSTER_SPLITS for _ in range(sizes[f"n_{split}"])]
    assert [n for _, _, n in places] == [3] * 12 + [len(clusters.test_distances)] * 2
    assert [first for _, first, _ in places] == [sum(n for _, _, n in places[:k]) for k in range(14)]
    assert clusters.n == 14 and clusters.n_maps == sum(n for _, _, n in places)


def streams(clusters: Clusters) -> dict[str, list[int]]:
    """Numbers of the random numbers of the clusters of each split."""
    numbers = range(clusters.n)
    return {split: [clusters.stream(k) for k in numbers if clusters.place(k)[0] == split] for split in CLUSTER_SPLITS}


@pytest.mark.parametrize("n_train", [1, 9000, 20000])
def test_more_training_clusters_are_judged_by_the_same_maps(default_folder: Path, n_train: int) -> None:
    default = load_params("params.yaml").clusters
    changed = default.model_copy(update={"n_train": n_train})
    before, after = streams(default), streams(changed)
    assert all(before[split] == after[split] for split in CLUSTER_SPLITS[1:])
    common = min(n_train, 9000)
    assert before["train"][:common] == after["train"][:common] == list(range(common))
    every = [stream for split in after.values() for stream in split]
    assert len(set(every)) == changed.n  # no cluster is seen twice


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"maps.look_psf_sigma.high": 6.5}, r"maps: .* 6\.5 is more than clusters\.margin 24"),
        ({"maps.psf_sigma": 7.0}, r"maps: .* 7 is more than clusters\.margin 24"),
        ({"clusters.margin": 23}, r"maps: .* 6 is more than clusters\.margin 23"),
        ({"maps.look_psf_sigma": {"low": 5.0, "high": 3.0}}, r"maps\.look_psf_sigma: low and high"),
        ({"maps.log_noise.high": 1.0}, r"maps\.log_noise: low and high should lie between -12 and 0"),
        ({"maps.sky.low": 1.0}, r"maps\.sky: low and high"),
        ({"maps.foreground.low": -1.0}, r"maps\.foreground: low and high"),
        ({"maps.sky_error": -0.1}, r"maps\.sky_error is -0\.1"),
        ({"maps.looks": -1}, r"maps\.looks is -1"),
        ({"maps.read_noise": 3.0}, r"unknown key maps\.read_noise"),
        ({"clusters.n_calibration": 0}, r"clusters\.n_calibration is 0"),
        ({"clusters.calibration_fraction": 1.0}, r"clusters\.calibration_fraction is 1\.0"),
        ({"star_fields.half_width.low": 0.5}, r"star_fields\.half_width"),  # its cluster may lie outside
        ({"star_fields.off_centre": 1.0}, r"star_fields\.off_centre"),
    ],
)
def test_mistakes_are_named_in_one_line(default_folder: Path, values: dict[str, Any], words: str) -> None:
    edit_params(default_folder, values)
    with pytest.raises(InputError, match=words) as mistake:
        load_params("params.yaml")
    assert "\n" not in str(mistake.value)


def test_a_wider_margin_holds_wider_looks(default_folder: Path) -> None:
    edit_params(default_folder, {"clusters.margin": 28, "maps.look_psf_sigma.high": 7.0})
    assert load_params("params.yaml").maps.widest_psf == 7.0
    edit_params(default_folder, {"clusters.margin": 16, "maps.looks": 0})  # the clean look alone, of 4 pixels
    assert load_params("params.yaml").maps.widest_psf == 4.0
