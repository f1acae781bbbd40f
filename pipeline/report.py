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

ROWS = {  # parts of a metric's key: what it was measured on
    "test": "held out",
    "noisy": "held out, seen through another telescope, with noise",
    "val": "validation",
    "train": "training",
    "model": "of the model itself",
}

SETS = {"lungs": "lungs-50", "globular_clusters": "globular_clusters-255"}  # of pictures, and where their splits stand
LOSSLESS = {"lossless": True, "quality": 60, "method": 4}  # WebP
PHOTO = {"quality": 90, "method": 4}


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
    sets = {name: set_entry(Path("data/raw") / name, Path("data/images") / grey) for name, grey in SETS.items()}
    sources = {"stars": params.nbody.source, "maps": params.clusters.source}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.jinja").render(
        nbody=accuracy(read_json(Path("reports/nbody.json"))),
        gallery=[{"caption": picture.caption, "uri": figure_uri(picture.figure, **PHOTO)} for picture in pictures],
        sets=list(sets.values()),
        drawn={name: entry["drawn"] for name, entry in sets.items()},
        own={name: source for name, source in sources.items() if not source.startswith("data/synthetic/")},
        models=[model_entry(name) for name in MODELS],
    )


def set_entry(raw: Path, grey: Path) -> dict[str, Any]:
    """What the page shows of one set of pictures."""
    from pipeline.evaluation.common.picture_set import picture_set

    entry = picture_set(raw, grey, read_json(raw / "import.json"), read_json(grey / "preprocess.json"))
    sheets = [{"caption": caption, "uri": image_uri(sheet, **PHOTO)} for caption, sheet in entry["sheets"]]
    return {**entry, "sheets": sheets}


def model_entry(name: str) -> dict[str, Any]:
    """What the page shows of one model: tables, curves and pictures."""
    metrics = read_json(Path("reports/evaluate") / f"{name}.json")
    folder = Path("reports/figures") / name
    captions, labels, learned = (read_json(folder / f"{file}.json") for file in ("captions", "labels", "learned"))
    return {
        "name": name,
        **learned,
        "tables": tables(metrics, labels),
        "curves": figure_uri(curves(Path("reports/train") / f"{name}.csv")),
        "pictures": [{"caption": text, "uri": file_uri(folder, file)} for file, text in captions.items()],
    }


def tables(metrics: dict[str, float], labels: dict[str, str]) -> list[dict[str, Any]]:
    """Tables of a model's numbers beside those of its rivals; rows with the same rivals stand together.

    Args:
        metrics: by flat key, such as ``test/age_error_gyr``, ``baseline/radial_ridge/age_error_gyr``,
            ``train/baseline/radial_ridge/age_error_gyr`` or ``test/noisy/pal_11/age_error_gyr``, where pal_11 is a
            column of its own, and ``..._low`` and ``..._high`` for the ends of intervals.
        labels: sentence for the last part of a key.
    """
    measures: dict[tuple[str, str], dict[str, str]] = {}  # of these rows, what is measured: rival to cell
    for key, value in metrics.items():
        *before, what = key.split("/")
        if not (what.endswith(("_low", "_high")) and key.rpartition("_")[0] in metrics):
            rows = next((part for part in reversed(before) if part in ROWS), "test")
            who = "model" if before[-1] in ROWS else before[-1].replace("_", " ")
            measures.setdefault((rows, what), {})[who] = cell(
                value, metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
            )
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for (rows, what), cells in sorted(measures.items(), key=lambda item: list(ROWS).index(item[0][0])):
        columns = sorted(cells, key=lambda who: who != "model")
        table = found.setdefault((rows, *columns), {"corner": ROWS[rows], "columns": columns, "rows": []})
        table["rows"].append((labels.get(what, what), [cells[who] for who in columns]))
    return sorted(found.values(), key=lambda table: table["columns"] == ["model"])  # comparisons first


def accuracy(metrics: dict[str, Any]) -> dict[str, Any]:
    """A table of the simulations' errors, a row for each dictionary, and what else is told of them."""
    rows = {name: row for name, row in metrics.items() if isinstance(row, dict)}
    columns = list(next(iter(rows.values())))
    cells = [(name.replace("_", " "), [cell(value) for value in row.values()]) for name, row in rows.items()]
    scalars = {
        name.replace("_", " "): cell(value) for name, value in metrics.items() if not isinstance(value, dict | list)
    }
    return {"table": {"corner": "at the output times", "columns": columns, "rows": cells}, "scalars": scalars}


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


def cell(value: float, low: float | None = None, high: float | None = None) -> str:
    """A number for people, four significant digits and no needless exponent, with the ends of its interval."""
    if low is None or high is None:
        return f"{value:.4g}"
    return f"{value:.4g} ({low:.4g} to {high:.4g})"


def read_json(path: Path) -> dict[str, Any]:
    """A stage's JSON.

    Raises:
        InputError: it is missing or cut.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: missing or unreadable; `dvc repro` writes it") from error


def figure_uri(figure: Any, **compression: Any) -> str:
    """A figure as a data URI."""
    import matplotlib.pyplot as plt
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    return image_uri(Image.open(buffer), **compression)


def file_uri(folder: Path, name: str) -> str:
    """A picture, or an animation as it is, as a data URI."""
    from PIL import Image

    animation = folder / f"{name}.webp"
    if animation.is_file():
        return f"data:image/webp;base64,{base64.b64encode(animation.read_bytes()).decode()}"
    return image_uri(Image.open(folder / f"{name}.png"))


def image_uri(image: Any, **compression: Any) -> str:
    """A picture as a data URI of WebP: every pixel as it is, unless ``compression`` says otherwise."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", **(compression or LOSSLESS))
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


if __name__ == "__main__":
    run(main)
