"""What README and docs/ say is there is there, and every measured number in them is the one that was measured."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from benchmarks.docs import MARKED, PAGES, PARTS, filled, table
from pipeline.evaluation.common.headline import measures, number
from pipeline.training.registry import MODELS

DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MADE = (
    "data/",
    "models/",
    "runs/",
    "answers/",
    "reports/figures/",
    "reports/headlines/",
    "reports/index.html",
    ".venv",
    ".dvc/cache",
    ".dvc/plots.html",
)
NO_PLACE = re.compile(
    r"[<>*{}$%@]|^\.\w+$|^https?:|^(?:mine(?:_[gr])?|more|map-2)\."
)  # a pattern, an address or a reader's own file
SUFFIXES = (".py", ".yaml", ".md", ".toml", ".cff", ".lock", ".json", ".png", ".csv", ".fits", ".jinja")

pages = pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))


def code(text: str) -> list[str]:
    """What stands in backticks on one line, and the lines of code blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return inline + [line.partition("#")[0] for block in blocks for line in block.splitlines()]


def named_files(text: str) -> list[str]:
    """Words of code that name a file or folder of the repository, unless the chain or the reader makes it."""
    words = [word.strip("`,;()'\"") for piece in code(text) for word in piece.split()]
    rooms = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())
    places = [word for word in words if word.startswith((*rooms, "examples/")) or word.endswith(SUFFIXES)]
    return [place for place in places if not NO_PLACE.search(place) and not place.startswith(MADE) and "=" not in place]


@pages
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if ":" not in link and not (page.parent / link).exists()]
    assert not missing


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    missing = [place for place in named_files(page.read_text()) if not (ROOT / place).exists()]
    if page.name in ("benchmarks.md", "data.md"):  # they name people's own files
        missing = [place for place in missing if "/" in place]
    assert not missing


@pages
def test_figures_that_are_named_are_drawn(page: Path) -> None:
    drawn = "".join(path.read_text() for path in (ROOT / "pipeline/evaluation").rglob("*.py"))
    for model, figure in re.findall(r"reports/figures/([\w-]+)/(\w+)\.png", page.read_text()):
        assert model in MODELS and f'"{figure}"' in drawn, f"{model}: no figure {figure}"


@pages
def test_modules_that_are_named_exist(page: Path) -> None:
    modules = re.findall(r"-m ((?:pipeline|benchmarks)\.\w+)", page.read_text())
    assert not [module for module in modules if find_spec(module) is None]


@pages
def test_parameters_that_are_named_exist(page: Path) -> None:
    values = YAML(typ="safe").load(ROOT / "params.yaml")
    words = [word for piece in code(page.read_text()) for word in piece.split()]
    keys = [key[1] for word in words if (key := re.fullmatch(r"([\w-]+(?:\.\w+)+)(?:[=:].*)?", word))]
    for key in keys:
        section, *parts = key.split(".")
        found = values.get(section)
        for part in parts if found is not None and not key.endswith(SUFFIXES) else []:
            assert part in found, f"{key}: no such parameter"
            found = found[part]


@pages
def test_nothing_is_left_to_do(page: Path) -> None:
    assert "TODO" not in page.read_text()


@pytest.mark.parametrize(
    "file", [*DOCS, *sorted((ROOT / "benchmarks/results").glob("*.json"))], ids=lambda file: str(file.relative_to(ROOT))
)
def test_no_file_names_a_place_of_a_machine(file: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:work|home|root|tmp|Users)/|\.\./shared", file.read_text())


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 140
    assert lines.index("## Your own data") < 60
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 60


def test_every_page_is_linked() -> None:
    """From the README, at most two links away."""
    found, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if not page.is_file():
            continue  # another test tells
        found.add(page)
        links = re.findall(r"\]\(([^)#\s:]+\.md)", page.read_text())
        todo += [path for link in links if (path := (page.parent / link).resolve()) not in found]
    assert set(DOCS) <= found


@pytest.mark.parametrize("name", PAGES)
def test_numbers_are_those_that_were_measured(name: str) -> None:
    text = (ROOT / name).read_text()
    assert filled(text) == text, "run python -m benchmarks.docs"


def test_each_part_stands_on_a_page() -> None:
    found = {marks[2] for name in PAGES for marks in MARKED.finditer((ROOT / name).read_text())}
    assert found == set(PARTS)


def test_measures_of_a_flat_evaluation() -> None:
    metrics = {
        "test/loss": -1.5,
        "test/pixel_error_percent": 29.24,
        "test/pixel_error_percent_low": 27.5,
        "test/pixel_error_percent_high": 31.0,
        "baseline/radial_ridge/pixel_error_percent": 60.4,
        "baseline/mean_map/pixel_error_percent": 172.0,
        "test/noisy/pixel_error_percent": 40.5,
        "test/noisy/pixel_error_percent_low": 38.0,
        "test/noisy/pixel_error_percent_high": 43.0,
        "test/noisy/baseline/radial_ridge/pixel_error_percent": 71.0,
        "test/log_likelihood_nats": -901.1,
        "baseline/independent_pixels/log_likelihood_nats": -943.6,
        "baseline/nothing/log_likelihood_nats": -2000.0,
    }
    found = measures(metrics, {"log_likelihood_nats": "log-likelihood of a picture (nats)"})
    pixel, likelihood = found["pixel_error_percent"], found["log_likelihood_nats"]
    assert (pixel.label, pixel.in_words()) == ("pixel error percent", "29.24 (27.5 to 31)")
    assert pixel.best_rival_in_words() == "60.4 radial ridge"
    noisy = found["noisy/pixel_error_percent"]
    assert (noisy.label, noisy.in_words()) == ("the same behind noise: pixel error percent", "40.5 (38 to 43)")
    assert noisy.best_rival_in_words() == "71 radial ridge"
    assert likelihood.label == "log-likelihood of a picture (nats)"
    assert likelihood.best_rival_in_words() == "-943.6 independent pixels"
    assert found["loss"].best_rival_in_words() == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(114071, "114071"), (7.8471e-06, "7.847e-6"), (0.5, "0.5"), (-901.1074, "-901.1"), (29.24, "29.24"), (0, "0")],
)
def test_numbers_are_written_for_people(value: float, text: str) -> None:
    assert number(value) == text


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(["a"], [["|x|"]]).splitlines()[-1] == "| \\|x\\| |"
