from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.inputs.missing import filled, zero_blocks


def test_zeros_are_missing_in_blocks_alone() -> None:
    flux = np.random.default_rng(1).normal(size=(60, 60))
    flux[3, 3] = 0.0  # a pixel
    flux[10:17, 10:30] = 0.0  # seven rows
    assert not zero_blocks(flux).any()
    flux[30:38, 40:48] = 0.0  # eight by eight
    flux[38:40, 44] = 0.0  # what hangs on it
    expected = np.zeros((60, 60), bool)
    expected[30:38, 40:48] = expected[38:40, 44] = True
    np.testing.assert_array_equal(zero_blocks(flux), expected)


def test_a_slanted_edge_of_zeros_is_missing_to_its_end() -> None:
    y, x = np.indices((100, 100))
    flux = np.where(x + y < 60, 0.0, 1.0)
    np.testing.assert_array_equal(zero_blocks(flux), x + y < 60)


def test_few_are_filled_with_the_nearest_and_many_are_refused() -> None:
    values = np.arange(100.0)[None].repeat(100, 0)
    missing = np.zeros((100, 100), bool)
    missing[:, 96:] = True
    warnings: list[str] = []
    found = filled(Path("mine.fits"), np.where(missing, np.nan, values), missing, warnings)
    assert (found[:, 96:] == 95).all() and (found[:, :96] == values[:, :96]).all()
    assert warnings[0].startswith("4.0 % of the field has no value")
    missing[:, 94:] = True
    with pytest.raises(InputError, match=r"mine\.fits: 6\.0 % of the field"):
        filled(Path("mine.fits"), values, missing, [])
