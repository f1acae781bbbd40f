"""A data stage is killed at its start, halfway and while it writes: the next leaves what an undisturbed one does."""

import shutil
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from conftest import edit_params

from faults.harness import (
    Running,
    assert_same,
    contents,
    fail,
    kill,
    killed_at,
    orphans,
    pause,
    run,
    stage,
    start,
    until,
    when,
)

pytestmark = pytest.mark.fault

PARALLEL = ("pipeline.parallel", "in_parallel")
REPLACE = ("os", "replace")
TRACK = ("pipeline.progress", "track")


def hidden(place: Path) -> list[str]:
    return [file.name for file in place.glob(".*") if file.name != ".gitignore"]


def check(out: str, undisturbed: Path) -> None:
    """The stage's output is as it should be, and nothing lies beside it or in runs."""
    assert_same(contents(out), contents(out, folder=undisturbed))
    assert hidden(Path(out).parent) == []
    assert contents("runs") == {}


def test_clusters(tiny_folder: Path, tiny_data: Path) -> None:
    command, out = stage("generate_clusters"), "data/synthetic/cluster_maps"
    killed_at(pause(command, *PARALLEL))
    killed_at(pause(command, *REPLACE, "000000010.csv"))
    drawn = pause(command, *REPLACE, "000000000.csv")
    killed_at(pause(command, *REPLACE, "000000020.csv"))
    assert not Path(out).exists()
    drawn.go_on()
    run(command, env=drawn.env())
    assert not drawn.was_reached(), "a block that was done has been drawn again"
    check(out, tiny_data)


def test_clusters_while_the_maps_are_put_in_their_place(tiny_folder: Path, tiny_data: Path) -> None:
    """One of two files is there already, then both: the blocks are not lost with the folder that is put in place."""
    command, out = stage("generate_clusters"), "data/synthetic/cluster_maps"
    killed_at(pause(command, "os", "link", "mass.npy"))
    killed_at(pause(command, *REPLACE, "cluster_maps'"))
    assert not Path(out).exists()
    drawn = pause(command, *REPLACE, "000000000.csv")
    drawn.go_on()
    run(command, env=drawn.env())
    assert not drawn.was_reached(), "a block that was done has been drawn again"
    check(out, tiny_data)


def test_pictures(tiny_folder: Path, tiny_data: Path) -> None:
    """Workers that draw see the end of their parent and end, too."""
    command, out = stage("draw_cluster_pictures"), "data/synthetic/globular_clusters"
    drawing = start(command)
    when(drawing, "data/synthetic/.globular_clusters.*/mock_001.png")
    kill(drawing)
    drawing.end()
    until(lambda: not list(orphans(tiny_folder)), "the workers' end", 20)
    killed_at(pause(command, *REPLACE, "globular_clusters"))
    assert not Path(out).exists()
    run(command)
    check(out, tiny_data)


def test_preprocessed_pictures(tiny_folder: Path, tiny_data: Path) -> None:
    command, out = stage("preprocess_images", "globular_clusters-10"), "data/images/globular_clusters-10"
    shutil.copytree(tiny_data / "data/raw", "data/raw")
    killed_at(pause(command, *TRACK))
    killed_at(pause(command, "pipeline.inputs.duplicates", "equal_pairs"))
    killed_at(pause(command, *REPLACE, "globular_clusters-10"))
    assert not Path(out).exists()
    run(command)
    check(out, tiny_data)


def worker_of(running: Running, words: str) -> int:
    """The number of a process that works for a stage, with these words in its command."""
    found: list[int] = []

    def look() -> bool:
        for process in running.family[1:]:
            with suppress(psutil.Error):  # it has just ended
                if words in " ".join(process.cmdline()):
                    found.append(process.pid)
        return bool(found)

    until(look, f"a worker {words}")
    return found[-1]


def test_a_worker_of_loky_is_killed(tiny_folder: Path, tiny_data: Path) -> None:
    command, out = stage("draw_cluster_pictures"), "data/synthetic/globular_clusters"
    drawing = start(command)
    when(drawing, "data/synthetic/.globular_clusters.*/mock_001.png")
    kill(worker_of(drawing, "loky"))
    assert drawing.end() == 2, drawing.output
    assert "Traceback" not in drawing.output and "worker" in drawing.output, drawing.output
    assert not Path(out).exists()
    run(command)
    check(out, tiny_data)


def test_a_worker_of_dask_is_killed(tiny_folder: Path, tiny_data: Path) -> None:
    """Its jobs are done by others: the stage ends well."""
    pytest.importorskip("distributed")
    edit_params(tiny_folder, {"runtime.parallel_backend": "dask"})
    drawing = start(stage("draw_cluster_pictures"))
    when(drawing, "data/synthetic/.globular_clusters.*/mock_001.png")
    kill(worker_of(drawing, "spawn_main"))
    assert drawing.end() == 0, drawing.output
    out = "data/synthetic/globular_clusters"
    assert_same(contents(out), contents(out, folder=tiny_data))


def test_too_little_memory(tiny_folder: Path) -> None:
    """Said before it starts: a run of more steps than the memory holds."""
    edit_params(tiny_folder, {"nbody.dt": 1e-8})
    said = fail(stage("generate_nbody"), prefix=["bash", "-c", 'ulimit -v 6000000; exec "$0" "$@"'])
    assert "nbody" in said
    assert not Path("data/synthetic/nbody").exists()
