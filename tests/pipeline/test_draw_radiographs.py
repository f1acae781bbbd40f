"""The stage: as many phantoms as asked, the k-th independent of the number."""

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, edit_params, run_stage
from PIL import Image


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(folder: Path, healthy: int, covid: int) -> dict[str, bytes]:
    numbers = {
        "radiographs.n_healthy": healthy,
        "radiographs.n_covid": covid,
        "radiographs.size": 64,
        "runtime.workers": 1,
    }
    edit_params(folder, numbers)
    run_stage("draw_radiographs")
    out = Path("data/synthetic/lungs")
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.png"))}


def test_number_order_and_repeat(folder: Path) -> None:
    few, more = draw(folder, 2, 1), draw(folder, 3, 2)
    assert sorted(few) == ["covid/covid_0000.png", "healthy/healthy_0000.png", "healthy/healthy_0001.png"]
    assert few.items() <= more.items() and len(set(more.values())) == 5
    assert draw(folder, 3, 2) == more
    picture = Image.open("data/synthetic/lungs/healthy/healthy_0000.png")
    assert (picture.mode, picture.size) == ("L", (64, 64))
    assert np.ptp(np.asarray(picture)) > 200
