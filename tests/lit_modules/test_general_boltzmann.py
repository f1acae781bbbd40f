"""The general machine's LightningModule: its phases against enumeration, its likelihood, and what it recalls."""

import math

import pytest
import torch
from test_lit_boltzmann import SIZE, curves_of, discs, fit, make
from torch import Tensor

from lit_modules.networks.boltzmann.pixels import stretch
from lit_modules.networks.boltzmann.restricted import all_states


def test_the_negative_phase_is_as_cold_as_the_machine() -> None:
    """22 units: too many to be summed in training, few enough for the pixels' states to be summed here."""
    module = make("boltzmann", size=4, hidden=6, chains=500)
    module.net.start_from(torch.linspace(0.2, 0.8, 16))
    assert not module.net.enumerable
    states, found = all_states(16), []
    with torch.no_grad():
        module.net.upper.normal_(std=1.0)
        free_energies = module.net.free_energy(states)
        exact, log_z = (
            float(torch.softmax(-free_energies, 0) @ free_energies),
            float(torch.logsumexp(-free_energies, 0)),
        )
        reheated = float(torch.softmax(-module.net.free_energy(states, 0.5), 0) @ free_energies)
        for step in range(30):
            samples, share = module.samples(states[:2])
            if step >= 10:
                found.append(float(share @ module.net.free_energy(samples)))
    assert sum(found) / len(found) == pytest.approx(exact, abs=0.1)
    assert reheated > exact + 1
    assert float(module.log_partition()) == pytest.approx(log_z, abs=0.2)


def test_few_units_are_summed() -> None:
    """Bars of 3 x 3 pixels: the energy gap has the gradient of the exact likelihood."""
    module = make("boltzmann", size=3, hidden=4, levels=1)
    data = all_states(9)[[73, 146, 292]]
    samples, share = module.samples(data)
    gap = module.net.free_energy(data).mean() - share @ module.net.free_energy(samples)
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 9)
    likelihood = -module.net.free_energy(data).mean() - torch.logsumexp(-module.net.free_energy(states), 0)
    [sampled], [exact] = (torch.autograd.grad(x, [module.net.upper]) for x in (gap, -likelihood))
    assert torch.allclose(sampled, exact, atol=1e-6) and float(exact.abs().max()) > 0.01
    assert module.states is None
    log_z = torch.logsumexp(-module.net.free_energy(states), 0).item()
    assert float(module.log_partition()) == pytest.approx(log_z)


def test_the_curves_show_the_likelihood_and_recall_learns_that_clusters_are_round() -> None:
    module = make("boltzmann", lr=0.3)
    rows = curves_of(module, 12)
    assert set(rows[-1]) == {
        *(f"val/{name}" for name in ("log_likelihood", "free_energy_gap", "recall_mse")),
        *(f"train/{name}" for name in ("log_likelihood", "energy_gap")), "epoch",
    }  # fmt: skip
    assert rows[-1]["val/log_likelihood"] > independent_pixels(module.net.offset, module) + 10
    module.eval()
    torch.manual_seed(0)
    grey, known = stretch(discs(32, 9)), module.left_half
    mean = stretch(discs(32, 0)).mean(0)
    assert known.view(SIZE, SIZE)[:, : SIZE // 2].all() and known.sum() == SIZE * SIZE // 2

    def error(answer: Tensor) -> float:
        return float((answer - grey)[:, ~known].square().mean().sqrt())

    assert error(module.recall(grey, known)) < 0.4 * error(mean)
    dirty = torch.where(torch.rand_like(grey) < 0.2, torch.rand_like(grey), grey)
    assert error(module.clean(dirty, 0.2)) < 0.5 * error(dirty)


def independent_pixels(mean: Tensor, module: object) -> float:
    shapes = module.shapes(stretch(discs(32, 1)))  # type: ignore[attr-defined]
    return float(torch.distributions.Bernoulli(mean).log_prob(shapes).sum(1).mean())


def test_recall_never_sees_the_other_half() -> None:
    module = make("boltzmann").eval()
    grey, known = stretch(discs(4, 0)), module.left_half
    scrambled = torch.where(known, grey, torch.rand_like(grey))
    torch.manual_seed(0)
    honest = module.recall(grey, known)
    torch.manual_seed(0)
    assert torch.equal(module.recall(scrambled, known), honest)
    assert torch.allclose(honest[:, known], grey[:, known], atol=1 / 16)  # half a step of 8 levels


def test_forward_keeps_the_left_half_and_recalls_the_right() -> None:
    module, images = make("boltzmann").eval(), discs(4, 0)
    grey, known = stretch(images), module.left_half
    torch.manual_seed(0)
    answer = module(images)
    torch.manual_seed(0)
    recalled = module.recall(grey, known)
    assert torch.equal(answer[:, known], grey[:, known])
    assert torch.equal(answer[:, ~known], recalled[:, ~known])


def test_isophotes_are_at_all_levels() -> None:
    module = make("boltzmann")
    fit(module, 1)
    grey = torch.linspace(0, 1, SIZE**2)[None]
    assert torch.allclose(module.shapes(grey).mean(0), grey[0], atol=1 / 16)
    drawn = torch.stack([module.shapes(grey, torch.rand(1, 8, 1)).mean(0) for _ in range(400)])
    assert torch.allclose(drawn.mean(0), grey[0], atol=4 / 8 / math.sqrt(400))
