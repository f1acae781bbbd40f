"""Layouts, archives and tables as people make them: the right label, patient and name, or one line."""

import io
import os
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError
from pipeline.inputs.picture_sources import Source, open_source

SEEDS = iter(range(10**6))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(next(SEEDS)).integers(0, 256, (8, 8), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def fill(*names: str, source: str = "source") -> Path:
    for name in names:
        path = Path(source, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    return Path(source)


def read(source: Path | str, pattern: str | None = None, name: str = "lungs") -> tuple[Source, list[tuple[str, str]]]:
    """The source, and label/stem and patient of its entries, in order."""
    with open_source(name, Path(source), pattern) as found:
        entries = [(f"{entry.label}/{entry.stem}", entry.patient) for entry in found.entries if entry.read()]
    assert len(entries) == found.total
    return found, sorted(entries)


def names(source: Path | str) -> list[str]:
    return [name for name, _ in read(source)[1]]


def skipped(found: Source) -> dict[str, str]:
    return {item.file: item.reason for item in found.skipped}


def zipped(members: dict[str, bytes], path: str = "pictures.zip") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return Path(path)


def tarred(source: Path, path: str, prefix: str = "") -> Path:
    with tarfile.open(path, "w:gz" if path.endswith("gz") else "w") as archive:
        archive.add(source, prefix or ".")
    return Path(path)


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


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz"])
@pytest.mark.parametrize(
    ("files", "right"),
    [
        (["1.png", "2.png"], ["lungs/1", "lungs/2"]),
        (["x-rays/1.png", "x-rays/2.png"], ["lungs/1", "lungs/2"]),
        (["x-rays/new/covid/1.png", "x-rays/new/healthy/1.png"], ["covid/1", "healthy/1"]),
        (["Übung/kränk/1.png", "Übung/gesund/ß 東京.png"], ["gesund/ß 東京", "kränk/1"]),
    ],
)
def test_archives(kind: str, files: list[str], right: list[str]) -> None:
    source = fill(*files)
    if kind == "zip":
        archive = zipped({file: (source / file).read_bytes() for file in files} | {"__MACOSX/._1.png": b"x"})
    else:
        archive = tarred(source, f"pictures.{kind}")
    assert names(archive) == right


def test_decomposed_names_of_macos_are_composed() -> None:
    name = unicodedata.normalize("NFD", "kränk/é.png")
    assert names(zipped({name: png(), "gesund/1.png": png()})) == ["gesund/1", "kränk/é"]


def test_utf8_without_the_flag_that_says_so() -> None:
    path = zipped({"kraenk/1.png": png(), "gesund/1.png": png()})
    path.write_bytes(path.read_bytes().replace(b"kraenk", "kränk".encode()))
    assert names(path) == ["gesund/1", "kränk/1"]


def test_names_that_are_not_utf8() -> None:
    fill("gesund/1.png")
    folder = b"source/kr\xe4nk"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "1.png").write_bytes(png())
    assert names("source") == names(tarred(Path("source"), "x.tar")) == ["gesund/1", "kränk/1"]


@pytest.mark.parametrize(
    "name", ["../../evil.png", "/evil.png", "a/../../evil.png", "..\\..\\evil.png", "C:\\evil.png"]
)
def test_members_outside_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"evil\.zip: its member .*evil\.png' lies outside of it"):
        read(zipped({"a/1.png": png(), name: png()}, "evil.zip"))
    with tarfile.open("evil.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(InputError, match=r"evil\.tar: its member .* lies outside of it"):
        read("evil.tar")


def test_links_in_archives_are_refused() -> None:
    info = zipfile.ZipInfo("a/link.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile("links.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    source = fill("a/1.png")
    (source / "a/link.png").symlink_to("/etc/passwd")
    for path in (Path("links.zip"), tarred(source, "links.tar")):
        with pytest.raises(InputError, match=f"{path}: its member .*link.png' is a link"):
            read(path)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.inputs.archives.MAX_BYTES", 1000)
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(10**6))
    with pytest.raises(InputError, match=r"bomb\.zip: 1\.png: larger than 1,000 bytes"):
        read("bomb.zip")


def test_a_bomb_that_lies_about_its_size() -> None:
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(10**6))
    content = Path("bomb.zip").read_bytes()
    Path("bomb.zip").write_bytes(content.replace((10**6).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"bomb\.zip: 1\.png: an archive or file that cannot be read"):
        read("bomb.zip")


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_broken_archives(kind: str) -> None:
    path = Path(f"x.{kind}")
    path.write_text("no archive")
    with pytest.raises(InputError, match=f"{path}: an archive or file that cannot be read"):
        read(path)
    source = fill(*(f"a/{k}.png" for k in range(9)))
    whole = zipped({f"a/{k}.png": png() for k in range(9)}) if kind == "zip" else tarred(source, f"whole.{kind}")
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(InputError, match=f"{path}.*cannot be read"):
        read(path)


def table(text: str, path: str = "source/table.csv", encoding: str = "utf-8") -> Path:
    Path(path).write_bytes(text.encode(encoding))
    return Path(path)


NIH = "Image Index,Finding Labels,Follow-up #,Patient ID,OriginalImage[Width,Height],,\n"


def test_nih_chest_xray() -> None:
    """The table says that pictures 1 and 2 are of one patient, who has two labels; so do the names."""
    source = fill("images_001/images/00000013_000.png", "images_001/images/00000013_001.png", "images_002/images/7.png")
    table(f"{NIH}00000013_000.png,No Finding,0,13,58Y\n00000013_001.png,Mass|Nodule,1,13,59Y\n9.png,Mass,0,9,1\n")
    found, entries = read(source)
    assert entries == [("Mass+Nodule/00000013_001", "13"), ("No Finding/00000013_000", "13")]
    assert skipped(found) == {"images_002/images/7.png": "not in table.csv"}
    assert found.warnings == ["table.csv: 3 rows, 2 of them with a picture here"]
    (source / "table.csv").unlink()
    source.joinpath("images_002/images/7.png").unlink()
    assert read(source)[1] == [("images_001/00000013_000", "00000013"), ("images_001/00000013_001", "00000013")]


def test_covid_chestxray_dataset() -> None:
    source = fill("images/a.jpg", "images/b.png", "images/c.png")
    table(
        "patientid,offset,finding,view,folder,filename,doi,license,location\n"
        '2,0,Pneumonia/Viral/COVID-19,PA,images,a.jpg,10.1/x,CC-BY,"Vietnam, Hue"\n'
        "2,3,No Finding,PA,images,b.png,,CC0,\n4,,,PA,images,c.png,,,\n5,,Mass,,volumes,x.nii.gz,,,\n"
    )
    with open_source("lungs", source, None) as found:
        entries = list(found.entries)
    assert [(e.label, e.patient, e.licence) for e in entries] == [
        ("Pneumonia-Viral-COVID-19", "2", "CC-BY"),
        ("No Finding", "2", "CC0"),
    ]
    assert skipped(found) == {"images/c.png": "no label in table.csv"}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("file,label,patient\n1.png,covid,x\n2.png,healthy,x\n", "utf-8"),
        ("\ufefffile;label;patient\r\n1.png;covid;x\r\n2.png;healthy;x\r\n\r\n", "utf-8"),
        ('"File Name" , Label ,\tPATIENT_ID\n1.png, covid ,x\n2,healthy,x\n', "utf-8"),
        ("label\tfile\tpatient\ncovid\ta/1.png\tx\nhealthy\t/home/me/source/b/2.png\tx\n", "utf-8-sig"),
    ],
)
def test_tables_of_people(text: str, encoding: str) -> None:
    source = fill("a/1.png", "b/2.png")
    path = table(text, encoding=encoding)
    right = [("covid/1", "x"), ("healthy/2", "x")]
    assert read(source)[1] == read(path)[1] == right
    assert read(tarred(source, "x.tgz", "wrapped"))[1] == right


