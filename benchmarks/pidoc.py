"""π-DOC on mock clusters: the published measures, the published network on the same maps, and where the limits are.

Each run is the chain's own stages in runs/benchmarks/pidoc/<name>, with a params.yaml of its own; a killed benchmark
goes on where it was. Errors are those of pipeline.evaluate, on held-out clusters at 15, 30, 60 and 80 kpc.
Run it on a quiet machine: python -m benchmarks.pidoc --published CNN_100.h5
"""

import argparse
import copy
import json
import time
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
from benchmarks.pidoc_runs import (
    AGE,
    AGE_ERROR,
    DISTANCE_ERROR,
    FIELD_ERROR,
    MASS,
    PIXEL_ERROR,
    Trained,
    maps_of,
    trained,
)
from benchmarks.results import Row, write_results
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass, load_published
from pipeline.errors import run
from pipeline.evaluation.pidoc import collected

Goals = tuple[float | None, float | None]
NONE: Goals = (None, None)


def main() -> None:
    """Make the maps, train, measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pidoc", description=__doc__)
    parser.add_argument("--published", type=Path, required=True, help="the authors' CNN_100.h5")
    parser.add_argument("--quick", action="store_true", help="few clusters: does it run? writes no file")
    args = parser.parse_args()
    authors, broad = trained("authors", args.quick), trained("broad", args.quick)
    rows = quality("authors' priors", authors, (13.5, 6.0), (3.0, 0.75)) + against_published(authors, args.published)
    rows += all_knowing_reader(authors.folder) + star_list_reader(authors.folder) + by_bright_stars(authors.folder)
    rows += by_training_clusters(authors.size.clusters) + quality("broad priors", broad, NONE, NONE) + default_chain()
    rows += speeds(args.quick)
    write_results("pidoc", rows, args.quick)


# --- quality -----------------------------------------------------------------------------------------------------


def quality(name: str, networks: Trained, mass_goals: Goals, age_goals: Goals) -> list[Row]:
    """Errors beside the published ones and the goals, and what the trainings cost."""
    size = networks.size
    maps = f"{3 * size.clusters} training maps, one seed"
    return [
        *mass_rows(name, networks.mass, mass_goals, f"{maps}, width 0.5, {size.mass_epochs} epochs"),
        *age_rows(name, networks.age, age_goals, f"{maps}, width 1, {size.age_epochs} epochs"),
        *(
            Row(f"{name}: training {model}", metrics["minutes"], "CPU min", None, 120.0, "lower", "one thread")
            for model, metrics in ((MASS, networks.mass), (AGE, networks.age))
        ),
    ]


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
    name = "broad priors, default chain"
    return mass_rows(name, mass, NONE) + age_rows(name, age, NONE)


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
            width=1, uncertainty=True, statistics=True, dropout=0.0, beta=0.5, target_scaling="separate", lr=1e-3,
            weight_decay=0), 32),
    ):  # fmt: skip
        rows.append(training_speed(name, module, 2 if quick else size, 1 if quick else 6))
    return rows


def training_speed(name: str, module: LitPidocMass | LitPidocAgeDistance, size: int, rounds: int) -> Row:
    """Steps of the pipeline (bf16, channels last) and of the graph as published in float32 NCHW, in turn, medians."""
    torch.manual_seed(1)
    flux = -5.4 + 0.9 * torch.randn(size, 1, 160, 160)
    batch = {"flux": flux, "mass": flux + 4.5, "distance": torch.full((size,), 30.0), "age": torch.full((size,), 9.0)}
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
