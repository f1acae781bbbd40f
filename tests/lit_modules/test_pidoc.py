from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import training_split
from scipy.stats import norm

from lit_modules.base import MIRRORS, random_symmetry
from lit_modules.networks.pidoc.encoder_decoder import log_sum
from lit_modules.networks.pidoc.statistics import map_statistics
from lit_modules.pidoc import (
    LitPidocAgeDistance,
    LitPidocMass,
    best_share,
    beta_nll,
    load_published,
)
from pipeline.errors import InputError


def mass_module(**changes: object) -> LitPidocMass:
    torch.manual_seed(1)
    values = {"width": 0.1, "uncertainty": True, "statistics": True, "beta": 0.5, "field_weight": 0.1}
    return LitPidocMass(**(values | {"lr": 1e-3, "statistics_lr": 1e-3, "weight_decay": 0.0} | changes))


def age_module(**changes: object) -> LitPidocAgeDistance:
    torch.manual_seed(1)
    values = {"width": 0.1, "uncertainty": True, "statistics": True, "dropout": 0.1, "beta": 0.5}
    return LitPidocAgeDistance(
        **(values | {"target_scaling": "separate", "lr": 1e-3, "statistics_lr": 1e-3, "weight_decay": 0.0} | changes)
    )


def maps(n: int, size: int = 160) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    flux = -5 + torch.randn(n, 1, size, size, generator=generator)
    label = torch.rand(n, 2, generator=generator)
    labels = {"age": 14 * label[:, 0], "distance": 5 + 105 * label[:, 1]}
    labels |= {"statistics": map_statistics(flux[:, 0]), "field": log_sum(flux + 4)}
    return {"flux": flux, "mass": flux + 4, **labels}


