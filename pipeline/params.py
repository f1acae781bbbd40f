"""params.yaml, checked: every key and every value, each mistake named in one line.

The classes below mirror the file section by section. A model's section has five parts:
``seed``, ``model`` (the arguments of its LightningModule), ``data`` (of its data module),
``trainer`` and ``evaluate``.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import InputError

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A section of params.yaml: no unknown key, no missing key, no NaN, no text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Range(Section):
    """An interval to draw from."""

    low: float
    high: float


# --- data ---------------------------------------------------------------------------------------


class NBody(Section):
    n_simulations: PositiveInt
    n_stars: Annotated[int, Field(ge=2)]
    t_end: PositiveFloat
    dt: PositiveFloat
    softening: NonNegativeFloat
    G: PositiveFloat
    initial_conditions: Literal["course", "plummer", "king", "fractal"]
    integrator: Literal["leapfrog", "yoshida4", "force_gradient4", "hermite4"]
    substeps: PositiveInt
    seed: Seed

    @model_validator(mode="after")
    def _whole_steps(self) -> "NBody":
        if abs(self.n_outputs * self.dt - self.t_end) > 1e-9 * self.t_end:
            raise ValueError("t_end must be a whole multiple of dt")
        return self

    @property
    def n_outputs(self) -> int:
        """Output steps after the initial state."""
        return round(self.t_end / self.dt)


class Clusters(Section):
    n_clusters: PositiveInt
    seed: Seed


class Maps(Section):
    seed: Seed


class ClusterPictures(Section):
    n_pictures: PositiveInt
    size: PositiveInt
    seed: Seed


class Radiographs(Section):
    n_healthy: PositiveInt
    n_covid: PositiveInt
    size: PositiveInt
    seed: Seed


class ImageSource(Section):
    source: str


class Images(Section):
    lungs: ImageSource
    globular_clusters: ImageSource
    val_fraction: Fraction
    test_fraction: Fraction
    seed: Seed


# --- models -------------------------------------------------------------------------------------


class Trainer(Section):
    max_epochs: PositiveInt
    precision: Literal["32-true", "bf16-mixed", "64-true"]
    gradient_clip_val: PositiveFloat | None
    threads: PositiveInt


class Gnn(Section):
    class Model(Section):
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

    class Data(Section):
        batch_size: PositiveInt

    class Evaluate(Section):
        rollout_steps: PositiveInt

    seed: Seed
    model: Model
    data: Data
    trainer: Trainer
    evaluate: Evaluate


class PictureData(Section):
    labels: list[str] | None
    batch_size: PositiveInt


class Boltzmann(Section):
    class Model(Section):
        size: Annotated[int, Field(ge=2)]
        hidden: NonNegativeInt
        chains: PositiveInt
        sweeps: PositiveInt
        hot: Annotated[float, Field(ge=1)]
        levels: PositiveInt
        recall_sweeps: PositiveInt
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

    class Evaluate(Section):
        n_pictures: PositiveInt
        chains: PositiveInt
        sweeps: PositiveInt

    seed: Seed
    model: Model
    data: PictureData
    trainer: Trainer
    evaluate: Evaluate


class Rbm(Section):
    class Model(Section):
        size: Annotated[int, Field(ge=2)]
        hidden: PositiveInt
        persistent: bool
        chains: PositiveInt
        sweeps: PositiveInt
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

    class Evaluate(Section):
        n_pictures: PositiveInt
        draws: PositiveInt
        sweeps: Annotated[list[PositiveInt], Field(min_length=1)]
        ais_chains: Annotated[int, Field(ge=2)]
        ais_steps: PositiveInt

    seed: Seed
    model: Model
    data: PictureData
    trainer: Trainer
    evaluate: Evaluate


class PidocData(Section):
    batch_size: PositiveInt


class PidocEvaluate(Section):
    distances: Annotated[list[PositiveFloat], Field(min_length=1)]


class PidocMass(Section):
    class Model(Section):
        width: PositiveFloat
        uncertainty: bool
        beta: Annotated[float, Field(ge=0, le=1)]
        field_weight: NonNegativeFloat
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

    seed: Seed
    model: Model
    data: PidocData
    trainer: Trainer
    evaluate: PidocEvaluate


class PidocAgeDistance(Section):
    class Model(Section):
        width: PositiveFloat
        uncertainty: bool
        beta: Annotated[float, Field(ge=0, le=1)]
        target_scaling: Literal["separate", "joint"]
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

    seed: Seed
    model: Model
    data: PidocData
    trainer: Trainer
    evaluate: PidocEvaluate


class Report(Section):
    n_pictures: PositiveInt
    seed: Seed


# --- where it runs ------------------------------------------------------------------------------


class Runtime(Section):
    accelerator: str
    devices: PositiveInt | Literal["auto"]
    num_nodes: PositiveInt
    strategy: str
    workers: PositiveInt
    parallel_backend: str
    plot_real_time: bool


class Params(Section):
    """All of params.yaml."""

    nbody: NBody
    radiographs: Radiographs
    images: Images
    gnn: Gnn
    boltzmann: Boltzmann
    rbm: Rbm
    pidoc_mass: PidocMass = Field(alias="pidoc-mass")
    pidoc_age_distance: PidocAgeDistance = Field(alias="pidoc-age-distance")
    report: Report
    runtime: Runtime

    def model_section(self, name: str) -> Any:
        """The section of a model by its stage's name, such as ``autoencoder-healthy``."""
        return getattr(self, name.replace("-", "_"))


def load_params(path: str | Path) -> Params:
    """Read and check a parameter file with the YAML parser that DVC uses.

    Raises:
        InputError: the file is missing or no YAML, or a key or value is wrong; names the first.
    """
    try:
        values = YAML(typ="safe").load(Path(path))
    except OSError as error:
        raise InputError(f"{path}: cannot read it ({error.strerror}); give --params FILE") from error
    except YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise InputError(_first_mistake(path, error)) from error


def _first_mistake(path: str | Path, error: ValidationError) -> str:
    mistakes = error.errors()
    first = mistakes[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    match first["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key {key}; remove it or mend its spelling{more}"
        case "missing":
            return f"{path}: key {key} is missing; add it{more}"
        case "value_error":  # a check across keys of a section
            return f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}{more}"
        case _:
            return f"{path}: {key} is {first['input']!r}: {first['msg']}{more}"
