"""Small FITS files, as tests need them."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

SIDE = 16
PIXEL = 0.5  # arcsec


def sky(pixel: float = PIXEL, **cards: Any) -> fits.Header:
    """A header of a gnomonic image, and cards of one's own."""
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRVAL1"], header["CRVAL2"] = 199.11, 17.7
    header["CRPIX1"] = header["CRPIX2"] = SIDE / 2 + 0.5
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = -pixel / 3600, 0.0, 0.0, pixel / 3600
    header.update(cards)
    return header


def light(seed: int = 1) -> np.ndarray:
    """A picture, (SIDE, SIDE)."""
    return np.random.default_rng(seed).uniform(10, 20, (SIDE, SIDE))


def written(path: Path, *hdus: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) -> Path:
    """Write extensions; the first becomes or follows the primary one."""
    first = [] if isinstance(hdus[0], fits.PrimaryHDU) else [fits.PrimaryHDU()]
    fits.HDUList([*first, *hdus]).writeto(path)
    return path


def extension(name: str, data: np.ndarray | None = None, **cards: Any) -> fits.ImageHDU:
    """An image extension of the sky."""
    return fits.ImageHDU(light() if data is None else data, sky(**cards), name=name)


def with_cards(path: Path, *cards: str) -> Path:
    """Put raw lines of 80 letters in front of END, replacing the cards of the same keyword; a header of one block."""
    raw = path.read_bytes()
    lines = [raw[i : i + 80] for i in range(0, 2880, 80)]
    new = {card[:8].encode(): card.ljust(80).encode() for card in cards}
    end = next(i for i, line in enumerate(lines) if line.startswith(b"END"))
    lines[:end] = [new.pop(line[:8], line) for line in lines[:end]]
    lines[end : end + len(new)] = [*new.values()]
    lines[end + len(new)] = b"END".ljust(80)
    path.write_bytes(b"".join(lines)[:2880] + raw[2880:])
    return path
