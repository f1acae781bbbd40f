"""Rivals of the Boltzmann machines are compared as what they are."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neural_network import BernoulliRBM

from benchmarks.boltzmann_mnist import mnist
from benchmarks.boltzmann_speed import by_rbms, machine_of, ours
from pipeline.errors import InputError

PICTURES = np.random.default_rng(0).integers(0, 2, (30, 12)).astype(np.float32)


def test_the_machine_of_scikit_learn_is_the_same_as_ours() -> None:
    """The same free energy, and probabilities of hidden units, as in scikit-learn."""
    fitted = BernoulliRBM(5, learning_rate=0.1, batch_size=10, random_state=0).fit(PICTURES)
    rbm, pictures = machine_of(fitted, torch.from_numpy(PICTURES)), torch.from_numpy(PICTURES)
    np.testing.assert_allclose(rbm.free_energy(pictures).detach(), fitted._free_energy(PICTURES), rtol=1e-4)
    np.testing.assert_allclose(rbm.hidden(pictures).detach(), fitted.transform(PICTURES), rtol=1e-4)


def test_an_own_machine_is_itself() -> None:
    encoder = ours(3, epochs=2, rate=0.1).fit(PICTURES)
    assert machine_of(encoder, torch.from_numpy(PICTURES)) is encoder.machine_


def test_rbms_trains() -> None:
    pytest.importorskip("rbms")
    by_rbms(torch.from_numpy(PICTURES), 3, epochs=1)


def test_missing_digits_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"mnist\.npz: no such file; set STAR_CLUSTER_DATA"):
        mnist(quick=True)
