"""Figures of π-DOC: maps, masses, mass-to-light ratios, distances and ages, and how honest the error bars are."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter

from pipeline.evaluation.common.charts import Chart
from pipeline.evaluation.common.maps import log_luminosity, log_sum, show_map
from pipeline.evaluation.common.radial import RING_MIDDLES, ring_means, ring_numbers
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, RED, Picture
from pipeline.evaluation.pidoc.measures import (
    AGE_BINS,
    MASS_BINS,
    Array,
    bias_curve,
)


def four_maps(test: dict[str, Array], distances: Array) -> Picture:
    """Light, true mass, predicted mass and its uncertainty of four clusters: Figure 3 of the paper."""
    chosen = examples(test, distances)
    rows = [
        ("light seen", test["flux"], "log F (L☉ kpc⁻²)", {"cmap": "inferno", "vmin": -7, "vmax": -3}),
        ("true mass", test["mass"], "log M (M☉)", {"cmap": "viridis", "vmin": -2, "vmax": 1}),
        ("predicted mass", test["log_mass"], "log M (M☉)", {"cmap": "viridis", "vmin": -2, "vmax": 1}),
        ("its uncertainty", test["sigma"], "σ (dex)", {"cmap": "cividis", "vmin": 0, "vmax": 0.5}),
    ]
    figure, axes = plt.subplots(4, len(chosen), figsize=(8.4, 7.9), sharex=True, sharey=True, squeeze=False)
    field = {name: 10 ** log_sum(test[name][chosen]) for name in ("mass", "log_mass")}
    for line, (title, maps, label, look) in zip(axes, rows, strict=True):
        for column, (axis, k) in enumerate(zip(line, chosen, strict=True)):
            image = show_map(axis, maps[k], **look)
            if title == "light seen":
                axis.set_title(f"{test['distance'][k]:.0f} kpc, {test['age'][k]:.1f} Gyr")
            elif title.endswith("mass"):
                total = field["mass" if title.startswith("true") else "log_mass"][column]
                axis.text(-19, -18.5, f"{total:,.0f} M☉ in all", color="white", fontsize=9)
        line[0].set_ylabel(title)
        figure.colorbar(image, ax=line, label=label, aspect=12)
    figure.supxlabel("arcsec")
    return Picture(
        "maps",
        "Four test clusters. From the light alone (top) the network draws where the mass is, dark remnants and faint "
        "dwarfs included (third row), to be compared with the truth (second row). The last row is how far off, in "
        "powers of ten, it believes each pixel to be.",
        figure,
    )


def clean_and_noisy(test: dict[str, Array], noisy: dict[str, Array], distances: Array) -> Picture:
    """Four clusters seen clean and through another telescope with noise, and the mass read of either."""
    chosen = examples(test, distances)
    light = {"light, clean": test["flux"], "light, noisy": noisy["flux"]}
    mass = {"true mass": test["mass"], "read of clean": test["log_mass"], "read of noisy": noisy["log_mass"]}
    figure, axes = plt.subplots(5, len(chosen), figsize=(8.4, 9.6), sharex=True, sharey=True, squeeze=False)
    seen = show_rows(axes[:2], light, chosen, cmap="inferno", vmin=-7, vmax=-3)
    read = show_rows(axes[2:], mass, chosen, cmap="viridis", vmin=-2, vmax=1)
    figure.colorbar(seen, ax=axes[:2], label="log F (L☉ kpc⁻²)", aspect=24)
    figure.colorbar(read, ax=axes[2:], label="log M (M☉)", aspect=36)
    for column, k in zip(axes.T, chosen, strict=True):
        column[0].set_title(f"{test['distance'][k]:.0f} kpc, {test['age'][k]:.1f} Gyr")
        for axis, maps in zip(column[2:], mass.values(), strict=True):
            axis.text(-19, -18.5, f"{10 ** log_sum(maps[k]):,.0f} M☉ in all", color="white", fontsize=9)
    figure.supxlabel("arcsec")
    return Picture(
        "looks",
        "The same four clusters seen clean and through a telescope drawn at random, with its seeing, sky, noise and "
        "stars of the Milky Way, and the mass that the network reads of either, to be compared with the truth.",
        figure,
    )


def show_rows(axes: Any, maps: Mapping[str, Sequence[Array] | Array], chosen: list[int], **look: Any) -> Any:
    """A row of chosen maps for each name; the last image."""
    for line, (name, values) in zip(axes, maps.items(), strict=True):
        line[0].set_ylabel(name)
        for axis, k in zip(line, chosen, strict=True):
            image = show_map(axis, values[k], **look)
    return image


def mass_against_mass(test: dict[str, Array]) -> Picture:
    """Predicted against true mass of all pixels, and the authors' bias curves."""
    true, predicted = test["mass"].ravel(), test["log_mass"].ravel()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.0))
    edges = np.linspace(-2.5, 1.5, 121)
    counts, *_ = np.histogram2d(predicted, true, bins=[edges, edges])
    left.grid(False)
    image = left.pcolormesh(edges, edges, np.log10(np.maximum(counts, 0.5)).T, cmap="magma", rasterized=True)
    left.plot(edges[[0, -1]], edges[[0, -1]], color="white", lw=1, ls="--")
    left.set(xlabel="predicted log M of a pixel (M☉)", ylabel="true log M (M☉)", aspect="equal")
    figure.colorbar(image, ax=left, label="log number of pixels")
    centres = 0.5 * (MASS_BINS[1:] + MASS_BINS[:-1])
    for (mean, spread), colour, label in (
        (bias_curve(true, predicted, MASS_BINS), BLUE, "true − bin of predicted (μ)"),
        (bias_curve(predicted, true, MASS_BINS), ORANGE, "predicted − bin of true (ξ)"),
    ):
        right.plot(centres, mean, color=colour, label=label)
        right.fill_between(centres, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
    right.axhline(0, color=GREY, lw=1)
    right.set(
        xlabel="log M of the bin (M☉)", ylabel="mean offset (dex), band: ± 1 standard deviation", ylim=(-0.8, 0.8)
    )
    right.legend(loc="lower right")
    return Picture(
        "mass",
        "All pixels of the test maps. Left: predicted against true mass; on the dashed line both agree. Right: the "
        "mean offset at each mass; the closer to zero and the narrower the band, the better.",
        figure,
    )


def mass_to_light_profiles(test: dict[str, Array], predictions: dict[str, Array], distances: Array) -> Picture:
    """M/L against radius for four clusters, and the errors of all."""
    rings = ring_numbers(test["mass"])[1]
    light = ring_means(10 ** log_luminosity(test["flux"], test["distance"]), rings)
    profiles = {who: ring_means(10.0**maps, rings) / light for who, maps in predictions.items()}
    true = ring_means(10.0 ** test["mass"], rings) / light
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8))
    for k, colour in zip(examples(test, distances), (BLUE, ORANGE, GREEN, RED), strict=False):
        label = f"{test['distance'][k]:.0f} kpc, {test['age'][k]:.1f} Gyr"
        left.plot(RING_MIDDLES, true[k], color=colour, label=label)
        left.plot(RING_MIDDLES, profiles["model"][k], color=colour, ls="--", marker="o", ms=3)
    plain_log(left, "y", [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10])
    left.set(xlabel="radius (arcsec)", ylabel="M/L (M☉/L☉)", title="true (solid), read (dashed), true light")
    left.legend(fontsize=8)
    for (who, profile), colour in zip(profiles.items(), (BLUE, ORANGE, GREEN, GREY), strict=True):
        right.plot(
            RING_MIDDLES,
            100 * np.abs(profile / true - 1).mean(0),
            color=colour,
            label=who.replace("_", " "),
            marker="o",
            ms=3,
        )
    plain_log(right, "y", [5, 10, 20, 50, 100, 200, 500])
    right.set(xlabel="radius (arcsec)", ylabel="mean error of the mass (%)", title="all test clusters")
    right.legend(fontsize=8)
    return Picture(
        "mass_to_light",
        "Mass over true light in rings around the centre. Left: the four clusters above. Right: the mean error over "
        "all test clusters, which is that of the mass, beside three simple rules.",
        figure,
    )


