"""The page of the report, made from a few small files and opened in a browser that has no network."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, working_in
from PIL import Image

from pipeline import report
from pipeline.evaluation.common import gallery
from pipeline.reporting import embedded
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

SHOWN = ("gnn", "ebm-plane")  # with an animation, an interval and a published figure; with none of them
CURVES = "epoch,lr-AdamW,val/loss,train/loss\n0,0.1,2.0,3.0\n1,0.2,0.5,1.0\n2,0.1,0.75,0.25\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_pictures(folder: Path, name: str, grey: str) -> None:
    """A set of two pictures, raw and preprocessed."""
    for kind, columns in (("raw", "file,label,group"), ("images", "file,label,group,split")):
        place = folder / "data" / kind / (name if kind == "raw" else grey)
        rows = [f"a/{k}.png,a,a/{k}{',test' * (kind == 'images')}" for k in range(2)]
        write(place / "index.csv", "\n".join([columns, *rows]) + "\n")
        (place / "a").mkdir()
        for k in range(2):
            Image.new("L", (20, 20), 100 * k).save(place / f"a/{k}.png")
    told = {"source": f"data/synthetic/{name}", "skipped": [], "credits": [], "warnings": []}
    write(folder / "data/raw" / name / "import.json", json.dumps(told))
    write(folder / "data/images" / grey / "preprocess.json", '{"duplicates": [], "near_duplicates": []}')


def write_model(folder: Path, name: str) -> None:
    """What training and evaluation of a model leave behind."""
    model, figures = MODELS[name], folder / "reports/figures" / name
    what = model.headline.removeprefix("test/")
    metrics = {model.headline: 2.0, f"baseline/ridge/{what}": 5.0}
    metrics |= {f"{model.headline}_low": 1.0, f"{model.headline}_high": 3.0} if name == "gnn" else {}
    write(folder / f"reports/evaluate/{name}.json", json.dumps(metrics))
    write(folder / f"reports/train/{name}.csv", CURVES)
    frames = [Image.new("RGB", (700, 300), (level, 200, 200)) for level in (0, 90, 180)]
    captions = {"tracks": "Where they go."}
    figures.mkdir(parents=True)
    frames[0].save(figures / "tracks.png")
    if name == "gnn":
        frames[0].save(figures / "moves.webp", save_all=True, append_images=frames[1:], duration=50, loop=0)
        captions["moves"] = "How they go."
        write(folder / f"reports/charts/{name}/items.csv", "item,error\n1,0.5\n2,0.25\n")
    section = load_params(ROOT / "params.yaml").model_section(name)
    learned = {"title": model.title, "notes": ["A note."], "judged_by": "3 items", "monitor": "val/loss"}
    for file, told in (
        ("captions", captions),
        ("labels", {what: "an error & more"}),
        ("learned", learned | {"parameters": section.model_dump(mode="json")}),
    ):
        write(figures / f"{file}.json", json.dumps(told))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of the stage, and the one with the run."""
    folder = tmp_path_factory.mktemp("report")
    write(folder / "params.yaml", (ROOT / "params.yaml").read_text())
    write(folder / "reports/nbody.json", json.dumps({"energy": {"median": 1e-6}, "simulations": 3}))
    write_pictures(folder, "lungs", "lungs-50")
    write_pictures(folder, "globular_clusters", "globular_clusters-255")
    for name in SHOWN:
        write_model(folder, name)
    with pytest.MonkeyPatch.context() as patch, working_in(folder):
        patch.setattr(report, "MODELS", {name: MODELS[name] for name in SHOWN})
        for room, part in (
            (report, "model_entry"),
            (report, "set_entry"),
            (gallery, "gallery"),
            (embedded, "figure_uri"),
        ):
            patch.setattr(room, part, cache(getattr(room, part)))  # once for both pages
        report.main([])
        report.main(["--with-run"])
    return folder


