import bz2
import gzip
import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.inputs.fits_file import SkyImage, science_images
from tests.pipeline.inputs.fits_files import PIXEL, SIDE, extension, light, sky, with_cards, written

BAD = np.zeros((SIDE, SIDE), dtype=np.int32)
BAD[3, 4] = 4
SIGMA = light(2) / 10


def only(path: Path, ext: str | None = None) -> SkyImage:
    (image,), _ = science_images(path, ext)
    return image


def test_hubble_file_is_read_with_error_and_quality(tmp_path: Path) -> None:
    """ERR and DQ belong to SCI, whatever the order; warm pixels (64) have a value, saturated ones (256) too."""
    quality = BAD.copy()
    quality[5, 5], quality[6, 6] = 64, 256
    primary = fits.PrimaryHDU(header=fits.Header({"TELESCOP": "HST"}))
    hdus = [extension("ERR", SIGMA), extension("SCI"), extension("DQ", quality), extension("WHT", BAD + 1.0)]
    image = only(written(tmp_path / "flt.fits", primary, *hdus))
    assert image.name == "2 SCI"
    assert np.argwhere(np.isnan(image.data)).tolist() == [[3, 4]]
    assert image.saturated is not None and np.argwhere(image.saturated).tolist() == [[6, 6]]
    np.testing.assert_array_equal(image.uncertainty, SIGMA)
    np.testing.assert_array_equal(np.where(quality == 4, 0, image.data), np.where(quality == 4, 0, light()))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.sampled_from(list(permutations(["SCI", "ERR", "DQ", "PSF", "CTX"]))))
def test_the_order_of_extensions_does_not_matter(tmp_path_factory: pytest.TempPathFactory, order: tuple[str]) -> None:
    data = {"SCI": light(), "ERR": SIGMA, "DQ": BAD, "PSF": np.ones((5, 5)), "CTX": BAD}
    path = tmp_path_factory.mktemp("order") / "a.fits"
    (image,), (used, left_out) = science_images(written(path, *(extension(name, data[name]) for name in order)))
    assert image.name.endswith("SCI") and np.isnan(image.data).sum() == 1
    np.testing.assert_array_equal(image.uncertainty, SIGMA)
    assert all(name in used for name in ("ERR", "DQ")) and all(name in left_out for name in ("PSF", "CTX"))


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_ccddata_file_is_read_as_astropy_reads_it(tmp_path: Path, kind: type) -> None:
    stated = StdDevUncertainty(SIGMA).represent_as(kind)
    ccd = CCDData(light(), unit="adu", mask=BAD > 0, uncertainty=stated, wcs=WCS(sky()))
    ccd.write(tmp_path / "ccd.fits")
    image = only(tmp_path / "ccd.fits")
    again = CCDData.read(tmp_path / "ccd.fits")
    np.testing.assert_array_equal(np.isnan(image.data), again.mask)
    np.testing.assert_allclose(image.uncertainty, again.uncertainty.represent_as(StdDevUncertainty).array)
    assert image.header["BUNIT"] == "adu" and image.wcs.wcs.compare(again.wcs.wcs)


def test_planes_of_an_lsst_mask_are_known_by_their_cards(tmp_path: Path) -> None:
    """A detected pixel (bit 5) is a star, no fault."""
    mask = BAD * 0
    mask[1, 1], mask[2, 2], mask[3, 3], mask[4, 4] = 1 << 5, 1 << 0, 1 << 8, 1 << 1
    planes = {"MP_BAD": 0, "MP_SAT": 1, "HIERARCH MP_DETECTED": 5, "HIERARCH MP_NO_DATA": 8}
    hdus = [extension("IMAGE"), extension("MASK", mask, **planes), extension("VARIANCE", SIGMA**2)]
    image = only(written(tmp_path / "calexp.fits", *hdus))
    assert np.argwhere(np.isnan(image.data)).tolist() == [[2, 2], [3, 3]]
    assert image.saturated is not None and np.argwhere(image.saturated).tolist() == [[4, 4]]
    np.testing.assert_allclose(image.uncertainty, SIGMA)


