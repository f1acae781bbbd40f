"""The telescope between the light of a cluster and the flux map that networks see; torch, on any device."""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from pipeline.errors import InputError


@dataclass(frozen=True)
class Telescope:
    """What a flux map went through, and how the light that it sees is stored.

    Attributes:
        psf_sigma: of the Gaussian point-spread function, pixels.
        pixel_arcsec: side of a pixel.
        pixels: of a side of the flux map.
        log_flux_floor: log10 F/(Lsun kpc⁻²), below which a pixel does not fall.
        light_unit: of the stored light, Lsun,V.
    """

    psf_sigma: float
    pixel_arcsec: float
    pixels: int
    log_flux_floor: float
    light_unit: float

    @classmethod
    def read(cls, path: Path) -> "Telescope":
        """From ``telescope.json``.

        Raises:
            InputError: the file is missing or does not describe a telescope.
        """
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot read it ({error}); run preprocess_maps") from error

    def flux(self, light: Tensor, distance: Tensor) -> Tensor:
        """Flux (B, pixels, pixels) in Lsun kpc⁻², that of P L Pᵀ / (4π D²).

        Args:
            light: L as stored, (B, H, H), at least the PSF's wings wider than the field.
            distance: D (B,) in kpc; its precision is that of the result.
        """
        return self.blurred(light.to(distance)) * (self.light_unit / (4 * math.pi * distance**2))[:, None, None]

    def blurred(self, image: Tensor) -> Tensor:
        """The middle (B, pixels, pixels) of images (B, H, H) behind the PSF P of :func:`psf_matrix`: P L Pᵀ."""
        psf = psf_matrix(self.psf_sigma, self.pixels, image.shape[-1]).to(image)
        return psf @ image @ psf.mT

    def log_flux(self, light: Tensor, distance: Tensor) -> Tensor:
        """log10 of :meth:`flux`, not below the floor, rounded to half precision."""
        return self.log(self.flux(light, distance))

    def log(self, flux: Tensor) -> Tensor:
        """log10 of a flux, not below the floor, rounded to half precision but as wide as ``flux``."""
        return flux.clamp_min(10.0**self.log_flux_floor).log10().half().to(flux.dtype)


def psf_radius(sigma: float) -> int:
    """Pixels at which a Gaussian point-spread function is cut: four sigma."""
    return math.ceil(4 * sigma)


@cache
def psf_matrix(sigma: float, pixels: int, width: int) -> Tensor:
    """Matrix P (pixels, width), float64, by which a Gaussian PSF takes the middle of rows of ``width`` pixels.

    Raises:
        ValueError: the rows do not hold the PSF's wings.
    """
    radius = psf_radius(sigma)
    if pixels + 2 * radius > width:
        raise ValueError(f"{width} pixels do not hold {pixels} and a PSF that reaches {radius} beyond")
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    first = (width - pixels) // 2 - radius
    return torch.stack(
        [torch.nn.functional.pad(kernel, (k, width - len(kernel) - k)) for k in range(first, first + pixels)]
    )
