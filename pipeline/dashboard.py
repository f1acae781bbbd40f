"""Builds the dashboard in W&B: a view of all models, one a model, and a report; logs reports/index.html as a run.

Needs a key and a network; WANDB_ENTITY and WANDB_PROJECT say where to. What an earlier call built is replaced:
runs/wandb/dashboard.json remembers its addresses. Keys come from reports/evaluate/ and reports/train/.
"""

import argparse
import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, one_line, run
from pipeline.outputs import atomic_file
from pipeline.report import read_json
from pipeline.training.registry import MODELS, Model

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import BarPlot, Report
    from wandb_workspaces.workspaces import Workspace

PAGE = Path("reports/index.html")
ADDRESSES = Path("runs/wandb/dashboard.json")
TITLE = "Star clusters"
STEPS = {  # what a training follows from step to step
    "step/loss": "loss of a batch",
    "step/lr": "learning rate",
    "step/gradient_norm": "norm of the gradients",
    "step/weight_norm": "norm of the weights",
    "step/samples_per_second": "samples a second",
    "step/memory_gb": "memory (GB)",
}
EXAMPLES = {  # the pictures that a training shows as it goes on; each has a slider of its steps
    "gnn": "rollouts_and_simulations",
    "spectral": "members_above_probabilities",
    "autoencoder-healthy": "original_reconstructed_difference",
    "autoencoder-covid": "original_reconstructed_difference",
    "boltzmann": "truth_half_recalled",
    "rbm": "original_reconstructed_artificial",
    "ebm-plane": "learned_over_points",
    "ebm": "posterior_and_truth",
    "pidoc-mass": "light_truth_read",
    "pidoc-age-distance": "distance_and_age_read_over_truth",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Log the page, save views and report, and print where they are."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.dashboard", description=__doc__)
    parser.parse_args(argv)
    if not PAGE.is_file():
        raise InputError(f"{PAGE}: missing; `dvc repro` writes it")
    entity, project = destination()
    built: dict[str, Any] = {"all models": overview(entity, project)}
    built |= {name: model_view(model, entity, project) for name, model in MODELS.items()}
    built["report"] = report(entity, project)
    log_page()
    publish(built, f"{entity}/{project}")


def destination() -> tuple[str, str]:
    """Entity and project that runs go to.

    Raises:
        InputError: there is no key, or no server.
    """
    os.environ.setdefault("WANDB_SILENT", "true")
    import wandb

    from pipeline.tracking.live import trouble

    reason = trouble()
    if reason is not None:
        raise InputError(f"no dashboard: {reason}")
    from pipeline.tracking.run import PROJECT  # after what can fail at once: it imports torch

    os.environ["WANDB_MODE"] = "online"
    try:
        entity = os.environ.get("WANDB_ENTITY") or wandb.Api().default_entity
    except Exception as error:  # wandb has no common class of them
        raise InputError(f"no dashboard: W&B says {one_line(error)}; check WANDB_API_KEY, WANDB_BASE_URL") from error
    return str(entity), os.environ.get("WANDB_PROJECT", PROJECT)


def overview(entity: str, project: str) -> "Workspace":
    """The view that compares experiments: the evaluations, by group (a DVC experiment or a commit), then by model."""
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    headlines = dict.fromkeys(model.headline for model in MODELS.values())
    sections = [ws.Section(name=name, panels=[bars(model)], is_open=True) for name, model in MODELS.items()]
    sections.append(ws.Section(name="What differs", panels=[wr.RunComparer(diff_only=True)]))
    runs = ws.RunsetSettings(
        filters=ws.And(ws.Metric("JobType") == "evaluate"),
        groupby=[ws.Metric("Group"), ws.Metric("Name")],
        pinned_columns=["run:displayName", *(f"summary:{key}" for key in headlines)],
    )
    return ws.Workspace(entity=entity, project=project, name=TITLE, sections=sections, runset_settings=runs)


def model_view(model: Model, entity: str, project: str) -> "Workspace":
    """The view of one model: of its runs alone, for keys such as ``train/loss`` are those of every model.

    Below its sections W&B adds those of all other keys: figures, charts, histograms.
    """
    import wandb_workspaces.workspaces as ws

    sections = [ws.Section(name=name, panels=found, is_open=True) for name, found in panels(model).items()]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"{TITLE}: {model.name}",
        sections=sections,
        runset_settings=ws.RunsetSettings(filters=ws.And(ws.Metric("Name") == model.name)),
        auto_generate_panels=True,
    )


