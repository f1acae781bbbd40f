"""The maps that a network was trained on, as a picture of one's own has to become one."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TrainingMaps:
    """What the maps that a network was trained on are like.

    Attributes:
        psf_sigma: of their Gaussian point-spread function, pixels.
        pixel_arcsec: side of a pixel.
        log_flux_floor: log10 F/(Lsun kpc⁻²) of the darkest pixel.
        pixels: of a side.
    """

    psf_sigma: float
    pixel_arcsec: float
    log_flux_floor: float
    pixels: int = 160

    @classmethod
    def of(cls, model: Any) -> "TrainingMaps":
        """From the buffers of a trained LightningModule."""
        return cls(float(model.psf_sigma), float(model.pixel_arcsec), float(model.log_flux_floor))

    @property
    def psf_arcsec(self) -> float:
        """Sigma of the point-spread function, arcsec."""
        return self.psf_sigma * self.pixel_arcsec

    @property
    def psf_fwhm(self) -> float:
        """Its full width at half maximum, arcsec."""
        return self.psf_arcsec * 2 * (2 * np.log(2)) ** 0.5
