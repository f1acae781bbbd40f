"""The encoder with scikit-learn's habits: its step, its likelihood, its door."""

import copy
import itertools

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from lit_modules.networks.boltzmann.encoder import OFFSET_RATE, RBMEncoder, contrast
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

HALVES = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]] * 20, dtype=np.float32)


@pytest.fixture(scope="module")
def trained() -> RBMEncoder:
    """By tempered chains: those of one temperature hardly ever pass from one picture to the other."""
    return RBMEncoder(3, learning_rate=0.2, batch_size=20, n_iter=300, negative="pt", temperatures=8).fit(HALVES)


def test_a_step_is_that_of_automatic_differentiation() -> None:
    torch.manual_seed(1)
    rbm = RestrictedBoltzmannMachine(6, 4)
    rbm.start_from(torch.rand(6) * 0.6 + 0.2)
    torch.nn.init.normal_(rbm.weight)
    data, samples = torch.rand(5, 6).bernoulli(), torch.rand(7, 6).bernoulli()
    other = copy.deepcopy(rbm)
    (other.free_energy(data).mean() - other.free_energy(samples).mean()).backward()
    mean = other.hidden(data).mean(0).detach()
    torch.optim.SGD(other.parameters(), lr=0.1).step()
    other.move_hidden_offset(mean, OFFSET_RATE)
    contrast(rbm, data, samples, 0.1)
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(rbm.state_dict()[name], tensor, msg=name)


def test_two_pictures_are_learned(trained: RBMEncoder) -> None:
    """The likelihood is normalised over all pictures, and nearly ln ½ for each of the two."""
    every = np.array(list(itertools.product([0, 1], repeat=6)))
    assert np.exp(trained.score_samples(every)).sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(trained.score_samples(HALVES[:2]), np.log(0.5), atol=0.4)
    drawn = trained.sample(50)
    assert drawn.shape == (100, 6) and np.isin(drawn, (0, 1)).all()
    assert (drawn[:, None] == HALVES[:2]).all(2).any(1).mean() > 0.7


def test_codes_and_back(trained: RBMEncoder) -> None:
    machine = {name: tensor.numpy() for name, tensor in trained.machine_.state_dict().items()}
    codes = trained.transform(HALVES)
    centred = HALVES - machine["offset"]
    np.testing.assert_allclose(codes, expit(machine["hidden_bias"] + centred @ machine["weight"]), rtol=1e-5)
    assert ((trained.inverse_transform(codes) > 0.5) == HALVES).all()


def test_another_estimate_of_log_z_shifts_the_score(trained: RBMEncoder) -> None:
    log_z = trained.machine_.log_partition()
    np.testing.assert_allclose(trained.score_samples(HALVES, log_z + 1), trained.score_samples(HALVES) - 1, rtol=1e-5)


def test_the_same_seed_gives_the_same_machine(trained: RBMEncoder) -> None:
    np.testing.assert_array_equal(clone(trained).fit_transform(HALVES), trained.transform(HALVES))


@pytest.mark.parametrize(
    ("pictures", "message"),
    [(HALVES * 255, r"outside \[0, 1\]"), (HALVES * np.nan, "NaN"), (HALVES[0], "2D array"), (HALVES[:0], "0 sample")],
)
def test_bad_pictures(pictures: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RBMEncoder(2).fit(pictures)


def test_pictures_of_another_size(trained: RBMEncoder) -> None:
    with pytest.raises(ValueError, match="expecting 6 features"):
        trained.transform(HALVES[:, :4])
    with pytest.raises(NotFittedError):
        RBMEncoder(2).transform(HALVES)
