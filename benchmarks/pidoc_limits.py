"""How far readers get that are told more than a flux map, or trained on fewer clusters."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import Tensor

from benchmarks.chain import ROOT
from benchmarks.pidoc_runs import (
    AGE,
    MASS,
    MEASURES,
    PERCEPTRON_EPOCHS,
    QUICK,
    RawMaps,
    Size,
    full_size,
    maps_of,
    raw_maps,
    trained_on,
    training_maps,
)
from benchmarks.results import Row
from lit_modules.networks.pidoc.distance_age import StatisticsReader
from lit_modules.networks.pidoc.losses import beta_nll
from pipeline.evaluation.common.maps import log_sum
from pipeline.evaluation.pidoc.answers import collected
from pipeline.evaluation.pidoc.measures import (
    AGE_BINS,
    MASS_BINS,
    Array,
    binned_error,
    by_distance,
    percent,
)
from pipeline.generate_clusters import draw
from pipeline.settings.clusters import Clusters
from pipeline.settings.load import load_params
from pipeline.simulation.clusters.star_cluster import ClusterParameters, draw_cluster
from pipeline.simulation.clusters.telescope import LIGHT_UNIT, bin_stars, blur, gaussian_psf, random_view, sky_position
from pipeline.training.registry import MODELS

DISTANCES = np.array([15.0, 30.0, 60.0, 80.0])  # kpc
REALISATIONS = 40  # of a cluster, over which the all-knowing reader averages
SIDE = 160  # pixels of the field
BRIGHT = 1.0  # Lsun


# --- readers who know the cluster --------------------------------------------------------------------------------


def all_knowing_reader(folder: Path) -> list[Row]:
    """Mass error of a reader who knows all parameters of a test cluster and its centre, but not where its stars are.

    A second one also knows the mass of each raw pixel that holds more than a solar luminosity. Both state the map with
    the least expected error over clusters drawn anew. The network has to find all this out; what it sees and they do
    not is the blurred light of the fainter stars.
    """
    raw, data = raw_maps(folder, "test"), maps_of(folder)
    mass = data.files["mass"][data.splits["test"]["map"]].numpy()
    clusters = load_params(str(folder / "params.yaml")).clusters
    stated = np.array(Parallel(-1)(delayed(best_maps)(raw, row, clusters) for row in range(len(mass))))
    rows = []
    for k, told in enumerate(("every parameter", "every parameter and all stars above 1 Lsun")):
        error = binned_error(mass.astype(float).ravel(), stated[:, k].ravel(), MASS_BINS, percent)
        note = f"over {REALISATIONS} clusters drawn anew with the parameters of each test map"
        rows.append(Row(f"a reader told {told}: mass per pixel", error, "%", None, None, "lower", note))
    return rows


def best_maps(raw: RawMaps, row: int, clusters: Clusters) -> Array:
    """The two readers' log10 mass maps (2, 160, 160) of a test map."""
    facts = raw.catalogue.row(row, named=True)
    parameters = ClusterParameters(**{field.name: facts[field.name] for field in fields(ClusterParameters)})
    shift = np.array([facts["shift_x_arcsec"], facts["shift_y_arcsec"]])
    kernel, rng = gaussian_psf(clusters.mass_psf_sigma), np.random.default_rng(facts["map"])
    light, raw_mass = list(draw(clusters, facts["cluster"]))[facts["projection"]][1]
    bright = light > BRIGHT
    possible = []
    for _ in range(REALISATIONS):
        stars = draw_cluster(rng, parameters)
        offset = sky_position(stars.position, random_view(rng), facts["distance_kpc"], shift)
        mass, dark = bin_stars(
            offset, stars.mass * np.stack([stars.mass > 0, stars.luminosity_v <= BRIGHT]), len(bright)
        )
        possible.append([blurred(image, kernel) for image in (mass, np.where(bright, raw_mass, dark))])
    return np.log10(np.maximum(least_relative_error(np.array(possible)), 10**clusters.mass_floor))


def least_relative_error(possible: Array) -> Array:
    """The p that minimises the mean of |1 - p/t| over equally possible t (n, ...): their median weighted by 1/t."""
    t = np.sort(possible, 0)
    weight = np.cumsum(1 / np.maximum(t, 1e-12), 0)
    return np.take_along_axis(t, (weight < weight[-1] / 2).sum(0)[None], 0)[0]


def blurred(image: Array, kernel: Array) -> Array:
    """A raw map as the telescope shows it."""
    return blur(image, kernel, SIDE)


# --- the number of clusters and of stars -------------------------------------------------------------------------

FEWER = [  # clusters: the network of masses is trained for as many steps on each number
    Size(clusters, epochs, 1.0) for clusters, epochs in ((1000, 24), (6000, 4), (24000, 1))
]


