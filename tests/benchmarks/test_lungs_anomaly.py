"""Data in MedIAnomaly's layout, and what is wrong with it in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks import lungs_anomaly
from benchmarks.lungs_anomaly import anomaly
from lit_modules.networks.autoencoder.autoencoder import Autoencoder
from pipeline.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three smooth patterns in many mixtures, 96 x 96; what is abnormal has a spot, some of them hardly seen."""
    rng = np.random.default_rng(1)
    x, y = np.meshgrid(*[np.linspace(0, 1, 96)] * 2)
    patterns = np.stack([x, y, np.sin(6 * x) * y])
    spot = np.exp(-((x - 0.3) ** 2 + (y - 0.6) ** 2) / 0.005)
    (tmp_path / "RSNA/images").mkdir(parents=True)
    table: dict[str, dict[str, list[str]]] = {}
    for split, label, n in (("train", "0", 24), ("test", "0", 12), ("test", "1", 12)):
        names = [f"{split}_{label}_{k}.png" for k in range(n)]
        table.setdefault(split, {})[label] = names
        for name in names:
            grey = 0.5 + np.tensordot(rng.uniform(-0.15, 0.15, 3), patterns, 1) + rng.normal(0, 0.05, x.shape)
            grey += (label == "1") * rng.uniform(0.0, 0.3) * spot
            grey[:8] = 0.0  # pure black, as beside a chest
            Image.fromarray(np.round(255 * grey.clip(0, 1)).astype(np.uint8)).save(tmp_path / "RSNA/images" / name)
    (tmp_path / "RSNA/data.json").write_text(json.dumps(table))
    return tmp_path / "RSNA"


def test_anomalies_of_principal_components(folder: Path) -> None:
    """The rows are those of scikit-learn's components and ROC; the trained network is about as good."""
    table = json.loads((folder / "data.json").read_text())

    def read(names: list[str]) -> np.ndarray:
        pictures = [Image.open(folder / "images" / name).resize((64, 64), Image.Resampling.BILINEAR) for name in names]
        return np.stack([np.asarray(picture, float).ravel() / 255 for picture in pictures])

    pca = PCA(4, svd_solver="full").fit(read(table["train"]["0"]))
    pictures = read(table["test"]["0"] + table["test"]["1"])
    errors = ((pca.inverse_transform(pca.transform(pictures)) - pictures) ** 2).sum(1)
    expected = 100 * roc_auc_score([0] * 12 + [1] * 12, errors)

    network, components = anomaly(folder, quick=True)
    assert 60 < expected < 100
    assert components.value == pytest.approx(expected, abs=0.01)
    assert network.value == pytest.approx(expected, abs=10)
    assert network.reference == 72.9
    assert "24 of training, 12 normal and 12 abnormal of test" in network.note


def test_what_a_screen_cannot_show_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that only errs beyond black does not tell pictures apart; its components' row is not cut."""

    def darken(net: Autoencoder, pictures: Tensor, *_: object) -> None:
        black = (pictures == 0).all(dim=0)
        net.forward = lambda images: images - 9 * black * images.mean(dim=(1, 2, 3), keepdim=True)  # type: ignore[method-assign]

    monkeypatch.setattr(lungs_anomaly, "train", darken)
    network, _ = anomaly(folder, quick=True)
    assert network.value == 50


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "data.json: no such file; name a folder"),
        ("{", "it needs lists of files"),
        ('{"train": ["a.png"]}', "it needs lists of files"),
        ('{"train": {"0": []}}', '"train": "0" is empty'),
        ('{"train": {"0": ["a.png"]}}', "a.png: no such file, but data.json names it"),
    ],
)
def test_a_wrong_folder_is_one_line(tmp_path: Path, table: str | None, message: str) -> None:
    if table is not None:
        (tmp_path / "data.json").write_text(table)
    with pytest.raises(InputError, match=message) as caught:
        anomaly(tmp_path, quick=True)
    assert "\n" not in str(caught.value)
