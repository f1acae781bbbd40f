"""Puts the overrides of scales/<name>.yaml into params.yaml, where Git shows them; `default` changes nothing.

Reads scales/<name>.yaml; writes params.yaml, its comments kept.
"""

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file
from pipeline.settings.load import load_params

ROOT = Path(__file__).parents[1]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the named scale into the parameter file."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.scale", description=__doc__)
    parser.add_argument("name", help="default, or the name of a file in scales/")
    parser.add_argument("--params", default="params.yaml", type=Path, help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    load_params(args.params)
    if args.name != "default":
        write_scale(Path("scales") / f"{args.name}.yaml", args.params)


def write_scale(overrides: Path, params: Path) -> None:
    """Overwrite the values that ``overrides`` names; the file changes only if the result is valid.

    Raises:
        InputError: there is no such scale, or it names a key that params.yaml lacks.
    """
    if not overrides.is_file():
        names = sorted(file.stem for file in Path("scales").glob("*.yaml"))
        raise InputError(f"{overrides}: no such scale; choose default, {', '.join(names)}")
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), _null)
    values = yaml.load(params)
    _override(values, yaml.load(overrides), overrides, "")
    with atomic_file(params) as temporary:
        yaml.dump(values, temporary)
        load_params(temporary)


def scale_of(params: Path) -> str:
    """The scale of a parameter file: ``default``, the name of a file in scales/, or ``edited``.

    It is ``default`` where it says what Git holds as the project's params.yaml. The section ``runtime`` shapes no
    result and is not compared.
    """
    committed = _committed()
    if committed is None:
        return "unknown"
    yaml = YAML(typ="safe")
    scales = {"default": {}} | {file.stem: yaml.load(file) for file in sorted((ROOT / "scales").glob("*.yaml"))}
    values = _shaping(yaml.load(params))
    for name, overrides in scales.items():
        expected = yaml.load(committed)
        _override(expected, overrides, params, "")
        if _shaping(expected) == values:
            return name
    return "edited"


def _shaping(values: dict[str, Any]) -> dict[str, Any]:
    return {section: parameters for section, parameters in values.items() if section != "runtime"}


def _committed() -> str | None:
    """The project's params.yaml as Git holds it; None without Git."""
    try:
        shown = subprocess.run(["git", "show", "HEAD:./params.yaml"], cwd=ROOT, capture_output=True, encoding="utf-8")
    except OSError:
        return None
    return shown.stdout if shown.returncode == 0 else None


def _null(representer: Any, value: None) -> Any:
    """``null``, as params.yaml has it, where ruamel writes nothing."""
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _override(values: Any, overrides: Any, file: Path, prefix: str) -> None:
    for key, value in overrides.items():
        if key not in values:
            raise InputError(f"{file}: params.yaml has no key {prefix}{key}; mend its spelling")
        if isinstance(value, dict):
            _override(values[key], value, file, f"{prefix}{key}.")
        else:
            values[key] = value


if __name__ == "__main__":
    run(main)
