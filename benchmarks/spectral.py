"""Which stars belong to the cluster: spline, Chebyshev and free filters in one network, beside simple rivals.

All are trained by the chain's stages on its own fields, in runs/benchmarks/spectral/<name>, each with a params.yaml of
its own; a killed benchmark goes on where it was. Scored is the average precision of a held-out field, mean over them
and over seeds. Knots of splines are even in the frequency θ, where λ = λ_max sin²(θ/2), those of plain splines, the
course's, in λ. Chebyshev polynomials have the number of weights that serves them best, and as many as the splines. All
have the splines' learning rate; with a third or two thirds of it Chebyshev polynomials score the same (one seed).
Run it on a quiet machine: python -m benchmarks.spectral
"""

import argparse
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.chain import Settings, evaluated, make_folder, stage
from benchmarks.results import Row, write_results
from pipeline.errors import run
from pipeline.training.registry import MODELS

SEEDS = (1, 2, 3)
STARS = 128  # of a field, and weights of a free filter
MEASURE = "average_precision"
RIVALS = ("star_alone", "star_and_neighbours", "king_profile", "king_profile_and_star")


class Filter(NamedTuple):
    """Kind of a filter, and its weights K."""

    kind: str
    weights: int

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} filters, K = {self.weights}"


SPLINE = Filter("spline", 5)
OTHERS = (*(Filter("chebyshev", weights) for weights in (5, 6)), Filter("free", STARS))
PLAIN = Filter("plain_spline", SPLINE.weights)  # beside them; the spline's goal are the others
FILTERS = (SPLINE, PLAIN, *OTHERS)
Metrics = dict[str, Any]


def main() -> None:
    """Train, score and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spectral", description=__doc__)
    parser.add_argument("--epochs", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="few fields, one seed: does it run? writes no file")
    args = parser.parse_args()
    fields, epochs, seeds = (60, 2, SEEDS[:1]) if args.quick else (1000, args.epochs, SEEDS)
    found = {each: [scored(each, seed, fields, epochs) for seed in seeds] for each in FILTERS}
    write_results("spectral", [*table(found, epochs), *rivals(found[SPLINE])], args.quick)


def scored(kind: Filter, seed: int, fields: int, epochs: int) -> Metrics:
    """Metrics of a network trained in its folder, now or by an earlier run, its ``weights`` and CPU ``minutes``.

    The seed also deals the fields to the splits.
    """
    settings: Settings = {
        "star_fields": {"n_fields": fields, "n_stars": STARS},
        "spectral": {
            "seed": seed,
            "trainer.max_epochs": epochs,
            "model.filter": kind.kind,
            "model.coefficients": kind.weights,
        },
    }
    folder: Path = make_folder(f"spectral/{kind.kind}-{kind.weights}-{seed}", settings)
    stage(folder, "data/synthetic/star_fields", "draw_star_fields")
    metrics = evaluated(folder, "spectral")
    module = MODELS["spectral"].load(folder / "models/spectral.ckpt")
    return metrics | {"weights": sum(parameter.numel() for parameter in module.parameters())}


def mean(metrics: list[Metrics], key: str) -> float:
    """Over the seeds."""
    return statistics.mean(each[key] for each in metrics)


def table(found: dict[Filter, list[Metrics]], epochs: int) -> list[Row]:
    """Rows of each filter, means over the seeds; the spline's goals are the best and the leanest of the others."""
    key = f"test/{MEASURE}"
    best = max(mean(found[other], key) for other in OTHERS)
    leanest = min(found[other][0]["weights"] for other in OTHERS)
    rows = []
    for kind, metrics in found.items():
        goal = best if kind == SPLINE else None
        note = f"{epochs} epochs; seeds: {', '.join(f'{each[key]:.4f}' for each in metrics)}"
        rows.append(Row(f"{kind}: average precision", mean(metrics, key), "", goal, goal, "higher", note))
    for kind, metrics in found.items():
        goal = leanest if kind == SPLINE else None
        note = "goal: no more than the leanest of the others, Chebyshev's of equal K" if goal else ""
        rows.append(Row(f"{kind}: weights", metrics[0]["weights"], "", None, goal, "lower", note))
    for kind, metrics in found.items():
        rows.append(Row(f"{kind}: CPU time of a training", 60 * mean(metrics, "minutes"), "s", None, None, "lower"))
    return rows


def rivals(metrics: list[Metrics]) -> list[Row]:
    """The simple rivals that the chain's evaluation knows, on the same fields."""
    return [
        Row(
            f"{name.replace('_', ' ')}: average precision",
            mean(metrics, f"baseline/{name}/{MEASURE}"),
            "",
            None,
            None,
            "higher",
            "fields of the same seeds",
        )
        for name in RIVALS
    ]


if __name__ == "__main__":
    run(main)
