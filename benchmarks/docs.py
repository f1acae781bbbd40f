"""Writes the measured numbers into the README and docs/, between two marks on each page: python -m benchmarks.docs.

Reads benchmarks/results/*.json, reports/evaluate/*.json and pipeline/training/models.yaml. What stands outside the
marks is written by people and stays.
"""

import argparse
import ast
import json
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.results import Row
from pipeline.evaluation.common.headline import Measure, measures, number
from pipeline.outputs import atomic_file
from pipeline.training.registry import MODELS, Model

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/models.md", "docs/benchmarks.md")
MARKED = re.compile(r"(<!-- (\w+): written by python -m benchmarks\.docs -->\n).*?(<!-- end -->)", re.DOTALL)
CHANGED = " with changes"  # after a commit whose code had been changed


def main(argv: Sequence[str] | None = None) -> None:
    """Write all pages."""
    argparse.ArgumentParser(prog="python -m benchmarks.docs", description=__doc__).parse_args(argv)
    for page in PAGES:
        with atomic_file(ROOT / page) as temporary:
            temporary.write_text(filled((ROOT / page).read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """The page with what stands between its marks written anew."""
    return MARKED.sub(lambda marks: f"{marks[1]}\n{PARTS[marks[2]]()}\n\n{marks[3]}", page)


# --- models: reports/evaluate/<model>.json ----------------------------------------------------------


def evaluation(model: Model) -> dict[str, Measure]:
    """The measures of a model; none if it was not evaluated yet."""
    path = ROOT / f"reports/evaluate/{model.name}.json"
    if not path.is_file():
        return {}
    return measures(json.loads(path.read_text(encoding="utf-8")), model.evaluation().LABELS)


def headlines() -> str:
    """A row for each model: what it is, its first number, the best simple rival."""
    rows = []
    for model in MODELS.values():
        measure = evaluation(model).get(model.headline.removeprefix("test/"))
        if measure is not None:
            rows.append(
                [f"`{model.name}`", model.title, measure.label, measure.in_words(), measure.best_rival_in_words()]
            )
    return table(["model", "what it is", "measure", "value (95 % interval)", "best simple rival"], rows)


def all_measures() -> str:
    """A section for each model: command and every measure."""
    parts = []
    for model in MODELS.values():
        found = list(evaluation(model).values())
        stage, file = f"evaluate@{model.name}", f"reports/evaluate/{model.name}.json"
        parts.append(f"### {model.name}: {model.title}\n\n`dvc repro {stage}` writes `{file}`.")
        rivals = list(dict.fromkeys(rival for measure in found for rival in measure.rivals))
        rows = [[m.label, m.in_words(), *(quantity(m.rivals.get(rival)) for rival in rivals)] for m in found]
        parts.append(table(["measure", "model", *rivals], rows))
    return "\n\n".join(parts)


# --- benchmarks: benchmarks/results/<name>.json -----------------------------------------------------


def benchmarks() -> str:
    """A section for each benchmark: how it was measured, its rows, its picture."""
    return "\n\n".join(benchmark(path) for path in sorted((ROOT / "benchmarks/results").glob("*.json")))


def benchmark(path: Path) -> str:
    """One benchmark; parts that were measured at different commits have a table each."""
    results = json.loads(path.read_text(encoding="utf-8"))
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    parts = [f"## {path.stem}", subject(path.stem), f"Versions: {versions}."]
    for part, rows in groupby(results["rows"], key=lambda row: row.get("part")):
        parts += measured_rows(results, part, list(rows))
    if path.with_suffix(".png").is_file():
        parts.append(f"![{path.stem}](../benchmarks/results/{path.stem}.png)")
    return "\n\n".join(parts)


def measured_rows(results: dict[str, Any], part: str | None, rows: list[dict[str, Any]]) -> list[str]:
    """How the rows of a part were measured, and their table."""
    measured, command, heading = results, results["command"], []
    if part is not None:
        measured, command = rows[0], f'{command.partition(" --part ")[0]} --part "{part}"'
        heading = [f"### {part}"]
    changed = measured["commit"].endswith(CHANGED)
    commit = f"commit {measured['commit'][:7]}{CHANGED if changed else ''}"
    lines = [f"`{command}`", commit, measured.get("date", ""), measured["machine"]]
    body = []
    for row in rows:
        shown = Row(**{name: row[name] for name in Row.__dataclass_fields__})
        reached = {True: "✓ met", False: "✗ missed", None: ""}[shown.reached]
        value = f"{quantity(shown.value, shown.unit)}{' †' if changed else ''}"
        body.append([shown.name, value, quantity(shown.reference), quantity(shown.goal), reached, shown.note])
    return [*heading, " · ".join(filter(None, lines)), table(["", "value", "reference", "goal", "", "note"], body)]


def subject(name: str) -> str:
    """The first paragraph of what the benchmark's file says of itself."""
    source = (ROOT / f"benchmarks/{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0].replace("\n", " ")


# --- Markdown --------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def quantity(value: float | None, unit: str = "") -> str:
    """A number with its unit; nothing for None."""
    return "" if value is None else f"{number(value)} {unit}".rstrip()


PARTS: dict[str, Callable[[], str]] = {"headlines": headlines, "measures": all_measures, "benchmarks": benchmarks}

if __name__ == "__main__":
    main()
