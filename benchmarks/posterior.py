"""Distance and age from a map: the energy-based model beside its rivals on the same simulations, and how true it is.

Every rival learns from all looks at the chain's training clusters, by the 250 statistics of a look or by the picture.
Minus the log-likelihood of (log10 distance, age) is in nats of the unit box of the energy: ln 4 = 1.386 is what
ignorance scores. Intervals are of 95 %, over test clusters. CPU minutes are those of the training, on one thread.
What runs/benchmarks/posterior keeps is not made again. Run after `dvc repro`, in an environment with sbi
(`pip install 'sbi>=0.27'`): python -m benchmarks.posterior
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.posterior_rivals import (
    Answers,
    FoldedMaps,
    Simulations,
    flow,
    gaussian,
    quadratic_ridge,
    scaled_gaussian,
    trained_flow,
)
from benchmarks.posterior_runs import (
    ABLATIONS,
    CLEAN,
    ENERGY,
    GAUSSIAN,
    Chain,
    ablation,
    at_scale_tiny,
    energy_answers,
    kept_weights,
    prior_clusters,
)
from benchmarks.posterior_trust import chains, coverage, speed
from benchmarks.results import Row, write_results
from pipeline.errors import run
from pipeline.evaluation.common.bootstrap import interval
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

LOOKS = {0: "clean look", 1: "a telescope each"}
FLOWS = {  # name: density of sbi, and epochs that keep it below 5 CPU minutes, or 10
    "neural spline flow": ("nsf", 25),
    "neural spline flow, twice as long": ("nsf", 50),
    "masked autoregressive flow": ("maf", 50),
    "mixture density network": ("mdn", 180),
}
PICTURES, PICTURE_EPOCHS = "neural spline flow on convolutions of the picture", 12
CLUSTERS = 2000  # drawn from the prior
STEPS = 4000  # of a chain
FIRST, SECOND = next(iter(ABLATIONS)), list(ABLATIONS)[-1]


def main() -> None:
    """Train, measure and write the table."""
    parts: dict[str, Callable[[Chain, bool], list[Row]]] = {
        "rivals": rivals,
        "ablations": ablations,
        "coverage": trust_in_coverage,
        "chains": trust_in_chains,
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks.posterior", description=__doc__)
    parser.add_argument("--part", choices=parts, help="measure this one alone; the file keeps the rows of the others")
    parser.add_argument("--quick", action="store_true", help="few clusters: does it run? writes no file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    chain = at_scale_tiny() if args.quick else Chain(Path())
    for part in (args.part,) if args.part else parts:
        write_results("posterior", parts[part](chain, args.quick), args.quick, part=part)


# --- rivals ----------------------------------------------------------------------------------------------------------


def rivals(chain: Chain, quick: bool) -> list[Row]:
    """All ways to the posterior beside the trained model of the chain."""
    minutes = ablation(chain, FIRST, epochs=1 if quick else None)[1]
    ours = scored(chain, "energy-based model", minutes, partial(energy_answers, [chain.energy]))
    others = [*flows(chain, quick), *pictures(chain, quick), *gaussians(chain), *ridge(chain)]
    return [*(beside_best(row, others) for row in ours), *others]


def beside_best(row: Row, others: list[Row]) -> Row:
    """The row with the best value of the rivals for the same look as its reference, if it is of a look."""
    look = row.name.rpartition(", ")[2]
    same = [other.value for other in others if other.name.endswith(f", {look}")]
    return replace(row, reference=min(same, default=None))


def scored(chain: Chain, name: str, minutes: float | None, answer: Callable[[Simulations], Answers]) -> list[Row]:
    """Likelihood and errors of a posterior on the test maps, and the CPU minutes of its training."""
    answers = [answer(chain.look("test", look)) for look in LOOKS]
    return [*scores(chain, name, answers), *(cost(name, minutes) if minutes is not None else [])]


def scores(chain: Chain, name: str, answers: list[Answers]) -> list[Row]:
    """Of a posterior's answers to each of ``LOOKS``."""
    labels = chain.data.splits["test"]
    rows = []
    for look, found in zip(LOOKS.values(), answers, strict=True):
        low, high = interval(found.nll.numpy(), groups=labels["cluster"].numpy())
        distance, age = chain.energy.from_box(found.medians)
        kpc, gyr = (distance - labels["distance"]).abs().mean(), (age - labels["age"]).abs().mean()
        note = f"95 %: {low:.3f} to {high:.3f}; medians are off by {kpc:.2f} kpc and {gyr:.2f} Gyr"
        rows.append(Row(f"{name}, {look}", float(found.nll.mean()), "nats", None, None, "lower", note))
    return rows


