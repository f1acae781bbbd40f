"""Which pictures are taken for the same: against copies made here, and pictures known to be different."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.inputs.duplicates import alike_pairs, connected, equal_pairs, fingerprint, together


def blobs(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    return Image.fromarray(noise).resize((128, 128), Image.Resampling.BICUBIC)


def test_equal_and_alike() -> None:
    first, second = blobs(1), blobs(2)
    pictures = [first, second, first.copy(), ImageEnhance.Brightness(first).enhance(0.9), second.resize((64, 64))]
    prints = [fingerprint(picture) for picture in pictures]
    assert equal_pairs(prints) == [(0, 2)]
    assert alike_pairs(prints) == [(0, 3), (2, 3), (1, 4)]
    assert equal_pairs([fingerprint(first.convert("RGB")), prints[0]]) == [], "grey is told from colour"


def test_components() -> None:
    assert connected(4, [(0, 2), (2, 3)]).tolist() == [0, 1, 0, 0]
    assert together(["d", "c", "b", "a"], [(0, 2), (2, 3)]) == [["a", "b", "d"]]
    assert together(["a", "b"], []) == []


def pictures_below(folder: Path) -> Iterator[Image.Image]:
    return (Image.open(file).convert("RGB") for file in sorted(folder.rglob("*.png")))


@pytest.mark.parametrize("name", ["lungs", "globular_clusters"])
def test_no_two_drawn_pictures_look_alike(tiny_data: Path, name: str) -> None:
    prints = [fingerprint(picture) for picture in pictures_below(tiny_data / "data/raw" / name)]
    assert len(prints) > 10 and alike_pairs(prints) == []


def test_rates_on_real_pictures(real_data: Path) -> None:
    """Of 22 578 pairs of X-rays and 3486 of clusters, one: the true copy train_057 and train_078."""
    for name, expected in (("lungs", 1), ("globular_clusters", 0)):
        pictures = list(pictures_below(real_data / name))
        prints = [fingerprint(picture) for picture in pictures]
        assert len(alike_pairs(prints)) == expected
        dimmer = [fingerprint(ImageEnhance.Brightness(picture).enhance(1.2)) for picture in pictures]
        found = [bool(alike_pairs(pair) or equal_pairs(pair)) for pair in zip(prints, dimmer, strict=True)]
        assert np.mean(found) > 0.95
