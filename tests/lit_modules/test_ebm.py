"""LitEBM: the gradient of its chains is that of the exact likelihood, and it learns known densities."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from conftest import maps_data
from pydantic import ValidationError
from scipy.stats import norm
from torch import Tensor

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.clamping import Known
from lit_modules.networks.maps.statistics import LENGTH
from pipeline.errors import InputError

HPARAMS: dict[str, Any] = {
    "units": 64, "features": 64, "hidden": 64, "embedding": 16, "waves": 4,
    "latent_nodes": 8, "dropout": 0.0, "beta": 1.0, "distance_kpc": [1.0, 100.0], "age_gyr": [0.0, 14.0],
    "training": "metropolis", "chains": 8,
    "steps": 20, "jumps": 0.2, "nodes": 8, "lr": 1e-2, "weight_decay": 0.0,
}  # fmt: skip


def make(**changes: Any) -> LitEBM:
    torch.manual_seed(0)
    return LitEBM(**{**HPARAMS, **changes})


def labels(y: Tensor) -> dict[str, Tensor]:
    """Distance, age and a mass of points of the unit box, for the box of HPARAMS."""
    return {"distance": 10 ** (y[:, 0] + 1), "age": 7 * (y[:, 1] + 1), "field": 4 + y.sum(1)}


def train(model: LitEBM, statistics: Tensor, y: Tensor, steps: int, batch: int = 64) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=model.settings.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, model.settings.lr, total_steps=steps)
    data = {"statistics": statistics, **labels(y)}
    for _ in range(steps):
        rows = torch.randint(len(y), (batch,))
        loss = model.losses({name: tensor[rows] for name, tensor in data.items()})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def held_out_nll(model: LitEBM, statistics: Tensor, y: Tensor) -> float:
    model.eval()
    model.objective.settings = model.settings.model_copy(update={"nodes": 64})
    return model.losses({"statistics": statistics, **labels(y)})["nll"].item()


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_gradient_of_the_chains_is_that_of_the_exact_likelihood(beta: float) -> None:
    model = make(chains=2000, steps=40, beta=beta, nodes=64)
    y = torch.rand(4, 2) * 1.6 - 0.8
    train(model, torch.randn(4, LENGTH), y, 1, batch=4)  # off the symmetric start
    batch = {"statistics": torch.randn(4, LENGTH), **labels(y)}
    parameters = [p for part in (model.net.encoder, model.net.embed, model.net.embed_y) for p in part.parameters()]
    exact = torch.autograd.grad(model.nll(model.context(batch["statistics"]), y).mean(), parameters)
    losses = model.losses(batch)
    sampled = torch.autograd.grad(losses["nll"], parameters)
    exact, sampled = (torch.cat([g.flatten() for g in gradient]) for gradient in (exact, sampled))
    assert ((sampled - exact).norm() / exact.norm()).item() < 0.05


def test_the_loss_is_the_exact_likelihood_in_value() -> None:
    model, statistics, y = make(nodes=64), torch.randn(6, LENGTH), torch.rand(6, 2)
    trained = model.losses({"statistics": statistics, **labels(y)})["nll"].item()
    exact = model.nll(model.context(statistics), y).mean().item()
    assert trained == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("training", ["exact", "metropolis", "nce"])
def test_each_way_to_train_learns_which_map_shows_what(training: str) -> None:
    """Two kinds of map, two places; ln 4 = 1.39 is what ignorance scores."""
    torch.manual_seed(1)
    kind = torch.randint(2, (2000, 1)) * 2.0 - 1
    y, statistics = 0.5 * kind + 0.1 * torch.randn(2000, 2), kind.expand(-1, LENGTH)
    model = make(training=training, nodes=16)
    train(model, statistics, y, 150)
    entropy = math.log(2 * math.pi * math.e * 0.1**2)
    assert held_out_nll(model, statistics, y) == pytest.approx(entropy, abs=0.15)


def test_chains_that_go_on_from_one_map_to_another_are_refused() -> None:
    """They lag behind: on two kinds of map they diverged."""
    with pytest.raises(ValidationError, match="training"):
        make(training="persistent")


def test_an_energy_that_is_not_finite_is_one_line() -> None:
    model = make()
    with torch.no_grad():
        model.net.embed.weight.fill_(torch.nan)
    with pytest.raises(InputError, match=r"ebm: .*not finite"):
        model.losses({"statistics": torch.randn(2, LENGTH), **labels(torch.zeros(2, 2))})


def test_the_posterior_is_normalised() -> None:
    model = make()
    log_density = model.log_posterior(model.context(torch.randn(3, LENGTH)), 20)
    assert log_density.exp().mean((1, 2)).tolist() == pytest.approx([0.25] * 3)


def calibrated(**changes: Any) -> LitEBM:
    """One whose energies differ much from place to place, and whose temperature is not 1."""
    model = make(**changes).double().eval()
    with torch.no_grad():
        model.net.embed.weight.mul_(40)
        model.net.ratio_std.fill_(0.2)
        model.temperature.fill_(1.5)
        model.mass_scale.fill_(1.2)
    return model


@torch.no_grad()
def test_the_joint_energy_integrated_over_the_mass_is_the_posterior_of_distance_and_age() -> None:
    model, nodes = calibrated(), 8
    context = model.context(torch.randn(2, LENGTH, dtype=torch.float64))
    expected = model.log_posterior(context, nodes).exp().flatten(1)
    assert (expected.amax(1) > 3 * expected.mean(1)).all()
    y = unit_grid(nodes).double()
    given = model.mass_given(context, y)
    log_mass = (given.mean[..., None] + torch.linspace(-12, 12, 401) * given.sigma.amax()).double()
    points = torch.cat([y[:, None].expand(2, -1, 401, -1), log_mass[..., None]], -1)
    energies = model.joint_energy(context, points.flatten(1, 2)).unflatten(1, (nodes**2, -1))
    found = torch.trapezoid((-energies).exp(), log_mass, dim=-1)
    found = found / found.mean(1, keepdim=True) / 4
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@torch.no_grad()
def test_the_mass_given_distance_and_age_is_the_slice_of_the_joint_energy() -> None:
    model = calibrated()
    context = model.context(torch.randn(3, LENGTH, dtype=torch.float64))
    y = (torch.rand(3, 5, 2, dtype=torch.float64) * 2 - 1)[:, :, None].expand(-1, -1, 2001, -1)
    given = model.mass_given(context, y[:, :, 0])
    log_mass = given.mean[..., None] + torch.linspace(-8, 8, 2001).double() * given.sigma[..., None]
    points = torch.cat([y, log_mass[..., None]], -1).flatten(1, 2)
    probability = torch.softmax(-model.joint_energy(context, points).unflatten(1, (5, -1)), -1)
    mean = (probability * log_mass).sum(-1)
    torch.testing.assert_close(mean, given.mean.double(), rtol=0, atol=1e-6)
    variance = (probability * (log_mass - mean[..., None]) ** 2).sum(-1)
    torch.testing.assert_close(variance.sqrt(), given.sigma.double(), rtol=1e-4, atol=0)


@torch.no_grad()
def test_chains_are_kept_in_the_box_of_distance_and_age_alone() -> None:
    model = calibrated()
    y = torch.tensor([[0.0, 0.0, 99.0], [1.1, 0.0, 4.0], [0.0, -1.1, 4.0]]).double()
    finite = model.joint_energy(model.context(torch.randn(2, LENGTH).double()), y).isfinite()
    assert finite.tolist() == [[True, False, False]] * 2


@torch.no_grad()
def test_clamped_posterior_is_the_joint_one_weighted_by_what_is_known() -> None:
    """Samples of the posterior, weighted by the likelihood of a measured age, against the grid."""
    model, nodes = calibrated(), 40
    log_density = model.log_posterior(model.context(torch.randn(1, LENGTH).double()), nodes)
    _, age = model.from_box(unit_grid(nodes).double())
    found = log_density - Known(9.0, 1.5).energy(age).unflatten(0, (nodes, nodes))
    torch.manual_seed(0)
    drawn = torch.multinomial(log_density.exp().flatten(), 400_000, replacement=True)
    weight = torch.from_numpy(norm.pdf(9.0, loc=age[drawn].numpy(), scale=1.5))
    expected = (weight * age[drawn]).sum() / weight.sum()
    prior = age[drawn].mean()
    mean = (found.exp().flatten() * age).sum() / found.exp().sum()
    assert (expected - prior).abs() > 0.3
    assert mean.item() == pytest.approx(expected.item(), abs=0.02)


@torch.no_grad()
def test_temperature_and_width_of_labels_that_were_drawn_hotter_and_wider() -> None:
    """Labels of distance and age from P^(1/2), masses from a Gaussian three times as wide."""
    torch.manual_seed(0)
    model, statistics, n = make(nodes=24).eval(), torch.randn(3000, LENGTH), 24
    model.net.embed.weight.mul_(8)
    context = model.context(statistics)
    energies = model.energy(context)(unit_grid(n))
    y = unit_grid(n)[torch.multinomial((-energies / 2).softmax(1), 1)[:, 0]]
    given = model.mass_given(context, y[:, None])[:, 0]
    log_mass = given.mean + 3 * given.sigma * torch.randn(len(y))
    model.calibrate(statistics, *model.from_box(y), log_mass)
    assert model.temperature.item() == pytest.approx(2.0, rel=0.05)
    assert model.mass_scale.item() == pytest.approx(3.0, rel=0.05)
    within = model.mass_given(context, y[:, None])[:, 0].z(log_mass).abs() <= 1
    assert within.float().mean().item() == pytest.approx(0.6827, abs=0.002)
    density = model.log_posterior(context, n).flatten(1).exp() / n**2 * 4
    torch.testing.assert_close(density, (-energies / 2).softmax(1), rtol=0.2, atol=1e-4)


def test_a_mass_that_light_tells_is_learned() -> None:
    """M/L rises with age; the light is a statistic, and distance and age are given: 0.1 dex are left."""
    torch.manual_seed(0)
    n = 3000
    statistics, y = torch.zeros(n, LENGTH), torch.rand(n, 2) * 1.8 - 0.9
    statistics[:, -3] = torch.randn(n) - 5
    data = {"statistics": statistics, **labels(y)}
    light = statistics[:, -3] + torch.log10(4 * math.pi * data["distance"] ** 2)
    data["field"] = light + 0.1 * data["age"] - 0.4 + 0.1 * torch.randn(n)
    model = make(training="exact")
    model.net.fit(statistics, data["distance"].log10(), data["field"])
    optimizer = torch.optim.AdamW(model.net.parameters(), lr=3e-3)
    for _ in range(300):
        rows = torch.randint(n, (128,))
        loss = model.losses({name: x[rows] for name, x in data.items()})["mass_nll"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        given = model.mass_given(model.context(statistics), y[:, None])[:, 0]
        nll = model.losses(data)["mass_nll"].item()
    entropy = math.log(math.sqrt(2 * math.pi * math.e) * 0.1)
    expected = -norm.logpdf(data["field"], given.mean, given.sigma).mean()
    assert nll == pytest.approx(expected, abs=1e-4)
    assert entropy - 0.15 < nll < entropy + 0.15


def test_box_and_back() -> None:
    model = make()
    distance, age = torch.tensor([1.0, 10.0, 100.0]), torch.tensor([0.0, 3.5, 14.0])
    y = model.to_box(distance, age)
    torch.testing.assert_close(y, torch.tensor([[-1.0, -1.0], [0.0, -0.5], [1.0, 1.0]]))
    for found, expected in zip(model.from_box(y), (distance, age), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mistake", ["far", "old", "nan"])
def test_data_that_cannot_be_learned_from_are_named(mistake: str) -> None:
    tensors = {"flux": torch.zeros(2, 1, 8, 8), "statistics": torch.randn(2, LENGTH), **labels(torch.zeros(2, 2))}
    tensors[{"far": "distance", "old": "age", "nan": "flux"}[mistake]][1] = torch.nan if mistake == "nan" else 200.0
    with pytest.raises(InputError, match="pixels" if mistake == "nan" else "distance_kpc and age_gyr"):
        make().fit_statistics(maps_data(tensors))


def test_training_draws_no_maps() -> None:
    data = maps_data(
        {"statistics": torch.randn(2, LENGTH), "flux": torch.zeros(2, 1, 8, 8), **labels(torch.zeros(2, 2))}
    )
    make().fit_statistics(data)
    assert data.maps == ()


@torch.no_grad()
def test_forward_is_the_answer_to_a_batch() -> None:
    model, statistics = make().eval(), torch.randn(2, LENGTH)
    torch.testing.assert_close(model(statistics), model.predict_step({"statistics": statistics}, 0))


def eight_gaussians(n: int, seed: int) -> Tensor:
    """Centres on a circle of radius 4/√2, σ = 0.5/√2 (the usual toy), the plane shrunk by 4."""
    rng = np.random.default_rng(seed)
    angle = rng.integers(8, size=n) * math.pi / 4
    points = 4 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.5 * rng.standard_normal((n, 2))
    return torch.from_numpy(points / 1.414 / 4).float()


@pytest.mark.slow
def test_eight_gaussians_to_near_their_entropy() -> None:
    """2.8319 nats in the usual units is what no model beats; no map tells them apart."""
    y, held_out = eight_gaussians(20_000, 0), eight_gaussians(2000, 1)
    keep = held_out.abs().amax(1) <= 1
    y, held_out = y[y.abs().amax(1) <= 1], held_out[keep]
    model = make()
    train(model, torch.zeros(len(y), LENGTH), y, 600)
    nll = held_out_nll(model, torch.zeros(len(held_out), LENGTH), held_out) + 2 * math.log(4)
    assert 2.8319 - 0.06 < nll < 2.8319 + 0.06


@pytest.mark.slow
def test_one_picture_two_answers() -> None:
    """A map shows |y1| + noise: the posterior has two modes, and its entropy is known by quadrature."""
    sigma = 0.1
    u = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    t = torch.linspace(-0.6, 1.6, 1101, dtype=torch.float64)
    likelihood = torch.exp(-((t[:, None] - u.abs()) ** 2) / (2 * sigma**2)) / math.sqrt(2 * math.pi) / sigma
    joint = likelihood / 2  # density of (t, u), u uniform in [-1, 1]
    marginal = joint.mean(1, keepdim=True) * 2
    entropy = -(torch.special.xlogy(joint, joint) - torch.special.xlogy(joint, marginal)).mean() * 2 * 2.2
    entropy = entropy.item() + math.log(2)  # the age is uniform and never seen
    assert entropy < 0.4 < math.log(4) - 0.9

    def draw(n: int) -> tuple[Tensor, Tensor]:
        y = torch.rand(n, 2) * 2 - 1
        return (y[:, :1].abs() + sigma * torch.randn(n, 1)).expand(-1, LENGTH), y

    torch.manual_seed(0)
    model = make()
    train(model, *draw(20_000), 800)
    nll = held_out_nll(model, *draw(2000))
    assert entropy - 0.06 < nll < entropy + 0.06


def test_truth_is_marked_where_the_posterior_of_a_perfect_reader_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red pixels lie about the bright ones: distance to the right, age upwards."""
    model = make(beta=1.0).eval()
    y = torch.tensor([[-0.8, 0.7], [0.7, -0.6], [0.0, 0.0], [0.5, 0.9]])

    def peak_at_truth(context: Any, nodes: int) -> Tensor:
        return -(unit_grid(nodes) - y[:, None]).square().sum(-1).unflatten(-1, (nodes, nodes)) / 0.02

    monkeypatch.setattr(model, "log_posterior", peak_at_truth)
    batch = {"statistics": torch.zeros(4, LENGTH), **labels(y)}
    with torch.no_grad():
        [picture] = model.example_images(batch).values()
    assert picture.shape == (3, 64, 4 * 65 - 1)
    for panel, (right, up) in zip(picture.unfold(2, 64, 65).unbind(2), y.tolist(), strict=True):
        red = (panel[0] == 1) & (panel[1] == 0)
        bright = panel[1] > 0.5
        assert red.sum() == 9
        for marked in (red, bright):
            row, column = marked.nonzero().float().mean(0).tolist()
            assert column == pytest.approx((right + 1) * 32, abs=2) and row == pytest.approx((1 - up) * 32, abs=2)
