"""What the two networks of π-DOC are worth: the authors' measures and plain ones, figures, and a prediction."""

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter
from numpy.typing import NDArray

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.result import BLUE, GREEN, GREY, ORANGE, RED, Picture, Result, style
from pipeline.observation import PIXEL, Observation, read_observation
from pipeline.params import PidocAgeDistance, PidocMass

Array = NDArray[Any]

MASS_BINS = np.linspace(-2.0, 1.0, 50)  # log10 Msun per pixel; these three are the authors' own
FIELD_BINS = np.linspace(3.0, 4.5, 20)  # log10 Msun
AGE_BINS = np.linspace(0.0, 14.0, 20)  # Gyr
RINGS = np.array([0.0, 2, 4, 6, 8, 10, 12, 14, 17, 20])  # arcsec, around the centre of light or mass
RING_MIDDLES = 0.5 * (RINGS[1:] + RINGS[:-1])
LEVELS = np.linspace(0.05, 0.95, 19)  # nominal contents of intervals


def evaluate(
    model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule, params: PidocMass | PidocAgeDistance
) -> Result:
    """Score a trained network on the test maps beside simple baselines, by the authors' measures and plain ones."""
    distances = np.array(params.evaluate.distances)
    if isinstance(model, LitPidocMass):
        return evaluate_mass(model, data, distances)
    return evaluate_age_distance(model, data, distances)


# --- measures -----------------------------------------------------------------------------------


def percent(true: Array, estimate: Array) -> Array:
    """100 |10^true - 10^estimate| / 10^true of logarithms."""
    return 100 * np.abs(1 - 10 ** (estimate - true))


def binned_error(true: Array, predicted: Array, edges: Array, error: Callable[[Array, Array], Array]) -> float:
    """The authors' error: in each bin of the prediction the mean error of its centre, then the plain mean over bins.

    Predictions outside the bins are left out; NaN where all are.
    """
    centres = 0.5 * (edges[1:] + edges[:-1])
    bins = np.digitize(predicted, edges) - 1
    inside = (bins >= 0) & (bins < len(centres))
    bins = bins[inside]
    counts = np.bincount(bins, minlength=len(centres))
    sums = np.bincount(bins, error(true[inside], centres[bins]), len(centres))
    return float((sums[counts > 0] / counts[counts > 0]).mean()) if len(bins) else np.nan


