"""Stars against closed forms, quadrature and published numbers, none of which the table was made from."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from pipeline.simulation.clusters import stars
from pipeline.simulation.clusters.mass_function import KROUPA
from pipeline.simulation.clusters.stars import (
    bolometric_correction,
    draw_initial_masses,
    isochrone,
    v_luminosity,
)


def kroupa_by_quadrature(mass: float) -> float:
    """Cumulative Kroupa (2001) function by numerical integration."""

    def pdf(m: float) -> float:
        return m**-1.3 if m < 0.5 else 0.5 * m**-2.3

    def integral(top: float) -> float:
        return quad(pdf, 0.08, min(top, 0.5))[0] + (quad(pdf, 0.5, top)[0] if top > 0.5 else 0.0)

    return integral(mass) / integral(100.0)


def test_initial_masses_follow_kroupa() -> None:
    masses = draw_initial_masses(np.random.default_rng(1), 200_000)
    assert (np.diff(masses) >= 0).all() and masses[0] > 0.08 and masses[-1] < 100
    nodes = np.geomspace(0.08, 100, 400)
    cumulative = [kroupa_by_quadrature(m) for m in nodes]
    assert kstest(masses, lambda m: np.interp(m, nodes, cumulative)).pvalue > 0.01
    np.testing.assert_allclose(KROUPA.fraction(nodes), cumulative, atol=1e-6)
    steep = masses[masses > 0.5]  # Hill's estimator of the slope above the break
    assert 1 + 1 / np.mean(np.log(steep / 0.5)) == pytest.approx(2.3, abs=0.02)


def main_sequence_lifetime(mass: float) -> float:
    """t_MS (Gyr) at Z = 0.001, Hurley, Pols & Tout (2000), eqs. 4-7 and their appendix."""
    z = np.log10(0.001 / 0.02)
    a1, a2, a3, a4, a6, a8, a9 = (
        np.polynomial.polynomial.polyval(z, c)
        for c in (
            [1593.890, 2053.038, 1231.226, 232.7785],
            [2706.708, 1483.131, 577.2723, 74.11230],
            [146.6143, -104.8442, -67.95374, -13.91127],
            [0.04141960, 0.04564888, 0.02958542, 0.005571483],
            [19.49814, 1.758178, -6.008212, -4.470533],
            [0.05212154, 0.03166411, -0.002750074, -0.002271549],
            [1.312179, -0.3294936, 0.09231860, 0.02610989],
        )
    )
    a5, a7, a10 = 0.3426349, 4.903830, 0.8073972
    base = (a1 + a2 * mass**4 + a3 * mass**5.5 + mass**7) / (a4 * mass**2 + a5 * mass**7)
    mu = max(0.5, 1 - 0.01 * max(a6 / mass**a7, a8 + a9 / mass**a10))
    x = max(0.95, min(0.95 - 0.03 * (z + 0.30103), 0.99))
    return max(mu, x) * base / 1e3


@pytest.mark.parametrize("age", [0.5, 1.7, 2.0, 5.0, 8.0, 12.0, 13.3])
def test_turnoff_has_the_age(age: float) -> None:
    track = isochrone(age, 0.001)
    turnoff = track.initial_mass[track.kind == stars.GAP][0]
    assert main_sequence_lifetime(turnoff) == pytest.approx(age, rel=0.05)


@pytest.mark.parametrize("age", [7.3, 10.0, 12.34])
def test_tip_of_the_giant_branch_is_where_it_is_observed(age: float) -> None:
    """M_bol = -3.6 within 0.15 mag for metal-poor clusters (Lee, Freedman & Madore 1993), at any age between nodes."""
    track = isochrone(age, 5e-4)
    tip = track.luminosity[track.kind == stars.RED_GIANT].max()
    assert 4.74 - 2.5 * np.log10(tip) == pytest.approx(-3.6, abs=0.15)


@pytest.mark.parametrize("metallicity", [1e-4, 7e-4, 1e-2])
@pytest.mark.parametrize("age", [0.1, 0.9, 13.9])
def test_stars_lose_mass_and_die_in_order(age: float, metallicity: float) -> None:
    track = isochrone(age, metallicity)
    assert (np.diff(track.initial_mass) >= 0).all() and (np.diff(track.kind) >= 0).all()
    assert (track.mass <= 1.005 * track.initial_mass).all()
    dwarfs = track.mass[track.kind == stars.WHITE_DWARF]
    assert 0.45 < dwarfs.min() and dwarfs.max() < 1.44
    assert track.luminosity_v[track.kind >= stars.NEUTRON_STAR].max() < 1e-6


def test_light_of_the_sun() -> None:
    assert v_luminosity(1.0, 5772.0) == pytest.approx(1.0, rel=0.01)
    edges = 10 ** np.array([3.7, 3.9])
    np.testing.assert_allclose(bolometric_correction(edges * 0.9999), bolometric_correction(edges * 1.0001), atol=0.03)


def test_outside_the_table() -> None:
    with pytest.raises(ValueError, match="age 20"):
        isochrone(20.0, 1e-3)
    with pytest.raises(ValueError, match="metallicity"):
        isochrone(10.0, 0.03)
