"""What the networks of π-DOC say of one's own cluster, with untrained weights."""

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
from pipeline.evaluation.common.result import write_json
from pipeline.evaluation.pidoc import prediction
from pipeline.evaluation.pidoc.prediction import averaged, mixed, predict, quantities
from pipeline.inputs.observation import read_observation
from pipeline.inputs.training_maps import TrainingMaps
from pipeline.settings.load import load_params

TELESCOPE = {"psf_sigma": 4.0, "pixel_arcsec": 0.25, "log_flux_floor": -8.0}


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def models() -> list:
    """Both networks, untrained and small, that have seen maps of mean -5 to -3 and standard deviation 0.1 to 2."""
    torch.manual_seed(1)
    params = load_params(ROOT / "params.yaml")
    made = []
    for name, cls in (("pidoc-mass", LitPidocMass), ("pidoc-age-distance", LitPidocAgeDistance)):
        module = cls(**{**params.model_section(name).model.model_dump(), "width": 0.1}).eval()
        module.flux_range = torch.tensor([[-5.0, -3.0], [0.1, 2.0]])
        for buffer, value in TELESCOPE.items():
            setattr(module, buffer, torch.tensor(value))
        made.append(module)
    return made


@pytest.fixture(autouse=True)
def known_answers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks' answers: ten thousand times the flux as mass, 20 (to 22) kpc and 12 (to 14) Gyr."""
    if "real_data" in request.fixturenames:
        return

    def answers(model: torch.nn.Module, flux: torch.Tensor) -> dict[str, torch.Tensor]:
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
    assert not [x for x in stated["warnings"] if "log flux" in x]
    mass, light = stated["field_mass"]["value"], stated["field_luminosity"]["value"]
    assert stated["mass_to_light"]["value"] == pytest.approx(mass / light, rel=1e-5)
    assert light == pytest.approx(4 * np.pi * stated["distance"]["value"] ** 2 * (10.0**flux).sum(), rel=1e-4)
    result.hdus["mass"].writeto(tmp_path / "mass.fits")
    with fits.open(tmp_path / "mass.fits") as hdus:
        cards = hdus[0].header
        assert (cards["DISTANCE"], cards["DISTA_HI"]) == (pytest.approx(20.0), pytest.approx(22.0))
        assert cards["M2L"] == pytest.approx(stated["mass_to_light"]["value"], abs=1e-4)
        assert [hdu.header["BUNIT"] for hdu in hdus] == ["solMass", "dex"]
        assert hdus[0].data.sum() == pytest.approx(mass, rel=1e-4)
        written = WCS(hdus[0].header)
        assert written.pixel_to_world(3, 7).separation(wcs.pixel_to_world(3, 7)).arcsec < 1e-6
    assert len(result.pictures) == 1


def test_prediction_warns_outside_the_training_range(models: list, tmp_path: Path) -> None:
    np.save(tmp_path / "faint.npy", log_flux() - 2)
    result = predict(models, tmp_path / "faint.npy")
    assert sum("mean of log flux" in warning for warning in result.metrics["warnings"]) == 1


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
    seen.draws = seen.log_flux + 0.2 * np.random.default_rng(2).standard_normal((400, 1, 1))
    found = {}
    for model in models:
        found |= averaged(model, torch.from_numpy(seen.possible).float()[:, None])
    wide, narrow = quantities(seen, found), quantities(seen, {**found, "field": found["field"][:1]})
    assert half_width(wide["field_mass"]) == pytest.approx(np.hypot(0.05, 0.2), rel=0.05)
    assert half_width(narrow["field_mass"]) == pytest.approx(0.05, rel=1e-3)
    distance = np.log10(22 / 20)
    assert half_width(wide["field_luminosity"]) == pytest.approx(np.hypot(0.2, 2 * distance), rel=0.07)
    assert half_width(wide["mass_to_light"]) == pytest.approx(np.hypot(0.05, 2 * distance), rel=0.05)


def test_the_noise_of_an_image_is_part_of_the_interval_of_a_pixel(models: list, tmp_path: Path) -> None:
    """Where the noise is a tenth of the flux, log mass has 0.1 / ln 10 dex more beside the network's own 0.1."""
    path = map_of_counts(tmp_path / "v.fits", noise=0.1)
    found = averaged(
        models[0], torch.from_numpy(read_observation(path, TrainingMaps.of(models[0])).possible).float()[:, None]
    )
    zero_point = 0.4 * 0.02
    assert np.median(found["sigma"]) == pytest.approx(np.sqrt(0.1**2 + 0.0434**2 + zero_point**2), rel=0.03)
    again = averaged(
        models[0], torch.from_numpy(read_observation(path, TrainingMaps.of(models[0])).possible).float()[:, None]
    )
    np.testing.assert_array_equal(again["sigma"], found["sigma"])


def map_of_counts(path: Path, noise: float) -> Path:
    """An even map of V = 22 a pixel, with the uncertainty of each pixel over its flux as a plane of its own."""
    wcs = write_fits(path, log_flux())
    cards = wcs.to_header()
    cards.update({"BUNIT": "adu", "MAGZPT": 27.0, "FILTER": "V", "A_V": 0.0, "PSFFWHM": 2.3548})
    counts = 100.0 * np.exp(1e-3 * np.random.default_rng(1).standard_normal((160, 160)))
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(counts, cards, "SCI")]
    if noise:
        hdus.append(fits.ImageHDU(noise * counts, cards, "ERR"))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def half_width(quantity: dict) -> float:
    """Of an interval, dex."""
    return float(np.log10(quantity["high"] / quantity["low"]) / 2)
