"""Four real clusters as mocks, from FITS picture to answer: what `predict pidoc` says of them.

Mocks of the masses, radii, distances, metallicities and ages of NGC 5053, NGC 5466, Pal 11 and NGC 7492 are seen as
Pan-STARRS 1 would see them (pixels of 0.25 arcsec, stars 1.25 arcsec wide, reddened), written as FITS files in counts
and read by the networks of `dvc repro`, by those that benchmarks.pidoc trains for longer on the same broad priors, and
by one reader that sees the stars unblurred. They are King-model mocks, not the real clusters.
Run it after both: python -m benchmarks.named_clusters
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.pidoc_limits import StarListReader, field_of
from benchmarks.pidoc_runs import AGE, MASS, trained
from benchmarks.results import RESULTS, Row, write_results
from pipeline.errors import run
from pipeline.evaluation.pidoc.prediction import predict
from pipeline.predict import load_models
from pipeline.simulation.clusters.star_cluster import ClusterParameters, draw_cluster
from pipeline.simulation.clusters.stars import flux, flux_of_magnitude
from pipeline.simulation.clusters.telescope import (
    LIGHT_UNIT,
    PIXEL,
    Camera,
    bin_stars,
    blur,
    gaussian_psf,
    log_map,
    random_view,
    sky_position,
)
from pipeline.training.registry import MODELS

Array = NDArray[Any]

SIDE, LOG_FLOOR = 160, -8.0  # pixels of the field; log10 Lsun kpc⁻² of the darkest
PIXELS = 240  # of the picture; the field that is read is smaller
SHARPNESS = 1.25 / 2.3548 / PIXEL  # sigma in pixels: the seeing of Pan-STARRS 1
ZERO_POINT, SKY, ONE_ELECTRON = 25.0, 21.9, 29.3  # magnitudes; noise of V = 27.1 in a pixel of sky
GOALS = {"distance": 15.0, "M/L of the field": 25.0}  # %
R_V = 3.1  # A_V / E(B-V)
METALS_OF_THE_SUN = 0.0142  # Asplund et al. (2009)


@dataclass(frozen=True)
class Cluster:
    """What a mock is made to; first three from the tables of H. Baumgardt, ages and [Fe/H] as in the literature.

    Attributes:
        distance: kpc.
        mass: Msun.
        radius: half-mass, pc.
        iron: [Fe/H].
        age: Gyr.
        w0: of King models with the concentrations of Harris.
        reddening: E(B-V).
    """

    distance: float
    mass: float
    radius: float
    iron: float
    age: float
    w0: float
    reddening: float


CLUSTERS = {
    "NGC 5053": Cluster(17.54, 6.28e4, 17.00, -2.27, 12.25, 3.4, 0.01),
    "NGC 5466": Cluster(16.12, 5.61e4, 13.75, -1.98, 12.50, 5.0, 0.00),
    "Pal 11": Cluster(14.02, 1.42e4, 9.75, -0.40, 10.4, 2.4, 0.35),
    "NGC 7492": Cluster(24.39, 1.97e4, 10.59, -1.78, 12.0, 3.3, 0.00),
}


def main() -> None:
    """Draw, observe, predict, and write the table and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.named_clusters", description=__doc__)
    parser.add_argument("--realisations", type=int, default=50, help="of each cluster (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="two of each: does it run? writes no file")
    args = parser.parse_args()
    number = 2 if args.quick else args.realisations
    folders = {name: trained("broad", name, args.quick).folder for name in (MASS, AGE)}
    trees = StarListReader.fitted(folders[MASS])
    networks = {
        "trained long": [MODELS[name].load(folder / f"models/{name}.ckpt") for name, folder in folders.items()],
        "default chain": load_models("pidoc").modules,
    }
    rows: list[Row] = []
    shown: dict[str, Mock] = {}
    for noise in (False, True):
        for name, cluster in CLUSTERS.items():
            drawn = mocks(cluster, number, noise, networks)
            seen = list(track(drawn, name, number, console=Console(stderr=True)))
            title = f"{name}, {'noise of Pan-STARRS 1' if noise else 'no noise'}"
            if not noise:
                rows += without_seeing(f"{title}, a reader without seeing", seen, trees)
                shown[name] = seen[0]
            rows += judged(f"{title}, trained long", seen, "trained long", GOALS)
            rows += judged(f"{title}, default chain", seen, "default chain", {})
    write_results("named_clusters", rows, args.quick)
    if not args.quick:
        draw(shown).savefig(RESULTS / "named_clusters.png", metadata={"Software": None})


@dataclass(frozen=True)
class Mock:
    """One realisation of a cluster.

    Attributes:
        truth: distance (kpc), age (Gyr) and M/L of the field.
        light: raw map, Lsun.
        seen: V flux map, Lsun kpc⁻².
        answers: of each pair of networks, as `predict pidoc` writes them.
        mass_map: read by the first pair, Msun per pixel.
    """

    truth: dict[str, float]
    light: Array
    seen: Array
    answers: dict[str, dict[str, Any]]
    mass_map: Array


def mocks(cluster: Cluster, number: int, noise: bool, networks: dict[str, list[Any]]) -> Iterator[Mock]:
    """Draw, observe and read a cluster again and again."""
    for k in range(number):
        rng = np.random.default_rng([k, round(cluster.mass)])
        light, mass = draw_raw_maps(cluster, rng)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cluster.fits"
            seen = write_fits(cluster, light, rng, noise, path)
            results = {name: predict(pair, path) for name, pair in networks.items()}
        ratio = float(field_of(mass).sum() / field_of(light).sum())
        yield Mock(
            truth={"distance": cluster.distance, "age": cluster.age, "M/L of the field": ratio},
            light=light,
            seen=seen,
            answers={
                name: {**result.metrics, "M/L of the field": result.metrics["mass_to_light"]}
                for name, result in results.items()
            },
            mass_map=next(iter(results.values())).hdus["mass"][0].data,
        )


def write_fits(cluster: Cluster, light: Array, rng: np.random.Generator, noise: bool, path: Path) -> Array:
    """Write a mock's picture in counts as Pan-STARRS 1 would see it; its V flux map."""
    camera = Camera(SKY if noise else None, ONE_ELECTRON if noise else None, 0.0)
    reddened = flux(light, cluster.distance) * 10 ** (-0.4 * R_V * cluster.reddening)
    seen = camera.expose(rng, blur(reddened, gaussian_psf(SHARPNESS), PIXELS))
    fits.writeto(path, (seen / flux_of_magnitude(ZERO_POINT)).astype(np.float32), header(cluster))
    return seen


def draw_raw_maps(cluster: Cluster, rng: np.random.Generator) -> tuple[Array, Array]:
    """Light (Lsun,V) and mass (Msun) in pixels, of a mock as heavy as the cluster."""
    stars = 2.5 * cluster.mass  # at birth; corrected by what is left of it
    for _ in range(3):
        parameters = ClusterParameters(
            initial_stars=round(stars),
            age_gyr=cluster.age,
            metallicity=max(1e-4, METALS_OF_THE_SUN * 10**cluster.iron),  # the poorest of the star table
            orbit_kpc=20.0,
            half_mass_radius_pc=cluster.radius,
            w0=cluster.w0,
            truncation=1.0,
            neutron_stars=0.05,
            black_holes=0.0,
        )
        mock = draw_cluster(rng, parameters)
        stars *= cluster.mass / mock.mass.sum()
    offset = sky_position(mock.position, random_view(rng), cluster.distance, np.zeros(2))
    light, mass = bin_stars(offset, np.stack([mock.luminosity_v, mock.mass]), PIXELS + 40)
    return light, mass


def header(cluster: Cluster) -> fits.Header:
    """Cards of a reddened V picture with sky coordinates."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [199.11, 17.70]
    wcs.wcs.crpix, wcs.wcs.cdelt = [(PIXELS + 1) / 2] * 2, [-PIXEL / 3600, PIXEL / 3600]
    cards = wcs.to_header()
    cards.update(BUNIT="adu", MAGZPT=ZERO_POINT, FILTER="V", EBV=cluster.reddening, PSFFWHM=2.3548 * SHARPNESS * PIXEL)
    return cards


def judged(name: str, seen: list[Mock], pair: str, goals: dict[str, float]) -> list[Row]:
    """Errors of the median answers, and how often the truth is in the 68 % interval."""
    rows = []
    for quantity in ("distance", "M/L of the field", "age"):
        read = np.array([[m.answers[pair][quantity][end] for end in ("value", "low", "high")] for m in seen])
        true = np.array([m.truth[quantity] for m in seen])
        inside = 100 * ((read[:, 1] <= true) & (true <= read[:, 2])).mean()
        note = f"; {inside:.0f} % in their 68 % interval"
        rows.append(median_error(f"{name}: {quantity}", true, read[:, 0], goals.get(quantity), note))
    return rows


def without_seeing(name: str, seen: list[Mock], trees: StarListReader) -> list[Row]:
    """Errors of the median answers of a reader of the unblurred stars."""
    true = {quantity: np.array([m.truth[quantity] for m in seen]) for quantity in seen[0].truth}
    light = np.array([m.light for m in seen])
    distance, age, log_mass = trees.read(light / LIGHT_UNIT, true["distance"])
    log_light = np.log10(field_of(light).sum((1, 2)) * (distance / true["distance"]) ** 2)  # as seen, if that far
    read = {"distance": distance, "M/L of the field": 10 ** (log_mass - log_light), "age": age}
    return [median_error(f"{name}: {quantity}", true[quantity], read[quantity], None) for quantity in read]


def median_error(name: str, true: Array, read: Array, goal: float | None, note: str = "") -> Row:
    """Error of the median of read to true, per cent."""
    error = 100 * abs(np.median(read / true) - 1)
    spread = " to ".join(f"{x:.3g}" for x in np.quantile(read, [0.16, 0.84]))
    note = f"{len(true)} mocks: true {np.median(true):.3g}, read {np.median(read):.3g} ({spread}){note}"
    return Row(name, error, "%", None, goal, "lower", note)


def draw(shown: dict[str, Mock]) -> Any:
    """The paper's Figure 4, of mocks: light seen and mass read of each cluster, with the numbers read and true."""
    import matplotlib.pyplot as plt

    from pipeline.evaluation.common.maps import show_map
    from pipeline.evaluation.common.result import style

    with style():
        figure, axes = plt.subplots(2, len(CLUSTERS), figsize=(13, 6.6))
        for column, name in zip(axes.T, CLUSTERS, strict=True):
            mock = shown[name]
            edge = (PIXELS - SIDE) // 2
            light = log_map(mock.seen[edge:-edge, edge:-edge], LOG_FLOOR)
            images = [
                show_map(column[0], light, cmap="inferno", vmin=-7, vmax=-3.5),
                show_map(column[1], np.log10(mock.mass_map), cmap="viridis", vmin=-2, vmax=0.5),
            ]
            read = mock.answers["trained long"]
            lines = []
            titles = ("D", "distance", " kpc"), ("age", "age", " Gyr"), ("M/L", "M/L of the field", "")
            for label, key, unit in titles:
                value, low, high = (f"{read[key][end]:.3g}" for end in ("value", "low", "high"))
                lines.append(f"{label} {value} ({low}–{high}){unit}, true {mock.truth[key]:.3g}")
            column[0].set_title("mock of " + name + "\n" + "\n".join(lines), fontsize=9)
            column[1].set_xlabel("arcsec")
        for row, image, label in zip(
            axes, images, ("light seen, log F (L☉ kpc⁻²)", "mass read, log M (M☉)"), strict=True
        ):
            figure.colorbar(image, ax=row, label=label, shrink=0.8)
    return figure


if __name__ == "__main__":
    run(main)
