"""An astronomer's picture of a cluster, FITS or NPY, brought to the maps that a network was trained on.

That is log10 F/(Lsun kpc⁻²) in the pixels of the training maps, where F = L_V / (4π D²), behind their point-spread
function. What a FITS file must say stands in ``pipeline.inputs.header``.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.inputs import header as cards
from pipeline.inputs.photometry import EXTINCTION, linear_counts, smoothed, visual_flux
from pipeline.inputs.sky_grid import Map, middle, on_grid, pixel_scale

MASKED = 0.05  # largest share of pixels without a value
SATURATED = 0.005  # smallest share of pixels at the highest value that looks like saturation


@dataclass(frozen=True)
class TrainingMaps:
    """What the maps that a network was trained on are like.

    Attributes:
        psf_sigma: of their Gaussian point-spread function, pixels.
        pixel_arcsec: side of a pixel.
        log_flux_floor: log10 F/(Lsun kpc⁻²) of the darkest pixel.
        pixels: of a side.
    """

    psf_sigma: float
    pixel_arcsec: float
    log_flux_floor: float
    pixels: int = 160

    @classmethod
    def of(cls, model: Any) -> "TrainingMaps":
        """From the buffers of a trained LightningModule."""
        return cls(float(model.psf_sigma), float(model.pixel_arcsec), float(model.log_flux_floor))

    @property
    def psf_arcsec(self) -> float:
        """Sigma of the point-spread function, arcsec."""
        return self.psf_sigma * self.pixel_arcsec


@dataclass
class Observation:
    """A map as the networks take it, and what is known of it.

    Attributes:
        log_flux: log10 F/(Lsun kpc⁻²), (pixels, pixels).
        mask: pixels that had no value and took their nearest neighbour's, (pixels, pixels).
        wcs: astropy's WCS of these pixels; None for an NPY map.
        psf_sigma: of the stars on this map, pixels; None where nothing tells it.
        noise: standard deviation of each pixel's F, Lsun kpc⁻², (pixels, pixels); None where nothing tells it.
        sky: F of the sky in a pixel that is still in the map, Lsun kpc⁻²; None: taken as subtracted.
        warnings: what was mended, assumed or looks odd, in plain words.
    """

    log_flux: Map
    mask: NDArray[np.bool_]
    wcs: Any = None
    psf_sigma: float | None = None
    noise: Map | None = None
    sky: float | None = None
    warnings: list[str] = field(default_factory=list)


def read_observation(
    path: Path, maps: TrainingMaps, band: str | None = None, psf_fwhm: float | None = None
) -> Observation:
    """Read a FITS or NPY map.

    Args:
        path: the file.
        maps: what the network was trained on.
        band: V, g or r: the filter of a picture whose header does not name it.
        psf_fwhm: width of its stars in arcsec, where the header does not tell it.

    Raises:
        InputError: the file is no map, a FITS file lacks units, filter, zero point or WCS, the
            map covers less than the field, is empty, or has no value in more than 5 % of its pixels.
    """
    if path.suffix.lower() == ".npy":
        log_flux = read_npy(path, maps)
        seen = Observation(log_flux, np.isnan(log_flux) | np.isposinf(log_flux))
    else:
        seen = read_fits(path, maps, band, psf_fwhm)
    seen.log_flux = np.maximum(seen.log_flux, maps.log_flux_floor)
    fill(path, seen)
    if np.ptp(seen.log_flux) == 0:
        raise InputError(f"{path}: all pixels are equal; the map is empty or saturated, give another")
    highest = (seen.log_flux == seen.log_flux.max()).mean()
    if highest > SATURATED:
        seen.warnings.append(f"{100 * highest:.1f} % of the pixels share the highest value: it looks saturated")
    return seen


def fill(path: Path, seen: Observation) -> None:
    """Give masked pixels the value of their nearest neighbour.

    Raises:
        InputError: they are too many.
    """
    from scipy.ndimage import distance_transform_edt

    if not seen.mask.any():
        return
    share = f"{100 * seen.mask.mean():.1f} % of the pixels"
    if seen.mask.mean() > MASKED:
        raise InputError(f"{path}: {share} have no value; at most {100 * MASKED:g} % may be masked")
    nearest = distance_transform_edt(seen.mask, return_distances=False, return_indices=True)
    seen.log_flux = seen.log_flux[tuple(nearest)]
    seen.warnings.append(f"{share} had no value and took their nearest neighbour's")


def read_npy(path: Path, maps: TrainingMaps) -> Map:
    """Log10 flux of an NPY file, (pixels, pixels).

    Raises:
        InputError: it is another kind of file or shape.
    """
    try:
        log_flux = np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not an NPY array of numbers; give a map of log10 F/(Lsun kpc-2)") from error
    if log_flux.shape != (maps.pixels, maps.pixels):
        wanted = f"{maps.pixels} x {maps.pixels} pixels of {maps.pixel_arcsec:g} arcsec"
        raise InputError(f"{path}: shape {log_flux.shape}; give a map of {wanted}")
    return log_flux


def read_fits(path: Path, maps: TrainingMaps, band: str | None, psf_fwhm: float | None) -> Observation:
    """The middle of a FITS file's V image, or of its g and r images, on the grid of the training maps.

    Raises:
        InputError: see ``read_observation``.
    """
    pictures: dict[str, tuple[Map, Any, float | None]] = {}  # by filter: flux, WCS, sigma of a star in arcsec
    remarks: dict[str, None] = {}  # in the order told, each once
    for data, header in cards.images(path):
        name = cards.filter_of(path, header, band)
        picture, wcs = middle(path, data, cards.celestial_wcs(path, header), maps.pixels * maps.pixel_arcsec)
        flux = linear(path, picture, header, wcs) * dereddening(path, name, header, remarks)
        flux, sigma = sharpness_matched(path, flux, header, wcs, maps, psf_fwhm, remarks)
        pictures.setdefault(name, (flux, wcs, sigma))
    if "V" in pictures:
        flux, wcs, sigma = pictures["V"]
    elif {"g", "r"} <= set(pictures) and pictures["g"][0].shape == pictures["r"][0].shape:
        flux, (_, wcs, sigma) = visual_flux(pictures["g"][0], pictures["r"][0]), pictures["r"]
        remarks["V was made of g and r taken as those of Pan-STARRS 1"] = None
    else:
        raise InputError(
            f"{path}: has {', '.join(pictures)}; give V, or g and r of the same pixels as two images of a file"
        )
    flux, wcs = on_grid(flux, wcs, maps.pixels, maps.pixel_arcsec)
    negative = (flux < 0).mean()
    if negative:
        remarks[f"{100 * negative:.1f} % of the pixels were negative and set to the darkest flux"] = None
    with np.errstate(divide="ignore"):
        log_flux = np.log10(np.maximum(flux, 0.0))
    psf_sigma = None if sigma is None else sigma / maps.pixel_arcsec
    return Observation(log_flux, ~np.isfinite(flux), wcs, psf_sigma, warnings=list(remarks))


# --- pixels -------------------------------------------------------------------------------------


def linear(path: Path, picture: Map, header: Any, wcs: Any) -> Map:
    """Flux of each pixel in Lsun kpc⁻² as if its filter were V.

    Raises:
        InputError: an unknown unit, or counts without a zero point.
    """
    from pipeline.simulation.clusters.stars import flux_of_magnitude

    unit = cards.unit_of(path, header)
    if unit == cards.FINISHED[0]:
        return 10.0**picture
    if unit == cards.FINISHED[1]:
        return picture
    if unit == "mag":
        return flux_of_magnitude(picture)
    if unit == "mag/arcsec2":
        return flux_of_magnitude(picture) * np.prod(pixel_scale(wcs))
    if "BSOFTEN" in header:
        offset, softening = (cards.number(path, header, card) for card in ("BOFFSET", "BSOFTEN"))
        picture = linear_counts(picture, offset, softening)
    return picture * flux_of_magnitude(cards.zero_point(path, header))


def dereddening(path: Path, band: str, header: Any, remarks: dict[str, None]) -> float:
    """Factor by which dust dimmed a picture that is not finished."""
    if cards.unit_of(path, header) in cards.FINISHED:
        return 1.0
    extinction = cards.extinction(path, header)
    if extinction is None:
        remarks["no extinction was corrected: the header has neither A_V nor EBV"] = None
        return 1.0
    return 10 ** (0.4 * EXTINCTION[band] * extinction)


def sharpness_matched(
    path: Path,
    flux: Map,
    header: Any,
    wcs: Any,
    maps: TrainingMaps,
    otherwise: float | None,
    remarks: dict[str, None],
) -> tuple[Map, float | None]:
    """Smooth a picture that is sharper than the training maps to their width of a star.

    Returns:
        The picture, and sigma of its stars in arcsec; None where nothing tells it.
    """
    from astropy.stats import gaussian_fwhm_to_sigma

    fwhm = cards.psf_fwhm(path, header, otherwise)
    if fwhm is None:
        if cards.unit_of(path, header) in cards.FINISHED:
            return flux, maps.psf_arcsec
        remarks["the stars were taken to be as wide as in training: the header has no PSFFWHM"] = None
        return flux, None
    sigma, wanted = fwhm * gaussian_fwhm_to_sigma, maps.psf_arcsec
    if sigma > 1.1 * wanted:
        trained = wanted / gaussian_fwhm_to_sigma
        remarks[f"the stars are wider ({fwhm:g} arcsec) than in training ({trained:.2f}): distances will be off"] = None
    if sigma >= wanted:
        return flux, sigma
    return smoothed(flux, (wanted**2 - sigma**2) ** 0.5 / pixel_scale(wcs)[::-1]), wanted
