"""What the page of answers serves, and what it refuses; by models that answer at once."""

import asyncio
import gc
import hashlib
import io
import json
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.io import fits
from matplotlib.figure import Figure
from PIL import Image
from stub_models import answer, served, stub_models

from pipeline.serving import kept
from pipeline.serving import models as serving_models
from pipeline.serving.uploads import FORM

FITS = b"SIMPLE  = " + b" " * 70
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="map.fits"\r\n\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with stub_models(tmp_path_factory.mktemp("served")) as models, served(models) as address:
        with httpx.Client(base_url=address, follow_redirects=True, trust_env=False, timeout=60) as client:
            yield client


@pytest.fixture(autouse=True)
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder; nothing lies there after any test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def ask(client: httpx.Client, name: str, content: bytes = FITS, options: str = "") -> Any:
    return client.post("/answer", files={"file": (name, content)}, data={"options": options})


def error(response: Any) -> str:
    (line,) = errors(response)
    return line


def errors(response: Any) -> list[str]:
    return re.findall(r'<p class="error"[^>]*>(.*?)</p>', response.text)


def test_form_names_all_models_and_nothing_elsewhere(client: httpx.Client) -> None:
    text = client.get("/").text
    for title in ("Graph network", "healthy lungs", "COVID lungs", "Energy-based", "flux map to mass map"):
        assert title in text
    assert "Not here: models/boltzmann.ckpt: no such checkpoint; train the model first" in text
    assert not re.search(r"""(src|href|action)=["']?(https?:|//)|@import|url\(""", text)


def test_answer_is_that_of_the_command_line(client: httpx.Client) -> None:
    response = ask(client, "m 13.fits")
    assert response.history[0].status_code == 303 and response.url.path.startswith("/answer/")
    text = response.text
    assert text.count("<td>15.2 kpc</td><td>14.0 to 17.0</td>") == 2, "of ebm and of pidoc"
    assert text.count("<td>8,390 M☉</td><td>7,010 to 10,000</td>") == 2
    links = set(re.findall(r'href="(/answer/[^"]*)"', text))
    files = {link.rpartition("/")[2]: client.get(link) for link in links}
    assert sorted(files) == sorted(
        f"m_13_{f}{e}" for f in ("ebm", "pidoc") for e in (".json", "_map.fits", "_seen.png")
    )
    stated = json.loads(files["m_13_ebm.json"].content)
    assert stated["distance"] == {"value": 15.25, "low": 14.0, "high": 17.0, "unit": "kpc"}
    assert stated["provenance"]["input"] == {"name": "m_13.fits", "sha256": hashlib.sha256(FITS).hexdigest()}
    assert (fits.getdata(io.BytesIO(files["m_13_pidoc_map.fits"].content)) == np.arange(6).reshape(2, 3)).all()
    assert Image.open(io.BytesIO(files["m_13_ebm_seen.png"].content)).format == "PNG"
    for name, file in files.items():
        shown = name.endswith(".png")
        assert file.headers["content-type"] == ("image/png" if shown else "application/octet-stream")
        assert ("attachment" in file.headers.get("content-disposition", "")) != shown


def test_warnings_stand_out(client: httpx.Client) -> None:
    far = ask(client, "far.fits").text
    assert far.count('<div class="outside">') == 2 and far.index("unlike &lt;every&gt; map") < far.index("<table>")
    odd = ask(client, "odd.fits", options="--fwhm 1.5 --distance 25 --distance-error 1").text
    assert odd.count('<div class="warning">') == 2 and odd.count("<li>fwhm 1.5</li>") == 2
    assert odd.count("<li>these models have no use for --distance 25 --distance-error 1</li>") == 1, "pidoc"
    assert '<div class="warning">' not in ask(client, "map.fits").text
    picture = ask(client, "lung.png", b"x")
    assert picture.text.count("trained at scale tiny") == 1, "rbm"
    assert errors(picture) == [
        "Autoencoder of COVID lungs (phantoms): cannot be loaded; the terminal tells why; train it again (dvc repro)",
        "models/boltzmann.ckpt: no such checkpoint; train the model first",
    ]


