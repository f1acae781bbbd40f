"""Where an answer comes from: input, options, weights and version, in its JSON and in the header of each FITS."""

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import readable

if TYPE_CHECKING:
    from pipeline.evaluation.common.result import Result
    from pipeline.prediction.trained import Trained

ROOT = Path(__file__).parents[2]
PROJECT = "star-cluster-pipeline"


def version() -> str:
    """Of this project."""
    stated: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    return stated


def sha256(content: bytes) -> str:
    """Its hash in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def provenance(path: Path, models: "Trained", options: Mapping[str, Any]) -> dict[str, Any]:
    """Input, options, weights and version behind an answer.

    Args:
        path: the input.
        models: that answered.
        options: that the user gave.
    """
    return {
        "input": _identity(path),
        "family": models.family,
        "options": {name: _told(value) for name, value in options.items()},
        "models": {readable(name): digest for name, digest in models.hashes.items()},
        "scale": models.scale,
        "version": f"{PROJECT} {version()}",
    }


def _told(value: Any) -> Any:
    """An option for the JSON: of files, and of lists of them, their identities."""
    if isinstance(value, (list, tuple)):
        return [_told(each) for each in value]
    return _identity(value) if isinstance(value, Path) else value


def _identity(path: Path) -> dict[str, str]:
    """Name and hash of a file: no place of anybody's machine."""
    with path.open("rb") as stream:
        return {"name": readable(path.name), "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def stamp(result: "Result") -> None:
    """Write provenance and warnings into the primary header of each FITS answer."""
    origin = result.metrics["provenance"]
    lines = [f"input {origin['input']['name']}", f"sha256 {origin['input']['sha256']}"]
    lines += [f"option {name} {value}" for name, value in origin["options"].items()]
    for name, digest in origin["models"].items():
        lines += [f"weights {name}", f"sha256 {digest}"]  # as long as a card allows
    lines += [f"trained at scale {origin['scale']}"]
    lines += [f"warning: {text}" for text in result.metrics.get("warnings", [])]
    for hdus in result.hdus.values():
        header = hdus[0].header
        header["CREATOR"] = (origin["version"], "wrote this file")
        for line in lines:
            header.add_history(line.encode("ascii", "backslashreplace").decode())
