"""Mock clusters against King's own equation, LIMEPY's mass profiles and closed forms in astropy's units."""

import numpy as np
import pytest
from astropy import constants, units
from scipy.integrate import solve_ivp
from scipy.special import erf
from scipy.stats import kstest

from pipeline.simulation.clusters import stars
from pipeline.simulation.clusters.star_cluster import (
    ClusterParameters,
    bound_fraction,
    dissolution_time,
    draw_cluster,
    draw_parameters,
    multimass_profile,
    relaxation_time,
)
from pipeline.simulation.clusters.stars import isochrone

PARAMETERS = {
    "initial_stars": 60_000, "age_gyr": 11.0, "metallicity": 1e-3, "orbit_kpc": 25.0, "half_mass_radius_pc": 5.0,
    "w0": 5.3, "truncation": 1.2, "neutron_stars": 0.05, "black_holes": 0.0,
}  # fmt: skip


def test_times_in_si_units() -> None:
    n, mass, radius = 1e5, 0.5 * units.Msun, 3 * units.pc
    time = 0.138 * np.sqrt(n * radius**3 / (constants.G * mass)) / np.log(0.11 * n)
    assert relaxation_time(n, 0.5, 3.0) == pytest.approx(time.to_value(units.Gyr), rel=1e-3)
    assert dissolution_time(5e4, 8.5) == pytest.approx(12.74, rel=1e-3)  # 1.91 Myr x 7238.2^0.75 x 8.5


def king_1966(w0: float) -> tuple[np.ndarray, np.ndarray]:
    """Radii in half-mass radii and enclosed mass fractions of King's (1966) model, by Poisson's equation."""

    def density(w: float) -> float:
        w = max(w, 0.0)
        return np.exp(w) * erf(np.sqrt(w)) - np.sqrt(4 * w / np.pi) * (1 + 2 * w / 3)

    def slope(r: float, y: np.ndarray) -> list[float]:
        w, mass = y
        return [-mass / r**2, 9 * r**2 * density(w) / density(w0)]

    edge = lambda r, y: y[0] - 1e-7  # noqa: E731
    edge.terminal = True  # type: ignore[attr-defined]
    solution = solve_ivp(slope, (1e-4, 1e4), [w0, 3e-12], events=edge, rtol=1e-9, atol=1e-14, method="LSODA")
    enclosed = solution.y[1] / solution.y[1, -1]
    return solution.t / np.interp(0.5, enclosed, solution.t), enclosed


@pytest.mark.parametrize("w0", [2.5, 5.0, 8.0])
def test_unsegregated_sampler_is_kings_model(w0: float) -> None:
    radius, enclosed = king_1966(w0)
    log_mass = np.zeros(50_000)
    profile = multimass_profile(0.38, w0, 1.0, 0.0).scaled(log_mass, np.ones_like(log_mass))
    position = profile.positions(np.random.default_rng(2), log_mass)
    drawn = np.linalg.norm(position, axis=0)
    assert kstest(drawn, lambda r: np.interp(r, radius, enclosed)).statistic < 0.008
    direction = position / drawn
    np.testing.assert_allclose(direction @ direction.T / len(drawn), np.eye(3) / 3, atol=0.006)
    assert np.abs(direction.mean(1)).max() < 0.012


# Half-mass radii of seven mass bins in LIMEPY 1.3.0's own models (M = rh = 1, meanmassdef="global").
LIMEPY = [
    (0.38107, 5.0, 1.25, 0.25,
     [0.12828, 0.26560, 0.41906, 0.58163, 0.72164, 0.85828, 1.07276],
     [0.33141, 0.21422, 0.12533, 0.16178, 0.09664, 0.04876, 0.02187],
     [1.3561, 1.2211, 1.0913, 0.9679, 0.8719, 0.7875, 0.6746]),
    (0.36155, 7.0, 1.0, 0.35,
     [0.12771, 0.26485, 0.41857, 0.58113, 0.72126, 0.85804, 1.07118],
     [0.36037, 0.21925, 0.12190, 0.15055, 0.08698, 0.04261, 0.01834],
     [1.3403, 1.2436, 1.1268, 0.9814, 0.8276, 0.6440, 0.3094]),
    (0.33272, 2.0, 2.0, 0.1,
     [0.12683, 0.26368, 0.41781, 0.58035, 0.72068, 0.85767, 1.06872],
     [0.40601, 0.22476, 0.11538, 0.13301, 0.07295, 0.03413, 0.01377],
     [1.0201, 1.0090, 1.0009, 0.9946, 0.9901, 0.9864, 0.9814]),
]  # fmt: skip


