"""What is told of maps that are unlike those of the training."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.evaluation.common.maps import flagged_percent, outside_training


def model(distance: float) -> Any:
    """A network whose training maps are so far from every map; stars to 6 pixels, noise to 10^-5 Lsun kpc⁻²."""
    return SimpleNamespace(
        training_space=lambda statistics: torch.full((len(statistics),), distance),
        psf_range=torch.tensor([2.4, 6.0]),
        noise_range=torch.tensor([-8.0, -5.0]),
    )


def statistics(log_light: float = 0.0, psf_sigma: float = 4.0, log_noise: float = -6.0, draws: int = 3) -> Tensor:
    return torch.tensor([0.0, log_light, psf_sigma, log_noise]).repeat(draws, 1)


def test_nothing_is_told_of_a_map_like_those_of_training() -> None:
    assert outside_training(model(0.99), statistics()) == []
    assert outside_training(model(0.99), statistics(psf_sigma=6.0, log_noise=-5.0)) == []


@pytest.mark.parametrize(
    ("distance", "known", "reason"),
    [
        (2.26, {}, "its statistics lie at 2.3 times the Mahalanobis distance that 98 % of mock clusters keep"),
        (0.5, {"psf_sigma": 6.2}, "its stars are wider than in any"),
        (0.5, {"log_noise": -4.9}, "it is noisier than any"),
        (0.5, {"log_light": -3.2}, "its light drowns in the noise"),  # 4 times 10^-6 x 160
    ],
)
def test_each_reason_is_one_line(distance: float, known: dict[str, float], reason: str) -> None:
    (told,) = outside_training(model(distance), statistics(**known))
    assert told == (f"unlike every map of the training: {reason}; distance, age and mass cannot be told from it")


def test_several_reasons_are_one_line_too() -> None:
    (told,) = outside_training(model(3.0), statistics(psf_sigma=8.0, log_noise=-4.0))
    assert "3.0 times" in told and "wider" in told and "noisier" in told


def test_light_six_times_its_noise_does_not_drown() -> None:
    assert outside_training(model(0.5), statistics(log_light=-3.0)) == []


def test_an_evaluation_counts_the_flags_of_predictions() -> None:
    """Whatever the reason: the second map drowns, the third is too noisy."""
    rows = torch.cat([statistics(draws=1), statistics(-3.2, draws=1), statistics(log_noise=-4.9, draws=1)])
    assert flagged_percent(model(0.5), rows).tolist() == [0, 100, 100]
    assert flagged_percent(model(1.5), rows).tolist() == [100, 100, 100]
