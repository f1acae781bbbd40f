"""The models of models.yaml: which module, data module, settings and evaluation belong to each."""

import io
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ruamel.yaml import YAML

from pipeline.errors import InputError
from pipeline.settings.base import ModelSection


@dataclass(frozen=True)
class Model:
    """A row of models.yaml, whose head says what its entries mean."""

    name: str
    title: str
    family: str
    section: str
    module: dict[str, str]
    network: str
    shared: list[str]
    datamodule: dict[str, str]
    data: str
    simulation: str
    headline: str
    curve: str
    published: dict[str, str] | None = None

    @property
    def source(self) -> Path:
        """What the data module reads, in the working folder; or the code that draws the data, in the project."""
        return Path(__file__).parents[2] / self.data if self.data.endswith(".py") else Path(self.data)

    def section_class(self) -> type[ModelSection]:
        """The declaration of the model's section of params.yaml, found by its name: pidoc-mass is ``PidocMass``."""
        name = "".join(word.capitalize() for word in self.section.split("-"))
        return getattr(import_module(f"pipeline.evaluation.{self.family}.settings"), name)

    def module_class(self) -> Any:
        """The LightningModule's class, imported on demand: torch takes seconds."""
        return getattr(import_module(f"lit_modules.{self.module['file']}"), self.module["class"])

    def make_datamodule(self, section: ModelSection) -> Any:
        """The data module, built from the model's section of params.yaml."""
        module = import_module(f"datamodules.{self.datamodule['file']}")
        datamodule_class = getattr(module, self.datamodule["class"])
        return datamodule_class(self.data, seed=section.seed, **section.data.model_dump())

    def make_module(self, section: ModelSection) -> Any:
        """The untrained LightningModule, its weights drawn from the section's seed."""
        import torch

        torch.manual_seed(section.seed)
        return self.module_class()(**section.model.model_dump())

    def load(self, checkpoint: str | Path, content: bytes | None = None) -> Any:
        """The trained LightningModule in evaluation mode.

        Args:
            checkpoint: the file.
            content: its bytes where they have been read already, of an archive for instance.

        Raises:
            InputError: the file is missing, is no checkpoint, or belongs to another model.
        """
        return load_checkpoint(self.module_class(), Path(checkpoint), content)

    @property
    def part_way(self) -> Path:
        """Folder of the weights after the epochs that the module names, ``<epochs>.ckpt`` each."""
        return Path("models/part-way") / self.name

    def evaluation(self) -> ModuleType:
        """The family's ``evaluate``."""
        return import_module(f"pipeline.evaluation.{self.family}.evaluation")


def _read(path: Path) -> dict[str, Model]:
    rows = YAML(typ="safe").load(path)["models"]
    return {name: Model(name, **row) for name, row in rows.items()}


MODELS = _read(Path(__file__).with_name("models.yaml"))


def load_checkpoint(module_class: Any, path: Path, content: bytes | None = None) -> Any:
    """Read ``models/<model>.ckpt``, or its bytes, without pickle's freedom, on the CPU, in evaluation mode.

    Raises:
        InputError: the file is missing, is no checkpoint, of an older version, or belongs to another model.
    """
    from pydantic import ValidationError

    stored = stored_in(path, read_checkpoint(path) if content is None else content)
    try:
        module = module_class(**stored["hyper_parameters"])
        module.on_load_checkpoint(stored)
        module.load_state_dict(stored["state_dict"])
    except (RuntimeError, MemoryError, ValidationError) as error:
        if lacks := missing(module_class, stored):
            remedy = f"dvc repro train@{path.stem}" if path.stem in MODELS else "dvc repro"
            raise InputError(f"{path}: of an older version, lacks {lacks}; train it again ({remedy})") from error
        raise InputError(
            f"{path}: the checkpoint of another model, not of {module_class.__name__}; name the right --checkpoint"
        ) from error
    return module.eval()


def stored_in(path: Path, content: bytes) -> dict[str, Any]:
    """What a checkpoint holds: hyperparameters by name, and tensors by name.

    It is read with ``weights_only=True``, and only as torch.save writes it: a zip that packs nothing, whose check sums,
    which torch does not look at, are right.

    Raises:
        InputError: it is no such file, or was damaged.
    """
    import torch

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(info.file_size for info in archive.infolist()) > len(content) or archive.testzip():
                raise ValueError("a damaged or packed zip")
        stored: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        hyper_parameters, weights = stored["hyper_parameters"], stored["state_dict"]
        stored["pytorch-lightning_version"]
        if not all(type(name) is str for part in (hyper_parameters, weights) for name in part.keys()):
            raise ValueError("names that are no text")
        if not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
            raise ValueError("weights that are no tensors")
    except Exception as error:  # on broken bytes torch raises nearly anything
        raise InputError(f"{path}: not a checkpoint of this project; train the model again (dvc repro)") from error
    return stored


def missing(module_class: Any, stored: dict[str, Any]) -> str:
    """Tensors that a checkpoint of the same model lacks since the class has more; empty: it is another model's."""
    from pydantic import ValidationError

    try:
        wanted = module_class(**stored["hyper_parameters"]).state_dict()
    except ValidationError:
        return ""
    same_model = set(stored["state_dict"]) <= set(wanted)
    return ", ".join(name for name in wanted if same_model and name not in stored["state_dict"])


def read_checkpoint(path: Path) -> bytes:
    """The bytes of a checkpoint.

    Raises:
        InputError: there is none.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such checkpoint; train the model first (dvc repro) or give --checkpoint or --weights FILE"
        )
    return path.read_bytes()
