"""The energy by the authors' measures."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import pidoc
from lit_modules.networks.energy.box import unit_grid
from pipeline.evaluation.pidoc.measures import AGE_BINS


def test_errors_of_the_energy_are_those_of_its_medians(monkeypatch: pytest.MonkeyPatch) -> None:
    """A posterior that lies 2 kpc and half a Gyr too high, of clusters at the authors' distances, clean look first."""
    read = torch.tensor((AGE_BINS[1:] + AGE_BINS[:-1]) / 2)[2:].float()  # centres of the bins in which answers are put
    distance = torch.tensor([15.0, 30.0, 60.0, 80.0]).repeat(len(read))
    age = read.repeat_interleave(4) - 0.5
    statistics = torch.stack([torch.stack([distance, age], 1), torch.zeros(len(age), 2)], 1)
    split = {"distance": distance, "age": age, "statistics": statistics}
    monkeypatch.setattr(pidoc, "maps_of", lambda folder: SimpleNamespace(splits={"test": split}))

    def log_posterior(context: torch.Tensor, nodes: int) -> torch.Tensor:
        middle = torch.stack([(context[:, 0] + 2) / 100 - 1, (context[:, 1] + 0.5) / 10 - 1], 1)
        normal = torch.distributions.Normal(middle[:, None], 0.03)
        return normal.log_prob(unit_grid(nodes)).sum(-1).unflatten(1, (nodes, nodes))

    module = SimpleNamespace(
        context=lambda x: x, log_posterior=log_posterior, from_box=lambda y: (100 * (y[:, 0] + 1), 10 * (y[:, 1] + 1))
    )
    kpc, gyr = pidoc.energy_errors(Path("anywhere"), module)
    assert kpc == pytest.approx(2.0, abs=0.05)
    assert gyr == pytest.approx(0.5, abs=0.02)


@pytest.mark.slow
def test_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters are drawn, the energy is trained and judged."""
    monkeypatch.setattr(sys, "argv", ["pidoc", "--published", "CNN_100.h5", "--quick", "--part", "ebm"])
    monkeypatch.setattr(pidoc, "default_chain", lambda: [])
    pidoc.main()
