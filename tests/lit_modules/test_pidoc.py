"""The two LightningModules of π-DOC: what they take from data, how they learn, and whether their intervals are true."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import maps_data
from torch import Tensor

from lit_modules.networks.maps.gaussian import Gaussian
from lit_modules.networks.maps.statistics import map_statistics
from lit_modules.networks.pidoc.losses import beta_nll
from lit_modules.networks.pidoc.mass_map import log_sum
from lit_modules.networks.symmetry import MIRRORS
from lit_modules.pidoc import LitPidoc, LitPidocAgeDistance, LitPidocMass, load_published
from pipeline.errors import InputError

COMMON = {"width": 0.1, "units": 16, "features": 16, "dropout": 0.1, "beta": 0.5, "lr": 1e-3, "weight_decay": 0.0}
Make = Callable[..., LitPidoc]


def mass_module(**changes: object) -> LitPidocMass:
    torch.manual_seed(1)
    return LitPidocMass(**({"network": "folded", **COMMON, "field_weight": 1.0, "statistics_lr": 1e-3} | changes))


def age_module(**changes: object) -> LitPidocAgeDistance:
    torch.manual_seed(1)
    return LitPidocAgeDistance(**({"network": "statistics", **COMMON} | changes))


MODULES = [
    (mass_module, {"network": "folded"}, 32),
    (mass_module, {"network": "published"}, 32),
    (age_module, {"network": "statistics"}, 160),
    (age_module, {"network": "published"}, 160),
]


def statistics_of(flux: Tensor, psf_sigma: float = 4.0) -> Tensor:
    """Of log10 flux maps (n, 1, size, size) without noise."""
    n = len(flux)
    return map_statistics(10 ** flux[:, 0], torch.full((n,), psf_sigma), torch.zeros(n))


def maps(n: int, size: int = 160) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    flux = -5 + torch.randn(n, 1, size, size, generator=generator)
    age, distance = torch.rand(2, n, generator=generator)
    labels = {"age": 14 * age, "distance": 5 + 105 * distance}
    return {
        "flux": flux,
        "mass": flux + 4,
        "statistics": statistics_of(flux),
        "field": log_sum(flux + 4),
        **labels,
    }


def test_statistics_of_many_maps_are_numpys() -> None:
    batch, module = maps(60, 32), mass_module()
    module.fit_statistics(maps_data(batch))
    flux, mass = batch["flux"].double().numpy(), batch["mass"].double().numpy()
    assert module.net.flux_mean.item() == pytest.approx(flux.mean(), rel=1e-6)
    assert module.net.mass_std.item() == pytest.approx(mass.std(), rel=1e-6)
    field = np.log10((10**mass).sum((1, 2, 3)))
    np.testing.assert_allclose(module.field_range, [field.min(), field.max()], rtol=1e-5)
    np.testing.assert_allclose([module.net.field_mean, module.net.field_std], [field.mean(), field.std()], rtol=1e-4)


def test_the_telescopes_go_into_the_checkpoint() -> None:
    data, module = maps_data(maps(2, 32), psf_sigma=3.0), mass_module()
    data.splits["train"]["looks"] = data.splits["train"]["looks"].repeat(1, 2, 1)
    data.splits["train"]["looks"][1, 1, :2] = torch.tensor([5.0, 1e-6])
    module.fit_statistics(data)
    again = mass_module()
    again.load_state_dict(module.state_dict())
    assert float(again.psf_sigma) == 3.0 and again.psf_range.tolist() == [3.0, 5.0]
    assert again.noise_range.tolist() == pytest.approx([-8.0, -6.0])


def test_maps_with_nan_are_refused() -> None:
    batch = maps(2, 32)
    batch["flux"][1, 0, 3, 3] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        mass_module().fit_statistics(maps_data(batch))


def test_other_statistics_are_refused_in_one_line() -> None:
    batch = maps(2, 32)
    batch["statistics"] = batch["statistics"][:, 1:]
    with pytest.raises(InputError, match=r"statistics\.npy"):
        mass_module().fit_statistics(maps_data(batch))


@pytest.mark.parametrize(("make", "changes", "size"), MODULES)
def test_forward_is_the_answer_to_a_batch(make: Make, changes: dict[str, object], size: int) -> None:
    batch, module = maps(3, size), make(**changes).eval()
    module.fit_statistics(maps_data(batch))
    found, expected = module(batch["flux"], batch["statistics"]), module.predict_step(batch, 0)
    if isinstance(module, LitPidocMass):
        assert found.pixels.mean.shape == batch["flux"].shape
        found, expected = found.pixels, expected.pixels
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.sigma, expected.sigma)


def test_field_loss_sees_the_summed_mass() -> None:
    batch = maps(2, 32)
    light, heavy = (mass_module(field_weight=weight).eval() for weight in (0.0, 2.0))
    expected = 2.0 * beta_nll(light(batch["flux"], batch["statistics"]).field, batch["field"])
    torch.testing.assert_close(heavy.losses(batch)["loss"] - light.losses(batch)["loss"], expected)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_loss_has_the_perceptrons_term(scale: float) -> None:
    """Its mean μ learns by the slope of w (x - μ)² / 2σ², and by nothing else: pixels take its mass as given."""
    batch, module = maps(4, 32), mass_module(field_weight=3.0, beta=0.0, dropout=0.0).train(scale == 1)
    batch |= {"flux": batch["flux"][:2], "mass": batch["mass"][:2]}  # fields are read of more maps than masses
    module.sigma_scale[1] = scale  # of evaluation only
    field = module.net(batch["flux"], batch["statistics"]).field
    (slope,) = torch.autograd.grad(module.losses(batch)["loss"], module.net.field_head.mean.bias)
    expected = -3.0 * ((batch["field"] - field.mean) / (scale * field.sigma) ** 2).mean()
    torch.testing.assert_close(slope[0], expected, rtol=1e-4, atol=1e-6)


def test_published_mass_network_learns_by_the_squared_error() -> None:
    batch, module = maps(4, 32), mass_module(network="published", field_weight=0.0, beta=1.0)
    module.fit_statistics(maps_data(batch))
    gradients = []
    for loss in (
        lambda: module.losses(batch)["loss"],
        lambda: 0.5 * (module.net(batch["flux"]).pixels.mean - batch["mass"]).square().mean(),
    ):
        torch.manual_seed(2)
        gradients.append(torch.autograd.grad(loss(), module.net.out.weight)[0])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


def test_published_scaling_is_joint() -> None:
    batch, module = maps(40, 32), age_module(network="published")
    module.fit_statistics(maps_data(batch))
    pooled = torch.cat([batch["distance"], batch["age"]])
    torch.testing.assert_close(module.net.targets.mean, pooled.mean().expand(2))
    torch.testing.assert_close(module.net.targets.std, pooled.std(correction=0).expand(2))


@pytest.mark.parametrize(("make", "changes", "size"), MODULES)
def test_calibrated_intervals_hold_68_per_cent(make: Make, changes: dict[str, object], size: int) -> None:
    batch, module = maps(120, size), make(**changes).eval()
    module.fit_statistics(maps_data(batch))
    torch.manual_seed(1)
    before = module.train().losses(batch)["loss"].item()
    halves = [{name: x[part] for name, x in batch.items()} for part in (slice(0, 60), slice(60, None))]
    module.eval().calibrate(halves)
    for k, z in enumerate(module.z(batch)):
        inside = (z.abs() <= module.sigma_scale[k] * (1 + 1e-5)).double().mean().item()
        assert inside == pytest.approx(0.6827, abs=0.009)  # a map is 0.8 % of all
    torch.manual_seed(1)
    assert module.train().losses(batch)["loss"].item() == before  # training ignores it


@pytest.mark.parametrize(("make", "changes", "size"), MODULES)
def test_training_learns_mean_and_spread(make: Make, changes: dict[str, object], size: int) -> None:
    """Brightness tells the distance here, and the mass of a pixel its flux: errors fall well below the spread."""
    batch = maps(8, size)
    blocks = torch.nn.functional.avg_pool2d(batch["flux"] + 5, size // 4) * (size // 4)  # clouds, not noise
    batch["flux"] = torch.nn.functional.interpolate(blocks, size=(size, size), mode="bilinear") - 5
    batch["mass"] = batch["flux"] + 4
    batch["field"] = log_sum(batch["mass"])
    batch["flux"] = batch["flux"] - 3 * torch.log10(batch["distance"])[:, None, None, None]
    batch["age"] = batch["distance"] / 10
    batch["statistics"] = statistics_of(batch["flux"])
    module = make(**changes)
    module.fit_statistics(maps_data(batch))
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    spread = batch["mass"].std() if isinstance(module, LitPidocMass) else batch["distance"].std()
    for _ in range(30):
        optimizer.zero_grad()
        losses = module.losses(batch)
        losses["loss"].backward()
        optimizer.step()
    error = losses["pixel_mae_dex"] if isinstance(module, LitPidocMass) else losses["distance_mae_kpc"]
    assert error < 0.6 * spread


def test_further_statistics_teach_the_field_alone() -> None:
    batch, module = maps(4, 32), mass_module(dropout=0.0)
    module.fit_statistics(maps_data(batch))
    few = {**batch, "flux": batch["flux"][:2], "mass": batch["mass"][:2]}
    first = {name: x[:2] for name, x in batch.items()}
    both = module.losses(few)
    torch.testing.assert_close(both["field_mae_dex"], module.losses(batch)["field_mae_dex"])
    torch.testing.assert_close(both["pixel_mae_dex"], module.losses(first)["pixel_mae_dex"])


def test_symmetries_reach_both_maps_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    module, picture = mass_module(), torch.arange(64.0).reshape(1, 1, 8, 8)
    seen: list[dict[str, Tensor]] = []
    monkeypatch.setattr(module, "losses", lambda batch: seen.append(batch) or {"loss": torch.zeros(())})
    monkeypatch.setattr(module, "log_dict", lambda *_, **__: None)
    torch.manual_seed(1)
    for _ in range(100):
        module.training_step({"flux": picture, "mass": 2 * picture}, 0)
    assert len({tuple(batch["flux"].flatten().tolist()) for batch in seen}) == 8
    assert all(torch.equal(batch["mass"], 2 * batch["flux"]) for batch in seen)


def test_distance_and_age_of_statistics_know_no_up() -> None:
    batch, module = maps(20), age_module().eval()
    module.fit_statistics(maps_data(batch))
    expected = module.predict_step(batch, 0).mean
    for mirror in MIRRORS:
        flux = mirror(batch["flux"])
        torch.testing.assert_close(module(flux, statistics_of(flux)).mean, expected, rtol=1e-2, atol=1e-2)


def test_each_parameter_of_the_mass_has_one_rate() -> None:
    module = mass_module(lr=4e-3, statistics_lr=1e-3)
    rest, perceptron = module.parameter_groups()
    everything = [id(p) for group in (rest, perceptron) for p in group["params"]]
    assert sorted(everything) == sorted(id(p) for p in module.parameters())
    assert perceptron["lr"] == 1e-3 and "lr" not in rest
    assert len(mass_module(network="published").parameter_groups()) == 1


def test_example_images_are_pictures() -> None:
    [grid] = mass_module().eval().example_images(maps(4, 32)).values()
    assert grid.shape == (1, 3 * 33 - 1, 4 * 33 - 1) and 0 <= grid.min() and grid.max() <= 1


def test_a_perfect_reader_has_its_dots_on_the_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, module = maps(20), age_module().eval()
    module.fit_statistics(maps_data(batch))
    truth = module.net.targets.scale(batch["distance"], batch["age"])
    monkeypatch.setattr(module, "predict_step", lambda *_: Gaussian(truth, torch.zeros_like(truth)))
    [grid] = module.example_images(batch).values()
    side = grid.shape[-2]
    for panel in (grid[0, :, :side], grid[0, :, side + 1 :]):
        rows, columns = (panel == 1).nonzero().unbind(1)
        assert len(rows) > 9 and ((side - 1 - rows - columns).abs() <= 2).all(), "dots are three pixels wide"


def test_authors_file_becomes_a_module(real_data: Path) -> None:
    module = load_published(real_data / "pidoc_published/CNN_100.h5")
    assert isinstance(module, LitPidocAgeDistance) and not module.training
    reference = np.load(real_data / "pidoc_published/cnn_reference.npz")
    with torch.no_grad():
        predicted = module.predict_step({"flux": torch.from_numpy(reference["log_flux"])[:, None]}, 0)
    distance, _ = module.net.targets.unscale(predicted.mean)
    np.testing.assert_allclose(distance, reference["published_cnn_distance_kpc"], rtol=0, atol=1e-3)
    kpc_and_gyr = predicted.sigma[0] * module.net.targets.std
    np.testing.assert_allclose(kpc_and_gyr, np.sqrt(np.pi / 2) * np.array([6.0, 1.5]), rtol=1e-5)


@pytest.mark.parametrize("content", [None, b"", b"no hdf5"])
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.h5"):
        load_published(path)
