"""From what a camera counts to light: magnitudes, extinction, colours, and the width of the stars."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Over A_V, for R_V = 3.1: Schlafly & Finkbeiner (2011), table 6, Landolt V and Pan-STARRS 1 g and r.
EXTINCTION = {"V": 1.0, "g": 3.172 / 2.742, "r": 2.271 / 2.742}
COLOURS = (-0.5, 2.0)  # g - r of all stars but the oddest


def visual_flux(g: Array, r: Array) -> Array:
    """Flux in V of fluxes in g and r of Pan-STARRS 1, all on the scale of V magnitudes.

    V = r + 0.005 + 0.462 (g - r) + 0.013 (g - r)² (Tonry et al. 2012, table 6). A pixel in which
    either is not positive takes the colour of the whole picture.
    """
    whole = -2.5 * np.log10(np.nansum(g) / np.nansum(r))
    positive = (g > 0) & (r > 0)
    colour = np.where(positive, -2.5 * np.log10(np.where(positive, g, 1) / np.where(positive, r, 1)), whole)
    colour = np.clip(colour, *COLOURS)
    return r * 10 ** (-0.4 * (0.005 + 0.462 * colour + 0.013 * colour**2))


def linear_counts(values: Array, offset: float, softening: float) -> Array:
    """Counts of a Pan-STARRS 1 stack, which is stored as v = asinh: BOFFSET + 2 BSOFTEN sinh(v ln(10) / 2.5)."""
    return offset + 2 * softening * np.sinh(values * np.log(10) / 2.5)


def smoothed(flux: Array, sigma: Array) -> Array:
    """Convolve with a Gaussian of sigma (y, x) in pixels; pixels without a value stay so and give none."""
    from scipy.ndimage import gaussian_filter

    seen = np.isfinite(flux)
    total = gaussian_filter(np.where(seen, flux, 0.0), sigma, mode="nearest")
    weight = gaussian_filter(seen.astype(np.float64), sigma, mode="nearest")
    return np.where(seen, total / np.maximum(weight, 1e-12), np.nan)
