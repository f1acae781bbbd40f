"""The stage: fields of a mock cluster among stars of the Milky Way, the k-th independent of the number."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from astropy.modeling.physical_models import BlackBody
from astropy.units import K, nm
from conftest import edit_params, run_stage

from pipeline.simulation.clusters.star_cluster import draw_cluster, draw_parameters
from pipeline.simulation.star_field import StarField, b_v, draw_star_field


def draw(folder: Path, **changes: object) -> pl.DataFrame:
    edit_params(folder, {f"star_fields.{name}": value for name, value in changes.items()})
    run_stage("draw_star_fields")
    return pl.read_csv("data/synthetic/star_fields/stars.csv")


def test_number_order_and_repeat(default_folder: Path) -> None:
    few, more = draw(default_folder, n_fields=2, n_stars=40), draw(default_folder, n_fields=3)
    assert few.equals(more[:80]) and len(more) == 120
    assert draw(default_folder, n_fields=3).equals(more)
    assert not draw(default_folder, seed=2)["x"].equals(more["x"])
    assert more.columns == ["field", "star", "x", "y", "v", "colour", "colour_error", "member"]
    for (_,), field in more.group_by("field"):
        assert field["star"].to_list() == list(range(40)) and field["v"].is_sorted()
        assert 0 < field["member"].sum() < 24


def field(seed: int = 0, n: int = 400, **changes: float) -> StarField:
    rng = np.random.default_rng(seed)
    parameters = draw_parameters(
        rng, initial_stars=(2e4, 2e4), age_gyr=(5.0, 5.0), metallicity=(5e-3, 5e-3), orbit_kpc=(20.0, 20.0),
        most_lost=0.7, half_mass_radius_pc=(3.0, 3.0), w0=(6.0, 6.0), truncation=(1.0, 1.0), neutron_stars=(0.0, 0.0),
        black_holes=(0.0, 0.0),
    )  # fmt: skip
    values = {
        "distance": 2.0, "share": 0.5, "half_width": 30.0, "off_centre": 0.0, "reddening": 0.0, "colour_error": 0.0
    }  # fmt: skip
    return draw_star_field(rng, n, draw_cluster(rng, parameters), **(values | changes))


def test_members_are_those_of_the_cluster() -> None:
    stars, farther, redder = field(), field(distance=4.0), field(reddening=0.2)
    members = stars.member
    assert members.sum() == 200  # the King model ends well inside so wide a square
    # twice the distance: half the angles, 1.505 mag fainter; dust: 0.2 redder, 3.1 times as much fainter
    assert np.allclose(farther.position[:, farther.member], stars.position[:, members] / 2)
    assert np.allclose(farther.v[farther.member], stars.v[members] + 5 * np.log10(2))
    assert np.allclose(redder.colour[redder.member], stars.colour[members] + 0.2)
    assert np.allclose(redder.v[redder.member], stars.v[members] + 0.62)
    radius = np.hypot(*stars.position)
    half_width = np.abs(stars.position).max()
    assert half_width == pytest.approx(30 * np.median(radius[members]), rel=0.05)
    assert field(half_width=1.5).member.sum() < 150, "those outside the square are not in it"


def test_the_others_are_uniform_and_grow_in_number_with_magnitude() -> None:
    stars = field(n=20_000, share=0.05)
    others = ~stars.member
    place = stars.position[:, others] / np.abs(stars.position).max()
    assert np.allclose(np.histogram2d(*place, 4, [[-1, 1], [-1, 1]])[0] / others.sum(), 1 / 16, atol=0.008)
    limit = stars.v.max()
    for magnitudes in (1.0, 2.0):
        brighter = (stars.v[others] < limit - magnitudes).mean()
        assert brighter == pytest.approx(10 ** (-0.3 * magnitudes), rel=0.05)


def test_the_faintest_star_is_no_more_often_a_member_than_others() -> None:
    member = np.stack([field(seed, n=60, share=0.4, half_width=4.0, off_centre=0.5).member for seed in range(300)])
    share = member[:, -10:].mean()
    assert member[:, -1].mean() == pytest.approx(share, abs=3 * (share * (1 - share) / 300) ** 0.5)


def test_colour_error_goes_as_the_root_of_the_flux() -> None:
    exact, measured = field(), field(colour_error=0.1)
    at_equal_flux = measured.colour_error / 10 ** (0.2 * (measured.v - measured.v.max()))
    assert np.allclose(at_equal_flux, at_equal_flux[0]) and 0.099 < at_equal_flux[0] < 0.1  # 0.1 at the limit
    scatter = (measured.colour - exact.colour) / measured.colour_error
    assert scatter.std() == pytest.approx(1.0, abs=0.1)


def test_colours_are_those_of_black_bodies() -> None:
    """By astropy; 0.65 is the Sun's."""
    temperatures = np.array([3500.0, 5772.0, 9600.0])
    blue, visual = (BlackBody(temperatures * K)(nanometres * nm).value for nanometres in (445, 551))
    bluer = 2.5 * np.log10(blue / visual)
    assert np.allclose(b_v(temperatures), 0.65 - (bluer - bluer[1]), atol=1e-4)
