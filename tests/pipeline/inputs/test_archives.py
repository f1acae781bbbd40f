"""Archives as people make them: the right names and pictures, or one line."""

import io
import os
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest

from pipeline.errors import InputError
from tests.pipeline.inputs.picture_files import fill, names, png, read, tarred, zipped


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


def test_archives_of_windows() -> None:
    assert names(zipped({"a\\1.png": png(), "b\\1.png": png()})) == ["a/1", "b/1"]
