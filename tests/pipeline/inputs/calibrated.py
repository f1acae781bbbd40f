"""Images of one value in a FITS file, read; their magnitude, or what is told of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from pipeline.errors import InputError
from pipeline.inputs.calibration import CalibratedImage, read_images
from pipeline.inputs.options import FitsOptions
from tests.pipeline.inputs.fits_files import PIXEL, SIDE, sky, written

SUN_V = 4.81
AREA = PIXEL**2  # arcsec2 of a pixel
CLEAR = {"A_V": 0.0}
NOTHING = FitsOptions()


def image(tmp_path: Path, value: float, options: FitsOptions = NOTHING, **cards: Any) -> CalibratedImage:
    """The only image of a file whose pixels are all the same."""
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.fits"
    written(path, fits.PrimaryHDU(np.full((SIDE, SIDE), value), sky(**cards)))
    (found,) = read_images(path, options)
    return found


def magnitude(found: CalibratedImage) -> float:
    """Of a pixel, on the scale of the filter: magnitude m is 10**(0.4 (4.81 + 10 - m)) / 4 pi Lsun/kpc2."""
    return SUN_V + 10 - 2.5 * float(np.log10(4 * np.pi * found.flux[3, 3]))


def refusal(tmp_path: Path, options: FitsOptions = NOTHING, **cards: Any) -> str:
    with pytest.raises(InputError) as mistake:
        image(tmp_path, 1.0, options, **cards)
    assert "\n" not in str(mistake.value) and str(mistake.value).startswith(str(tmp_path))
    return str(mistake.value)
