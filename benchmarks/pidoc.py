"""π-DOC on mock clusters: the published measures, the published network on the same maps, and where the limits are.

Each run is the chain's own stages in runs/benchmarks/pidoc/<name>, with a params.yaml of its own; a killed benchmark
goes on where it was. Errors are those of pipeline.evaluate, on held-out clusters at 15, 30, 60 and 80 kpc.
Run it on a quiet machine: python -m benchmarks.pidoc --published CNN_100.h5
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.chain import ROOT, minutes_of_training
from benchmarks.pidoc_limits import (
    all_knowing_reader,
    by_bright_stars,
    by_training_clusters,
    label_errors,
    star_list_reader,
)
from benchmarks.pidoc_runs import (
    AGE,
    ENERGY,
    ENERGY_EPOCHS,
    MASS,
    MEASURES,
    PERCEPTRON_EPOCHS,
    Trained,
    full_size,
    maps_of,
    test_maps,
    trained,
    training_maps,
)
from benchmarks.pidoc_speed import speed
from benchmarks.posterior_rivals import GRID, medians
from benchmarks.results import Row, write_results
from lit_modules.pidoc import load_published
from pipeline.errors import run
from pipeline.evaluation.pidoc.answers import collected
from pipeline.training.registry import MODELS

PARTS = (MASS, AGE, ENERGY, "training clusters", "speed")
PUBLISHED = {MASS: (27.0, 12.0), AGE: (6.0, 1.5)}  # of the measures of each model
GOALS = {MASS: (13.5, 6.0), AGE: (3.0, 0.75), ENERGY: (3.1, 0.80)}  # on the authors' priors
GAUSSIANS = (3.40, 0.90)  # of π-DOC on further clusters, kpc and Gyr, before maps were seen by several telescopes
FURTHER = 500  # test clusters
INSIDE = {MASS: ("pixel", "field"), AGE: ("distance", "age")}


def main() -> None:
    """Make the maps, train, measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pidoc", description=__doc__)
    parser.add_argument("--published", type=Path, required=True, help="the authors' CNN_100.h5")
    parser.add_argument("--part", choices=PARTS, help="measure this one alone; the file keeps the rows of the others")
    parser.add_argument("--quick", action="store_true", help="few clusters: does it run? writes no file")
    args = parser.parse_args()
    measure: dict[str, Callable[[bool], list[Row]]] = {
        MASS: mass,
        AGE: partial(age_distance, args.published),
        ENERGY: energy,
        "training clusters": by_training_clusters,
        "speed": speed,
    }
    for part in (args.part,) if args.part else PARTS:
        write_results("pidoc", measure[part](args.quick), args.quick, part=part)
    write_results("pidoc", default_chain(), args.quick, part="default chain")


def mass(quick: bool) -> list[Row]:
    """All rows of the mass map."""
    authors = trained("authors", MASS, quick)
    return [
        *quality(MASS, authors, quick),
        *all_knowing_reader(authors.folder),
        *by_bright_stars(MASS, authors.folder),
    ]


def age_distance(published: Path, quick: bool) -> list[Row]:
    """All rows of distance and age."""
    authors = trained("authors", AGE, quick)
    return [
        *quality(AGE, authors, quick),
        *against_published(authors, published),
        *further_clusters(authors, published, quick),
        *star_list_reader(authors.folder),
        *by_bright_stars(AGE, authors.folder),
    ]


def energy(quick: bool) -> list[Row]:
    """Posterior medians of the energy on the further test clusters, by the authors' measures."""
    name, size = full_size("authors", quick)
    folder = training_maps(name, size, "authors")
    minutes = minutes_of_training(folder, ENERGY)
    module = MODELS[ENERGY].load(folder / f"models/{ENERGY}.ckpt")
    clusters = 4 if quick else FURTHER
    errors = energy_errors(test_maps("authors", clusters), module)
    note = (
        f"posterior medians; {size.clusters} training clusters, {ENERGY_EPOCHS} epochs; reference: Gaussians of π-DOC"
    )
    rows = [
        Row(f"{clusters} further test clusters: {what}, energy", error, unit, reference, goal, "lower", note)
        for (what, _, unit), error, reference, goal in zip(MEASURES[AGE], errors, GAUSSIANS, GOALS[ENERGY], strict=True)
    ]
    return [*rows, Row(f"authors' priors: training {ENERGY}", minutes, "CPU min", None, 120.0, "lower", "one thread")]


# --- quality -----------------------------------------------------------------------------------------------------


