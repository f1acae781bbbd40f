"""The parameters of a model on the page."""

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from pipeline.reporting.parameters import parameter_rows
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_has_a_row(name: str) -> None:
    section = load_params(ROOT / "params.yaml").model_section(name)
    rows = parameter_rows(section.model_dump(mode="json"), MODELS[name].section_class())
    written = YAML(typ="safe").load(ROOT / "params.yaml")[MODELS[name].section]
    assert {key.split(".")[0] for key, _, _ in rows} == set(written)
    assert {key for key, _, _ in rows if key.startswith("model.")} == {f"model.{key}" for key in written["model"]}
    assert dict((key, value) for key, value, _ in rows)["model.lr"] == str(written["model"]["lr"])
    assert dict((key, text) for key, _, text in rows)["model.lr"] == "Peak of the one-cycle learning rate."


@pytest.mark.parametrize("name", ["autoencoder-healthy", "autoencoder-covid"])
def test_a_label_found_for_the_model_is_shown_as_it_was_written(name: str) -> None:
    section = load_params(ROOT / "params.yaml").model_section(name)
    rows = parameter_rows(section.model_dump(mode="json"), MODELS[name].section_class())
    assert {key: value for key, value, _ in rows}["data.labels"] == "auto"