def labelled_maps(test: dict[str, Array], distances: Array) -> Picture:
    """Light of four clusters above what is true and what is read."""
    chosen = examples(test, distances)
    figure, axes = plt.subplots(1, len(chosen), figsize=(8.8, 3.0), sharey=True, squeeze=False)
    for axis, k in zip(axes[0], chosen, strict=True):
        image = show_map(axis, test["flux"][k], cmap="inferno", vmin=-7, vmax=-3)
        axis.set_title(
            f"true {test['distance'][k]:.0f} kpc, {test['age'][k]:.1f} Gyr\n"
            f"read {interval(test, 'distance', k, 0)} kpc,\n{interval(test, 'age', k, 1)} Gyr",
            fontsize=9,
        )
    axes[0, 0].set_ylabel("arcsec")
    figure.colorbar(image, ax=axes, label="log F (L☉ kpc⁻²)", aspect=12)
    return Picture(
        "maps",
        "What the network sees of four test clusters, and what it reads off them: distance and age with their 68 % "
        "intervals. Near clusters fall apart into stars; young ones shine brighter for their mass.",
        figure,
    )


def label_against_label(test: dict[str, Array]) -> Picture:
    """Predicted against true distance and age, with error bars."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 4.2))
    for axis, name, unit in zip(axes, ("distance", "age"), ("kpc", "Gyr"), strict=True):
        true, predicted = test[name], test[f"{name}_read"]
        low = np.maximum(test[f"{name}_low"], 0)  # no age is negative
        bars = np.abs(np.stack([low, test[f"{name}_high"]]) - predicted)
        axis.errorbar(spread_out(true), predicted, bars, fmt="o", ms=3, lw=0.7, color=BLUE, alpha=0.4)
        ends = [true.min(), true.max()]
        axis.plot(ends, ends, color=GREY, lw=1, ls="--")
        axis.set(xlabel=f"true {name} ({unit})", ylabel=f"predicted {name} ({unit})")
        if name == "distance":
            plain_log(axis, "x", [15, 30, 60, 80])
            plain_log(axis, "y", [5, 10, 20, 50, 100, 200])
    return Picture(
        "labels",
        "Every test map: predicted against true, with the 68 % interval that the network states. On the dashed line "
        "both agree.",
        figure,
    )


def distributions(test: dict[str, Array], distances: Array) -> Picture:
    """Predicted distances at each of the authors' distances, and their bias curves of age."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
    nearest = np.abs(np.log(test["distance"][:, None] / distances)).argmin(1)
    edges = np.geomspace(0.5 * distances.min(), 2 * distances.max(), 41)
    for k, colour in zip(np.unique(nearest), (BLUE, ORANGE, GREEN, RED), strict=False):
        left.hist(test["distance_read"][nearest == k], edges, histtype="stepfilled", color=colour, alpha=0.35)
        left.axvline(distances[k], color=colour, label=f"true {distances[k]:.0f} kpc")
    plain_log(left, "x", [10, 15, 30, 60, 100])
    left.set(xlabel="predicted distance (kpc)", ylabel="test maps")
    left.legend(fontsize=8)
    centres = 0.5 * (AGE_BINS[1:] + AGE_BINS[:-1])
    for values, by, colour, label in (
        (test["age"], test["age_read"], BLUE, "true − bin of predicted (μ)"),
        (test["age_read"], test["age"], ORANGE, "predicted − bin of true (ξ)"),
    ):
        mean, spread = bias_curve(values, by, AGE_BINS)
        right.errorbar(centres, mean, spread, color=colour, fmt="o", ms=4, lw=1, label=label)
    right.axhline(0, color=GREY, lw=1)
    right.set(xlabel="age of the bin (Gyr)", ylabel="mean offset (Gyr), bars: ± 1 st. dev.")
    right.legend(fontsize=8)
    return Picture(
        "distributions",
        "Left: predicted distances of the test maps, by the true distance they lie nearest to. Right: the mean offset "
        "of ages; an upward orange line at young ages and a downward one at old ages is a drawing towards the mean.",
        figure,
    )