def test_table_in_the_current_folder_sees_only_what_it_names() -> None:
    fill("a/1.png", "b/2.png", "1.png")
    fill("1.png", source="data/raw/lungs")
    table("file,label\nsource/a/1.png,x\nsource/b/2.png,y\nsource/3.png,y\n", "mine.csv")
    found, entries = read("mine.csv")
    assert entries == [("x/1", ""), ("y/2", "")] and not found.skipped
    table("file,label\n1.png,x\n", "mine.csv")
    with pytest.raises(InputError, match=r"mine\.csv: no picture that it names lies beside it"):
        read("mine.csv")


def test_table_of_patients_alone() -> None:
    _, entries = read(table("file,patient\n1.png,p7\n", str(fill("covid/1.png", "healthy/2.png") / "t.csv")).parent)
    assert entries == [("covid/1", "p7"), ("healthy/2", "")]


def test_labels_in_a_column_of_another_name() -> None:
    """Read where the name is a usual one; else it is told that folders are the labels."""
    source = fill("pictures/1.png", "pictures/2.png")
    table("file;Diagnosis;Patient ID\n1.png;normal;p1\n2.png;ill;p2\n")
    found, entries = read(source)
    assert (entries, found.warnings) == ([("ill/2", "p2"), ("normal/1", "p1")], [])
    table("file;what;Patient ID\n1.png;normal;p1\n2.png;ill;p2\n")
    found, entries = read(source)
    assert entries == [("pictures/1", "p1"), ("pictures/2", "p2")]
    assert found.warnings == ["table.csv: no column label, so folders are the labels; its columns what are not read"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label,label\n1.png,a,b\n", "two columns are called 'label'"),
        ("file,filename,label\n1.png,1.png,b\n", "'file' and 'filename' may both be the file"),
        ("file,label\n1.png,a\n1.png,b\n", "two rows of 1.png contradict"),
        ("file,label\n9.png,a\n", "none of its 1 files lies beside it"),
        ("file,label\n1.png,\n2.png,\n", "no label in table.csv"),
        ("file,label\n3.png,a\n", "3.png may be a/3.png or b/3.png; write the folder too"),
        ("picture,what\n1.png,a\n", "columns file and label are missing"),
        ("\xff\xfe", "save it as UTF-8 CSV"),
    ],
)
def test_mistakes_in_tables(text: str, words: str) -> None:
    fill("a/1.png", "a/2.png", "a/3.png", "b/3.png")
    path = table(text, encoding="latin-1")
    if "no label" in words:
        found, entries = read(path)
        assert entries == [] and skipped(found)["a/1.png"] == words
        return
    with pytest.raises(InputError, match=words):
        read(path)


def test_two_tables() -> None:
    source = fill("1.png")
    for name in ("a", "b"):
        table("file,label\n1.png,x\n", f"source/{name}.csv")
    with pytest.raises(InputError, match=r"a\.csv and source/b\.csv both describe pictures; remove one"):
        read(source)
    assert read("source/a.csv")[1] == [("x/1", "")]


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


def test_archives_of_windows() -> None:
    assert names(zipped({"a\\1.png": png(), "b\\1.png": png()})) == ["a/1", "b/1"]
