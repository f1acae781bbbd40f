"""From where a map is seen, by the row of a catalogue."""

from types import SimpleNamespace

import numpy as np

from pipeline.inputs.cluster_maps import view_of

CLUSTERS = SimpleNamespace(seed=1, chosen=SimpleNamespace(shift_arcsec=5.0))


def test_a_stated_shift_is_taken_and_the_direction_stays_as_drawn() -> None:
    drawn, direction = view_of({"map": 3}, CLUSTERS)
    stated, same = view_of({"map": 3, "shift_x_arcsec": 1.5, "shift_y_arcsec": -2.0}, CLUSTERS)
    assert stated.tolist() == [1.5, -2.0] and np.abs(drawn).max() <= 5 and drawn.tolist() != stated.tolist()
    np.testing.assert_array_equal(direction, same)


def test_each_map_is_seen_from_somewhere_else() -> None:
    (shift, direction), (again, as_before) = (view_of({"map": 3}, CLUSTERS) for _ in range(2))
    other, elsewhere = view_of({"map": 4}, CLUSTERS)
    assert np.array_equal(shift, again) and np.array_equal(direction, as_before)
    assert not np.allclose(shift, other) and not np.allclose(direction, elsewhere)
