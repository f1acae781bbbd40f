"""Rows, thumbnails and moving pictures of forecasts."""

from itertools import pairwise

import numpy as np
from matplotlib.colors import to_rgb

from pipeline.evaluation.common.charts import POINTS
from pipeline.evaluation.gnn.figures import STARS
from pipeline.evaluation.gnn.film import FRAMES, latest, rollout_frames
from pipeline.evaluation.gnn.items import FORECAST, end_chart, thumbnail

CROSSING = np.linspace((-1.0, -1.0, 0.0), (1.0, 1.0, 0.0), 11)[:, None]  # one star, along the diagonal


def coloured(picture: np.ndarray, colour: tuple[int, ...]) -> np.ndarray:
    """Rows and columns of the pixels of a colour."""
    return np.argwhere((np.abs(picture.astype(int) - colour) < 30).all(-1))


def test_a_thumbnail_shows_track_and_forecast() -> None:
    still = np.zeros_like(CROSSING)
    picture = thumbnail(CROSSING, still)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
    assert picture[32, 32].tolist() == list(FORECAST), "at rest in the middle"
    assert picture[19:22, 44].any() and not picture[43:46, 44].any(), "up and to the right"
    lost = thumbnail(CROSSING, np.full_like(CROSSING, np.nan))
    assert not len(coloured(lost, FORECAST))


def test_the_star_moves_along_its_track_and_rings_stay() -> None:
    frames = [np.asarray(frame) for frame in rollout_frames([CROSSING], [CROSSING], ["one"], "pc", "1 Myr")]
    assert len(frames) == 11
    blue = tuple(round(255 * part) for part in to_rgb(STARS[0]))
    place = [coloured(frame, blue) for frame in frames]
    assert all(len(later) > len(earlier) for earlier, later in pairwise(place)), "rings and trail"
    assert place[-1][:, 0].min() < place[0][:, 0].min() - 50 and place[-1][:, 1].max() > place[0][:, 1].max() + 50


def test_a_start_alone_and_a_forecast_that_runs_away_are_drawn() -> None:
    away = CROSSING * np.array([np.nan if k > 5 else 1.0 for k in range(11)])[:, None, None]
    assert len(rollout_frames([CROSSING[:1]], [away], ["one"], "pc", "1 Myr")) == 11
    assert len(rollout_frames([np.repeat(CROSSING, 50, 0)], [away], ["one"], "pc", "1 Myr")) == FRAMES


def test_of_large_systems_the_latest_places_are_drawn() -> None:
    places = np.arange(40.0).reshape(4, 5, 2)
    assert np.array_equal(latest(places), places)
    assert np.array_equal(latest(places.repeat(400, 1)), places.repeat(400, 1)[-2:])
    assert len(latest(places.repeat(4000, 1))) == 1


def test_coordinates_at_the_end() -> None:
    chart = end_chart([CROSSING, CROSSING], [2 * CROSSING, np.full_like(CROSSING, np.inf)], "pc")
    assert chart.table.rows() == [(1, 2), (1, 2), (0, 0), (1, None), (1, None), (0, None)]
    many = end_chart([np.zeros((2, 4000, 3))], [np.zeros((2, 4000, 3))], "pc")
    assert POINTS / 2 <= len(many.table) <= POINTS
