"""What the disk or the memory refuses is one line that names the file, and status 2, whichever library says it."""

import csv
import errno
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pipeline import errors
from pipeline.errors import InputError
from pipeline.outputs import atomic_file, atomic_folder
from pipeline.parallel import in_parallel
from pipeline.settings.runtime import Runtime

LIMIT = 20_000  # bytes of a file
NUMBERS = np.random.default_rng(0).random(30_000)
RUNTIME = Runtime(
    accelerator="cpu", devices=1, num_nodes=1, strategy="auto", workers=2, parallel_backend="loky", plot_real_time=False
)


@pytest.fixture
def small_files() -> Iterator[None]:
    """As `ulimit -f` does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test process that is not changed by running a stage in it."""
    monkeypatch.setattr("pipeline.surroundings.settle", lambda: None)


def write_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        csv.writer(file).writerows(NUMBERS.reshape(-1, 10).tolist())


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("x" * 100_000, encoding="utf-8"),
    "csv": write_csv,
    "numpy": lambda path: np.save(path.open("wb"), NUMBERS),
    "memory map": lambda path: np.lib.format.open_memmap(path, mode="w+", shape=(30_000,)),
    "polars csv": lambda path: pl.DataFrame({"a": NUMBERS}).write_csv(path),
    "polars parquet": lambda path: pl.DataFrame({"a": NUMBERS}).write_parquet(path),
    "picture": lambda path: Image.fromarray((NUMBERS.reshape(150, 200) * 255).astype("u1")).save(path),
}


@pytest.mark.parametrize("library", WRITERS)
def test_a_file_too_large_is_named_in_one_line_and_nothing_is_left(
    tmp_path: Path, small_files: None, quiet: None, capfd: pytest.CaptureFixture[str], library: str
) -> None:
    def main() -> None:
        with atomic_file(tmp_path / "out.png") as path:
            WRITERS[library](path)

    with pytest.raises(SystemExit) as stop:
        errors.run(main)
    assert stop.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'out.png'}: ") and line.endswith("run the same command again to go on")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_copied_is_named(tmp_path: Path, small_files: None) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b"):
        subprocess.run(["truncate", "-s", "1M", source / name], check=True, preexec_fn=unlimited)
    with pytest.raises(InputError, match=r"/out: this file may not grow"), atomic_folder(tmp_path / "out") as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def unlimited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))


def write(folder: Path, k: int) -> None:
    (folder / str(k)).write_bytes(bytes(100_000))


def test_workers_say_it_too(tmp_path: Path, small_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    with pytest.raises(InputError, match=r"/out: this file may not grow"), atomic_folder(tmp_path / "out") as folder:
        list(in_parallel(write, [(folder, k) for k in range(4)], RUNTIME, "writing"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "a.csv"), "a.csv: your share"),
        (OSError(errno.EROFS, "Read-only file system", "a.csv"), "a.csv: this disk is read-only"),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/from", None, "models/to"), "models/to: no space"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "runs/x"), "runs/x: a file is where a folder should be"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "out"), "out: a folder is where a file should be"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), "Permission denied: 'a.csv'"),
        (np._core._exceptions._ArrayMemoryError((10**9,), np.dtype("f8")), "out of memory"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 4544 vs 4440"), "no space left"),
        (RuntimeError("DefaultCPUAllocator: you tried. Error code 12 (Cannot allocate memory)"), "out of memory"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_the_machine_refuses_is_one_line(
    error: Exception, expected: str, quiet: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as stop:
        errors.run(main)
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert line.startswith("error: ") and expected in line


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "No such file", "x"), ValueError("28"), KeyError(1)])
def test_a_mistake_of_ours_keeps_its_traceback(error: Exception, quiet: None) -> None:
    def main() -> None:
        raise error

    with pytest.raises(type(error)):
        errors.run(main)


def test_an_input_error_within_an_output_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^(?!.*out).*No.*28.*$"), atomic_file(tmp_path / "out"):
        raise InputError("No such thing: [Errno 28]")


def test_a_full_disk_is_no_bus_error(tmp_path: Path) -> None:
    """On a disk in memory, where the system lets a user mount one."""
    code = (
        "from pathlib import Path\nimport numpy as np\nfrom pipeline.errors import run\n"
        "from pipeline.outputs import atomic_file, reserve\n"
        "def main():\n"
        "    with atomic_file(Path('disk/light.npy').resolve()) as path:\n"
        "        maps = np.lib.format.open_memmap(path, mode='w+', shape=(1000, 1000))\n"
        "        reserve(path, maps.offset + maps.nbytes)\n"
        "        maps[:] = 1\n"
        "run(main)\n"
    )
    (tmp_path / "disk").mkdir()
    mounted = f'mount -t tmpfs -o size=100k tmpfs disk && exec {sys.executable} -c "$0"'
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", mounted, code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "disk/light.npy: no space left on this disk" in done.stderr
