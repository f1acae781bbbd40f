"""Surveys that do not say unit or filter in so many words, and plates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.inputs.calibration import read_images
from tests.pipeline.inputs.calibrated import AREA, CLEAR, NOTHING, image, magnitude, refusal
from tests.pipeline.inputs.fits_files import SIDE, sky, written


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counts=st.floats(1e-2, 1e4), seconds=st.floats(1.0, 2000.0))
def test_pan_starrs_counts_are_linear_but_with_bsoften(
    tmp_path_factory: pytest.TempPathFactory, counts: float, seconds: float
) -> None:
    folder = tmp_path_factory.mktemp("ps1")
    cards = {"HIERARCH FPA.ZP": 25.0, "EXPTIME": seconds, "HIERARCH FPA.FILTERID": "g.00000", **CLEAR}
    expected = 25.0 - 2.5 * np.log10(counts / seconds)
    assert magnitude(image(folder, counts, **cards)) == pytest.approx(expected, abs=1e-6)
    softening, offset = 2.2, 3.6
    stored = 2.5 / np.log(10) * np.arcsinh((counts - offset) / (2 * softening))
    found = image(folder, stored, BSOFTEN=softening, BOFFSET=offset, **cards)
    assert magnitude(found) == pytest.approx(expected, abs=1e-4)
    assert str(found.filter) == "g of Pan-STARRS 1"


def test_pan_starrs_without_exposure_time_is_refused(tmp_path: Path) -> None:
    cards = {"HIERARCH FPA.ZP": 25.0, "HIERARCH FPA.FILTERID": "g.00000"}
    assert "card EXPTIME is 0" in refusal(tmp_path, **cards, EXPTIME=0.0)
    assert "card EXPTIME is missing" in refusal(tmp_path, **cards)
    assert "card BOFFSET" in refusal(tmp_path, **cards, EXPTIME=1.0, BSOFTEN=1.0)


@pytest.mark.parametrize(
    ("cards", "whose"),
    [
        ({"SURVEY": "DECaLS", "BRICK": "0591m305", "BAND": "g"}, "DES"),
        ({"SURVEY": "LegacySurvey", "VERSION": "DR9", "BANDS": "g", "BAND0": "g"}, "DES"),
        ({"NMGY": 0.005, "ORIGIN": "SDSS", "FILTER": "g"}, "SDSS"),
    ],
)
def test_nanomaggies_without_bunit(tmp_path: Path, cards: dict[str, Any], whose: str) -> None:
    found = image(tmp_path, 1.0, **cards, **CLEAR)
    assert magnitude(found) == pytest.approx(22.5, abs=1e-3)
    assert str(found.filter) == f"g of {whose}"


@pytest.mark.parametrize(("sampler", "area"), [("NNSampler", 0.396**2), ("ClipSampler", AREA)])
def test_skyview_samples_the_pixels_of_sdss(tmp_path: Path, sampler: str, area: float) -> None:
    """Its nearest-neighbour values are nanomaggies of SDSS's own pixels, whatever the size of SkyView's."""
    header = sky(SURVEY="SDSS-g", **CLEAR)
    header["COMMENT"] = " SkyView Survey metadata"
    header["HISTORY"] = f" Resampler used: {sampler}"
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(np.ones((SIDE, SIDE)), header))
    (found,) = read_images(path, NOTHING)
    assert magnitude(found) == pytest.approx(22.5 - 2.5 * np.log10(AREA / area), abs=1e-3)
    assert str(found.filter) == "g of SDSS"


@pytest.mark.parametrize(
    "cards",
    [
        {"SURVEY": "DSS2 Red"},
        {"SURVEY": "Digitized Sky Survey"},
        {"ORIGIN": "CASB -- STScI"},
        {"PLATEID": "07HH"},
        {"TELESCOP": "Palomar 48-inch Schmidt"},
        {"CPYRIGHT": "Digitized Sky Survey - STScI/NASA"},
        {"HISTORY": "From HiPS CDS/P/DSS2/NIR (DSS2 NIR (XI+IS))"},
    ],
)
def test_plates_are_refused_for_the_true_reason(tmp_path: Path, cards: dict[str, str]) -> None:
    assert "plate (DSS), which is not linear" in refusal(tmp_path, BUNIT="adu", FILTER="V", MAGZPT=25.0, **cards)


def test_a_camera_on_a_schmidt_telescope_is_no_plate(tmp_path: Path) -> None:
    assert image(tmp_path, 20.0, BUNIT="mag", FILTER="V", TELESCOP="Burrell Schmidt").filter.band == "V"


def test_sloan_is_no_plate(tmp_path: Path) -> None:
    cards = {"HISTORY": " name = Sloan Digitized Sky Survey 567-750-band", "ORIGIN": "SDSS", "FILTER": "g", "NMGY": 1.0}
    assert str(image(tmp_path, 1.0, **cards).filter) == "g of SDSS"
