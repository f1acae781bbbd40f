"""Gathers every number and picture into one page that opens with no network.

Reads reports/, data/raw and data/images; writes reports/index.html.
"""

import argparse
import base64
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file
from pipeline.settings.load import Params, load_params
from pipeline.training.registry import MODELS

TITLES = {
    "gnn": "Graph network: the dynamics of N stars",
    "autoencoder-healthy": "Autoencoder of healthy lungs",
    "autoencoder-covid": "Autoencoder of COVID lungs",
    "boltzmann": "General Boltzmann machine: recall of half a picture",
    "rbm": "Restricted Boltzmann machine: artificial globular clusters",
    "ebm": "Energy-based model: P(distance, age | picture)",
    "pidoc-mass": "π-DOC: from light to mass",
    "pidoc-age-distance": "π-DOC: age and distance",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    page = render(load_params(args.params))
    with atomic_file(Path("reports/index.html")) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(params: Params) -> str:
    """The whole page as HTML."""
    import jinja2

    from pipeline.evaluation.common.gallery import gallery

    pictures = gallery(
        Path("data/raw/globular_clusters"),
        Path("data/images/globular_clusters-255"),
        params.report.n_pictures,
        params.report.seed,
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    return environment.get_template("report.html.jinja").render(
        nbody=numbers(read_json(Path("reports/nbody.json"))),
        gallery=[{"caption": picture.caption, "uri": figure_uri(picture.figure)} for picture in pictures],
        samples=[sample(Path("data/raw/lungs"), label) for label in ("healthy", "covid")],
        models=[model_entry(name) for name in MODELS],
    )


def model_entry(name: str) -> dict[str, Any]:
    """What the page shows of one model: scalars, comparison tables, curves and pictures."""
    metrics = read_json(Path("reports/evaluate") / f"{name}.json")
    folder = Path("reports/figures") / name
    captions = read_json(folder / "captions.json")
    return {
        "name": name,
        "title": TITLES[name],
        **numbers(metrics),
        "curves": figure_uri(curves(Path("reports/train") / f"{name}.csv")),
        "pictures": [{"caption": text, "uri": file_uri(folder / f"{file}.png")} for file, text in captions.items()],
    }


def numbers(metrics: dict[str, Any]) -> dict[str, Any]:
    """Scalars, and comparison tables in which rows with the same columns stand together."""
    tables: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, row in metrics.items():
        if isinstance(row, dict):
            table = tables.setdefault(tuple(row), {"columns": list(row), "rows": []})
            table["rows"].append((name, list(row.values())))
    scalars = {name: value for name, value in metrics.items() if not isinstance(value, (dict, list))}
    return {"tables": list(tables.values()), "scalars": scalars}


def curves(path: Path) -> Any:
    """Every loss of the training against the epoch."""
    import matplotlib.pyplot as plt

    from pipeline.evaluation.common.result import style

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    with style():
        figure, axes = plt.subplots(figsize=(6, 2.8))
        for key in (key for key in rows[0] if key.endswith("/loss")):
            axes.plot(
                epochs, [float(row[key]) for row in rows], label=key.removesuffix("/loss"), marker="." * (len(rows) < 3)
            )
        if all(float(row[key]) > 0 for row in rows for key in row if key.endswith("/loss")):
            axes.set_yscale("log")
        axes.set(xlabel="epoch", ylabel="loss")
        axes.legend()
    return figure


def sample(folder: Path, label: str, count: int = 8) -> dict[str, str]:
    """The first pictures of a label, side by side."""
    import matplotlib.pyplot as plt
    from PIL import Image

    from pipeline.evaluation.common.result import style

    files = sorted((folder / label).glob("*.png"))[:count]
    with style():
        figure, axes = plt.subplots(1, len(files), figsize=(1.4 * len(files), 1.6), squeeze=False)
        for axis, file in zip(axes[0], files, strict=True):
            axis.imshow(Image.open(file), cmap="gray")
            axis.set_axis_off()
    return {"caption": f"The first {len(files)} pictures labelled {label}.", "uri": figure_uri(figure)}


def number(value: Any) -> str:
    """A metric for people: four significant digits, no needless exponent."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_json(path: Path) -> dict[str, Any]:
    """A stage's JSON.

    Raises:
        InputError: it is missing or cut.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: missing or unreadable; `dvc repro` writes it") from error


def figure_uri(figure: Any) -> str:
    """A figure as a data URI."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    return _png_uri(buffer.getvalue())


def file_uri(path: Path) -> str:
    """A PNG file as a data URI."""
    return _png_uri(path.read_bytes())


def _png_uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


if __name__ == "__main__":
    run(main)
