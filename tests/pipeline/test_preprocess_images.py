"""Sizes, and splits by group: stratified, the same for all sizes, never a patient on two sides."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, edit_params, run_stage
from PIL import Image

from pipeline.errors import InputError
from pipeline.preprocess_images import join_groups, most_frequent_labels, split_groups


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_raw(name: str, labels: dict[str, int]) -> None:
    raw = Path("data/raw") / name
    rng = np.random.default_rng(0)
    rows = []
    for label, n in labels.items():
        (raw / label).mkdir(parents=True)
        for k in range(n):
            pixels = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(raw / label / f"{k}.png")
            rows.append((f"{label}/{k}.png", label, f"{label}/{k // 2}"))
    write_index(raw, rows)


def write_index(raw: Path, rows: list[tuple[str, str, str]]) -> None:
    with (raw / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label", "group"), *rows])
    (raw / "import.json").write_text('{"drawn": false, "white": 4095}')


def index(name: str) -> list[dict[str, str]]:
    with Path(f"data/images/{name}/index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def told(name: str) -> dict[str, Any]:
    return json.loads(Path(f"data/images/{name}/preprocess.json").read_text("utf-8"))


def test_contract() -> None:
    write_raw("lungs", {"covid": 20, "healthy": 40})
    run_stage("preprocess_images", "lungs-50")
    run_stage("preprocess_images", "lungs-7")
    rows = index("lungs-50")
    assert rows == index("lungs-7"), "one split for all sizes"
    for size in (50, 7):
        for row in rows:
            picture = Image.open(f"data/images/lungs-{size}/{row['file']}")
            assert (picture.mode, picture.size) == ("L", (size, size))
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(row["group"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in sides.values())
    counts = Counter((row["label"], row["split"]) for row in rows)
    assert counts["covid", "test"] == 4 and counts["healthy", "test"] == 8
    assert counts["covid", "val"] == 4 and counts["healthy", "val"] == 6
    first = {path.name: path.read_bytes() for path in Path("data/images/lungs-7/covid").iterdir()}
    run_stage("preprocess_images", "lungs-7")
    assert {path.name: path.read_bytes() for path in Path("data/images/lungs-7/covid").iterdir()} == first


def test_seed_changes_the_split() -> None:
    groups = {f"a/{k}": "a" for k in range(50)}
    one, again, two = (split_groups(groups, 0.2, 0.2, seed) for seed in (1, 1, 2))
    assert one == again != two
    assert split_groups(dict(reversed(groups.items())), 0.2, 0.2, 1) == one, "the order of the index does not matter"


def test_labels_of_one_picture_are_split_together() -> None:
    """A catalogue labels each cluster with its own name."""
    splits = split_groups({f"NGC {k}/x": f"NGC {k}" for k in range(20)}, 0.1, 0.2, 1)
    assert Counter(splits.values()) == {"train": 14, "val": 2, "test": 4}


def test_a_patient_of_two_labels_is_one_group_of_the_more_frequent_one() -> None:
    groups = ["p1", "p1", "p1", "p2", "p2", "p3"]
    labels = ["ill", "well", "ill", "well", "ill", "well"]
    assert most_frequent_labels(groups, labels) == {"p1": "ill", "p2": "ill", "p3": "well"}


def test_groups_are_joined_through_others() -> None:
    """Pictures 0 and 2 look alike, and 2 and 3: with picture 1, which is the patient of 0, they are one group."""
    assert join_groups(["b", "b", "c", "a", "d"], [(0, 2), (2, 3)]) == ["a", "a", "a", "a", "d"]
    assert join_groups(["b", "a"], []) == ["b", "a"]


def natural(rng: np.random.Generator) -> Image.Image:
    """Noise of amplitude 1/f, (200, 240): rough on all scales, as photographs are."""
    frequency = np.hypot(np.fft.fftfreq(200)[:, None], np.fft.rfftfreq(240))
    frequency[0, 0] = np.inf
    grey = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(200, 240))) / frequency)
    return Image.fromarray(np.uint8(255 * (grey - grey.min()) / np.ptp(grey)))


def test_copies_lie_on_one_side(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever their labels, sizes and formats; 24 originals with a copy each would else be parted."""
    raw = Path("data/raw/lungs")
    rng = np.random.default_rng(0)
    rows = []
    for label in ("жёлтый", "b"):
        (raw / label).mkdir(parents=True)
    for k in range(24):
        original = natural(rng)
        original.save(raw / f"b/{k}.png")
        if k % 2:
            jpeg = io.BytesIO()
            original.resize((120, 100)).save(jpeg, "JPEG", quality=60)
            copy = Image.open(jpeg)
        else:
            copy = original
        copy.save(raw / f"жёлтый/{k}.png")
        rows += [(f"{label}/{k}.png", label, f"{label}/{k}") for label in ("b", "жёлтый")]
    write_index(raw, rows)
    run_stage("preprocess_images", "lungs-10")
    sides: dict[str, set[str]] = {}
    for row in index("lungs-10"):
        sides.setdefault(Path(row["file"]).name, set()).add(row["split"] + row["group"])
    assert len(sides) == 24 and all(len(side) == 1 for side in sides.values())
    found = told("lungs-10")
    assert {files[0] for files in found["duplicates"]} == {f"b/{k}.png" for k in range(0, 24, 2)}
    assert {files[0] for files in found["near_duplicates"]} == {f"b/{k}.png" for k in range(1, 24, 2)}
    warnings = capsys.readouterr().err
    assert "b/0.png, жёлтый/0.png" in warnings and "near duplicates" in warnings and "7 more" in warnings


