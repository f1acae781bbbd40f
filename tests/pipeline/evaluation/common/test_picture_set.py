"""What the report shows of pictures of any sizes and labels, counted by hand."""

import csv
import io
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.common.gallery import evenly, gallery, on_square
from pipeline.evaluation.common.picture_set import LABELS, contact_sheet, picture_set

IMPORTED = {
    "source": "mine.zip",
    "skipped": [{"file": f"{k}.txt", "reason": "no picture"} for k in range(12)],
    "credits": [{"credit": "A. Nobody", "licence": "CC BY 4.0", "files": 3}],
    "warnings": ["a.png: nearly black"],
}
PREPROCESSED = {"duplicates": [["健康/0.png", "krank/0.png"]], "near_duplicates": []}


def write(folder: Path, labels: dict[str, int]) -> Path:
    """Colour pictures of unequal sizes; of each label the last one is held out, and the first two are one patient's."""
    rows = []
    rng = np.random.default_rng(0)
    for label, n in labels.items():
        (folder / label).mkdir(parents=True)
        for k in range(n):
            pixels = rng.integers(0, 256, (20 + 7 * k, 400 if k == 1 else 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{label}/{k}.png")
            rows.append((f"{label}/{k}.png", label, f"{label}/{max(k, 1)}", "train" if k < n - 1 else "test"))
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label", "group", "split"), *rows])
    return folder


def entry(folder: Path) -> dict[str, Any]:
    return picture_set(folder, folder, IMPORTED, PREPROCESSED)


def test_counts_and_lists(tmp_path: Path) -> None:
    found = entry(write(tmp_path / "my_set", {"krank": 3, "健康": 35}))
    assert (found["name"], found["source"]) == ("my set", "mine.zip")
    assert [caption for caption, _ in found["sheets"]] == ["krank: 3 pictures", "健康: 35 pictures, 30 shown"]
    assert found["counts"]["columns"] == ["all", "train", "val", "test", "groups"]
    assert found["counts"]["rows"] == [
        ("krank", ["3", "2", "0", "1", "2"]),
        ("健康", ["35", "34", "0", "1", "34"]),
        ("all", ["38", "36", "0", "2", "36"]),
    ]
    skipped, equal = found["lists"]
    assert (skipped["count"], len(skipped["lines"]), skipped["more"]) == (12, 10, 2)
    assert skipped["lines"][0] == "0.txt: no picture"
    assert equal["lines"] == ["健康/0.png, krank/0.png"]
    assert (found["credits"], found["notes"]) == (IMPORTED["credits"], IMPORTED["warnings"])


def test_many_labels_are_counted_together(tmp_path: Path) -> None:
    found = entry(write(tmp_path / "set", {f"NGC {k}": 1 + (k == 20) for k in range(10, 30)}))
    assert len(found["sheets"]) == LABELS and found["sheets"][-1][0] == "NGC 20: 2 pictures"
    assert found["counts"]["rows"][-2:] == [
        ("12 other labels", ["12", "0", "0", "12", "12"]),
        ("all", ["21", "1", "0", "20", "20"]),
    ]


def test_contact_sheet_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"a": 20})
    files = [folder / f"a/{k}.png" for k in range(20)]
    sheet = contact_sheet(files)
    assert sheet.size == (15 * 62 - 2, 2 * 62 - 2)
    assert np.array_equal(np.asarray(sheet), np.asarray(contact_sheet(files)))
    second = np.asarray(sheet)[:60, 62:122]
    assert second[0].max() == 0 and second[-1].max() == 0 and second[30].max() > 0, "400 x 27 pixels, whole on black"
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=90)
    assert len(buffer.getvalue()) < 100_000, "even of pure noise"


def test_evenly() -> None:
    files = [Path(str(k)) for k in range(10)]
    assert evenly(files, 4) == [Path("0"), Path("3"), Path("6"), Path("9")]
    assert evenly(files, 10) == evenly(files, 99) == files


def test_gallery_of_unequal_sizes(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", {"a": 160})
    shown = gallery(folder, folder, 7, 1)
    assert shown[0].caption.startswith("150 of 160 globular clusters")
    assert shown[1].caption == "7 of them at random, in colour, on 300 pixels."
    assert on_square(Image.new("L", (400, 100), 255), 300).getbbox() == (0, 112, 300, 187)
    plt.close("all")


@pytest.mark.parametrize("n", [1, 2])
def test_few_pictures(tmp_path: Path, n: int) -> None:
    folder = write(tmp_path / "set", {"a": n})
    assert entry(folder)["sheets"][0][0] == f"a: {n} picture{'s' * (n > 1)}"
    for picture in gallery(folder, folder, 7, 1):
        picture.figure.savefig(io.BytesIO(), format="png")
    plt.close("all")
