"""Pictures and files that stand in the page."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.reporting.embedded import HEAVY, download, image_uri


def content(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_pictures_keep_every_pixel() -> None:
    """The page's lossless WebP against the PNG that it stands for."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    uri = image_uri(Image.fromarray(pixels))
    assert uri.startswith("data:image/webp;base64,")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content(uri)))), pixels)


def test_noise_is_not_stored_without_loss() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    small = content(image_uri(Image.fromarray(pixels)))
    assert len(small) < HEAVY < pixels.nbytes
    assert np.asarray(Image.open(io.BytesIO(small))).shape == pixels.shape


def test_a_download_is_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gnn.csv"
    path.write_text("epoch,val/loss\n0,π\n", encoding="utf-8")
    file = download(path, "training curves", "gnn")
    assert content(file["uri"]) == path.read_bytes()
    assert (file["name"], file["label"]) == ("gnn-training-curves.csv", "training curves (CSV, 1 kB)")
