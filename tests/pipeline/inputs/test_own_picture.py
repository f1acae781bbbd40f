"""A picture of yours: the square, the depth and the white of the training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError
from pipeline.inputs.own_picture import read_grey


def saved(path: Path, levels: np.ndarray) -> Path:
    Image.fromarray(levels).save(path)
    return path


def test_it_is_treated_as_the_training_was(tmp_path: Path) -> None:
    path = saved(tmp_path / "mine.png", np.full((10, 30), 1000, np.uint16))
    assert float(read_grey(path, 10, white=4095)[0].max()) == pytest.approx(1000 / 4095, abs=1 / 255)
    assert float(read_grey(path, 10)[0].max()) == pytest.approx(1000 / 1023, abs=1 / 255), "its own white"
    assert float(read_grey(path, 30, padded=True, white=4095)[0][0, 0, 0].max()) == 0


def test_a_doubtful_white_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "mine.png", np.full((10, 30), 1000, np.uint16))
    assert read_grey(path, 10, white=4095)[1] == []
    for white, words in ((255, "level 1023 is taken to be white"), (511, "cut off"), (65535, "nearly black")):
        [warning] = read_grey(path, 10, white=white)[1]
        assert words in warning
    path = saved(tmp_path / "eight_bits.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert read_grey(path, 8)[1] == read_grey(path, 8, white=4095)[1] == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.png: cannot be read \(No such file or directory\); give another"):
        read_grey(tmp_path / "no.png", 8)
