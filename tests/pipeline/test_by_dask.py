"""The data stages on a Dask cluster write the bytes that are committed, those of loky."""

import json
from collections.abc import Iterator

import pytest
from conftest import ROOT, edit_params, run_stage, working_in
from small_draw import SMALL, STAGES, hashes

from pipeline import generate_nbody, parallel

pytestmark = pytest.mark.slow

OUTPUTS = {
    "generate_nbody": "data/synthetic/nbody/",
    "generate_clusters": "data/synthetic/cluster_maps/",
    "import_clusters": "data/clusters/maps/",
    "preprocess_maps": "data/clusters/seen/",
    "draw_cluster_pictures": "data/synthetic/globular_clusters/",
    "draw_radiographs": "data/synthetic/lungs/",
}


@pytest.fixture(scope="module", params=["own", "remote"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Hashes of what the stages write, on a cluster that they start, or on one with an address and another folder."""
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch, working_in(folder):
        patch.setattr(parallel, "FEW_JOBS", 1)
        patch.delattr(parallel, "_by_loky")
        patch.setattr(generate_nbody, "BLOCK_ROWS", 30_000)
        (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text("utf-8"), "utf-8")
        edit_params(folder, SMALL | {"runtime.workers": 2, "runtime.parallel_backend": "dask"})
        if request.param == "own":
            for stage in STAGES:
                run_stage(stage)
        else:
            with working_in(tmp_path_factory.mktemp("elsewhere")):
                cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1)
            with cluster, dask.config.set({"scheduler-address": cluster.scheduler_address}):
                for stage in STAGES:
                    run_stage(stage)
        yield hashes(folder)


@pytest.mark.parametrize("stage", OUTPUTS)
def test_stage_by_dask(stage: str, written: dict[str, str]) -> None:
    committed = json.loads((ROOT / "tests/pipeline/small_draw.json").read_text("utf-8"))
    expected = {file: digest for file, digest in committed.items() if file.startswith(OUTPUTS[stage])}
    assert expected
    assert {file: digest for file, digest in written.items() if file.startswith(OUTPUTS[stage])} == expected
