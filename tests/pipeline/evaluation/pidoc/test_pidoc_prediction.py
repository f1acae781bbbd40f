"""What the networks of π-DOC say of one's own cluster, with untrained weights."""

import copy
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS
from conftest import ROOT

from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass, load_published
from pipeline.errors import InputError
from pipeline.evaluation.common.maps import outside_training
from pipeline.evaluation.common.result import write_json
from pipeline.evaluation.pidoc import prediction
from pipeline.evaluation.pidoc.prediction import averaged, mixed, predict, quantities
from pipeline.inputs.observation import read_observation
from pipeline.inputs.training_maps import TrainingMaps
from pipeline.settings.load import load_params

TELESCOPE = {
    "psf_sigma": 4.0,
    "pixel_arcsec": 0.25,
    "log_flux_floor": -8.0,
    "psf_range": [2.4, 6.0],
    "noise_range": [-8.0, -5.0],
}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def models() -> list:
    """Both networks, untrained and small; nothing is outside for them."""
    torch.manual_seed(1)
    params = load_params(ROOT / "params.yaml")
    made = []
    for name, cls in (("pidoc-mass", LitPidocMass), ("pidoc-age-distance", LitPidocAgeDistance)):
        module = cls(**{**params.model_section(name).model.model_dump(), "width": 0.1}).eval()
        for buffer, value in TELESCOPE.items():
            setattr(module, buffer, torch.tensor(value))
        made.append(module)
    return made


@pytest.fixture(autouse=True)
def known_answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks' answers: ten thousand times the flux as mass, 20 (to 22) kpc and 12 (to 14) Gyr."""
    if "real_data" in request.fixturenames:
        return

    def answers(model: torch.nn.Module, flux: torch.Tensor, statistics: torch.Tensor) -> dict[str, torch.Tensor]:
        assert len(statistics) == len(flux)
        n = len(flux)
        if isinstance(model, LitPidocMass):
            return {"log_mass": flux + 4, "sigma": 0 * flux + 0.1, "field_sigma": torch.full((n, 1), 0.05)}
        targets = model.net.targets
        read, high = (targets.scale(*torch.tensor(x)) for x in ((20.0, 12.0), (22.0, 14.0)))
        return {"z_mean": read.expand(n, 2), "z_sigma": (high - read).expand(n, 2)}

    monkeypatch.setattr(prediction, "answers", answers)


def log_flux() -> np.ndarray:
    """A round cluster."""
    y, x = 0.25 * (np.indices((160, 160)) - 79.5)
    noise = np.random.default_rng(1).normal(0, 0.01, x.shape)
    return (-3.5 - 1.5 * np.log10(1 + (x**2 + y**2) / 60) + noise).astype(np.float32)


def write_fits(path: Path, log_flux: np.ndarray) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [250.4, 36.5]
    wcs.wcs.crpix, wcs.wcs.cdelt = [80.5, 80.5], [-0.25 / 3600, 0.25 / 3600]
    header = wcs.to_header()
    header["BUNIT"] = "log10(Lsun/kpc2)"
    fits.writeto(path, log_flux, header)
    return wcs


def test_prediction_for_a_fits_map(models: list, tmp_path: Path) -> None:
    flux = log_flux()
    wcs = write_fits(tmp_path / "mine.fits", flux)
    result = predict(models, tmp_path / "mine.fits")
    write_json(result.metrics, tmp_path / "mine.json")
    stated = json.loads((tmp_path / "mine.json").read_text())
    for quantity in ("distance", "age", "field_mass", "mass_to_light"):
        assert stated[quantity]["low"] < stated[quantity]["value"] < stated[quantity]["high"]
    assert stated["outside_training"] is False
    mass, light = stated["field_mass"]["value"], stated["field_luminosity"]["value"]
    assert stated["mass_to_light"]["value"] == pytest.approx(mass / light, rel=1e-5)
    assert light == pytest.approx(4 * np.pi * stated["distance"]["value"] ** 2 * (10.0**flux).sum(), rel=1e-4)
    result.hdus["mass"].writeto(tmp_path / "mass.fits")
    with fits.open(tmp_path / "mass.fits") as hdus:
        cards = hdus[0].header
        assert cards["OUTSIDE"] is False
        assert (cards["DISTANCE"], cards["DISTA_HI"]) == (pytest.approx(20.0), pytest.approx(22.0))
        assert cards["M2L"] == pytest.approx(stated["mass_to_light"]["value"], abs=1e-4)
        assert [hdu.header["BUNIT"] for hdu in hdus] == ["solMass", "dex"]
        assert hdus[0].data.sum() == pytest.approx(mass, rel=1e-4)
        written = WCS(hdus[0].header)
        assert written.pixel_to_world(3, 7).separation(wcs.pixel_to_world(3, 7)).arcsec < 1e-6
    assert len(result.pictures) == 1


def test_a_map_outside_the_training_is_said_to_be_first(models: list, tmp_path: Path) -> None:
    """Networks that know maps like this one, a hundred times brighter, alone: first in JSON, title and FITS header."""
    np.save(tmp_path / "faint.npy", log_flux() - 2)
    known = read_observation(save(tmp_path / "bright.npy", log_flux()), TrainingMaps.of(models[0])).statistics(
        models[0]
    )
    strict = copy.deepcopy(models)
    strict[0].field_range = torch.tensor([9.0, 10.0])  # another thing to be told
    for model in strict:
        model.training_space.fit(*(known + 0.01 * torch.randn(n, known.shape[1]) for n in (500, 100)))
    inside, outside = (predict(strict, tmp_path / name) for name in ("bright.npy", "faint.npy"))
    assert inside.metrics["outside_training"] is False and outside.metrics["outside_training"] is True
    assert len(outside.metrics["warnings"]) > 1
    (first,) = outside_training(strict[0], known - 2)
    assert outside.metrics["warnings"][0].split(":")[0] == first.split(":")[0]
    assert "it cannot tell" in outside.pictures[0].figure.get_suptitle()
    assert "M☉/L☉" in outside.pictures[0].figure.get_suptitle()
    assert "it cannot tell" not in inside.pictures[0].figure.get_suptitle()
    assert outside.hdus["mass"][0].header["OUTSIDE"] is True


