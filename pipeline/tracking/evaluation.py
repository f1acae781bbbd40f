"""What W&B shows of an evaluation: every number, the held-out items, native plots, figures and animations."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.common.result import Animation, Result, write_animation
from pipeline.tracking import artifacts
from pipeline.tracking.charts import native_plot
from pipeline.tracking.run import StageLogger
from pipeline.tracking.tables import error_histograms, held_out

if TYPE_CHECKING:
    import wandb


def log_evaluation(logger: StageLogger, name: str, data: Path, metrics: Mapping[str, float], result: Result) -> None:
    """Log what was found, numbers first: they arrive, in the summary too, whatever happens to the rest.

    Args:
        logger: of the run.
        name: of the model, whose checkpoint and figures were written.
        data: what the data module read.
        metrics: by flat key, those of reports/evaluate/<model>.json.
        result: items, charts and animations.
    """
    logger.log_metrics(metrics)
    with logger.forgiving():
        logger.log_input(artifacts.checkpoint(name))
        logger.log_input(artifacts.dataset(data))
    for picture in result.pictures:
        file = Path("reports/figures") / name / f"{picture.name}.png"
        logger.log_image(f"figures/{picture.name}", [str(file)], caption=[picture.caption])
    with logger.forgiving():
        logger.log_metrics(media(result))


def media(result: Result) -> dict[str, Any]:
    """Items, histograms of their errors, native plots and animations, by key."""
    found: dict[str, Any] = {f"charts/{chart.name}": native_plot(chart) for chart in result.charts}
    if result.items is not None:
        found |= {"held_out": held_out(result.items, result.thumbnails), **error_histograms(result.items)}
    return found | {f"figures/{animation.name}": video(animation) for animation in result.animations}


def video(animation: Animation) -> "wandb.Video":
    """An animation as GIF: W&B plays no WebP."""
    import wandb

    buffer = io.BytesIO()
    write_animation(animation, buffer, format="GIF")
    return wandb.Video(buffer, caption=animation.caption, format="gif")
