"""Maps of clusters in FITS files, and how they are read for networks."""

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from pipeline.inputs.observation import Observation, read_observation
from pipeline.inputs.options import FitsOptions
from pipeline.inputs.training_maps import TrainingMaps

MAPS = TrainingMaps(4.0, 0.25, -8.0, psf_range=(2.4, 6.0), noise_range=(-7.5, -5.0))
SIDE, LOG_FLOOR = MAPS.pixels, MAPS.log_flux_floor
COUNT = 10 ** (0.4 * (4.81 + 10 - 27)) / (4 * np.pi)  # Lsun/kpc2 of a count, of magnitude 27


def read(path: Path, **options) -> Observation:
    return read_observation(path, MAPS, FitsOptions(**options))


def header(shape: tuple[int, int], pixel: float = 0.25, angle: float = 0.0, cd: bool = False) -> fits.Header:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [199.11, 17.70]
    wcs.wcs.crpix = [shape[1] / 2 + 7, shape[0] / 2 - 3]
    c, s = np.cos(angle), np.sin(angle)
    matrix = pixel / 3600 * np.array([[-c, s], [s, c]])
    if cd:
        wcs.wcs.cd = matrix
    else:
        wcs.wcs.cdelt = [pixel / 3600] * 2
        wcs.wcs.pc = matrix / (pixel / 3600)
    return wcs.to_header()


def write(path: Path, data: np.ndarray, unit: str | None = "log10(Lsun/kpc2)", geometry: dict = {}, **cards) -> Path:  # noqa: B006
    fits.writeto(path, data, labelled(data, unit, geometry, cards))
    return path


def labelled(data: np.ndarray, unit: str | None, geometry: dict, cards: dict) -> fits.Header:
    full = header(data.shape, **geometry)
    full.update(cards)
    if unit:
        full["BUNIT"] = unit
    return full


def log_map(side: int = SIDE) -> np.ndarray:
    y, x = np.indices((side, side)) - (side - 1) / 2
    return (-4 - np.hypot(x, y) / 40 + 0.1 * np.sin(x / 5)).astype(np.float32)


def flat(value: float, side: int = 220) -> np.ndarray:
    """Nearly flat, for a map without any structure is refused."""
    return value + 1e-6 * np.random.default_rng(1).normal(size=(side, side))


def counts(path: Path, values: np.ndarray, pixel: float = 0.25, **cards) -> Path:
    known = {"FILTER": "V", "A_V": 0.0, "PSFFWHM": 2.3548, "MAGZPT": 27.0}
    return write(path, values, unit="adu", geometry={"pixel": pixel, "angle": 0.4}, **(known | cards))


def cluster(side: int, pixel: float, sky: float = 0.0, noise: float = 0.0) -> np.ndarray:
    """Counts of a round cluster in pixels of any size, with its sky and the noise of a pixel."""
    y, x = pixel * (np.indices((side, side)) - (side - 1) / 2)
    light = 100 * pixel**2 / 0.25**2 * np.exp(-(x**2 + y**2) / 2 / 6**2)
    return light + sky + np.random.default_rng(4).normal(0, noise, light.shape)
