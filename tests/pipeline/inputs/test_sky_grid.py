"""Where a field lies on an image, against astropy's own coordinates of single stars."""

from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip

from pipeline.errors import InputError
from pipeline.inputs.sky_grid import (
    Place,
    on_grid,
    pixel_matrix,
    pixel_of,
    sky_position,
    target_grid,
)

FILE = Path("mine.fits")
PIXELS, PIXEL = 160, 0.25


def coordinates(side: int, pixel: float, angle: float = 0.3, crval: tuple[float, float] = (199.11, 17.70)) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], crval, [side / 2 + 7, side / 2 - 3]
    c, s = np.cos(angle), np.sin(angle)
    wcs.wcs.cd = pixel / 3600 * np.array([[-c, s], [s, c]])
    return wcs


def distorted(side: int, away: float, strength: float) -> WCS:
    """A corner of a camera: the reference pixel is ``away`` pixels to the right, the distortion grows with distance."""
    wcs = coordinates(side, 0.2, 0.0)
    wcs.wcs.crpix = [side / 2 + away, side / 2]
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0] = b[0, 2] = strength
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.set()
    return wcs


def star(wcs: WCS, shape: tuple[int, int], at: SkyCoord, sigma: float) -> np.ndarray:
    """An image of one round star of unit flux, sigma in arcsec, drawn by the distance of each pixel on the sky."""
    y, x = np.indices(shape)
    r = wcs.pixel_to_world(x, y).separation(at).arcsec
    flux = np.exp(-0.5 * (r / sigma) ** 2)
    return flux / flux.sum()


def centroid(flux: np.ndarray, wcs: WCS) -> SkyCoord:
    y, x = np.indices(flux.shape)
    return wcs.pixel_to_world((x * flux).sum() / flux.sum(), (y * flux).sum() / flux.sum())


def gridded(flux: np.ndarray, wcs: WCS, center: SkyCoord | None = None) -> tuple[np.ndarray, WCS]:
    target = target_grid(FILE, wcs, flux.shape, center, PIXELS, PIXEL)
    place = Place.of(FILE, wcs, flux.shape, target)
    part = place.part(5.0)
    return on_grid(flux[part], wcs[part], target, place.area), target


@pytest.mark.parametrize("strength", [0.0, 1e-6, 3e-6, 1e-5])
def test_a_far_reference_pixel_with_distortion_is_read_at_the_right_place(strength: float) -> None:
    """A star 8 arcsec north-east of the middle comes out there, and the grid's middle is the image's."""
    wcs = distorted(300, 3000, strength)
    middle = wcs.pixel_to_world(149.5, 149.5)
    at = middle.directional_offset_by(45 * units.deg, 8 * units.arcsec)
    flux, target = gridded(star(wcs, (300, 300), at, 1.0), wcs)
    assert target.pixel_to_world(79.5, 79.5).separation(middle).arcsec < 0.01
    assert centroid(flux, target).separation(at).arcsec < 0.02
    assert flux.sum() == pytest.approx(1, rel=2e-3)
    y, x = np.indices(flux.shape)
    width = [np.sqrt((flux * (k - (flux * k).sum() / flux.sum()) ** 2).sum() / flux.sum()) * PIXEL for k in (x, y)]
    assert width == pytest.approx([1.0, 1.0], rel=0.02)


@pytest.mark.parametrize("crval", [(0.001, -20.0), (123.0, 89.999), (250.0, -89.999)])
@pytest.mark.parametrize("pixel", [0.25, 0.4])
def test_poles_and_the_wrap_of_right_ascension(crval: tuple[float, float], pixel: float) -> None:
    side = round(60 / pixel)
    wcs = coordinates(side, pixel, 0.7, crval)
    at = wcs.pixel_to_world(side / 2 + 20, side / 2 - 15)
    flux, target = gridded(star(wcs, (side, side), at, 1.0), wcs)
    assert centroid(flux, target).separation(at).arcsec < 0.02


def test_pixels_of_the_right_size_are_cut_not_resampled() -> None:
    image, wcs = np.random.default_rng(1).normal(size=(301, 260)), coordinates(301, PIXEL)
    flux, target = gridded(image, wcs)
    assert any(np.array_equal(flux, image[y : y + 160, 50:210]) for y in (70, 71))
    assert target.pixel_to_world(3, 9).separation(wcs.pixel_to_world(53, 9 + 70)).arcsec < PIXEL * 1.01


