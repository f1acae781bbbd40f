"""The stage's contract: pictures of 8 bits, index.csv and import.json, whole or not at all."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, edit_params, run_stage
from PIL import Image

from pipeline.errors import InputError
from pipeline.import_images import import_set

RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(path: str, levels: np.ndarray | int | None = None, mode: str = "L") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if levels is None:
        levels = RNG.integers(0, 256, (8, 8), np.uint8)
    if isinstance(levels, int):
        levels = np.full((8, 8), levels, np.uint8)
    image = Image.fromarray(levels)
    (image if mode == "L" else image.convert(mode)).save(path)


def do_import(name: str, source: Path | str, patient: str | None = None) -> list[dict[str, str]]:
    import_set(name, Path(source), patient, Path("runs/import_images") / name)
    with Path(f"data/raw/{name}/index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    files = {str(path.relative_to(f"data/raw/{name}")) for path in Path(f"data/raw/{name}").rglob("*.png")}
    assert files == {row["file"] for row in rows}
    assert not list(Path("runs").rglob("*.png")), "no scratch is left"
    return rows


def imported(name: str = "lungs") -> dict:
    return json.loads(Path(f"data/raw/{name}/import.json").read_text(encoding="utf-8"))


def refuse(source: Path | str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_set("lungs", Path(source), None, Path("runs/import_images/lungs"))
    assert not Path("data").exists(), "nothing half-written"


def pixels(file: str, name: str = "lungs") -> np.ndarray:
    with Image.open(f"data/raw/{name}/{file}") as image:
        assert image.mode in ("L", "RGB")
        return np.asarray(image)


def test_contract(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("healthy/1.png", "healthy/2.jpg", "covid/1.PNG", "covid/C-00003a.tif", "covid/C-00003b.bmp"):
        picture(f"source/{name}")
    Path("source/covid/.DS_Store").write_text("x")
    Path("source/README.txt").write_text("x")
    rows = do_import("lungs", "source")
    assert [(row["file"], row["label"], row["group"]) for row in rows] == [
        ("covid/1.png", "covid", "covid/1"),
        ("covid/C-00003a.png", "covid", "covid/C-00003"),
        ("covid/C-00003b.png", "covid", "covid/C-00003"),
        ("healthy/1.png", "healthy", "healthy/1"),
        ("healthy/2.png", "healthy", "healthy/2"),
    ]
    assert imported() == {
        "source": "source",
        "drawn": False,
        "pictures": 5,
        "skipped": [
            {"file": "README.txt", "reason": "a kind that is not read (.txt)"},
            {"file": "covid/.DS_Store", "reason": "hidden or of the operating system"},
        ],
        "credits": [],
        "white": 255,
        "warnings": [],
    }
    output = capsys.readouterr()
    assert output.out == "lungs: 5 pictures: covid 3, healthy 2\n"
    assert "warning: lungs: left out, a kind that is not read (.txt): README.txt" in output.err


def test_no_absolute_path_is_told(folder: Path) -> None:
    picture("source/1.png")
    picture("source/2.png")
    do_import("lungs", folder / "source")
    assert str(folder) not in Path("data/raw/lungs/import.json").read_text() and imported()["source"] == "source"


def test_what_this_project_drew_is_known_by_any_path(folder: Path) -> None:
    """A folder of people's own may have the same last name."""
    for place in ("data/synthetic/lungs", "mine/synthetic/lungs"):
        picture(f"{place}/covid/1.png")
        picture(f"{place}/covid/2.png")
    (folder / "link").symlink_to("data/synthetic/lungs")
    drawn = ("data/synthetic/lungs", "./data/synthetic/lungs/", "mine/../data/synthetic/lungs", "link")
    for source in (*drawn, folder / drawn[0]):
        do_import("lungs", source)
        assert imported()["drawn"] is True, source
    for source in ("mine/synthetic/lungs", folder / "mine/synthetic/lungs", "mine"):
        do_import("lungs", source)
        assert imported()["drawn"] is False, source


def test_letters_mark_pictures_of_one_patient() -> None:
    """auntminnie-a and -d: days of one man in the COVID-19 image data collection."""
    for name in ("val_auntminnie-a-2020.png", "val_auntminnie-d-2020.png", "7a.png", "7d.png", "8.png", "bone.png"):
        picture(f"source/covid/{name}")
    groups = {row["file"]: row["group"] for row in do_import("lungs", "source")}
    assert groups["covid/val_auntminnie-a-2020.png"] == groups["covid/val_auntminnie-d-2020.png"]
    assert groups["covid/7a.png"] == groups["covid/7d.png"] and len(set(groups.values())) == 4


