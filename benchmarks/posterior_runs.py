"""Data and trainings of ``benchmarks.posterior``, kept in runs/benchmarks/posterior: a killed benchmark goes on."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.chain import RAW, ROOT, RUNS, SEEN, Settings, make_folder, make_maps, minutes_of_training
from benchmarks.posterior_rivals import GRID, KNOWN, Answers, Simulations, on_grid
from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.networks.energy.box import unit_grid
from lit_modules.networks.energy.training import exact_nll
from pipeline.settings.load import load_params
from pipeline.train import content_key
from pipeline.training.registry import MODELS

ENERGY, GAUSSIAN = "ebm", "pidoc-age-distance"
ABLATIONS: dict[str, dict[str, Any]] = {  # section ebm of params.yaml, by dotted name
    "as the chain trains it": {},
    "against noise (nce)": {"model.training": "nce"},
    "Metropolis-Hastings from the data": {"model.training": "metropolis"},
    "1 latent node": {"model.latent_nodes": 1},
    "8 latent nodes": {"model.latent_nodes": 8},
    "another seed": {"seed": 2},
}
CLEAN = "clean look alone"


@dataclass(frozen=True)
class Chain:
    """The maps and models of the chain in a folder.

    Attributes:
        folder: where ``dvc repro`` has run, or the stages before and of the training.
    """

    folder: Path

    @cached_property
    def data(self) -> ClusterMapsDataModule:
        """All maps in their splits."""
        data = ClusterMapsDataModule(self.folder / "data/clusters", seed=1, batch_size=100, statistics_passes=1)
        data.setup()
        return data

    @cached_property
    def energy(self) -> Any:
        """The trained energy-based model."""
        return MODELS[ENERGY].load(self.folder / f"models/{ENERGY}.ckpt")

    @cached_property
    def key(self) -> str:
        """Hash of code, data and parameters that shape the energy: a part of the name of what is kept."""
        section = load_params(str(self.folder / "params.yaml")).model_section(ENERGY)
        return content_key(section, self.folder / "data/clusters")

    def y(self, split: str) -> Tensor:
        """True points of the unit box, (maps, 2)."""
        labels = self.data.splits[split]
        y: Tensor = self.energy.to_box(labels["distance"], labels["age"])
        return y

    def look(self, split: str, look: int) -> Simulations:
        """Statistics of one look at each map."""
        return Simulations(self.data.splits[split]["statistics"][:, look].float(), self.y(split))

    def in_turn(self, split: str) -> Simulations:
        """The same of all looks in turn, by the number of the map."""
        statistics = self.data.splits[split]["statistics"]
        rows = torch.arange(len(statistics))
        return Simulations(statistics[rows, rows % statistics.shape[1]].float(), self.y(split))

    def looks(self, split: str) -> Simulations:
        """Statistics of every look at each map, (maps * looks, N)."""
        statistics = self.data.splits[split]["statistics"]
        return Simulations(statistics.flatten(0, 1).float(), self.y(split).repeat_interleave(statistics.shape[1], 0))

    def pictures(self, split: str, look: int | None, every: int = 1) -> Simulations:
        """Flattened log flux maps and what is known of the look, (maps, 160² + 3); look None: all in turn."""
        batches = self.data.observed(split, look=look, every=every)
        seen = [torch.cat([b["flux"].flatten(1), b["statistics"][:, -KNOWN:]], 1) for b in batches]
        return Simulations(torch.cat(seen), self.y(split)[::every])


def kept_weights(chain: Chain, name: str) -> Path:
    """File of the weights of a density estimator, for these data."""
    return RUNS / "posterior" / chain.key / f"{name}.pt"


def ablation(chain: Chain, name: str, epochs: int | None = None) -> tuple[Any, float]:
    """An energy-based model of ``ABLATIONS`` or of the clean look alone, and the CPU minutes of its training."""
    settings: Settings = {ENERGY: dict(ABLATIONS.get(name, {}))}
    if epochs:
        settings[ENERGY]["trainer.max_epochs"] = epochs
    folder = make_folder(f"posterior/{chain.key}/{name.replace(' ', '-')}", settings)
    share_maps(chain, folder, clean=name == CLEAN)
    minutes = minutes_of_training(folder, ENERGY)
    return MODELS[ENERGY].load(folder / f"models/{ENERGY}.ckpt"), minutes


def share_maps(chain: Chain, folder: Path, clean: bool) -> None:
    """Let a training in a folder see the maps of the chain; of their looks the clean one alone, if so wished."""
    if (folder / RAW).exists():
        return
    seen = folder / SEEN
    seen.parent.mkdir(parents=True, exist_ok=True)
    there = (chain.folder / SEEN).absolute()
    if clean:
        shutil.copytree(there, seen)
        for name in ("statistics.npy", "looks.npy"):
            (seen / name).unlink()
            np.save(seen / name, np.load(there / name)[:, :1])
    else:
        seen.symlink_to(there)
    (folder / RAW).symlink_to((chain.folder / RAW).absolute())


def prior_clusters(chain: Chain, clusters: int) -> Chain:
    """Further clusters, drawn from the prior with distances of their own, and looked at as those of the training."""
    sizes = {"n_train": clusters, "n_val": 1, "n_calibration": 1, "n_test": 1, "projections": 1, "seed": 2}
    folder = make_maps(f"posterior/prior-{clusters}", {"clusters": sizes, "maps": {"seed": 2}})
    (folder / "models").mkdir(exist_ok=True)
    checkpoint = folder / f"models/{ENERGY}.ckpt"
    checkpoint.unlink(missing_ok=True)
    checkpoint.symlink_to((chain.folder / f"models/{ENERGY}.ckpt").absolute())
    return Chain(folder)


@torch.no_grad()
def energy_answers(models: list[Any], test: Simulations) -> Answers:
    """Of the mean of the posteriors of energy-based models."""
    contexts = [model.context(test.seen) for model in models]
    pairs = list(zip(models, contexts, strict=True))
    grids = torch.stack([model.log_posterior(context, GRID) for model, context in pairs])
    at_truth = torch.stack([log_density_at(model, context, test.y) for model, context in pairs])
    share = torch.tensor(float(len(models))).log()
    return on_grid(grids.logsumexp(0) - share, at_truth.logsumexp(0) - share)


def log_density_at(model: Any, context: Any, y: Tensor) -> Tensor:
    """Log P(y|x) of an energy-based model at a point of each map, (n, 2) -> (n,), by the grid of the other rivals."""
    energy = model.energy(context)
    return -exact_nll(lambda at: energy(at) / model.temperature, y[:, None], unit_grid(GRID))[:, 0]


def at_scale_tiny() -> Chain:
    """A chain of few clusters in which both models are trained, to try whether the benchmark runs."""
    from ruamel.yaml import YAML

    tiny = YAML(typ="safe").load(ROOT / "scales/tiny.yaml")
    settings = {name: flat(tiny[name]) for name in ("clusters", "maps", ENERGY, GAUSSIAN)}
    folder = make_maps("posterior/tiny", settings)
    for model in (ENERGY, GAUSSIAN):
        minutes_of_training(folder, model)
    return Chain(folder)


def flat(section: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Values of a section of params.yaml by dotted name."""
    values: dict[str, Any] = {}
    for name, value in section.items():
        values |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return values