def save(path: Path, log_flux: np.ndarray) -> Path:
    np.save(path, log_flux)
    return path


def test_one_network_states_its_part_alone(models: list, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", log_flux())
    mass, labels = (predict([model], tmp_path / "mine.npy") for model in models)
    assert "field_mass" in mass.metrics and "distance" not in mass.metrics and "mass" in mass.hdus
    assert "distance" in labels.metrics and "field_mass" not in labels.metrics and labels.hdus == {}
    with pytest.raises(InputError, match=r"none\.npy"):
        predict(models, tmp_path / "none.npy")


def test_published_network_predicts(real_data: Path, tmp_path: Path) -> None:
    reference = np.load(real_data / "pidoc_published/cnn_reference.npz")
    np.save(tmp_path / "theirs.npy", reference["log_flux"][2])
    result = predict([load_published(real_data / "pidoc_published/CNN_100.h5")], tmp_path / "theirs.npy")
    expected = float(reference["published_cnn_distance_kpc"][2])
    assert result.metrics["distance"]["value"] == pytest.approx(expected, abs=1e-3)
    assert "no uncertainty of its own" in result.metrics["warnings"][0]


def test_a_mixture_has_the_spread_within_and_between() -> None:
    """A linear answer a x of a noisy x: its variance is that of the answer and a² that of x."""
    x = np.random.default_rng(1).normal(3.0, 0.5, 20000)
    mean, sigma = mixed(2.0 * x, np.full(x.shape, 0.7))
    assert mean == pytest.approx(6.0, abs=0.03)
    assert sigma == pytest.approx(np.hypot(0.7, 2.0 * 0.5), rel=0.02)


def test_an_uncertain_zero_point_widens_the_intervals(models: list, tmp_path: Path) -> None:
    """The mass of these answers is the flux times a constant, so 0.5 mag are 0.2 dex; M/L has no such error."""
    seen = read_observation(map_of_counts(tmp_path / "v.fits", noise=0.0), TrainingMaps.of(models[0]))
    seen.draws = 10 ** (0.2 * np.random.default_rng(2).standard_normal(400))
    found = {}
    for model in models:
        found |= averaged(model, torch.from_numpy(seen.possible).float()[:, None], seen.statistics(model))
    wide, narrow = quantities(seen, found), quantities(seen, {**found, "field": found["field"][:1]})
    assert half_width(wide["field_mass"]) == pytest.approx(np.hypot(0.05, 0.2), rel=0.05)
    assert half_width(narrow["field_mass"]) == pytest.approx(0.05, rel=1e-3)
    distance = np.log10(22 / 20)
    assert half_width(wide["field_luminosity"]) == pytest.approx(np.hypot(0.2, 2 * distance), rel=0.07)
    assert half_width(wide["mass_to_light"]) == pytest.approx(np.hypot(0.05, 2 * distance), rel=0.05)


def test_networks_are_told_noise_and_width_of_the_stars(models: list, tmp_path: Path) -> None:
    """V = 22 in a pixel with a tenth of that as noise; stars of a sigma of 1 arcsec."""
    seen = read_observation(map_of_counts(tmp_path / "v.fits", noise=0.1), TrainingMaps.of(models[0]))
    log_flux = -0.4 * (22 - 4.81 - 10) - np.log10(4 * np.pi)
    light, psf_sigma, noise = seen.statistics(models[0])[:, -3:].double().mean(0).tolist()
    assert light == pytest.approx(log_flux + 2 * np.log10(160), abs=0.02)
    assert psf_sigma == pytest.approx(4.0, rel=1e-3)
    assert noise == pytest.approx(log_flux - 1, abs=0.02)


def test_noise_does_not_brighten_the_field(models: list, tmp_path: Path) -> None:
    """V = 24.5 in each pixel behind twice that as noise, which makes a third of them negative; the sum is left."""
    path = map_of_counts(tmp_path / "v.fits", noise=2.0, level=10.0)
    assert (read_observation(path, TrainingMaps.of(models[0])).flux < 0).mean() > 0.3
    light = 160**2 * 10 ** (-0.4 * (24.5 - 4.81 - 10)) * 20.0**2  # Lsun at 20 kpc
    found = predict(models, path).metrics
    assert found["field_luminosity"]["value"] == pytest.approx(light, rel=0.04)
    assert found["mass_to_light"]["value"] == pytest.approx(found["field_mass"]["value"] / light, rel=0.04)


def map_of_counts(path: Path, noise: float, level: float = 100.0) -> Path:
    """An even map of V = 22 a pixel at a level of 100, with noise of so many levels, which stands in a plane ERR."""
    wcs = write_fits(path, log_flux())
    cards = wcs.to_header()
    cards.update({"BUNIT": "adu", "MAGZPT": 27.0, "FILTER": "V", "A_V": 0.0, "PSFFWHM": 2.3548})
    rng = np.random.default_rng(1)
    counts = level * (1 + (noise or 1e-3) * rng.standard_normal((160, 160)))
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(counts, cards, "SCI")]
    if noise:
        hdus.append(fits.ImageHDU(np.full(counts.shape, noise * level), cards, "ERR"))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def half_width(quantity: dict) -> float:
    """Of an interval, dex."""
    return float(np.log10(quantity["high"] / quantity["low"]) / 2)
