"""What DVC shows beside the stages: plots, templates and artifacts, and what would switch its run cache off."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline.evaluation.common.charts import KINDS
from pipeline.training.registry import MODELS

TEMPLATES = ROOT / ".dvc/plots"


@cache
def plots() -> dict[str, dict[str, Any]]:
    """The plots of reports/dvc.yaml by name."""
    listed = YAML(typ="safe").load(ROOT / "reports/dvc.yaml")["plots"]
    named = {name: properties for entry in listed for name, properties in entry.items()}
    assert len(named) == len(listed), "a name stands twice"
    return named


def source(name: str) -> str:
    [path] = plots()[name]["y"]
    return path


def found(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Models and what a file of their evaluations says; skips where nothing was evaluated."""
    paths = sorted((ROOT / "reports").glob(file))
    if not paths:
        pytest.skip("evaluate the models first (make)")
    for path in paths:
        yield path.parent.name, json.loads(path.read_text())


def test_every_model_is_an_artifact() -> None:
    with Repo(str(ROOT)) as repo:
        [artifacts] = repo.artifacts.read().values()
    told = {name: (artifact.path, artifact.type, artifact.desc) for name, artifact in artifacts.items()}
    assert told == {name: (f"models/{name}.ckpt", "model", model.title) for name, model in MODELS.items()}


def test_no_stage_loses_the_run_cache() -> None:
    """DVC switches it off for a stage with an output that is not cached and is neither metric nor plot."""
    with Repo(str(ROOT)) as repo:
        lost = [
            f"{stage.addressing}: {out}"
            for stage in repo.index.stages
            for out in stage.outs
            if not out.use_cache and not (out.is_metric or out.is_plot)
        ]
    assert not lost


def test_no_plot_is_named_by_its_path() -> None:
    """`dvc exp run` looks for such paths in the cache, and fails in a clone that trained some of the models only."""
    assert all(isinstance(properties["y"], dict) for properties in plots().values())


def test_templates_are_vega_lite_and_read_what_charts_have() -> None:
    for kind, columns in KINDS.items():
        text = (TEMPLATES / f"{kind}.json").read_text()
        assert json.loads(text)["$schema"].endswith("vega-lite/v5.json")
        assert '"<DVC_METRIC_DATA>"' in text
        assert all(f'"{column}": "number"' in text or f"datum.{column}" in text for column in columns)


def test_every_chart_of_an_evaluation_is_a_plot_of_its_kind() -> None:
    for model, charts in found("charts/*/charts.json"):
        for chart, told in charts.items():
            plot = plots()[f"{model}/{chart}"]
            assert source(f"{model}/{chart}") == f"charts/{model}/{chart}.csv"
            x, y = KINDS[told["kind"]][:2]
            assert (plot["template"], plot["x"], list(plot["y"].values())) == (told["kind"], x, [y])


def test_every_figure_of_an_evaluation_is_a_plot() -> None:
    for model, captions in found("figures/*/captions.json"):
        for figure in captions:
            if Path(ROOT / "reports/figures" / model / f"{figure}.png").exists():  # animations are none of DVC's
                assert source(f"{model}/{figure}.png") == f"figures/{model}/{figure}.png"
