"""Arrays in NPY files, in memory only as they are used: a header cannot ask for more than the file holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_npy(file: Path, wanted: str) -> "NDArray[Any]":
    """The array of an NPY file, mapped read-only into memory; no pickle and no NPZ.

    Raises:
        InputError: it is none, or is cut; says what is ``wanted``.
    """
    from numpy.lib.format import open_memmap

    try:
        return open_memmap(file, mode="r")
    except Exception as error:  # on a broken header numpy raises nearly anything
        raise InputError(f"{file}: not an NPY array ({one_line(error)}); give {wanted}") from error
