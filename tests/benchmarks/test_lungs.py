"""The benchmark of lungs: whose pictures are held out, its rivals' errors, refined codes, folders of one's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from benchmarks import lungs, lungs_pictures, lungs_xrays
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
    names = ["00003a.png", "00003b.png", "00004.png", "auntminnie-a-1.png", "auntminnie-d-1.png", "bone.png"]
    files = write_pictures(tmp_path / "covid", names, 1) + write_pictures(tmp_path / "healthy", names, 2)
    twin = tmp_path / "healthy" / "twin.png"
    twin.write_bytes(files[2].read_bytes())  # covid/00004.png
    files.append(twin)
    patients = lungs_pictures.patients_of(files, lungs_pictures.opened(files))
    assert patients[0] == patients[1]
    assert patients[2] == patients[-1]
    assert patients[3] == patients[4]
    assert len(set(patients)) == len(files) - 5  # 00003a and b, auntminnie-a and -d of both kinds, and the twin


def test_folds_hold_every_picture_and_every_patient_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for seed, kind in enumerate(lungs_pictures.KINDS):
        write_pictures(tmp_path / "lungs" / kind, [f"{i}{letter}.png" for i in range(22) for letter in "ab"], seed)
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    parts = lungs_pictures.folds()
    held_out = torch.cat([held for _, held in parts]).flatten(1)
    assert len(held_out) == len(held_out.unique(dim=0)) == lungs_pictures.CHOSEN
    for seen, held in parts:
        assert len(seen) + len(held) == lungs_pictures.CHOSEN
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
    copies = load_params("params.yaml").model_section("autoencoder-healthy").model.copies
    assert rows["X-rays: PCA of copies, 16"].note == f"{copies} deformed copies of each picture"


def test_mistakes_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"covid: no such folder; set STAR_CLUSTER_DATA"):
        lungs_pictures.folds()
    with pytest.raises(InputError, match="name both"):
        lungs.main(["--train", str(tmp_path)])
    for number in (1, 2):
        write_pictures(tmp_path / f"one{number}", ["a.png"], number)
    with pytest.raises(InputError, match=r"one1: 1 picture\(s\)"):
        lungs.main(["--train", str(tmp_path / "one1"), "--test", str(tmp_path / "one2"), "--quick"])


@pytest.mark.parametrize("flags", [["--part", "cross"], ["--anomaly", "a"]])
def test_one_thing_at_a_time(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        lungs.main(["--train", "a", "--test", "b", *flags])
    assert "not allowed with" in capsys.readouterr().err


def test_what_was_learned_is_no_test(tmp_path: Path) -> None:
    """The same folder, one within the other, under another name, or a picture in both, stored anew."""
    learned, redrawn = tmp_path / "a", tmp_path / "b"
    write_pictures(learned, [f"{k}.png" for k in range(4)], 1)
    write_pictures(learned / "part", [f"{k}.png" for k in range(4)], 2)
    write_pictures(redrawn, [f"{k}.png" for k in range(4)], 3)
    (tmp_path / "link").symlink_to(learned)
    for one, other in (("a", "a"), ("a", "a/part"), ("a/part", "a"), ("a", "link"), ("link/part", "a")):
        with pytest.raises(InputError, match=r"the same folder as .*, or one within the other"):
            lungs_pictures.apart(tmp_path / one, tmp_path / other)
    assert [len(part) for part in lungs_pictures.apart(learned, redrawn)] == [8, 4]
    Image.open(learned / "2.png").resize((120, 120)).save(redrawn / "new.png")
    with pytest.raises(InputError, match=r"b: 1 of its pictures are, or look like, pictures of .*a; take them out"):
        lungs_pictures.apart(learned, redrawn)


@pytest.mark.slow
def test_parts_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All that is trained, on a dozen pictures of noise: a row for each name, its error that of grey levels."""
    for seed, kind in enumerate(lungs_pictures.KINDS):
        write_pictures(tmp_path / "lungs" / kind, [f"{i}.png" for i in range(6)], seed)
    monkeypatch.setenv("STAR_CLUSTER_DATA", str(tmp_path))
    monkeypatch.setattr(lungs_xrays, "KINDS_OF_CODE", {k: lungs_xrays.KINDS_OF_CODE[k] for k in ("L1", "KL")})
    monkeypatch.setattr(lungs_xrays, "CODES", (6, 4))
    rows = {row.name: row for part in ("xrays", "codes", "time") for row in lungs.PARTS[part](True)}
    copies = {f"{who}, {k}" for who in ("PCA of copies", "before training") for k in (6, 4)}
    nets = {f"{who}, {k}" for who in ("network", "network, best code") for k in (6, 4)}
    plain = {"mean picture", "PCA, full rank", "PCA, 6", "PCA, 4"}
    assert {f"X-rays: {name}" for name in copies | nets | plain} < set(rows)
    kinds = [row for name, row in rows.items() if name.startswith("codes: ")]
    assert [row.name[7:] for row in kinds] == ["dense", "L1", "KL", "dense, 4 epochs"]
    assert all("% of the entries active" in row.note for row in kinds)
    assert "; mean activity 0." in rows["codes: KL"].note and rows["codes: KL"].note.endswith("target 0.1")
    errors = [row.value for row in rows.values() if row.unit == "MSE"]
    assert 0 < min(errors) and max(errors) < 0.2
    assert rows["2 epochs of 80 pictures"].value > 0


@pytest.mark.slow
def test_any_two_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[Row] = []
    monkeypatch.setattr(lungs, "print_table", lambda name, rows: written.extend(rows))
    for seed, name in enumerate(NAMES):
        write_pictures(tmp_path / name, [f"{i}.png" for i in range(8)], seed)
    lungs.main(["--train", str(tmp_path / "learned"), "--test", str(tmp_path / "redrawn"), "--quick"])
    full, copies, network = written
    seen, new = (lungs_pictures.squares(lungs_pictures.opened(lungs_pictures.files_of(tmp_path / n))) for n in NAMES)
    assert full.value == pytest.approx(projected(seen, new), rel=1e-4)
    assert network.goal == pytest.approx(min(full.value, copies.value))
    assert full.name.endswith("PCA, 7") and copies.note == "80 deformed copies of each picture"
    assert network.value < float((new - seen.mean(dim=0)).square().mean()), "better than the mean picture"


def projected(seen: Tensor, new: Tensor) -> float:
    """Mean square error of the projection on the span of ``seen``, about their mean."""
    centre = seen.flatten(1).mean(dim=0)
    basis = torch.linalg.qr((seen.flatten(1) - centre)[1:].T).Q
    rest = new.flatten(1) - centre
    return float((rest - rest @ basis @ basis.T).square().mean())
