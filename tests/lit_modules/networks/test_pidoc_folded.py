"""The folded mass network: shapes, symmetries of its graph, gradients, and what its statistics tell."""

import pytest
import torch
from torch import Tensor

from lit_modules.networks.maps.encoder import MapEncoder
from lit_modules.networks.maps.settings import EncoderSettings
from lit_modules.networks.maps.statistics import LENGTH
from lit_modules.networks.pidoc.distance_age import StatisticsReader, Targets
from lit_modules.networks.pidoc.folded import FoldedUNet
from lit_modules.networks.pidoc.mass_map import log_sum
from lit_modules.networks.pidoc.settings import AgeDistanceSettings, MassSettings


def small_encoder(units: int, dropout: float) -> MapEncoder:
    return MapEncoder(EncoderSettings.model_construct(units=units, features=units, dropout=dropout))


def folded(**changes: object) -> FoldedUNet:
    torch.manual_seed(1)
    values = {"width": 0.25, "units": 16, "features": 16, "dropout": 0.2}
    net = FoldedUNet(MassSettings.model_construct(**(values | changes)))
    net.mass_std.fill_(0.5)
    net.field_mean.fill_(3.5)
    net.field_std.fill_(0.4)
    return net


def maps(n: int = 2, height: int = 48, width: int = 32) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randn(n, 1, height, width), torch.randn(n, LENGTH)


def disturb(net: torch.nn.Module) -> None:
    """Weights that start at zero are moved: nothing is hidden behind them."""
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.1 * torch.randn_like(weight)


def test_shapes() -> None:
    flux, statistics = maps()
    mass = folded()(flux, torch.cat([statistics, statistics]))
    assert mass.pixels.mean.shape == mass.pixels.sigma.shape == flux.shape
    assert mass.field.mean.shape == mass.field.sigma.shape == (4,)


def test_fresh_network_states_the_spread_of_its_targets() -> None:
    mass = folded()(*maps())
    torch.testing.assert_close(mass.pixels.sigma, torch.full_like(mass.pixels.sigma, 0.5))
    torch.testing.assert_close(mass.field.sigma, torch.full_like(mass.field.sigma, 0.4))


def test_the_sum_of_the_map_is_the_mass_in_the_field() -> None:
    net = folded().eval()
    disturb(net)
    mass = net(*maps())
    torch.testing.assert_close(log_sum(mass.pixels.mean), mass.field.mean)
    torch.testing.assert_close(log_sum(mass.pixels.mean), (10**mass.pixels.mean).sum((1, 2, 3)).log10())


def test_a_map_moved_by_the_coarsest_pixel_moves_its_masses() -> None:
    """Away from the edges, and up to the sum: 4 pixels of a block times 4 of two poolings."""
    net = folded().eval()
    disturb(net)
    net.unet.apply(normalise_by_nothing)  # the moments of a whole map know its edges
    (flux, statistics), moved = maps(1, 320, 320), 16
    there, here = net(flux, statistics), net(flux.roll(moved, -1), statistics)
    inside = (..., slice(136, 184), slice(136, 184))
    a, b = there.pixels.mean[inside], here.pixels.mean.roll(-moved, -1)[inside]
    torch.testing.assert_close(a - a.mean(), b - b.mean(), rtol=1e-4, atol=1e-4)
    assert a.std() > 1e-3


def normalise_by_nothing(layer: torch.nn.Module) -> None:
    if hasattr(layer, "norm"):
        layer.norm = torch.nn.Identity()


def test_gradients_reach_every_weight() -> None:
    net = folded()
    disturb(net)
    mass = net(*maps())
    (mass.pixels.mean.square() + mass.pixels.sigma).mean().backward(retain_graph=True)
    (mass.field.mean.square() + mass.field.sigma).mean().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_pixels_teach_nothing_about_the_sum() -> None:
    net = folded()
    net(*maps()).pixels.mean.square().mean().backward()
    assert net.field_head.mean.weight.grad is None