@pytest.mark.parametrize(
    ("name", "content", "options", "line"),
    [
        ("bad.fits", FITS, "", "bad.fits: no good; give another"),
        ("empty.fits", b"", "", "empty.fits: the file is empty; give one with something in it"),
        ("run.exe", b"MZ", "", "run.exe: no kind of file that is read; the list below says which are"),
        ("../../etc/passwd", b"x", "", "passwd: no kind of file that is read; the list below says which are"),
        ("bomb.fits", b"PK\3\4", "", "bomb.fits: not a readable FITS file; give a FITS image"),
        ("a.fits", FITS, "--nope", "options: --nope is not known; correct it, or leave the line empty"),
        ("a.fits", FITS, "a word", "options: a word is not known; correct it, or leave the line empty"),
        ("a.fits", FITS, "'", "options: No closing quotation; correct them, or leave the line empty"),
        ("a.fits", FITS, "--g a --r b", "options: files cannot be named here; correct them, or leave the line empty"),
        ("a.png", FITS, "--noise", "file beside --noise, which needs no picture; leave out either"),
        ("a.png", FITS, "--with b c", "options: files cannot be named here; correct them, or leave the line empty"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    client: httpx.Client, name: str, content: bytes, options: str, line: str
) -> None:
    response = ask(client, name, content, options)
    assert (response.status_code, error(response)) == (422, line)
    assert 'role="alert"' in response.text


@pytest.mark.parametrize("request_body", [{}, {"data": {"file": "text"}}, {"files": {"other": ("a.fits", FITS)}}])
def test_no_file(client: httpx.Client, request_body: dict[str, Any]) -> None:
    assert error(client.post("/answer", **request_body)) == "no file; choose one, or drop it on the page"


def test_broken_and_double_forms(client: httpx.Client) -> None:
    assert client.post("/answer", content=b"junk", headers=MULTIPART).status_code == 400
    two = [("file", ("a.fits", FITS)), ("file", ("b.fits", FITS))]
    assert "Maximum number of files is 1" in error(client.post("/answer", files=two))


def test_a_fault_of_one_model_is_no_fault_of_the_others(
    client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    response = ask(client, "fault.fits")
    assert response.status_code == 200 and response.text.count("15.2 kpc") == 1
    assert error(response).startswith("fault.fits: this program failed on the file")
    assert "secret" not in response.text and "Traceback" in capsys.readouterr().err


def test_too_large_by_its_header_is_refused_at_once(client: httpx.Client) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in (MULTIPART | {"Content-Length": 2**31}).items())
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=60) as connection:
        connection.sendall(f"POST /answer HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


def test_an_upload_that_ends_half_way_leaves_nothing(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in (MULTIPART | {"Content-Length": 2**21}).items())
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=60) as connection:
        connection.sendall(f"POST /answer HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode() + HEAD + bytes(2**20))
    assert client.get("/").status_code == 200
    assert not caplog.records


def test_too_large_without_a_length_is_not_stored(client: httpx.Client, uploads: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield HEAD
        for _ in range(80):
            yield bytes(2**20)

    response = client.post("/answer", content=chunks(), headers=MULTIPART)
    assert response.status_code == 413
    assert error(response).startswith("the file is larger than 64 MB: cut it to the field")


def test_the_largest_file_is_taken(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.serving.uploads.LARGEST", 1000)
    assert ask(client, "a.npy", bytes(1000)).status_code == 200
    assert ask(client, "a.npy", bytes(1000 + FORM)).status_code == 413


@pytest.mark.parametrize("host", ["evil.com", "127.0.0.1.evil.com", "localhost.evil.com:8765"])
def test_other_names_do_not_lead_here(client: httpx.Client, host: str) -> None:
    response = client.get("/", headers={"Host": host})
    assert response.status_code == 400 and "<form" not in response.text


@pytest.mark.parametrize("origin", ["http://evil.com", "https://127.0.0.1:{port}", "http://127.0.0.1:1", "null"])
def test_other_sites_may_not_ask(client: httpx.Client, origin: str) -> None:
    asked = {"files": {"file": ("a.fits", FITS)}}
    port = client.base_url.port
    refused = client.post("/answer", **asked, headers={"Origin": origin.format(port=port)})
    assert refused.status_code == 403 and "another site" in error(refused)
    assert client.post("/answer", **asked, headers={"Origin": f"http://127.0.0.1:{port}"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/answer", 405),
        ("DELETE", "/", 405),
        ("GET", "/answer/guess", 404),
        ("GET", "/answer/guess/map.json", 404),
        ("GET", "/page.css", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/answer/..%2f..%2fetc/passwd", 404),
    ],
)
def test_nothing_else_is_served(client: httpx.Client, method: str, path: str, status: int) -> None:
    assert client.request(method, path).status_code == status


def test_files_of_an_answer_are_its_own(client: httpx.Client) -> None:
    place = ask(client, "map.fits").url.path
    for name in ("map.fits", "..%2fmap_ebm.json", "%2fetc%2fpasswd", "map_gnn.json"):
        assert client.get(f"{place}/{name}").status_code == 404


def test_headers_of_every_response(client: httpx.Client) -> None:
    place = ask(client, "map.fits").url.path
    for path in ("/", place, f"{place}/map_ebm.json", "/nowhere"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';") and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
    assert client.get("/", headers={"Host": "evil.com"}).headers["x-content-type-options"] == "nosniff"


def test_answers_expire(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "ANSWERS", 2)
    first = ask(client, "first.fits").url.path
    assert client.get(first).status_code == 200
    for _ in range(kept.ANSWERS):
        ask(client, "more.npy", b"x")
    assert client.get(first).status_code == 404, "the oldest made room"
    monkeypatch.setattr(kept, "MINUTES", 0)
    assert "no longer" in error(ask(client, "last.fits"))


def test_an_answer_goes_in_time_though_nobody_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold pictures of a patient."""
    monkeypatch.setattr(kept, "MINUTES", 0.05 / 60)

    async def wait() -> list[int]:
        answers = kept.Kept()
        answers.add("lung.png", [])
        before = len(answers.answers)
        await asyncio.sleep(0.1)
        return [before, len(answers.answers)]

    assert asyncio.run(wait()) == [1, 0]


def test_one_question_at_a_time(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    active, most, answers = 0, 0, []

    def slow(*question: Any, **options: Any) -> Any:
        nonlocal active, most
        active += 1
        most = max(most, active)
        time.sleep(0.05)
        active -= 1
        return answer(*question, **options)

    monkeypatch.setattr(serving_models, "predict", slow)
    threads = [threading.Thread(target=lambda k=k: answers.append(ask(client, f"m{k}.fits"))) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and sorted(re.findall("<h1>(.*)</h1>", each.text)[0] for each in answers) == [
        "m0.fits", "m1.fits", "m2.fits"
    ]  # fmt: skip


def test_answers_leave_no_figures(client: httpx.Client) -> None:
    ask(client, "map.fits")
    gc.collect()
    assert plt.get_fignums() == [] and not any(type(thing) is Figure for thing in gc.get_objects())
