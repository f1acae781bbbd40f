"""Pictures by address, against a server on this machine that is slow, broken, or not what it says."""

import csv
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from pipeline.errors import InputError
from pipeline.import_images import import_set
from pipeline.inputs.manifests import COLUMNS
from pipeline.inputs.metadata import read_table


class Server(ThreadingHTTPServer):
    """Pictures 0.png, 1.png, ...; ``faults`` says how the next answers for a path go wrong."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.faults: dict[str, list[str]] = {}
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                with server.lock:
                    server.asked.append(self.path)
                    faults = server.faults.get(self.path, [])
                    fault = faults.pop(0) if faults else ""
                server.answer(self, fault)

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler, fault: str) -> None:
        content = png(int(Path(handler.path).stem))
        if fault in ("404", "503"):
            handler.send_error(int(fault))
            return
        if fault == "other":
            content = content[:-1] + b"x"
        if fault == "silent":
            pause(1)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if fault == "slow":
            for k in range(0, len(content), 20):
                pause(0.02)
                handler.wfile.write(content[k : k + 20])
        else:
            handler.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

    def handle_error(self, *_: object) -> None:
        pass  # a client that gave up


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)  # time.sleep is pooch's, between its tries


def png(k: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(k).integers(0, 256, (8, 8), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAR_CLUSTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    with Server() as served:
        threading.Thread(target=served.serve_forever, args=[0.01], daemon=True).start()
        yield served
        served.shutdown()


def manifest(server: Server, *rows: dict[str, str], name: str = "table.csv") -> Path:
    """A table of the server's pictures; a row may overrule any column."""
    with Path(name).open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for k, row in enumerate(rows):
            content = png(k)
            made = {"set": "lungs", "label": "covid", "file": f"p{k}.png", "url": f"{server.address}/{k}.png"}
            made |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": str(len(content)), "patient": ""}
            writer.writerow(made | {"licence": "CC0", "credit": "A, B"} | row)
    return Path(name)


def do_import(table: Path, name: str = "lungs") -> list[dict[str, str]]:
    import_set(name, table, None, Path("runs/import_images") / name)
    with Path(f"data/raw/{name}/index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def refuse(table: Path, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        do_import(table)
    assert not Path("data").exists() and "\n" not in " ".join(str(error.value).split())


def test_rows_of_a_set(server: Server) -> None:
    table = manifest(
        server,
        {"patient": "x"},
        {"patient": "x", "label": "healthy", "credit": "C"},
        {"file": "00000013_001.png"},
        {},
        {"set": "globular_clusters", "label": "NGC 1"},
    )
    rows = do_import(table)
    assert [(row["file"], row["group"]) for row in rows] == [
        ("covid/00000013_001.png", "00000013"),
        ("covid/p0.png", "x"),
        ("covid/p3.png", "covid/p3"),
        ("healthy/p1.png", "x"),
    ]
    np.testing.assert_array_equal(
        np.asarray(Image.open("data/raw/lungs/covid/p0.png")), np.asarray(Image.open(io.BytesIO(png(0))))
    )
    assert "/4.png" not in server.asked, "rows of other sets are left alone"
    assert json.loads(Path("data/raw/lungs/import.json").read_text())["credits"] == [
        {"credit": "A, B", "licence": "CC0", "files": 3},
        {"credit": "C", "licence": "CC0", "files": 1},
    ]


def test_sets_and_runs_share_the_cache(server: Server) -> None:
    do_import(manifest(server, {}, {}))
    do_import(manifest(server, {"set": "globular_clusters"}, {"set": "globular_clusters"}, {}), "globular_clusters")
    do_import(manifest(server, {}, {}, {}))
    assert sorted(server.asked) == ["/0.png", "/1.png", "/2.png"]


def test_interrupted_downloads_go_on(server: Server) -> None:
    table = manifest(server, {}, {}, {})
    server.faults = {"/2.png": ["404"] * 4}
    refuse(table, "2.png cannot be had .*404.*check the network and run it again, or remove the row")
    assert server.asked.count("/2.png") == 4, "once and three times more"
    server.asked.clear()
    assert len(do_import(table)) == 3 and server.asked == ["/2.png"]


@pytest.mark.parametrize("fault", ["503", "cut", "other", "silent"])
def test_a_fault_that_passes(server: Server, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.inputs.manifests.TIMEOUT", 0.3)
    server.faults = {"/0.png": [fault, fault], "/1.png": ["slow"]}
    assert len(do_import(manifest(server, {}, {}))) == 2
    assert server.asked.count("/0.png") == 3 and server.asked.count("/1.png") == 1


@pytest.mark.parametrize(
    ("fault", "words"), [("cut", "IncompleteRead"), ("other", "hash"), ("silent", "timed out"), ("404", "404")]
)
def test_a_fault_that_stays(server: Server, fault: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.inputs.manifests.TIMEOUT", 0.2)
    server.faults = {"/0.png": [fault] * 9}
    refuse(manifest(server, {}, {}), f"table.csv: http.*0.png cannot be had .*{words}")
    assert {path.name for path in Path("cache").iterdir()} <= {hashlib.sha256(png(1)).hexdigest()}, "nothing half-had"


def test_a_spoilt_file_of_the_cache_is_fetched_anew(server: Server) -> None:
    table = manifest(server, {}, {})
    do_import(table)
    next(Path("cache").iterdir()).write_bytes(b"spoilt")
    server.asked.clear()
    assert len(do_import(table)) == 2 and len(server.asked) == 1


def test_after_a_failure_the_rest_is_not_asked_for(server: Server) -> None:
    server.faults = {"/0.png": ["404"] * 4} | {f"/{k}.png": ["slow"] for k in range(1, 60)}
    refuse(manifest(server, *[{}] * 60), "404")
    assert len(set(server.asked)) < 50


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"sha256": ""}, "row 1 of set lungs has no http address or no sha256"),
        ({"url": "file:///etc/passwd"}, "row 1 of set lungs has no http address"),
        ({"url": "http://127.0.0.1:9/0.png"}, "cannot be had.*check the network"),
        ({"label": "../../evil"}, "is no name"),
        ({"file": "..png"}, "is no name"),
        ({"set": "cats"}, "table.csv: no row of set lungs"),
    ],
)
def test_mistakes(server: Server, row: dict[str, str], words: str) -> None:
    refuse(manifest(server, row), words)


def test_a_table_that_is_none(server: Server) -> None:
    Path("table.csv").write_text("set,label\nlungs,covid\n")
    refuse(Path("table.csv"), "column file is missing; a manifest has set,label,file,url")


def test_a_cache_that_cannot_be_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("plain").write_text("")
    monkeypatch.setenv("STAR_CLUSTER_CACHE", "plain/cache")
    refuse(manifest(server, {}, {}), "plain/cache: .*set STAR_CLUSTER_CACHE to another folder")


@pytest.mark.parametrize(("name", "count"), [("lungs", 373), ("globular_clusters", 29)])
def test_manifests_of_the_project(name: str, count: int) -> None:
    path = ROOT / f"pipeline/manifests/{name}.csv"
    table = read_table(path.read_bytes(), path.name)
    assert table.columns == list(COLUMNS) and len(table.rows) == count
    assert len({row["sha256"] for row in table.rows}) == len({row["file"] for row in table.rows}) == count
    for row in table.rows:
        assert row["set"] == name and row["url"].startswith("https://") and len(row["sha256"]) == 64
        assert row["licence"] and row["credit"]
