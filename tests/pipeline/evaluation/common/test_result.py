import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.evaluation.common.result import (
    THUMBNAILS,
    Animation,
    compared,
    numbers,
    short,
    thumbnails,
    write_json,
    write_pictures,
)


@pytest.mark.parametrize(
    ("value", "text"), [(252236.5, "252,000"), (463.6, "464"), (99.94, "99.9"), (12.34, "12.3"), (0.2025, "0.20")]
)
def test_people_read_three_digits(value: float, text: str) -> None:
    assert short(value) == text


def test_no_number_is_lost() -> None:
    given: dict[str, Any] = {
        "test/loss": 1, "test/a_kpc": 2.0, "test/b_gyr": np.float32(3), "test/c": np.array(4.0),
        "baseline/mean/a_kpc": torch.tensor(5.0), "train/d": torch.tensor(6, dtype=torch.int64), "test/e": np.int64(7),
    }  # fmt: skip
    found = numbers(given)
    assert found == dict(zip(given, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], strict=True))
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("value", [{"model": 1.0}, [1.0], "text", None, torch.ones(1), np.ones(2)])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="test/x is"):
        numbers({"test/x": value})


@pytest.mark.parametrize("key", ["pixel error (%)", "test/Error", "test//x", "/x", ""])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        numbers({key: 1.0})


def test_seven_digits_and_no_round_off(tmp_path: Path) -> None:
    """Squared residues of exact fits, 1e-32, differ from one processor to the next and must not be in dvc.lock."""
    assert numbers({"a": 0.123456789, "b": 7.2e-32, "c": -4.4e-16}) == {"a": 0.1234568, "b": 0.0, "c": -4.4e-16}
    answer = {"mass": {"value": torch.tensor(0.1), "unit": "M☉"}, "list": [1e-31, 1], "none": None, "sure": True}
    write_json(answer, tmp_path / "x.json")
    read = json.loads((tmp_path / "x.json").read_text())
    assert read == {"mass": {"value": 0.1, "unit": "M☉"}, "list": [0.0, 1], "none": None, "sure": True}


def test_a_metric_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="test/x is nan"):
        numbers({"test/x": float("nan")})
    with pytest.raises(ValueError, match="errors/model is nan"):
        write_json({"errors": {"model": float("nan")}}, tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


def test_keys_of_a_comparison() -> None:
    values = {"model": 1.0, "radial_ridge": 2.0}
    assert compared("error_kpc", values) == {"test/error_kpc": 1.0, "baseline/radial_ridge/error_kpc": 2.0}
    assert list(compared("error_kpc", values, "train")) == ["train/error_kpc", "train/baseline/radial_ridge/error_kpc"]


def test_thumbnails_are_small_and_few() -> None:
    wide = np.linspace(0, 2, 128 * 96).reshape(1, 96, 128).repeat(3, 0)
    small = thumbnails(wide, white=2.0)
    assert [(picture.shape, picture.dtype) for picture in small] == [((48, 64), np.uint8)] * 3
    assert small[0][0, 0] <= 2 and small[0][-1, -1] >= 253
    assert len(thumbnails(np.zeros((THUMBNAILS + 1, 2, 2)))) == THUMBNAILS
    tiny = torch.rand(1, 10, 10, 3)
    [colour] = thumbnails(tiny)
    expected = (255 * tiny[0].numpy()).round().repeat(6, 0).repeat(6, 1)
    assert colour.shape == (60, 60, 3) and np.abs(colour - expected).max() <= 1


def test_an_animation_is_written_beside_the_pictures(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 30), (level, 0, 0)) for level in (0, 120, 240)]
    write_pictures([], tmp_path, [Animation("moves", "It moves.", frames, 0.25)])
    with Image.open(tmp_path / "moves.webp") as written:
        assert (written.size, written.n_frames, written.info["loop"]) == ((40, 30), 3, 0)
        for frame, level in enumerate((0, 120, 240)):
            written.seek(frame)
            assert written.convert("RGB").getpixel((20, 15))[0] == pytest.approx(level, abs=8)
    assert json.loads((tmp_path / "captions.json").read_text()) == {"moves": "It moves."}