def test_statistics_modulate_the_map() -> None:
    net = folded().eval()
    flux, statistics = maps()
    shape = lambda mass: mass.pixels.mean - mass.field.mean[:, None, None, None]  # noqa: E731
    torch.testing.assert_close(shape(net(flux, statistics)), shape(net(flux, -statistics)))  # γ = β = 0 at first
    disturb(net)
    assert not torch.allclose(shape(net(flux, statistics)), shape(net(flux, -statistics)), atol=1e-3)


def test_no_map_depends_on_the_others_of_its_batch() -> None:
    net = folded(dropout=0.0).train()
    disturb(net)
    flux, statistics = maps(4)
    whole, part = net(flux, statistics), net(flux[:1], statistics[:1])
    torch.testing.assert_close(whole.pixels.mean[:1], part.pixels.mean, rtol=1e-4, atol=1e-5)


def test_weights_at_width_one() -> None:
    net = folded(width=1.0, features=256)
    convolutions = 9 * (16 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    convolutions += 9 * (192 * 64 + 64 * 64 + 96 * 32 + 32 * 32) + 32 * 32 + 32
    film = 257 * 2 * (4 * 32 + 4 * 64 + 2 * 128)
    assert sum(weight.numel() for weight in net.unet.parameters()) == convolutions + film


def test_double_precision_is_kept_by_the_statistics() -> None:
    torch.manual_seed(1)
    encoder = small_encoder(8, 0.0).double().eval()
    assert encoder(torch.randn(3, LENGTH)).dtype == torch.float64


def test_encoder_sees_statistics_in_their_own_spread() -> None:
    """Units change nothing, and one that never varied in training cannot drown the others, however it does later."""
    torch.manual_seed(1)
    encoder = small_encoder(16, 0.1).eval()
    seen = torch.randn(50, LENGTH)
    seen[:, 3] = 7.0
    encoder.fit(seen)
    first = encoder(seen)
    scaled = 5.0 * seen + 1.0
    encoder.fit(scaled)
    torch.testing.assert_close(encoder(scaled), first, rtol=1e-3, atol=1e-4)
    strange = scaled.clone()
    strange[:, 3] += 1e6
    assert (encoder(strange) - first).abs().max() < 1.0


def test_encoder_keeps_single_precision() -> None:
    torch.manual_seed(1)
    encoder, statistics = (
        small_encoder(16, 0.1).eval(),
        torch.randn(4, LENGTH),
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(statistics)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, encoder(statistics))


@pytest.mark.parametrize("log_distance", [True, False])
def test_targets_scale_and_return(log_distance: bool) -> None:
    targets = Targets(log_distance)
    distance, age = torch.tensor([5.0, 110.0, 30.0]), torch.tensor([0.1, 14.0, 3.0])
    targets.fit(distance, age)
    for found, expected in zip(targets.unscale(targets.scale(distance, age)), (distance, age), strict=True):
        torch.testing.assert_close(found, expected)
    scaled = targets.scale(distance, age)
    if log_distance:  # each by its own mean and deviation
        torch.testing.assert_close(scaled.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(2))
    else:  # both by those of all numbers
        every = torch.cat([distance, age])
        torch.testing.assert_close(scaled[:, 1], (age - every.mean()) / every.std(correction=0))


def test_no_answer_overflows() -> None:
    distance, _ = Targets(True).unscale(torch.tensor([[300.0, 0.0], [-300.0, 0.0]]))
    assert distance.isfinite().all() and (distance > 0).all()


def test_distance_and_age_of_statistics() -> None:
    torch.manual_seed(1)
    net = StatisticsReader(AgeDistanceSettings.model_construct(units=16, features=16, dropout=0.0))
    disturb(net)
    predicted = net(torch.randn(5, LENGTH))
    assert predicted.mean.shape == predicted.sigma.shape == (5, 2)
    (predicted.mean.square() + predicted.sigma).mean().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.parameters())
