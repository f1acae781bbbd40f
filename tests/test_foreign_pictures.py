"""The chain at scale tiny on pictures as people have them: read, learned and reported is what the folder says."""

import csv
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import edit_params
from PIL import Image
from test_chain import checkout, environment

from pipeline.training.registry import MODELS

PICTURE_MODELS = [name for name, model in MODELS.items() if model.data.startswith("data/images")]
SIZES = [(90, 70), (64, 64), (60, 110), (128, 100)]  # width, height


def natural(k: int) -> np.ndarray:
    """Picture number ``k``: noise of amplitude 1/f as photographs have, uint8, of one of four sizes."""
    width, height = SIZES[k % len(SIZES)]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    noise = np.random.default_rng(k).normal(size=(height, width))
    grey = np.fft.irfft2(np.fft.rfft2(noise) / frequency, (height, width))
    return np.uint8(255 * (grey - grey.min()) / np.ptp(grey))


def png(levels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()


def dicom(levels: np.ndarray) -> bytes:
    """A radiograph of 12 bits in which level 0 is white, as many detectors write them."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["picture"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.Rows, image.Columns = levels.shape
    image.PhotometricInterpretation, image.SamplesPerPixel = "MONOCHROME1", 1
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = (4095 - levels.astype(np.uint16) * 16).tobytes()
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def macos_zip(place: Path) -> Path:
    """Two foreign labels, one not ASCII; NIH names; patient 3 stands in both; a copy; what macOS and Windows add."""
    with zipfile.ZipFile(place / "lungs.zip", "w") as archive:
        for k in range(28):
            label, patient = ("pneumonie à virus", k // 2) if k < 16 else ("sain", 3 if k == 16 else k)
            archive.writestr(f"my X-rays/{label}/{patient:08d}_{k:03d}.png", png(natural(k)))
            archive.writestr(f"__MACOSX/my X-rays/{label}/._{patient:08d}_{k:03d}.png", b"\0\5\26\7")
        archive.writestr("my X-rays/sain/copy.png", png(natural(0)))
        archive.writestr("my X-rays/sain/notes.docx", b"no picture")
        archive.writestr("my X-rays/.DS_Store", b"\0")
        archive.writestr("my X-rays/sain/Thumbs.db", b"\0")
    return place / "lungs.zip"


def flat_dicom_folder(place: Path) -> Path:
    """Radiographs of one kind, without a label."""
    folder = place / "my radiographs"
    folder.mkdir()
    for k in range(16):
        (folder / f"{k:02d}.dcm").write_bytes(dicom(natural(k)))
    return folder


def flat_folder(place: Path) -> Path:
    """Pictures of one kind in several formats, without a label."""
    folder = place / "clusters"
    folder.mkdir()
    for k in range(14):
        Image.fromarray(natural(100 + k)).convert("RGB").save(folder / f"{k:02d}.{'jpg' if k % 2 else 'png'}")
    return folder


def labelled_folder(place: Path) -> Path:
    """Two labels that no stage is named after."""
    for k in range(16):
        folder = place / "sky" / ("$open$" if k % 2 else "шаровые")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{k:02d}.png").write_bytes(png(natural(100 + k)))
    return place / "sky"


def repro(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["dvc", "repro", *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def trained_on(place: Path, lungs: Path, clusters: Path) -> Path:
    """A checkout in which all models of pictures were trained on these, and the page was written."""
    folder = checkout(place / "chain")
    subprocess.run([sys.executable, "-m", "pipeline.scale", "tiny"], cwd=folder, check=True)
    edit_params(folder, {"images.lungs.source": str(lungs), "images.globular_clusters.source": str(clusters)})
    output = repro(folder, "preprocess_images", *(f"evaluate@{name}" for name in PICTURE_MODELS))
    assert "Traceback" not in output and "Glyph" not in output
    for name in set(MODELS) - set(PICTURE_MODELS):  # of the other models, the page shows their committed numbers alone
        figures = folder / "reports/figures" / name
        figures.mkdir(parents=True)
        learned = {"title": name, "notes": [], "judged_by": "", "monitor": "val/loss", "parameters": {}}
        for file, content in (("captions", {}), ("labels", {}), ("learned", learned)):
            (figures / f"{file}.json").write_text(json.dumps(content))
    repro(folder, "--single-item", "report")
    return folder


def read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


def index(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "data/images" / name / "index.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def section(page: str, model: str) -> str:
    """The text of a model's section of the page, without its pictures."""
    start = page.index(f'<section id="{model}">')
    end = page.index("</section>", start)
    return re.sub(r'src="[^"]*"', "", page[start:end])


def title(folder: Path, name: str) -> str:
    return read(folder / f"reports/figures/{name}/learned.json")["title"]


def labels_of_a_zip(folder: Path, page: str) -> None:
    rows = index(folder, "lungs-50")
    assert {row["label"] for row in rows} == {"pneumonie à virus", "sain"}
    assert len(rows) == 29
    sides: dict[str, set[str]] = {}
    for row in rows:
        patient = Path(row["file"]).stem.partition("_")[0]
        sides.setdefault({"copy": "00000000"}.get(patient, patient), set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values()), "a patient, or a copy, on two sides"
    assert title(folder, "autoencoder-healthy") == "Autoencoder of lungs: pneumonie à virus"
    assert title(folder, "autoencoder-covid") == "Autoencoder of lungs: sain"
    for name in ("autoencoder-healthy", "autoencoder-covid"):
        assert 0 <= read(folder / f"reports/evaluate/{name}.json")["test/novelty_auc"] <= 1
        text = section(page, name).replace(name, "")
        assert not re.search("healthy|covid", text, re.IGNORECASE)
    assert "AUC of the error, sain against pneumonie à virus" in section(page, "autoencoder-healthy")
    for words in ("notes.docx", "pneumonie à virus/00000000_000.png, sain/copy.png", "lungs.zip"):
        assert words in page
    assert {row["label"] for row in index(folder, "globular_clusters-50")} == {"globular_clusters"}
    assert title(folder, "rbm") == MODELS["rbm"].title


def one_label_of_dicom(folder: Path, page: str) -> None:
    assert {row["label"] for row in index(folder, "lungs-50")} == {"lungs"}
    first = np.asarray(Image.open(folder / "data/raw/lungs/lungs/00.png"))
    assert np.abs(first.astype(int) - natural(0)).max() <= 1, "what the detector calls 0 is white"
    for name in ("autoencoder-healthy", "autoencoder-covid"):
        assert title(folder, name) == "Autoencoder of lungs"
        assert not [key for key in read(folder / f"reports/evaluate/{name}.json") if "auc" in key]
        assert "there is no AUC" in section(page, name)
    healthy, covid = (read(folder / f"reports/evaluate/autoencoder-{name}.json") for name in ("healthy", "covid"))
    assert healthy == covid, "both learn the one label"
    assert {row["label"] for row in index(folder, "globular_clusters-10")} == {"$open$", "шаровые"}
    assert "labelled $open$, шаровые" in section(page, "boltzmann")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lungs", "clusters", "check"),
    [(macos_zip, flat_folder, labels_of_a_zip), (flat_dicom_folder, labelled_folder, one_label_of_dicom)],
    ids=["zip", "dicom"],
)
def test_foreign_pictures(
    tmp_path: Path,
    lungs: Callable[[Path], Path],
    clusters: Callable[[Path], Path],
    check: Callable[[Path, str], None],
) -> None:
    folder = trained_on(tmp_path, lungs(tmp_path), clusters(tmp_path))
    check(folder, (folder / "reports/index.html").read_text("utf-8"))
