"""The LightningModule of the spectral network: its loss, what it takes from the data, and settings that do not fit."""

from types import SimpleNamespace

import pytest
import torch
from torch_geometric.utils import erdos_renyi_graph, to_dense_adj

from lit_modules.networks.spectral.laplacian import fourier_basis, normalized_laplacian
from lit_modules.spectral import LitSpectral, starry
from pipeline.errors import InputError


def batch(fields: int = 6, n: int = 10) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    graphs = torch.stack([to_dense_adj(erdos_renyi_graph(n, 0.5), max_num_nodes=n)[0] for _ in range(fields)])
    eigenvalues, basis = fourier_basis(normalized_laplacian(graphs))
    member = torch.randint(2, (fields, n)).float()
    signal = torch.randn(fields, n, 3) * torch.tensor([3.0, 0.2, 0.1]) + member.unsqueeze(-1)
    return {"signal": signal, "member": member, "eigenvalues": eigenvalues, "basis": basis}


def module(**changes: object) -> LitSpectral:
    torch.manual_seed(1)
    values = {"filter": "spline", "coefficients": 4, "layers": 2, "hidden": 5, "lr": 1e-2, "weight_decay": 0.0}
    return LitSpectral(**(values | changes))


def training(tensors: dict[str, torch.Tensor], distinct: int = 10) -> SimpleNamespace:
    return SimpleNamespace(splits={"train": tensors}, distinct_eigenvalues=distinct, fewest=7, file="stars.csv")


def test_loss_is_the_negative_log_likelihood() -> None:
    tensors, model = batch(), module()
    model.fit_statistics(training(tensors))
    probability = model.probability(tensors)
    right = torch.where(tensors["member"] > 0, probability, 1 - probability)
    losses = model.losses(tensors)
    assert losses["loss"].item() == pytest.approx(-right.log().mean().item(), rel=1e-5)
    assert losses["wrong_share"].item() == pytest.approx((right < 0.5).float().mean().item())
    assert 0 < losses["wrong_share"] < 1


def test_statistics_are_those_of_the_training_fields() -> None:
    tensors, model = batch(), module()
    model.fit_statistics(training(tensors))
    flat = tensors["signal"].reshape(-1, 3)
    assert torch.allclose(model.net.mean, flat.mean(0), atol=1e-5)
    assert torch.allclose(model.net.scale, flat.std(0), atol=1e-5)
    assert model.net.highest == tensors["eigenvalues"].max()


@pytest.mark.parametrize("filter_", ["spline", "plain_spline", "chebyshev", "free"])
def test_each_filter_learns(filter_: str) -> None:
    tensors, model = batch(), module(filter=filter_, coefficients=10 if filter_ == "free" else 4)
    model.fit_statistics(training(tensors))
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    before = model.losses(tensors)["loss"].item()
    for _ in range(60):
        optimizer.zero_grad()
        model.losses(tensors)["loss"].backward()
        optimizer.step()
    assert model.losses(tensors)["loss"].item() < before / 2


@pytest.mark.parametrize(
    ("changes", "distinct", "message"),
    [
        (
            {"coefficients": 9},
            8,
            "coefficients is 9, but a graph of the data has 8 distinct eigenvalues; take at most 8",
        ),
        ({"coefficients": 9, "filter": "chebyshev"}, 8, "take at most 8"),
        ({"coefficients": 10, "filter": "free"}, 8, "stars.csv: two eigenvalues of the graph of field 7 are equal"),
        ({"coefficients": 8, "filter": "free"}, 8, "take another spectral.model.filter, or remove that field"),
        ({"coefficients": 6, "filter": "free"}, 10, "a weight for each of the 10 eigenvalues; make it 10"),
    ],
)
def test_filters_that_do_not_fit_the_graphs_are_refused(
    changes: dict[str, object], distinct: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        module(**changes).fit_statistics(training(batch(), distinct))


@pytest.mark.parametrize(("channel", "name"), [(0, "V below the limit"), (1, "colour"), (2, "spacing")])
def test_a_channel_that_is_one_number_is_refused(channel: int, name: str) -> None:
    """Standardised it would be 0/0."""
    tensors = batch()
    tensors["signal"][..., channel] = 0.65
    with pytest.raises(InputError, match=rf"stars\.csv: {name}.* is the same for all stars"):
        module().fit_statistics(training(tensors))


def test_a_small_field_fills_its_picture_as_a_large_one_does() -> None:
    torch.manual_seed(2)
    position, brightness = torch.randn(2, 20, 2), torch.rand(2, 20)
    both = starry(position * torch.tensor([1.0, 0.1])[:, None, None], brightness)
    alone = torch.cat([starry(position[[k]], brightness[[k]]) for k in range(2)])
    assert torch.allclose(both, alone, atol=1e-5)