def test_legacy_cutout_pairs_each_band_with_its_inverse_variance(tmp_path: Path) -> None:
    def plane(band: str, kind: str, data: np.ndarray) -> fits.ImageHDU:
        return fits.ImageHDU(data, sky(BAND=band, IMAGETYP=kind))

    weights = np.where(BAD > 0, 0, SIGMA**-2)
    hdus = [plane(b, k, d) for b, s in (("g", 1), ("r", 2)) for k, d in (("image", light(s)), ("invvar", weights * s))]
    (g, r), left_out = science_images(written(tmp_path / "legacy.fits", *hdus))
    np.testing.assert_array_equal(r.data, light(2))
    np.testing.assert_allclose(g.uncertainty, np.where(BAD > 0, np.nan, SIGMA))
    np.testing.assert_allclose(r.uncertainty, np.where(BAD > 0, np.nan, SIGMA / 2**0.5))
    assert left_out == ["used as mask or noise: extension 2 (inverse variance), 4 (inverse variance)"]


def test_pixels_of_no_weight_have_no_value(tmp_path: Path) -> None:
    image = only(written(tmp_path / "a.fits", extension("WHT", 1.0 - (BAD > 0)), extension("IMAGE")))
    assert np.argwhere(np.isnan(image.data)).tolist() == [[3, 4]]


def test_vectors_cubes_and_tables_are_stepped_over(tmp_path: Path) -> None:
    vector, cube = fits.ImageHDU(np.ones(9)), fits.ImageHDU(np.ones((3, 5, 5)), name="PREVIEW")
    table = fits.BinTableHDU.from_columns([fits.Column("a", "D", array=[1.0])])
    path = written(tmp_path / "a.fits", vector, cube, table, extension("odd name"))
    (image,), left_out = science_images(path)
    assert image.name == "4 ODD NAME"
    assert left_out == ["not taken as the picture: extension 1 (1-D), 2 PREVIEW (3-D)"]


def test_layers_of_a_legacy_cube_are_its_filters(tmp_path: Path) -> None:
    cards = {"BANDS": "grz", "BAND0": "g", "BAND1": "r", "BAND2": "z", "IMAGETYP": "image", "SURVEY": "LegacySurvey"}
    cube = np.stack([light(1), light(2), light(3)])
    images, left_out = science_images(written(tmp_path / "a.fits", fits.PrimaryHDU(cube, sky(**cards))))
    assert [(image.name, image.header["BAND"]) for image in images] == [
        ("0 layer 0", "g"),
        ("0 layer 1", "r"),
        ("0 layer 2", "z"),
    ]
    np.testing.assert_array_equal(images[1].data, light(2))
    assert images[1].wcs.pixel_to_world(3, 9).separation(WCS(sky()).pixel_to_world(3, 9)).arcsec < 1e-6
    assert left_out == []


def test_a_name_that_says_picture_goes_before_others(tmp_path: Path) -> None:
    (image,), left_out = science_images(written(tmp_path / "a.fits", extension("AREA"), extension("SCI")))
    assert (image.name, left_out) == ("2 SCI", ["not taken as the picture: extension 1 AREA (image)"])


def test_an_image_of_the_sky_goes_before_one_of_nowhere(tmp_path: Path) -> None:
    (image,), _ = science_images(written(tmp_path / "a.fits", fits.ImageHDU(np.ones((9, 9))), extension("B")))
    assert image.name == "2 B"


@pytest.mark.parametrize("ext", ["2", "sci,2", "SCI,2"])
def test_the_user_chooses_an_extension(tmp_path: Path, ext: str) -> None:
    first, second = extension("SCI"), extension("SCI", light(2))
    second.ver = 2
    path = written(tmp_path / "a.fits", first, second)
    assert len(science_images(path)[0]) == 2
    np.testing.assert_array_equal(only(path, ext).data, light(2))


