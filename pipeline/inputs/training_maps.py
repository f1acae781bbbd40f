"""The maps that a network was trained on, as a picture of one's own has to become one."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingMaps:
    """What the maps that a network was trained on are like.

    Attributes:
        psf_sigma: of the Gaussian point-spread function of their clean look, pixels.
        pixel_arcsec: side of a pixel.
        log_flux_floor: log10 F/(Lsun kpc⁻²) of the darkest pixel.
        psf_range: sigma of the narrowest and of the widest point-spread function among all their looks, pixels.
        noise_range: of the background in a pixel, the least and the most among all looks, log10 Lsun kpc⁻²; not below
            the floor, which stands for none.
        pixels: of a side.
    """

    psf_sigma: float
    pixel_arcsec: float
    log_flux_floor: float
    psf_range: tuple[float, float]
    noise_range: tuple[float, float]
    pixels: int = 160

    @classmethod
    def of(cls, model: Any) -> "TrainingMaps":
        """From the buffers of a trained LightningModule."""
        (narrowest, widest), (least, most) = model.psf_range.tolist(), model.noise_range.tolist()
        return cls(
            psf_sigma=float(model.psf_sigma),
            pixel_arcsec=float(model.pixel_arcsec),
            log_flux_floor=float(model.log_flux_floor),
            psf_range=(narrowest, widest),
            noise_range=(least, most),
        )

    @property
    def psf_arcsec(self) -> float:
        """Sigma of the point-spread function of the clean look, arcsec."""
        return self.psf_sigma * self.pixel_arcsec
