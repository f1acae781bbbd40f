"""π-DOC on mock clusters: the published measures, the published network on the same maps, and where the limits are.

Each run is the chain's own stages in runs/benchmarks/pidoc/<name>, with a params.yaml of its own; a killed benchmark
goes on where it was. Errors are those of pipeline.evaluate, on held-out clusters at 15, 30, 60 and 80 kpc.
Run it on a quiet machine: python -m benchmarks.pidoc --published CNN_100.h5
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.chain import ROOT, make_folder, stage
from benchmarks.pidoc_limits import (
    all_knowing_reader,
    by_bright_stars,
    by_training_clusters,
    label_errors,
    star_list_reader,
)
from benchmarks.pidoc_runs import AGE, MASS, MEASURES, PERCEPTRON_EPOCHS, Trained, maps_of, test_maps, trained
from benchmarks.results import Row, write_results
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass, load_published
from pipeline.errors import run
from pipeline.evaluation.pidoc.evaluation import collected
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

PARTS = (MASS, AGE, "training clusters", "speed")
PUBLISHED = {MASS: (27.0, 12.0), AGE: (6.0, 1.5)}  # of the measures of each model
GOALS = {MASS: (13.5, 6.0), AGE: (3.0, 0.75)}  # on the authors' priors
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


def speed(quick: bool) -> list[Row]:
    """How fast maps are drawn and networks trained."""
    rounds, rows = 1 if quick else 6, [maps_drawn(quick)]
    for name, model, size in (("mass", MASS, 16), ("age and distance", AGE, 32)):
        module, maps = published_width(model), 2 if quick else size
        rows += [training_speed(name, module, maps, rounds), speed_of_convolutions(name, module, maps, rounds)]
    return rows


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
    clusters = 4 if quick else 500
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


# --- speed -------------------------------------------------------------------------------------------------------


def maps_drawn(quick: bool) -> Row:
    """Maps drawn a second."""
    few, many = (4, 12) if quick else (40, 400)
    projections = 3
    seconds = []
    for number in (few, many):
        sizes = {"n_train": number, "n_val": 1, "n_test": 1, "projections": projections}
        stars = {"broad.initial_stars.low": 2e4, "broad.initial_stars.high": 8e4}
        folder = make_folder(f"pidoc/speed-{number}", {"clusters": {"priors": "broad", **stars, **sizes}})
        start = time.perf_counter()
        stage(folder, None, "generate_clusters")
        seconds.append(time.perf_counter() - start)
    rate = projections * (many - few) / (seconds[1] - seconds[0])
    note = (
        f"2e4 to 8e4 stars, {projections} projections each, all cores; start-up not counted; "
        "reference: plain numpy, one core"
    )
    return Row("maps drawn", rate, "1/s", 88.0, 300.0, "higher", note)


def published_width(model: str) -> Any:
    """The module of the published graph."""
    section = load_params(str(ROOT / "params.yaml")).model_section(model)
    wide = section.model.model_copy(update={"network": "published", "width": 1.0})
    return MODELS[model].make_module(section.model_copy(update={"model": wide}))


def training_speed(name: str, module: LitPidocMass | LitPidocAgeDistance, size: int, rounds: int) -> Row:
    """Steps of the pipeline (bf16, channels last) and of the graph as published in float32 NCHW, in turn, medians."""
    torch.manual_seed(1)
    flux = -5.4 + 0.9 * torch.randn(size, 1, 160, 160)
    batch = {"flux": flux, "mass": flux + 4.5}
    labels = {"distance": 30.0, "age": 9.0, "field": 3.5}
    batch |= {name: torch.full((size,), value) for name, value in labels.items()}
    modules = {"ours": module, "plain": plainly(module)}
    seconds: dict[str, list[float]] = {kind: [] for kind in modules}
    losses = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the trainings of the pipeline
    for turn in range(rounds + 1):
        for kind, one in modules.items():
            torch.manual_seed(1)
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "ours"):
                loss = one.losses(batch)["loss"]
            loss.backward()
            if turn:
                seconds[kind].append(time.perf_counter() - start)
            losses[kind] = loss.item()
            one.zero_grad()
    torch.set_num_threads(threads)
    times = {kind: float(np.median(values)) for kind, values in seconds.items()}
    note = (
        f"{size / times['ours']:.3g} images/s at width 1, one thread; "
        f"loss {losses['ours']:.4f} against {losses['plain']:.4f}"
    )
    return Row(
        f"training, {name}: speed / float32 NCHW", times["plain"] / times["ours"], "x", None, 3.0, "higher", note
    )


def speed_of_convolutions(name: str, module: LitPidocMass | LitPidocAgeDistance, size: int, rounds: int) -> Row:
    """The same ratio of the convolutions alone, forwards and backwards: what remains if all else took no time."""
    kinds = {"ours": (torch.bfloat16, torch.channels_last), "plain": (torch.float32, torch.contiguous_format)}
    seconds = dict.fromkeys(kinds, 0.0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for layer, x in convolutions(module, torch.randn(size, 1, 160, 160)):
        for kind, (dtype, layout) in kinds.items():
            one = copy.deepcopy(layer).to(dtype).to(memory_format=layout)
            seen = x.to(dtype, memory_format=layout).requires_grad_(layer.in_channels > 1)
            seconds[kind] += float(np.median([seconds_of_step(one, seen) for _ in range(rounds + 1)][1:]))
    torch.set_num_threads(threads)
    title = f"training, {name}: speed / float32 NCHW, convolutions alone"
    return Row(title, seconds["plain"] / seconds["ours"], "x", None, None, "higher")


def convolutions(module: LitPidocMass | LitPidocAgeDistance, flux: torch.Tensor) -> list[tuple[torch.nn.Conv2d, Any]]:
    """Each convolution of a network and what it sees of flux maps."""
    met: list[tuple[torch.nn.Conv2d, Any]] = []
    layers = [layer for layer in module.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    hooks = [layer.register_forward_hook(lambda layer, seen, _: met.append((layer, seen[0]))) for layer in layers]
    with torch.no_grad():
        module.net(flux)
    for hook in hooks:
        hook.remove()
    return met


def seconds_of_step(layer: torch.nn.Module, x: torch.Tensor) -> float:
    """Of a layer, forwards and backwards."""
    start = time.perf_counter()
    y = layer(x)
    y.backward(y.detach())
    return time.perf_counter() - start


def plainly(module: Any) -> Any:
    """A copy with the layers in the published order, NCHW."""
    plain = copy.deepcopy(module)
    if isinstance(module, LitPidocAgeDistance):
        layers = list(plain.net.features)
        blocks = (layers[k : k + 6] for k in range(0, len(layers), 6))
        plain.net.features = torch.nn.Sequential(*(block[k] for block in blocks for k in (0, 1, 2, 5, 4, 3)))
    plain.net.to(memory_format=torch.contiguous_format)
    return plain


if __name__ == "__main__":
    run(main)
