"""Principal axes against the eigenvectors of the covariance, and against a linear autoencoder that was trained."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import training_split
from torch import Tensor

from pipeline.evaluation.autoencoder.quality import errors
from pipeline.evaluation.autoencoder.rivals import PrincipalAxes, linear_rivals, most_components
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


TRAIN, TEST = torch.rand(2, 4, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def mean_errors(components: list[int], train: Tensor = TRAIN, **changes: Any) -> dict[str, float]:
    """Held-out errors of the rivals of an untrained network."""
    data: Any = training_split({"image": train})
    rivals = linear_rivals(autoencoder(**changes), data, components)
    with torch.no_grad():
        return {who: float(errors(redraw(TEST), TEST).mean()) for who, redraw in rivals.items()}


def test_a_dense_code_starts_as_the_components_of_as_many_pictures() -> None:
    """Four pictures have three components."""
    error = mean_errors([2])
    assert set(error) == {"mean_picture", "pca_2", "pca_full_rank", "before_training"}
    assert error["mean_picture"] == pytest.approx(float(errors(TRAIN.mean(0, keepdim=True), TEST).mean()))
    assert error["before_training"] == pytest.approx(error["pca_full_rank"], rel=1e-5)


def test_rivals_have_the_numbers_that_a_sparse_code_keeps() -> None:
    """Three of eight, from as many deformed copies as the network starts from."""
    error = mean_errors([2], code="top_k", copies=5)
    plain, deformed = {"pca_2", "pca_3"}, {f"pca_{k}_of_deformed" for k in (2, 3, 8)}
    assert set(error) == {"mean_picture", "pca_full_rank", "before_training"} | plain | deformed
    assert error["pca_8_of_deformed"] < error["pca_3_of_deformed"] < error["pca_2_of_deformed"]
    axes = PrincipalAxes.of(torch.cat([autoencoder(copies=5).deformed(TRAIN, step) for step in range(5)]), 8)
    assert error["pca_8_of_deformed"] == pytest.approx(float(errors(axes.redraw(TEST, 8), TEST).mean()))


def test_no_rival_keeps_more_numbers_than_the_code() -> None:
    """Of 200 pictures of 144 pixels the components of full rank copy all; of four, they are within the code."""
    many = torch.rand(200, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    error = mean_errors([2, 16], many, copies=2)
    deformed = {"pca_2_of_deformed", "pca_8_of_deformed"}
    assert set(error) == {"mean_picture", "pca_2", "pca_8", "before_training"} | deformed
    assert min(error.values()) > 0.01


@pytest.mark.parametrize(("n", "widest"), [(4, "pca_full_rank"), (9, "pca_full_rank"), (10, "pca_8")])
def test_most_components(n: int, widest: str) -> None:
    data: Any = training_split({"image": torch.rand(n, 1, 12, 12)})
    assert most_components(linear_rivals(autoencoder(copies=2), data, [2])) == widest
