"""The command `--serve` itself: what it refuses, how soon it listens, and real answers of real models."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from conftest import ROOT, edit_params, run_stage

from pipeline import predict
from pipeline.errors import InputError
from pipeline.serving.models import Models
from pipeline.serving.server import main

TRAINED = ("gnn", "rbm", "pidoc-mass", "pidoc-age-distance")


def test_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"models: no trained models; train them \(dvc repro\) or give --weights FILE"):
        predict.main(["--serve", "--port", "0"])
    with pytest.raises(InputError, match=r"none\.zip: no trained models"):
        main(["--serve", "--port", "0", "--weights", "none.zip"])


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"--port {port}: Address already in use.*; give another, or 0"):
            main(["--serve", "--port", str(port)])


def test_what_weights_of_others_learned_from_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report here tells of the models here."""
    monkeypatch.chdir(tmp_path)
    for file in ("models/rbm.ckpt", "weights.zip", "reports/figures/rbm/learned.json"):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text('{"notes": ["Learned from 5 pictures.", "More."]}')
    assert [notes for notes in Models().learned.values() if notes] == [["Learned from 5 pictures."]]
    assert Models(Path("weights.zip")).learned == {}


@pytest.mark.parametrize("port", ["-1", "65536", "http", "1.5"])
def test_a_port_that_is_none(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--serve", "--port", port])
    assert "is no port, 0 to 65535" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some of the models, trained for an epoch."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(tiny_data / "params.yaml", folder)
    (folder / "data").symlink_to(tiny_data / "data")
    edit_params(folder, {f"{name}.trainer.max_epochs": 1 for name in TRAINED})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in TRAINED:
            run_stage("train", name)
    return folder


@pytest.fixture(scope="module")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The command in a folder of models: its process, its address, its temporary folder, seconds until it listened."""
    uploads = tmp_path_factory.mktemp("uploads")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(uploads)}
    command = [sys.executable, "-m", "pipeline.predict", "--serve", "--port", "0", "--device", "cpu"]
    start = time.monotonic()
    with subprocess.Popen(command, cwd=trained, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = re.findall(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
        assert "still being loaded" in httpx.get(address, trust_env=False, timeout=60).text
        yield process, address, uploads, time.monotonic() - start
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0 and process.stdout.read() == "closed\n"


def ask(page: Any, address: str, file: Path) -> str:
    page.goto(address)
    page.get_by_label("Drop a file").set_input_files(file)
    with page.expect_navigation():
        page.get_by_role("button", name="Ask").click()
    assert page.get_by_role("heading", level=1).inner_text() == file.name
    broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
    page.wait_for_load_state("networkidle")
    assert page.evaluate(broken) == 0
    return str(page.inner_text("main"))


@pytest.mark.slow
def test_real_models_answer_in_a_browser(server: Any, browser: Any) -> None:
    process, address, uploads, seconds = server
    assert seconds < 5 * (1 + psutil.getloadavg()[0] / psutil.cpu_count())
    page = browser.new_page()
    page.set_default_timeout(120_000)
    cluster = ask(page, address, ROOT / "examples/mock_cluster_flux.fits")
    assert (
        re.search(r"distance\s+[\d.]+ kpc\s+[\d.]+ to [\d.]+\s", cluster)
        and "mock_cluster_flux_pidoc_mass.fits" in cluster
    )
    assert "models/ebm.ckpt: no such checkpoint" in cluster
    systems = ask(page, address, ROOT / "examples/nbody_systems.csv")
    assert re.search(r"systems\s+3\s", systems) and "nbody_systems_gnn_forecast.csv" in systems
    picture = ask(page, address, ROOT / "examples/mock_cluster_picture.png")
    assert "mean free energy of pictures (nats)" in picture
    assert not list(uploads.glob("star-cluster-*"))
    page.close()
    content = (ROOT / "examples/mock_cluster_picture.png").read_bytes()
    used = []
    with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
        for _ in range(30):
            assert client.post("/answer", files={"file": ("picture.png", content)}).status_code == 303
            used.append(psutil.Process(process.pid).memory_info().rss)
    assert used[-1] - used[9] < 20e6, "bytes"
