"""Gravity by torch on a GPU agrees with the compiled kernels of the processor to round-off."""

import numpy as np
import pytest
import torch

from pipeline.simulation.nbody import gravity

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]


@pytest.mark.parametrize("stars", [2, 5, 100, 3000])
def test_gravity_is_that_of_the_processor(stars: int) -> None:
    rng = np.random.default_rng(stars)
    x, mass = rng.normal(size=(3, stars, 3)), rng.uniform(0.1, 1, (3, stars))
    there = torch.tensor(x, device="cuda"), torch.tensor(mass, device="cuda")
    pairs = [
        (gravity.accelerations(x, mass, 0.1), gravity.accelerations(*there, 0.1)),
        (gravity.potential_energy(x, mass, 0.1), gravity.potential_energy(*there, 0.1)),
    ]
    for expected, found in pairs:
        assert found.device.type == "cuda"
        np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=0, atol=1e-12 * np.abs(expected).max())
