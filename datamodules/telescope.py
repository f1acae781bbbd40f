"""The telescopes between the light of a cluster and the flux maps that networks see; torch, on any device."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.errors import InputError

FAINTEST_STAR = 10 ** (0.4 * (4.81 + 10 - 24)) / (4 * math.pi)  # Lsun kpc⁻²: V = 24, the Sun's absolute one is 4.81


class Looks(NamedTuple):
    """The telescope and night of each of B looks at maps, (B,) each, float64, on the CPU.

    Attributes:
        psf_sigma: σ of the Gaussian point-spread function, pixels.
        noise: n, standard deviation of the background in a pixel, Lsun kpc⁻²; 0 for none.
        sky: S, flux of the sky in a pixel, Lsun kpc⁻²; 0 for none.
        foreground: stars of the Milky Way in a square arcmin down to V = 24.
        seed: of foreground stars and noise, a whole number below 2⁵³.
    """

    psf_sigma: Tensor
    noise: Tensor
    sky: Tensor
    foreground: Tensor
    seed: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> "Looks":
        """From rows (B, 5) of looks.npy."""
        return cls(*rows.unbind(1))


@dataclass(frozen=True)
class Telescope:
    """What all looks have in common, and how the light that they see is stored.

    Attributes:
        psf_sigma: σ of the Gaussian point-spread function of the clean look, pixels.
        pixel_arcsec: side of a pixel.
        pixels: of a side of the flux map.
        log_flux_floor: log10 F/(Lsun kpc⁻²), below which a pixel does not fall.
        light_unit: of the stored light, Lsun,V.
        sky_error: of the subtracted sky, as a share of it, one standard deviation.
    """

    psf_sigma: float
    pixel_arcsec: float
    pixels: int
    log_flux_floor: float
    light_unit: float
    sky_error: float

    @classmethod
    def read(cls, path: Path) -> "Telescope":
        """From ``telescope.json``.

        Raises:
            InputError: the file is missing or does not describe a telescope.
        """
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot read it ({error}); run preprocess_maps") from error

    def flux(self, light: Tensor, distance: Tensor, looks: Looks) -> Tensor:
        """Flux (B, pixels, pixels) in Lsun kpc⁻², P (L / (4π D²) + stars) Pᵀ and noise; it may be negative.

        What is random comes from the seed of each look alone, drawn on the CPU: whatever the batch and the device.

        Args:
            light: L as stored, (B, H, H), at least the PSF's wings wider than the field.
            distance: D (B,) in kpc; its precision and device are those of the result.
            looks: one at each map; P is that of :func:`psf_matrix`, stars those of the Milky Way.

        Raises:
            ValueError: the light does not hold the wings of a PSF.
        """
        generators = [torch.Generator().manual_seed(int(seed)) for seed in looks.seed]
        image, unit = light.to(distance), self.light_unit / (4 * math.pi * distance**2)
        at, stars = self._foreground(generators, looks, image.shape[-1])
        at = [index.to(image.device) for index in at]
        image = image.index_put(tuple(at), stars.to(image) / unit[at[0]], accumulate=True)
        psf = psf_matrix(looks.psf_sigma, self.pixels, image.shape[-1], like=image)
        flux = psf @ image @ psf.mT * unit[:, None, None]
        return flux + self._noise(generators, looks, flux)

    def log_flux(self, light: Tensor, distance: Tensor, looks: Looks) -> Tensor:
        """What networks see: :meth:`log` of :meth:`flux`."""
        return self.log(self.flux(light, distance, looks), looks)

    def log(self, flux: Tensor, looks: Looks) -> Tensor:
        """log10 of flux maps, not below floor and noise, rounded to half precision but as wide as ``flux``."""
        lowest = looks.noise.clamp_min(10.0**self.log_flux_floor).to(flux)
        return torch.maximum(flux, lowest[:, None, None]).log10().half().to(flux.dtype)

    def _foreground(self, generators: list[torch.Generator], looks: Looks, width: int) -> tuple[list[Tensor], Tensor]:
        """Map, row and column (n,) each, and flux (n,) of stars, N(<V) ~ 10^(0.3 V) between V = 14 and 24."""
        expected = looks.foreground * (width * self.pixel_arcsec / 60) ** 2
        numbers = [int(torch.poisson(mean, generator)) for mean, generator in zip(expected, generators, strict=True)]
        drawn = [
            torch.rand(3, n, dtype=torch.float64, generator=generator)
            for n, generator in zip(numbers, generators, strict=True)
        ]
        row, column, share = torch.cat(drawn, 1)
        image = torch.arange(len(numbers)).repeat_interleave(torch.tensor(numbers))
        share = 1e-3 + (1 - 1e-3) * share  # N(<V) over N(<24): V = 24 + log10(share) / 0.3
        return [image, (row * width).long(), (column * width).long()], FAINTEST_STAR * share ** (-4 / 3)

    def _noise(self, generators: list[torch.Generator], looks: Looks, flux: Tensor) -> Tensor:
        """Noise (B, pixels, pixels) of variance n² (1 + F/S), as one camera counts sky and stars, and the sky's error.

        Args:
            generators: one a map.
            looks: likewise; without noise where n is 0.
            flux: F without noise.
        """
        normals = torch.zeros(len(generators), 1 + flux[0].numel())
        for normal, noise, generator in zip(normals, looks.noise, generators, strict=True):
            if noise > 0:
                normal.normal_(generator=generator)
        sky = looks.sky.to(flux)
        of_stars = torch.where(sky > 0, 1 / sky, 0.0)[:, None, None] * flux
        normals = normals.to(flux)
        background = looks.noise.to(flux)[:, None, None] * normals[:, 1:].unflatten(1, flux.shape[1:])
        return background * (1 + of_stars).sqrt() + (self.sky_error * sky * normals[:, 0])[:, None, None]


def psf_matrix(sigma: Tensor, pixels: int, width: int, like: Tensor) -> Tensor:
    """Matrices P (B, pixels, width) by which Gaussian PSFs take the middle of rows of ``width`` pixels.

    Args:
        sigma: (B,) pixels, float64.
        pixels: that a row has behind the PSF.
        width: of a row before it.
        like: of the precision and device wanted.

    Raises:
        ValueError: the rows do not hold a PSF's wings.
    """
    radius = torch.ceil(4 * sigma)[:, None]
    margin = (width - pixels) // 2
    if radius.max() > margin:
        raise ValueError(f"{width} pixels do not hold {pixels} and a PSF that reaches {radius.max():g} beyond")
    offset = torch.arange(1 - pixels, width, dtype=torch.float64) - margin
    kernel = torch.exp(-0.5 * (offset / sigma[:, None]) ** 2) * (offset.abs() <= radius)
    kernel = kernel / kernel.sum(1, keepdim=True)
    return kernel.to(like).unfold(1, width, 1).flip(1)
