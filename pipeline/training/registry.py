"""The eight models: which module, data module, data and evaluation belong to each train stage."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.errors import InputError


@dataclass(frozen=True)
class Model:
    """The wiring of one model; the same table stands in dvc.yaml, and a test compares them."""

    module: str
    datamodule: str
    data: str
    evaluation: str

    def module_class(self) -> Any:
        """The LightningModule's class, imported on demand: torch takes seconds."""
        return _attribute(self.module)

    def make_datamodule(self, section: Any) -> Any:
        """The data module, built from the model's section of params.yaml."""
        return _attribute(self.datamodule)(path=self.data, seed=section.seed, **section.data.model_dump())

    def make_module(self, section: Any) -> Any:
        """The untrained LightningModule, its weights drawn from the section's seed."""
        import torch

        torch.manual_seed(section.seed)
        return self.module_class()(**section.model.model_dump())

    def load(self, checkpoint: str | Path) -> Any:
        """The trained LightningModule in evaluation mode.

        Raises:
            InputError: the file is missing, is no checkpoint, or belongs to another model.
        """
        return load_checkpoint(self.module_class(), Path(checkpoint))

    def evaluation_module(self) -> Any:
        """The family's ``evaluate``."""
        return import_module(self.evaluation)


MODELS = {
    "gnn": Model(
        module="lit_modules.gnn:LitGNN",
        datamodule="datamodules.nbody:NBodyDataModule",
        data="data/nbody/trajectories.csv",
        evaluation="pipeline.evaluation.gnn.evaluation",
    ),
    "autoencoder-healthy": Model(
        module="lit_modules.autoencoder:LitAutoencoder",
        datamodule="datamodules.images:ImagesDataModule",
        data="data/images/lungs-50",
        evaluation="pipeline.evaluation.autoencoder.evaluation",
    ),
    "autoencoder-covid": Model(
        module="lit_modules.autoencoder:LitAutoencoder",
        datamodule="datamodules.images:ImagesDataModule",
        data="data/images/lungs-50",
        evaluation="pipeline.evaluation.autoencoder.evaluation",
    ),
    "boltzmann": Model(
        module="lit_modules.boltzmann:LitBoltzmann",
        datamodule="datamodules.images:ImagesDataModule",
        data="data/images/globular_clusters-10",
        evaluation="pipeline.evaluation.boltzmann.evaluation",
    ),
    "rbm": Model(
        module="lit_modules.boltzmann:LitRBM",
        datamodule="datamodules.images:ImagesDataModule",
        data="data/images/globular_clusters-50",
        evaluation="pipeline.evaluation.rbm.evaluation",
    ),
    "ebm": Model(
        module="lit_modules.ebm:LitEBM",
        datamodule="datamodules.cluster_maps:ClusterMapsDataModule",
        data="data/clusters",
        evaluation="pipeline.evaluation.ebm.evaluation",
    ),
    "pidoc-mass": Model(
        module="lit_modules.pidoc:LitPidocMass",
        datamodule="datamodules.cluster_maps:ClusterMapsDataModule",
        data="data/clusters",
        evaluation="pipeline.evaluation.pidoc.evaluation",
    ),
    "pidoc-age-distance": Model(
        module="lit_modules.pidoc:LitPidocAgeDistance",
        datamodule="datamodules.cluster_maps:ClusterMapsDataModule",
        data="data/clusters",
        evaluation="pipeline.evaluation.pidoc.evaluation",
    ),
}


def _attribute(path: str) -> Any:
    module, name = path.split(":")
    return getattr(import_module(module), name)


def load_checkpoint(module_class: Any, path: Path) -> Any:
    """Read ``models/<model>.ckpt`` with ``weights_only=True``, on the CPU, in evaluation mode.

    Raises:
        InputError: the file is missing, is no checkpoint, or belongs to another model.
    """
    import inspect
    import pickle

    import torch

    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; train the model first (dvc repro) or give --checkpoint FILE")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        hyper_parameters = set(content["hyper_parameters"])
        content["state_dict"]
    except (RuntimeError, EOFError, KeyError, TypeError, IndexError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not a checkpoint of this project; train the model again (dvc repro)") from error
    expected = set(inspect.signature(module_class.__init__).parameters) - {"self"}
    wrong = InputError(
        f"{path}: the checkpoint of another model, not of {module_class.__name__}; name the right --checkpoint"
    )
    if hyper_parameters != expected:
        raise wrong
    try:
        module = module_class.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except RuntimeError as error:
        raise wrong from error
    return module.eval()
