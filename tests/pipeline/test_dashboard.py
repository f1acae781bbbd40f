"""The dashboard: what views and report ask of W&B, and how they are saved, without a network."""

import json
import os
import shutil
import sys
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT

from pipeline import dashboard
from pipeline.errors import InputError, run
from pipeline.training.registry import MODELS

PLACE = ("somebody", "stars")


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test, with the project's numbers and curves, and the names of its figures."""
    for name in ("evaluate", "train"):
        shutil.copytree(ROOT / "reports" / name, tmp_path / "reports" / name)
    for model in MODELS:
        folder = tmp_path / "reports/figures" / model
        folder.mkdir(parents=True)
        (folder / "captions.json").write_text(json.dumps({"maps": "Maps."}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(panels: list[Any]) -> list[str]:
    """Every key of W&B that panels ask for."""
    found: list[str] = []
    for panel in panels:
        for part in ("metrics", "y", "media_keys"):
            found += getattr(panel, part, None) or []
    return found


def test_the_view_of_all_models_compares_experiments_by_the_headlines(reports: Path) -> None:
    view = dashboard.overview(*PLACE)
    sections = {section.name: section for section in view.sections}
    for name, model in MODELS.items():
        metrics = json.loads((reports / "reports/evaluate" / f"{name}.json").read_text())
        asked = keys(sections[name].panels)
        assert asked[0] == model.headline
        assert set(asked) <= metrics.keys(), "bars of numbers that no evaluation has stay empty"
        assert {key.rpartition("/")[2] for key in asked} == {model.headline.rpartition("/")[2]}
    assert [(group.section, group.name) for group in view.runset_settings.groupby] == [
        ("run", "Group"),
        ("run", "Name"),
    ]
    sent = view._to_model().spec.section.run_sets[0].model_dump(by_alias=True)
    assert [key["name"] for key in sent["grouping"]] == ["group", "displayName"]
    [condition] = sent["filters"]["filters"]
    assert (condition["key"]["name"], condition["value"]) == ("jobType", "evaluate")


def test_rivals_stand_beside_the_headline(reports: Path) -> None:
    assert dashboard.bars(MODELS["gnn"]).metrics == [
        "test/one_step_position_mse",
        "baseline/constant_velocity/one_step_position_mse",
        "baseline/leapfrog/one_step_position_mse",
        "baseline/leapfrog_10_substeps/one_step_position_mse",
    ]


@pytest.mark.parametrize("name", MODELS)
def test_the_view_of_a_model_shows_its_runs_alone(reports: Path, name: str) -> None:
    view = dashboard.model_view(MODELS[name], *PLACE)
    [condition] = view._to_model().spec.section.run_sets[0].model_dump(by_alias=True)["filters"]["filters"]
    assert (condition["key"]["name"], condition["value"]) == ("displayName", name)
    sections = {section.name: keys(section.panels) for section in view.sections}
    columns = (reports / "reports/train" / f"{name}.csv").read_text().partition("\n")[0].split(",")
    curves = [column for column in columns if column.startswith(("train/", "val/"))]
    assert sorted(sections["Training, by epoch"]) == sorted(curves)
    assert sections["Training, by step"] == list(dashboard.STEPS)
    assert sections["Pictures"][-1] == "figures/maps"


def test_losses_of_training_and_validation_share_a_panel(reports: Path) -> None:
    assert dashboard.curves(MODELS["gnn"])["loss"] == ["train/loss", "val/loss"]


def test_the_report_has_a_section_a_model_grouped_by_experiment(reports: Path) -> None:
    import wandb_workspaces.reports.v2 as wr

    report = dashboard.report(*PLACE)
    sent = report._to_model().spec.model_dump(by_alias=True, exclude_none=True)
    titles = [block.text for block in report.blocks if isinstance(block, wr.H1)]
    assert titles == [f"{name}: {model.title}" for name, model in MODELS.items()]
    grids = [block["metadata"]["runSets"][0] for block in sent["blocks"] if block["type"] == "panel-grid"]
    shown = [grid["filters"]["filters"][0]["value"] for grid in grids]
    assert list(dict.fromkeys(shown)) == list(MODELS)
    assert all(grid["grouping"] == [{"section": "run", "name": "group"}] for grid in grids)


def test_what_was_not_evaluated_is_told(reports: Path) -> None:
    (reports / "reports/evaluate/rbm.json").unlink()
    with pytest.raises(InputError, match=r"rbm\.json: missing or unreadable; `dvc repro evaluate@rbm` writes it"):
        dashboard.overview(*PLACE)


def test_without_a_key_one_line_is_told(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (reports / "reports/index.html").write_text("<p>report</p>")
    monkeypatch.setattr("pipeline.tracking.live.trouble", lambda: "no API key (set WANDB_API_KEY)")
    with pytest.raises(SystemExit) as stopped:
        run(lambda: dashboard.main([]))
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: no dashboard: no API key (set WANDB_API_KEY)\n"


def test_a_server_that_refuses_is_told_in_one_line(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_ENTITY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")  # set back after the test
    monkeypatch.setattr("pipeline.tracking.live.trouble", lambda: None)
    monkeypatch.setitem(sys.modules, "pipeline.tracking.run", SimpleNamespace(PROJECT="stars"))  # it imports torch
    monkeypatch.setattr("wandb.Api", lambda: (_ for _ in ()).throw(ValueError("wrong\nkey")))
    with pytest.raises(InputError, match=r"W&B says wrong key; check WANDB_API_KEY"):
        dashboard.destination()
    assert os.environ["WANDB_MODE"] == "online"


class View:
    """A view of a server that remembers what was saved at which address."""

    server: dict[str, list[str]] = {}

    def __init__(self, sections: list[str], url: str = "") -> None:
        self.sections, self.url = sections, url

    @classmethod
    def from_url(cls, url: str) -> "View":
        return cls(cls.server[url], url)

    def save(self) -> None:
        self.url = self.url or f"https://server/{len(self.server)}"
        self.server[self.url] = self.sections


def test_a_second_call_replaces_what_the_first_one_saved(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(View, "server", {})
    for sections in (["old"], ["new"]):
        built: dict[str, Any] = {"gnn": View(sections), "report": View(sections)}
        dashboard.publish(built, "somebody/stars")
    assert View.server == {"https://server/0": ["new"], "https://server/1": ["new"]}
    assert capsys.readouterr().out.splitlines()[-1] == "report: https://server/1"
    dashboard.publish({"gnn": View(["elsewhere"])}, "somebody/moons")  # type: ignore[dict-item]
    assert View.server["https://server/0"] == ["new"]
    assert View.server["https://server/2"] == ["elsewhere"]


def test_a_view_that_was_deleted_is_told_with_the_remedy(reports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(View, "server", {})
    dashboard.publish({"gnn": View([])}, "somebody/stars")  # type: ignore[dict-item]
    View.server.clear()
    with pytest.raises(InputError, match=r"delete runs/wandb/dashboard\.json"):
        dashboard.publish({"gnn": View([])}, "somebody/stars")  # type: ignore[dict-item]


class Views:
    """What W&B's server keeps of views and reports, by id."""

    def __init__(self, entity: str) -> None:
        self.entity = entity
        self.kept: dict[str, dict[str, Any]] = {}

    def answers(self) -> dict[str, Any]:
        """Answers to the operations of wandb-workspaces."""
        project = {"id": "p", "name": "star-clusters", "entityName": self.entity, "isBenchmark": False, "user": None}
        page = {"endCursor": None, "hasNextPage": False}
        projects = {"pageInfo": page, "edges": [{"node": project | {"createdAt": "2026-01-01"}}]}
        return {
            "GetDefaultEntity": lambda _: {"viewer": {"id": "u", "entity": self.entity}},
            "GetProjects": lambda _: {"models": projects},
            "SpecificReport": lambda asked: {"view": self.told(asked["reportId"])},
            "UpsertView2": self.upsert,
            "View": self.named,
            "upsertView": self.upsert,
        }

    def upsert(self, asked: dict[str, Any]) -> dict[str, Any]:
        identity = asked.get("id") or b64encode(f"View:{len(self.kept)}".encode()).decode()  # as W&B's own
        self.kept[identity] = asked | {"id": identity}
        return {"upsertView": {"view": self.told(identity), "inserted": "id" not in asked}}

    def named(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [self.told(identity) for identity, view in self.kept.items() if view["name"] == asked["viewName"]]
        return {"project": {"allViews": {"edges": [{"node": view} for view in found]}}}

    def told(self, identity: str) -> dict[str, Any]:
        times = {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
        place = {"id": "p", "name": "star-clusters", "entityName": self.entity}
        return {"description": "", "project": place, **times} | self.kept[identity]


@pytest.mark.slow
def test_views_report_and_page_arrive_and_a_second_call_replaces_them(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.wandb_stand_in import ENTITY, StandIn, serving

    (reports / "reports/index.html").write_text("<p>a page</p>")
    stand_in, views = StandIn(reports / "arrived"), Views(ENTITY)
    stand_in.answers |= views.answers()
    for variable in (
        "WANDB_MODE",
        "WANDB_SILENT",
        "WANDB_DIR",
        "WANDB_DATA_DIR",
        "WANDB_CACHE_DIR",
        "WANDB_CONFIG_DIR",
    ):
        monkeypatch.setenv(variable, "")  # the dashboard sets them, and they are set back after the test
        monkeypatch.delenv(variable)
    monkeypatch.setenv("WANDB_API_KEY", "local" + 35 * "0")
    with serving(stand_in.app()) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        dashboard.main([])
        first = {identity: view["displayName"] for identity, view in views.kept.items()}
        dashboard.main([])
    assert stand_in.unknown == []
    assert sorted(first.values()) == sorted([*2 * ["Star clusters"], *(f"Star clusters: {name}" for name in MODELS)])
    assert {identity: view["displayName"] for identity, view in views.kept.items()} == first
    assert capsys.readouterr().out.count(address) == 2 * len(first)
    assert [run.exit_code for run in stand_in.runs.values()] == [0, 0]
    assert all(run.summary["report"]["_type"] == "html-file" for run in stand_in.runs.values())
    assert [file.read_text() for file in (reports / "arrived").rglob("*.html")] == 2 * ["<p>a page</p>"]