def test_what_this_project_drew_is_told_on() -> None:
    write_raw("lungs", {"covid": 4, "healthy": 4})
    for drawn in (True, False):
        Path("data/raw/lungs/import.json").write_text(json.dumps({"drawn": drawn, "white": 255}))
        run_stage("preprocess_images", "lungs-7")
        assert told("lungs-7")["drawn"] is drawn


def test_padded_or_cropped() -> None:
    raw = Path("data/raw/lungs/a")
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for k in range(6):
        pixels = rng.integers(0, 100, (40, 80), dtype=np.uint8)
        pixels[:, :20] = 255  # what a crop cuts off
        Image.fromarray(pixels).save(raw / f"{k}.png")
    write_index(raw.parent, [(f"a/{k}.png", "a", f"a/{k}") for k in range(6)])
    run_stage("preprocess_images", "lungs-8")
    cropped = np.asarray(Image.open("data/images/lungs-8/a/0.png"))
    assert told("lungs-8") == {"padded": False, "white": 4095, "drawn": False, "duplicates": [], "near_duplicates": []}
    edit_params(Path(), {"images.lungs.square": "pad"})
    run_stage("preprocess_images", "lungs-8")
    padded = np.asarray(Image.open("data/images/lungs-8/a/0.png"))
    assert told("lungs-8")["padded"] is True
    assert cropped.max() < 110
    assert padded[0].max() == 0 and padded[-1].max() == 0 and padded[3, 0] == 255


def test_small_labels_have_one_of_each() -> None:
    splits = split_groups({"a/1": "a", "a/2": "a", "a/3": "a"}, 0.1, 0.1, 1)
    assert sorted(splits.values()) == ["test", "train", "val"]
    assert set(split_groups({"a/1": "a"}, 0.0, 0.0, 1).values()) == {"train"}
    for groups, fractions in (({"a/1": "a", "a/2": "a"}, (0.1, 0.1)), ({f"a/{k}": "a" for k in range(10)}, (0.5, 0.5))):
        with pytest.raises(InputError, match=r"^a: \d+ pictures .*images\.val_fraction"):
            split_groups(groups, *fractions, 1)


def test_mistakes() -> None:
    with pytest.raises(InputError, match=r"pipeline\.import_images lungs"):
        run_stage("preprocess_images", "lungs-50")
    write_raw("lungs", {"covid": 20})
    Path("data/raw/lungs/covid/3.png").write_text("broken")
    with pytest.raises(InputError, match=r"data/raw/lungs/covid/3\.png"):
        run_stage("preprocess_images", "lungs-50")
    edit_params(Path(), {"images.val_fraction": 1.0})
    with pytest.raises(InputError, match=r"images\.val_fraction is 1\.0"):
        run_stage("preprocess_images", "lungs-50")


@pytest.mark.parametrize("argument", ["lungs", "lungs-0", "lungs-1.5", "cats-50", "lungs--5"])
def test_wrong_argument(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_stage("preprocess_images", argument)
    assert "such as lungs-50" in capsys.readouterr().err