# --- no value --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["int16", "uint16", "int32"])
@pytest.mark.parametrize("compressed", [True, False])
def test_blank_pixels_of_whole_numbers_have_no_value(tmp_path: Path, kind: str, compressed: bool) -> None:
    data = light().astype("int16")
    offset = 32768 if kind == "uint16" else 0
    stored = (data.astype(np.int64) - offset).astype("int32" if kind == "int32" else "int16")
    stored[BAD > 0] = -9999
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(stored, sky()))
    if compressed:
        path = written(tmp_path / "a.fits.fz", fits.CompImageHDU(stored, sky(), compression_type="RICE_1"))
    fits.setval(path, "BLANK", value=-9999, ext=int(compressed))
    if offset:
        fits.setval(path, "BZERO", value=offset, ext=int(compressed))
    image = only(path)
    np.testing.assert_array_equal(image.data, np.where(BAD > 0, np.nan, data))


@pytest.mark.parametrize("suffix", ["gz", "bz2", "fz"])
def test_compressed_files_are_read(tmp_path: Path, suffix: str) -> None:
    plain = written(tmp_path / "a.fits", fits.PrimaryHDU(light().astype("float32"), sky()))
    path = tmp_path / f"a.fits.{suffix}"
    if suffix == "fz":
        written(path, fits.CompImageHDU(light().astype("float32"), sky(), compression_type="GZIP_2", quantize_level=0))
    else:
        path.write_bytes((gzip if suffix == "gz" else bz2).compress(plain.read_bytes()))
    np.testing.assert_array_equal(only(path).data, light().astype("float32"))


# --- header ----------------------------------------------------------------------------------------


def test_cards_of_the_primary_header_are_inherited(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU(
        header=fits.Header({"FILTER": "V", "MAGZPT": 25.0, "EXPTIME": 9.0, "CRVAL1": 1.0, "CROTA2": 30.0})
    )
    path = written(tmp_path / "a.fits", primary, extension("SCI", FILTER=" ", EXPTIME=3.0))
    header = only(path).header
    assert (header["FILTER"], header["MAGZPT"], header["EXPTIME"], header["CRVAL1"]) == ("V", 25.0, 3.0, 199.11)
    assert "CROTA2" not in header
    path = written(tmp_path / "b.fits", primary, extension("SCI", INHERIT=False))
    assert "MAGZPT" not in only(path).header


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("BUNIT   = adu", "card BUNIT cannot be read"),
        ("CRVAL1  = 199,11", "card CRVAL1 cannot be read"),
        ("CRVAL1  = '199,11'", "card CRVAL1 is '199,11'"),
        ("MAGZPT  = 25.0 mag", "card MAGZPT cannot be read"),
        ("CD1_1   =                  0.0", "the size of a pixel is 0"),
        ("CTYPE1  = 'RA---XYZ'", "its WCS cannot be read"),
    ],
)
def test_a_broken_card_is_named(tmp_path: Path, card: str, words: str) -> None:
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(light(), sky()))
    with pytest.raises(InputError, match=words):
        science_images(with_cards(path, card))


def test_a_broken_card_that_nobody_needs_does_no_harm(tmp_path: Path) -> None:
    path = with_cards(written(tmp_path / "a.fits", fits.PrimaryHDU(light(), sky())), "OBSERVER= Jane Doe")
    assert only(path).wcs is not None


def test_a_number_in_quotes_is_a_number(tmp_path: Path) -> None:
    path = with_cards(written(tmp_path / "a.fits", fits.PrimaryHDU(light(), sky())), "CRVAL1  = '199.11'")
    assert only(path).wcs.wcs.crval[0] == 199.11


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (1, SIDE, SIDE), (1, 1, SIDE, SIDE)])
def test_axes_left_over_from_a_cube_are_dropped(tmp_path: Path, shape: tuple[int, ...]) -> None:
    left_over = {"WCSAXES": 4, "CTYPE3": "FREQ", "CRVAL3": 1.4e9, "CDELT3": 1e6, "CRPIX3": 1.0, "CTYPE4": "STOKES"}
    left_over |= {"CRVAL4": 1.0, "CDELT4": 1.0, "CRPIX4": 1.0, "CD3_3": 1e6, "CD4_4": 1.0}
    image = only(written(tmp_path / "a.fits", fits.PrimaryHDU(light().reshape(shape), sky(**left_over))))
    np.testing.assert_array_equal(image.data, light())
    plain = WCS(sky())
    assert image.wcs.pixel_to_world(3, 9).separation(plain.pixel_to_world(3, 9)).arcsec < 1e-6


