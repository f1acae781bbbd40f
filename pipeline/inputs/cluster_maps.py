"""Clusters of people who never read our contract: finished maps, images of light and mass, or tables of stars."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, one_line
from pipeline.inputs.cluster_catalogue import check_numbers, read_table
from pipeline.inputs.npy import read_npy
from pipeline.inputs.unpacked import check_unpacked
from pipeline.settings.clusters import Clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNITS = {"light": "solLum", "flux": "solLum kpc-2", "mass": "solMass"}  # of an image's pixels
STARS = {  # columns of a table of stars, and what their numbers may be: pc, Msun, Lsun in V
    **dict.fromkeys("xyz", (-1e6, 1e6)),
    "mass": (0.0, 1e6),
    "luminosity": (0.0, 1e9),
}
FIELD_MASS, FIELD_LIGHT = (1.0, 1e8), (1e-2, 1e8)  # Msun and Lsun,V in a field: what no unit but the right one gives
MASS_TO_LIGHT = (1e-3, 1e3)  # of a field: a few giants or dark remnants make much of it


def light_and_mass(
    folder: Path, layout: str, row: dict[str, Any], clusters: Clusters
) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Light (Lsun,V) and mass (Msun) in each pixel of a map, before a telescope, float64.

    Both have margins, but for the mass of a finished map, which is that of the field alone, smoothed.

    Raises:
        InputError: a file is none of its kind.
    """
    if layout == "stars":
        light, mass = _binned(folder, row, clusters)
        return light, mass
    if layout == "images":
        return _images(folder, row, clusters)
    from pipeline.simulation.clusters.telescope import LIGHT_UNIT

    light, log_mass = (read_array(folder / f"{name}.npy")[row["map"]].astype(float) for name in ("light", "mass"))
    return LIGHT_UNIT * light, 10.0**log_mass


def read_array(file: Path) -> "NDArray[Any]":
    """All maps, in memory only as they are used.

    Raises:
        InputError: it is no array of floating-point numbers.
    """
    array = read_npy(file, "an NPY array of all maps")
    if array.dtype.kind != "f":
        raise InputError(f"{file}: numbers of type {array.dtype}; give floating-point ones")
    return array


