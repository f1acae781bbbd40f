"""Numbers for people, and the tables of a model's measures beside those of its rivals."""

from typing import Any

ROWS = {  # parts of a metric's key: what it was measured on
    "test": "held out",
    "noisy": "held out, seen through another telescope, with noise",
    "val": "validation",
    "train": "training",
    "model": "of the model itself",
}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, form: str = ".4g") -> str:
    """A number as one writes it by hand: 0.0315, 7.85×10⁻⁶, −861.

    Args:
        value: the number.
        form: significant digits, as Python's format writes them; ``#.3g`` keeps zeros at the end.
    """
    mantissa, _, exponent = f"{value:{form}}".partition("e")
    mantissa = mantissa.replace("-", "−").removesuffix(".")
    return f"{mantissa}×10{str(int(exponent)).translate(SUPERSCRIPT)}" if exponent else mantissa


def cell(value: float, low: float | None = None, high: float | None = None) -> str:
    """A number with the ends of its interval."""
    if low is None or high is None:
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


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
