"""The network against principal components, its sparse code, and the deformations against geometry."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import entropy
from sklearn.decomposition import PCA
from sklearn.linear_model import Lasso
from torch import Tensor, nn

from lit_modules.networks.autoencoder.autoencoder import Autoencoder, locality
from lit_modules.networks.autoencoder.code import active_share, sparse
from lit_modules.networks.autoencoder.deformation import deform, draw_deformations
from lit_modules.networks.autoencoder.settings import AutoencoderSettings

SETTINGS: dict[str, Any] = {
    "code": "dense", "active_units": 1, "sparsity": 0.1, "target": 0.05, "tied": False, "noise": 0.0, "copies": 0,
    "snapshot_epoch": 1, "rotation": 0.0, "scale": 0.0, "shift": 0.0, "warp": 0.0, "contrast": 0.0, "augment_seed": 1,
    "lr": 1e-3, "weight_decay": 0.0,
}  # fmt: skip


def settings(**changes: Any) -> AutoencoderSettings:
    return AutoencoderSettings(**{**SETTINGS, "side": 10, "widths": [16, 12, 8], **changes})


def network(side: int, widths: list[int], **changes: Any) -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(settings(side=side, widths=widths, **changes))


def pictures(n: int = 12, side: int = 10, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed))


def test_shape_of_the_course() -> None:
    net = network(50, [1024, 512, 256])
    sizes = [layer.weight.shape for layer in net.encoder if isinstance(layer, nn.Linear)]
    assert sizes == [(1024, 2500), (512, 1024), (256, 512)]
    assert [layer.weight.shape[::-1] for layer in net.decoder if isinstance(layer, nn.Linear)] == sizes[::-1]
    assert sum(isinstance(layer, nn.SiLU) for layer in net.encoder) == 2, "the code is linear"


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("code", [5, 11, 30, 200])
def test_untrained_network_is_principal_component_analysis(code: int, tied: bool) -> None:
    """Twelve pictures have eleven components: a wider code, be it wider than a picture, knows no more of them."""
    train, held_out = pictures(), pictures(4, seed=1)
    net = network(10, [16, code], tied=tied)
    net.fit(train)
    components = min(code, len(train) - 1)
    pca = PCA(components).fit(train.flatten(1).double().numpy())
    for images in (train, held_out):
        scores = pca.transform(images.flatten(1).double().numpy())
        expected = pca.inverse_transform(scores)
        redrawn, codes = net(images).detach().flatten(1), (net.encode(images) * net.std).detach()
        np.testing.assert_allclose(codes[:, :components].abs(), np.abs(scores), atol=1e-4)
        if images is train or not tied or code == components:
            np.testing.assert_allclose(redrawn, expected, atol=1e-4)
        else:
            assert (redrawn - images.flatten(1)).norm() < np.linalg.norm(expected - images.flatten(1).numpy())
    assert float(net.encode(train)[:, components:].detach().abs().sum()) < 1e-3


def test_equal_pictures_count_once() -> None:
    """Three pictures, four times each, have two components."""
    net = network(10, [16, 12])
    net.fit(pictures(3).repeat(4, 1, 1, 1))
    assert int(net.linear_decoder.weight.any(dim=0).sum()) == 2  # type: ignore[union-attr]


def test_linear_network_cannot_beat_pca_on_training_data() -> None:
    """Eckart and Young: no rank-k linear autoencoder has a lower training error than PCA."""
    train = pictures(20)
    net = network(10, [8, 4])
    net.fit(train)
    pca_error = float((net(train) - train).detach().square().mean())
    for part in (net.encoder, net.decoder):
        part.requires_grad_(False)
    optimizer = torch.optim.Adam([net.linear_encoder.weight, net.linear_decoder.weight], 1e-3)
    for _ in range(200):
        loss = (net(train) - train).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert float(loss.detach()) >= pca_error * (1 - 1e-5)


def test_code_keeps_the_largest_entries_of_either_sign() -> None:
    train = pictures()
    dense, sparse = network(10, [16, 30]), network(10, [16, 30], code="top_k", active_units=3)
    sparse.load_state_dict(dense.state_dict())
    for net in (dense, sparse):
        net.fit(train)
    full, kept = dense.encode(train), sparse.encode(train)
    assert torch.all((kept != 0).sum(dim=1) == 3)
    for row, small in zip(full, kept, strict=True):
        largest = np.argsort(-row.abs().detach().numpy())[:3]
        np.testing.assert_array_equal(small[largest].detach(), row[largest].detach())
    assert (kept < 0).any() and (kept > 0).any()


def test_l1_code_is_the_lasso() -> None:
    """Of the principal axes as a dictionary, against coordinate descent; the penalty is that of its objective."""
    train, held_out = pictures(), pictures(4, seed=1)
    net = network(10, [16, 8], code="l1", sparsity=0.5)
    net.fit(train)
    x = ((held_out - net.mean) / net.std).flatten(1).double().numpy()
    axes = net.linear_encoder.weight.detach().double().numpy()
    lasso = Lasso(alpha=0.5 / 100, fit_intercept=False, tol=1e-10)  # its squares are of the mean pixel
    code = net.encode(held_out).detach()
    expected = np.stack([lasso.fit(axes.T, row).coef_ for row in x])
    np.testing.assert_allclose(code, expected, atol=1e-4)
    assert 0 < float(active_share(code)) < 1
    objective = 0.5 * ((x - expected @ axes) ** 2).sum(axis=1) + 0.5 * np.abs(expected).sum(axis=1)
    mse = (net(held_out) - held_out).square().mean()
    ours = float((mse + net.penalty(net.coefficients(held_out))).detach())
    assert ours == pytest.approx(2 * float(net.std) ** 2 / 100 * objective.mean(), rel=1e-4)


def test_kl_code_is_a_coefficient_times_its_activity() -> None:
    code = torch.tensor([[0.0, 0.1, -1.0, 3.0, 1e9]])
    expected = [0.0, 0.1 * 0.01 / 1.01, -0.5, 2.7, 1e9]
    torch.testing.assert_close(sparse(code, settings(code="kl")), torch.tensor([expected]))


@pytest.mark.parametrize("localised", [False, True])
def test_components_are_those_of_the_covariance(localised: bool) -> None:
    """Of fewer pictures than pixels and of more."""
    net = network(10, [8, 4])
    for n in (30, 150):
        centred = pictures(n).flatten(1) - pictures(n).flatten(1).mean(dim=0)
        covariance = (centred.T @ centred).double().numpy() * (locality(10).numpy() if localised else 1)
        variances, axes = np.linalg.eigh(covariance)
        found, rows = net._components(centred, localised)
        np.testing.assert_allclose(found[:5], variances[::-1][:5], rtol=1e-4)
        alike = np.abs((rows[:5].double().numpy() * axes.T[::-1][:5]).sum(axis=1))
        np.testing.assert_allclose(alike, 1, atol=1e-3)


def test_large_pictures_have_no_copies() -> None:
    """Their covariance would take gigabytes; without copies there is none."""
    with pytest.raises(ValidationError, match="side 128 is above 100, too many for copies 80; set copies to 0"):
        settings(side=128, copies=80)
    net = network(255, [2, 3])
    net.fit(pictures(4, 255))
    assert float((net(pictures(4, 255)) - pictures(4, 255)).detach().abs().max()) < 1e-3, "four have three components"


def test_kl_penalty_is_the_divergence_of_bernoulli_variables() -> None:
    net = network(10, [16, 2], code="kl", sparsity=3.0, target=0.2)
    net.std.fill_(0.5)
    code = torch.tensor([[1.0, 0.0], [3.0, -0.5]])
    activity = np.array([(0.5 + 0.9) / 2, (0.0 + 0.2) / 2])
    expected = sum(entropy([0.2, 0.8], [each, 1 - each]) for each in activity)
    assert float(net.penalty(code)) == pytest.approx(2 * 3.0 * 0.25 / 100 * expected, rel=1e-5)
    at_target = torch.tensor([[0.5, -0.5], [-0.5, 0.5]])
    assert float(net.penalty(at_target)) == pytest.approx(0, abs=1e-8)
    assert torch.isfinite(net.penalty(torch.tensor([[0.0, 1e9]])))


def test_active_share_counts_what_is_large_within_a_picture() -> None:
    code = torch.tensor([[1.0, 0.5, 0.005, 0.0], [0.001, -0.002, 0.0, 0.0]])
    assert float(active_share(code)) == 0.5


def test_tied_decoder_has_the_matrices_of_the_encoder_alone() -> None:
    free, tied = network(10, [16, 12, 8]), network(10, [16, 12, 8], tied=True)
    matrices = [
        sum(weight.numel() for name, weight in net.named_parameters() if weight.ndim == 2) for net in (free, tied)
    ]
    assert matrices[0] == 2 * matrices[1]
    with torch.no_grad():
        for weight in tied.parameters():
            weight.normal_()
    code = torch.randn(3, 8)
    x = code
    for layer in [layer for layer in tied.encoder if isinstance(layer, nn.Linear)][::-1]:
        x = nn.functional.silu(x) if x is not code else x
        bias = tied.decoder[2 * [12, 16, 100].index(layer.in_features)].bias
        x = x @ layer.weight + bias
    expected = x + code @ tied.linear_encoder.weight
    torch.testing.assert_close(tied.decode(code).flatten(1), expected)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("code", ["dense", "top_k", "l1", "kl"])
@pytest.mark.parametrize("side", [7, 10])
def test_gradient_reaches_every_weight(side: int, code: str, tied: bool) -> None:
    """Entries beyond the rank too, and where f and g start at zero."""
    net = network(side, [16, 12, 15], code=code, active_units=4, tied=tied)
    net.fit(pictures(side=side))
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    images = pictures(40, side, seed=1)
    for _ in range(3):
        optimizer.zero_grad()
        (net(images) - images + 0.1).square().sum().backward()
        optimizer.step()
    for name, weight in net.named_parameters():
        rows = (weight != before[name]).reshape(len(weight), -1)
        assert rows.any(dim=1).all(), name
    assert net(images).shape == images.shape


def test_blank_pictures_do_no_harm() -> None:
    net = network(10, [8, 4], code="top_k", active_units=2)
    net.fit(torch.full((5, 1, 10, 10), 0.3))
    assert torch.isfinite(net(pictures())).all()


def strengths(rotation: float, scale: float, shift: float, warp: float, contrast: float) -> AutoencoderSettings:
    return settings(rotation=rotation, scale=scale, shift=shift, warp=warp, contrast=contrast)


NONE = strengths(0.0, 0.0, 0.0, 0.0, 0.0)


def deformed(settings: AutoencoderSettings, images: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return deform(images, *draw_deformations(settings, len(images), images.shape[-1], generator))


def blob(row: float, column: float, side: int = 41) -> Tensor:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.exp(-((y - row) ** 2 + (x - column) ** 2) / 8.0)[None, None]


def centre(images: Tensor) -> Tensor:
    """Centres of light, (n, 2): row and column from the middle, in half-pictures."""
    side = images.shape[-1]
    at = (torch.arange(side) + 0.5) * 2 / side - 1
    light = images[:, 0] / images[:, 0].sum(dim=(1, 2), keepdim=True)
    return torch.stack([(light.sum(dim=2) * at).sum(dim=1), (light.sum(dim=1) * at).sum(dim=1)], dim=1)


def test_no_strength_no_change() -> None:
    torch.testing.assert_close(deformed(NONE, pictures()), pictures(), atol=1e-5, rtol=0)


def test_shift_and_rotation_move_a_spot_as_far_as_they_say() -> None:
    spots = blob(20, 20).expand(200, -1, -1, -1)
    moved = centre(deformed(strengths(0.0, 0.0, 0.2, 0.0, 0.0), spots))
    assert float(moved.abs().max()) == pytest.approx(0.2, abs=0.01)
    assert float(moved.std(dim=0).mean()) == pytest.approx(0.2 / 3**0.5, rel=0.15), "uniform"
    aside = blob(20, 32).expand(200, -1, -1, -1)
    radius = float(centre(aside)[0].norm())
    turned = centre(deformed(strengths(0.3, 0.0, 0.0, 0.0, 0.0), aside))
    torch.testing.assert_close(turned.norm(dim=1), torch.full((200,), radius), atol=0.01, rtol=0)
    angle = torch.atan2(turned[:, 0], turned[:, 1])
    assert float(angle.abs().max()) == pytest.approx(0.3, abs=0.02)


def test_contrast_is_a_power_and_a_factor() -> None:
    flat = torch.full((500, 1, 8, 8), 0.5)
    grey = deformed(strengths(0.0, 0.0, 0.0, 0.0, 0.2), flat)[:, 0, 4, 4]
    assert float(grey.min()) > 0.5 ** np.exp(0.2) * np.exp(-0.1) - 1e-6
    assert float(grey.max()) < 0.5 ** np.exp(-0.2) * np.exp(0.1) + 1e-6
    black = deformed(strengths(0.1, 0.1, 0.1, 0.1, 0.2), torch.zeros(5, 1, 8, 8))
    assert float(black.abs().max()) == 0


def test_warp_bends() -> None:
    line = torch.zeros(1, 1, 41, 41)
    line[..., 20, :] = 1
    bent = deformed(strengths(0.0, 0.0, 0.0, 0.15, 0.0), line)
    rows = bent[0, 0].argmax(dim=0)
    assert len(set(rows.tolist())) > 2 and int((rows[1:] - rows[:-1]).abs().max()) <= 3, "smoothly"
