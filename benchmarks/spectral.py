"""Which stars belong to the cluster: spline, Chebyshev and free filters in one network, beside simple rivals.

All are trained by the chain's stage on its own fields, in runs/benchmarks/spectral/<name>, each with a params.yaml of
its own; a killed benchmark goes on where it was. Scored is the average precision of a held-out field, mean over them.
Run it on a quiet machine: python -m benchmarks.spectral
"""

import argparse
import statistics
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.chain import Settings, evaluated, make_folder, minutes_of_training, stage
from benchmarks.results import Row, write_results
from pipeline.errors import run
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

SEEDS = (1, 2, 3)
STARS = 128  # of a field, and weights of a free filter
FILTERS = {"spline": 5, "chebyshev": 6, "free": STARS}  # weights of each
MEASURE = "average_precision"
RIVALS = ("star_alone", "star_and_neighbours", "king_profile", "king_profile_and_star")


class Score(NamedTuple):
    """Of a trained network: average precision, its weights, and the CPU seconds of its training."""

    precision: float
    weights: int
    seconds: float


def main() -> None:
    """Train, score and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spectral", description=__doc__)
    parser.add_argument("--epochs", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="few fields, one seed: does it run? writes no file")
    args = parser.parse_args()
    fields, epochs, seeds = (60, 2, SEEDS[:1]) if args.quick else (1000, args.epochs, SEEDS)
    scores = {name: [scored(name, seed, fields, epochs) for seed in seeds] for name in FILTERS}
    write_results("spectral", [*table(scores, epochs), *rivals(fields, epochs)], args.quick)


def prepared(name: str, seed: int, fields: int, epochs: int) -> Path:
    """Folder with fields of stars and parameters of a filter."""
    model = {"model.filter": name, "model.coefficients": FILTERS[name]}
    settings: Settings = {
        "star_fields": {"n_fields": fields, "n_stars": STARS},
        "spectral": {"seed": seed, "trainer.max_epochs": epochs, **model},
    }
    folder = make_folder(f"spectral/{name}-{seed}", settings)
    stage(folder, "data/synthetic/star_fields", "draw_star_fields")
    return folder


def scored(name: str, seed: int, fields: int, epochs: int) -> Score:
    """A network trained in its folder, now or by an earlier run. The seed also deals the fields to the splits."""
    from sklearn.metrics import average_precision_score

    folder, model = prepared(name, seed, fields, epochs), MODELS["spectral"]
    minutes = minutes_of_training(folder, "spectral")
    module = model.load(folder / "models/spectral.ckpt")
    datamodule = model.make_datamodule(load_params(folder / "params.yaml").model_section("spectral"))
    datamodule.path = folder / model.data
    datamodule.setup()
    test = datamodule.splits["test"]
    with torch.no_grad():
        probability = module.probability(test)
    precision = [
        average_precision_score(*field) for field in zip(test["member"].numpy(), probability.numpy(), strict=True)
    ]
    weights = sum(parameter.numel() for parameter in module.parameters())
    return Score(statistics.mean(precision), weights, 60 * minutes)


def table(scores: dict[str, list[Score]], epochs: int) -> list[Row]:
    """A row for each filter: mean and range over the seeds; the spline's goal is the better of the others."""
    means = {name: statistics.mean(score.precision for score in some) for name, some in scores.items()}
    best = max(mean for name, mean in means.items() if name != "spline")
    rows = []
    for name, some in scores.items():
        goal = best if name == "spline" else None
        each = ", ".join(f"{score.precision:.4f}" for score in some)
        note = f"{FILTERS[name]} weights a filter, {epochs} epochs; seeds: {each}"
        rows.append(Row(f"{name} filters: average precision", means[name], "", goal, goal, "higher", note))
    for name, some in scores.items():
        goal = min(scores[other][0].weights for other in scores if other != "spline") - 1 if name == "spline" else None
        rows.append(Row(f"{name} filters: weights", some[0].weights, "", None, goal, "lower"))
    for name, some in scores.items():
        seconds = statistics.mean(score.seconds for score in some)
        rows.append(Row(f"{name} filters: CPU time of a training", seconds, "s", None, None, "lower"))
    return rows


def rivals(fields: int, epochs: int) -> list[Row]:
    """The simple rivals that the chain's evaluation knows, on the fields of the first seed."""
    metrics = evaluated(prepared("spline", SEEDS[0], fields, epochs), "spectral")
    precision = {name.replace("_", " "): metrics[f"baseline/{name}/{MEASURE}"] for name in RIVALS}
    note = "fields of the first seed"
    return [
        Row(f"{name}: average precision", value, "", None, None, "higher", note) for name, value in precision.items()
    ]


if __name__ == "__main__":
    run(main)