def stored(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With maps in half precision, as they lie on disk."""
    halves = {name: batch[name].half() for name in ("flux", "mass")}
    return {**batch, **halves, "field": log_sum(halves["mass"].float())}


def test_likelihood_is_scipys() -> None:
    error, sigma = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([0.5, 1.0, 3.0])
    expected = -norm(0, sigma).logpdf(error).mean() - 0.5 * np.log(2 * np.pi)
    assert beta_nll(error, sigma, 0.0).item() == pytest.approx(expected, rel=1e-6)


def test_beta_one_has_the_gradient_of_the_squared_error() -> None:
    mean = torch.tensor([0.3, -1.0, 2.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(beta_nll(mean, torch.tensor([0.1, 1.0, 7.0]), 1.0), mean)
    torch.testing.assert_close(gradient, mean.detach() / 3)


def test_all_eight_symmetries_move_both_maps_alike() -> None:
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    torch.manual_seed(1)
    seen = set()
    for _ in range(200):
        a, b = random_symmetry(x, 10 * x)
        assert torch.equal(b, 10 * a)
        seen.add(tuple(a.flatten().tolist()))
    assert len(seen) == 8
    assert all(sorted(view) == list(range(9)) and view[4] == 4 for view in seen)


def test_statistics_of_many_maps_are_numpys() -> None:
    batch = stored(maps(300, 32))
    module = mass_module()
    module.fit_statistics(training_split(batch))
    flux, mass = batch["flux"].double().numpy(), batch["mass"].double().numpy()
    assert module.net.flux_mean.item() == pytest.approx(flux.mean(), rel=1e-6)
    assert module.net.mass_std.item() == pytest.approx(mass.std(), rel=1e-6)
    means = flux.mean((1, 2, 3))
    np.testing.assert_allclose(module.flux_range[0], [means.min(), means.max()], rtol=1e-6)
    field = np.log10((10**mass).sum((1, 2, 3)))
    np.testing.assert_allclose(module.field_range, [field.min(), field.max()], rtol=1e-5)
    np.testing.assert_allclose([module.net.field_mean, module.net.field_std], [field.mean(), field.std()], rtol=1e-4)


def test_maps_with_nan_are_refused() -> None:
    batch = maps(2, 32)
    batch["flux"][1, 0, 3, 3] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        mass_module().fit_statistics(training_split(batch))


def test_published_scaling_is_joint() -> None:
    batch = maps(40)
    module = age_module(target_scaling="joint")
    module.fit_statistics(training_split(batch))
    pooled = torch.cat([batch["distance"], batch["age"]])
    torch.testing.assert_close(module.net.target_mean, pooled.mean().expand(2))
    torch.testing.assert_close(module.net.target_std, pooled.std(correction=0).expand(2))
    module = age_module()
    module.fit_statistics(training_split(batch))
    scaled = module.net.scale(batch["distance"], batch["age"])
    torch.testing.assert_close(scaled.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(2))


def test_field_loss_sees_the_summed_mass() -> None:
    """A map right in each pixel but for one factor is punished for its sum by the field's weight."""
    batch = maps(2, 32)
    light, heavy = (mass_module(field_weight=weight).eval() for weight in (0.0, 2.0))
    predicted = light(batch["flux"])
    error = log_sum(batch["mass"]) - predicted.field_log_mass
    expected = 2.0 * beta_nll(error, predicted.field_sigma, 0.0)
    torch.testing.assert_close(heavy.losses(batch)["loss"] - light.losses(batch)["loss"], expected)


@pytest.mark.parametrize(("make", "size"), [(mass_module, 32), (age_module, 160)])
@pytest.mark.parametrize("uncertainty", [True, False])
def test_calibrated_intervals_hold_68_per_cent(make, size: int, uncertainty: bool) -> None:
    batch = maps(120, size)
    module = make(uncertainty=uncertainty).eval()
    module.fit_statistics(training_split(batch))
    torch.manual_seed(1)
    before = module.train().losses(batch)["loss"].item()
    module.eval().calibrate(stored(batch))
    with torch.no_grad():
        for error, sigma in module.errors(batch, module.read(batch["flux"])):
            inside = (error.abs() <= sigma).double().mean().item()
            assert inside == pytest.approx(0.6827, abs=0.011)  # a map is 0.8 % of all; half precision moves one more
    torch.manual_seed(1)
    assert module.train().losses(batch)["loss"].item() == before  # training ignores it


@pytest.mark.parametrize(("make", "size"), [(mass_module, 32), (age_module, 160)])
def test_reading_turns_with_the_map(make, size: int) -> None:
    """The mean over all views is the same for each view, and the network itself is not; one asked once is itself."""
    flux, module = maps(2, size)["flux"], make().eval()
    with torch.no_grad():
        read, raw = module.read(flux), module(flux)
        assert not torch.allclose(read[0], raw[0], atol=1e-5)
        for mirror in MIRRORS:
            turned = module.read(mirror(flux))
            for one, other in zip(read, turned, strict=True):
                torch.testing.assert_close(mirror(other) if other.ndim == 4 else other, one, rtol=1e-4, atol=1e-5)
        module.symmetric = False
        torch.testing.assert_close(module.read(flux), raw)


def test_what_no_view_changes_is_read_once() -> None:
    """The answer is the mean of the answers to all eight views, though the statistics are taken of one."""
    batch, module = maps(20), age_module().eval()  # of two, some statistics hardly differ: their rounding would count
    module.fit_statistics(training_split(batch))
    flux = batch["flux"][:2]
    module.net.share.copy_(torch.tensor([0.3, 0.8]))
    views = [flux]
    for mirror in MIRRORS:
        views += [mirror(view) for view in views]
    taken = []
    module.net.perceptron.register_forward_hook(lambda *_: taken.append(1))
    with torch.no_grad():
        read = module.read(flux)
        assert taken == [1]
        for one, each in zip(read, zip(*(module(view) for view in views), strict=True), strict=True):
            torch.testing.assert_close(one, torch.stack(each).mean(0), rtol=1e-3, atol=1e-3)


def test_the_best_share_leaves_the_least_error() -> None:
    generator = torch.Generator().manual_seed(1)
    common, own, other = torch.randn(3, 500, 3, generator=generator)
    first, last = common + own, common + torch.tensor([1.0, 2.0, 0.0]) * other
    share = best_share(first, last)
    torch.testing.assert_close(share[:2], torch.tensor([0.5, 0.8]), atol=0.08, rtol=0)  # of independent errors
    assert share[2] == 0.0  # all that the first adds is its own error: -0.0 or so without the bound
    grid = torch.linspace(0, 1, 1001)[:, None, None]
    squares = (grid * first + (1 - grid) * last).square().mean(1)
    torch.testing.assert_close(share, grid[squares.argmin(0), 0, 0], atol=1e-3, rtol=0)


def test_calibration_trusts_whom_the_errors_favour() -> None:
    batch, module = maps(60), age_module().eval()
    module.fit_statistics(training_split(batch))
    torch.nn.init.normal_(module.net.out.weight, std=10.0)  # convolutions that talk nonsense
    torch.nn.init.zeros_(module.net.perceptron.out.weight)  # statistics that state the mean
    module.calibrate(batch)
    assert (module.net.share < 0.1).all()


def test_the_map_is_shifted_to_the_mean_of_both_sums() -> None:
    batch, module = maps(2, 32), mass_module().eval()
    module.fit_statistics(training_split(batch))
    module.net.share.fill_(0.25)
    with torch.no_grad():
        own, stated = module.net.convolved(batch["flux"]), module.net.perceived(batch["statistics"])
        answer = module(batch["flux"])
    mean = 0.25 * own.field_log_mass + 0.75 * stated.mean[:, 0]
    torch.testing.assert_close(answer.field_log_mass, mean)
    shift = (answer.log_mass - own.log_mass).flatten(1)
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-5, rtol=0)