def by_training_clusters(quick: bool) -> list[Row]:
    """Errors on the authors' priors against the number of training clusters."""
    rows = statistics_alone(training_maps(*full_size("authors", quick), "authors"))
    for model in (MASS, AGE):
        for size in [QUICK] if quick else FEWER:
            metrics = trained_on(f"fewer-{size.clusters}", size, "authors", model).metrics
            note = f"{size.epochs} epochs: as many steps for each" if model == MASS else f"{PERCEPTRON_EPOCHS} epochs"
            for name, key, unit in MEASURES[model]:
                title = f"{size.clusters} training clusters: {name}"
                rows.append(Row(title, metrics[f"test/{key}"], unit, None, None, "lower", note))
    return rows


def statistics_alone(folder: Path) -> list[Row]:
    """Errors of a perceptron that is told the statistics of clean maps alone, trained on a quarter, half and all.

    The last one's errors on the maps that it learned from and on those of unknown clusters: what infinitely
    many clusters would teach it lies between them.
    """
    train, val, test = (clean(maps_of(folder).splits[split]) for split in ("train", "val", "test"))
    true_distance, true_age = (test[name].double().numpy() for name in ("distance", "age"))
    rows, note = [], f"{PERCEPTRON_EPOCHS} epochs"
    for part in (4, 2, 1):
        clusters = len(train["age"]) // part
        reader = perceptron_on({name: tensor[:clusters] for name, tensor in train.items()})
        distance, age = reader(test["statistics"])
        errors = label_errors(true_distance, distance, true_age, age)
        rows += [
            Row(f"statistics alone, {clusters} clusters: {name}", error, unit, None, None, "lower", note)
            for (name, _, unit), error in zip(MEASURES[AGE], errors, strict=True)
        ]
    for title, maps in (("maps learned from", train), ("maps of unknown clusters", val)):
        for (name, _, unit), read in zip(MEASURES[AGE], reader(maps["statistics"]), strict=True):
            error = float(np.abs(read - maps[name].double().numpy()).mean())
            rows.append(
                Row(f"statistics alone, {title}: {name}", error, unit, None, None, "lower", "5 to 95 kpc, plain mean")
            )
    return rows


def clean(split: dict[str, Tensor]) -> dict[str, Tensor]:
    """Labels of a split and the statistics of the first look at each map, which is clean."""
    labels = {name: split[name] for name in ("distance", "age")}
    return labels | {"statistics": split["statistics"][:, 0].float()}


