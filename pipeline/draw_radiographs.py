"""Draws healthy and COVID-like chest phantoms: reads its section of params.yaml.

Writes data/synthetic/lungs/{healthy,covid}/*.png, 8-bit grey.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import run
from pipeline.outputs import atomic_folder
from pipeline.parallel import in_parallel
from pipeline.settings.images import Radiographs
from pipeline.settings.load import load_params

OUT = Path("data/synthetic/lungs")


def main(argv: Sequence[str] | None = None) -> None:
    """Draw every phantom; the k-th of a label depends on the seed and on k alone."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.draw_radiographs", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    params = load_params(args.params)

    wanted = params.radiographs
    counts = {"healthy": wanted.n_healthy, "covid": wanted.n_covid}
    with atomic_folder(OUT) as folder:
        for label in counts:
            (folder / label).mkdir()
        jobs = [(wanted, folder, label, k) for label, n in counts.items() for k in range(n)]
        for _ in in_parallel(draw, jobs, params.runtime, "drawing radiographs"):
            pass


def draw(wanted: Radiographs, folder: Path, label: str, k: int) -> None:
    """Write one phantom as ``<label>/<label>_<k>.png``."""
    import numpy as np
    from PIL import Image

    from pipeline.simulation.radiograph import radiograph

    covid = label == "covid"
    rng = np.random.default_rng(np.random.SeedSequence(wanted.seed, spawn_key=(int(covid), k)))
    Image.fromarray(radiograph(rng, wanted.size, covid=covid)).save(folder / label / f"{label}_{k:04d}.png")


if __name__ == "__main__":
    run(main)
