"""The network against principal components, its sparse code, and the deformations against geometry."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from lit_modules.networks.autoencoder.autoencoder import Autoencoder
from lit_modules.networks.autoencoder.deformation import deform, draw_deformations
from lit_modules.networks.autoencoder.settings import AutoencoderSettings


def network(side: int, widths: list[int], active_units: int | None) -> Autoencoder:
    return Autoencoder(AutoencoderSettings.model_construct(side=side, widths=widths, active_units=active_units))


def pictures(n: int = 12, side: int = 10, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed))


def test_shape_of_the_course() -> None:
    net = network(50, [1024, 512, 256], None)
    sizes = [layer.weight.shape for layer in net.encoder if isinstance(layer, nn.Linear)]
    assert sizes == [(1024, 2500), (512, 1024), (256, 512)]
    assert [layer.weight.shape[::-1] for layer in net.decoder if isinstance(layer, nn.Linear)] == sizes[::-1]
    assert sum(isinstance(layer, nn.SiLU) for layer in net.encoder) == 2, "the code is linear"


@pytest.mark.parametrize("code", [5, 30])
def test_untrained_network_is_principal_component_analysis(code: int) -> None:
    """With a code as large as the training set's span, held-out pictures are projected on it, no better."""
    train, held_out = pictures(), pictures(4, seed=1)
    net = network(10, [16, code], None)
    net.fit(train)
    if code < len(train) - 1:
        pca = PCA(code).fit(train.flatten(1).double().numpy())
        expected = pca.inverse_transform(pca.transform(held_out.flatten(1).double().numpy()))
        np.testing.assert_allclose(net(held_out).detach().flatten(1), expected, atol=1e-4)
    else:
        torch.testing.assert_close(
            net.decode(net.encode(train) * (torch.arange(code) < len(train) - 1)), train, atol=1e-4, rtol=0
        )


def test_linear_network_cannot_beat_pca_on_training_data() -> None:
    """Eckart and Young: no rank-k linear autoencoder has a lower training error than PCA."""
    train = pictures(20)
    net = network(10, [8, 4], None)
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
    dense, sparse = network(10, [16, 30], None), network(10, [16, 30], 3)
    sparse.load_state_dict(dense.state_dict())
    for net in (dense, sparse):
        net.fit(train)
    full, kept = dense.encode(train), sparse.encode(train)
    assert torch.all((kept != 0).sum(dim=1) == 3)
    for row, small in zip(full, kept, strict=True):
        largest = np.argsort(-row.abs().detach().numpy())[:3]
        np.testing.assert_array_equal(small[largest].detach(), row[largest].detach())
    assert (kept < 0).any() and (kept > 0).any()


@pytest.mark.parametrize("active", [None, 4])
@pytest.mark.parametrize("side", [7, 10])
def test_gradient_reaches_every_weight(side: int, active: int | None) -> None:
    net = network(side, [16, 12, 8], active)
    images = pictures(side=side)
    net.fit(images)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(2):  # the last layers start at zero and hide the first from the first step
        optimizer.zero_grad()
        (net(images) - images + 0.1).square().sum().backward()
        optimizer.step()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and float(weight.grad.abs().sum()) > 0, name
    assert net(images).shape == images.shape


def test_blank_pictures_do_no_harm() -> None:
    net = network(10, [8, 4], 2)
    net.fit(torch.full((5, 1, 10, 10), 0.3))
    assert torch.isfinite(net(pictures())).all()


def strengths(rotation: float, scale: float, shift: float, warp: float, contrast: float) -> AutoencoderSettings:
    return AutoencoderSettings.model_construct(
        rotation=rotation, scale=scale, shift=shift, warp=warp, contrast=contrast
    )


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
