"""Inference in an energy-based model: the y (and z) of lowest energy (course eq. 2, 3)."""

from collections.abc import Callable

import torch
from torch import Tensor


def argmin(energy: Callable[[Tensor], Tensor], start: Tensor, *, steps: int) -> tuple[Tensor, Tensor]:
    """Gradient descent in the box [-1, 1]^d from several starts; keeps the best end point.

    Every start has a step length of its own, which grows by a fifth when a step lowers the energy
    and halves when it does not (the step is then taken back): the energy never rises.

    Args:
        energy: (B, restarts, d) -> (B, restarts), differentiable.
        start: (B, restarts, d), in the box.
        steps: of the descent.

    Returns:
        The minimiser, shape (B, d), and its energy, shape (B,).
    """
    point, rate = start.detach(), start.new_full((*start.shape[:-1], 1), 0.01)
    value, gradient = _value_and_gradient(energy, point)
    for _ in range(steps):
        trial = (point - rate * gradient).clamp(-1, 1)
        trial_value, trial_gradient = _value_and_gradient(energy, trial)
        lower = (trial_value < value)[..., None]
        point, gradient = torch.where(lower, trial, point), torch.where(lower, trial_gradient, gradient)
        value = torch.where(lower[..., 0], trial_value, value)
        rate = torch.where(lower, 1.2 * rate, 0.5 * rate)
    best = value.argmin(-1)
    rows = torch.arange(len(best), device=best.device)
    return point[rows, best], value[rows, best]


def _value_and_gradient(energy: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        point = point.detach().requires_grad_()
        value = energy(point)
        (gradient,) = torch.autograd.grad(value.sum(), point)
    return value.detach(), gradient