def test_a_patient_of_two_labels_is_one_group() -> None:
    for name in ("covid/00000013_000.png", "healthy/00000013_001.png", "healthy/00000014_000.png", "covid/p7_a.png"):
        picture(f"source/{name}")
    rows = do_import("lungs", "source")
    assert [row["group"] for row in rows] == ["00000013", "covid/p7_a", "00000013", "00000014"]
    assert [row["group"] for row in do_import("lungs", "source", r"^(p?\d+)_")] == [
        "00000013",
        "p7",
        "00000013",
        "00000014",
    ]


def test_colour_stays_and_letters_mark_patients_in_lungs_only() -> None:
    picture("source/m31a.png", mode="RGB")
    picture("source/m31b.png")
    rows = do_import("globular_clusters", "source")
    assert [row["label"] for row in rows] == ["globular_clusters"] * 2
    assert len({row["group"] for row in rows}) == 2
    assert pixels(rows[0]["file"], "globular_clusters").ndim == 3


def test_one_white_for_the_set() -> None:
    """Of 12 bits, one with a hot pixel, one of which 0 is white, one that would fit 11 bits, and one of 8."""
    ramp = np.kron(np.arange(64).reshape(8, 8), np.ones((2, 2))) / 63
    levels = {name: np.round(ramp * top).astype(np.uint16) for name, top in (("a", 4000), ("b", 4000), ("c", 2000))}
    levels["b"][3, 3] = 65535
    for name, deep in levels.items():
        picture(f"source/{name}.png", deep)
    Image.fromarray(4095 - levels["a"]).save("source/d.tif", tiffinfo={262: 0})
    picture("source/e.png", np.round(ramp * 255).astype(np.uint8))
    do_import("lungs", "source")
    assert imported()["white"] == 4095 and imported()["warnings"] == []
    right = np.round(ramp * 4000) * 255 / 4095
    for name, factor in (("a", 1), ("b", 1), ("c", 0.5), ("d", 1), ("e", 4095 / 4000)):
        read = pixels(f"lungs/{name}.png").astype(float)
        apart = np.abs(read - right * factor)
        apart[3, 3] = 0
        assert apart.max() <= 1, name


def test_pictures_unlike_their_set_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    ramp = np.kron(np.arange(64).reshape(8, 8), np.ones((2, 2))) / 63
    picture("source/a.png", np.round(ramp * 65535).astype(np.uint16))
    picture("source/b.png", np.round(ramp * 4095).astype(np.uint16))
    picture("source/c.png", 200)
    do_import("lungs", "source")
    warnings = imported()["warnings"]
    assert len(warnings) == 3 and warnings[0].startswith("lungs/b.png: less than an eighth of the set's white, 65535")
    assert warnings[1:] == ["lungs/c.png: of one level", "lungs/b.png: nearly black"]
    assert "warning: lungs: lungs/c.png: of one level" in capsys.readouterr().err


def test_nothing_to_see() -> None:
    for k in range(3):
        picture(f"black/{k}.png", 0)
        picture(f"flat/{k}.png", 50 + k)
        picture(f"equal/{k}.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
        picture(f"deep/{k}.png", np.zeros((8, 8), np.uint16))
    refuse("black", "black: all 3 pictures are black; give")
    refuse("deep", "deep: all 3 pictures are black; give")
    refuse("flat", "flat: all 3 pictures are of one level; give")
    refuse("equal", "equal: all 3 pictures are equal; give")


def test_a_second_import_replaces_the_first() -> None:
    picture("one/a.png")
    picture("two/b.png")
    do_import("lungs", "one")
    assert [row["file"] for row in do_import("lungs", "two")] == ["lungs/b.png"]


def test_mistakes() -> None:
    refuse("nowhere", r"nowhere: no such folder.*images\.lungs\.source")
    picture("source/covid/1.png")
    Path("source/covid/9.png").write_text("text")
    refuse("source", r"source/covid/9\.png: no picture")
    Path("source/covid/9.png").unlink()
    picture("source/covid/1.jpg")
    refuse("source", "second picture called covid/1; rename")
    Path("source/table.csv").write_text("file,label\n1.png,\n")
    Path("source/covid/1.jpg").unlink()
    refuse("source", r"source: none of its pictures can be used \(no label in table.csv\); mend it")


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_pattern_that_is_none(folder: Path, pattern: str) -> None:
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit_params(folder, {"images.lungs.patient": pattern})
    with pytest.raises(InputError, match=r"params\.yaml: images\.lungs\.patient: '"):
        run_stage("import_images", "lungs")


def test_real_pictures(real_data: Path) -> None:
    rows = do_import("lungs", real_data / "lungs")
    assert len(rows) == 213
    assert [row["group"] for row in rows].count("covid/train_COVID-00003") == 2
    assert len(do_import("globular_clusters", real_data / "globular_clusters")) == 84
    rows = do_import("lungs", real_data / "radiographs")
    assert [row["group"] for row in rows] == ["00000001", "lungs/cr_mono1_10_chest", "lungs/rg1_j2ki"]
