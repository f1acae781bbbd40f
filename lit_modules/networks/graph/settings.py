"""Parameters of the graph network of N-body dynamics."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import ModelSettings, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt


class NBodySettings(ModelSettings):
    """A network that moves stars, see :class:`lit_modules.networks.graph.nbody.NBodyNetwork`."""

    layers: PositiveInt
    """Kicks in an output step."""
    hidden: PositiveInt
    """Width of the edge weights' network φ."""
    filter: Literal["linear", "polynomial", "spline"]
    """g of the Laplacian: -λ, a polynomial or a B-spline."""
    coefficients: Annotated[int, Field(ge=4)]
    """Of a polynomial or spline filter, for each layer."""
    attribute: Literal["auto", "none", "mass", "charge"]
    """What stars differ in; auto: what the training data have."""
    velocities: bool
    """Whether φ sees velocities too, and a second Laplacian acts on them."""
    environment: NonNegativeInt
    """Numbers that a star gathers from its neighbours, layer by layer, for φ to see; 0: none."""
    symmetric: bool
    """Whether forces are equal and opposite, so that momentum is conserved."""
    shared: bool
    """One φ for all layers instead of one for each."""
    velocity_weight: NonNegativeFloat
    """Of the velocities in the loss, beside 1 for the positions."""
    delta: PositiveFloat | None
    """δ of the pseudo-Huber loss, in typical motions of a step: larger errors of a system count linearly; None: e²."""

    @model_validator(mode="after")
    def _spline_needs_symmetry(self) -> Self:
        if self.filter == "spline" and not self.symmetric:
            raise ValueError("a spline filter needs real eigenvalues: make symmetric true or take filter: polynomial")
        return self