def test_a_center_moves_the_field() -> None:
    wcs = coordinates(400, PIXEL)
    at = wcs.pixel_to_world(120.0, 260.0)
    flux, target = gridded(star(wcs, (400, 400), at, 1.0), wcs, sky_position(at.to_string("decimal", precision=8)))
    y, x = np.unravel_index(flux.argmax(), flux.shape)
    assert abs(x - 79.5) <= 0.51 and abs(y - 79.5) <= 0.51
    assert target.pixel_to_world(79.5, 79.5).separation(at).arcsec < PIXEL


@pytest.mark.parametrize(
    "text", ["250.42350 36.46131", "16:41:41.64 +36:27:40.7", "16h41m41.64s +36d27m40.7s", "16 41 41.64 36 27 40.7"]
)
def test_positions_as_people_write_them(text: str) -> None:
    assert sky_position(text).separation(SkyCoord(250.4235, 36.46131, unit="deg")).arcsec < 0.1


@pytest.mark.parametrize("text", ["", "M13", "250.4", "250.4 96.0", "1 2 3"])
def test_no_position_is_said_so(text: str) -> None:
    with pytest.raises(InputError, match="RA DEC"):
        sky_position(text)


def test_a_pixel_without_size_is_named() -> None:
    singular, missing = coordinates(240, 0.25), coordinates(240, 3600.0)
    singular.wcs.cd = np.zeros((2, 2))
    line = coordinates(240, 0.25)
    line.wcs.cd = 1e-4 * np.array([[1.0, 2.0], [2.0, 4.0]])
    for wcs, words in (
        (singular, "zero or singular|cannot be used"),
        (line, "zero or singular|cannot be used"),
        (missing, "CDELT is missing"),
    ):
        with pytest.raises(InputError, match=words):
            pixel_matrix(FILE, wcs, 120, 120)


def test_an_image_elsewhere_or_too_small_is_refused() -> None:
    g, r = coordinates(300, 0.25, 0.0), coordinates(300, 0.25, 0.0, (199.11, 17.70 + 600 / 3600))
    with pytest.raises(InputError, match="600 arcsec"):
        Place.of(FILE, r, (300, 300), target_grid(FILE, g, (300, 300), None, PIXELS, PIXEL))
    near = coordinates(300, 0.25, 0.0, (199.11, 17.70 + 30 / 3600))
    with pytest.raises(InputError, match=r"covers 75\.0 x 15\..* around"):
        Place.of(FILE, near, (300, 300), target_grid(FILE, g, (300, 300), None, PIXELS, PIXEL))
    with pytest.raises(InputError, match="is not on it"):
        pixel_of(FILE, g, (300, 300), SkyCoord(20, 17.7, unit="deg"))


def test_two_bands_on_one_grid() -> None:
    """A star stays where it is on the sky though the other image is turned, shifted by 5 arcsec and of other pixels."""
    g = coordinates(300, 0.25, 0.0)
    r = coordinates(200, 0.4, 0.5, (199.11 + 5 / 3600, 17.70))
    at = g.pixel_to_world(170.0, 140.0)
    target = target_grid(FILE, g, (300, 300), None, PIXELS, PIXEL)
    for wcs, side in ((g, 300), (r, 200)):
        place = Place.of(FILE, wcs, (side, side), target)
        flux = on_grid(star(wcs, (side, side), at, 1.0), wcs, target, place.area)
        assert centroid(flux, target).separation(at).arcsec < 0.02
        assert flux.sum() == pytest.approx(1, rel=2e-3)


def test_between_coarse_pixels_a_star_keeps_its_width() -> None:
    """Squares of even light, or straight lines between pixels of 0.8 arcsec, would widen its 1 arcsec by 3 or 5 %."""
    wcs = coordinates(80, 0.8)
    flux, _ = gridded(star(wcs, (80, 80), wcs.pixel_to_world(41.3, 38.8), 1.0), wcs)
    x = np.arange(PIXELS) * PIXEL
    mean = (flux * x).sum() / flux.sum()
    assert np.sqrt((flux * (x - mean) ** 2).sum() / flux.sum()) == pytest.approx(1.0, rel=0.015)


def test_a_hole_between_coarse_pixels_stays_one() -> None:
    image, wcs = np.ones((80, 80)), coordinates(80, 0.8)
    image[40:44, 38:40] = np.nan
    flux, _ = gridded(image, wcs)
    assert np.isnan(flux).sum() * PIXEL**2 == pytest.approx(8 * 0.8**2, rel=0.15)
    assert np.nanmax(np.abs(flux - (PIXEL / 0.8) ** 2)) < 1e-9
