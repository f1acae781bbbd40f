"""What a person says beside a file, as on the command line: ``--band V --zeropoint 25``."""

import argparse
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import InputError
from pipeline.predict import declaration, own


class Parser(argparse.ArgumentParser):
    """Of the options of a family; a mistake is an InputError, and no file of this machine can be named."""

    def __init__(self, family: str) -> None:
        super().__init__(prog="options", usage=argparse.SUPPRESS, add_help=False, allow_abbrev=False)
        declaration(family).add_arguments(self)
        self.epilog = None

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise InputError(f"options: {message}; correct them, or leave the line empty")


def suffixes(family: str) -> tuple[str, ...]:
    """Of the files that a family takes."""
    taken: tuple[str, ...] = Parser(family).get_default("suffixes")
    return taken


def options_for(families: Iterable[str], text: str) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """Of each family the keywords of ``pipeline.predict.predict``, and the words that only other families know.

    Raises:
        InputError: no family knows a word, or a value is none of its option's.
    """
    read = {family: options_of(family, text) for family in families}
    unknown = set.intersection(*(set(words) for _, words in read.values()))
    if unknown:
        raise InputError(f"options: {' '.join(sorted(unknown))} is not known; correct it, or leave the line empty")
    return read


def options_of(family: str, text: str) -> tuple[dict[str, Any], list[str]]:
    """The keywords of a family, and the words that it does not know.

    Raises:
        InputError: a value is none of its option's, names a file, or goes with none.
    """
    parser = Parser(family)
    try:
        words = shlex.split(text)
    except ValueError as error:
        parser.error(str(error))
    args, unknown = parser.parse_known_args(["file", *words])
    options = own(args)
    for value in options.values():
        if any(isinstance(each, Path) for each in (value if isinstance(value, list) else [value])):
            parser.error("files cannot be named here")
    declared = declaration(family)
    if hasattr(declared, "inputs"):
        declared.inputs(args)
    return options, [*map(str, args.input[1:]), *unknown]
