"""Sizes, and splits by group: stratified, the same for all sizes, never a patient on two sides."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, edit_params, run_stage
from PIL import Image

from pipeline.errors import InputError
from pipeline.preprocess_images import split_groups


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
    with (raw / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "group"), *rows])


def index(name: str) -> list[dict[str, str]]:
    with Path(f"data/images/{name}/index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


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


def test_small_labels_have_one_of_each() -> None:
    splits = split_groups({"a/1": "a", "a/2": "a", "a/3": "a"}, 0.1, 0.1, 1)
    assert sorted(splits.values()) == ["test", "train", "val"]
    assert set(split_groups({"a/1": "a"}, 0.0, 0.0, 1).values()) == {"train"}
    for groups, fractions in (({"a/1": "a", "a/2": "a"}, (0.1, 0.1)), ({f"a/{k}": "a" for k in range(10)}, (0.5, 0.5))):
        with pytest.raises(InputError, match=r"images\.val_fraction"):
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
