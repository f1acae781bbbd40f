"""Pixels without a value: which they are, and what they are given."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK = 8  # pixels: exact zeros that fill a square of this side are no measurement
MOST = 0.05  # share of the field


def zero_blocks(flux: Map) -> Mask:
    """Exact zeros in blocks of at least 8 x 8 pixels, and those that touch them: what surveys write for "no value"."""
    from scipy.ndimage import binary_opening, binary_propagation

    zero = flux == 0
    if not zero.any():
        return zero
    return binary_propagation(binary_opening(zero, np.ones((BLOCK, BLOCK), dtype=bool)), mask=zero)


def filled(path: Path, values: Map, missing: Mask, warnings: list[str]) -> Map:
    """A map in which pixels without a value have that of their nearest neighbour.

    Args:
        path: of the file, for the message.
        values: (H, W).
        missing: (H, W).
        warnings: gets a line if there are any.

    Raises:
        InputError: they are too many.
    """
    from scipy.ndimage import distance_transform_edt

    if not missing.any():
        return values
    share = f"{100 * missing.mean():.1f} % of the field has no value"
    if missing.mean() > MOST:
        raise InputError(
            f"{path}: {share} (NaN, BLANK, masked, or a block of zeros); at most {100 * MOST:g} % can be filled: "
            "choose another --center, or another image"
        )
    nearest = distance_transform_edt(missing, return_distances=False, return_indices=True)
    warnings.append(f"{share} and took that of the nearest pixel: the mass there is a guess")
    return values[tuple(nearest)]
