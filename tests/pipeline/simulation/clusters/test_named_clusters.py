"""Mocks of named clusters against what is known of them."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.simulation.clusters.named_clusters import NAMED, draw_named

ARCSEC_OF_PC = 206.264806  # at 1 kpc


@pytest.mark.parametrize("name", ["Pal 11", "NGC 7492"])
def test_a_mock_is_as_heavy_and_large_as_its_cluster(name: str) -> None:
    """All its mass on a picture of ten half-mass radii; half of it within a projected radius of about 0.75 of them."""
    cluster = replace(NAMED[name], distance=20 * NAMED[name].distance)  # a small picture holds all of it
    radius = 4 * cluster.radius * ARCSEC_OF_PC / cluster.distance  # pixels
    light, mass = draw_named(cluster, np.random.default_rng(1), round(20 * radius))
    assert mass.sum() == pytest.approx(cluster.mass, rel=0.02)
    assert 0.5 < mass.sum() / light.sum() < 3
    y, x = np.indices(mass.shape) - (len(mass) - 1) / 2
    r = np.hypot(x, y).ravel()
    order = np.argsort(r)
    half = r[order][np.searchsorted(mass.ravel()[order].cumsum(), mass.sum() / 2)]
    assert half == pytest.approx(0.75 * radius, rel=0.06)


def test_stars_are_not_poorer_than_their_table() -> None:
    assert NAMED["NGC 5053"].metallicity == 1e-4
    assert NAMED["Pal 11"].metallicity == pytest.approx(0.0142 * 10**-0.4)
