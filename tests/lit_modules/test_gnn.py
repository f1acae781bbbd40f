"""The graph network learns a force law, and takes several steps as it says."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lit_modules.gnn import LitGNN, pseudo_huber
from pipeline.errors import InputError
from pipeline.simulation.nbody.integrators import integrate

SETTINGS: dict[str, Any] = {
    "layers": 2, "hidden": 16, "filter": "linear", "coefficients": 4, "attribute": "none", "velocities": False,
    "environment": 0, "symmetric": True, "shared": True, "velocity_weight": 0.1, "delta": None, "lr": 1e-2,
    "weight_decay": 0.0,
}  # fmt: skip


def training(groups: list[dict[str, torch.Tensor]], units: Any = None) -> Any:
    """As much of the data module as ``fit_statistics`` reads."""
    return SimpleNamespace(windows=lambda split: groups, units=units)


def windows(systems: int, steps: int) -> dict[str, torch.Tensor]:
    """Four stars of mass 1, softening 0.5, output step 0.3."""
    x, v = np.random.default_rng(0).standard_normal((2, systems, 4, 3))
    path = integrate(x, 0.3 * v, 1.0, dt=0.3, steps=steps, substeps=10, softening=0.5)
    position, velocity = (torch.tensor(p).float() for p in path)
    return {"position": position, "velocity": velocity, "time": 0.3 * torch.arange(steps + 1.0).expand(systems, -1)}


def test_it_finds_the_force_law() -> None:
    torch.manual_seed(0)
    module, data = LitGNN(**{**SETTINGS, "velocity_weight": 1.0}), windows(512, 1)
    module.fit_statistics(training([data]))
    optimizer = torch.optim.AdamW(module.parameters(), lr=SETTINGS["lr"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, SETTINGS["lr"], total_steps=400)
    for _ in range(400):
        rows = torch.randint(512, (64,))
        optimizer.zero_grad()
        module.losses({name: tensor[rows] for name, tensor in data.items()})["loss"].backward()
        optimizer.step()
        schedule.step()
    r = torch.linspace(0.5, 3.0, 20)
    two = torch.zeros(20, 2, 3)
    two[:, 1, 0] = r
    with torch.no_grad():
        pull = module.net.acceleration(two, torch.zeros_like(two))
    assert torch.allclose(pull[:, 0, 0], r / (r**2 + 0.25) ** 1.5, rtol=0.1, atol=0.01)
    assert torch.allclose(pull[:, 0], -pull[:, 1], atol=1e-6)


def test_several_steps_are_the_mean_of_single_ones() -> None:
    torch.manual_seed(0)
    module, batch = LitGNN(**SETTINGS), windows(8, 3)
    module.fit_statistics(training([batch]))
    losses = module.losses(batch)
    with torch.no_grad():
        positions, velocities = module.net.rollout(batch["position"][:, 0], batch["velocity"][:, 0], None, 3)
        expected = (positions - batch["position"])[:, 1:].square().mean()
    assert losses["position_mse"].item() == pytest.approx(float(expected), rel=1e-5)
    scaled = (expected + 0.1 * 0.3**2 * (velocities - batch["velocity"])[:, 1:].square().mean()) / module.motion**2
    assert losses["loss"].item() == pytest.approx(float(scaled), rel=1e-5)


def test_an_error_of_a_system_counts_as_far_as_it_is() -> None:
    """The pseudo-Huber loss of each system and step, by numpy in double precision."""
    module, batch = LitGNN(**{**SETTINGS, "delta": 0.02}), windows(8, 2)
    module.fit_statistics(training([batch]))
    with torch.no_grad():
        positions, velocities = module.net.rollout(batch["position"][:, 0], batch["velocity"][:, 0], None, 2)
    position, velocity = (
        np.square(found.double().numpy() - batch[name].double().numpy())[:, 1:].mean((2, 3))
        for name, found in (("position", positions), ("velocity", velocities))
    )
    square = (position + 0.1 * 0.3**2 * velocity) / float(module.motion) ** 2
    expected = np.hypot(np.sqrt(square), 0.02) - 0.02
    assert module.losses(batch)["loss"].item() == pytest.approx(expected.mean(), rel=1e-4)


@pytest.mark.parametrize(("square", "expected"), [(1e-12, 1e-12 / 0.02), (1e4, 100 - 0.01)])
def test_pseudo_huber_loss_is_a_square_near_zero_and_a_distance_far_from_it(square: float, expected: float) -> None:
    assert pseudo_huber(torch.tensor(square), 0.01).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"position": 0.0}, "positions of its stars are 0 "),
        ({"position": 1e30}, "positions of its stars are inf "),
        ({"velocity": 0.0}, "motions in a step of its stars are 0 "),
        ({"velocity": 1e-30}, "motions in a step of its stars are 0 "),
    ],
)
def test_stars_that_cannot_be_learned_from_are_refused(change: dict[str, float], words: str) -> None:
    batch = windows(8, 1)
    batch |= {name: factor * batch[name] for name, factor in change.items()}
    with pytest.raises(InputError, match=words):
        LitGNN(**SETTINGS).fit_statistics(training([batch]))


def test_no_gradient_passes_from_a_step_to_the_step_before() -> None:
    """The first step is right, so that a gradient at the start could only come from the second."""
    torch.manual_seed(0)
    module, batch = LitGNN(**SETTINGS), windows(8, 2)
    with torch.no_grad():
        first = module(batch["position"][:, 0], batch["velocity"][:, 0])
    for name, value in zip(("position", "velocity"), first, strict=True):
        batch[name][:, 1] = value
        batch[name].requires_grad_()
    second = module.losses(batch)
    second["loss"].backward()
    assert second["loss"] > 0
    weight = module.net.weights[0].mlp[0].weight
    assert weight.grad is not None and weight.grad.abs().sum() > 0
    assert torch.allclose(batch["position"].grad[:, 0], torch.zeros(()), atol=1e-6)  # type: ignore[index]


def test_units_come_from_the_training_split() -> None:
    module, batch = LitGNN(**SETTINGS), windows(64, 1)
    module.fit_statistics(training([{**batch, "position": batch["position"] + 100.0}]))
    assert module.net.time == pytest.approx(0.3)
    assert module.net.size == pytest.approx(float(batch["position"].std()), rel=0.5)
    assert module.motion == pytest.approx(float((batch["position"][:, 1] - batch["position"][:, 0]).std()), rel=0.2)


@pytest.mark.parametrize(("wanted", "extra"), [("none", "mass"), ("mass", None), ("charge", "mass")])
def test_attributes_of_module_and_data_agree(wanted: str, extra: str | None) -> None:
    module, batch = LitGNN(**{**SETTINGS, "attribute": wanted}), windows(4, 1)
    if extra:
        batch[extra] = torch.ones(4, 4)
    with pytest.raises(InputError, match=r"gnn\.model\.attribute"):
        module.fit_statistics(training([batch]))


def test_auto_is_what_the_data_have() -> None:
    torch.manual_seed(0)
    module, batch = LitGNN(**{**SETTINGS, "attribute": "auto"}), windows(8, 1)
    module.fit_statistics(training([batch]))
    assert module.settings.attribute == "none" and module.hparams["attribute"] == "none"
    expected = LitGNN(**SETTINGS).state_dict()
    assert {name: x.shape for name, x in module.state_dict().items()} == {name: x.shape for name, x in expected.items()}
    module = LitGNN(**{**SETTINGS, "attribute": "auto"})
    module.fit_statistics(training([{**batch, "mass": torch.rand(8, 4) + 1}]))
    assert module.settings.attribute == "mass"
    assert LitGNN(**module.hparams).load_state_dict(module.state_dict())


def test_ranges_are_those_of_the_training() -> None:
    small, large = windows(8, 1), windows(5, 1)
    small = {name: tensor[:, :, :3] if tensor.ndim == 4 else tensor for name, tensor in small.items()}
    masses = [torch.rand(8, 3) + 1, torch.rand(5, 4) + 1]
    module = LitGNN(**{**SETTINGS, "attribute": "mass"})
    module.fit_statistics(training([{**group, "mass": m} for group, m in zip((small, large), masses, strict=True)]))
    pairs, speeds = [], []
    for group in (small, large):
        for x, v in zip(
            group["position"][:, 0].double().numpy(), group["velocity"][:, 0].double().numpy(), strict=True
        ):
            pairs += [np.linalg.norm(x[i] - x[j]) for i in range(len(x)) for j in range(i)]
            speeds += np.linalg.norm(v - v.mean(0), axis=1).tolist()
    assert module.distance_range.tolist() == pytest.approx([min(pairs), max(pairs)], rel=1e-5)
    assert module.speed_range.tolist() == pytest.approx([min(speeds), max(speeds)], rel=1e-5)
    assert module.stars_range.tolist() == [3, 4]
    every = torch.cat([m.flatten() for m in masses])
    assert module.attribute_range.tolist() == [every.min(), every.max()]
    centred = [(x := group["position"]) - x.mean(2, keepdim=True) for group in (small, large)]
    size = np.sqrt(np.mean(np.concatenate([x.numpy().ravel() for x in centred]) ** 2))
    assert float(module.net.size) == pytest.approx(size, rel=1e-5), "over all stars of both groups"
    module = LitGNN(**SETTINGS)
    module.fit_statistics(training([small, large], SimpleNamespace(total_mass=12.0, length_unit="N-body unit")))
    assert module.attribute_range.tolist() == [3, 4]


def test_rollouts_of_a_perfect_network_are_white(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracks of the network alone are orange, of the simulation alone blue; both together make white."""
    module, path = LitGNN(**SETTINGS), windows(3, 6)
    batch = {  # windows of a step, as the data module cuts them
        name: tensor.unfold(1, 2, 1).movedim(-1, 2).flatten(0, 1) for name, tensor in path.items()
    }
    module.fit_statistics(training([batch]))

    def simulated(position: torch.Tensor, velocity: torch.Tensor, attribute: Any, steps: int) -> Any:
        assert steps == 6 and torch.equal(position, path["position"][:, 0])
        return path["position"], path["velocity"]

    colours = {}
    for kind in ("perfect", "own"):
        if kind == "perfect":
            monkeypatch.setattr(module.net, "rollout", simulated)
        else:
            monkeypatch.undo()
        with torch.no_grad():
            [picture] = module.example_images(batch).values()
        assert picture.shape == (3, 240, 3 * 241 - 1)
        red, _, blue = picture
        colours[kind] = float((red - blue).abs().mean())
    assert colours["perfect"] == 0 and colours["own"] > 0.001
