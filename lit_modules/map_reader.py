"""What all readers of flux maps share: the telescope and the brightness of their training maps."""

import math
from typing import Any

import torch
from torch import Tensor

from lit_modules.base import LitBase
from lit_modules.networks.pidoc.statistics import LENGTH, map_statistics
from pipeline.errors import InputError


class MapReader(LitBase):
    """A model of flux maps, log10 F/(Lsun kpc⁻²), that knows what it was trained on.

    Buffers:
        psf_sigma: of the telescope's point-spread function, pixels.
        pixel_arcsec: side of a pixel.
        log_flux_floor: log10 F below which no pixel of a training map falls.
        flux_range: lowest and highest mean (first row) and standard deviation (second row) of log10 F over the pixels
            of a training map.
    """

    maps: tuple[str, ...] = ()  # of flux and mass, those that training reads beside statistics and labels
    psf_sigma: Tensor
    pixel_arcsec: Tensor
    log_flux_floor: Tensor
    flux_range: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.register_buffer("psf_sigma", torch.tensor(4.0))  # these three as in params.yaml, until told by data
        self.register_buffer("pixel_arcsec", torch.tensor(0.25))
        self.register_buffer("log_flux_floor", torch.tensor(-8.0))
        self.register_buffer("flux_range", torch.tensor([[-math.inf, math.inf], [-math.inf, math.inf]]))

    def fit_statistics(self, data: Any) -> None:
        """Take the telescope and the range of the training maps from a data module, and tell it which maps to draw.

        Raises:
            InputError: the statistics are others than ``map_statistics`` makes, or a pixel is not finite.
        """
        data.maps = self.maps
        train = data.splits["train"]
        if train["statistics"].shape[1] != LENGTH:
            raise InputError("statistics.npy holds other statistics than this network reads; run preprocess_maps again")
        moments = torch.stack([train["flux_mean"], train["flux_std"]])
        if not moments.isfinite().all():
            raise InputError("the training maps hold NaN or infinite pixels; run preprocess_maps again")
        self.flux_range = torch.stack(moments.aminmax(dim=1), 1).float()
        self.psf_sigma.fill_(data.telescope.psf_sigma)
        self.pixel_arcsec.fill_(data.telescope.pixel_arcsec)
        self.log_flux_floor.fill_(data.telescope.log_flux_floor)

    def statistics(self, flux: Tensor) -> Tensor:
        """``map_statistics`` of flux maps (B, 1, H, W), (B, ``LENGTH``)."""
        return map_statistics(flux[:, 0], float(self.psf_sigma))


def pooled(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over all pixels of all maps, float32, from those of each map (n,)."""
    mean, std = mean.double(), std.double()
    whole = mean.mean()
    return whole.float(), ((mean**2 + std**2).mean() - whole**2).sqrt().float()
