"""A telescope for mock star clusters: projection on the sky, pixels, point-spread function, sky and noise."""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from pipeline.simulation.clusters.stars import flux_of_magnitude

Array = NDArray[np.float64]

PIXEL = 0.25  # arcsec, of Pan-STARRS 1 stacks and of the published maps
ARCSEC = 206264.806  # in a radian
LIGHT_UNIT = 16.0  # Lsun,V, of stored maps: cores of young clusters exceed the largest float16 (per pixel)
BRIGHTEST = LIGHT_UNIT * float(np.finfo(np.float16).max)  # Lsun,V in a pixel that can be stored


# --- the sky in pixels --------------------------------------------------------------------------


def random_view(rng: np.random.Generator) -> Array:
    """Two perpendicular unit vectors (2, 3) that span the sky as seen from a random direction."""
    x, y = rng.standard_normal((2, 3))  # Gram and Schmidt's method, term by term: LAPACK has other bits elsewhere
    x /= np.sqrt((x * x).sum())
    y -= (x * y).sum() * x
    return np.stack([x, y / np.sqrt((y * y).sum())])


def random_shift(rng: np.random.Generator, largest: float) -> Array:
    """Offset (2,) of a cluster from the middle of its picture, uniform in a disc of radius ``largest``."""
    radius, angle = largest * np.sqrt(rng.random()), 2 * np.pi * rng.random()
    return radius * np.array([np.cos(angle), np.sin(angle)])


def sky_position(position: Array, view: Array, distance: float, shift: Array) -> Array:
    """Offsets (2, stars) in arcsec from the middle of the picture, of stars at ``position`` (3, stars) in pc.

    Args:
        position: about the cluster's centre.
        view: two unit vectors (2, 3), see :func:`random_view`.
        distance: kpc.
        shift: of the cluster's centre (2,), arcsec.
    """
    seen = sum(view[:, axis, None] * position[axis] for axis in range(3))  # no BLAS, whose threads could change bits
    return ARCSEC / (1e3 * distance) * seen + shift[:, None]


@numba.njit(cache=True)
def bin_stars(offset: Array, weight: Array, pixels: int, pixel: float = PIXEL) -> Array:
    """Sums of ``weight`` (maps, stars) in each pixel: images (maps, pixels, pixels) of stars at ``offset`` (arcsec)."""
    image = np.zeros((weight.shape[0], pixels, pixels))
    half = pixels / 2
    for k in range(offset.shape[1]):
        x, y = offset[0, k] / pixel + half, offset[1, k] / pixel + half
        if 0 <= x < pixels and 0 <= y < pixels:
            for m in range(weight.shape[0]):
                image[m, int(y), int(x)] += weight[m, k]
    return image


# --- the instrument -----------------------------------------------------------------------------