@pytest.mark.parametrize(("mean", "w0", "truncation", "segregation", "mass", "share", "expected"), LIMEPY)
def test_segregated_sampler_has_limepys_radii(mean, w0, truncation, segregation, mass, share, expected) -> None:
    log_mass = np.log(np.repeat(mass, np.rint(np.array(share) * 300_000).astype(int)) / mean)
    profile = multimass_profile(mean, w0, truncation, segregation).scaled(log_mass, np.exp(log_mass))
    radius = np.linalg.norm(profile.positions(np.random.default_rng(3), log_mass), axis=0)
    medians = [np.median(radius[np.isclose(log_mass, np.log(m / mean))]) for m in mass]
    np.testing.assert_allclose(medians[:-1], expected[:-1], rtol=0.04)
    assert medians[-1] == pytest.approx(expected[-1], rel=0.2)  # white dwarfs of 1 Msun, the most concentrated


def test_library_against_limepy_itself() -> None:
    limepy = pytest.importorskip("limepy").limepy
    mass, total = np.array([0.15, 0.4, 0.7, 0.85]), np.array([0.2, 0.3, 0.35, 0.15])
    mean = total.sum() / (total / mass).sum()
    model = limepy(4.0, 1.0, mj=mass, Mj=total, delta=0.3, M=1, rh=1, meanmassdef="global")
    log_mass = np.log(np.repeat(mass, np.rint(4e4 * total / mass).astype(int)) / mean)
    profile = multimass_profile(mean, 4.0, 1.0, 0.3).scaled(log_mass, np.exp(log_mass))
    radius = np.linalg.norm(profile.positions(np.random.default_rng(4), log_mass), axis=0)
    for m, enclosed in zip(mass, model.mcj, strict=True):
        chosen = radius[np.isclose(log_mass, np.log(m / mean))]
        assert kstest(chosen, lambda r, e=enclosed: np.interp(r, model.r, e / e[-1])).statistic < 0.03


@pytest.mark.parametrize(("age", "lost"), [(0.1, 0.5), (3.0, 0.3), (12.0, 0.9)])
def test_light_stars_escape_first(age: float, lost: float) -> None:
    track = isochrone(age, 1e-3)
    stay = bound_fraction(track, lost)
    living = track.kind == stars.MAIN_SEQUENCE
    assert (np.diff(stay[living]) >= 0).all()
    rng = np.random.default_rng(5)
    initial = stars.draw_initial_masses(rng, 400_000)
    initial = initial[track.kind_of(initial) < stars.NEUTRON_STAR]
    mass = np.interp(initial, track.initial_mass, track.mass)
    left = mass @ np.interp(initial, track.initial_mass, stay) / mass.sum()
    assert left == pytest.approx(1 - lost, abs=0.005)


def test_cluster_has_its_radius_and_is_segregated() -> None:
    cluster = draw_cluster(np.random.default_rng(6), ClusterParameters(**PARAMETERS))
    radius = np.linalg.norm(cluster.position, axis=0)
    order = np.argsort(radius)
    half = np.interp(0.5, np.cumsum(cluster.mass[order]) / cluster.mass.sum(), radius[order])
    assert half == pytest.approx(5.0, rel=0.03)
    assert np.median(radius[cluster.mass > 0.7]) < 0.8 * np.median(radius[cluster.mass < 0.3])
    assert 0.4 < cluster.segregation <= 0.5


def test_young_cluster_is_not_segregated() -> None:
    young = draw_cluster(
        np.random.default_rng(6), ClusterParameters(**PARAMETERS | {"age_gyr": 0.1, "half_mass_radius_pc": 20.0})
    )
    assert young.segregation < 0.02


def test_drawn_light_and_mass_are_those_of_the_population() -> None:
    """Sums over drawn stars against the integral over the isochrone: an unlost cluster of 12 Gyr, M/L_V near 2."""
    wide = PARAMETERS | {"age_gyr": 12.0, "orbit_kpc": 1e4, "initial_stars": 1_000_000, "neutron_stars": 0.0}
    cluster = draw_cluster(np.random.default_rng(7), ClusterParameters(**wide))
    track = cluster.isochrone
    shining = track.kind[1:] < stars.NEUTRON_STAR
    number = 1e6 * track.fraction * shining
    for drawn, nodes in ((cluster.mass, track.mass), (cluster.luminosity_v, track.luminosity_v)):
        mean = (nodes[1:] + nodes[:-1]) / 2
        assert drawn.sum() == pytest.approx(number @ mean, abs=3 * np.sqrt(number @ mean**2))
    assert 1.5 < cluster.mass.sum() / cluster.luminosity_v.sum() < 2.5


def test_dissolved_cluster_is_refused_and_never_drawn() -> None:
    with pytest.raises(ValueError, match="dissolved"):
        draw_cluster(np.random.default_rng(8), ClusterParameters(**PARAMETERS | {"orbit_kpc": 1.0}))
    intervals = {name: (value, value) for name, value in PARAMETERS.items()} | {"orbit_kpc": (0.5, 30.0)}
    rng = np.random.default_rng(9)
    lost = [draw_parameters(rng, **intervals, most_lost=0.8).mass_lost for _ in range(200)]
    assert 0 < min(lost) and max(lost) <= 0.8 + 1e-9
