"""Tables as people and hospitals write them: the right label and patient, or one line."""

from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.inputs.picture_sources import open_source
from tests.pipeline.inputs.picture_files import fill, read, skipped, table, tarred


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