def quality(model: str, authors: Trained, quick: bool) -> list[Row]:
    """Errors on both sets of priors, and what the trainings cost."""
    broad = trained("broad", model, quick)
    rows = errors(model, "authors' priors", authors.metrics, GOALS[model], conditions(model, authors))
    rows += errors(model, "broad priors", broad.metrics, (None, None), conditions(model, broad))
    for name, networks in (("authors' priors", authors), ("broad priors", broad)):
        minutes = networks.metrics["minutes"]
        rows.append(Row(f"{name}: training {model}", minutes, "CPU min", None, 120.0, "lower", "one thread"))
    return rows


def default_chain() -> list[Row]:
    """Errors of both networks as `dvc repro` left them at its scale."""
    metrics = {model: json.loads((ROOT / f"reports/evaluate/{model}.json").read_text()) for model in (MASS, AGE)}
    return [row for model in metrics for row in errors(model, "default chain", metrics[model], (None, None), "")]


def conditions(model: str, networks: Trained) -> str:
    """Of a training, in a few words."""
    size = networks.size
    effort = f"width {size.width}, {size.epochs} epochs" if model == MASS else f"{PERCEPTRON_EPOCHS} epochs"
    return f"{size.clusters} training clusters, one seed, {effort}"


def errors(
    model: str, priors: str, metrics: dict[str, Any], goals: tuple[float | None, float | None], note: str
) -> list[Row]:
    """Both errors of a model beside those of a simple rival, and how true its intervals are."""
    rows = []
    for (name, key, unit), published, goal in zip(MEASURES[model], PUBLISHED[model], goals, strict=True):
        rival = metrics[f"baseline/radial_ridge/{key}"]
        rows += [
            Row(f"{priors}: {name}", metrics[f"test/{key}"], unit, published, goal, "lower", note),
            Row(f"{priors}: {name}, radial ridge", rival, unit, None, None, "lower"),
        ]
    rows += [
        Row(
            f"{priors}: {what} inside its 68 % interval",
            metrics[f"test/{what}_in_68_percent"],
            "%",
            68.3,
            None,
            "higher",
        )
        for what in INSIDE[model]
    ]
    return rows


def against_published(authors: Trained, published: Path) -> list[Row]:
    """Ratios of our errors to those of the authors' network on the same maps."""
    rows = []
    theirs = errors_on(authors.folder, load_published(published))
    for (name, key, unit), other in zip(MEASURES[AGE], theirs, strict=True):
        rows.append(over_published(f"authors' priors: {name}", authors.metrics[f"test/{key}"], other, unit))
    return rows


def over_published(title: str, error: float, other: float, unit: str) -> Row:
    """Our error over that of the authors' network."""
    note = f"published CNN on the same maps: {other:.3g} {unit}"
    return Row(f"{title} / published CNN", error / other, "x", None, 0.5, "lower", note)


def further_clusters(authors: Trained, published: Path, quick: bool) -> list[Row]:
    """The same on more test clusters: 100 are few."""
    clusters = 4 if quick else FURTHER
    folder = test_maps("authors", clusters)
    ours = errors_on(folder, MODELS[AGE].load(authors.folder / f"models/{AGE}.ckpt"))
    theirs = errors_on(folder, load_published(published))
    rows = []
    for (name, _, unit), error, other, goal in zip(MEASURES[AGE], ours, theirs, GOALS[AGE], strict=True):
        title = f"{clusters} further test clusters: {name}"
        rows += [Row(title, error, unit, None, goal, "lower"), over_published(title, error, other, unit)]
    return rows


def errors_on(folder: Path, module: Any) -> tuple[float, float]:
    """Errors of a network in distance (kpc) and age (Gyr) on the test maps of a folder."""
    test = collected(module, maps_of(folder))
    return label_errors(test["distance"], test["distance_read"], test["age"], test["age_read"])


@torch.no_grad()
def energy_errors(folder: Path, module: Any) -> tuple[float, float]:
    """Errors of the medians of the energy's posterior, likewise."""
    test = maps_of(folder).splits["test"]
    context = module.context(test["statistics"][:, 0].float())
    distance, age = module.from_box(medians(module.log_posterior(context, GRID)))
    labels = (test["distance"], distance, test["age"], age)
    true_distance, distance_read, true_age, age_read = (x.double().numpy() for x in labels)
    return label_errors(true_distance, distance_read, true_age, age_read)


if __name__ == "__main__":
    run(main)
