"""Every kind of source gives the same contract, and every mistake one line; nothing lands elsewhere."""

import csv
import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError
from pipeline.import_images import import_set
from pipeline.inputs.picture_sources import COLUMNS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(path: Path, grey: int = 100, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), grey, np.uint8)).convert(mode).save(path)


def do_import(name: str, source: Path | str) -> list[dict[str, str]]:
    import_set(name, Path(source), Path("runs/import_images") / name)
    with Path(f"data/raw/{name}/index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    files = {str(path.relative_to(f"data/raw/{name}")) for path in Path(f"data/raw/{name}").rglob("*.png")}
    assert files == {row["file"] for row in rows}
    return rows


def refuse(name: str, source: Path | str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_set(name, Path(source), Path("runs/import_images") / name)
    assert not Path("data").exists(), "nothing half-written"


def lungs(source: Path) -> None:
    for name in ("healthy/1.png", "healthy/2.jpg", "covid/1.PNG", "covid/C-00003a.tif", "covid/C-00003b.bmp"):
        picture(source / name)
    (source / "README.txt").write_text("ignored")
    (source / "covid/.DS_Store.png").write_text("ignored")


def zipped(source: Path, wrapped: str = "") -> Path:
    with zipfile.ZipFile("pictures.zip", "w") as archive:
        for path in source.rglob("*"):
            archive.write(path, f"{wrapped}{path.relative_to(source)}")
        archive.writestr("__MACOSX/healthy/._1.png", "ignored")
    return Path("pictures.zip")


@pytest.mark.parametrize("kind", ["folder", "zip", "wrapped zip"])
def test_by_label_with_several_pictures_of_a_patient(kind: str) -> None:
    lungs(Path("source"))
    source = Path("source") if kind == "folder" else zipped(Path("source"), "my lungs/" if "wrapped" in kind else "")
    rows = do_import("lungs", source)
    assert [(row["file"], row["label"], row["group"]) for row in rows] == [
        ("covid/1.png", "covid", "covid/1"),
        ("covid/C-00003a.png", "covid", "covid/C-00003"),
        ("covid/C-00003b.png", "covid", "covid/C-00003"),
        ("healthy/1.png", "healthy", "healthy/1"),
        ("healthy/2.png", "healthy", "healthy/2"),
    ]
    assert not list(Path("runs").rglob("*.png")), "no scratch is left"


def test_flat_folder_has_the_label_of_the_set_and_keeps_colour() -> None:
    picture(Path("source/m31a.png"), mode="RGB")
    picture(Path("source/m31b.png"))
    rows = do_import("globular_clusters", "source")
    assert [row["label"] for row in rows] == ["globular_clusters"] * 2
    assert len({row["group"] for row in rows}) == 2, "a trailing letter marks a patient in lungs only"
    assert [Image.open(f"data/raw/globular_clusters/{row['file']}").mode for row in rows] == ["RGB", "L"]


def test_a_second_import_replaces_the_first() -> None:
    picture(Path("one/a.png"))
    picture(Path("two/b.png"))
    do_import("lungs", "one")
    assert [row["file"] for row in do_import("lungs", "two")] == ["lungs/b.png"]


def test_mistakes_in_folders() -> None:
    refuse("lungs", "nowhere", "nowhere: no such folder.*images.lungs.source")
    Path("empty").mkdir()
    (Path("empty") / "notes.txt").write_text("no picture")
    refuse("lungs", "empty", "empty: no picture")
    lungs(Path("source"))
    (Path("source") / "covid/9.png").write_text("text")
    refuse("lungs", "source", "source/covid/9.png: no picture")
    (Path("source") / "covid/9.png").unlink()
    picture(Path("source/covid/1.jpg"))
    refuse("lungs", "source", "second picture called covid/1")


def test_zip_cannot_write_elsewhere() -> None:
    picture(Path("a.png"))
    content = Path("a.png").read_bytes()
    with zipfile.ZipFile("evil.zip", "w") as archive:
        for name in ("../../evil.png", "/evil.png", "healthy/../../evil.png", "..\\..\\evil.png", "healthy/good.png"):
            archive.writestr(name, content)
    before = set(Path("..").rglob("*"))
    assert [row["file"] for row in do_import("lungs", "evil.zip")] == ["healthy/good.png", "lungs/evil.png"]
    assert all({"data", "runs"} & set(path.parts) for path in set(Path("..").rglob("*")) - before)
    assert not list(Path("/").glob("evil*"))


def test_mistakes_in_zips() -> None:
    Path("text.zip").write_text("no archive")
    refuse("lungs", "text.zip", "text.zip: an archive that cannot be read")
    lungs(Path("source"))
    whole = zipped(Path("source")).read_bytes()
    Path("cut.zip").write_bytes(whole[: len(whole) // 2])
    refuse("lungs", "cut.zip", "cut.zip: an archive that cannot be read")
    place = whole.index(b"\x89PNG") + 40
    Path("rotten.zip").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
    refuse("lungs", "rotten.zip", "rotten.zip: an archive that cannot be read")


class Server(ThreadingHTTPServer):
    """Serves a folder on localhost and counts what is asked for."""

    def __init__(self, directory: Path) -> None:
        self.asked: list[str] = []
        server = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                server.asked.append(self.path)

        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(directory)))
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server(folder: Path):
    (folder / "web").mkdir()
    with Server(folder / "web") as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


def manifest(server: Server, rows: list[dict[str, str]]) -> Path:
    """Pictures on the server and the table of them; a row may overrule any column."""
    with Path("table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for k, row in enumerate(rows):
            picture(Path(f"web/{k}.png"), grey=k)
            content = Path(f"web/{k}.png").read_bytes()
            made = {"set": "lungs", "label": "covid", "file": f"p{k}.png", "url": f"{server.address}/{k}.png"}
            made |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": str(len(content)), "credit": "A, B"}
            writer.writerow(made | row)
    return Path("table.csv")


def test_manifest(server: Server) -> None:
    patients = [{"patient": "x"}, {"patient": "x"}, {"patient": ""}, {"set": "globular_clusters", "label": "NGC 1"}]
    rows = do_import("lungs", manifest(server, patients))
    assert [row["group"] for row in rows] == ["covid/x", "covid/x", "covid/p2"]
    assert np.asarray(Image.open("data/raw/lungs/covid/p1.png")).max() == 1
    assert "/3.png" not in str(server.asked), "rows of other sets are left alone"
    assert [row["label"] for row in do_import("globular_clusters", "table.csv")] == ["NGC 1"]


def test_interrupted_downloads_are_not_repeated(server: Server) -> None:
    table = manifest(server, [{}, {}, {}])
    Path("web/2.png").rename("away.png")
    refuse("lungs", table, "2.png cannot be had .*404")
    Path("away.png").rename("web/2.png")
    server.asked.clear()
    assert len(do_import("lungs", table)) == 3
    assert len(server.asked) == 1 and "/2.png" in server.asked[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"sha256": "0" * 64}, "table.csv: http.*0.png cannot be had .*hash"),
        ({"sha256": ""}, "row 1 of set lungs .* no sha256"),
        ({"url": "http://127.0.0.1:9/0.png"}, "check the network"),
        ({"url": "file:///etc/passwd"}, "cannot be had"),
        ({"label": "../../evil"}, "is no name"),
        ({"file": "..png"}, "is no name"),
        ({"set": "cats"}, "table.csv: no row of set lungs"),
    ],
)
def test_mistakes_in_manifests(server: Server, row: dict[str, str], words: str) -> None:
    refuse("lungs", manifest(server, [row]), words)


def test_manifest_that_is_none() -> None:
    Path("table.csv").write_text("set,label\nlungs,covid\n")
    refuse("lungs", "table.csv", "column file is missing")
    Path("table.csv").write_bytes(b"\xff\xfe\x00binary")
    refuse("lungs", "table.csv", "not a table of text")


def test_real_pictures(real_data: Path) -> None:
    rows = do_import("lungs", real_data / "lungs")
    assert len(rows) == 213
    groups = [row["group"] for row in rows]
    assert groups.count("covid/train_COVID-00003") == 2
    assert len(do_import("globular_clusters", real_data / "globular_clusters")) == 84
