"""π-DOC on mock clusters: the published measures, the published network on the same maps, and where the limits are.

Each run is the chain's own stages in runs/benchmarks/pidoc/<name>, with a params.yaml of its own; a killed benchmark
goes on where it was. Errors are those of pipeline.evaluate, on held-out clusters at 15, 30, 60 and 80 kpc.
Run it on a quiet machine: python -m benchmarks.pidoc --published CNN_100.h5
"""

import argparse
import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.chain import ROOT, Settings, evaluated, make_folder, stage
from benchmarks.results import Row, write_results
from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass, load_published
from pipeline.errors import run
from pipeline.evaluation.pidoc import collected
from pipeline.evaluation.pidoc_measures import AGE_BINS, Array, binned_error, by_distance, log_sum, percent
from pipeline.models import load_checkpoint

DISTANCES = np.array([15.0, 30.0, 60.0, 80.0])  # kpc
RAW = "data/synthetic/cluster_maps"
MASS, AGE = "pidoc-mass", "pidoc-age-distance"
PIXEL_ERROR, FIELD_ERROR = "pixel mass, authors' bins (%)", "M/L of the field, mean error (%)"
DISTANCE_ERROR, AGE_ERROR = "distance, authors' mean over distances (kpc)", "age, authors' bins (Gyr)"
Goals = tuple[float | None, float | None]


def main() -> None:
    """Make the maps, train, measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pidoc", description=__doc__)
    parser.add_argument("--published", type=Path, required=True, help="the authors' CNN_100.h5")
    parser.add_argument("--quick", action="store_true", help="few clusters: does it run? writes no file")
    args = parser.parse_args()
    size = QUICK if args.quick else FULL
    authors, broad = trained("authors", size), trained("broad", size)
    rows = authors.rows((13.5, 6.0), (3.0, 0.75)) + against_published(authors, args.published)
    rows += broad.rows() + default_chain() + by_training_clusters(size) + by_bright_stars(authors.folder)
    rows += star_list_reader(authors.folder) + speeds(args.quick)
    write_results("pidoc", rows, args.quick)


# --- trainings ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """Training clusters, three maps each, and epochs of the two networks."""

    clusters: int
    mass_epochs: int
    age_epochs: int


FULL, QUICK = Size(8000, 6, 16), Size(64, 1, 1)


@dataclass(frozen=True)
class Trained:
    """Both networks of a folder, at width 0.5 (mass) and 1 (distance and age), and what they are worth."""

    priors: str
    size: Size
    folder: Path
    mass: dict[str, Any]
    age: dict[str, Any]

    def rows(self, mass_goals: Goals = (None, None), age_goals: Goals = (None, None)) -> list[Row]:
        """Errors beside the published ones and the goals, and what the trainings cost."""
        name, maps = f"{self.priors} priors", f"{3 * self.size.clusters} training maps, one seed"
        costs = [
            Row(f"{name}: training {model}", metrics["minutes"], "CPU min", None, 120.0, "lower", "one thread")
            for model, metrics in ((MASS, self.mass), (AGE, self.age))
        ]
        return [
            *mass_rows(name, self.mass, mass_goals, f"{maps}, width 0.5, {self.size.mass_epochs} epochs"),
            *age_rows(name, self.age, age_goals, f"{maps}, width 1, {self.size.age_epochs} epochs"),
            *costs,
        ]


def trained(priors: str, size: Size) -> Trained:
    """Train both networks on a set of priors, unless an earlier run has."""
    folder = make_maps(f"{priors}-{size.clusters}", priors, size.clusters, {
        MASS: {"model.width": 0.5, "trainer.max_epochs": size.mass_epochs},
        AGE: {"model.width": 1.0, "trainer.max_epochs": size.age_epochs},
    })  # fmt: skip
    return Trained(priors, size, folder, evaluated(folder, MASS), evaluated(folder, AGE))


def make_maps(name: str, priors: str, clusters: int, settings: Settings) -> Path:
    """Folder runs/benchmarks/pidoc/<name> with its parameters and its maps.

    Args:
        name: of the folder.
        priors: authors or broad.
        clusters: for training; a tenth of them, at most 200, for validation, and 100 for the test.
        settings: further values of params.yaml, by section and by dotted name.
    """
    sizes = {"n_train": clusters, "n_val": min(200, max(4, clusters // 10)), "n_test": min(100, clusters)}
    folder = make_folder(f"pidoc/{name}", {"clusters": {"priors": priors, **sizes}, **settings})
    stage(folder, RAW, "generate_clusters")
    stage(folder, "data/clusters", "preprocess_maps")
    return folder


# --- quality -----------------------------------------------------------------------------------------------------


def against_published(authors: Trained, published: Path) -> list[Row]:
    """Ratios of our errors to those of the authors' network on the same maps."""
    kpc, gyr = published_errors(authors.folder, published)
    return [
        Row(f"authors' priors: {name} / published CNN", authors.age[key]["model"] / theirs, "x", None, 0.5, "lower",
            f"published CNN on the same maps: {theirs:.3g} {unit}")
        for name, key, theirs, unit in (("distance", DISTANCE_ERROR, kpc, "kpc"), ("age", AGE_ERROR, gyr, "Gyr"))
    ]  # fmt: skip


