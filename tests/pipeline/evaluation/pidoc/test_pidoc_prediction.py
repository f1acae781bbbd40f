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
from pipeline.evaluation.pidoc.prediction import predict
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
    """The networks' answers: ten thousand times the flux as mass, 20 kpc and 12 Gyr."""
    if "real_data" in request.fixturenames:
        return

    def answers(model: torch.nn.Module, flux: torch.Tensor) -> dict[str, torch.Tensor]:
        if isinstance(model, LitPidocMass):
            return {"log_mass": flux + 4, "sigma": 0 * flux + 0.1, "field_sigma": torch.tensor([0.05])}
        distance, age = {"read": 20.0, "low": 18.0, "high": 22.0}, {"read": 12.0, "low": 10.0, "high": 14.0}
        return {
            **{f"distance_{end}": torch.tensor([x]) for end, x in distance.items()},
            **{f"age_{end}": torch.tensor([x]) for end, x in age.items()},
        }

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
