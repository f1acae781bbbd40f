"""Figures on the page, and the words for those who cannot see them."""

import ast
import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image
from test_contracts import closure

from pipeline.reporting.figures import descriptions, figures
from pipeline.training.registry import MODELS


def named(family: str) -> Iterator[str]:
    """Names of the pictures and animations in the code of a family's evaluation."""
    room = f"pipeline/evaluation/{family}/"
    for file in closure(f"{room}evaluation.py"):
        if file.startswith(room):
            for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Picture", "Animation"):
                    yield ast.literal_eval(node.args[0])


@pytest.mark.parametrize("family", sorted({model.family for model in MODELS.values()}))
def test_every_figure_is_described(family: str) -> None:
    found, described = set(named(family)), descriptions()[family]
    assert found and found <= set(described)
    assert all(len(text) > 60 for text in described.values())


def test_an_animation_comes_first_and_can_be_held(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 30), (level, 0, 0)) for level in (0, 250)]
    frames[1].save(tmp_path / "still.png")
    frames[0].save(tmp_path / "moves.webp", save_all=True, append_images=frames[1:], duration=100, loop=0)
    moves, still = figures(tmp_path, "none", {"still": "It stands.", "moves": "It moves."})
    assert (moves["name"], moves["alt"], moves["width"], moves["height"]) == ("moves", "It moves.", 40, 30)
    assert still["still"] is None
    last = Image.open(io.BytesIO(base64.b64decode(moves["still"].partition(",")[2])))
    assert last.getpixel((20, 15)) == pytest.approx((250, 0, 0), abs=9)
