"""Parameters of the spectral graph network."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import ModelSettings, PositiveInt


class SpectralSettings(ModelSettings):
    """A network of spectral convolutions, see :class:`lit_modules.networks.spectral.network.SpectralNetwork`."""

    filter: Literal["spline", "free", "chebyshev"]
    """Kernels of the filters: B-splines, one for each eigenvalue, or Chebyshev polynomials."""
    coefficients: Annotated[int, Field(ge=4)]
    """K, weights of a filter; of a free one as many as stars."""
    layers: PositiveInt
    """Spectral convolutions."""
    hidden: PositiveInt
    """Channels between them."""
