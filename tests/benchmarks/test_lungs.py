"""The benchmark of lungs: whose pictures are held out, its rivals' errors, refined codes, folders of one's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks import lungs, lungs_xrays
from benchmarks.results import Row
from lit_modules.autoencoder import LitAutoencoder
from pipeline.errors import InputError
from pipeline.settings.load import load_params

NAMES = ("learned", "redrawn")
TABLE = {
    "PCA of copies, 256": [0.002, 0.002],
    "network, 256": [0.001, 0.001],
    "PCA of copies, 16": [0.03, 0.01],
    "network, 16": [0.01, 0.02],
    "network, best code, 16": [0.01, 0.01],
}


def write_pictures(folder: Path, names: list[str], seed: int) -> list[Path]:
    """Pictures of noise, no two alike."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for name in names:
        Image.fromarray(rng.integers(0, 256, (60, 60), dtype=np.uint8)).save(folder / name)
    return sorted(folder.iterdir())


def small_model() -> LitAutoencoder:
    """Of pictures of 6 x 6 pixels, as its constructor leaves it."""
    torch.manual_seed(0)
    chain = load_params("params.yaml").model_section("autoencoder-healthy").model
    return LitAutoencoder(**chain.model_dump() | {"side": 6, "widths": [12, 4], "code": "dense"}).eval()


def test_letters_and_copies_are_one_patient_and_kinds_are_not(tmp_path: Path) -> None:
    names = ["00003a.png", "00003b.png", "00004.png", "bone.png"]
    files = write_pictures(tmp_path / "covid", names, 1) + write_pictures(tmp_path / "healthy", names, 2)
    twin = tmp_path / "healthy" / "twin.png"
    twin.write_bytes(files[2].read_bytes())  # covid/00004.png
    files.append(twin)
    patients = lungs_xrays.patients_of(files, lungs_xrays.opened(files))
    assert patients[0] == patients[1]
    assert patients[2] == patients[-1]
    assert len(set(patients)) == len(files) - 3  # 00003a and b of both kinds, and the twin


def test_folds_hold_every_picture_and_every_patient_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for seed, kind in enumerate(lungs_xrays.KINDS):
        write_pictures(tmp_path / "lungs" / kind, [f"{i}{letter}.png" for i in range(22) for letter in "ab"], seed)
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    parts = lungs_xrays.folds()
    held_out = torch.cat([held for _, held in parts]).flatten(1)
    assert len(held_out) == len(held_out.unique(dim=0)) == lungs_xrays.CHOSEN
    for seen, held in parts:
        assert len(seen) + len(held) == lungs_xrays.CHOSEN
        assert torch.cdist(seen.flatten(1), held.flatten(1)).min() > 0.1


def test_component_errors_are_those_of_a_projection() -> None:
    generator = torch.Generator().manual_seed(1)
    train, new = (torch.rand(n, 1, 6, 6, generator=generator) for n in (10, 3))
    found = lungs_xrays.component_errors(train, new, [0, 2, 9])
    centre = train.flatten(1).mean(dim=0)
    axes = torch.linalg.svd(train.flatten(1) - centre, full_matrices=False).Vh
    rest = new.flatten(1) - centre
    for k, errors in zip([0, 2, 9], found, strict=True):
        expected = (rest - rest @ axes[:k].T @ axes[:k]).square().mean(dim=1)
        torch.testing.assert_close(errors, expected, rtol=1e-4, atol=1e-7)


def test_refined_code_is_the_least_squares_one_where_the_decoder_is_linear() -> None:
    model = small_model()
    decoder = model.net.linear_decoder
    assert isinstance(decoder, torch.nn.Linear)
    torch.nn.init.normal_(decoder.weight)  # far from orthogonal: the encoder's code is not the best
    images = torch.rand(5, 1, 6, 6)
    x = (images - model.net.mean).flatten(1).T.double()
    matrix = decoder.weight.detach().double()
    best = x - matrix @ torch.linalg.lstsq(matrix, x).solution
    refined = lungs_xrays.refined_errors(model, images)
    torch.testing.assert_close(refined.double(), best.square().mean(dim=0), rtol=1e-3, atol=1e-6)
    assert (refined < lungs_xrays.errors(model, images)).all()


def test_goals_are_the_rivals_errors() -> None:
    found = {name: torch.tensor(values) for name, values in TABLE.items()}
    rows = {row.name: row for row in lungs_xrays.rows_of(found)}
    assert rows["X-rays: network, 16"].goal == pytest.approx(0.02)
    assert rows["X-rays: network, 256"].goal == lungs_xrays.GOAL
    assert rows["X-rays: network, 16"].note.endswith("on 1")
    assert rows["X-rays: network, best code, 16"].goal is None


def test_mistakes_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"covid: no such folder; set STAR_CLUSTER_DATA"):
        lungs_xrays.folds()
    with pytest.raises(InputError, match="name both"):
        lungs.main(["--train", str(tmp_path)])
    write_pictures(tmp_path / "one", ["a.png"], 1)
    with pytest.raises(InputError, match=r"one: 1 picture\(s\)"):
        lungs.main(["--train", str(tmp_path / "one"), "--test", str(tmp_path / "one"), "--quick"])


@pytest.mark.slow
def test_any_two_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[Row] = []
    monkeypatch.setattr(lungs, "write_results", lambda name, rows, quick: written.extend(rows))
    for seed, name in enumerate(NAMES):
        write_pictures(tmp_path / name, [f"{i}.png" for i in range(8)], seed)
    lungs.main(["--train", str(tmp_path / "learned"), "--test", str(tmp_path / "redrawn"), "--quick"])
    full, copies, network = written
    seen, new = (lungs_xrays.squares(lungs_xrays.opened(lungs_xrays.files_of(tmp_path / n))) for n in NAMES)
    assert full.value == pytest.approx(projected(seen, new), rel=1e-4)
    assert network.goal == pytest.approx(min(full.value, copies.value))
    assert network.value < 0.2


def projected(seen: Tensor, new: Tensor) -> float:
    """Mean square error of the projection on the span of ``seen``, about their mean."""
    centre = seen.flatten(1).mean(dim=0)
    basis = torch.linalg.qr((seen.flatten(1) - centre)[1:].T).Q
    rest = new.flatten(1) - centre
    return float((rest - rest @ basis @ basis.T).square().mean())
