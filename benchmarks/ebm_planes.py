"""Ways to train an energy, on densities whose right answer is known: KL by quadrature, and CPU seconds.

Every way has the network, steps and points of section ebm-plane of params.yaml; they differ in its ``training`` alone.
Zero is perfect: a KL is what the likelihood lacks of the density's entropy. Run: python -m benchmarks.ebm_planes
"""

import argparse
import sys
import time

import torch

from benchmarks.results import Row, write_results
from datamodules.densities import DENSITIES
from lit_modules.ebm_plane import LitPlanes
from pipeline.errors import run
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

WAYS = {
    "exact": "likelihood on a grid",
    "metropolis": "eq. 12, Metropolis-Hastings from the data",
    "persistent": "eq. 12, chains that go on",
    "nce": "against uniform noise",
}
GOALS = {"exact": 0.003, "metropolis": 0.02, "persistent": 0.02}  # of the checkerboard: 0.02 for each
REFERENCES = {("nce", "moons"): 0.040}  # ebmkit e38471a, noise-contrastive, 6000 steps of 256 points, same quadrature
SECONDS = 30.0  # wanted of all five densities together


def main() -> None:
    """Train each way once and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ebm_planes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one epoch: does it run? writes no file")
    args = parser.parse_args()
    rows = [row for way in WAYS for row in scores(way, args.quick)]
    write_results("ebm_planes", rows, args.quick)


def scores(way: str, quick: bool) -> list[Row]:
    """Train all five energies in one way; a KL for each density, and the time."""
    from pipeline.evaluation.plane.measures import kl, on_grid

    params = load_params("params.yaml").model_section("ebm-plane")
    module, seconds = train(way, quick)
    with torch.no_grad():
        true, found = on_grid(module, params.evaluate.nodes)
    rows = []
    for name in DENSITIES:
        goal = GOALS.get(way) if name != "checkerboard" else 0.02 * (way in GOALS) or None
        value, reference = kl(true[name], found[name]), REFERENCES.get((way, name))
        rows.append(Row(f"{way}: {name.replace('_', ' ')}", value, "nats", reference, goal, "lower", WAYS[way]))
    goal = SECONDS if way == "exact" else None
    rows.append(Row(f"{way}: training", seconds, "CPU s", None, goal, "lower", "all five; one thread, validation too"))
    print(way, [f"{row.value:.4g}" for row in rows], file=sys.stderr, flush=True)
    return rows


def train(way: str, quick: bool) -> tuple[LitPlanes, float]:
    """The trained module, as the chain trains it, and the CPU seconds of its fit."""
    from pipeline.training.callbacks import BestWeights, SeedEachBatch
    from pipeline.training.trainer import make_trainer

    params, model = load_params("params.yaml"), MODELS["ebm-plane"]
    section = params.model_section("ebm-plane")
    section = section.model_copy(update={"model": section.model.model_copy(update={"training": way})})
    if quick:
        section = section.model_copy(update={"trainer": section.trainer.model_copy(update={"max_epochs": 1})})
    module = model.make_module(section)
    callbacks = [SeedEachBatch(section.seed), BestWeights(module.monitor)]
    trainer = make_trainer(section.trainer, params.runtime, logger=False, callbacks=callbacks, single=True)
    start = time.process_time()
    trainer.fit(module, datamodule=model.make_datamodule(section))
    return module.eval(), time.process_time() - start


if __name__ == "__main__":
    run(main)
