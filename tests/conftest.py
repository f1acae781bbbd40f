"""Fixtures shared by all tests: no tracker, a tiny chain of data, the place of real data."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch starts; small tensors gain nothing from two

ROOT = Path(__file__).parents[1]
DATA_STAGES = [
    ("generate_nbody",),
    ("import_nbody",),
    ("generate_clusters",),
    ("import_clusters",),
    ("preprocess_maps",),
    ("draw_cluster_pictures",),
    ("draw_star_fields",),
    ("draw_radiographs",),
    ("import_images", "lungs"),
    ("import_images", "globular_clusters"),
    ("preprocess_images", "lungs-50"),
    ("preprocess_images", "globular_clusters-10"),
    ("preprocess_images", "globular_clusters-50"),
    ("preprocess_images", "globular_clusters-255"),
]

CHROMIUM = [  # no sandbox, for root in a container; nothing that asks the network
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def real_data() -> Path:
    """Folder of real pictures and published data, named by STAR_CLUSTER_DATA; skips without it."""
    folder = os.environ.get("STAR_CLUSTER_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set STAR_CLUSTER_DATA to the folder of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of small odd inputs, named by STAR_CLUSTER_CASES; skips without it."""
    folder = os.environ.get("STAR_CLUSTER_CASES")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set STAR_CLUSTER_CASES to the folder of odd inputs")
    return Path(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by playwright; skips where either is missing.

    Of a module, not of the session: while playwright runs, `asyncio.run` fails in its thread.
    """
    api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("install chromium to test the pages in a browser")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield chromium
        chromium.close()


def training_split(tensors: dict[str, Any]) -> Any:
    """As much of a data module as ``fit_statistics`` reads."""
    return SimpleNamespace(splits={"train": tensors}, padded=False, white=255, drawn=False)


def maps_data(batch: dict[str, Any], psf_sigma: float = 4.0) -> Any:
    """The same of maps of clusters (n, 1, H, W) in one look, clean, and the telescope behind them."""
    import torch

    train, n = dict(batch), len(batch["statistics"])
    for name in ("flux", "mass"):
        if name in batch:
            pixels = batch[name].flatten(1).double()
            std, mean = torch.std_mean(pixels, 1, correction=0)
            train |= {f"{name}_mean": mean, f"{name}_std": std}
    train["statistics"] = batch["statistics"][:, None]
    train["looks"] = torch.tensor([psf_sigma, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64).expand(n, 1, 5)
    telescope = SimpleNamespace(psf_sigma=psf_sigma, pixel_arcsec=0.25, log_flux_floor=-8.0)
    return SimpleNamespace(splits={"train": train, "calibration": train}, telescope=telescope)


def check_items(items: Any, metrics: dict[str, float], otherwise: Collection[str] = ()) -> None:
    """The rows of a reader of maps give its metrics, clean and noisy: means of columns, and truths in intervals.

    Args:
        items: a row for each map and look.
        metrics: by key.
        otherwise: columns of which the metric is no mean.
    """
    metric_of = {"field_mass": "mass"} if "test/mass_in_68_percent" in metrics else {"field_mass": "field"}
    for (look,), rows in items.group_by("look"):
        place = "test" if look == "clean" else f"test/{look}"
        for column in set(rows.columns) - set(otherwise):
            quantity, _, unit = column.partition("_truth_")
            if f"{place}/{column}" in metrics:
                assert rows[column].mean() == pytest.approx(metrics[f"{place}/{column}"], rel=1e-5), column
            if unit:
                low, high = (rows[f"{quantity}_{end}_{unit}"] for end in ("low", "high"))
                inside = 100 * rows[column].is_between(low, high).mean()
                assert inside == pytest.approx(metrics[f"{place}/{metric_of.get(quantity, quantity)}_in_68_percent"])


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_stage(stage: str, *arguments: str) -> None:
    import_module(f"pipeline.{stage}").main(list(arguments))


@pytest.fixture
def default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test: the project's parameters, no data."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny_folder(default_folder: Path) -> Path:
    """The same at scale tiny."""
    from pipeline.scale import write_scale

    write_scale(ROOT / "scales/tiny.yaml", default_folder / "params.yaml")
    return default_folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every data stage ran at scale tiny, each by its own main."""
    from pipeline.scale import write_scale

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    write_scale(ROOT / "scales/tiny.yaml", folder / "params.yaml")
    with working_in(folder):
        for stage in DATA_STAGES:
            run_stage(*stage)
    return folder


@pytest.fixture
def workspace(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test: tiny parameters and data, nothing trained."""
    (tmp_path / "params.yaml").write_text((tiny_data / "params.yaml").read_text())
    (tmp_path / "data").symlink_to(tiny_data / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def section_of(name: str) -> str:
    """The section of params.yaml of a model."""
    from pipeline.training.registry import MODELS

    return MODELS[name].section


def edit_params(folder: Path, values: dict[str, object]) -> None:
    """Set dotted keys of the folder's params.yaml, such as ``gnn.trainer.max_epochs``."""
    from ruamel.yaml import YAML

    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for path, value in values.items():
        *sections, key = path.split(".")
        section = params
        for name in sections:
            section = section[name]
        section[key] = value
    yaml.dump(params, folder / "params.yaml")