@pytest.fixture
def opened(browser: Any, pages: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The stage's page, sent alone; what it asked the network for is in ``asked``."""
    page = browser.new_page(**getattr(request, "param", {}))
    page.asked = []
    page.on("request", lambda sent: page.asked.append(sent.url))
    page.goto((pages / "reports/index.html").as_uri())
    yield page
    page.close()


def test_the_stage_writes_no_commit_and_no_time(pages: Path) -> None:
    plain, with_run = ((pages / path).read_text() for path in ("reports/index.html", "runs/report.html"))
    assert "This run" in with_run and "This run" not in plain
    first, second = plain.partition("<main>"), with_run.partition("<main>")
    assert second[2].startswith(first[2].partition("</main>")[0].rstrip())  # the same, and more


def test_the_summary_comes_first(opened: Any) -> None:
    assert opened.locator("main h2").first.inner_text() == "Summary"
    cells = [row.locator("th, td").all_inner_texts() for row in opened.locator("#summary tbody tr").all()]
    gnn, plane = [[" ".join(cell.split()) for cell in row] for row in cells]
    assert gnn == [
        f"{MODELS['gnn'].title} dvc repro evaluate@gnn",
        "2.00 1.00 to 3.00 an error & more",
        "▲ better smaller by a factor of 2.5",
        "5.00 ridge",
        "3 items",
        f"0.0035; ours 0.00301 {MODELS['gnn'].published['source']} python -m benchmarks.egnn_nbody",
    ]
    assert plane[1:] == ["2.00 an error & more", "▲ better by 3.00 nats", "5.00 ridge", "3 items", "–"]


def test_it_asks_the_network_for_nothing(opened: Any) -> None:
    opened.evaluate("Promise.all([...document.images].map(one => { one.loading = 'eager'; return one.decode(); }))")
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []


def test_headings_stand_in_order(opened: Any) -> None:
    levels = opened.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


@pytest.mark.slow
@pytest.mark.parametrize(
    "opened",
    [
        {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    ],
    ids=["desktop, light", "phone, dark"],
    indirect=True,
)
def test_axe_finds_nothing_and_nothing_sticks_out(opened: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    opened.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = axe.run(opened).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("opened", [{"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_what_is_wider_than_a_phone_is_scrolled_by_keyboard(opened: Any) -> None:
    places = opened.locator(".wide")
    wider = places.evaluate_all("all => all.map(one => [one.scrollWidth > one.clientWidth, one.tabIndex === 0])")
    assert [True, True] in wider and all(scrolls == reached for scrolls, reached in wider)


def test_an_animation_can_be_held(opened: Any) -> None:
    image, button = opened.locator("#gnn img").first, opened.locator("#gnn button")
    moving = image.get_attribute("data-moving")
    assert (image.get_attribute("src"), button.inner_text()) == (moving, "Pause")
    button.focus()
    opened.keyboard.press("Enter")
    assert (image.get_attribute("src"), button.inner_text()) == (image.get_attribute("data-still"), "Play")
    button.click()
    assert (image.get_attribute("src"), button.inner_text()) == (moving, "Pause")


@pytest.mark.parametrize("opened", [{"reduced_motion": "reduce"}], indirect=True)
def test_it_stands_still_for_who_wants_no_motion(opened: Any) -> None:
    image = opened.locator("#gnn img").first
    assert image.get_attribute("src") == image.get_attribute("data-still")
    assert opened.locator("#gnn button").inner_text() == "Play"


def test_files_can_be_taken_from_the_page_alone(opened: Any, pages: Path) -> None:
    links = {link.inner_text(): link for link in opened.locator("#gnn .files a").all()}
    assert list(links) == ["measures (JSON, 1 kB)", "training curves (CSV, 1 kB)", "held-out items (CSV, 1 kB)"]
    with opened.expect_download() as waiting:
        links["training curves (CSV, 1 kB)"].click()
    assert waiting.value.suggested_filename == "gnn-training-curves.csv"
    assert Path(waiting.value.path()).read_text() == CURVES
    told = links["measures (JSON, 1 kB)"].get_attribute("href")
    assert told == embedded.data_uri((pages / "reports/evaluate/gnn.json").read_bytes(), "application/json")


def test_a_missing_report_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(report.InputError, match=r"reports/evaluate/gnn\.json: missing or unreadable; `dvc repro`"):
        report.model_entry("gnn")


def test_figures_of_an_older_version_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path, "gnn")
    (tmp_path / "reports/figures/gnn/learned.json").write_text('{"title": "Mine", "notes": []}')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(report.InputError, match=r"gnn/learned\.json: of an older version; `dvc repro evaluate@gnn`"):
        report.model_entry("gnn")
