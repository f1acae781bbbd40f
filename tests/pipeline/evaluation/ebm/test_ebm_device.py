"""Answers on a GPU, by torch's fake tensors: they hold no numbers, but refuse to mix devices as true ones do."""

import pytest
import torch
from conftest import ROOT
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from lit_modules.ebm import LitEBM
from lit_modules.networks.energy.map_energy import LOG_LIGHT
from lit_modules.networks.maps.statistics import LENGTH
from pipeline.evaluation.ebm.draws import box_draws, calibrated, posterior_draws, quantities, with_mass
from pipeline.evaluation.ebm.known import Measurements
from pipeline.evaluation.ebm.prediction import gibbs, grid_of, log_evidence
from pipeline.settings.load import load_params

GPU = torch.device("cuda", 0)
KNOWN = [Measurements(), Measurements(distance=20.0, distance_error=1.0, age=9.0, age_error=1.0)]


def on_the_gpu() -> tuple[LitEBM, Tensor]:
    """A model and the statistics of two maps."""
    with GPU:
        model = LitEBM(**load_params(ROOT / "params.yaml").ebm.model.model_dump()).eval()
        statistics = torch.randn(2, LENGTH)
    model._device = GPU  # as Lightning's ``to`` sets it, which cannot move fake tensors
    return model, statistics


@pytest.mark.parametrize("known", KNOWN, ids=["map alone", "clamped"])
@torch.no_grad()
def test_a_posterior_is_drawn_where_the_model_is(known: Measurements) -> None:
    with FakeTensorMode():
        model, statistics = on_the_gpu()
        context, generator = model.context(statistics), torch.Generator()
        window = known.window(model)
        y = box_draws(known.energy(model, context), 5, generator, window, nodes=8)
        drawn = quantities(model, with_mass(model, context, y, generator), statistics[:, LOG_LIGHT])
        alone = log_evidence(calibrated(model, context)(grid_of(context)))
        found = [*drawn.values(), *gibbs(model, context, known, window, alone)]
        assert {x.device for x in found} == {GPU}
        assert posterior_draws(model, context, 5, generator).device == GPU


@torch.no_grad()
def test_devices_do_not_mix() -> None:
    """What the tests above rest on."""
    with FakeTensorMode():
        model, statistics = on_the_gpu()
        with pytest.raises(RuntimeError, match="same device"):
            model.nll(model.context(statistics), torch.zeros(2, 2))
