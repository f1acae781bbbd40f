"""Stars of one age and metallicity: their masses at birth, and what is left and shines of them now."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.simulation.clusters.mass_function import KROUPA

Array = NDArray[np.float64]

MAIN_SEQUENCE, GAP, RED_GIANT, HELIUM_CORE, EARLY_AGB, PULSING_AGB, WHITE_DWARF, NEUTRON_STAR, BLACK_HOLE = range(1, 10)
SUN_V = 4.81  # absolute V magnitude of the Sun (Willmer 2018)
SUN_BOLOMETRIC = 4.73  # on the scale of these corrections (Torres 2010)


def draw_initial_masses(rng: np.random.Generator, n: int) -> Array:
    """Masses (Msun) of ``n`` stars at birth after Kroupa (2001), in increasing order."""
    steps = rng.standard_exponential(n + 1).cumsum()
    return KROUPA.mass(steps[:-1] / steps[-1])  # n uniform numbers in order, with no sort


# --- what is left of them -----------------------------------------------------------------------


@dataclass(frozen=True)
class Isochrone:
    """Stars of one age by increasing initial mass, at nodes that are dense where stars change fast.

    Attributes:
        initial_mass: Msun.
        mass: present mass (Msun), of the remnant where the star has died.
        luminosity: bolometric (Lsun).
        temperature: effective (K).
        kind: stage of evolution from each node to the next, one of the constants of this module.
    """

    initial_mass: Array
    mass: Array
    luminosity: Array
    temperature: Array
    kind: NDArray[np.int8]

    @property
    def luminosity_v(self) -> Array:
        """V-band luminosity at the nodes (Lsun,V)."""
        return v_luminosity(self.luminosity, self.temperature)

    @property
    def fraction(self) -> Array:
        """Fraction of all stars born between each node and the next."""
        return np.diff(KROUPA.fraction(self.initial_mass))

    def kind_of(self, initial_mass: Array) -> NDArray[np.int8]:
        """Stage of stars of the given initial masses."""
        return self.kind[np.searchsorted(self.initial_mass, initial_mass, side="right") - 1]


@cache
def _table() -> dict[str, NDArray]:
    with np.load(Path(__file__).parent / "data" / "stars.npz") as file:
        return {name: file[name] for name in file.files}


def isochrone(age: float, metallicity: float) -> Isochrone:
    """Stars of an age (Gyr, 0.1-14) and metallicity (mass fraction of metals Z, 1e-4 to 1e-2).

    Interpolated in log age and log Z between the nodes of a table made with COSMIC (SSE tracks of Hurley, Pols & Tout
    2000; ``build_star_table``). Equal nodes are equal stages of evolution, so that giants stay giants in between.

    Raises:
        ValueError: age or metallicity lies outside the table.
    """
    table = _table()
    values = table["values"].astype(float)
    for name, value in (("metallicity", metallicity), ("age", age)):
        grid = table[name]
        if not grid[0] * (1 - 1e-9) <= value <= grid[-1] * (1 + 1e-9):
            raise ValueError(f"{name} {value} is outside the table of stars, {grid[0]:g} to {grid[-1]:g}")
        k = int(np.clip(np.searchsorted(grid, value) - 1, 0, len(grid) - 2))
        weight = np.log(value / grid[k]) / np.log(grid[k + 1] / grid[k])
        values = (1 - weight) * values[k] + weight * values[k + 1]
    initial_mass, mass, log_luminosity, log_temperature = values.T
    return Isochrone(initial_mass, mass, 10**log_luminosity, 10**log_temperature, table["kind"])


# --- light --------------------------------------------------------------------------------------

_CORRECTION = (  # polynomials in log T below 3.7, up to 3.9, and above; highest power first
    (0.381476328422343e3, -0.421278819301717e4, 0.155144866764412e5, -0.190537291496456e5),
    (-0.170623810323864e3, 0.261724637119416e4, -0.150651486316025e5, 0.385672629965804e5, -0.370510203809015e5),
    (0.788731721804990e2, -0.170587278406872e4, 0.147412923562646e5, -0.636233812100225e5, 0.137145973583929e6,
     -0.118115450538963e6),
)  # fmt: skip


def bolometric_correction(temperature: ArrayLike) -> Array:
    """BC_V (mag) at an effective temperature (K): Flower (1996) with the coefficients of Torres (2010), table 1."""
    x = np.clip(np.log10(temperature), 3.44, 4.7)
    return np.select([x < 3.7, x < 3.9], [np.polyval(c, x) for c in _CORRECTION[:2]], np.polyval(_CORRECTION[2], x))


def v_luminosity(luminosity: ArrayLike, temperature: ArrayLike) -> Array:
    """V-band luminosity (Lsun,V) from the bolometric one (Lsun): L_V = 10^(-0.4 (M_bol - BC_V - M_V,sun))."""
    magnitude = SUN_BOLOMETRIC - bolometric_correction(temperature)
    return np.asarray(luminosity) * 10 ** (-0.4 * (magnitude - SUN_V))


def flux(luminosity_v: ArrayLike, distance: float) -> Array:
    """F = L/(4 pi D²) in Lsun kpc⁻², of V luminosities in Lsun at a distance in kpc."""
    return np.asarray(luminosity_v) / (4 * np.pi * distance**2)


def flux_of_magnitude(magnitude: ArrayLike) -> Array:
    """V-band flux (Lsun kpc⁻²) of an apparent magnitude: 0.4 (M_V,sun + 10 - V) is log10 of 4 pi F."""
    return 10 ** (0.4 * (SUN_V + 10 - np.asarray(magnitude))) / (4 * np.pi)


def band_ratio(temperature: ArrayLike, wavelength: float) -> Array:
    """Brightness of a black body at a wavelength (nm) over that at V's 551 nm, divided by the same of the Sun."""

    def planck(nm: float, t: ArrayLike) -> Array:
        return 1 / np.expm1(1.43878e7 / (nm * np.asarray(t)))

    return planck(wavelength, temperature) * planck(551, 5772) / planck(551, temperature) / planck(wavelength, 5772)
