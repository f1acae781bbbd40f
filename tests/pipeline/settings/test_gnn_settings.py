"""What params.yaml may not say about the graph network."""

from pathlib import Path

import pytest
from conftest import ROOT, edit_params

from pipeline.errors import InputError
from pipeline.settings.load import load_params


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gnn.model.filter": "spline", "gnn.model.symmetric": False}, "a spline filter needs real eigenvalues"),
        ({"gnn.model.coefficients": 3}, "gnn.model.coefficients is 3"),
        ({"gnn.model.filter": "wavelet"}, "gnn.model.filter is 'wavelet'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    load_params(tmp_path / "params.yaml").model_section("gnn")
    edit_params(tmp_path, changes)
    with pytest.raises(InputError) as error:
        load_params(tmp_path / "params.yaml").model_section("gnn")
    assert words in str(error.value)
