"""Samples against the analytic profiles they are drawn from, and exact units."""

from functools import partial

import numpy as np
import pytest
from scipy.integrate import cumulative_trapezoid, quad
from scipy.spatial.distance import pdist
from scipy.stats import kstest, spearmanr

from pipeline.simulation.nbody import initial_conditions as start
from pipeline.simulation.nbody.gravity import kinetic_energy, potential_energy

STARS = 20_000
PLAIN = {
    "king_w0": 6.0, "fractal_dimension": 2.0, "mass_function": "equal", "mass_segregation": 0.0, "virial_ratio": None,
    "softening": 0.1, "G": 1.0,
}  # fmt: skip
draw = partial(start.draw, 1)
PROFILES = ("course", "plummer", "king", "fractal")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def norm(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x, axis=-1)


def assert_isotropic(vectors: np.ndarray) -> None:
    for c in range(3):  # a component of an isotropic unit vector is uniform (Archimedes)
        assert kstest((vectors / norm(vectors)[:, None])[:, c], "uniform", (-1, 2)).pvalue > 0.01


# --- profiles ----------------------------------------------------------------------------------------


def test_course_start_is_standard_normal(rng: np.random.Generator) -> None:
    for values in start.course(rng, (40, STARS // 40)):
        assert kstest(values.ravel(), "norm").pvalue > 0.01


def test_plummer_mass_profile_and_speeds(rng: np.random.Generator) -> None:
    x, v = (a[0] for a in start.plummer(rng, (1, STARS)))
    radius = norm(x)
    assert kstest(radius, lambda r: r**3 * (1 + r**2) ** -1.5).pvalue > 0.01
    q = np.linspace(0, 1, 20_001)  # speed over escape speed: q^2 (1 - q^2)^(7/2) by quadrature
    share = cumulative_trapezoid(q**2 * (1 - q**2) ** 3.5, q, initial=0)
    ratio = norm(v) / (np.sqrt(2) * (1 + radius**2) ** -0.25)
    assert kstest(ratio, lambda u: np.interp(u, q, share / share[-1])).pvalue > 0.01
    assert_isotropic(x)
    assert_isotropic(v)


def test_plummer_lagrange_radii_in_nbody_units() -> None:
    x, _, _ = draw(range(1), stars=5000, profile="plummer", **PLAIN)
    for share, radius in ((0.1, 0.309), (0.5, 0.769), (0.75, 1.285)):  # 3 pi / 16 (share^(-2/3) - 1)^(-1/2)
        assert np.quantile(norm(x[0]), share) == pytest.approx(radius, rel=0.05)


@pytest.mark.parametrize(("w0", "concentration"), [(3, 0.672), (6, 1.255), (7, 1.528), (9, 2.120)])
def test_king_concentration_is_the_published_one(w0: float, concentration: float) -> None:
    """Logarithm of tidal over core radius (King 1966; Binney & Tremaine 2008, fig. 4.10)."""
    assert np.log10(start.king_model(float(w0))[0][-1]) == pytest.approx(concentration, abs=0.003)


def king_density(w: float) -> float:
    """Density at potential w: the distribution function integrated over speeds by quadrature."""
    return quad(lambda u: u**2 * np.expm1(w - u**2 / 2), 0, np.sqrt(2 * w))[0]


@pytest.mark.parametrize("w0", [3.0, 7.0])
def test_king_mass_profile_and_speeds(w0: float, rng: np.random.Generator) -> None:
    radii, potential, _ = start.king_model(w0)
    x, v = (a[0] for a in start.king(rng, (1, STARS), w0))
    radius = norm(x)
    grid = radii[::20]
    density = np.array([king_density(w) if w > 0 else 0.0 for w in potential[::20]])
    mass = cumulative_trapezoid(grid**2 * density, grid, initial=0)
    assert kstest(radius, lambda r: np.interp(r, grid, mass / mass[-1])).pvalue > 0.01
    speed = norm(v)
    near = (radius > 0.9) & (radius < 1.1)
    w = np.interp(1.0, radii, potential)
    share = partial(quad, lambda u: u**2 * np.expm1(w - u**2 / 2), 0)
    total = share(np.sqrt(2 * w))[0]
    assert kstest(speed[near][:300], np.vectorize(lambda u: share(min(u, np.sqrt(2 * w)))[0] / total)).pvalue > 0.01
    assert (speed**2 / 2 <= np.interp(radius, radii, potential) + 1e-6).all()  # nobody escapes
    assert_isotropic(v)


@pytest.mark.parametrize("w0", [3.0, 7.0])
def test_king_model_is_in_virial_equilibrium(w0: float, rng: np.random.Generator) -> None:
    """Speeds from the distribution function, potential energy from the mass profile: 2 T = |U|."""
    radii, potential, share = start.king_model(w0)
    gm = -(radii[-2] ** 2) * (potential[-1] - potential[-2]) / (radii[-1] - radii[-2])
    _, v = start.king(rng, (10, STARS), w0)
    binding = gm * np.trapezoid(share[1:] / radii[1:], share[1:])
    assert (v**2).sum(-1).mean() == pytest.approx(binding, rel=0.01)


@pytest.mark.parametrize("dimension", [1.6, 2.0, 2.6])
def test_fractal_dimension(dimension: float, rng: np.random.Generator) -> None:
    """The number of pairs closer than r grows as r^D above the size of the smallest cells."""
    distances = np.concatenate([pdist(x) for x in start.fractal(rng, (30, 1000), dimension)[0]])
    cell = 2 ** -np.ceil(np.log2(8000) / dimension)
    slope = np.log2((distances < 12 * cell).sum() / (distances < 3 * cell).sum()) / 2
    assert slope == pytest.approx(dimension, abs=0.25)


def test_fractal_of_dimension_three_is_a_uniform_sphere(rng: np.random.Generator) -> None:
    radius = norm(start.fractal(rng, (5, 1000), 3.0)[0]).ravel()
    assert kstest(radius, lambda r: r**3).pvalue > 0.01


# --- masses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mass_function", "density", "lower"),
    [
        ("salpeter", lambda m: m**-2.35, 0.1),
        ("kroupa", lambda m: m**-1.3 if m < 0.5 else 0.5 * m**-2.3, 0.08),
    ],
)
def test_mass_function(mass_function: str, density: object, lower: float, rng: np.random.Generator) -> None:
    mass = start.drawn_masses(rng, (40, STARS // 40), mass_function).ravel()
    grid = np.geomspace(lower, 100, 4001)
    share = cumulative_trapezoid(np.vectorize(density)(grid), grid, initial=0)
    assert kstest(mass, lambda m: np.interp(m, grid, share / share[-1])).pvalue > 0.01


def test_mass_segregation(rng: np.random.Generator) -> None:
    x, v = (a[0] for a in start.plummer(rng, (1, 1000)))
    mass = start.drawn_masses(rng, (1, 1000), "kroupa")[0]
    correlations = []
    for degree in (0.01, 0.5, 1.0):
        dealt = start.segregate(rng, x, v, mass, degree)
        assert sorted(dealt) == sorted(mass)
        correlations.append(spearmanr(dealt, norm(x)).statistic)
    assert correlations[0] == pytest.approx(0, abs=0.1)
    assert correlations[0] > correlations[1] > correlations[2]
    distances = norm(x[:, None] - x) + np.diag(np.full(1000, np.inf))
    energy = 0.5 * norm(v) ** 2 - (1 / distances).sum(1) / 1000  # of a Plummer sphere with G = M = 1
    assert spearmanr(dealt, energy).statistic < -0.995  # strict order, but for the sample's own virial ratio


# --- frames, units, streams ----------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mass_function", ["equal", "kroupa"])
@pytest.mark.parametrize("virial_ratio", [None, 0.3])
def test_units_are_exact(profile: str, mass_function: str, virial_ratio: float | None) -> None:
    settings = PLAIN | {"mass_function": mass_function, "virial_ratio": virial_ratio, "mass_segregation": 0.5, "G": 2.0}
    x, v, mass = draw(range(4), stars=30, profile=profile, **settings)
    np.testing.assert_allclose(mass.sum(-1), 20 if profile == "course" else 1, rtol=1e-14)
    assert np.abs((mass[..., None] * x).sum(1)).max() < 1e-14 * mass.sum()
    assert np.abs((mass[..., None] * v).sum(1)).max() < 1e-14 * mass.sum()
    if profile != "course":
        np.testing.assert_allclose(potential_energy(x, mass, 0.0, 2.0), -1.0, rtol=1e-12)  # -G/2
    wanted = virial_ratio or (None if profile == "course" else 0.5)
    if wanted:
        ratio = kinetic_energy(v, mass) / -potential_energy(x, mass, 0.1, 2.0)
        np.testing.assert_allclose(ratio, wanted, rtol=1e-12)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("stars", [5, start.GROUPED_STARS + 1])
def test_simulation_k_is_the_same_whatever_the_batch(profile: str, stars: int) -> None:
    settings = PLAIN | {"mass_function": "kroupa", "mass_segregation": 0.5}
    count = 150 if stars == 5 else 9
    many = draw(range(count), stars=stars, profile=profile, **settings)
    assert len(np.unique(many[0][:, 0, 0])) == count
    for batch in (range(3, 4), range(count - 2, count), range(1, count - 1)):
        few = draw(batch, stars=stars, profile=profile, **settings)
        for whole, part in zip(many, few, strict=True):
            np.testing.assert_array_equal(whole[batch.start : batch.stop], part)
    assert (start.draw(2, range(9), stars=stars, profile=profile, **settings)[0] != many[0][:9]).all()
