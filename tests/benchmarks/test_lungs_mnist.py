from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from benchmarks.lungs_mnist import mnist, shifted, shown_difference, squared_error
from benchmarks.mnist import read_mnist
from pipeline.errors import InputError


def test_shifts_of_a_pixel() -> None:
    """A lit pixel lands on each of its nine neighbours as often; one that leaves the picture is gone."""
    torch.manual_seed(0)
    picture = torch.zeros(9000, 1, 5, 5)
    picture[:, 0, 2, 1] = 1
    places = shifted(picture).sum(0)[0]
    assert places.sum() == 9000
    assert places[1:4, :3].min() > 850
    corner = torch.zeros(9000, 1, 5, 5)
    corner[:, 0, 0, 0] = 1
    assert shifted(corner).sum() == pytest.approx(4000, rel=0.05)


@pytest.mark.slow
def test_convention_is_the_published_one(real_data: Path) -> None:
    """Hinton & Salakhutdinov (2006): 13.87 by 30 principal components."""
    pictures, test = read_mnist(quick=False)
    pca = PCA(30, svd_solver="covariance_eigh").fit(pictures.numpy())
    axes, mean = torch.from_numpy(pca.components_), torch.from_numpy(pca.mean_)
    assert squared_error(lambda part: (part - mean) @ axes.T @ axes + mean, test) == pytest.approx(13.87, abs=0.005)


def test_what_a_screen_cannot_show_costs_nothing() -> None:
    redrawn = torch.tensor([-0.5, -0.5, 1.2, 1.2, 0.4])
    picture = torch.tensor([0.0, 0.1, 1.0, 0.9, 0.5])
    torch.testing.assert_close(shown_difference(redrawn, picture), torch.tensor([0.0, -0.6, 0.0, 0.3, -0.1]))


def test_digits_elsewhere_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    with pytest.raises(InputError, match="no such file; set STAR_CLUSTER_DATA"):
        read_mnist(quick=True)
    (tmp_path / "mnist").mkdir()
    levels = np.full((1, 28, 28), 51, np.uint8)
    np.savez(tmp_path / "mnist/mnist.npz", x_train=levels, x_test=levels)
    train, test = read_mnist(quick=True)
    assert train.shape == test.shape == (1, 784)
    assert float(train.mean()) == pytest.approx(0.2)


def test_rows_say_what_is_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before training the network is scikit-learn's components, not cut; the note has the error of cut grey levels."""
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    rng = np.random.default_rng(1)
    levels = rng.choice([0, 255], (60, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "mnist/mnist.npz", x_train=levels, x_test=levels[:20])
    pictures, test = (part.numpy().astype(float) for part in read_mnist(quick=True))
    pca = PCA(30, svd_solver="full").fit(pictures)
    redrawn = pca.inverse_transform(pca.transform(test))
    plain, cut = (np.square(each - test).sum(axis=1).mean() for each in (redrawn, redrawn.clip(0, 1)))
    network, before, _ = mnist(quick=True)
    assert "cut to [0, 1]" in network.note and np.isfinite(network.value)
    assert before.value == pytest.approx(plain, rel=1e-4) and cut < 0.99 * plain
    assert before.note.endswith(f"not cut, as published; cut {cut:.2f}")
