"""Four real clusters as mocks, from FITS picture to answer: what `predict pidoc` and `predict ebm` say of them.

Mocks of the masses, radii, distances, metallicities and ages of NGC 5053, NGC 5466, Pal 11 and NGC 7492 are seen as
Pan-STARRS 1 would see them (pixels of 0.25 arcsec, stars 1.25 arcsec wide, reddened), with its noise and without,
written as FITS files in counts and read by the networks of `dvc repro`, and by those that benchmarks.pidoc trains for
longer on the same priors, where it has. They are King-model mocks, not the real clusters.
Run it after them: python -m benchmarks.named_clusters
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import matplotlib.pyplot as plt
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from benchmarks.chain import RUNS
from benchmarks.pidoc_runs import AGE, MASS, full_size
from benchmarks.results import RESULTS, Row, write_results
from pipeline.errors import run
from pipeline.evaluation.common.result import Result, style
from pipeline.evaluation.ebm.named import percent_inside
from pipeline.evaluation.pidoc.figures import show_rows
from pipeline.predict import load_models, predict
from pipeline.prediction.trained import Trained
from pipeline.simulation.clusters.named_clusters import NAMED, NamedCluster, draw_named
from pipeline.simulation.clusters.stars import flux, flux_of_magnitude
from pipeline.simulation.clusters.telescope import PIXEL, Camera, blur, gaussian_psf
from pipeline.training.registry import MODELS

Array = NDArray[Any]
Reader = Callable[[Path], Result]
Answers = dict[tuple[str, str], dict[str, Any]]  # by night and reader, as `predict` writes them

SIDE = 160  # pixels of the field that is read
PIXELS = 240  # of the picture
MARGIN = 20  # beyond it, for the wings of the stars
SHARPNESS = 1.25 / 2.3548 / PIXEL  # sigma in pixels: the seeing of Pan-STARRS 1
ZERO_POINT = 25.0  # V magnitude of one count
NIGHTS = {"no noise": Camera(None, None, 0.0), "noise of Pan-STARRS 1": Camera(21.9, 29.3, 0.0)}  # V = 27.1 in a pixel
QUANTITIES = {"distance": "distance", "age": "age", "M/L": "mass_to_light"}
GOALS = {"distance": 15.0, "M/L": 25.0}  # %, of the median over mocks
LEAST_INSIDE = 50.0  # % of the truths in intervals that claim 68 %
R_V = 3.1  # A_V / E(B-V)


@dataclass(frozen=True)
class Mock:
    """One realisation of a cluster: the truth by quantity, and what the readers say on each night."""

    truth: dict[str, float]
    answers: Answers


def main() -> None:
    """Draw, observe, predict, and write the table and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.named_clusters", description=__doc__)
    parser.add_argument("--realisations", type=int, default=200, help="of each cluster (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="two of each: does it run? writes no file")
    args = parser.parse_args()
    number = 2 if args.quick else args.realisations
    every = readers()
    rows: list[Row] = []
    for name, cluster in NAMED.items():
        jobs = (joblib.delayed(mock)(cluster, k, every) for k in range(number))
        mocks = joblib.Parallel(-1)(jobs)
        rows += [row for night in NIGHTS for reader in every for row in judged(name, mocks, night, reader)]
    write_results("named_clusters", rows, args.quick)
    if not args.quick:
        draw(every["pidoc"]).savefig(RESULTS / "named_clusters.png", metadata={"Software": None})


def readers() -> dict[str, Reader]:
    """Those of the default chain, and the π-DOC that was trained for longer, if there is one."""
    found: dict[str, Reader] = {family: partial(predict, load_models(family)) for family in ("pidoc", "ebm")}
    folder = RUNS / "pidoc" / full_size("broad", quick=False)[0] / "models"
    files = {name: folder / f"{name}.ckpt" for name in (MASS, AGE)}
    if all(file.exists() for file in files.values()):
        modules = [MODELS[name].load(file) for name, file in files.items()]
        found["pidoc, trained long"] = partial(predict, Trained("pidoc", modules, {}, "long"))
    return found


# --- mocks -------------------------------------------------------------------------------------------------------


def mock(cluster: NamedCluster, number: int, every: Mapping[str, Reader]) -> Mock:
    """Draw a cluster, observe it on each night and let all read it."""
    answers: Answers = {}
    with tempfile.TemporaryDirectory() as folder:
        truth, pictures = observed(cluster, number, Path(folder))
        for night, path in pictures.items():
            for name, read in every.items():
                answers[night, name] = read(path).metrics
                plt.close("all")
    return Mock(truth, answers)


def observed(cluster: NamedCluster, number: int, folder: Path) -> tuple[dict[str, float], dict[str, Path]]:
    """The truth of a mock, and its FITS files by night."""
    rng = np.random.default_rng([number, round(cluster.mass)])
    light, mass = draw_named(cluster, rng, PIXELS + 2 * MARGIN)
    edge = (len(light) - SIDE) // 2
    field = slice(edge, edge + SIDE)
    truth = {
        "distance": cluster.distance,
        "age": cluster.age,
        "M/L": float(mass[field, field].sum() / light[field, field].sum()),
    }
    reddened = flux(light, cluster.distance) * 10 ** (-0.4 * R_V * cluster.reddening)
    seen = blur(reddened, gaussian_psf(SHARPNESS), PIXELS)
    pictures = {night: folder / f"{k}.fits" for k, night in enumerate(NIGHTS)}
    for night, path in pictures.items():
        counts = NIGHTS[night].expose(rng, seen) / flux_of_magnitude(ZERO_POINT)
        fits.writeto(path, counts.astype(np.float32), header(cluster))
    return truth, pictures


def header(cluster: NamedCluster) -> fits.Header:
    """Cards of a reddened V picture with sky coordinates."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [199.11, 17.70]
    wcs.wcs.crpix, wcs.wcs.cdelt = [(PIXELS + 1) / 2] * 2, [-PIXEL / 3600, PIXEL / 3600]
    cards = wcs.to_header()
    cards.update(BUNIT="adu", MAGZPT=ZERO_POINT, FILTER="V", EBV=cluster.reddening, PSFFWHM=2.3548 * SHARPNESS * PIXEL)
    return cards


# --- what they are worth -----------------------------------------------------------------------------------------


def judged(name: str, mocks: list[Mock], night: str, reader: str) -> list[Row]:
    """Bias of the median answers, and how often the truth is in the 68 % interval."""
    answers = [each.answers[night, reader] for each in mocks]
    outside = 100 * np.mean([answer["outside_training"] for answer in answers])
    rows = []
    for quantity, key in QUANTITIES.items():
        read = np.array([[answer[key][end] for end in ("value", "low", "high")] for answer in answers])
        true = np.array([each.truth[quantity] for each in mocks])
        title = f"{name}, {night}, {reader}: {quantity}"
        note = f"; {outside:.0f} % flagged as outside training" if quantity == "distance" else ""
        rows.append(median_bias(f"{title}, bias of the median", true, read[:, 0], GOALS.get(quantity), note))
        rows.append(content(f"{title} inside its 68 % interval", (read[:, 1] <= true) & (true <= read[:, 2])))
    return rows


def median_bias(title: str, true: Array, read: Array, goal: float | None, note: str) -> Row:
    """How far the median of read to true is from one, per cent: what is left once the mocks' scatter averages out."""
    bias = float(100 * abs(np.median(read / true) - 1))
    spread = " to ".join(f"{x:.3g}" for x in np.quantile(read, [0.16, 0.84]))
    note = f"{len(true)} mocks: true {np.median(true):.3g}, read {np.median(read):.3g} ({spread}){note}"
    return Row(title, bias, "%", None, goal, "lower", note)


def content(title: str, inside: Array) -> Row:
    """Share of the truths inside, with its 95 % interval."""
    share, low, high = percent_inside(inside)
    note = f"{low:.0f} to {high:.0f} % by {len(inside)} mocks"
    return Row(title, share, "%", 68.3, LEAST_INSIDE, "higher", note)


# --- the picture -------------------------------------------------------------------------------------------------


def draw(read: Reader) -> Any:
    """The paper's Figure 4, of mocks: light on a clean and on a noisy night, the mass read of either, the numbers."""
    light: dict[str, list[Array]] = {"light": [], "light, noisy": []}
    mass: dict[str, list[Array]] = {"mass read": [], "mass read of noisy": []}
    with style():
        figure, axes = plt.subplots(4, len(NAMED), figsize=(13, 13.4), sharex=True, sharey=True)
        for column, (name, cluster) in zip(axes.T, NAMED.items(), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                truth, pictures = observed(cluster, 0, Path(folder))
                rows = zip(column[:2], pictures.values(), light.values(), mass.values(), strict=True)
                for axis, path, seen, weighed in rows:
                    result = read(path)
                    axis.set_title(stated(truth, result), fontsize=9)
                    seen.append(log_light(fits.getdata(path)))
                    weighed.append(np.log10(result.hdus["mass"][0].data))
            column[0].set_title(f"mock of {name}\n{column[0].get_title()}", fontsize=9)
        every = list(range(len(NAMED)))
        image = show_rows(axes[:2], light, every, cmap="inferno", vmin=-7, vmax=-3.5)
        figure.colorbar(image, ax=axes[:2], label="log F (L☉ kpc⁻²)", shrink=0.8)
        image = show_rows(axes[2:], mass, every, cmap="viridis", vmin=-2, vmax=0.5)
        figure.colorbar(image, ax=axes[2:], label="log M (M☉)", shrink=0.8)
        figure.supxlabel("arcsec")
    return figure


def log_light(counts: Array) -> Array:
    """log10 F/(Lsun kpc⁻²) of the field of a picture, not below 1e-8."""
    edge = (PIXELS - SIDE) // 2
    return np.log10(np.maximum(counts[edge:-edge, edge:-edge] * flux_of_magnitude(ZERO_POINT), 1e-8))


def stated(truth: dict[str, float], result: Result) -> str:
    """What was read, and what is true, a line for each quantity."""
    lines = []
    for (quantity, key), unit in zip(QUANTITIES.items(), (" kpc", " Gyr", ""), strict=True):
        value, low, high = (f"{result.metrics[key][end]:.3g}" for end in ("value", "low", "high"))
        lines.append(f"{quantity} {value} ({low}–{high}){unit}, true {truth[quantity]:.3g}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