def calibration(chart: Chart) -> Picture:
    """Observed against stated content of intervals, of two quantities, clean and perhaps noisy."""
    figure, axis = plt.subplots(figsize=(4.6, 4.2))
    axis.plot([0, 100], [0, 100], color=GREY, lw=1, ls=":", label="perfect")
    for k, ((group,), curve) in enumerate(chart.table.group_by("group", maintain_order=True)):
        noisy = k >= 2
        axis.plot(
            curve["stated_percent"],
            curve["found_percent"],
            color=(BLUE, ORANGE)[k % 2],
            marker="" if noisy else "o",
            ls="--" if noisy else "-",
            ms=3,
            label=group,
        )
    axis.set(xlabel="stated content of the interval (%)", ylabel="truth found inside (%)", aspect="equal")
    axis.legend(fontsize=8)
    return Picture(
        "calibration",
        "Are the error bars honest? Of the intervals that claim to hold the truth in, say, 68 % of cases, so many do. "
        "Below the dotted line the network is too sure of itself, above it too modest.",
        figure,
    )


def examples(test: dict[str, Array], distances: Array) -> list[int]:
    """One test map near each distance, of ages spread from young to old; no map twice, where there are enough."""
    chosen: list[int] = []
    n = len(test["distance"])
    for k, distance in enumerate(distances):
        left = np.setdiff1d(np.arange(n), chosen) if len(chosen) < n else np.arange(n)
        offsets = np.abs(np.log(test["distance"][left] / distance))
        near = left[offsets <= np.sort(offsets)[min(20, n // len(distances), len(left) - 1)]]
        age = np.quantile(test["age"][near], (k + 0.5) / len(distances))
        chosen.append(int(near[np.abs(test["age"][near] - age).argmin()]))
    return chosen


def interval(test: dict[str, Array], name: str, k: int, digits: int) -> str:
    """A quantity of a test map with its interval, as text."""
    low, high = max(test[f"{name}_low"][k], 0.0), test[f"{name}_high"][k]
    return f"{test[f'{name}_read'][k]:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def spread_out(values: Array) -> Array:
    """Move equal values apart by up to 4 %, so that their marks can be told apart."""
    return values * (1 + 0.08 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5))


def plain_log(axes: Axes, which: str, ticks: list[float]) -> None:
    """Make the x or y axis logarithmic with these ticks, written as plain numbers."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