def test_calibration_gives_the_field_the_better_estimate() -> None:
    batch, module = maps(60, 32), mass_module().eval()
    batch["mass"] += torch.randn(60, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    module.fit_statistics(training_split(batch))
    torch.nn.init.normal_(module.net.out.weight, std=10.0)  # convolutions that talk nonsense
    torch.nn.init.zeros_(module.net.perceptron.out.weight)  # statistics that state the mean
    module.calibrate(batch)
    assert module.net.share.item() < 0.1


def test_other_statistics_are_refused_in_one_line() -> None:
    batch = maps(2, 32)
    batch["statistics"] = batch["statistics"][:, 1:]
    with pytest.raises(InputError, match=r"statistics\.npy"):
        mass_module().fit_statistics(training_split(batch))


@pytest.mark.parametrize("make", [mass_module, age_module])
def test_each_parameter_has_one_rate(make) -> None:
    module = make(lr=4e-3, statistics_lr=1e-3)
    rest, perceptron = module.parameter_groups()
    everything = [id(p) for group in (rest, perceptron) for p in group["params"]]
    assert sorted(everything) == sorted(id(p) for p in module.parameters())
    assert perceptron["lr"] == 1e-3 and "lr" not in rest
    assert {id(p) for p in perceptron["params"]} == {id(p) for p in module.net.perceptron.parameters()}
    assert len(make(statistics=False).parameter_groups()) == 1


def test_double_precision_is_kept() -> None:
    batch = stored(maps(4, 32))
    module = mass_module().double().eval()
    module.average_statistics(batch["flux"])
    module.calibrate(batch)
    assert module.net.log_variance.dtype == torch.float64


def test_batch_statistics_are_those_of_the_training_maps() -> None:
    """Of the first normalisation: mean and variance over all maps of what the first convolution gives it."""
    flux = maps(2000, 32)["flux"].half()
    module = mass_module().eval()
    normalisation = module.net.down[0][2]
    normalisation.running_mean.fill_(7.0)
    module.average_statistics(flux)
    with torch.no_grad():
        x = module.net.down[0][1](module.net.down[0][0](flux[::2].float()))
    torch.testing.assert_close(normalisation.running_mean, x.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(normalisation.running_var, x.var((0, 2, 3)), rtol=0.02, atol=1e-5)  # within parts of 50
    assert not module.net.training


@pytest.mark.parametrize(("make", "size"), [(mass_module, 32), (age_module, 160)])
def test_training_learns_mean_and_spread(make, size: int) -> None:
    """Brightness tells the distance here: a few steps must beat the likelihood of knowing nothing, 1/2."""
    batch = maps(8, size)
    batch["flux"] = batch["flux"] - 3 * torch.log10(batch["distance"])[:, None, None, None]
    batch["age"] = batch["distance"] / 10
    batch["statistics"] = map_statistics(batch["flux"][:, 0])
    module = make()
    module.fit_statistics(training_split(batch))
    optimizer = torch.optim.Adam(module.parameter_groups(), 1e-2)
    for _ in range(25):
        optimizer.zero_grad()
        module.losses(batch)["loss"].backward()
        optimizer.step()
    assert module.losses(batch)["loss"].item() < 0.2


def test_authors_file_becomes_a_module(real_data: Path, tmp_path: Path) -> None:
    module = load_published(real_data / "pidoc_published/CNN_100.h5")
    assert isinstance(module, LitPidocAgeDistance) and not module.training
    reference = np.load(real_data / "pidoc_published/cnn_reference.npz")
    with torch.no_grad():
        distance, _ = module.net.unscale(module(torch.from_numpy(reference["log_flux"])[:, None]).mean)
    np.testing.assert_allclose(distance, reference["published_cnn_distance_kpc"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("content", [None, b"", b"no hdf5"])
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.h5"):
        load_published(path)
