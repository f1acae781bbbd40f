"""Principal axes against the eigenvectors of the covariance, and against a linear autoencoder that was trained."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import training_split

from pipeline.evaluation.autoencoder.quality import errors
from pipeline.evaluation.autoencoder.rivals import PrincipalAxes, linear_rivals
from tests.pipeline.evaluation.autoencoder.toy import autoencoder


@pytest.mark.parametrize("n", [12, 60], ids=["fewer pictures than pixels", "more"])
@pytest.mark.parametrize("k", [0, 3, 11])
def test_redrawn_by_principal_components(k: int, n: int) -> None:
    train, test = torch.rand(2, n, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    x, new = (pictures.flatten(1).double().numpy() for pictures in (train, test))
    axes = np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :k]
    expected = x.mean(0) + (new - x.mean(0)) @ axes @ axes.T
    fit = PrincipalAxes.of(train, 11)
    np.testing.assert_allclose(fit.redraw(test, k).flatten(1), expected, atol=1e-9)
    if k == 11 and n == 12:
        assert float(errors(fit.redraw(train, k), train).max()) < 1e-20, "full rank has no training error"


def test_training_a_linear_autoencoder_ends_at_principal_components() -> None:
    """Baldi & Hornik (1989), of weights drawn at random and fitted by L-BFGS."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(30, 12, generator=g, dtype=torch.float64) * torch.linspace(0.5, 3, 12)
    a, b = (torch.randn(*shape, generator=g, dtype=torch.float64).requires_grad_() for shape in ((12, 3), (3, 12)))
    centred = x - x.mean(0)
    optimizer = torch.optim.LBFGS([a, b], max_iter=2000, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = (centred @ a @ b - centred).square().mean()
        value.backward()
        return value

    optimizer.step(loss)
    images = x.view(30, 1, 3, 4)
    assert loss().item() == pytest.approx(float(errors(PrincipalAxes.of(images, 3).redraw(images, 3), images).mean()))


@pytest.mark.parametrize(("code", "kept"), [("dense", "8"), ("top_k", "3")])
def test_rivals_have_the_codes_number_of_numbers(code: str, kept: str) -> None:
    """Four pictures have three components; a linear autoencoder of dense code that starts from them is their PCA."""
    train, test = torch.rand(2, 4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    data: Any = training_split({"image": train})
    rivals = linear_rivals(autoencoder(code=code), data, [2], 5)
    plain = {"pca_2"} | ({"pca_3"} if code == "top_k" else set())
    deformed = {f"pca_{k}_of_deformed" for k in ("2", kept, "8")}
    assert set(rivals) == {"mean_picture", "pca_full_rank", "linear_autoencoder"} | plain | deformed
    with torch.no_grad():
        error = {who: float(errors(redraw(test), test).mean()) for who, redraw in rivals.items()}
    assert error["mean_picture"] == pytest.approx(float(errors(train.mean(0, keepdim=True), test).mean()))
    assert error["pca_8_of_deformed"] < error[f"pca_{kept}_of_deformed"] or kept == "8"
    if code == "dense":
        assert error["linear_autoencoder"] == pytest.approx(error["pca_full_rank"], rel=1e-5)
