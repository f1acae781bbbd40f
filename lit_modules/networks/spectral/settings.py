"""Parameters of the spectral graph network."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import ModelSettings, PositiveInt


class SpectralSettings(ModelSettings):
    """A network of spectral convolutions, see :class:`lit_modules.networks.spectral.network.SpectralNetwork`."""

    filter: Literal["spline", "plain_spline", "chebyshev", "free"]
    """Kernels: B-splines with knots even in the frequency θ, or in λ (the course's), Chebyshev polynomials, or one for
    each eigenvalue."""
    coefficients: Annotated[int, Field(ge=4)]
    """K, weights of a filter; of a free one as many as stars."""
    layers: PositiveInt
    """Spectral convolutions."""
    hidden: PositiveInt
    """Channels between them."""