def default_chain() -> list[Row]:
    """The same measures on the broad mocks, as `dvc repro` left them at its scale."""
    mass, age = (json.loads((ROOT / f"reports/evaluate/{model}.json").read_text()) for model in (MASS, AGE))
    name, goals = "broad priors, default chain", (None, None)
    return mass_rows(name, mass, goals) + age_rows(name, age, goals)


def mass_rows(priors: str, metrics: dict[str, Any], goals: Goals, note: str = "") -> list[Row]:
    """Errors of the mass maps and how true their intervals are."""
    return [
        Row(f"{priors}: mass per pixel", metrics[PIXEL_ERROR]["model"], "%", 27.0, goals[0], "lower", note),
        Row(f"{priors}: mass per pixel, radial ridge", metrics[PIXEL_ERROR]["radial ridge"], "%", None, None, "lower"),
        Row(f"{priors}: M/L of the field", metrics[FIELD_ERROR]["model"], "%", 12.0, goals[1], "lower", note),
        *(
            Row(f"{priors}: {what} inside their 68 % interval", metrics[f"{what} inside their 68 % interval (%)"], "%",
                68.3, None, "higher")
            for what in ("pixels", "fields")
        ),
    ]  # fmt: skip


def age_rows(priors: str, metrics: dict[str, Any], goals: Goals, note: str = "") -> list[Row]:
    """Errors of distance and age and how true their intervals are."""
    rows = []
    for name, key, unit, published, goal in (
        ("distance", DISTANCE_ERROR, "kpc", 6.0, goals[0]),
        ("age", AGE_ERROR, "Gyr", 1.5, goals[1]),
    ):
        rows += [
            Row(f"{priors}: {name}", metrics[key]["model"], unit, published, goal, "lower", note),
            Row(f"{priors}: {name}, radial ridge", metrics[key]["radial ridge"], unit, None, None, "lower"),
        ]
        inside = metrics[f"{name} inside its 68 % interval (%)"]
        rows.append(Row(f"{priors}: {name} inside its 68 % interval", inside, "%", 68.3, None, "higher"))
    return rows


def published_errors(folder: Path, published: Path) -> tuple[float, float]:
    """Errors of the authors' network in distance (kpc) and age (Gyr) on the test maps of a folder."""
    module = load_published(published)
    test = collected(module, maps_of(folder))
    return label_errors(test["distance"], test["distance_read"], test["age"], test["age_read"])


def label_errors(distance: Array, distance_read: Array, age: Array, age_read: Array) -> tuple[float, float]:
    """The authors' errors of distance (kpc) and age (Gyr)."""
    kpc = by_distance(np.abs(distance_read - distance), distance, DISTANCES)
    return kpc, binned_error(age, age_read, AGE_BINS, lambda x, y: np.abs(x - y))


def maps_of(folder: Path) -> ClusterMapsDataModule:
    """The maps of a run."""
    data = ClusterMapsDataModule(folder / "data/clusters", batch_size=100, seed=1)
    data.setup()
    return data


# --- limits ------------------------------------------------------------------------------------------------------


