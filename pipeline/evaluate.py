"""Evaluates one model on held-out data, on one device.

Reads models/<model>.ckpt and its data; writes reports/evaluate/<model>.json, reports/headlines/<model>.json,
reports/figures/<model>/ and reports/charts/<model>/.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import run
from pipeline.outputs import atomic_file, atomic_folder
from pipeline.progress import progress
from pipeline.settings.base import ModelSection
from pipeline.settings.load import Params, load_params
from pipeline.training.registry import MODELS

if TYPE_CHECKING:
    from pipeline.evaluation.common.headline import Measure
    from pipeline.evaluation.common.result import Picture, Result


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate the named model with the parameters of the file."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.evaluate", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    evaluate(args.model, load_params(args.params))


def evaluate(name: str, params: Params) -> None:
    """Test ``name`` with Lightning, then with its family's own metrics and figures; write and track both."""
    with progress(f"evaluate {name}", 3) as show:  # before torch, which takes seconds to import
        import torch

        from pipeline.evaluation.common.headline import headline
        from pipeline.evaluation.common.result import numbers
        from pipeline.training.callbacks import SeedEachBatch
        from pipeline.training.trainer import make_trainer

        model, section = MODELS[name], params.model_section(name)
        module = model.load(Path("models") / f"{name}.ckpt")
        datamodule = model.make_datamodule(section)
        seed = SeedEachBatch(section.seed)
        tester = make_trainer(section.trainer, params.runtime, logger=False, callbacks=[seed], single=True)
        tested = tester.test(module, datamodule=datamodule, verbose=False)[0]
        show(1, "measures")
        torch.manual_seed(section.seed)
        evaluation = model.evaluation()
        result = evaluation.evaluate(module.eval(), datamodule, section)
        show(2, "figures")
        metrics = numbers({**tested, **result.metrics})
        labels = evaluation.LABELS | result.labels
        write(name, metrics, result, labels, headline(metrics, model.headline, labels))
        track(name, section, metrics, result.pictures)


def write(name: str, metrics: dict[str, float], result: "Result", labels: dict[str, str], headline: "Measure") -> None:
    """Write the metrics, that which sums them up, and folders of pictures with their words and of charts."""
    from pipeline.evaluation.common.charts import write_charts
    from pipeline.evaluation.common.headline import headline_row
    from pipeline.evaluation.common.result import write_json, write_pictures

    with atomic_file(Path("reports/evaluate") / f"{name}.json") as temporary:
        write_json(metrics, temporary)
    with atomic_file(Path("reports/headlines") / f"{name}.json") as temporary:
        write_json(headline_row(headline), temporary)
    with atomic_folder(Path("reports/figures") / name) as temporary:
        write_pictures(result.pictures, temporary, result.animations)
        write_json(labels, temporary / "labels.json")
        write_json({"title": result.title or MODELS[name].title, "notes": result.notes}, temporary / "learned.json")
    with atomic_folder(Path("reports/charts") / name) as temporary:
        write_charts(result.charts, result.items, temporary)


def track(name: str, section: ModelSection, metrics: dict[str, float], pictures: "list[Picture]") -> None:
    """Send metrics and pictures to W&B."""
    from pipeline.tracking import run as tracking

    logger = tracking.start(name, "evaluate", section.model_dump())
    logger.log_metrics(metrics)
    for picture in pictures:
        file = Path("reports/figures") / name / f"{picture.name}.png"
        logger.log_image(f"figures/{picture.name}", [str(file)], caption=[picture.caption])
    tracking.finish()


if __name__ == "__main__":
    run(main)
