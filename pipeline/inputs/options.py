"""What a user says beside a FITS file; imports nothing heavy."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import InputError

NUMBERS: dict[str, Callable[[float], bool]] = {
    "zeropoint": math.isfinite,
    "ebv": lambda value: 0 <= value < math.inf,
    "fwhm": lambda value: 0 < value < math.inf,
}


@dataclass(frozen=True)
class FitsOptions:
    """What the header of a FITS file leaves open, or has wrong; None: the header says it.

    Attributes:
        ext: name or number of the extension that holds the image.
        band: filter, such as V, F606W or g.
        zeropoint: magnitude of one count, in the system of the filter; of one count a second where the unit is that.
        ebv: reddening E(B-V) in magnitudes on the scale of Schlegel, Finkbeiner & Davis (1998), as dust maps give it.
        fwhm: full width at half maximum of a star, arcsec.
        center: "RA DEC" of the cluster, degrees or sexagesimal; None: the middle of the image.
        sky: whether the light of the sky that is found beyond the field is subtracted.
        g: image in g, and
        r: image in r, where a survey delivers one file a band.
    """

    ext: str | None = None
    band: str | None = None
    zeropoint: float | None = None
    ebv: float | None = None
    fwhm: float | None = None
    center: str | None = None
    sky: Literal["keep", "subtract"] = "keep"
    g: Path | None = None
    r: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what the command line refuses.

        Raises:
            InputError: a value that no picture can have.
        """
        if self.sky not in ("keep", "subtract"):
            raise InputError(f"sky is {self.sky!r}; give 'keep' or 'subtract'")
        if not isinstance(self.center, str | None):
            raise InputError(f"center is {self.center!r}; give 'RA DEC' in degrees, such as '250.42 36.46'")
        for name, good in NUMBERS.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and good(value)):
                raise InputError(f"{name} is {value!r}, which it cannot be; give a number, as --{name} takes it")
