"""The stage: its files, the same bytes whoever draws them, pictures that share what real ones have."""

import io
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, edit_params, run_stage, working_in
from PIL import Image

OUT = Path("data/synthetic/globular_clusters")


def profile(picture: np.ndarray) -> np.ndarray:
    """Mean brightness (0-1) in eight rings from the middle to the edge."""
    size = picture.shape[0]
    x = np.arange(size) - (size - 1) / 2
    ring = np.minimum((np.hypot(x, x[:, None]) / (size / 2) * 8).astype(int), 8).ravel()
    brightness = picture.mean(-1).ravel() / 255
    return np.bincount(ring, brightness)[:8] / np.bincount(ring)[:8]


def draw(folder: Path, **values: int) -> dict[str, bytes]:
    """Run the stage in a folder; the files it wrote."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit_params(folder, {"cluster_pictures.n_pictures": values["n"], "runtime.workers": values["workers"]})
    with working_in(folder):
        run_stage("draw_cluster_pictures")
    return {path.name: path.read_bytes() for path in sorted((folder / OUT).iterdir())}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return draw(tmp_path_factory.mktemp("pictures"), n=10, workers=1)


@pytest.fixture(scope="module")
def pictures(files: dict[str, bytes]) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(data))) for data in files.values()]


def test_pictures_are_dense_cores_on_dark_sky(pictures: list[np.ndarray]) -> None:
    assert len(pictures) == 10 and all(p.shape == (300, 300, 3) and p.dtype == np.uint8 for p in pictures)
    rings = np.array([profile(p) for p in pictures])
    assert (rings[:, 0] > 2 * rings[:, -1]).all()
    assert np.median(rings[:, 0]) > 0.5 and np.median(rings[:, -1]) < 0.15
    redder = [(p[..., 0].astype(int) - p[..., 2] > 60).sum() for p in pictures]
    bluer = [(p[..., 2].astype(int) - p[..., 0] > 30).sum() for p in pictures]
    assert np.median(redder) > 50 and np.median(bluer) > 50  # red giants and blue stars


def test_same_bytes_with_two_processes(files: dict[str, bytes], tmp_path: Path) -> None:
    again = draw(tmp_path, n=3, workers=2)
    assert len(again) == 3 and all(files[name] == data for name, data in again.items())


def test_brightness_profiles_lie_among_real_ones(pictures: list[np.ndarray], real_data: Path) -> None:
    real = [
        np.asarray(Image.open(path).convert("RGB")) for path in sorted((real_data / "globular_clusters").glob("*.png"))
    ]
    low, high = np.quantile([profile(p) for p in real], (0.1, 0.9), axis=0)
    middle = np.median([profile(p) for p in pictures], axis=0)
    assert ((low < middle) & (middle < high)).all()
