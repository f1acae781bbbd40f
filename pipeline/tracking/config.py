"""What a run shows of its stage: the parameters, and the data by DVC's hash and by what made them."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.errors import one_line, warn
from pipeline.settings.base import ModelSection


def stage_config(section: ModelSection, data: Path) -> dict[str, Any]:
    """Parameters of a training or evaluation, each once.

    Args:
        section: of params.yaml; its part ``evaluate`` is left out.
        data: what the data module reads.
    """
    return {**section.model_dump(exclude={"evaluate"}), "dataset": provenance(data)}


def provenance(data: Path) -> dict[str, Any]:
    """Where data come from.

    Returns:
        ``path``; ``md5`` of each DVC output there, as DVC hashes what lies on the disk, empty where DVC knows none;
        ``parameters`` of the stages that made it, left out where dvc.lock describes other data.
    """
    found = _file(data) if data.is_file() else _outputs(data.absolute())
    return {"path": _name(data), **found}


def _name(data: Path) -> str:
    """The path in the project: code that draws data is named by its full path."""
    root = Path(__file__).parents[2]
    return str(data.relative_to(root) if data.is_relative_to(root) else data)


def _file(data: Path) -> dict[str, Any]:
    """Code that draws the data: its parameters are those of the model."""
    return {"md5": {_name(data): hashlib.md5(data.read_bytes()).hexdigest()}}


@cache
def _outputs(data: Path) -> dict[str, Any]:
    """Of a folder of DVC outputs, or one of them."""
    from dvc.exceptions import NotDvcRepoError, OutputNotFoundError
    from dvc.repo import Repo

    try:
        with Repo(str(data.parent)) as repo:
            outputs = repo.find_outs_by_path(str(data), recursive=True)
            hashes = {str(output): output.get_hash() for output in outputs}
            found: dict[str, Any] = {"md5": {name: known.value for name, known in hashes.items()}}
            if all(output.hash_info == hashes[str(output)] for output in outputs):
                found["parameters"] = _parameters(repo, [output.stage for output in outputs])
            return found
    except (NotDvcRepoError, OutputNotFoundError):
        return {"md5": {}}
    except Exception as error:  # of DVC, its database or the disk: no reason not to train
        warn(f"{data}: W&B is not told where these data come from ({one_line(error)})")
        return {"md5": {}}


def _parameters(repo: Any, stages: list[Any]) -> dict[str, Any]:
    """Of the stages and all before them, as dvc.lock has them."""
    import networkx
    from dvc.dependency.param import ParamsDependency

    graph = repo.index.graph  # from a stage to those before it
    every = set(stages).union(*(networkx.descendants(graph, stage) for stage in stages))
    found: dict[str, Any] = {}
    for stage in sorted(every, key=lambda stage: stage.addressing):
        for dependency in stage.deps:
            if isinstance(dependency, ParamsDependency):
                for key, value in (dependency.hash_info.value or {}).items():
                    _put(found, key.split("."), value)
    return found


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a dotted key; a section that is there already has it."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    if isinstance(value, dict):
        tree[path[-1]] = {**tree.get(path[-1], {}), **value}
    else:
        tree[path[-1]] = value
