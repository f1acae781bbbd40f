"""The page of answers in a browser: real clicks, drops and keys; by models that answer at once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stub_models import served, stub_models

from pipeline.serving.uploads import LARGEST

DROP = """([name, size]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(size)], name));
  for (const type of ["dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: files}));
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stub_models(tmp_path_factory.mktemp("served")) as models, served(models) as address:
        yield address


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    tab = browser.new_page()
    tab.set_default_timeout(60_000)
    yield tab
    tab.close()


@pytest.fixture
def page(tab: Any, address: str) -> Iterator[Any]:
    """The form, of which nothing may fail in the console and nothing may come from elsewhere."""
    trouble: list[str] = []
    heard = {
        "console": lambda message: trouble.append(message.text) if message.type == "error" else None,
        "pageerror": lambda error: trouble.append(str(error)),
        "request": lambda sent: None if sent.url.startswith((address, "data:")) else trouble.append(sent.url),
    }
    for event, hear in heard.items():
        tab.on(event, hear)
    tab.goto(address)
    yield tab
    for event, hear in heard.items():
        tab.remove_listener(event, hear)
    assert [text for text in trouble if "status of 422" not in text] == []


def ask(page: Any, path: Path, content: bytes = b"x") -> None:
    path.write_bytes(content)
    page.get_by_label("Drop a file").set_input_files(path)
    with page.expect_navigation():
        page.get_by_role("button", name="Ask").click()


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return [violation["id"] for violation in axe.run(page).response["violations"]]


def test_a_file_is_chosen_and_answered(page: Any, tmp_path: Path) -> None:
    ask(page, tmp_path / "far.npy")
    assert page.get_by_role("heading", level=1).inner_text() == "far.npy"
    assert page.get_by_role("heading", name="Outside the training").count() == 2
    row = page.get_by_role("region", name="Numbers of Energy-based").get_by_role("row", name="distance")
    assert row.get_by_role("cell").all_inner_texts() == ["15.2 kpc", "14.0 to 17.0"]
    picture = page.get_by_role("img", name="What was seen.").first
    assert picture.evaluate("async picture => { await picture.decode(); return picture.naturalWidth }") > 100
    with page.expect_download() as download:
        page.get_by_role("link", name="far_pidoc_map.fits").click()
    assert download.value.suggested_filename == "far_pidoc_map.fits"
    assert download.value.path().read_bytes().startswith(b"SIMPLE")


def test_a_file_is_dropped(page: Any) -> None:
    page.evaluate(DROP, ["map.npy", 100])
    page.get_by_role("heading", name="map.npy").wait_for()


def test_keys_are_enough(page: Any, tmp_path: Path) -> None:
    (tmp_path / "map.npy").write_bytes(b"x")
    page.keyboard.press("Tab")
    field = page.locator(":focus")
    assert field.get_attribute("id") == "file"
    field.set_input_files(tmp_path / "map.npy")  # the browser's own dialogue
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Ask"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="map.npy").wait_for()


def test_what_is_wrong_is_said(page: Any, tmp_path: Path) -> None:
    ask(page, tmp_path / "bad.npy")
    assert page.get_by_role("alert").inner_text() == "bad.npy: no good; give another"
    ask(page, tmp_path / "map.npy")  # from the page of the mistake
    assert page.get_by_role("heading", level=1).inner_text() == "map.npy"


def test_too_large_is_said_before_it_is_sent(page: Any, address: str) -> None:
    page.evaluate(DROP, ["map.fits", LARGEST + 1])
    assert page.get_by_role("status").inner_text().startswith("map.fits is larger than 64 MB: cut it to the field")
    assert page.url == address


def test_pages_can_be_read_by_everybody(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert violations(page) == []
    for name in ("bad.npy", "odd.npy", "far.npy"):
        ask(page, tmp_path / name)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 26, 34)"
    assert violations(page) == []
