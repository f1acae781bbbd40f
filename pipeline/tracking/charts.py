"""Charts of an evaluation as W&B's native plots, drawn by W&B from their tables."""

from typing import TYPE_CHECKING, Any

from pipeline.evaluation.common.charts import Chart, rounded
from pipeline.tracking.tables import table_of

if TYPE_CHECKING:
    from wandb.plot import CustomChart


def native_plot(chart: Chart) -> "CustomChart":
    """The plot that W&B has for this kind of chart."""
    import wandb

    table = table_of(rounded(chart.table))
    match chart.kind:
        case "predicted":
            return wandb.plot.scatter(table, "truth", "predicted", title=chart.title)
        case "calibration":
            group = "group" if "group" in chart.table.columns else None
            return wandb.plot.line(table, "stated_percent", "found_percent", stroke=group, title=chart.title)
        case "roc":
            return _roc(table, chart.title)
    raise ValueError(f"{chart.name}: W&B has no plot of kind {chart.kind}")


def _roc(table: Any, title: str) -> "CustomChart":
    """Curves that are known already; wandb.plot.roc_curve would compute one of each class from scores."""
    import wandb

    return wandb.plot.plot_table(
        vega_spec_name="wandb/area-under-curve/v0",
        data_table=table,
        fields={"x": "false_positive_rate", "y": "true_positive_rate", "class": "score"},
        string_fields={"title": title, "x-axis-title": "False positive rate", "y-axis-title": "True positive rate"},
    )
