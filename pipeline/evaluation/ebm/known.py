"""What is known of a cluster's distance or age beside its map; imports nothing heavy."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from lit_modules.ebm import LitEBM
    from lit_modules.networks.energy.map_energy import Context
    from lit_modules.networks.sampling.chains import Energy
    from pipeline.evaluation.ebm.draws import Window

UNITS = {"distance": "kpc", "age": "Gyr"}
WIDTH = 6.0  # errors on either side of what is known: what lies beyond weighs nothing


@dataclass(frozen=True)
class Measurements:
    """Distance (kpc) and age (Gyr) from elsewhere, each with a normal error; None where nothing is known."""

    distance: float | None = None
    distance_error: float | None = None
    age: float | None = None
    age_error: float | None = None

    def __post_init__(self) -> None:
        """Refuse half of a value, and what no cluster has.

        Raises:
            InputError: a value without its error or the reverse, or one that it cannot be.
        """
        for name, unit in UNITS.items():
            value, error = getattr(self, name), getattr(self, f"{name}_error")
            if (value is None) != (error is None):
                missing = f"--{name}" if value is None else f"--{name}-error"
                raise InputError(f"{missing} is missing: a known {name} needs a value and an error; give both")
            if error is not None and not 0 < error < math.inf:
                raise InputError(f"--{name}-error {error:g}: no error of a measurement; give one above 0 {unit}")
            if value is not None and not math.isfinite(value):
                raise InputError(f"--{name} {value:g}: no {name}; give a number of {unit}")

    def given(self) -> dict[str, tuple[float, float]]:
        """Value and error of what is known, by name."""
        pairs = ((name, getattr(self, name), getattr(self, f"{name}_error")) for name in UNITS)
        return {name: (value, error) for name, value, error in pairs if value is not None}

    def stated(self) -> dict[str, Any]:
        """The same as an answer states it."""
        return {name: {"mean": v, "error": e, "unit": UNITS[name]} for name, (v, e) in self.given().items()}

    def check(self, model: "LitEBM") -> None:
        """Refuse what the network cannot have learned.

        Raises:
            InputError: a value lies outside the prior's box.
        """
        for name, (low, high) in boxes(model).items():
            value = self.given().get(name, (low, 0.0))[0]
            if not low <= value <= high:
                raise InputError(
                    f"--{name} {value:g}: the network knows clusters of {low:g} to {high:g} {UNITS[name]} alone; "
                    f"leave --{name} out, or train with a wider ebm.model.{name}_{UNITS[name].lower()}"
                )

    def energy(self, model: "LitEBM", context: "Context") -> "Energy":
        """Energy of distance and age in nats, that of the map with that of what is known (Bayes' theorem)."""
        from lit_modules.networks.energy.clamping import Known
        from pipeline.evaluation.ebm.draws import calibrated

        of_map = calibrated(model, context)
        known = {name: Known(*pair) for name, pair in self.given().items()}

        def energy(y: "Tensor") -> "Tensor":
            at = dict(zip(UNITS, model.from_box(y), strict=True))
            return of_map(y) + sum(each.energy(at[name]) for name, each in known.items())

        return energy

    def window(self, model: "LitEBM") -> "Window":
        """The part of the unit box that what is known leaves: a fine grid in it sees narrow errors."""
        import torch

        from pipeline.evaluation.ebm.draws import Window

        ends: list[list[float]] = [[], []]
        for name, (low, high) in boxes(model).items():
            value, error = self.given().get(name, (low, math.inf))
            ends[0].append(max(low, value - WIDTH * error))
            ends[1].append(min(high, value + WIDTH * error))
        corners = torch.tensor(ends, dtype=torch.float64, device=model.device)
        low_corner, high_corner = (model.to_box(*corner) for corner in corners)
        return Window(low_corner.float(), high_corner.float())


def boxes(model: "LitEBM") -> dict[str, tuple[float, float]]:
    """Lowest and highest distance (kpc) and age (Gyr) that the network knows."""
    (near, far), (young, old) = model.settings.distance_kpc, model.settings.age_gyr
    return {"distance": (near, far), "age": (young, old)}
