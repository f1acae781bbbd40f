"""What the energy-based model says of one's own cluster, with untrained weights."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from conftest import ROOT

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import cell_volume, unit_grid
from pipeline.evaluation.ebm import prediction
from pipeline.evaluation.ebm.prediction import NODES, averaged, predict
from pipeline.settings.load import load_params


@pytest.fixture(scope="module")
def model() -> LitEBM:
    torch.manual_seed(1)
    return LitEBM(**load_params(ROOT / "params.yaml").model_section("ebm").model.model_dump()).eval()


class Toy:
    """A posterior of y in the unit box that is a narrow Gaussian around the mean flux of a map, in both directions."""

    width = 0.05

    def context(self, flux: torch.Tensor) -> torch.Tensor:
        return flux.mean((1, 2, 3))

    def log_posterior(self, context: torch.Tensor, nodes: int) -> torch.Tensor:
        y = unit_grid(nodes).double()
        energy = (((y - context[:, None, None]) / self.width) ** 2).sum(-1) / 2
        log = -energy - energy.neg().logsumexp(1, keepdim=True) - np.log(cell_volume(nodes))
        return log.unflatten(-1, (nodes, nodes))


def test_the_mean_of_densities_has_the_spread_within_and_between() -> None:
    """Of a Gaussian around a noisy x: variance of the answer and of x, in each direction."""
    x = torch.from_numpy(np.random.default_rng(1).normal(0.1, 0.12, 4000))
    log_density = averaged(Toy(), x[:, None, None, None])
    p = log_density[0].exp() * cell_volume(NODES)
    assert float(p.sum()) == pytest.approx(1, abs=1e-6)
    y = unit_grid(NODES).double()[:, 0].unflatten(0, (NODES, NODES))
    mean = float((p * y).sum())
    assert mean == pytest.approx(0.1, abs=0.01)
    assert float((p * (y - mean) ** 2).sum()) ** 0.5 == pytest.approx(np.hypot(0.05, 0.12), rel=0.03)


def test_one_map_gives_its_own_density(model: LitEBM) -> None:
    flux = torch.randn(1, 1, 160, 160) * 0.3 - 4
    with torch.no_grad():
        expected = model.log_posterior(model.context(flux), NODES)
        torch.testing.assert_close(averaged(model, flux), expected)
        torch.testing.assert_close(averaged(model, flux.expand(3, -1, -1, -1)), expected, atol=1e-4, rtol=1e-4)


def test_prediction_for_a_map(model: LitEBM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most probable point of a Gaussian lies at its middle, and the intervals around it."""
    y, x = 0.25 * (np.indices((160, 160)) - 79.5)
    np.save(tmp_path / "mine.npy", -3.5 - 1.5 * np.log10(1 + (x**2 + y**2) / 60))
    at = torch.tensor([0.2, -0.4])

    def density(model: LitEBM, flux: torch.Tensor) -> torch.Tensor:
        energy = (((unit_grid(NODES) - at) / 0.1) ** 2).sum(-1) / 2
        log = -energy - energy.neg().logsumexp(0) - np.log(cell_volume(NODES))
        return log.unflatten(-1, (NODES, NODES))[None]

    monkeypatch.setattr(prediction, "averaged", density)
    result = predict([model], tmp_path / "mine.npy")
    for part, name in enumerate(("distance", "age")):
        low, middle, high = (float(model.from_box(at + k * 0.1)[part]) for k in (-1, 0, 1))
        found = result.metrics[name]
        assert found["value"] == pytest.approx(middle, rel=0.02)
        assert found["most_probable"] == pytest.approx(middle, rel=0.03)
        assert (found["low"], found["high"]) == (pytest.approx(low, rel=0.03), pytest.approx(high, rel=0.03))
    assert result.metrics["warnings"] == []
    plt.close("all")
