"""What the models of flux maps share: the statistics that they read, and what they know of their training maps."""

from typing import Any

import torch
from torch import Tensor

from lit_modules.base import LitBase
from lit_modules.networks.maps.outside import TrainingSpace
from lit_modules.networks.maps.statistics import LENGTH, map_statistics
from pipeline.errors import InputError


class MapReader(LitBase):
    """A model of flux maps that knows what it was trained on.

    Attributes:
        training_space: tells whether statistics are such as it was trained on.

    Buffers:
        psf_sigma: of the point-spread function of the clean look, pixels.
        pixel_arcsec: side of a pixel.
        log_flux_floor: log10 F/(Lsun kpc⁻²) below which no pixel of a training map falls.
        psf_range: narrowest and widest psf_sigma of the looks at the training maps, pixels.
        noise_range: lowest and highest log10 of the noise in a pixel of them, Lsun kpc⁻²; not below the floor.
    """

    maps: tuple[str, ...] = ()  # of flux and mass, those that training reads beside statistics and labels
    psf_sigma: Tensor
    pixel_arcsec: Tensor
    log_flux_floor: Tensor
    psf_range: Tensor
    noise_range: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.training_space = TrainingSpace(LENGTH)
        # All as of the clean look of params.yaml, until told by data.
        self.register_buffer("psf_sigma", torch.tensor(4.0))
        self.register_buffer("pixel_arcsec", torch.tensor(0.25))
        self.register_buffer("log_flux_floor", torch.tensor(-8.0))
        self.register_buffer("psf_range", torch.tensor([4.0, 4.0]))
        self.register_buffer("noise_range", torch.tensor([-8.0, -8.0]))

    @staticmethod
    def statistics(flux: Tensor, psf_sigma: Tensor, noise: Tensor) -> Tensor:
        """``map_statistics`` (B, N) of flux maps (B, 1, H, W), linear, with psf_sigma and noise (B,) of each."""
        return map_statistics(flux[:, 0], psf_sigma, noise)

    def fit_statistics(self, data: Any) -> None:
        """Take the telescopes and the space of the training maps from a data module, and tell it which maps to draw.

        Raises:
            InputError: the statistics are others than ``map_statistics`` makes, or a pixel is not finite.
        """
        data.maps = self.maps
        train, calibration = data.splits["train"], data.splits["calibration"]
        if train["statistics"].shape[-1] != LENGTH:
            raise InputError("statistics.npy holds other statistics than this network reads; run preprocess_maps again")
        if not all(train[name].isfinite().all() for name in ("flux_mean", "flux_std", "statistics")):
            raise InputError("the training maps hold NaN or infinite pixels; run preprocess_maps again")
        self.psf_sigma.fill_(data.telescope.psf_sigma)
        self.pixel_arcsec.fill_(data.telescope.pixel_arcsec)
        self.log_flux_floor.fill_(data.telescope.log_flux_floor)
        psf_sigma, noise = train["looks"][..., 0], train["looks"][..., 1].clamp_min(10.0**data.telescope.log_flux_floor)
        self.psf_range.copy_(torch.stack(psf_sigma.aminmax()))
        self.noise_range.copy_(torch.stack(noise.log10().aminmax()))
        self.training_space.fit(*(split["statistics"].flatten(0, 1) for split in (train, calibration)))


def every_look(split: dict[str, Tensor], *labels: str) -> list[Tensor]:
    """Statistics of all looks at all maps of a split, (n looks, N), and labels that go with them, (n looks,)."""
    statistics = split["statistics"]
    return [
        statistics.flatten(0, 1).float(),
        *(split[label].repeat_interleave(statistics.shape[1]) for label in labels),
    ]