def cost(name: str, minutes: float, note: str = "") -> list[Row]:
    """Of a training."""
    return [Row(f"{name}: training", minutes, "CPU min", None, None, "lower", note)]


def flows(chain: Chain, quick: bool) -> list[Row]:
    """Neural posterior estimation on the statistics."""
    rows = []
    for name, (kind, most) in FLOWS.items():
        epochs = 1 if quick else most
        tell(name)
        kept = kept_weights(chain, f"{kind}-{epochs}")
        trained = trained_flow(kept, kind, chain.looks("train"), chain.looks("val"), epochs)
        rows += scored(chain, name, None, partial(flow, trained.estimator))
        rows += cost(name, trained.minutes, f"sbi's defaults, at most {epochs} epochs")
    return rows


def pictures(chain: Chain, quick: bool) -> list[Row]:
    """The same on the picture of one look at each training map."""
    epochs = 1 if quick else PICTURE_EPOCHS
    tell(PICTURES)
    seen = chain.pictures("train", None), chain.pictures("val", None)
    trained = trained_flow(kept_weights(chain, f"pictures-{epochs}"), "nsf", *seen, epochs, FoldedMaps())
    answers = [flow(trained.estimator, chain.pictures("test", look)) for look in LOOKS]
    note = f"sbi's defaults, at most {epochs} epochs of one look at each map"
    return [*scores(chain, PICTURES, answers), *cost(PICTURES, trained.minutes, note)]


def gaussians(chain: Chain) -> list[Row]:
    """What the perceptron of π-DOC states."""
    module = MODELS[GAUSSIAN].load(chain.folder / f"models/{GAUSSIAN}.ckpt")

    @torch.no_grad()
    def answer(test: Simulations) -> Answers:
        return scaled_gaussian(
            chain.energy, module.net.targets, module.predict_step({"statistics": test.seen}, 0), test.y
        )

    return scored(chain, "Gaussians of π-DOC", None, answer)


def ridge(chain: Chain) -> list[Row]:
    """Quadratic regression with the scatter of the calibration clusters."""
    tests = [chain.look("test", look) for look in LOOKS]
    seen = [test.seen for test in tests]
    means, covariance = quadratic_ridge(chain.in_turn("train"), chain.looks("calibration"), seen)
    answers = [
        gaussian(mean, covariance.expand(len(mean), 2, 2), test.y) for mean, test in zip(means, tests, strict=True)
    ]
    return scores(chain, "quadratic ridge", answers)


# --- ablations -------------------------------------------------------------------------------------------------------


def ablations(chain: Chain, quick: bool) -> list[Row]:
    """The energy-based model, changed in one thing at a time, and the mean of two."""
    rows, models = [], {}
    for name in (*ABLATIONS, CLEAN):
        tell(name)
        models[name], minutes = ablation(chain, name, epochs=1 if quick else None)
        rows += scored(chain, name, minutes, partial(energy_answers, [models[name]]))
    return [*rows, *scored(chain, "two averaged", None, partial(energy_answers, [models[FIRST], models[SECOND]]))]


# --- trust -----------------------------------------------------------------------------------------------------------


def trust_in_coverage(chain: Chain, quick: bool) -> list[Row]:
    """Of the model of the chain, on clusters that nothing was fitted to."""
    return coverage(chain.energy, prior_clusters(chain, 100 if quick else CLUSTERS))


def trust_in_chains(chain: Chain, quick: bool) -> list[Row]:
    """Of its samplers: the evaluation's own chains, but longer."""
    prior = prior_clusters(chain, 100 if quick else CLUSTERS)
    maps, draws, steps = (10, 100, 100) if quick else (1000, 4000, STEPS)
    params: Any = load_params(str(chain.folder / "params.yaml")).model_section(ENERGY)
    params = params.model_copy(update={"evaluate": params.evaluate.model_copy(update={"steps": steps})})
    return [*chains(chain.energy, prior, maps // 5, params), *speed(chain.energy, prior, maps, draws)]


def tell(name: str) -> None:
    """What is at work, on stderr."""
    print(f"posterior: {name}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