def gaussian_psf(sigma: float) -> Array:
    """One axis of a Gaussian point-spread function, sigma in pixels, cut at 4 sigma; its sum is 1."""
    radius = int(np.ceil(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return kernel / kernel.sum()


@numba.njit(cache=True)
def _blur_rows(image: Array, kernel: Array) -> Array:
    out = np.zeros((image.shape[0] - len(kernel) + 1, image.shape[1]))
    for i in range(out.shape[0]):
        for k in range(len(kernel)):
            for j in range(out.shape[1]):
                out[i, j] += kernel[k] * image[i + k, j]
    return out


def blur(image: Array, kernel: Array, pixels: int) -> Array:
    """Convolve with ``kernel`` along both axes and keep the middle, (pixels, pixels).

    Raises:
        ValueError: the image is too small for the middle to be free of its edges.
    """
    if len(image) - len(kernel) + 1 < pixels:
        raise ValueError(f"an image of {len(image)} pixels leaves no {pixels} beyond a kernel of {len(kernel)}")
    edge = (len(image) - len(kernel) + 1 - pixels) // 2
    stop = len(image) - edge - (len(image) - len(kernel) + 1 - pixels) % 2
    rows = _blur_rows(np.ascontiguousarray(image[edge:stop, edge:stop]), kernel)
    return np.ascontiguousarray(_blur_rows(np.ascontiguousarray(rows.T), kernel).T)


@dataclass(frozen=True)
class Camera:
    """What counts the light behind the telescope.

    Attributes:
        sky: V magnitude of a square arcsec of sky, None for none; its mean is subtracted, its noise stays.
        one_electron: V magnitude that gives one electron in the exposure, None for a picture without photon noise.
        read_noise: electrons per pixel.
    """

    sky: float | None
    one_electron: float | None
    read_noise: float

    def expose(self, rng: np.random.Generator, flux: Array) -> Array:
        """An exposure of an image (Lsun kpc⁻²)."""
        if self.one_electron is None:
            return flux
        unit = flux_of_magnitude(self.one_electron)
        sky = 0.0 if self.sky is None else flux_of_magnitude(self.sky) * PIXEL**2
        electrons = rng.poisson((flux + sky) / unit) + self.read_noise * rng.standard_normal(flux.shape)
        return electrons * unit - sky


def foreground_stars(rng: np.random.Generator, pixels: int, density: float) -> Array:
    """Flux (pixels, pixels) of stars of the Milky Way, N(<V) ~ 10^(0.3 V) between V = 14 and 24, thrown at random.

    Args:
        rng: the source of every draw.
        pixels: a side.
        density: stars in a square arcmin, down to V = 24.
    """
    field = pixels * PIXEL
    n = rng.poisson(density * (field / 60) ** 2)
    magnitude = 24 + np.log10(rng.uniform(1e-3, 1, n)) / 0.3
    return bin_stars(rng.uniform(-field / 2, field / 2, (2, n)), flux_of_magnitude(magnitude)[None, :], pixels)[0]


def log_map(image: Array, floor: float) -> NDArray[np.float16]:
    """log10 of a map in half precision, not below ``floor``."""
    return np.log10(np.maximum(image, 10.0**floor)).astype(np.float16)


def stored(
    light: Array, mass: Array, kernel: Array, pixels: int, floor: float
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """A map as data/clusters/maps holds it: light in ``LIGHT_UNIT``, and log10 of the smoothed mass in the field.

    Args:
        light: Lsun,V in each pixel, with margins.
        mass: Msun in each pixel, likewise.
        kernel: one axis of what smooths the mass, see :func:`gaussian_psf`.
        pixels: of a side of the field.
        floor: log10 M/Msun of an empty pixel.
    """
    return (light / LIGHT_UNIT).astype(np.float16), log_map(blur(mass, kernel, pixels), floor)


# --- colour pictures ----------------------------------------------------------------------------


def moffat_psf(fwhm: float, beta: float, radius: int) -> Array:
    """Point-spread function of seeing (Moffat 1969), (1 + r²/a²)^-beta out to ``radius`` pixels; its sum is 1."""
    x = np.arange(-radius, radius + 1.0)
    a = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    kernel = (1 + (x[:, None] ** 2 + x**2) / a**2) ** -beta
    return kernel / kernel.sum()


def lupton(bands: Array, soft: float, white: float) -> NDArray[np.uint8]:
    """Colour picture (h, w, 3) of red, green and blue images (3, h, w) by the arcsinh stretch of Lupton et al. (2004).

    The mean of the bands is stretched and their ratios are kept, so that the colour of a star does not depend on its
    brightness; a band that is then too bright for the screen is cut, so that dense cores burn out to white.

    Args:
        bands: linear intensities above the black level.
        soft: intensity up to which the stretch is linear.
        white: intensity that becomes white.
    """
    mean = np.maximum(bands.mean(0), 1e-9 * white)
    rgb = np.clip(bands / mean * np.arcsinh(mean / soft) / np.arcsinh(white / soft), 0, 1)
    return np.round(255 * np.moveaxis(rgb, 0, -1)).astype(np.uint8)
