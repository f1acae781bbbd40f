"""Runs that this machine cannot hold are refused before they start."""

from pathlib import Path

import pytest
from conftest import edit_params, run_stage

from pipeline.errors import InputError

pytestmark = pytest.mark.usefixtures("tiny_folder")


@pytest.mark.parametrize(("key", "value", "what"), [("dt", 1e-8, "disk|memory"), ("n_stars", 10**9, "disk|memory")])
def test_runs_too_large_are_refused_before_they_start(key: str, value: float, what: str) -> None:
    edit_params(Path(), {f"nbody.{key}": value})
    with pytest.raises(InputError, match=rf"nbody: .* rows would take .* GB of ({what}).*raise nbody\.dt"):
        run_stage("generate_nbody")


def test_limit_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (2 << 30, resource.RLIM_INFINITY))
    edit_params(Path(), {"nbody.n_simulations": 1, "nbody.dt": 1e-6, "nbody.n_stars": 20})
    with pytest.raises(
        InputError, match=r"a simulation of 2e\+07 rows would take 3\.84 GB of memory, 2\.15 GB are there"
    ):
        run_stage("generate_nbody")
