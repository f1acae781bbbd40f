"""Evaluates one model on held-out data, on one device.

Reads models/<model>.ckpt, models/part-way/<model>/ and its data; writes reports/evaluate/<model>.json,
reports/headlines/<model>.json, reports/figures/<model>/ and reports/charts/<model>/.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import run
from pipeline.outputs import atomic_file, atomic_folder
from pipeline.progress import Show, progress
from pipeline.settings.base import ModelSection
from pipeline.settings.load import Params, load_params
from pipeline.training.registry import MODELS

if TYPE_CHECKING:
    from pipeline.evaluation.common.headline import Measure
    from pipeline.evaluation.common.result import Result


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate the named model with the parameters of the file."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.evaluate", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    evaluate(args.model, load_params(args.params))


def evaluate(name: str, params: Params) -> None:
    """Measure ``name`` on held-out data, then write, track and tell what was found."""
    with progress(f"evaluate {name}", 3) as show:  # before torch, which takes seconds to import
        from pipeline.evaluation.common.headline import headline

        section = params.model_section(name)
        metrics, result, labels = measured(name, params, show)
        show(2, "figures")
        summed_up = headline(metrics, MODELS[name].headline, labels)
        write(name, section, metrics, result, labels, summed_up)
        track(name, section, metrics, result)
    tell(name, summed_up)


def measured(name: str, params: Params, show: Show) -> "tuple[dict[str, float], Result, dict[str, str]]":
    """Test with Lightning, then with the family's own measures: all metrics, what else was found, and labels."""
    import torch

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
    part_way = [model.load(model.part_way / f"{epochs}.ckpt") for epochs in module.kept_epochs]
    for each in (module, *part_way):
        each.to(tester.strategy.root_device).eval()  # Lightning has moved the first one back to the processor
    result = evaluation.evaluate(module, datamodule, section, *part_way)
    return numbers({**tested, **result.metrics}), result, evaluation.LABELS | result.labels


def write(
    name: str,
    section: ModelSection,
    metrics: dict[str, float],
    result: "Result",
    labels: dict[str, str],
    headline: "Measure",
) -> None:
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
        write_json(learned(name, section, result), temporary / "learned.json")
    with atomic_folder(Path("reports/charts") / name) as temporary:
        write_charts(result.charts, result.items, temporary)


def learned(name: str, section: ModelSection, result: "Result") -> dict[str, Any]:
    """What the report tells of a model beside its numbers."""
    return {
        "title": result.title or MODELS[name].title,
        "notes": result.notes,
        "judged_by": result.judged_by,
        "monitor": MODELS[name].module_class().monitor,
        "parameters": section.model_dump(mode="json"),
    }


def track(name: str, section: ModelSection, metrics: dict[str, float], result: "Result") -> None:
    """Send to W&B what was found, and from which weights and data."""
    from pipeline.tracking import run
    from pipeline.tracking.config import stage_config
    from pipeline.tracking.evaluation import log_evaluation

    if not run.enabled():
        return
    with run.closing():
        source = MODELS[name].source
        config = {**stage_config(section, source), "evaluate": section.model_dump()["evaluate"]}
        logger = run.start(name, "evaluate", config)
        log_evaluation(logger, name, source, metrics, result)


def tell(name: str, headline: "Measure") -> None:
    """Close the stage with the measure that sums it up, and where the rest is."""
    from pipeline.tracking.closing import close

    facts = {
        headline.label: headline.in_words(),
        "best simple rival": headline.best_rival_in_words() or "none",
        "all numbers": f"reports/evaluate/{name}.json",
        "figures": f"reports/figures/{name}",
        "charts": f"reports/charts/{name}",
    }
    close(f"evaluate {name}", facts)


if __name__ == "__main__":
    run(main)