def test_swapped_axes_stay_swapped(tmp_path: Path) -> None:
    header = sky(CTYPE1="DEC--TAN", CTYPE2="RA---TAN", CRVAL1=17.7, CRVAL2=199.11)
    image = only(written(tmp_path / "a.fits", fits.PrimaryHDU(light(), header)))
    assert image.wcs.pixel_to_world(3, 9).separation(WCS(header).pixel_to_world(3, 9)).arcsec < 1e-6


def test_a_cut_through_a_cube_is_no_picture_of_the_sky(tmp_path: Path) -> None:
    header = sky(CTYPE2="FREQ", CRVAL2=1.4e9, CD2_2=1e6, CTYPE3="DEC--TAN", CRVAL3=17.7, CRPIX3=1.0, CD3_3=1e-4)
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(light()[None], header))
    with pytest.raises(InputError, match="not those of the sky"):
        science_images(path)


def test_left_over_sip_is_not_used(tmp_path: Path) -> None:
    """Both cards of distortion are there; only CTYPE says whether they hold."""
    sip = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-3, "B_0_2": 1e-3}
    left = only(written(tmp_path / "a.fits", fits.PrimaryHDU(light(), sky(**sip))))
    assert "SIP" in left.warnings[0]
    assert left.wcs.pixel_to_world(0, 0).separation(WCS(sky()).pixel_to_world(0, 0)).arcsec < 1e-9
    meant = sky(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", **sip)
    used = only(written(tmp_path / "b.fits", fits.PrimaryHDU(light(), meant)))
    expected = 1e-3 * (SIDE / 2 - 0.5) ** 2 * PIXEL * 2**0.5  # both axes shift by as many pixels
    found = used.wcs.pixel_to_world(0, 0).separation(WCS(sky()).pixel_to_world(0, 0))
    assert found.to_value(u.arcsec) == pytest.approx(expected, rel=1e-3)


# --- refused ---------------------------------------------------------------------------------------


def test_what_holds_no_picture_is_refused(tmp_path: Path) -> None:
    no_size = sky()
    for card in ("CD1_1", "CD1_2", "CD2_1", "CD2_2"):
        del no_size[card]
    files = {
        "not a readable FITS": tmp_path / "text.fits",
        "holds no image": written(tmp_path / "a.fits", fits.PrimaryHDU()),
        "3 axes": written(tmp_path / "b.fits", fits.PrimaryHDU(np.ones((3, 9, 9)))),
        "no extension is a picture by its name: 1 ERR": written(tmp_path / "c.fits", extension("ERR")),
        "13 extensions could be meant, 1 CCD1 to 13 CCD13": written(
            tmp_path / "e.fits", *(extension(f"CCD{i}", np.ones((9, 9))) for i in range(1, 14))
        ),
        "tells no size of a pixel": written(tmp_path / "d.fits", fits.PrimaryHDU(light(), no_size)),
    }
    files["not a readable FITS"].write_text("no fits")
    for words, path in files.items():
        with pytest.raises(InputError, match=words):
            science_images(path)
    with pytest.raises(InputError, match=r"no image extension is 'DQ'; it has 1 ERR \(error\)"):
        science_images(files["no extension is a picture by its name: 1 ERR"], "DQ")


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_file_is_refused(tmp_path: Path, share: float) -> None:
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(np.ones((64, 64)), sky()))
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(InputError, match="not a readable FITS"):
        science_images(path)
