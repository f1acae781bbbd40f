"""params.yaml, checked: every key and every value, each mistake named in one line.

The classes below mirror the file section by section. A model's section has five parts:
``seed``, ``model`` (the arguments of its LightningModule), ``data`` (of its data module),
``trainer`` and ``evaluate``.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
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
    king_w0: Annotated[float, Field(gt=0, le=16)]
    fractal_dimension: Annotated[float, Field(ge=1, le=3)]
    virial_ratio: NonNegativeFloat | None
    mass_function: Literal["equal", "kroupa", "salpeter"]
    mass_segregation: Annotated[float, Field(ge=0, le=1)]
    integrator: Literal["leapfrog", "yoshida4", "force_gradient4", "hermite4"]
    substeps: PositiveInt
    tolerance: PositiveFloat | None
    parquet: bool
    seed: Seed

    @field_validator("dt")
    @classmethod
    def _divides_t_end(cls, dt: float, info: ValidationInfo) -> float:
        steps = info.data.get("t_end", dt) / dt
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-9 * steps:
            raise ValueError(f"t_end = {info.data['t_end']} is no whole number of such steps; change one of them")
        return dt

    @property
    def steps(self) -> int:
        """Outputs after the start."""
        return round(self.t_end / self.dt)


def _within(lowest: float, highest: float) -> AfterValidator:
    def check(interval: Range) -> Range:
        if not lowest <= interval.low <= interval.high <= highest:
            raise ValueError(f"low and high should lie between {lowest:g} and {highest:g}, in this order")
        return interval

    return AfterValidator(check)


class ClusterPriors(Section):
    initial_stars: Annotated[Range, _within(1e3, 1e7)]
    age_gyr: Annotated[Range, _within(0.1, 14.0)]
    metallicity: Annotated[Range, _within(1e-4, 1e-2)]
    orbit_kpc: Annotated[Range, _within(0.1, 1e3)]
    most_lost: Annotated[float, Field(gt=0, le=0.95)]
    half_mass_radius_pc: Annotated[Range, _within(0.1, 100.0)]
    w0: Annotated[Range, _within(1.5, 8.0)]
    truncation: Annotated[Range, _within(1.0, 2.0)]
    neutron_stars: Annotated[Range, _within(0.0, 1.0)]
    black_holes: Annotated[Range, _within(0.0, 1.0)]

    def intervals(self) -> dict[str, Any]:
        """Arguments of ``pipeline.simulation.clusters.star_cluster.ClusterPriors``."""
        values = {name: getattr(self, name) for name in ClusterPriors.model_fields}
        return {name: (v.low, v.high) if isinstance(v, Range) else v for name, v in values.items()}


class MapPriors(ClusterPriors):
    distance_kpc: Annotated[Range, _within(0.1, 1e4)]
    distance_spread: Literal["uniform", "log-uniform"]
    shift_arcsec: NonNegativeFloat


class Clusters(Section):
    n_train: PositiveInt
    n_val: PositiveInt
    n_test: PositiveInt
    projections: PositiveInt
    test_distances: Annotated[list[PositiveFloat], Field(min_length=1)]
    pixels: PositiveInt
    priors: Literal["broad", "authors"]
    broad: MapPriors
    authors: MapPriors
    seed: Seed

    @property
    def chosen(self) -> MapPriors:
        """The set of priors that ``priors`` names."""
        return self.broad if self.priors == "broad" else self.authors

    @property
    def n(self) -> int:
        """Number of clusters."""
        return self.n_train + self.n_val + self.n_test

    @property
    def n_maps(self) -> int:
        """Number of maps of all clusters."""
        return (self.n_train + self.n_val) * self.projections + self.n_test * len(self.test_distances)

    def place(self, cluster: int) -> tuple[str, int, int]:
        """Split, number of the first map and number of maps of a cluster."""
        tested = cluster - self.n_train - self.n_val
        if tested >= 0:
            n = len(self.test_distances)
            return "test", self.n_maps - (self.n_test - tested) * n, n
        return "train" if cluster < self.n_train else "val", cluster * self.projections, self.projections


class Maps(Section):
    pixels: PositiveInt
    psf_sigma: PositiveFloat
    sky: float | None
    one_electron: float | None
    read_noise: NonNegativeFloat
    foreground: NonNegativeFloat
    flux_floor: float
    mass_floor: float
    seed: Seed


class ClusterPictures(Section):
    n_pictures: PositiveInt
    size: PositiveInt
    cluster: ClusterPriors
    distance_kpc: Annotated[Range, _within(0.1, 1e4)]
    half_width: Annotated[Range, _within(0.1, 100.0)]
    blue_branch: Annotated[Range, _within(0.0, 1.0)]
    field_stars: Annotated[Range, _within(0.0, 1e3)]
    seeing_pixels: Annotated[Range, _within(0.1, 20.0)]
    sky: Annotated[Range, _within(10.0, 30.0)]
    one_electron: Annotated[Range, _within(10.0, 40.0)]
    white: Annotated[Range, _within(0.5, 1.0)]
    soft: Annotated[Range, _within(1e-3, 1e6)]
    tint: Annotated[Range, _within(0.0, 1.0)]
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
    precision: Literal["auto", "32-true", "bf16-mixed", "64-true"]
    gradient_clip_val: PositiveFloat | None
    threads: PositiveInt


class Gnn(Section):
    class Model(Section):
        layers: PositiveInt
        hidden: PositiveInt
        filter: Literal["linear", "polynomial", "spline"]
        coefficients: Annotated[int, Field(ge=4)]
        attribute: Literal["none", "mass", "charge"]
        velocities: bool
        symmetric: bool
        shared: bool
        velocity_weight: NonNegativeFloat
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

        @field_validator("symmetric")
        @classmethod
        def _spline_needs_symmetry(cls, symmetric: bool, info: ValidationInfo) -> bool:
            if not symmetric and info.data.get("filter") == "spline":
                raise ValueError("a spline filter needs real eigenvalues; make it true or take filter: polynomial")
            return symmetric

    class Data(Section):
        batch_size: PositiveInt
        horizon: PositiveInt
        val_fraction: Fraction
        test_fraction: Fraction

    class Evaluate(Section):
        rollout_steps: PositiveInt
        G: PositiveFloat
        softening: NonNegativeFloat
        total_mass: PositiveFloat

    seed: Seed
    model: Model
    data: Data
    trainer: Trainer
    evaluate: Evaluate


class PictureData(Section):
    labels: list[str] | None
    batch_size: PositiveInt


class Autoencoder(Section):
    class Model(Section):
        side: PositiveInt
        widths: Annotated[list[PositiveInt], Field(min_length=1)]
        active_units: PositiveInt | None
        snapshot_epoch: PositiveInt
        rotation: NonNegativeFloat
        scale: Fraction
        shift: NonNegativeFloat
        warp: NonNegativeFloat
        contrast: NonNegativeFloat
        augment_seed: Seed
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

        @model_validator(mode="after")
        def active_within_code(self) -> Self:
            """No more entries can be active than the code has."""
            if self.active_units is not None and self.active_units > self.widths[-1]:
                raise ValueError(f"active_units {self.active_units} is more than the code's {self.widths[-1]}")
            return self

    class Evaluate(Section):
        pca_components: Annotated[list[PositiveInt], Field(min_length=1)]
        copies: PositiveInt
        n_pictures: PositiveInt

    seed: Seed
    model: Model
    data: PictureData
    trainer: Trainer
    evaluate: Evaluate


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


def _rising(pair: list[float]) -> list[float]:
    if len(pair) != 2 or pair[0] >= pair[1]:
        raise ValueError("give two numbers, the lower first")
    return pair


class Ebm(Section):
    class Model(Section):
        size: PositiveInt
        pooling: PositiveInt
        channels: Annotated[list[PositiveInt], Field(min_length=1)]
        features: PositiveInt
        hidden: PositiveInt
        embedding: PositiveInt
        waves: NonNegativeInt
        latent_nodes: PositiveInt
        dropout: Fraction
        beta: PositiveFloat
        distance_kpc: Annotated[list[PositiveFloat], AfterValidator(_rising)]
        age_gyr: Annotated[list[NonNegativeFloat], AfterValidator(_rising)]
        chains: PositiveInt
        steps: PositiveInt
        jumps: Annotated[float, Field(ge=0, le=1)]
        nodes: Annotated[int, Field(ge=2)]
        lr: PositiveFloat
        weight_decay: NonNegativeFloat

    class Data(Section):
        batch_size: PositiveInt
        statistics_passes: PositiveInt

    class Evaluate(Section):
        nodes: Annotated[int, Field(ge=2)]
        chains: Annotated[int, Field(ge=2)]
        burn_in: PositiveInt
        steps: PositiveInt

    seed: Seed
    model: Model
    data: Data
    trainer: Trainer
    evaluate: Evaluate


class PidocData(Section):
    batch_size: PositiveInt
    statistics_passes: PositiveInt


class PidocEvaluate(Section):
    distances: Annotated[list[PositiveFloat], Field(min_length=1)]


class PidocMass(Section):
    class Model(Section):
        width: PositiveFloat
        uncertainty: bool
        statistics: bool
        beta: Annotated[float, Field(ge=0, le=1)]
        field_weight: NonNegativeFloat
        lr: PositiveFloat
        statistics_lr: PositiveFloat
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
        statistics: bool
        dropout: Annotated[float, Field(ge=0, lt=1)]
        beta: Annotated[float, Field(ge=0, le=1)]
        target_scaling: Literal["separate", "joint"]
        lr: PositiveFloat
        statistics_lr: PositiveFloat
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
    clusters: Clusters
    maps: Maps
    cluster_pictures: ClusterPictures
    radiographs: Radiographs
    images: Images
    gnn: Gnn
    autoencoder_healthy: Autoencoder = Field(alias="autoencoder-healthy")
    autoencoder_covid: Autoencoder = Field(alias="autoencoder-covid")
    boltzmann: Boltzmann
    rbm: Rbm
    ebm: Ebm
    pidoc_mass: PidocMass = Field(alias="pidoc-mass")
    pidoc_age_distance: PidocAgeDistance = Field(alias="pidoc-age-distance")
    report: Report
    runtime: Runtime

    def model_section(self, name: str) -> Any:
        """The section of a model by its stage's name, such as ``autoencoder-healthy``.

        Raises:
            InputError: the physics that the gnn is judged by is not that of its data.
        """
        if name == "gnn":
            self._check_same_physics()
        return getattr(self, name.replace("-", "_"))

    def _check_same_physics(self) -> None:
        nbody, evaluate = self.nbody, self.gnn.evaluate
        total_mass = 20.0 if nbody.initial_conditions == "course" else 1.0
        for key, true in (("G", nbody.G), ("softening", nbody.softening), ("total_mass", total_mass)):
            value = getattr(evaluate, key)
            if value != true:
                raise InputError(f"gnn.evaluate.{key} is {value}, but section nbody has {true}; make them equal")


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
