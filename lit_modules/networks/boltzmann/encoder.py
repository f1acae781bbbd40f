"""A restricted Boltzmann machine with the habits of scikit-learn, trained by a loop in plain torch."""

from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from lit_modules.networks.boltzmann.learning_rate import held_then_falling
from lit_modules.networks.boltzmann.negative_phase import NegativePhase
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine

OFFSET_RATE = 0.01  # of the hidden offset towards the mean of a batch


class RBMEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Hidden codes of pictures X, (pictures, pixels) in [0, 1].

    Args:
        n_components: hidden units.
        learning_rate: of the first updates.
        batch_size: pictures of an update.
        n_iter: epochs.
        negative, chains, sweeps, temperatures: see ``NegativePhase``.
        random_state: seed of torch.

    Attributes:
        machine_: the machine.
        states_: of the chains, (temperatures, chains, pixels); the last row are samples.
    """

    def __init__(
        self,
        n_components: int = 256,
        learning_rate: float = 0.1,
        batch_size: int = 100,
        n_iter: int = 50,
        negative: Literal["cd", "pcd", "pt"] = "pcd",
        chains: int = 100,
        sweeps: int = 1,
        temperatures: int = 10,
        random_state: int = 0,
    ) -> None:
        self.n_components, self.learning_rate, self.batch_size = n_components, learning_rate, batch_size
        self.n_iter, self.negative, self.chains, self.sweeps = n_iter, negative, chains, sweeps
        self.temperatures, self.random_state = temperatures, random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from pictures."""
        data = self.pictures(X, reset=True)
        torch.manual_seed(self.random_state)
        self.machine_ = RestrictedBoltzmannMachine(data.shape[1], self.n_components)
        self.machine_.start_from((data.sum(0) + 0.5) / (len(data) + 1))
        negative = NegativePhase(self.negative, self.chains, self.sweeps, self.temperatures)
        states: Tensor | None = None
        step, steps = 0, self.n_iter * -(-len(data) // self.batch_size)
        for _ in range(self.n_iter):
            for rows in torch.randperm(len(data)).split(self.batch_size):
                self.states_ = states = negative.step(self.machine_, states, data[rows])
                rate = self.learning_rate * held_then_falling(step, steps)
                contrast(self.machine_, data[rows], states[-1], rate)
                step += 1
        return self

    def transform(self, X: Any) -> np.ndarray:
        """p(h = 1 | v), (pictures, n_components)."""
        pictures = self.pictures(X)
        return self.machine_.hidden(pictures).numpy(force=True)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """p(v = 1 | h) of codes, (pictures, pixels)."""
        return self.machine_.visible(torch.as_tensor(X, dtype=torch.float32)).numpy(force=True)

    def score_samples(self, X: Any, log_partition: float | None = None) -> np.ndarray:
        """Log-likelihood of binary pictures, (pictures,) nats, by the exact log Z unless an estimate is given."""
        pictures = self.pictures(X)
        log_z = self.machine_.log_partition() if log_partition is None else log_partition
        return -self.machine_.free_energy(pictures).numpy(force=True) - log_z

    def sample(self, sweeps: int) -> np.ndarray:
        """Binary pictures by the chains after further sweeps, (chains, pixels)."""
        return self.machine_.gibbs(self.states_[-1], sweeps).numpy(force=True)

    def pictures(self, X: Any, reset: bool = False) -> Tensor:
        """Pictures as a tensor, checked.

        Raises:
            ValueError: a value lies outside [0, 1].
        """
        if not reset:
            check_is_fitted(self)
        data = torch.from_numpy(validate_data(self, X, dtype=np.float32, reset=reset))
        if data.min() < 0 or data.max() > 1:
            raise ValueError("the pictures have values outside [0, 1]; divide them by their maximum")
        return data


@torch.no_grad()
def contrast(rbm: RestrictedBoltzmannMachine, data: Tensor, samples: Tensor, rate: float) -> None:
    """Δw_ij = ε (⟨v_i h_j⟩ of the data - ⟨v_i h_j⟩ of samples): a step down ⟨F⟩ - ⟨F⟩, in place.

    Args:
        rbm: the machine, which is changed.
        data: (pictures, bits).
        samples: of the machine, (chains, bits).
        rate: ε.
    """
    visible = torch.cat([data, samples])
    hidden = rbm.hidden(visible)
    mean = hidden[: len(data)].mean(0)
    share = visible.new_full((len(visible), 1), -rate / len(samples))
    share[: len(data)] = rate / len(data)
    hidden = share * (hidden - rbm.hidden_offset)
    rbm.weight.addmm_((visible - rbm.offset).T, hidden)
    rbm.visible_bias.add_((visible.T @ share)[:, 0])
    rbm.hidden_bias.add_(hidden.sum(0))
    rbm.move_hidden_offset(mean, OFFSET_RATE)