def view_of(row: dict[str, Any], clusters: Clusters) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Shift of the centre (arcsec) and direction of view of a map; drawn from seed and number.

    A catalogue with ``shift_x_arcsec`` and ``shift_y_arcsec`` says the shift itself.
    """
    import numpy as np

    from pipeline.simulation.clusters.telescope import random_shift, random_view

    rng = np.random.default_rng(np.random.SeedSequence(clusters.seed, spawn_key=(row["map"],)))
    shift = random_shift(rng, clusters.chosen.shift_arcsec)
    if "shift_x_arcsec" in row:
        shift = np.array([row["shift_x_arcsec"], row["shift_y_arcsec"]])
    return shift, random_view(rng)


def _binned(folder: Path, row: dict[str, Any], clusters: Clusters) -> "NDArray[Any]":
    """Stars of a table seen from somewhere, binned: light and mass (2, side, side)."""
    import numpy as np

    from pipeline.simulation.clusters.telescope import bin_stars, sky_position

    file = folder / row["star_file"]
    wanted = f"a .csv or .parquet table of stars with {', '.join(STARS)} (pc, Msun, Lsun in V)"
    table = read_table(file, wanted)
    if "luminosity_v" in table.columns and "luminosity" not in table.columns:
        table = table.rename({"luminosity_v": "luminosity"})
    for column, bounds in STARS.items():
        check_numbers(file, table, column, bounds)
    position = np.ascontiguousarray(table.select("x", "y", "z").to_numpy().T, dtype=float)
    middle = np.median(position, axis=1)
    size = np.median(np.linalg.norm(position - middle[:, None], axis=0))
    if np.linalg.norm(middle) > 0.5 * size + 1e-9:
        place = ", ".join(f"{x:.3g}" for x in middle)
        raise InputError(f"{file}: the stars' middle is ({place}) pc; subtract the cluster's centre from x, y and z")
    shift, view = view_of(row, clusters)
    offset = sky_position(position, view, row["distance_kpc"], shift)
    weight = np.ascontiguousarray(table.select("luminosity", "mass").to_numpy().T, dtype=float)
    return bin_stars(offset, weight, clusters.pixels + 2 * clusters.margin)


def _images(folder: Path, row: dict[str, Any], clusters: Clusters) -> "tuple[NDArray[Any], NDArray[Any]]":
    """Light and mass of two files, cut to the field and its margins."""
    import numpy as np

    kind = "light" if "light_file" in row else "flux"
    light, mass = (_image(folder / row[f"{name}_file"], name, clusters) for name in (kind, "mass"))
    if kind == "flux":
        light = light * 4 * np.pi * row["distance_kpc"] ** 2
    return light, mass


def _image(file: Path, kind: str, clusters: Clusters) -> "NDArray[Any]":
    """One image in the units of ``UNITS``."""
    import numpy as np

    wanted = f"{kind} as .npy or FITS"
    image = read_npy(file, wanted) if file.suffix == ".npy" else _fits_image(file, kind, wanted)
    side = clusters.pixels + 2 * clusters.margin
    spare = image.shape[0] - side if image.ndim == 2 and image.shape[0] == image.shape[1] else -1
    if spare < 0 or spare % 2 or image.dtype.kind not in "fiu":
        raise InputError(
            f"{file}: {kind} of {image.dtype} {image.shape}; give numbers of {side} x {side} pixels of 0.25 arcsec or "
            "more, an even number more"
        )
    inside = slice(spare // 2, spare // 2 + side)
    return np.ascontiguousarray(image[inside, inside], dtype=np.float64)


def _fits_image(file: Path, kind: str, wanted: str) -> "NDArray[Any]":
    """The first image of a FITS file, its unit converted, its pixels checked where the header tells them."""
    import warnings

    import numpy as np
    from astropy.io import fits
    from astropy.wcs import WCS
    from astropy.wcs.utils import proj_plane_pixel_scales

    from pipeline.simulation.clusters.telescope import PIXEL

    try:
        check_unpacked(file, "fits")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(file, memmap=False) as hdus:
                image = next((hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2), None)
                if image is None:
                    raise InputError(f"{file}: no image of two axes in it; give one")
                data, header = np.array(image.data, dtype=np.float64), image.header
                wcs = WCS(header, naxis=2)
                scale = 3600 * proj_plane_pixel_scales(wcs) if wcs.has_celestial else np.full(2, PIXEL)
    except InputError:
        raise
    except Exception as error:  # on broken bytes astropy raises nearly anything
        raise InputError(f"{file}: cannot be read ({one_line(error)}); give {wanted}") from error
    if not np.allclose(scale, PIXEL, rtol=0.01):
        raise InputError(f"{file}: pixels of {scale[0]:.3g} arcsec; bin the {kind} to {PIXEL} arcsec")
    return data * _factor(file, header, kind)


def _factor(file: Path, header: Any, kind: str) -> float:
    """From the unit of an image to ours."""
    from astropy import units

    try:
        return float(units.Unit(header.get("BUNIT") or UNITS[kind]).to(UNITS[kind]))
    except (units.UnitConversionError, ValueError, TypeError) as error:
        raise InputError(f"{file}: BUNIT {header['BUNIT']!r} is no unit of {kind}; give {UNITS[kind]}") from error


def check_map(where: str, light: "NDArray[Any]", mass: "NDArray[Any]") -> None:
    """Whether a pair of maps can be what it should be.

    Args:
        where: the map and its columns, for the message.
        light: Lsun,V in each pixel.
        mass: Msun in each pixel.

    Raises:
        InputError: a pixel is negative, not finite or brighter than can be stored, a map is empty, or its sum is not
            that of a cluster in these units.
    """
    import numpy as np

    from pipeline.simulation.clusters.telescope import BRIGHTEST

    for name, values, unit in (("light", light, "Lsun"), ("mass", mass, "Msun")):
        if wrong := int((~np.isfinite(values)).sum()):
            raise InputError(f"{where}: {wrong} pixels of {name} are no finite numbers; give a map without gaps")
        if values.min() < 0:
            raise InputError(
                f"{where}: a pixel of {name} is {values.min():.3g} {unit}; give linear {unit}, not below 0"
            )
    if light.max() > BRIGHTEST:
        raise InputError(
            f"{where}: light of {light.max():.3g} Lsun in a pixel is more than can be stored; check its unit"
        )
    edge = (len(light) - len(mass)) // 2
    field = light[edge : edge + len(mass), edge : edge + len(mass)].sum(dtype=float), mass.sum(dtype=float)
    for name, total, unit, (low, high) in zip(
        ("light", "mass"), field, ("Lsun", "Msun"), (FIELD_LIGHT, FIELD_MASS), strict=True
    ):
        if not low <= total <= high:
            raise InputError(
                f"{where}: {name} in the field is {total:.3g} {unit}, which no cluster has; check its unit"
            )
    if not MASS_TO_LIGHT[0] <= field[1] / field[0] <= MASS_TO_LIGHT[1]:
        raise InputError(f"{where}: M/L of the field is {field[1] / field[0]:.3g}; check the units of light and mass")
