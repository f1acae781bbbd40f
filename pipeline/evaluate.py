"""Evaluates one model on held-out data, on one device.

Reads models/<model>.ckpt and its data; writes reports/evaluate/<model>.json and reports/figures/<model>/.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import run
from pipeline.outputs import atomic_file, atomic_folder
from pipeline.progress import progress
from pipeline.settings.load import Params, load_params
from pipeline.training.registry import MODELS


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate the named model with the parameters of the file."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.evaluate", description=__doc__)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    evaluate(args.model, load_params(args.params))


def evaluate(name: str, params: Params) -> None:
    """Test ``name`` with Lightning, then with its family's own metrics and figures; write and track both."""
    import torch

    from pipeline.evaluation.common.result import numbers, write_json, write_pictures
    from pipeline.training import tracking, trainer
    from pipeline.training.callbacks import SeedEachBatch

    model, section = MODELS[name], params.model_section(name)
    module = model.load(Path("models") / f"{name}.ckpt")
    datamodule = model.make_datamodule(section)
    tester = trainer.make_trainer(
        section.trainer, params.runtime, logger=False, callbacks=[SeedEachBatch(section.seed)], single=True
    )
    folder = Path("reports/figures") / name
    with progress(f"evaluate {name}", 3) as show:
        tested = tester.test(module, datamodule=datamodule, verbose=False)[0]
        show(1, "measures")
        torch.manual_seed(section.seed)
        evaluation = model.evaluation()
        result = evaluation.evaluate(module.eval(), datamodule, section)
        show(2, "figures")
        metrics = numbers({**tested, **result.metrics})
        with atomic_file(Path("reports/evaluate") / f"{name}.json") as temporary:
            write_json(metrics, temporary)
        with atomic_folder(folder) as temporary:
            write_pictures(result.pictures, temporary)
            write_json(evaluation.LABELS, temporary / "labels.json")
    logger = tracking.make_logger(name, "evaluate", section.model_dump())
    logger.log_metrics(metrics)
    for picture in result.pictures:
        logger.log_image(f"figures/{picture.name}", [str(folder / f"{picture.name}.png")], caption=[picture.caption])
    tracking.finish()


if __name__ == "__main__":
    run(main)
