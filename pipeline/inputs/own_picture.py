"""A picture of yours as a model takes it: treated as the pictures of its training were."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.inputs.archives import read_file
from pipeline.inputs.pictures import SHALLOW, DeepPicture, decode, grey_square

if TYPE_CHECKING:
    from torch import Tensor


def read_grey(path: Path, size: int, *, padded: bool = False, white: int = 255) -> tuple["Tensor", list[str]]:
    """Read a picture file, of any kind that is read.

    Args:
        path: the file.
        size: of the square, pixels.
        padded: as ``pad`` of :func:`~pipeline.inputs.pictures.grey_square`.
        white: level of the training's 16-bit pictures that was white; 255: there were none.

    Returns:
        The picture, (1, 1, size, size), float32 in [0, 1]; and what is doubtful about its white.

    Raises:
        InputError: the file cannot be read as a picture.
    """
    picture, warnings = decode(read_file(path), str(path)), []
    if isinstance(picture, DeepPicture):
        warnings = white_warnings(picture.white, white)
        picture = picture.eight_bits(white if white > 255 else picture.white)
    return grey_square(picture, size, pad=padded)[None] / 255, warnings


def refuse_single_grey(path: Path, picture: "Tensor") -> None:
    """Refuse a picture without contrast: stretching one would only show its round-off.

    Raises:
        InputError: all pixels are equal.
    """
    if picture.max() == picture.min():
        raise InputError(f"{path}: a picture of a single grey; give one that shows something")


def white_warnings(own: int, trained: int) -> list[str]:
    """What is doubtful about a picture of 16 bits whose white is ``own``, seen by a model of the white ``trained``."""
    if trained <= 255:
        return [f"16 bits, which no picture of the training had: level {own} is taken to be white"]
    if own > trained:
        return [f"brighter than the white of the training, level {trained}: what is above it is cut off"]
    if own < trained // SHALLOW:
        return [f"of less than an eighth of the white of the training, level {trained}: nearly black to the model"]
    return []