def by_training_clusters(size: Size) -> list[Row]:
    """Error against the number of training clusters, of smaller networks that take as many steps for each number."""
    rows = []
    for parts in (64, 8, 2):
        number, age_epochs, mass_epochs = size.clusters // parts, 3 * parts, parts
        folder = make_maps(f"floor-{number}", "authors", number, {
            AGE: {"model.width": 0.5, "trainer.max_epochs": age_epochs},
            MASS: {"model.width": 0.25, "trainer.max_epochs": mass_epochs},
        })  # fmt: skip
        age, mass = evaluated(folder, AGE), evaluated(folder, MASS)
        rows += [
            Row(f"{number} training clusters: {name}", metrics[key]["model"], unit, None, None, "lower", note)
            for name, metrics, key, unit, note in (
                ("distance", age, DISTANCE_ERROR, "kpc", f"width 0.5, {age_epochs} epochs: as many steps for each"),
                ("age", age, AGE_ERROR, "Gyr", ""),
                ("mass per pixel", mass, PIXEL_ERROR, "%", f"width 0.25, {mass_epochs} epochs: as many steps for each"),
                ("M/L of the field", mass, FIELD_ERROR, "%", ""),
            )
        ]
    return rows


def by_bright_stars(folder: Path) -> list[Row]:
    """Errors of the trained networks by the effective number of stars that make the light of a map, (ΣL)² / ΣL²."""
    maps = maps_of(folder)
    labels = collected(load_checkpoint(LitPidocAgeDistance, folder / f"models/{AGE}.ckpt"), maps)
    masses = collected(load_checkpoint(LitPidocMass, folder / f"models/{MASS}.ckpt"), maps)
    errors = (
        ("distance", "%", 100 * np.abs(labels["distance_read"] / labels["distance"] - 1)),
        ("age", "Gyr", np.abs(labels["age_read"] - labels["age"])),
        ("M/L of the field", "%", percent(log_sum(masses["mass"]), log_sum(masses["log_mass"]))),
    )
    return [
        Row(f"{stars} light-giving stars: {name}", float(error[inside].mean()), unit, None, None, "lower", "plain mean")
        for stars, inside in thirds(effective_stars(folder))
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


def effective_stars(folder: Path) -> Array:
    """(ΣL)² / ΣL² over the raw pixels of each test map, which hold hardly more than a bright star each."""
    light, _, _ = raw_maps(folder, "test")
    return np.array([x.sum() ** 2 / (x**2).sum() for x in (np.asarray(image, float) for image in light)])


def raw_maps(folder: Path, split: str) -> tuple[NDArray[np.float32], Array, Array]:
    """Raw light (maps, pixels, pixels), distances and ages of a split."""
    import polars as pl

    catalogue = pl.read_csv(folder / "data/clusters/catalogue.csv").filter(pl.col("split") == split).sort("map")
    light = np.load(folder / RAW / "light.npy", mmap_mode="r")
    return light[catalogue["map"].to_numpy()], catalogue["distance_kpc"].to_numpy(), catalogue["age_gyr"].to_numpy()


def star_list_reader(folder: Path) -> list[Row]:
    """Boosted trees on what the sky really holds: the flux of every bright pixel before the telescope blurs it.

    Not a bound, but a reader without the seeing: what it cannot tell is hardly in the light.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, distance, age, mass = star_features(folder, "train")
    seen, true_distance, true_age, true_mass = star_features(folder, "test")
    trees = HistGradientBoostingRegressor(max_iter=300, learning_rate=0.05, random_state=1)
    read = [trees.fit(x, y).predict(seen) for y in (np.log10(distance), age, mass)]
    kpc, gyr = label_errors(true_distance, 10 ** read[0], true_age, read[1])
    ratio = float(percent(true_mass, read[2]).mean())
    note = "boosted trees on the unblurred star fluxes of the same maps"
    return [
        Row("a reader without seeing: distance", kpc, "kpc", None, None, "lower", note),
        Row("a reader without seeing: age", gyr, "Gyr", None, None, "lower", note),
        Row("a reader without seeing: M/L of the field", ratio, "%", None, None, "lower", note),
    ]


def star_features(folder: Path, split: str) -> tuple[Array, Array, Array, Array]:
    """Brightest fluxes, luminosity function, moments, radii of raw maps; distances, ages, log masses in the field."""
    light, distance, age = raw_maps(folder, split)
    features = []
    for image, kpc in zip(light, distance, strict=True):
        flux = np.sort(np.asarray(image, float).ravel())[::-1] / (4 * np.pi * kpc**2)
        total = flux.sum()
        brightest = np.log10(np.maximum(flux[[0, 1, 2, 4, 9, 19, 49, 99, 199, 499, 999, 1999]], 1e-9))
        counts = np.log10(1 + (flux[:, None] > 10.0 ** np.arange(-7, -1, 0.25)).sum(0))
        moments = np.log10([total, (flux**2).sum() / total, (flux**3).sum() / (flux**2).sum()])
        features.append(np.concatenate([brightest, counts, moments, radii(image)]))
    masses = [log_sum(part[:, 0].float().numpy()) for part in maps_of(folder).splits[split]["mass"].split(256)]
    return np.array(features), distance, age, np.concatenate(masses)


def radii(image: NDArray[np.float32]) -> Array:
    """log10 radii in pixels that hold a quarter, half and three quarters of the root of the light."""
    weight = np.sqrt(np.asarray(image, float))
    y, x = np.indices(image.shape)
    total = weight.sum()
    r = np.hypot(y - (weight * y).sum() / total, x - (weight * x).sum() / total).ravel()
    order = np.argsort(r)
    inside = np.cumsum(weight.ravel()[order]) / total
    return np.log10(r[order][np.searchsorted(inside, [0.25, 0.5, 0.75])] + 1)


# --- speed -------------------------------------------------------------------------------------------------------


def speeds(quick: bool) -> list[Row]:
    """Maps drawn a second, and training images a second as the pipeline trains and in plain float32 NCHW."""
    few, many = (4, 12) if quick else (40, 400)
    seconds = []
    for number in (few, many):
        sizes = {"n_train": number, "n_val": 1, "n_test": 1}
        stars = {"broad.initial_stars.low": 2e4, "broad.initial_stars.high": 8e4}
        folder = make_folder(f"pidoc/speed-{number}", {"clusters": {"priors": "broad", **stars, **sizes}})
        start = time.perf_counter()
        stage(folder, None, "generate_clusters")
        seconds.append(time.perf_counter() - start)
    rate = 3 * (many - few) / (seconds[1] - seconds[0])
    note = "2e4 to 8e4 stars, 3 projections each, all cores; start-up not counted"
    rows = [Row("maps drawn", rate, "1/s", 88.0, 300.0, "higher", f"{note}; reference: plain numpy, one core")]
    for name, module, size in (
        ("mass", LitPidocMass(width=1, uncertainty=True, beta=0.5, field_weight=0.1, lr=1e-3, weight_decay=0), 16),
        ("age and distance", LitPidocAgeDistance(
            width=1, uncertainty=True, beta=0.5, target_scaling="separate", lr=1e-3, weight_decay=0), 32),
    ):  # fmt: skip
        rows.append(training_speed(name, module, 2 if quick else size, 1 if quick else 6))
    return rows


def training_speed(name: str, module: LitPidocMass | LitPidocAgeDistance, size: int, rounds: int) -> Row:
    """Steps of the pipeline (bf16, channels last) and of the same graph in float32 NCHW, in turn, medians."""
    torch.manual_seed(1)
    flux = -5.4 + 0.9 * torch.randn(size, 1, 160, 160)
    batch = {"flux": flux, "mass": flux + 4.5, "distance": torch.full((size,), 30.0), "age": torch.full((size,), 9.0)}
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    losses = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the trainings of the pipeline
    for turn in range(rounds + 1):
        for kind, layout in (("ours", torch.channels_last), ("plain", torch.contiguous_format)):
            module.net.to(memory_format=layout)
            low = torch.autocast("cpu", torch.bfloat16) if kind == "ours" else contextlib.nullcontext()
            torch.manual_seed(1)
            start = time.perf_counter()
            with low:
                loss = module.losses(batch)["loss"]
            loss.backward()
            if turn:
                seconds[kind].append(time.perf_counter() - start)
            losses[kind] = loss.item()
            module.zero_grad()
    torch.set_num_threads(threads)
    times = {kind: float(np.median(values)) for kind, values in seconds.items()}
    note = (
        f"{size / times['ours']:.3g} images/s at width 1, one thread; "
        f"loss {losses['ours']:.4f} against {losses['plain']:.4f}"
    )
    return Row(
        f"training, {name}: speed / float32 NCHW", times["plain"] / times["ours"], "x", None, 3.0, "higher", note
    )


if __name__ == "__main__":
    run(main)