def bias_curve(values: Array, by: Array, edges: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of ``values`` minus the centre of the bin that ``by`` falls into; NaN where empty."""
    centres = 0.5 * (edges[1:] + edges[:-1])
    bins = np.digitize(by, edges) - 1
    offsets = [values[bins == k] - centre for k, centre in enumerate(centres)]
    return tuple(np.array([f(x) if len(x) else np.nan for x in offsets]) for f in (np.mean, np.std))  # type: ignore[return-value]


def coverage(z: Array) -> Array:
    """Share of normalised errors inside the central Gaussian interval of each nominal content."""
    return np.array([(np.abs(z) < NormalDist().inv_cdf(0.5 + level / 2)).mean() for level in LEVELS])


def log_sum(log_maps: Array) -> Array:
    """log10 of the sum of each map, (..., H, W) -> (...)."""
    return np.log10((10.0**log_maps).sum((-2, -1)))


def ring_numbers(log_maps: Array) -> tuple[Array, Array]:
    """Radius in arcsec of each pixel from the map's centre, and the number of its ring.

    The centre weighs pixels by the square root of their light or mass: a few giants hold most light.
    """
    weight = 10.0 ** (0.5 * log_maps)
    y, x = PIXEL * np.indices(log_maps.shape[1:])
    total = weight.sum((1, 2))
    centre_y, centre_x = ((weight * axis).sum((1, 2)) / total for axis in (y, x))
    radius = np.hypot(y - centre_y[:, None, None], x - centre_x[:, None, None])
    return radius, np.digitize(radius, RINGS) - 1


def ring_means(maps: Array, rings: Array) -> Array:
    """Mean over the pixels of each ring, (n, H, W) -> (n, rings)."""
    n, k = len(maps), len(RINGS)  # the last takes what lies outside
    key = (rings + k * np.arange(n)[:, None, None]).ravel()
    sums = np.bincount(key, maps.ravel(), n * k).reshape(n, k)
    return sums[:, :-1] / np.bincount(key, minlength=n * k).reshape(n, k)[:, :-1]


def radial_features(log_flux: Array) -> tuple[Array, Array]:
    """Mean and scatter of log flux in each ring, (n, 2 rings), and the radius of each pixel."""
    radius, rings = ring_numbers(log_flux)
    mean = ring_means(log_flux, rings)
    scatter = np.sqrt(np.maximum(ring_means(log_flux**2, rings) - mean**2, 0))
    return np.concatenate([mean, scatter], 1), radius


def ridge(x: Array, y: Array) -> Callable[[Array], Array]:
    """Linear regression on standardised features with a unit penalty."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / scale
    weights = np.linalg.solve(z.T @ z + np.eye(z.shape[1]), z.T @ (y - y.mean(0)))
    return lambda new: y.mean(0) + (new - mean) / scale @ weights


def by_distance(errors: Array, distance: Array, distances: Array) -> float:
    """Mean over the authors' distances of the mean error of the maps nearest to each."""
    nearest = np.abs(np.log(distance[:, None] / distances)).argmin(1)
    return float(np.mean([errors[nearest == k].mean() for k in np.unique(nearest)]))


# --- mass maps ----------------------------------------------------------------------------------


def evaluate_mass(model: LitPidocMass, data: ClusterMapsDataModule, distances: Array) -> Result:
    """Mass maps of the test clusters beside light times a constant, a radial regression and the mean map."""
    test = collected(model, data)
    true = test["mass"]
    predictions = {"model": test["log_mass"], **mass_baselines(data, test)}
    field, rings = log_sum(true), ring_numbers(true)[1]
    profile = ring_means(10.0**true, rings)
    rows: dict[str, Callable[[Array], float]] = {
        "pixel mass, authors' bins (%)": lambda p: binned_error(true.ravel(), p.ravel(), MASS_BINS, percent),
        "pixel mass, mean error (%)": lambda p: percent(true, p).mean(),
        "pixel mass, mean error (dex)": lambda p: np.abs(true - p).mean(),
        "field mass, authors' bins (%)": lambda p: binned_error(field, log_sum(p), FIELD_BINS, percent),
        "M/L of the field, mean error (%)": lambda p: percent(field, log_sum(p)).mean(),
        "M/L in rings, mean error (%)": lambda p: 100 * np.abs(ring_means(10.0**p, rings) / profile - 1).mean(),
    }
    z_pixel = (true - test["log_mass"]) / test["sigma"]
    z_field = (field - log_sum(test["log_mass"])) / test["field_sigma"]
    mu, _ = bias_curve(true.ravel(), test["log_mass"].ravel(), MASS_BINS)
    metrics: dict[str, Any] = {
        **{name: {who: measure(p) for who, p in predictions.items()} for name, measure in rows.items()},
        "mean |bias| of a pixel over predicted mass (dex)": np.nanmean(np.abs(mu)),
        "pixels inside their 68 % interval (%)": 100 * (np.abs(z_pixel) < 1).mean(),
        "fields inside their 68 % interval (%)": 100 * (np.abs(z_field) < 1).mean(),
    }
    with style():
        pictures = [
            four_maps(test, distances),
            mass_against_mass(test),
            mass_to_light_profiles(test, predictions, distances),
            calibration({"a pixel's mass": z_pixel, "the mass in the field": z_field}),
        ]
    return Result(finite(metrics), pictures)


def mass_baselines(data: ClusterMapsDataModule, test: dict[str, Array]) -> dict[str, Array]:
    """Log mass maps of the test clusters by three simple rules learned from the training clusters."""
    ratios, features, profiles = [], [], []
    mean_map, n = 0.0, 0
    for batch in data.train_dataloader():
        flux, mass = (batch[name][:, 0].double().numpy() for name in ("flux", "mass"))
        ratios.append(log_sum(mass) - log_sum(log_luminosity(flux, batch["distance"].numpy())))
        x, radius = radial_features(flux)
        features.append(x)
        profiles.append(ring_means(mass, np.digitize(radius, RINGS) - 1))
        mean_map, n = mean_map + mass.sum(0), n + len(mass)
    x, radius = radial_features(test["flux"])
    regressed = ridge(np.concatenate(features), np.concatenate(profiles))(x)
    painted = [np.interp(r, RING_MIDDLES, profile) for r, profile in zip(radius, regressed, strict=True)]
    light = log_luminosity(test["flux"], test["distance"])
    return {
        "constant M/L": light + np.median(np.concatenate(ratios)),
        "radial ridge": np.stack(painted),
        "mean map": np.broadcast_to(mean_map / n, light.shape),
    }


def log_luminosity(log_flux: Array, distance: Array) -> Array:
    """log10 L/Lsun of each pixel from its log10 flux, F = L / (4π D²), D in kpc."""
    return log_flux + np.log10(4 * np.pi * distance**2)[..., None, None]


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


def examples(test: dict[str, Array], distances: Array) -> list[int]:
    """One test map near each distance, of ages spread from young to old."""
    chosen = []
    for k, distance in enumerate(distances):
        offsets = np.abs(np.log(test["distance"] / distance))
        near = np.flatnonzero(offsets <= np.sort(offsets)[min(20, len(offsets) - 1)])
        age = np.quantile(test["age"][near], (k + 0.5) / len(distances))
        chosen.append(int(near[np.abs(test["age"][near] - age).argmin()]))
    return chosen


def show_map(axis: Axes, values: Array, **look: Any) -> Any:
    """An image with its centre at the origin of axes in arcsec."""
    axis.grid(False)
    half = PIXEL * len(values) / 2
    return axis.imshow(values, origin="lower", extent=(-half, half, -half, half), **look)


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
    left.set(xlabel="radius (arcsec)", ylabel="M/L (M☉/L☉)", title="true (solid), predicted (dashed)")
    left.legend(fontsize=8)
    for (who, profile), colour in zip(profiles.items(), (BLUE, ORANGE, GREEN, GREY), strict=True):
        right.plot(RING_MIDDLES, 100 * np.abs(profile / true - 1).mean(0), color=colour, label=who, marker="o", ms=3)
    plain_log(right, "y", [5, 10, 20, 50, 100, 200, 500])
    right.set(xlabel="radius (arcsec)", ylabel="mean error of M/L (%)", title="all test clusters")
    right.legend(fontsize=8)
    return Picture(
        "mass_to_light",
        "Mass over light in rings around the centre. Left: the four clusters above. Right: the mean error over all "
        "test clusters, beside three simple rules.",
        figure,
    )


def calibration(errors: dict[str, Array]) -> Picture:
    """Observed against stated content of intervals, from normalised errors."""
    figure, axis = plt.subplots(figsize=(4.6, 4.2))
    axis.plot([0, 100], [0, 100], color=GREY, lw=1, ls="--", label="perfect")
    for (name, z), colour in zip(errors.items(), (BLUE, ORANGE), strict=True):
        axis.plot(100 * LEVELS, 100 * coverage(z), color=colour, marker="o", ms=3, label=name)
    axis.set(xlabel="stated content of the interval (%)", ylabel="truth found inside (%)", aspect="equal")
    axis.legend()
    return Picture(
        "calibration",
        "Are the error bars honest? Of the intervals that claim to hold the truth in, say, 68 % of cases, so many do. "
        "Below the dashed line the network is too sure of itself, above it too modest.",
        figure,
    )


# --- age and distance ---------------------------------------------------------------------------


def evaluate_age_distance(model: LitPidocAgeDistance, data: ClusterMapsDataModule, distances: Array) -> Result:
    """Distances and ages of the test clusters beside a radial regression and the mean of the training clusters."""
    test = collected(model, data)
    predictions = {"model": (test["distance_read"], test["age_read"]), **label_baselines(data, test)}
    distance, age = test["distance"], test["age"]
    rows: dict[str, Callable[[Array, Array], float]] = {
        "distance, authors' mean over distances (kpc)": lambda d, _: by_distance(
            np.abs(d - distance), distance, distances
        ),
        "distance, mean error (kpc)": lambda d, _: np.abs(d - distance).mean(),
        "distance, mean error (%)": lambda d, _: 100 * np.abs(d / distance - 1).mean(),
        "age, authors' bins (Gyr)": lambda _, a: binned_error(age, a, AGE_BINS, lambda x, y: np.abs(x - y)),
        "age, mean error (Gyr)": lambda _, a: np.abs(a - age).mean(),
    }
    scaled = model.net.scale(torch.from_numpy(distance), torch.from_numpy(age)).numpy()
    z = dict(zip(("distance", "age"), ((scaled - test["z_mean"]) / test["z_sigma"]).T, strict=True))
    metrics: dict[str, Any] = {
        **{name: {who: measure(*pair) for who, pair in predictions.items()} for name, measure in rows.items()},
        **{f"{name} inside its 68 % interval (%)": 100 * (np.abs(x) < 1).mean() for name, x in z.items()},
    }
    with style():
        pictures = [
            labelled_maps(test, distances),
            label_against_label(test),
            distributions(test, distances),
            calibration(z),
        ]
    return Result(finite(metrics), pictures)


def label_baselines(data: ClusterMapsDataModule, test: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
    """Distance and age of the test clusters by two simple rules learned from the training clusters."""
    features, labels = [], []
    for batch in data.train_dataloader():
        features.append(radial_features(batch["flux"][:, 0].double().numpy())[0])
        labels.append(torch.stack([batch["distance"].log10(), batch["age"]], 1).double().numpy())
    x, y = np.concatenate(features), np.concatenate(labels)
    regressed = ridge(x, y)(radial_features(test["flux"])[0])
    distance, age = (10 ** y[:, 0]).mean(), y[:, 1].mean()
    return {
        "radial ridge": (10 ** regressed[:, 0], regressed[:, 1]),
        "mean": (np.full(len(test["age"]), distance), np.full(len(test["age"]), age)),
    }


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


def interval(test: dict[str, Array], name: str, k: int, digits: int) -> str:
    """A quantity of a test map with its interval, as text."""
    low, high = test[f"{name}_low"][k], test[f"{name}_high"][k]
    return f"{test[f'{name}_read'][k]:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def label_against_label(test: dict[str, Array]) -> Picture:
    """Predicted against true distance and age, with error bars."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 4.2))
    for axis, name, unit in zip(axes, ("distance", "age"), ("kpc", "Gyr"), strict=True):
        true, predicted = test[name], test[f"{name}_read"]
        bars = np.abs(np.stack([test[f"{name}_low"], test[f"{name}_high"]]) - predicted)
        axis.errorbar(spread_out(true), predicted, bars, fmt="o", ms=3, lw=0.7, color=BLUE, alpha=0.4)
        ends = [true.min(), true.max()]
        axis.plot(ends, ends, color=GREY, lw=1, ls="--")
        axis.set(xlabel=f"true {name} ({unit})", ylabel=f"predicted {name} ({unit})")
        if name == "distance":
            plain_log(axis, "x", [5, 10, 20, 50, 100])
            plain_log(axis, "y", [5, 10, 20, 50, 100, 200])
    return Picture(
        "labels",
        "Every test map: predicted against true, with the 68 % interval that the network states. On the dashed line "
        "both agree.",
        figure,
    )


def spread_out(values: Array) -> Array:
    """Move equal values apart by up to 4 %, so that their marks can be told apart."""
    return values * (1 + 0.08 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5))


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


# --- your own cluster ---------------------------------------------------------------------------


def predict(models: list[LitPidocMass | LitPidocAgeDistance], path: Path) -> Result:
    """Read a cluster's flux map and state its mass map, mass, distance, age and M/L with 68 % intervals.

    Each network given adds its part; the mass-to-light ratio needs both.

    Raises:
        InputError: the file is no usable map, see ``pipeline.observation``.
    """
    seen = read_observation(path)
    flux = torch.from_numpy(seen.log_flux).float()[None, None]
    found: dict[str, Any] = {}
    remarks = list(seen.warnings)
    with torch.inference_mode():
        for model in models:
            remarks += [x for x in outside_training(model, seen.log_flux) if x not in remarks]
            answer = {name: tensor.double().numpy().squeeze() for name, tensor in answers(model, flux).items()}
            found |= answer
            if isinstance(model, LitPidocMass):
                remarks += field_outside_training(model, float(log_sum(answer["log_mass"])))
            if not model.hparams["uncertainty"]:
                remarks.append(
                    "the network states no uncertainty of its own; intervals are its mean errors as published"
                )
    metrics: dict[str, Any] = {
        "input": path.name,
        "interval": "68 %",
        **quantities(seen.log_flux, found),
        "warnings": remarks,
    }
    hdus = {"mass": mass_hdus(found, seen)} if "log_mass" in found else {}
    with style():
        picture = own_cluster(path.stem, seen, found, metrics)
    return Result(metrics, [picture], hdus)


def quantities(log_flux: Array, found: dict[str, Array]) -> dict[str, Any]:
    """Distance, age, mass in the field and M/L: value, ends of the 68 % interval and unit."""
    stated: dict[str, Any] = {}
    if "distance_read" in found:
        for name, unit in (("distance", "kpc"), ("age", "Gyr")):
            value, low, high = (max(float(found[f"{name}_{end}"]), 0.0) for end in ("read", "low", "high"))
            stated[name] = {"value": value, "low": low, "high": high, "unit": unit}
    if "log_mass" in found:
        log_mass, sigma = log_sum(found["log_mass"]), found["field_sigma"]
        stated["mass in the field"] = around(log_mass, sigma, "Msun")
    if "distance_read" in found and "log_mass" in found:
        light = log_sum(log_luminosity(log_flux, found["distance_read"]))
        spread = 0.5 * np.log10(found["distance_high"] / max(found["distance_low"], 0.1))
        stated["luminosity of the field"] = around(light, 2 * spread, "Lsun")
        # errors of mass and distance taken as independent: they share a sign, so this is on the safe side
        stated["M/L of the field"] = around(log_mass - light, np.hypot(sigma, 2 * spread), "Msun/Lsun")
    return stated


def around(log_value: Array, sigma: Array, unit: str) -> dict[str, Any]:
    """A lognormal quantity: median, ends of its 68 % interval, unit."""
    low, value, high = (float(10 ** (log_value + k * sigma)) for k in (-1, 0, 1))
    return {"value": value, "low": low, "high": high, "unit": unit}


def outside_training(model: LitPidocMass | LitPidocAgeDistance, log_flux: Array) -> list[str]:
    """Where the mean and spread of a map's log flux lie outside those of all training maps."""
    remarks = []
    for name, value, (low, high) in zip(
        ("mean", "standard deviation"), (log_flux.mean(), log_flux.std()), model.flux_range.tolist(), strict=True
    ):
        if not low <= value <= high:
            remarks.append(
                f"the {name} of log flux, {value:.2f}, is outside the training maps' {low:.2f} to {high:.2f}: "
                "the answers are extrapolations"
            )
    return remarks


def field_outside_training(model: LitPidocMass, log_mass: float) -> list[str]:
    """Whether the mass found in the field lies outside that of all training maps."""
    low, high = model.field_range.tolist()
    if low <= log_mass <= high:
        return []
    return [f"log mass in the field, {log_mass:.2f}, is outside the training maps' {low:.2f} to {high:.2f}"]


def mass_hdus(found: dict[str, Array], seen: Observation) -> Any:
    """Mass per pixel and its uncertainty as FITS images on the sky of the input."""
    from astropy.io import fits

    header = seen.wcs.to_header() if seen.wcs is not None else fits.Header()
    images = []
    for name, values, unit, meaning in (
        ("MASS", 10 ** found["log_mass"], "solMass", "mass in the pixel, all stars and remnants"),
        ("SIGMA", found["sigma"], "dex", "standard deviation of log10 mass"),
    ):
        cards = header.copy()
        cards["BUNIT"] = (unit, meaning)
        cards["EXTNAME"] = name
        images.append((values.astype(np.float32), cards))
    return fits.HDUList([fits.PrimaryHDU(*images[0]), fits.ImageHDU(*images[1])])


def own_cluster(name: str, seen: Observation, found: dict[str, Array], metrics: dict[str, Any]) -> Picture:
    """The map given, the mass map, M/L, and the numbers: Figure 4 of the paper for one cluster."""
    panels = [(seen.log_flux, "light seen", "log F (L☉ kpc⁻²)", "inferno")]
    if "log_mass" in found:
        panels.append((found["log_mass"], "predicted mass", "log M (M☉)", "viridis"))
    if "M/L of the field" in metrics:
        light = log_luminosity(seen.log_flux, found["distance_read"])
        panels.append((found["log_mass"] - light, "mass over light", "log M/L (M☉/L☉)", "cividis"))
    figure, axes = plt.subplots(1, len(panels), figsize=(max(5.0, 3.3 * len(panels)), 4.0), squeeze=False)
    for axis, (values, title, label, colours) in zip(axes[0], panels, strict=True):
        low, high = np.quantile(values, [0.005, 0.995])
        image = show_map(axis, values, cmap=colours, vmin=low, vmax=high)
        figure.colorbar(image, ax=axis, label=label, orientation="horizontal")
        axis.set(title=title, xlabel="arcsec")
    stated = [
        f"{quantity} {short(x['value'])} ({short(x['low'])}–{short(x['high'])}) {x['unit']}"
        for quantity, x in metrics.items()
        if isinstance(x, dict)
    ]
    figure.suptitle(f"{name}\n" + "\n".join("; ".join(stated[k : k + 2]) for k in range(0, len(stated), 2)), fontsize=9)
    return Picture(
        "cluster", "The map given, and what the networks read off it, with 68 % intervals in brackets.", figure
    )


# --- what both share ----------------------------------------------------------------------------


def collected(model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule) -> dict[str, Array]:
    """All test maps and labels with the model's answers, as float64 arrays."""
    parts = []
    with torch.inference_mode():
        for batch in data.test_dataloader():
            parts.append({**batch, **answers(model, batch["flux"].to(model.device))})
    whole = {name: torch.cat([part[name].cpu() for part in parts]).double() for name in parts[0]}
    return {name: (tensor[:, 0] if tensor.ndim == 4 else tensor).numpy() for name, tensor in whole.items()}


def short(value: float) -> str:
    """Three digits, with no power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def answers(model: LitPidocMass | LitPidocAgeDistance, flux: torch.Tensor) -> dict[str, torch.Tensor]:
    """Predictions for flux maps (B, 1, H, W): log mass and its uncertainties, or labels with ends of their interval."""
    if isinstance(model, LitPidocMass):
        mass = model(flux)
        return {"log_mass": mass.log_mass, "sigma": mass.sigma, "field_sigma": mass.field_sigma}
    mean, sigma = model(flux)
    read = {"z_mean": mean, "z_sigma": sigma}
    for end, z in (("read", mean), ("low", mean - sigma), ("high", mean + sigma)):
        read[f"distance_{end}"], read[f"age_{end}"] = model.net.unscale(z)
    return read


def plain_log(axes: Axes, which: str, ticks: list[float]) -> None:
    """Make the x or y axis logarithmic with these ticks, written as plain numbers."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def finite(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics without those measures that no prediction falls into the bins of."""
    return {
        name: row
        for name, row in metrics.items()
        if np.isfinite(list(row.values()) if isinstance(row, dict) else row).all()
    }
