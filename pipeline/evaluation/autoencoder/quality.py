"""How well a picture is redrawn: mean square error, PSNR and SSIM of each, and their means with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from pipeline.errors import InputError
from pipeline.evaluation.common.bootstrap import scored

SMALLEST = 6  # pixels of a side: half of the window of SSIM (Wang et al. 2004, IEEE Trans. Image Processing 13, 600)
ROUNDING = 1 / (12 * 255**2)  # mean square error of grey levels in 8 bits: a copy as exact as that has the best PSNR


def errors(redrawn: Tensor, images: Tensor) -> Tensor:
    """Mean square error of each picture (n, 1, H, W), (n,)."""
    return (redrawn - images).square().flatten(1).mean(dim=1)


def psnr(redrawn: Tensor, images: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture (n, 1, H, W), -10 lg MSE decibels, at most that of rounding, (n,)."""
    ratios = peak_signal_noise_ratio(redrawn, images, data_range=1.0, reduction="none", dim=(1, 2, 3))
    return ratios.clamp(max=-10 * torch.tensor(ROUNDING).log10())


def ssim(redrawn: Tensor, images: Tensor) -> Tensor:
    """Structural similarity of each picture (n, 1, H, W) with what is redrawn of it, 1 at best, (n,).

    Raises:
        InputError: a picture is smaller than half the window in which it compares.
    """
    if min(images.shape[-2:]) < SMALLEST:
        raise InputError(f"SSIM needs pictures of {SMALLEST} pixels a side; make model.side and the pictures as large")
    return structural_similarity_index_measure(redrawn, images, data_range=1.0, reduction="none")  # type: ignore[return-value]


def redrawing(redrawn: Mapping[str, Tensor], images: Tensor, patients: Sequence[str]) -> dict[str, Any]:
    """The three measures of the model and of its rivals, each with the ends of the model's interval.

    Args:
        redrawn: of held-out pictures, (n, 1, H, W), by ``model`` and each rival.
        images: the pictures.
        patients: whose they are, (n,); they are drawn whole.
    """
    metrics: dict[str, Any] = {}
    for name, measure in (("mse", errors), ("psnr_db", psnr), ("ssim", ssim)):
        values = {who: measure(pictures.to(images), images) for who, pictures in redrawn.items()}
        metrics |= scored(name, values, groups=patients)
    return metrics
