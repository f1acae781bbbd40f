"""Maximum likelihood of a restricted machine with few hidden units, whose states can all be summed over."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine, all_states

ROWS = 1024  # hidden states at once
MEMORY = 30  # steps and gradients from which L-BFGS knows the curvature
NEGLIGIBLE = 1e-9  # probability of a hidden state that adds nothing to a mean


class Moments(NamedTuple):
    """Exact log Z and its gradient.

    Attributes:
        log_partition: log Z, nats.
        weight: ⟨(v - o)(h - μ)ᵀ⟩.
        visible_bias: ⟨v - o⟩.
        hidden_bias: ⟨h - μ⟩.
    """

    log_partition: float
    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor


@torch.no_grad()
def moments(rbm: RestrictedBoltzmannMachine) -> Moments:
    """Sum over all states of the hidden layer of a machine with one bit a pixel."""
    states = all_states(rbm.n_hidden).to(rbm.weight)
    log_weight = torch.cat([log_weights(rbm, rows) for rows in states.split(ROWS)])
    log_z = log_weight.logsumexp(0)
    p = (log_weight - log_z).exp().to(states)
    likely = p > NEGLIGIBLE
    states, p = states[likely], p[likely, None]
    hidden = p * (states - rbm.hidden_offset)
    weight, visible = torch.zeros_like(rbm.weight), torch.zeros_like(rbm.visible_bias)
    for rows, p_rows, hidden_rows in zip(states.split(ROWS), p.split(ROWS), hidden.split(ROWS), strict=True):
        centred = rbm.visible(rows) - rbm.offset
        weight.addmm_(centred.T, hidden_rows)
        visible.addmv_(centred.T, p_rows[:, 0])
    return Moments(float(log_z), weight, visible, hidden.sum(0))


def log_weights(rbm: RestrictedBoltzmannMachine, hidden: Tensor) -> Tensor:
    """Log Σ_v exp(-E(v, h)) in double precision; (states, n_hidden) -> (states,)."""
    field = rbm.visible_field(hidden)
    log_unlit = (torch.sigmoid(field.abs()).log_() - field.relu()).sum(1)  # of all pixels; softplus is slower
    return ((hidden - rbm.hidden_offset) @ rbm.hidden_bias - field @ rbm.offset - log_unlit).double()


def maximise(
    rbm: RestrictedBoltzmannMachine, data: Tensor, passes: int, after: Callable[[], None] = lambda: None
) -> None:
    """Climb to the maximum of the log-likelihood by L-BFGS (Liu & Nocedal 1989) along its exact gradient.

    Args:
        rbm: a machine of Bernoulli units that has learned already: from its start all hidden units would stay alike.
        data: pictures, (pictures, n_visible).
        passes: through the data, at most.
        after: called when the machine has moved, about once a pass.
    """

    def move(parameters: Any) -> None:
        vector_to_parameters(torch.from_numpy(parameters).to(rbm.weight), rbm.parameters())

    def loss(parameters: Any) -> tuple[float, Any]:
        move(parameters)
        rbm.zero_grad()
        free_energy = rbm.free_energy(data).mean()
        free_energy.backward()
        model = moments(rbm)
        slope = parameters_to_vector(parameter.grad for parameter in rbm.parameters())  # type: ignore[misc]
        slope += parameters_to_vector(model[1:])
        return free_energy.item() + model.log_partition, slope.double().numpy(force=True)

    def moved(xk: Any) -> None:
        move(xk)
        after()

    start = parameters_to_vector(rbm.parameters()).double().numpy(force=True)
    options: Any = {"maxfun": passes, "maxiter": passes, "maxcor": MEMORY, "ftol": 0, "gtol": 0}
    move(minimize(loss, start, jac=True, method="L-BFGS-B", callback=moved, options=options).x)
