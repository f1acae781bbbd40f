"""The energy of a measurement against SciPy."""

import torch
from scipy.stats import norm

from lit_modules.networks.energy.clamping import Known


def test_energy_of_a_measurement_is_scipys() -> None:
    value = torch.linspace(5, 40, 8, dtype=torch.float64)
    expected = -norm.logpdf(12.0, loc=value.numpy(), scale=3.0)
    torch.testing.assert_close(Known(12.0, 3.0).energy(value), torch.from_numpy(expected))
