"""Charts, items and thumbnails of the test maps, clean and noisy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.looks import (
    Estimates,
    calibration_chart,
    first_rows,
    items,
    predicted_chart,
    stretched,
)
from pipeline.evaluation.common.result import thumbnails
from pipeline.evaluation.pidoc.measures import LEVELS, Array, coverage
from pipeline.evaluation.pidoc.scores import inside_percent

Looks = Mapping[str, dict[str, Array]]  # test maps as scores.py completes them, by look
UNITS = {"distance": "kpc", "age": "gyr"}


def mass_charts(looks: Looks) -> list[Chart]:
    """Mass in the field against the truth, and coverage of the intervals of pixels and fields."""
    title = "log10 of the mass in the field (Msun), read and true, with 68 % intervals."
    names = {"z_pixel": "a pixel's mass", "z_field": "the mass in the field"}
    return [
        predicted_chart("field_mass", title, {look: log_field(test) for look, test in looks.items()}),
        calibration(looks, names),
    ]


def label_charts(looks: Looks) -> list[Chart]:
    """Distance and age against the truth, and coverage of their intervals."""
    titles = {"distance": "Distance (kpc)", "age": "Age (Gyr)"}
    return [
        *(
            predicted_chart(
                name,
                f"{title}, read and true, with 68 % intervals.",
                {look: estimates(test, name) for look, test in looks.items()},
            )
            for name, title in titles.items()
        ),
        calibration(looks, {f"z_{name}": name for name in titles}),
    ]


def calibration(looks: Looks, names: dict[str, str]) -> Chart:
    """Coverage of the intervals of each quantity, from its errors z, in each look."""
    shares = {f"{name}, {look}": coverage(test[z]) for look, test in looks.items() for z, name in names.items()}
    return calibration_chart("calibration", "How often stated intervals hold the truth.", LEVELS, shares)


def log_field(test: dict[str, Array]) -> Estimates:
    """Of log10 of the mass in the field, Msun."""
    read, sigma = test["field_read"], test["field_sigma"].reshape(-1)
    return Estimates(test["field_true"], read, read - sigma, read + sigma)


def estimates(test: dict[str, Array], name: str) -> Estimates:
    """Of distance (kpc) or age (Gyr)."""
    low = np.maximum(test[f"{name}_low"], 0)  # no age is negative
    return Estimates(test[name], test[f"{name}_read"], low, test[f"{name}_high"])


def mass_items(looks: Looks, errors: Mapping[str, dict[str, dict[str, Array]]]) -> pl.DataFrame:
    """Mass in the field of each map in each look, and all errors of :func:`mass_errors` by look."""

    def columns(test: dict[str, Array], of: dict[str, dict[str, Array]]) -> dict[str, Array]:
        field = Estimates(*(10**value for value in log_field(test)))
        return {
            "cluster": test["cluster"].astype(int),
            "distance_kpc": test["distance"],
            "age_gyr": test["age"],
            **field.columns("field_mass", "msun"),
            **{what: by["model"] for what, by in of.items()},
            "pixel_in_68_percent": inside_percent(test["z_pixel"]),
            "outside_training": test["outside"] > 0,
        }

    return items({look: columns(test, errors[look]) for look, test in looks.items()})


def label_items(looks: Looks) -> pl.DataFrame:
    """Distance and age of each map in each look."""

    def columns(test: dict[str, Array]) -> dict[str, Array]:
        error = {name: np.abs(test[f"{name}_read"] - test[name]) for name in UNITS}
        return {
            "cluster": test["cluster"].astype(int),
            **estimates(test, "distance").columns("distance", "kpc"),
            "distance_error_kpc": error["distance"],
            "distance_error_percent": 100 * error["distance"] / test["distance"],
            **estimates(test, "age").columns("age", "gyr"),
            "age_error_gyr": error["age"],
            "outside_training": test["outside"] > 0,
        }

    return items({look: columns(test) for look, test in looks.items()})


def light_pictures(looks: Looks) -> list[NDArray[np.uint8]]:
    """The light of the first items."""
    return thumbnails(stretched(first_rows([test["flux"] for test in looks.values()])))


def mass_pictures(looks: Looks) -> list[NDArray[Any]]:
    """Light, true mass and the mass read of the first items, side by side; both masses with one black and white."""
    true, read = (first_rows([test[name] for test in looks.values()]) for name in ("mass", "log_mass"))
    panels = [light_pictures(looks), thumbnails(stretched(true)), thumbnails(stretched(read, like=true))]
    return [np.hstack(row) for row in zip(*panels, strict=True)]
