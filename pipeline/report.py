"""Gathers every number and picture into one page that opens with no network.

Reads reports/, data/raw and data/images; writes reports/index.html. With --with-run it writes runs/report.html instead:
the same page, with commit, versions and times, to be sent on.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file
from pipeline.settings.load import Params, load_params
from pipeline.training.registry import MODELS

SETS = {"lungs": "lungs-50", "globular_clusters": "globular_clusters-255"}  # of pictures, and where their splits stand
TEMPLATES = Path(__file__).parent / "reporting"


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.report", description=__doc__)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    parser.add_argument("--with-run", action="store_true", help="write runs/report.html, with commit and times")
    args = parser.parse_args(argv)
    page = render(load_params(args.params), args.with_run)
    with atomic_file(Path("runs/report.html" if args.with_run else "reports/index.html")) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(params: Params, with_run: bool = False) -> str:
    """The whole page as HTML."""
    import jinja2

    from pipeline.evaluation.common.gallery import gallery
    from pipeline.reporting.embedded import PHOTO, figure_uri
    from pipeline.reporting.numbers import accuracy
    from pipeline.reporting.this_run import this_run

    pictures = gallery(
        Path("data/raw/globular_clusters"),
        Path("data/images/globular_clusters-255"),
        params.report.n_pictures,
        params.report.seed,
    )
    sets = {name: set_entry(Path("data/raw") / name, Path("data/images") / grey) for name, grey in SETS.items()}
    sources = {"stars": params.nbody.source, "maps": params.clusters.source}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        nbody=accuracy(read_json(Path("reports/nbody.json"))),
        gallery=[{"caption": picture.caption, "uri": figure_uri(picture.figure, **PHOTO)} for picture in pictures],
        sets=list(sets.values()),
        drawn={name: entry["drawn"] for name, entry in sets.items()},
        own={name: source for name, source in sources.items() if not source.startswith("data/synthetic/")},
        models=[model_entry(name) for name in MODELS],
        run=this_run(list(MODELS)) if with_run else None,
    )


def set_entry(raw: Path, grey: Path) -> dict[str, Any]:
    """What the page shows of one set of pictures."""
    from pipeline.evaluation.common.picture_set import picture_set
    from pipeline.reporting.embedded import PHOTO, image_uri

    entry = picture_set(raw, grey, read_json(raw / "import.json"), read_json(grey / "preprocess.json"))
    sheets = [{"caption": caption, "uri": image_uri(sheet, **PHOTO)} for caption, sheet in entry["sheets"]]
    return {**entry, "sheets": sheets}


def model_entry(name: str) -> dict[str, Any]:
    """What the page shows of one model: headline, pictures, tables, curves, parameters and files."""
    from pipeline.evaluation.common.headline import headline
    from pipeline.reporting.curves import curves
    from pipeline.reporting.embedded import download
    from pipeline.reporting.figures import figures
    from pipeline.reporting.numbers import tables
    from pipeline.reporting.parameters import parameter_rows
    from pipeline.reporting.summary import summary_row

    model, folder = MODELS[name], Path("reports/figures") / name
    files = {
        "measures": Path("reports/evaluate") / f"{name}.json",
        "training curves": Path("reports/train") / f"{name}.csv",
        "held-out items": Path("reports/charts") / name / "items.csv",
    }
    metrics = read_json(files["measures"])
    captions, labels, learned = (read_json(folder / f"{file}.json") for file in ("captions", "labels", "learned"))
    if not {"judged_by", "monitor", "parameters"} <= set(learned):
        raise InputError(f"{folder}/learned.json: of an older version; `dvc repro evaluate@{name}` writes it anew")
    return {
        "name": name,
        **learned,
        "summary": summary_row(model, headline(metrics, model.headline, labels)),
        "figures": figures(folder, model.family, captions),
        "tables": tables(metrics, labels),
        "curves": curves(files["training curves"], model.curve, learned["monitor"]),
        "parameters": parameter_rows(learned["parameters"], model.section_class()),
        "downloads": [download(path, label, name) for label, path in files.items() if path.is_file()],
    }


def read_json(path: Path, stage: str = "") -> dict[str, Any]:
    """A stage's JSON.

    Args:
        path: of the file.
        stage: that writes it, where one has to be named.

    Raises:
        InputError: it is missing or cut.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: missing or unreadable; `{f'dvc repro {stage}'.rstrip()}` writes it") from error


if __name__ == "__main__":
    run(main)