def report(entity: str, project: str) -> "Report":
    """The report: a section a model, in which runs of one group (a DVC experiment or a commit) are one line or bar."""
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    blocks: list[Any] = [wr.TableOfContents()]
    for model in MODELS.values():
        runs = wr.Runset(name=model.name, filters=ws.And(ws.Metric("Name") == model.name), groupby=["group"])
        blocks += [wr.H1(f"{model.name}: {model.title}"), wr.P(f"Written by dvc repro evaluate@{model.name}.")]
        for name, found in panels(model).items():
            blocks += [wr.H2(name), wr.PanelGrid(runsets=[runs], panels=found)]
    return wr.Report(entity=entity, project=project, title=TITLE, blocks=blocks, width="fluid")


def panels(model: Model) -> dict[str, list[Any]]:
    """The panels of one model, by section."""
    import wandb_workspaces.reports.v2 as wr

    return {
        "Held out": [bars(model), wr.WeavePanelSummaryTable(table_name="held_out")],
        "Training, by epoch": [wr.LinePlot(title=what, x="epoch", y=keys) for what, keys in curves(model).items()],
        "Training, by step": [
            wr.LinePlot(title=title, x="trainer/global_step", y=[key]) for key, title in STEPS.items()
        ],
        "Pictures": [wr.MediaBrowser(title=key, media_keys=[key]) for key in pictures(model)],
    }


def bars(model: Model) -> "BarPlot":
    """The headline of a model beside the same measure of its rivals.

    Raises:
        InputError: the model has no evaluation.
    """
    import wandb_workspaces.reports.v2 as wr

    metrics = read_json(Path("reports/evaluate") / f"{model.name}.json", f"evaluate@{model.name}")
    what = model.headline.removeprefix("test/")
    rivals = [key for key in metrics if key.startswith("baseline/") and key.endswith(f"/{what}")]
    return wr.BarPlot(title=f"{model.name}: {what}, and rivals", metrics=[model.headline, *rivals])


def curves(model: Model) -> dict[str, list[Any]]:
    """What a training follows from epoch to epoch: ``loss`` to ``[train/loss, val/loss]``.

    Raises:
        InputError: the model was not trained.
    """
    path = Path("reports/train") / f"{model.name}.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            columns = next(csv.reader(file))
    except (OSError, StopIteration) as error:
        raise InputError(f"{path}: missing or empty; `dvc repro train@{model.name}` writes it") from error
    found: dict[str, list[Any]] = {}
    for column in sorted(columns):
        split, _, what = column.partition("/")
        if split in ("train", "val"):
            found.setdefault(what, []).append(column)
    return found


def pictures(model: Model) -> list[str]:
    """Keys of the example pictures of a model's training, and of the figures of its evaluation.

    Raises:
        InputError: the model has no evaluation.
    """
    captions = read_json(Path("reports/figures") / model.name / "captions.json", f"evaluate@{model.name}")
    examples = [f"examples/{EXAMPLES[model.name]}"] if model.name in EXAMPLES else []
    return [*examples, *(f"figures/{name}" for name in captions)]


def log_page() -> None:
    """Log the page of reports as a run of its own."""
    import wandb

    from pipeline.tracking.run import closing, start

    with closing():
        logger = start("report", "report", {})
        logger.log_metrics({"report": wandb.Html(PAGE.read_text(encoding="utf-8"), inject=False)})


def publish(built: "dict[str, Workspace | Report]", place: str) -> None:
    """Save views and report, in the place of those that an earlier call saved there, and print their addresses.

    Args:
        built: by name.
        place: entity and project.

    Raises:
        InputError: the server refuses one.
    """
    remembered = json.loads(ADDRESSES.read_text(encoding="utf-8")) if ADDRESSES.is_file() else {}
    addresses = remembered.setdefault(place, {})
    for name, view in built.items():
        try:
            saved = replacing(view, addresses[name]) if name in addresses else view
            saved.save()
        except Exception as error:  # see destination
            raise InputError(
                f"no dashboard: W&B says {one_line(error)}; if somebody deleted a view, delete {ADDRESSES}"
            ) from error
        addresses[name] = saved.url
        with atomic_file(ADDRESSES) as temporary:
            temporary.write_text(json.dumps(remembered, indent=2) + "\n", encoding="utf-8")
        print(f"{name}: {saved.url}")


def replacing(view: "Workspace | Report", address: str) -> "Workspace | Report":
    """The view or report that is saved at ``address``, with the content of ``view``."""
    saved = type(view).from_url(address)
    for part in ("blocks", "sections", "runset_settings"):
        if hasattr(view, part):
            setattr(saved, part, getattr(view, part))
    return saved


if __name__ == "__main__":
    run(main)
