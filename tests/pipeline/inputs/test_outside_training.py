"""What is no globular cluster is said to be unlike all training maps; clusters are not. On 2000 mock clusters."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, edit_params, run_stage, working_in
from scipy.ndimage import gaussian_filter
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from datamodules.telescope import Looks
from lit_modules.map_reader import MapReader
from pipeline.evaluation.common.maps import outside_training
from pipeline.inputs.observation import read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps
from pipeline.settings.base import ModelSettings
from pipeline.simulation.clusters.stars import flux_of_magnitude

pytestmark = pytest.mark.slow

SCALE = {
    "clusters.n_train": 2000, "clusters.n_val": 4, "clusters.n_calibration": 400, "clusters.n_test": 100,
    "clusters.projections": 1,
}  # fmt: skip
NOISES = [0.0, 1e-7, 1e-6]  # Lsun/kpc2; Pan-STARRS 1: 1e-6
WIDTH = 208  # pixels of light, before a telescope


class Reader(MapReader):
    """A network that answers nothing."""

    Settings = ModelSettings


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterMapsDataModule]:
    folder = tmp_path_factory.mktemp("clusters")
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit_params(folder, SCALE)
    with working_in(folder):
        for stage in ("generate_clusters", "import_clusters", "preprocess_maps"):
            run_stage(stage)
        data = ClusterMapsDataModule("data/clusters", seed=1, batch_size=16, statistics_passes=1)
        data.setup()
        yield data


@pytest.fixture(scope="module")
def reader(maps: ClusterMapsDataModule) -> Reader:
    model = Reader(lr=1e-3, weight_decay=0.0)
    model.fit_statistics(maps)
    return model


def seen(maps: ClusterMapsDataModule, flux: np.ndarray, noise: float, psf_sigma: float = 4.0) -> Tensor:
    """Statistics (1, N) of a source that sends so much flux from each pixel, under a sky of V = 21.5."""
    narrow = min(psf_sigma, 6.0)  # a telescope's wings stay in the light
    flux = gaussian_filter(flux, np.sqrt(psf_sigma**2 - narrow**2), truncate=8)
    sky = float(flux_of_magnitude(21.5)) * maps.telescope.pixel_arcsec**2
    look = Looks(*torch.tensor([[narrow, noise, sky if noise else 0.0, 0.0, 5.0]], dtype=torch.float64).unbind(1))
    light = torch.from_numpy(flux[None] * 4 * math.pi / maps.telescope.light_unit)  # at a distance of 1 kpc
    image = maps.telescope.flux(light, torch.ones(1), look)
    return Reader.statistics(image[:, None], torch.tensor([psf_sigma]), look.noise)


def radius() -> np.ndarray:
    """Of each pixel from the middle, arcsec."""
    y, x = 0.25 * (np.indices((WIDTH, WIDTH)) - (WIDTH - 1) / 2)
    return np.hypot(x, y)


@pytest.mark.parametrize("look", [0, 1, 2, 3])
def test_at_most_one_mock_cluster_in_twenty_is_flagged(maps: ClusterMapsDataModule, reader: Reader, look: int) -> None:
    rows = maps.splits["test"]["statistics"][:, look]
    assert sum(bool(outside_training(reader, row[None])) for row in rows) <= 0.05 * len(rows)


@pytest.mark.parametrize("noise", [1e-7, 1e-6, 1e-5])
@pytest.mark.parametrize("psf_sigma", [2.4, 4.0, 6.0])
def test_an_empty_sky_is_flagged(maps: ClusterMapsDataModule, reader: Reader, noise: float, psf_sigma: float) -> None:
    assert outside_training(reader, seen(maps, np.zeros((WIDTH, WIDTH)), noise, psf_sigma))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("magnitude", [10.0, 12.0, 14.0])
def test_a_single_bright_star_is_flagged(
    maps: ClusterMapsDataModule, reader: Reader, magnitude: float, noise: float
) -> None:
    star = np.zeros((WIDTH, WIDTH))
    star[100, 106] = flux_of_magnitude(magnitude)
    for psf_sigma in (2.4, 4.0, 6.0):
        assert outside_training(reader, seen(maps, star, noise, psf_sigma))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("distance", [50.0, 200.0, 600.0])
@pytest.mark.parametrize("luminosity", [1e6, 1e7])
def test_a_dwarf_galaxy_is_flagged(
    maps: ClusterMapsDataModule, reader: Reader, luminosity: float, distance: float, noise: float
) -> None:
    """An exponential disc of smooth light that fills the field."""
    disc = np.exp(-radius() / 12.0)
    flux = luminosity / (4 * math.pi * distance**2) * disc / (2 * math.pi * (12.0 / 0.25) ** 2)
    assert outside_training(reader, seen(maps, flux, noise))


@pytest.mark.parametrize("noise", NOISES[1:])
def test_a_cluster_behind_a_wider_psf_than_any_is_flagged(
    maps: ClusterMapsDataModule, reader: Reader, noise: float
) -> None:
    test = maps.splits["test"]
    light, distance = maps.files["light"][test["map"][0]].double().numpy(), float(test["distance"][0])
    flux = light * maps.telescope.light_unit / (4 * math.pi * distance**2)
    assert not outside_training(reader, seen(maps, flux, noise, 5.9))
    (told,) = outside_training(reader, seen(maps, flux, noise, 6.5))
    assert told.startswith("unlike every map of the training") and "its stars are wider than in any" in told


BE7 = {"g": "be7_sdss_g.fits", "r": "be7_sdss_r.fits"}
M13 = {"center": "250.42350 36.46131"}
REAL: dict[str, tuple[dict[str, Any], ...]] = {
    "legacy_dr9_subimage.fits": ({}, {"ebv": 0.03, "fwhm": 1.3}),  # a field of galaxies
    "be7_sdss_g.fits": (BE7, BE7 | {"ebv": 0.8, "fwhm": 1.3}),  # Berkeley 7, an open cluster
    "sdss_r_frame.fits": ({},),
    "m13_centred.fits": ({},),
    "m13_frame.fits": ({}, M13, M13 | {"sky": "subtract"}),
}


@pytest.mark.parametrize("name", REAL)
def test_real_pictures_of_other_things_or_beyond_training_are_flagged(
    real_data: Path, reader: Reader, name: str
) -> None:
    for given in REAL[name]:
        options = {key: real_data / "fits" / value if key in BE7 else value for key, value in given.items()}
        observation = read_observation(real_data / "fits" / name, TrainingMaps.of(reader), FitsOptions(**options))
        (told,) = outside_training(reader, observation.statistics(reader))
        assert "distance, age and mass cannot be told from it" in told
