"""DVC's views and experiments, and W&B's sweeps, on a clone whose stages take no time."""

import csv
import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from ruamel.yaml import YAML
from test_chain import checkout, environment

# Writes what a stage of the graph network writes; its numbers follow from the learning rate.
STAGE = """
import json, sys
from pathlib import Path
from ruamel.yaml import YAML

lr = YAML(typ="safe").load(Path("params.yaml"))["gnn"]["model"]["lr"]
outs = {
    "generate_nbody": {"data/synthetic/nbody/a": "0", "reports/nbody.json": json.dumps({"simulations": 1})},
    "import_nbody": {"data/nbody/a": "0"},
    "train": {
        "models/gnn.ckpt": str(lr),
        "models/part-way/gnn/1.ckpt": str(lr),
        "reports/train/gnn.csv": f"epoch,train/loss,val/loss\\n0,2,3\\n1,1,{lr}\\n",
    },
    "evaluate": {
        "reports/charts/gnn/charts.json": "{}",
        "reports/evaluate/gnn.json": json.dumps({"test/one_step_position_mse": lr / 10}),
        "reports/figures/gnn/captions.json": "{}",
        "reports/headlines/gnn.json": json.dumps({"value": lr / 10}),
    },
}
for name, text in outs[sys.argv[1]].items():
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
"""


def run(project: Path, *command: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project whose graph network is trained and evaluated, at once."""
    folder = checkout(tmp_path_factory.mktemp("experiments") / "project")
    (folder / "stage.py").write_text(STAGE)
    chain = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(re.sub(r"python -m pipeline\.", f"{sys.executable} stage.py ", chain))
    for setting in ("user.name=tests", "user.email=tests@localhost"):
        run(folder, "git", "config", *setting.split("="))
    run(folder, "dvc", "repro", "-q", "evaluate@gnn")
    run(folder, "git", "add", ".")
    run(folder, "git", "commit", "-qm", "trained")
    return folder


def experiments(project: Path) -> dict[str, dict[str, str]]:
    """Rows of `dvc exp show` by the learning rate of each, which stands in for a name."""
    rows = csv.DictReader(io.StringIO(run(project, "dvc", "exp", "show", "--csv")))
    return {row["gnn.model.lr"]: row for row in rows if row["typ"] != "baseline"}


def headline(row: dict[str, str]) -> float:
    return float(next(value for name, value in row.items() if name in ("value", "reports/headlines/gnn.json:value")))


@pytest.fixture(scope="module")
def faster(project: Path) -> dict[str, Any]:
    """What DVC tells while the experiment `faster` is in the working folder, which is then put back."""
    run(project, "dvc", "exp", "run", "-q", "-n", "faster", "-S", "gnn.model.lr=0.5", "evaluate@gnn")
    views = (("params", "diff"), ("metrics", "diff"), ("metrics", "show"))
    told = {" ".join(view): json.loads(run(project, "dvc", *view, "--json")) for view in views}
    told["weights"] = (project / "models/gnn.ckpt").read_text()
    run(project, "git", "checkout", "-q", ".")
    run(project, "dvc", "checkout", "-q", "train@gnn", "evaluate@gnn")
    return told


@pytest.mark.slow
def test_an_experiment_is_run_shown_and_compared(project: Path, faster: dict[str, Any]) -> None:
    assert faster["weights"] == "0.5"
    assert (project / "models/gnn.ckpt").read_text() == "0.01"
    assert headline(experiments(project)["0.5"]) == 0.05
    assert faster["params diff"]["params.yaml"] == {"gnn.model.lr": {"old": 0.01, "new": 0.5, "diff": 0.49}}
    change = faster["metrics diff"]["reports/headlines/gnn.json"]["value"]
    assert change == {"old": 0.001, "new": 0.05, "diff": pytest.approx(0.049)}
    assert faster["metrics show"][""]["data"]["reports/headlines/gnn.json"]["data"] == {"value": 0.05}


@pytest.mark.slow
def test_choices_are_queued_and_touch_no_file(project: Path) -> None:
    run(project, "dvc", "exp", "run", "-q", "--queue", "-S", "gnn.model.lr=choice(0.02,0.03)", "train@gnn")
    run(project, "dvc", "exp", "run", "-q", "--run-all")
    for _ in range(60):  # a worker goes on behind the command
        found = experiments(project)
        if [found[lr]["State"] for lr in ("0.02", "0.03")] == ["Success", "Success"]:
            break
        time.sleep(2)
    assert [found[lr]["State"] for lr in ("0.02", "0.03")] == ["Success", "Success"]
    assert run(project, "git", "status", "--short") == ""
    assert (project / "models/gnn.ckpt").read_text() == "0.01"


def trial(parameters: dict[str, Any]) -> list[str]:
    """The command of one trial of sweep.yaml, as `wandb agent` makes it."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    sweep = YAML(typ="safe").load(ROOT / "sweep.yaml")
    words = create_sweep_command_args({"args": {name: {"value": value} for name, value in parameters.items()}})
    words["env"] = ["/usr/bin/env"]
    return [
        word
        for part in create_sweep_command(sweep["command"])
        for word in (words[part[2:-1]] if part.startswith("${") else [part])
    ]


def test_a_sweep_names_parameters_and_a_measure_of_the_training() -> None:
    sweep = YAML(typ="safe").load(ROOT / "sweep.yaml")
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    for name in sweep["parameters"]:
        section, part, key = name.split(".")
        assert key in params[section][part]
    columns = (ROOT / "reports/train/gnn.csv").read_text().partition("\n")[0].split(",")
    assert sweep["metric"]["name"] in columns
    assert sweep["program"], "wandb agent fails without one"


@pytest.mark.slow
def test_a_trial_of_a_sweep_is_an_experiment_and_touches_no_file(project: Path) -> None:
    run(project, *trial({"gnn.model.lr": 0.04, "gnn.model.hidden": 32}))
    found = experiments(project)["0.04"]
    assert found["gnn.model.hidden"] == "32"
    assert run(project, "git", "status", "--short") == ""
    assert (project / "models/gnn.ckpt").read_text() == "0.01"


@pytest.mark.slow
def test_plots_of_two_experiments_are_drawn_without_a_network(
    project: Path, faster: dict[str, Any], browser: Any
) -> None:
    run(project, sys.executable, "-m", "pipeline.plots_page")
    run(project, "dvc", "plots", "diff", "-q", "faster", "workspace", "--targets", "reports/train/gnn.csv")
    page = browser.new_context(offline=True).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((project / "dvc_plots/index.html").as_uri())
    chart = page.locator(".vega-embed svg, .vega-embed canvas").first
    chart.wait_for(timeout=20_000)
    assert {url for url in asked if not url.startswith(("file:", "data:"))} == set()
    marks = page.locator(".vega-embed .mark-line path").count()
    assert marks == 4, "two lines for each of two experiments"
