"""Section nbody of params.yaml: simulations of N bodies."""

import math
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from pipeline.settings.base import NonNegativeFloat, PositiveFloat, PositiveInt, Section, Seed


class NBody(Section):
    """How systems start and how they are integrated, in N-body units unless G says otherwise; whose are trained on."""

    n_simulations: PositiveInt
    n_stars: Annotated[int, Field(ge=2)]
    t_end: PositiveFloat
    dt: PositiveFloat
    softening: NonNegativeFloat
    G: PositiveFloat
    initial_conditions: Literal["course", "plummer", "king", "fractal", "file"]
    initial_file: str
    king_w0: Annotated[float, Field(gt=0, le=16)]
    fractal_dimension: Annotated[float, Field(ge=1, le=3)]
    virial_ratio: NonNegativeFloat | None
    mass_function: Literal["equal", "kroupa", "salpeter"]
    mass_segregation: Annotated[float, Field(ge=0, le=1)]
    integrator: Literal["hermite6", "leapfrog", "yoshida4", "force_gradient4", "hermite4"]
    step_error: Annotated[float, Field(ge=1e-12, le=1e-2)]
    substeps: PositiveInt
    tolerance: PositiveFloat | None
    seed: Seed
    source: str
    units: str
    format: Literal["csv", "parquet"]

    @field_validator("dt")
    @classmethod
    def _divides_t_end(cls, dt: float, info: ValidationInfo) -> float:
        steps = info.data.get("t_end", dt) / dt
        if not math.isfinite(steps) or round(steps) < 1 or abs(steps - round(steps)) > 1e-9 * steps:
            raise ValueError(f"t_end = {info.data['t_end']} is no whole number of such steps; change one of them")
        return dt

    @property
    def steps(self) -> int:
        """Outputs after the start."""
        return round(self.t_end / self.dt)
