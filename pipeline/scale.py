"""Puts the overrides of scales/<name>.yaml into params.yaml, where Git shows them; `default` changes nothing.

Reads scales/<name>.yaml; writes params.yaml, its comments kept.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file
from pipeline.settings.load import load_params


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
    values = yaml.load(params)
    _override(values, yaml.load(overrides), overrides, "")
    with atomic_file(params) as temporary:
        yaml.dump(values, temporary)
        load_params(temporary)


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
