"""Layouts as people make them: the right label, patient and name, or one line."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from tests.pipeline.inputs.picture_files import fill, names, read, skipped


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("files", "right"),
    [
        (["1.png", "2.jpg"], ["lungs/1", "lungs/2"]),
        (["healthy/1.png", "healthy/2.png"], ["healthy/1", "healthy/2"]),
        (["healthy/1.png", "covid/1.png", "covid/2.png"], ["covid/1", "covid/2", "healthy/1"]),
        (["my lungs/healthy/1.png", "my lungs/covid/1.png"], ["covid/1", "healthy/1"]),
        (["images/1.png", "images/2.png"], ["lungs/1", "lungs/2"]),
        (["COVID/images/1.png", "COVID/masks/1.png", "Normal/images/1.png"], ["COVID/1", "Normal/1"]),
        (["C/images/1.png", "C/infection masks/1.png", "N/images/1.png", "N/Lung Masks/1.png"], ["C/1", "N/1"]),
        (["chest/train/N/1.png", "chest/test/P/2.png", "chest/val/N/3.png"], ["N/1", "N/3", "P/2"]),
        (["train/N/1.png", "test/N/1.png", "train/P/1.png"], ["N/test-1", "N/train-1", "P/1"]),
    ],
)
def test_label_is_the_folder(files: list[str], right: list[str]) -> None:
    source = fill(*files)
    found, entries = read(source)
    assert [name for name, _ in entries] == right
    masks = [file for file in files if "mask" in file.lower()]
    assert skipped(found) == dict.fromkeys(masks, "a mask")


def test_folder_below_a_label_is_the_patient() -> None:
    _, entries = read(fill("covid/P1/1.png", "covid/P1/2.png", "covid/P2/1.png", "healthy/P3/1.png", "healthy/5.png"))
    assert entries == [
        ("covid/2", "P1"),
        ("covid/P1-1", "P1"),
        ("covid/P2-1", "P2"),
        ("healthy/1", "P3"),
        ("healthy/5", ""),
    ]


def test_either_folder_may_be_the_label() -> None:
    with pytest.raises(
        InputError, match=r"either west or covid may be its label; keep one folder a label, or add a CSV"
    ):
        read(fill("east/covid/1.png", "east/healthy/1.png", "west/covid/1.png"))


def test_links_to_folders_are_followed_and_loops_are_not() -> None:
    fill("1.png", source="elsewhere")
    source = fill("healthy/1.png")
    (source / "covid").symlink_to(Path("../elsewhere"))
    (source / "covid/round").symlink_to(Path("../source").absolute())
    (source / "broken.png").symlink_to("nowhere")
    (source / "covid/round").unlink()
    (source / "healthy/round").symlink_to(source.absolute())
    with pytest.raises(InputError, match=r"broken\.png"):
        read(source)
    (source / "broken.png").unlink()
    assert names(source) == ["covid/1", "healthy/1"]


def test_what_is_left_out_is_named() -> None:
    source = fill("a/1.png", "a/2.JFIF", "b/1.GIF", "a/._1.png", "__MACOSX/a/1.png", ".git/objects/x.png")
    for name in ("README.txt", "a/Thumbs.db", "a/scan.nii.gz", "a/.DS_Store", "b/notes", "other.csv"):
        (source / name).write_text("x,y\n1,2\n")
    found, entries = read(source)
    assert [name for name, _ in entries] == ["a/1", "a/2", "b/1"]
    hidden = "hidden or of the operating system"
    assert skipped(found) == {
        ".git": hidden,
        "__MACOSX": hidden,
        "a/._1.png": hidden,
        "a/.DS_Store": hidden,
        "a/Thumbs.db": hidden,
        "README.txt": "a kind that is not read (.txt)",
        "a/scan.nii.gz": "a kind that is not read (.gz)",
        "b/notes": "a kind that is not read (no suffix)",
        "other.csv": "a table that is not needed",
    }


def test_dicom_by_its_content() -> None:
    source = fill("a/1.png")
    for name in ("IM0001", "1.2.840.113", "x.IMA", "y.dcm"):
        (source / "a" / name).write_bytes(b"\0" * 128 + b"DICM")
    (source / "a/1.2.840.114").write_bytes(b"something else")
    found, entries = read(source)
    assert [name for name, _ in entries] == ["a/1", "a/1.2.840.113", "a/IM0001", "a/x.IMA", "a/y"]
    assert list(skipped(found)) == ["a/1.2.840.114"]


def test_patient_in_the_name() -> None:
    source = fill("a/p12_1.png", "b/p12_2.png", "b/00000013_000.png")
    assert [patient for _, patient in read(source)[1]] == ["", "00000013", ""]
    found, entries = read(source, r"^p(\d+)_")
    assert entries == [("a/p12_1", "12"), ("b/00000013_000", ""), ("b/p12_2", "12")]
    assert found.warnings == ["images.lungs.patient fits 2 of 3 names, not 00000013_000"]
    with pytest.raises(InputError, match=r"images\.lungs\.patient: '\(x\)' fits no name, such as 'p12_1'; correct it"):
        read(source, "(x)")


def test_what_is_no_source() -> None:
    for name in ("nowhere", "nowhere.zip", "nowhere.csv"):
        with pytest.raises(
            InputError, match=rf"{name}: no such folder, archive .* or \.csv; correct images\.lungs\.source"
        ):
            read(name)
    fill("1.rar")
    with pytest.raises(InputError, match="no such folder"):
        read("source/1.rar")
    with pytest.raises(InputError, match="source: no picture in it"):
        read("source")
