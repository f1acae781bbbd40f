"""params.yaml, read and checked: every key and every value, each mistake named in one line.

A section of data is declared in this folder. A model's section is declared by its own files: ``model``
beside its network, ``data`` in ``datamodules/settings.py``, ``evaluate`` beside its evaluation.
"""

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, ValidationInfo, create_model, field_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent

from pipeline.errors import InputError
from pipeline.settings.base import ModelSection, PositiveInt, Section, Seed
from pipeline.settings.clusters import ClusterPictures, Clusters, Maps, StarFields
from pipeline.settings.images import Images, Radiographs
from pipeline.settings.nbody import NBody
from pipeline.settings.runtime import Runtime
from pipeline.training.registry import MODELS

LARGEST = 1_000_000  # bytes of a parameter file


class Report(Section):
    """Section report."""

    n_pictures: PositiveInt
    """Of the galleries."""
    seed: Seed


class Params(Section):
    """All of params.yaml but the models' sections, which the registry adds."""

    nbody: NBody
    clusters: Clusters
    maps: Maps
    cluster_pictures: ClusterPictures
    star_fields: StarFields
    radiographs: Radiographs
    images: Images
    report: Report
    runtime: Runtime

    @field_validator("maps")
    @classmethod
    def _fits_into_margin(cls, maps: Maps, info: ValidationInfo) -> Maps:
        clusters = info.data.get("clusters")
        if clusters is not None and 4 * maps.widest_psf > clusters.margin:
            raise ValueError(
                f"four times a psf_sigma of {maps.widest_psf:g} is more than clusters.margin {clusters.margin}; "
                "raise the margin or lower look_psf_sigma"
            )
        return maps

    def model_section(self, name: str) -> Any:
        """The section of a model, such as ``autoencoder-healthy``: a :class:`ModelSection` of its family."""
        section: ModelSection = getattr(self, _field(MODELS[name].section))
        models = [model.name for model in MODELS.values() if model.section == MODELS[name].section]
        return section.model_copy(update={"data": section.data.of_model(name, models)})


def _field(section: str) -> str:
    return section.replace("-", "_")


@cache
def _params_class() -> type[Params]:
    """``Params`` with a field for each model's section."""
    fields: dict[str, Any] = {
        _field(model.section): (model.section_class(), Field(alias=model.section)) for model in MODELS.values()
    }
    return create_model("Params", __base__=Params, **fields)


def load_params(path: str | Path) -> Params:
    """Read and check a parameter file with the YAML parser that DVC uses.

    Raises:
        InputError: the file is missing or no YAML, or a key or value is wrong; names the first.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise InputError(f"{path}: larger than {LARGEST:,} bytes; give a parameter file")
        yaml = YAML(typ="safe")
        aliases = b"&" in content and any(isinstance(event, AliasEvent) for event in yaml.parse(content))
        if aliases:  # with which a few lines stand for more values than any memory holds
            raise InputError(f"{path}: an alias (*name) in it; write its value instead")
        values = yaml.load(content)
    except OSError as error:
        raise InputError(f"{path}: cannot read it ({error.strerror}); give --params FILE") from error
    except (YAMLError, ValueError, RecursionError) as error:  # of numbers and dates, too
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not valid YAML: {error}") from error
    try:
        return _params_class().model_validate(values)
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
