"""Baselines against the eigenvectors of the covariance, and the score against counting pairs."""

import numpy as np
import pytest
import torch
from PIL import Image

from lit_modules.autoencoder import LitAutoencoder
from pipeline.errors import InputError
from pipeline.evaluation.autoencoder.evaluation import auc, errors, linear_fits
from pipeline.evaluation.autoencoder.prediction import predict


@pytest.mark.parametrize("k", [0, 3, 11])
def test_linear_fits_are_pca(k: int) -> None:
    train, test = torch.rand(2, 12, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    x, new = (pictures.flatten(1).double().numpy() for pictures in (train, test))
    axes = np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :k]
    expected = x.mean(0) + (new - x.mean(0)) @ axes @ axes.T
    fit = linear_fits(train)(k)
    np.testing.assert_allclose(fit(test).flatten(1), expected, atol=1e-9)
    if k == 11:
        assert float(errors(fit, train).max()) < 1e-20, "full rank has no training error"


def test_auc_counts_pairs() -> None:
    own, other = torch.tensor([1.0, 4.0, 6.0]), torch.tensor([2.0, 5.0, 7.0, 8.0])
    pairs = [float(b > a) for a in own for b in other]
    assert auc(own, other) == pytest.approx(np.mean(pairs))
    assert auc(own / 1e6, other / 1e6) == pytest.approx(np.mean(pairs))


def test_predict(tmp_path) -> None:
    model = LitAutoencoder(
        side=10, widths=[8], active_units=None, snapshot_epoch=1, rotation=0.1, scale=0.1, shift=0.1, warp=0.0,
        contrast=0.0, augment_seed=1, lr=1e-3, weight_decay=0.0,
    ).eval()  # fmt: skip
    Image.effect_noise((30, 20), 60).convert("RGB").save(tmp_path / "a.png")
    result = predict([model], tmp_path / "a.png")
    assert result.metrics["mse"] > 0
    assert [picture.name for picture in result.pictures] == ["reconstruction"]
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b\.png: no picture"):
        predict([model], tmp_path / "b.png")