def perceptron_on(train: dict[str, Tensor]) -> Callable[[Tensor], tuple[Array, Array]]:
    """A reader of distance (kpc) and age (Gyr) off statistics of maps, as LitPidocAgeDistance trains its own."""
    batch, rate = 256, 2e-3
    torch.manual_seed(1)
    reader = StatisticsReader(load_params(str(ROOT / "params.yaml")).model_section(AGE).model)
    reader.targets.fit(train["distance"], train["age"])
    reader.encoder.fit(train["statistics"])
    targets = reader.targets.scale(train["distance"], train["age"])
    steps = -(-len(targets) // batch)
    optimizer = torch.optim.AdamW(reader.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=PERCEPTRON_EPOCHS * steps)
    for _ in range(PERCEPTRON_EPOCHS):
        for rows in torch.randperm(len(targets)).split(batch):
            predicted = reader(train["statistics"][rows])
            optimizer.zero_grad()
            beta_nll(predicted, targets[rows], 0.5).backward()
            torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    reader.eval()

    @torch.no_grad()
    def read(statistics: Tensor) -> tuple[Array, Array]:
        distance, age = reader.targets.unscale(reader(statistics).mean)
        return distance.double().numpy(), age.double().numpy()

    return read


def by_bright_stars(model: str, folder: Path) -> list[Row]:
    """Errors of a trained network by the effective number of stars that make the light of a map, (ΣL)² / ΣL²."""
    test = collected(MODELS[model].load(folder / f"models/{model}.ckpt"), maps_of(folder))
    if model == MASS:
        errors = [("M/L of the field", "%", percent(log_sum(test["mass"]), log_sum(test["log_mass"])))]
    else:
        errors = [
            ("distance", "%", 100 * np.abs(test["distance_read"] / test["distance"] - 1)),
            ("age", "Gyr", np.abs(test["age_read"] - test["age"])),
        ]
    return [
        Row(f"{stars} light-giving stars: {name}", float(error[inside].mean()), unit, None, None, "lower", "plain mean")
        for stars, inside in thirds(effective_stars(field_of(raw_maps(folder, "test").light)))
        for name, unit, error in errors
    ]


def thirds(values: Array) -> list[tuple[str, Array]]:
    """Label and mask of the lower, middle and upper third."""
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    return [
        (f"under {low:.0f}", values < low),
        (f"{low:.0f} to {high:.0f}", (values >= low) & (values < high)),
        (f"over {high:.0f}", values >= high),
    ]


def effective_stars(light: Array) -> Array:
    """(ΣL)² / ΣL² over the raw pixels of each map, which hold hardly more than a bright star each."""
    return np.array([x.sum() ** 2 / (x**2).sum() for x in (np.asarray(image, float) for image in light)])


# --- a reader without seeing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StarListReader:
    """Boosted trees on what the sky really holds: the flux of every pixel before the telescope blurs it.

    No bound, but a reader without the seeing: what it cannot tell is hardly in the light.
    """

    distance: HistGradientBoostingRegressor
    age: HistGradientBoostingRegressor
    mass: HistGradientBoostingRegressor

    @classmethod
    def fitted(cls, folder: Path) -> "StarListReader":
        """On the training maps of a run."""
        raw = raw_maps(folder, "train")
        seen = star_features(raw.light, raw.distance)
        targets = np.log10(raw.distance), raw.age, raw.field_log_mass
        trees = {"max_iter": 300, "learning_rate": 0.05, "random_state": 1}
        return cls(*(HistGradientBoostingRegressor(**trees).fit(seen, target) for target in targets))

    def read(self, light: Array, distance: Array) -> tuple[Array, Array, Array]:
        """Distance (kpc), age (Gyr) and log10 mass of the field (Msun) of stored maps of light."""
        seen = star_features(light, distance)
        return 10 ** self.distance.predict(seen), self.age.predict(seen), self.mass.predict(seen)


def star_list_reader(folder: Path) -> list[Row]:
    """Its errors on the test maps of a run."""
    raw = raw_maps(folder, "test")
    distance, age, mass = StarListReader.fitted(folder).read(raw.light, raw.distance)
    kpc, gyr = label_errors(raw.distance, distance, raw.age, age)
    ratio = float(percent(raw.field_log_mass, mass).mean())
    note = "boosted trees on the unblurred star fluxes of the same maps"
    return [
        Row("a reader without seeing: distance", kpc, "kpc", None, None, "lower", note),
        Row("a reader without seeing: age", gyr, "Gyr", None, None, "lower"),
        Row("a reader without seeing: M/L of the field", ratio, "%", None, None, "lower"),
    ]


def field_of(raw: Array) -> Array:
    """The field that networks see, of raw maps (..., pixels, pixels)."""
    edge = (raw.shape[-1] - SIDE) // 2
    return raw[..., edge : edge + SIDE, edge : edge + SIDE]


def star_features(light: Array, distance: Array) -> Array:
    """Brightest fluxes, luminosity function, moments and radii of the field of stored maps of light seen from kpc."""
    return np.array(Parallel(-1)(delayed(features_of)(*pair) for pair in zip(field_of(light), distance, strict=True)))


def features_of(image: Array, kpc: float) -> Array:
    """Those of one map."""
    light = LIGHT_UNIT * np.sort(np.asarray(image, float).ravel())[::-1]
    flux = light / (4 * np.pi * kpc**2)
    total = flux.sum()
    brightest = np.log10(np.maximum(flux[[0, 1, 2, 4, 9, 19, 49, 99, 199, 499, 999, 1999]], 1e-9))
    counts = np.log10(1 + (flux[:, None] > 10.0 ** np.arange(-7, -1, 0.25)).sum(0))
    moments = np.log10([total, (flux**2).sum() / total, (flux**3).sum() / (flux**2).sum()])
    return np.concatenate([brightest, counts, moments, radii(image)])


def radii(image: Array) -> Array:
    """log10 radii in pixels that hold a quarter, half and three quarters of the root of the light."""
    weight = np.sqrt(np.asarray(image, float))
    y, x = np.indices(image.shape)
    total = weight.sum()
    r = np.hypot(y - (weight * y).sum() / total, x - (weight * x).sum() / total).ravel()
    order = np.argsort(r)
    inside = np.cumsum(weight.ravel()[order]) / total
    return np.log10(r[order][np.searchsorted(inside, [0.25, 0.5, 0.75])] + 1)


def label_errors(distance: Array, distance_read: Array, age: Array, age_read: Array) -> tuple[float, float]:
    """The authors' errors of distance (kpc) and age (Gyr)."""
    kpc = by_distance(np.abs(distance_read - distance), distance, DISTANCES)
    return kpc, binned_error(age, age_read, AGE_BINS, lambda x, y: np.abs(x - y))
