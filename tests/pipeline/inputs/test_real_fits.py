"""Real pictures as surveys and people hand them out: the command of each, and what is right.

An answer with its warnings, or one line with the true reason. Whether a network may answer is told by
test_outside_training.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from pipeline.errors import InputError
from pipeline.inputs.observation import Observation, read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps

MAPS = TrainingMaps(4.0, 0.25, -8.0, psf_range=(2.4, 6.0), noise_range=(-7.5, -5.0))
M13 = "250.42350 36.46131"  # its centre (Goldsbury et al. 2010)


def read(folder: Path, name: str, **options) -> Observation:
    files = {band: folder / "fits" / options.pop(band) for band in ("g", "r") if band in options}
    return read_observation(folder / "fits" / name, MAPS, FitsOptions(**options, **files))


BE7 = {"g": "be7_sdss_g.fits", "r": "be7_sdss_r.fits"}
OF_A_SURVEY = ["no extinction was corrected", "as is usual"]  # no card tells dust or the width of a star
SAID = {"ebv": 0.8, "fwhm": 1.3}  # what no header holds
M13_SAID = ["the stars are wider (3.60 arcsec)", "more than in training"]
ANSWERED = [  # file, options, words of the warnings that must be there, words that must not
    ("be7_sdss_g.fits", BE7, ["g and r of SDSS", *OF_A_SURVEY, "no cluster stands out"], ["of an old cluster"]),
    ("be7_sdss_g.fits", BE7 | SAID, ["g and r of SDSS"], ["no extinction", "as is usual"]),
    ("be7_sdss_r.fits", SAID, ["r of SDSS alone"], ["no extinction"]),
    (
        "legacy_dr9_subimage.fits",
        {},
        ["g and r of DES", "inverse variance", "another filter", *OF_A_SURVEY],
        ["of an old cluster"],
    ),
    ("legacy_dr9_subimage.fits", SAID, ["g and r of DES"], ["no extinction", "as is usual"]),
    ("sdss_r_frame.fits", {}, ["extension 1 (1-D)", "r of SDSS alone", *OF_A_SURVEY], []),
    ("m13_centred.fits", {}, [*M13_SAID, "sky", "reaches beyond"], ["extinction", "off the field"]),
    ("m13_frame.fits", {}, [*M13_SAID, "off the field's middle"], ["extinction"]),
    ("m13_frame.fits", {"center": M13}, [*M13_SAID, "reaches beyond"], ["extinction", "off the field"]),
]


@pytest.mark.parametrize(("name", "options", "told", "not_told"), ANSWERED)
def test_an_answer_with_its_warnings(real_data: Path, name: str, options: dict, told: list, not_told: list) -> None:
    seen = read(real_data, name, **options)
    text = " ".join(seen.warnings)
    assert [word for word in told if word not in text] == []
    assert [word for word in not_told if word in text] == []
    assert np.isfinite(seen.flux).all() and np.isfinite(seen.log_flux).all()
    assert seen.draws is not None and seen.noise > 0


REFUSED = {  # the true reason, and what would help
    "m67_dss.fits": "photographic plate.*not linear",
    "ngc6819_dss.fits": "photographic plate.*not linear",
    "m92_kpno_mef.fits": "no celestial WCS",
    "m37_green.fits": "no unit.*no zero point.*--zeropoint",
    "ps1_cut_y.fits": r"filter 'y\.00000'",
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_line_with_the_true_reason(real_data: Path, name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name]) as mistake:
        read(real_data, name)
    assert str(mistake.value).startswith(str(real_data / "fits" / name)) and "\n" not in str(mistake.value)


def test_m37_is_read_once_its_filter_and_zero_point_are_said(real_data: Path) -> None:
    seen = read(real_data, "m37_green.fits", band="V", zeropoint=23.0, ebv=0.26, fwhm=3.0)
    assert np.isfinite(seen.log_flux).all()


def test_the_light_of_m13_is_that_of_the_catalogue(real_data: Path) -> None:
    """1.4e4 Lsun in the field at 6.77 kpc; the zero point was scaled to V = 5.78, so a third is all that is tested."""
    for name, center in (("m13_centred.fits", None), ("m13_frame.fits", M13)):
        light = (10.0 ** read(real_data, name, center=center).log_flux).sum() * 4 * np.pi * 6.77**2
        assert light == pytest.approx(1.4e4, rel=0.35)


def test_a_sky_that_was_left_in_is_told_and_taken_off(real_data: Path, tmp_path: Path) -> None:
    """Of M13's frame, 1 % too much sky was subtracted: 0.85 times its light added makes 45 % of the sum."""
    clean = read(real_data, "m13_frame.fits", center=M13)
    light = 10.0**clean.log_flux
    with fits.open(real_data / "fits/m13_frame.fits") as hdus:
        hdus[0].data = hdus[0].data + 0.85 * hdus[0].data[m13_field(hdus[0].data.shape)].mean()
        hdus.writeto(tmp_path / "sky.fits")
    options = {"center": M13}
    left = read_observation(tmp_path / "sky.fits", MAPS, FitsOptions(**options))
    assert [text for text in left.warnings if re.search("4[4-6] % of the field", text) and "--sky subtract" in text]
    assert left.sky == pytest.approx(0.85 * light.mean(), rel=0.05)
    taken = read_observation(tmp_path / "sky.fits", MAPS, FitsOptions(**options, sky="subtract"))
    assert (10.0**taken.log_flux).sum() == pytest.approx(light.sum(), rel=0.04)
    assert "was subtracted" in " ".join(taken.warnings)


def m13_field(shape: tuple[int, int]) -> np.ndarray:
    """The pixels of 1.78 x 1.72 arcsec in the field around M13, 15.3 and 10.5 arcsec off the middle of the frame."""
    y, x = np.indices(shape)
    return (np.abs(x - 366.88) * 1.7754 < 20) & (np.abs(y - 284.39) * 1.7188 < 20)
