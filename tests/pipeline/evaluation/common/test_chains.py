"""Diagnostics of chains, against chains whose answer is known."""

import math

import pytest
import torch

from pipeline.errors import InputError
from pipeline.evaluation.common.chains import BINS, chain_diagnostics, divergence


def test_diagnostics_tell_mixed_chains_from_stuck_ones() -> None:
    torch.manual_seed(0)
    mixed = torch.randn(1000, 1, 8, 2)
    rhat, effective_size = chain_diagnostics(mixed, "ebm")
    assert rhat[0] == pytest.approx([1, 1], abs=0.01)
    assert effective_size[0] == pytest.approx([8000, 8000], rel=0.15)
    rhat, effective_size = chain_diagnostics(mixed + torch.arange(8.0)[:, None], "ebm")
    assert rhat.min() > 1.5 and effective_size.max() < 20
    rho = 0.9  # of an autoregressive chain, whose samples are worth (1 - rho) / (1 + rho) of as many free ones
    chain = torch.zeros(5000, 1, 8, 2)
    for step in range(1, len(chain)):
        chain[step] = rho * chain[step - 1] + (1 - rho**2) ** 0.5 * torch.randn(1, 8, 2)
    assert chain_diagnostics(chain, "ebm")[1][0] == pytest.approx([40_000 / 19] * 2, rel=0.15)


def test_a_chain_that_never_moves_is_one_line() -> None:
    states = torch.randn(100, 3, 4, 2)
    states[:, 1, 2, 0] = 0.5
    with pytest.raises(InputError, match="ebm-plane: 1 of 12 chains never moved in 100 steps; raise"):
        chain_diagnostics(states, "ebm-plane")


def test_divergence_of_exact_draws_and_of_others() -> None:
    torch.manual_seed(0)
    nodes, n = 4 * BINS, 100_000
    weights = torch.rand(1, nodes, nodes).square()
    log_probability = (weights / weights.sum()).log()
    index = torch.multinomial(weights.flatten(), n, replacement=True)
    points = (torch.stack([index // nodes, index % nodes], -1) + torch.rand(n, 2)) * (2 / nodes) - 1
    floor = (BINS**2 - 1) / (2 * n)  # the mean of a histogram's own KL
    assert divergence(points[None], log_probability).item() == pytest.approx(floor, rel=0.5)
    left = torch.rand(1, n, 2) * torch.tensor([1.0, 2.0]) - 1
    flat = torch.full((1, nodes, nodes), -2 * math.log(nodes))
    assert divergence(left, flat).item() == pytest.approx(math.log(2), abs=0.01)
    assert divergence(2 * torch.rand(1, n, 2) - 1, flat).item() == pytest.approx(floor, rel=0.5)
