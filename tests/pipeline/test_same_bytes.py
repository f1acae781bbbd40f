"""Data stages write the same bytes on any x86-64 with AVX2: those committed, also as a processor without AVX-512."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("small_draw.py")


def drawn(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Hashes of files drawn in a process of its own: libraries look at the processor when they start."""
    command = [sys.executable, str(SCRIPT), str(folder)]
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    hashes: dict[str, str] = json.loads(run.stdout)
    return hashes


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return drawn(tmp_path_factory.mktemp("here"), {})


def as_avx2() -> dict[str, str]:
    """Environment in which the libraries use no more than AVX2 and FMA."""
    from llvmlite.binding import get_host_cpu_features
    from numpy._core._multiarray_umath import __cpu_dispatch__

    newer = ("avx512", "avx10", "evex", "amx")
    features = get_host_cpu_features().items()
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(f for f in __cpu_dispatch__ if "AVX512" in f or f == "X86_V4"),
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": ",".join(
            ("+" if there and not any(word in name for word in newer) else "-") + name for name, there in features
        ),
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    }


def test_bytes_are_those_committed(here: dict[str, str]) -> None:
    assert here == json.loads(SCRIPT.with_suffix(".json").read_text())


@pytest.mark.slow
def test_bytes_do_not_need_avx512(here: dict[str, str], tmp_path: Path) -> None:
    from numpy._core._multiarray_umath import __cpu_features__

    if not __cpu_features__.get("AVX512F"):
        pytest.skip("this processor has no AVX-512 to do without")
    assert drawn(tmp_path, as_avx2()) == here
