"""Charts, items and thumbnails of the test maps, clean and noisy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.cluster_maps import ClusterMapsDataModule
from datamodules.telescope import Looks
from lit_modules.ebm import LitEBM
from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.looks import (
    Estimates,
    calibration_chart,
    first_rows,
    items,
    predicted_chart,
    stretched,
)
from pipeline.evaluation.common.maps import flagged_percent
from pipeline.evaluation.common.result import THUMBNAILS, thumbnails
from pipeline.evaluation.ebm.measures import CONTENTS, Seen, errors

LEVELS = np.unique([*range(5, 100, 5), *CONTENTS]) / 100  # nominal contents of regions and intervals
UNITS = {"distance": "kpc", "age": "gyr", "field_mass": "msun", "mass_to_light": "solar"}
NAMES = {
    "distance": "distance",
    "age": "age",
    "field_mass": "mass in the field",
    "mass_to_light": "mass-to-light ratio",
}


def read(maps: Seen) -> dict[str, Estimates]:
    """Median of the posterior of each quantity, in its own unit, with truth and interval."""
    found = {}
    for name, median in maps.median().items():
        if name in UNITS:
            values = (maps.truth[name].numpy(), median.numpy(), *maps.interval(name))
            found[name] = Estimates(*(value.astype(float) for value in values))
    return found


def predicted(found: Mapping[str, dict[str, Estimates]]) -> list[Chart]:
    """Each quantity against the truth, from what :func:`read` found in each look."""
    what = "median of the posterior and truth, with 68 % intervals."
    titles = {
        "distance": f"Distance (kpc): {what}",
        "age": f"Age (Gyr): {what}",
        "field_mass": f"log10 of the mass in the field (Msun): {what}",
        "mass_to_light": f"Mass-to-light ratio (Msun/Lsun): {what}",
    }
    by_name = {name: {look: of[name] for look, of in found.items()} for name in titles}
    by_name["field_mass"] = {look: masses.log10() for look, masses in by_name["field_mass"].items()}
    return [predicted_chart(name, titles[name], looks) for name, looks in by_name.items()]


def calibrations(looks: Mapping[str, Seen]) -> list[Chart]:
    """How often regions of distance and age, and intervals of each quantity, hold the truth."""
    regions, intervals = {}, {}
    for look, maps in looks.items():
        content = maps.posterior.content()
        regions[look] = [share(content <= level) for level in LEVELS.tolist()]
        for name, title in NAMES.items():
            content = maps.content(name)
            intervals[f"{title}, {look}"] = [share(content <= level) for level in LEVELS.tolist()]
    told = "How often {} hold the truth."
    return [
        calibration_chart("regions", told.format("regions of distance and age"), LEVELS, regions),
        calibration_chart("intervals", told.format("stated intervals of each quantity"), LEVELS, intervals),
    ]


def share(inside: Tensor) -> float:
    """Of maps of which it is true, (n,)."""
    return float(inside.double().mean())


def held_out(
    model: LitEBM, looks: Mapping[str, Seen], found: Mapping[str, dict[str, Estimates]], cluster: Tensor
) -> pl.DataFrame:
    """All quantities of each map in each look, with their errors.

    Args:
        model: that read them.
        looks: test maps by look.
        found: of :func:`read`, by look.
        cluster: number of that of each map, (n,).
    """
    tables = {}
    for look, maps in looks.items():
        table: dict[str, Any] = {"cluster": cluster}
        for name, unit in UNITS.items():
            table |= found[look][name].columns(name, unit)
        points = {name: torch.from_numpy(of.predicted) for name, of in found[look].items()}
        table |= errors(points, maps.truth)
        flagged = flagged_percent(model, maps.statistics) > 0
        tables[look] = table | {"nll_nats": -maps.posterior.at_truth, "outside_training": flagged}
    return items(tables)


def light_pictures(data: ClusterMapsDataModule, looks: int) -> list[NDArray[np.uint8]]:
    """The light of the first items, in so many looks."""
    part, rows = data.splits["test"], THUMBNAILS // looks
    light, distance = data.files["light"][part["map"][:rows]], part["distance"][:rows]
    flux = [data.telescope.log_flux(light, distance, Looks.of(part["looks"][:rows, look])) for look in range(looks)]
    return thumbnails(stretched(first_rows([each.numpy() for each in flux])))
