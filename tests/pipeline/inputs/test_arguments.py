"""What the families of maps are told on the command line."""

import argparse
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.inputs.arguments import add_maps, map_inputs, map_options
from pipeline.inputs.options import FitsOptions


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_maps(parser)
    return parser.parse_args(words)


@pytest.fixture
def bands(tmp_path: Path) -> tuple[str, str]:
    for name in ("g", "r"):
        (tmp_path / f"{name}.fits").touch()
    return str(tmp_path / "g.fits"), str(tmp_path / "r.fits")


def test_nothing_said_is_what_the_header_says() -> None:
    args = parsed("a.fits", "b.npy")
    assert map_inputs(args) == [Path("a.fits"), Path("b.npy")]
    assert map_options(args) == {"options": FitsOptions()}


def test_all_that_can_be_said(bands: tuple[str, str]) -> None:
    g, r = bands
    words = f"--g {g} --r {r} --ext SCI --zeropoint -2.5 --ebv 0 --fwhm 1.2 --sky subtract".split()
    args = parsed(*words, "--center", "250.42 -36.46")
    assert map_inputs(args) == [Path(g)]
    expected = FitsOptions("SCI", None, -2.5, 0.0, 1.2, "250.42 -36.46", "subtract", Path(g), Path(r))
    assert map_options(args) == {"options": expected}
    assert map_options(parsed("a.fits", "--band", "F606W"))["options"].band == "F606W"


@pytest.mark.parametrize(
    "words",
    ["--fwhm 0", "--fwhm wide", "--ebv -0.1", "--zeropoint nan", "--center M13", "--center 250.4", "--sky remove"],
)
def test_a_wrong_value_is_one_line(words: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        parsed("a.fits", *words.split())
    assert end.value.code == 2
    assert f"argument {words.split()[0]}: " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "no input"),
        ("--g {g}", "--r is missing"),
        ("--r {r}", "--g is missing"),
        ("other.fits --g {g} --r {r}", "leave out either"),
        ("--g {g} --r {r} --band V", "--band V"),
        ("--g {g} --r {g}", "given as --g and as --r"),
        ("--g {g} --r none.fits", "no such file"),
    ],
)
def test_what_does_not_go_together_is_one_line(bands: tuple[str, str], words: str, complaint: str) -> None:
    g, r = bands
    with pytest.raises(InputError, match=complaint):
        map_inputs(parsed(*words.format(g=g, r=r).split()))
